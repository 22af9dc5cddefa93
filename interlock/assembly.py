"""Wiring: the only place where the parts of a session are put together.

A session is orchestrator, safety rails, reconciler, a mock broker and a mock strategy over bounded mailboxes.
``SteppedSession`` runs it on virtual time, a step at a time; ``RealTimeSession`` runs the same parts in a host's loop.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.actors.orchestrator import Orchestrator
from interlock.actors.order_calls import OrderCalls
from interlock.actors.order_desk import OrderDesk
from interlock.actors.reconciler import Reconciler
from interlock.actors.safety_rails import SafetyRails
from interlock.actors.session_record import SessionView
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.budget import AttemptBudget, AttemptLimits
from interlock.domain.errors import InvariantBroken, UnknownMessage
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import SinkFailed, StartSession, StopSession, SubmitIntent, SubmitOutcome, Trip
from interlock.domain.money import decimal_text
from interlock.domain.preflight import PreflightFacts
from interlock.domain.session_states import TERMINAL_STATES
from interlock.mocks.broker import MockBroker, StartMarket
from interlock.mocks.exchange import Exchange
from interlock.mocks.playback import RecordedBroker
from interlock.mocks.recording import Recording
from interlock.mocks.strategy import Strategy
from interlock.runtime.actor import Actor, Context, Crash
from interlock.runtime.clock import Clock, RealClock, VirtualClock
from interlock.runtime.mailbox import Lane, LaneStats, MailboxSizes
from interlock.runtime.realtime import RealTimeSystem
from interlock.runtime.recorder import RunRecorder
from interlock.runtime.redaction import redact_traceback
from interlock.runtime.schedule import Schedule, SeededSchedule
from interlock.runtime.stepped import RunReport, SteppedSystem
from interlock.runtime.store import MemoryStore, Store

__all__ = ["LiveRequest", "LiveTestOverride", "RealTimeSession", "Session", "SessionResult", "SteppedSession"]

A = TypeVar("A", bound=Actor)

_SNAPSHOTS_MAX: Final = 1_000_000


class LiveTestOverride(msgspec.Struct, frozen=True):
    """Passed in code by a test that wants ``live_enabled`` let through; even then only a mock broker is taken."""

    reason: str


class LiveRequest(msgspec.Struct, frozen=True):
    """Where live trading was asked for (file, flag, environment, code), and the test override, if there is one."""

    enabled_by: tuple[str, ...] = ()
    override: LiveTestOverride | None = None


class SessionResult(msgspec.Struct, frozen=True):
    """How a session ended; codes are empty where they do not apply."""

    run_id: str
    view: SessionView
    steps: int
    simulated_ns: int
    reject_code: str
    reject_reason: str
    fail_code: str
    fail_reason: str

    @property
    def status(self) -> str:
        """Return the status seen from outside."""
        return self.view.status


class System(Protocol):
    """What wiring needs of a driver."""

    def add(self, name: str, build: Callable[[Context], A], sizes: MailboxSizes | None = None) -> A:
        """Make an actor."""
        ...

    def post(self, to: str, message: object, lane: Lane = Lane.DATA) -> bool:
        """Put a message in from outside the actors."""
        ...


class Session:
    """The parts of one session, whatever drives them, and how it ended."""

    steps = 0
    late_replies = 0

    def __init__(
        self, config: SessionConfig, recorder: RunRecorder, recording: Recording | None, live: LiveRequest | None
    ) -> None:
        self.config = config
        self.recorder = recorder
        self.parts = Parts(config, recording)
        self.store: Store = MemoryStore()
        self._live = live or LiveRequest()
        self._broken_end = ""
        recorder.on_broken = self._sink_failed

    def wire(self, system: System, clock: Clock, broker: Callable[[Context], Actor] | None) -> None:
        """Make the actors and tell them to begin. ``broker`` replaces the mock; it is asked whether it is one."""
        parts, sizes = self.parts, self.parts.sizes()
        cash, positions = parts.opening()
        self._system, self._clock, self.start_ns = system, clock, clock.now_ns()
        self.broker: Actor = system.add("broker", broker or _mock_broker(parts), sizes["broker"])
        self.rails = system.add(
            "rails", lambda ctx: SafetyRails(ctx, "orchestrator", parts.limits(), cash, positions), sizes["rails"]
        )
        self.reconciler = system.add("reconciler", lambda ctx: _reconciler(ctx, parts), sizes["reconciler"])
        facts = parts.facts(
            broker_is_mock=getattr(self.broker, "is_mock", False) is True,
            live_enabled_by=self._live.enabled_by,
            live_override=self._live.override is not None,
        )
        self.orchestrator = system.add(
            "orchestrator", lambda ctx: self._orchestrator(ctx, facts), sizes["orchestrator"]
        )
        self.strategy = system.add("strategy", lambda ctx: Strategy(ctx, parts.strategy()), sizes["strategy"])

    def begin(self) -> None:
        """Start the session and its market."""
        self._system.post("orchestrator", StartSession())
        self._system.post("broker", StartMarket())

    # -- ending ---------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Ask the session to stop in good order."""
        self._system.post("orchestrator", StopSession(reason), Lane.CONTROL)

    @property
    def over(self) -> bool:
        """Return whether the session has ended, in whatever way."""
        return bool(self._broken_end) or self.orchestrator.record.state in TERMINAL_STATES

    def finish(self) -> SessionResult:
        """Write what is left to write and return how the session ended."""
        if not self.over:
            self._give_up("step_limit", f"the session did not end within {self.steps} steps")
        self.recorder.flush()
        result = self.result()
        self.recorder.metrics(self._figures(result))
        self.recorder.flush()
        # A sink that broke in these last lines makes the run a failed one as well.
        return self.result()

    def result(self) -> SessionResult:
        """Return how the session stands."""
        view = self.orchestrator.record.view()
        broken_sinks = self.recorder.broken()
        fail_code, fail_reason = view.fail_code, view.reason
        if self._broken_end:
            fail_code, _, fail_reason = self._broken_end.partition(": ")
        elif broken_sinks and not view.rejects:
            fail_code, fail_reason = "C2_ABORT_SINK_WRITE_FAILED", f"sinks broken: {', '.join(broken_sinks)}"
        if fail_code:
            view = msgspec.structs.replace(view, status="FAILED", fail_code=fail_code)
        rejects = view.rejects
        return SessionResult(
            run_id=self.config.run_id,
            view=view,
            steps=self.steps,
            simulated_ns=self._clock.now_ns() - self.start_ns,
            reject_code=rejects[0].code if rejects else "",
            reject_reason="; ".join(reject.reason for reject in rejects),
            fail_code=fail_code,
            fail_reason=fail_reason if fail_code else "",
        )

    def halt(self) -> None:
        """End the run at once."""
        raise NotImplementedError

    def mailboxes(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor."""
        raise NotImplementedError

    # -- when things go wrong -------------------------------------------------------------------------------

    def _crashed(self, crash: Crash) -> None:
        """Take an error that left an actor into the trip path (RT-8)."""
        error = crash.error
        code = error.code if isinstance(error, InvariantBroken) else "actor_crashed"
        evidence: dict[str, object] = {"actor": crash.actor, "work": crash.work, "error": type(error).__name__}
        if isinstance(error, InvariantBroken):
            evidence.update(error.evidence)
        now_ns = self._clock.now_ns()
        trace = {**evidence, "traceback": redact_traceback(error)}
        self.recorder.audit(now_ns, crash.actor, "ACTOR_CRASHED", str(error), trace, "CRITICAL")
        if crash.actor == "orchestrator" and crash.work.startswith("control"):
            self._give_up("actor_crashed", f"the orchestrator failed while stopping: {type(error).__name__}")
        else:
            self._system.post("orchestrator", Trip(code, str(error), evidence), Lane.CONTROL)

    def _give_up(self, code: str, reason: str) -> None:
        self._broken_end = f"{code}: {reason}"
        self.store.engage_kill_switch(code)
        now_ns = self._clock.now_ns()
        self.recorder.audit(now_ns, "session", "SESSION_ABANDONED", reason, {"code": code}, "CRITICAL")
        self.halt()

    def _sink_failed(self, sink: str, reason: str) -> None:
        self._system.post("orchestrator", SinkFailed(sink, reason), Lane.CONTROL)

    # -- parts ----------------------------------------------------------------------------------------------

    def _orchestrator(self, ctx: Context, facts: PreflightFacts) -> Orchestrator:
        parts = self.parts
        link = BrokerLink(ctx, parts.link(), AttemptBudget(parts.attempts()))
        desk = OrderDesk(ctx, parts.desk(), OrderCalls(ctx, link, parts.settle()), self.store)

        def probe() -> PreflightFacts:
            return msgspec.structs.replace(
                facts, audit_sink_error=self.recorder.probe(), store_error=self.store.complaint()
            )

        return Orchestrator(ctx, parts.session(facts), desk, link, probe)

    def _figures(self, result: SessionResult) -> dict[str, object]:
        book = self.orchestrator.desk.book
        by_state: dict[str, int] = {}
        for order in book.orders.values():
            by_state[order.state] = by_state.get(order.state, 0) + 1
        ledger = book.exposure.ledger
        report = self.orchestrator.last_report
        return {
            "status": result.status,
            "state": result.view.state,
            "kill_switch": result.view.kill_switch,
            "fail_code": result.fail_code,
            "fail_reason": result.fail_reason,
            "rejects": [reject.code for reject in result.view.rejects],
            "trips": list(result.view.trips),
            "steps": result.steps,
            "simulated_ns": result.simulated_ns,
            "orders_by_state": by_state,
            "orders_total": len(book.orders),
            "fills_total": len(book.exposure.fills),
            "positions": {line.symbol: decimal_text(line.quantity) for line in ledger.positions()},
            "cash": None if ledger.cash is None else decimal_text(ledger.cash),
            "last_reconcile": None if report is None else report.result,
            "observed_findings": len(self.reconciler.observed),
            "late_replies": self.late_replies,
            "counters": dict(sorted(self.recorder.counters.items())),
            "mailboxes": msgspec.to_builtins(self.mailboxes()),
        }


class SteppedSession(Session):
    """One session on virtual time, a step at a time."""

    def __init__(
        self,
        config: SessionConfig,
        recorder: RunRecorder,
        *,
        clock: VirtualClock | None = None,
        schedule: Schedule | None = None,
        recording: Recording | None = None,
        live: LiveRequest | None = None,
        broker: Callable[[Context], Actor] | None = None,
    ) -> None:
        super().__init__(config, recorder, recording, live)
        self.schedule = schedule or SeededSchedule(config.session.seed, config.session.scheduler)
        virtual = clock or VirtualClock(self.parts.start_ns)
        self.system = SteppedSystem(virtual, self.schedule, recorder, self._crashed)
        self.wire(self.system, virtual, broker)
        self.begin()

    def run_n_steps(self, n: int) -> RunReport:
        """Run at most ``n`` steps; a deadlock is recorded and ends the session."""
        report = self.system.run_n_steps(n)
        self.steps, self.late_replies = self.system.steps, self.system.late_replies
        if report.reason in ("deadlock", "quiescent") and not self.over:
            self._give_up(report.reason, "; ".join(report.chain) or "nothing left to do before the session ended")
        return report

    def halt(self) -> None:
        """Let no further step run."""
        self.system.halt()

    def mailboxes(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor."""
        return self.system.stats()

    def close(self) -> None:
        """Release every mailbox."""
        self.system.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RealTimeSession(Session):
    """The same session in a host's event loop: ``async with``, then ``await session.ended(...)``."""

    def __init__(self, config: SessionConfig, recorder: RunRecorder, *, live: LiveRequest | None = None) -> None:
        super().__init__(config, recorder, None, live)
        clock = RealClock()
        schedule = SeededSchedule(config.session.seed, config.session.scheduler)
        self.system = RealTimeSystem(clock, schedule, recorder, self._crashed)
        self.wire(self.system, clock, None)

    async def __aenter__(self) -> Self:
        await self.system.__aenter__()
        self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self.system.__aexit__(kind, error, trace)

    async def submit(self, intent: OrderIntent, timeout_s: float | None = None) -> SubmitOutcome:
        """Ask for one intent to be sent; returns what became of it.

        Raises:
            DeadlineExceeded: no outcome within ``timeout_s``; ask again under the same decision to learn it.
        """
        outcome = await self.system.ask("orchestrator", SubmitIntent(intent), timeout_s)
        if not isinstance(outcome, SubmitOutcome):
            message = f"an intent was answered with {type(outcome).__name__}"
            raise UnknownMessage(message)
        return outcome

    async def ended(self) -> SessionResult:
        """Wait until the session is over and return how it ended."""
        await self.system.halted.wait()
        return self.finish()

    def halt(self) -> None:
        """End the run at once."""
        self.system.halted.set()

    def mailboxes(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor."""
        return self.system.stats()


def _reconciler(ctx: Context, parts: Parts) -> Reconciler:
    # Snapshots have a budget of their own: a busy desk must not keep the reconciler from looking.
    per_minute = parts.attempts().per_minute
    link = BrokerLink(ctx, parts.link(), AttemptBudget(AttemptLimits(_SNAPSHOTS_MAX, per_minute)))
    return Reconciler(ctx, parts.reconciler(), link)


def _mock_broker(parts: Parts) -> Callable[[Context], Actor]:
    exchange, market, recording = Exchange(parts.opening_book()), parts.market(), parts.recording
    if recording is not None:
        strategy_id = parts.config.session.strategy_id
        return lambda ctx: RecordedBroker(ctx, market, exchange, recording, strategy_id)

    def build(ctx: Context) -> Actor:
        broker = MockBroker(ctx, market, exchange, parts.config.broker.faults)
        for request in parts.unknown_orders():
            exchange.place(request)
        return broker

    return build
