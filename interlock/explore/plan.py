"""What one explored run is made of, and how a seed makes one: a subset of the faults, each with a weight, and crashes.

Enabling a random subset for each run finds more than enabling everything always does: faults that hide each other are
sometimes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.mocks.fault_rows import MUST_SETTLE, ROWS
from interlock.mocks.faults import STORE_FAULTS, Fault, FaultPlan, FaultRule
from interlock.runtime.seeds import SeededStreams

__all__ = ["RunPlan", "Swarm"]

T = TypeVar("T")

_LABEL: Final = "plan"
_KINDS_MAX: Final = 4
_BEGUN_S: Final = 1.0
_WEIGHTS: Final = (30, 100, 300, 700)
_CRASH_PERMILLE: Final = (0, 0, 4, 12)
_STOP_PERMILLE: Final = (0, 0, 0, 0, 0, 4, 20)


class RunPlan(msgspec.Struct, frozen=True):
    """One run, but for its schedule: its settings with its faults, how often it crashes, how far it may go."""

    config: SessionConfig
    must_settle: bool
    """Whether none of its faults may stop it."""
    crash_permille: int = 0
    crashes_max: int = 3
    steps_max: int = 20_000
    stop_permille: int = 0
    """How often the host asks the session to stop; it may do so more than once, and at any time."""


class Swarm:
    """Makes the plan of each seed from one base; ``kinds`` are the rows of the failure matrix to draw from."""

    def __init__(
        self, base: SessionConfig, *, kinds: tuple[str, ...] = tuple(ROWS), faults: bool = True, crashes: bool = True
    ) -> None:
        self._parts = Parts(base)
        own = base.broker.faults
        # A switch that could not be stored is forgotten with the process: two failures at once, which nothing survives.
        self._crashes = crashes and all(rule.fault is not Fault.KILL_SWITCH_THROWS for rule in own.rules)
        self._own = own.rules
        # A broker that cannot be asked at the start is no everyday fault: the session must not begin.
        # And one that changes something after the last look is beyond everybody.
        last_s = _until_s(base)
        self._window = (own.after_s or _BEGUN_S, last_s if own.until_s is None else min(own.until_s, last_s))
        self._rows = {
            name: tuple(FaultRule.model_validate(rule) for rule in ROWS[name].rules)
            for name in (kinds if faults else ())
        }
        self._names = tuple(self._rows)
        self._known: dict[tuple[str, int], tuple[FaultRule, ...]] = {}

    def plan(self, seed: int) -> RunPlan:
        """Return the plan of a seed; the same in every process."""
        return self.prepared(seed)[0]

    def prepared(self, seed: int) -> tuple[RunPlan, Parts]:
        """Return the plan of a seed with the parts of its session, whose settings are made once for all seeds."""
        draws = SeededStreams(seed)
        names = self._names
        chosen: dict[str, int] = {}
        for _ in range(draws.below(_KINDS_MAX + 1, _LABEL) if names else 0):
            chosen[_one_of(names, draws)] = _one_of(_WEIGHTS, draws)
        rules = [rule for name, weight in chosen.items() for rule in self._weighed(name, weight)]
        after_s, until_s = self._window
        plan = FaultPlan.model_construct(rules=(*self._own, *rules), after_s=after_s, until_s=until_s)
        parts = self._parts.under(plan)
        usual = all(ROWS[name].spec in MUST_SETTLE for name in chosen) and not self._own
        crash = _one_of(_CRASH_PERMILLE, draws) if self._crashes else 0
        # A session that is stopped while the broker still lies may believe the last lie: there the host lets it end.
        stop = _one_of(_STOP_PERMILLE, draws) if usual else 0
        return RunPlan(parts.config, usual and not stop, crash, stop_permille=stop), parts

    def _weighed(self, name: str, weight: int) -> tuple[FaultRule, ...]:
        """Return the rules of a row with a weight, which each chunk of seeds asks for again and again."""
        rules = self._known.get((name, weight))
        if rules is None:
            rules = self._known[name, weight] = tuple(
                rule.model_copy(update={"permille": weight if rule.permille else 0}) for rule in self._rows[name]
            )
        return rules


def _one_of(choices: Sequence[T], draws: SeededStreams) -> T:
    return choices[draws.below(len(choices), _LABEL)]


def _until_s(base: SessionConfig) -> float:
    """Return when faults stop, so that what they led to can settle before the session ends."""
    strategy = base.strategy
    last = max((step.at_s for step in strategy.script), default=0.0)
    if strategy.day is not None:
        last = max(last, strategy.day.orders * strategy.day.every_s)
    return min(last + strategy.linger_s / 2, base.session.duration_s / 2)


def has_store_faults(config: SessionConfig) -> bool:
    """Return whether a plan strikes the store, which then belongs to the run."""
    return any(rule.fault in STORE_FAULTS for rule in config.broker.faults.rules)
