"""One explored run: a session on virtual time, watched after every step, killed and begun again as the schedule says.

Everything that is not in the plan is a draw of the schedule, the crashes too: a run is its plan and its tape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from interlock.config.parts import Parts
from interlock.explore.ends import looked_back
from interlock.explore.failure import Failure
from interlock.explore.follower import Follower
from interlock.explore.judge import judged
from interlock.explore.plan import RunPlan
from interlock.explore.quiet import HashingRecorder, Log, QuietRecorder, told
from interlock.explore.watcher import Watcher
from interlock.mocks.broker import MockBroker
from interlock.mocks.faults import Fault
from interlock.mocks.store import FaultyStore, store_for
from interlock.runtime.schedule import Schedule, Tape
from interlock.sessions import RestartedSession, SteppedSession

__all__ = ["CRASH_LABEL", "STOP_LABEL", "Run", "RunOutcome", "outcome_of", "run_once"]

CRASH_LABEL: Final = "crash"
"""The label of the draw that decides whether the process is killed after a step."""

STOP_LABEL: Final = "stop"
"""The label of the draw that decides whether the host asks the session to stop after a step."""


class RunOutcome(msgspec.Struct, frozen=True):
    """How a run went: its end, what it broke, how far it came, and what it passed on its way."""

    outcome: str
    failure: Failure | None
    steps: int
    simulated_ns: int
    crashes: int
    tape: Tape
    counters: dict[str, int]


class Run:
    """One run on its way: its session as it is now, its store and the broker's book, which outlive every crash."""

    def __init__(
        self,
        plan: RunPlan,
        schedule: Schedule,
        log: Log | None = None,
        follower: Follower | None = None,
        parts: Parts | None = None,
    ) -> None:
        config = plan.config
        parts = parts or Parts(config)
        self.log = log
        self.follower = follower or Follower()
        self.plan = plan
        self.schedule = schedule
        self.counters: dict[str, int] = {}
        self.said = QuietRecorder.memory()
        self.store = store_for(config.broker.faults, config.store.ttl_s)
        if isinstance(self.store, FaultyStore):
            self.store.on_strike = self._struck
        self.start_ns = parts.start_ns
        recorder = self._recorder()
        self.session = SteppedSession(parts, recorder, schedule=schedule, store=self.store)
        recorder.live = self.session.orchestrator.desk.book.live
        if not isinstance(self.session.broker, MockBroker):
            message = "only sessions with the mock broker are explored"
            raise TypeError(message)
        self.exchange = self.session.broker.exchange
        self.watch = Watcher(self.session, self.store, self.session.broker, self.counters)
        self.steps = 0
        self.crashes = 0
        self.crash_now = False
        self.follower.begins(self.session)

    def _recorder(self) -> QuietRecorder:
        names = "explored", self.plan.config.session.strategy_id
        if self.log is None:
            return QuietRecorder(*names, self.counters, self.said)
        return HashingRecorder(*names, self.counters, self.said, self.log)

    def _struck(self, fault: Fault) -> None:
        name = f"faults_total|{fault}"
        self.counters[name] = self.counters.get(name, 0) + 1

    def go(self, until_ns: int | None = None) -> None:
        """Run to the end, through every crash; or until it is ``until_ns``, to go on later."""
        plan = self.plan
        for _ in range(plan.crashes_max + 1):
            watch = self._disturbed(until_ns)
            if self.follower.wants_steps:
                watch = self._followed(watch)
            report = self.session.run_watched(plan.steps_max - self.steps, watch)
            self.steps += report.steps
            if not self.crash_now or self.watch.broken is not None:
                return
            self._restart()

    def _followed(self, watch: Callable[[], bool]) -> Callable[[], bool]:
        system, said = self.session.system, self.said

        def stepped() -> bool:
            self.follower.stepped(system.steps, system.clock.now_ns(), said)
            return watch()

        return stepped

    def _disturbed(self, until_ns: int | None) -> Callable[[], bool]:
        """Return the watch of this session, with the draws after each step whether it is killed, or told to stop."""
        plan, session, chance = self.plan, self.session, self.schedule.chance
        holds = self.watch.holds  # a method that is called: Python 3.11 takes three times as long to call an object
        system = session.system
        kill = plan.crash_permille if self.crashes < plan.crashes_max else 0
        stop, clock = plan.stop_permille, system.clock
        if not (kill or stop or until_ns is not None):
            return holds

        def stepped() -> bool:
            if not holds():
                return False
            if system.halted:
                return True
            if stop and chance(stop, STOP_LABEL):
                session.stop("the host wants to")
            if kill and chance(kill, CRASH_LABEL):
                self.crash_now = True
                return False
            return until_ns is None or clock.now_ns() < until_ns

        return stepped

    def left(self) -> str:
        """Return where everything was left: orders, fills and positions, as text."""
        records, exchange = self.store.all_records(), self.exchange
        orders = {order.client_order_id: (str(order.state), str(order.filled)) for order in self.store.records()}
        fills = sorted(record.execution.fill.fill_id for record in records if record.execution is not None)
        held = sorted((symbol, str(quantity)) for symbol, quantity in exchange.positions.items())
        return f"{sorted(orders.items())} {fills} {held} {exchange.cash}"

    def _restart(self) -> None:
        self.crash_now = False
        self.crashes += 1
        self.session.crash()
        self.watch.crashed()
        recorder = self._recorder()
        self.session = RestartedSession(self.session, recorder, store=self.store)
        recorder.live = self.session.orchestrator.desk.book.live
        self.watch.restarted(self.session)
        self.follower.begins(self.session)


def run_once(
    plan: RunPlan,
    schedule: Schedule,
    log: Log | None = None,
    follower: Follower | None = None,
    parts: Parts | None = None,
) -> RunOutcome:
    """Run once and return how it went.

    ``log`` takes all that is said, ``follower`` is shown the run on its way, ``parts`` are those of the plan's config.
    """
    run = Run(plan, schedule, log, follower, parts)
    try:
        run.go()
        return outcome_of(run)
    finally:
        run.session.close()


def outcome_of(run: Run) -> RunOutcome:
    """Return how a run that went to its end went, judged."""
    plan, steps = run.plan, run.steps
    broken = run.watch.broken
    last = () if broken is None else told(run.said)
    result = run.session.finish()
    outcome = "broken"
    if broken is None:
        outcome, broken = judged(
            run.session, result, run.store, run.exchange, must_settle=plan.must_settle and plan.crash_permille == 0
        )
        broken = broken or looked_back(run.session, result, run.store, run.exchange, run.counters)
    simulated_ns = run.session.system.clock.now_ns() - run.start_ns
    failure = None if broken is None else Failure(broken.invariant, broken.text, steps, last or told(run.said))
    return RunOutcome(outcome, failure, steps, simulated_ns, run.crashes, run.schedule.tape(), run.counters)
