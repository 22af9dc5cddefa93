"""Exhaustive search as a hunt: every schedule of each case up to a number of deviations, with the same report."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from interlock.config.model import SessionConfig
from interlock.explore.chunk import Found, Tally
from interlock.explore.coverage import Coverage
from interlock.explore.exhaustive import explore_all
from interlock.explore.hunt import Hunted, Quarry
from interlock.explore.plan import RunPlan
from interlock.explore.run import RunOutcome
from interlock.mocks.faults import FaultPlan
from interlock.runtime.clock import RealClock

__all__ = ["enumerate_all"]

_CRASH_PERMILLE = 500
"""Above nought: an exhaustive search tries both answers, however likely."""

_STEPS_MAX = 2_000


class _Sum:
    """What all runs have shown so far."""

    def __init__(self, progress: Callable[[Hunted], None] | None) -> None:
        self._progress = progress
        self._clock = RealClock()
        self._began_ns = self._clock.now_ns()
        self.coverage = Coverage()
        self.tally = Tally()

    def seen(self, outcome: RunOutcome) -> None:
        """Add one run."""
        tally = self.tally
        self.coverage.add(outcome.counters)
        self.tally = msgspec.structs.replace(
            tally,
            runs=tally.runs + 1,
            steps=tally.steps + outcome.steps,
            simulated_ns=tally.simulated_ns + outcome.simulated_ns,
            crashes=tally.crashes + outcome.crashes,
            outcomes={**tally.outcomes, outcome.outcome: tally.outcomes.get(outcome.outcome, 0) + 1},
            hits=self.coverage.hits,
        )
        if self._progress is not None:
            self._progress(self.hunted())

    def hunted(self, *, interrupted: bool = False) -> Hunted:
        """Return all of it."""
        return Hunted(self.tally, self._clock.now_ns() - self._began_ns, interrupted)


def enumerate_all(quarry: Quarry, progress: Callable[[Hunted], None] | None = None) -> tuple[Hunted, tuple[str, ...]]:
    """Run every schedule of every case with up to ``depth`` deviations, in this process.

    Returns what was seen, and the cases that were not seen whole: more than ``runs`` runs of one, or something broken.
    """
    total = _Sum(progress)
    left: list[str] = []
    crash = _CRASH_PERMILLE if quarry.crashes else 0
    for name, settings in quarry.cases.items():
        config = settings if quarry.faults else _without_faults(settings)
        plan = RunPlan(config, must_settle=False, crash_permille=crash, crashes_max=1, steps_max=_STEPS_MAX)
        try:
            seen = explore_all(plan, quarry.depth, runs_max=quarry.runs, seen=total.seen)
        except KeyboardInterrupt:
            return total.hunted(interrupted=True), (*left, name)
        if seen.failure is not None:
            found = (*total.tally.found, Found(name, quarry.seed, plan, seen.tape, seen.failure))
            total.tally = msgspec.structs.replace(total.tally, found=found)
        if not seen.complete:
            left.append(name)
        if len(total.tally.found) >= quarry.failures_max:
            break
    return total.hunted(), tuple(left)


def _without_faults(config: SessionConfig) -> SessionConfig:
    return config.model_copy(update={"broker": config.broker.model_copy(update={"faults": FaultPlan()})})
