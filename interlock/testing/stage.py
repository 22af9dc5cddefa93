"""Where sessions of tests are made and judged, and how one test body is run under many schedules.

A run of a body is one seed: its schedule decides who is served next in every session of that run, which faults strike
and when processes are killed. A run that fails can be run again by its seed, and a shorter tape is looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.explore.plan import RunPlan, Swarm
from interlock.explore.run import Run, outcome_of
from interlock.runtime.schedule import FifoSchedule, Schedule, SeededSchedule, Tape, TapeSchedule
from interlock.testing.broker import ChaosBroker
from interlock.testing.session import HostedSession, InvariantDoesNotHold

__all__ = ["ExploredFailure", "Many", "Stage"]

_SETTLE_S: Final = 30.0
"""Session time that is left to settle in, after the last fault can have struck, before a session is stopped."""

_SHOWN: Final = 24
_DEFAULTS: Final[dict[str, Any]] = {
    "session": {
        "session_id": "tested",
        "strategy_id": "strat_demo",
        "scheduler": "random",
        "duration_s": 600,
        "drain_every_s": 1,
    },
    "instruments": [
        {
            "symbol": "BTC/EUR",
            "price": "100",
            "tick_size": "1",
            "max_order_quantity": "10",
            "max_order_notional": "2000",
            "allow_short": True,
        }
    ],
    "opening": {"cash": "100000", "positions": {"BTC/EUR": "20"}},
    "broker": {"price_every_s": 5, "timeout_s": 2, "lot": "0.01"},
    "retry": {"attempts_max": 4, "duration_max_s": 15, "wait_initial_s": 0.25, "wait_max_s": 4},
    "settle": {"interval_s": 1, "settle_after_s": 12, "deadline_s": 60},
    "reconcile": {"every_s": 10, "grace_s": 1, "repair_wait_s": 10, "stuck_after_s": 30, "auto_repair": True},
}


class ExploredFailure(AssertionError):
    """A test body failed under a schedule; the message says which, how, and how to run that one again."""


class Many(msgspec.Struct, frozen=True):
    """How a test body is to be explored: ``seeds`` one by one.

    ``failures`` is what a body raises when it fails; what is in ``passed_on`` as well says something else to whoever
    runs the tests, and is not looked into.
    """

    seeds: tuple[int, ...]
    faults: bool = True
    crashes: bool = False
    failures: tuple[type[BaseException], ...] = (Exception,)
    passed_on: tuple[type[BaseException], ...] = ()


class Stage:
    """Makes the sessions of one run after the other; called by tests as ``interlock_session(...)``."""

    def __init__(self) -> None:
        self.broker = ChaosBroker()
        self._runs: list[Run] = []
        self._seed: int | None = None
        self._schedule: Schedule = FifoSchedule()
        self._many = Many(())

    def __call__(self, **sections: dict[str, Any] | list[Any]) -> HostedSession:
        """Make a session and bring it through preflight; ``sections`` go over the small default settings.

        Raises:
            BadInput: a setting is wrong.
        """
        run = Run(self._plan(self._config(sections)), self._schedule, None)
        self._runs.append(run)
        self.broker.attach(run.exchange, run.plan.config.session.strategy_id)
        return HostedSession(run)

    def _config(self, sections: dict[str, dict[str, Any] | list[Any]]) -> SessionConfig:
        tree = dict(_DEFAULTS)
        for name, section in sections.items():
            below = tree.get(name)
            tree[name] = {**below, **section} if isinstance(below, dict) and isinstance(section, dict) else section
        if self.broker.rules:
            plan = tree["broker"].get("faults", {})
            tree["broker"] = {
                **tree["broker"],
                "faults": {**plan, "rules": [*plan.get("rules", ()), *self.broker.rules]},
            }
        return config_from_tree(tree, "interlock_session")

    def _plan(self, config: SessionConfig) -> RunPlan:
        if self._seed is None:
            return RunPlan(config, must_settle=False)
        plan = Swarm(config, faults=self._many.faults, crashes=self._many.crashes).plan(self._seed)
        return msgspec.structs.replace(plan, stop_permille=0)  # the test itself is the host, and stops when it likes

    # -- runs -----------------------------------------------------------------------------------------------

    def once(self, body: Callable[[], object]) -> None:
        """Run a body first in, first out, and judge its sessions.

        Raises:
            AssertionError: the body's own, or an invariant.
        """
        self._played(FifoSchedule(), None, Many(()), body)

    def explore(self, body: Callable[[], object], many: Many, again: str) -> None:
        """Run a body once for each seed; ``again`` says how to run one, with ``{seed}`` in the place of the seed.

        Raises:
            ExploredFailure: from the first run that failed, with its shortest known tape.
        """
        for number, seed in enumerate(many.seeds, 1):
            schedule = SeededSchedule(seed, "random")
            try:
                self._played(schedule, seed, many, body)
            except many.passed_on:
                raise
            except many.failures as error:
                tape = self._shortened(schedule.tape(), seed, many, body, type(error))
                head = f"under schedule {number} of {len(many.seeds)}, seed {seed}: {type(error).__name__}: {error}"
                raise ExploredFailure(f"{head}\n{_told(tape)}\nagain: {again.format(seed=seed)}") from error

    def _played(self, schedule: Schedule, seed: int | None, many: Many, body: Callable[[], object]) -> None:
        self._schedule, self._seed, self._many = schedule, seed, many
        self.broker.reset()
        try:
            body()
            for run in self._runs:
                _judge(run)
        finally:
            for run in self._runs:
                run.session.close()
            self._runs.clear()

    def _shortened(
        self, tape: Tape, seed: int, many: Many, body: Callable[[], object], wanted: type[BaseException]
    ) -> Tape:
        """Leave out the choices of one label after the other, as long as the body still fails in the same way."""
        for label in sorted(tape):
            shorter = {name: values for name, values in tape.items() if name != label}
            try:
                self._played(TapeSchedule(shorter, "random"), seed, many, body)
            except (*many.passed_on, *many.failures) as error:
                if type(error) is wanted:
                    tape = shorter
        return tape


def _judge(run: Run) -> None:
    """Let a session settle and stop, where it has not, and look at what is left."""
    session, faults = run.session, run.plan.config.broker.faults
    if not session.over and run.watch.broken is None:
        now_ns = session.system.clock.now_ns()
        last_ns = run.start_ns + int((faults.until_s or 0) * 1e9)
        run.go(max(now_ns, last_ns) + int(_SETTLE_S * 1e9))
        if not run.session.over and run.watch.broken is None:
            run.session.stop("the test is done")
            run.go()
    failure = outcome_of(run).failure
    if failure is not None:
        raise InvariantDoesNotHold(f"{failure.invariant}: {failure.text}")


def _told(tape: Tape) -> str:
    if not tape:
        return "tape: empty; it fails first in, first out, without faults"
    lines = [f"  {label}: {_shown(values)}" for label, values in sorted(tape.items())]
    return "\n".join(("tape, by label, 0 is the ordinary course:", *lines))


def _shown(values: list[int]) -> str:
    more = f", and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more
