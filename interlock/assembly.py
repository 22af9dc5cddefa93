"""Wiring: the only place where the parts of a session are put together.

``SteppedSession`` is one session on virtual time: orchestrator, safety rails, reconciler, a mock broker and a mock
strategy over bounded mailboxes. It ends by itself, by its step limit, or when its owner closes it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.actors.orchestrator import Orchestrator, SessionView
from interlock.actors.order_calls import OrderCalls
from interlock.actors.order_desk import OrderDesk
from interlock.actors.reconciler import Reconciler
from interlock.actors.safety_rails import SafetyRails
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.budget import AttemptBudget, AttemptLimits
from interlock.domain.errors import InvariantBroken
from interlock.domain.messages import SinkFailed, StartSession, StopSession, Trip
from interlock.domain.money import decimal_text
from interlock.domain.preflight import PreflightFacts
from interlock.domain.session_states import TERMINAL_STATES
from interlock.mocks.broker import MockBroker, StartMarket
from interlock.mocks.exchange import Exchange
from interlock.mocks.playback import RecordedBroker
from interlock.mocks.recording import Recording
from interlock.mocks.strategy import Strategy
from interlock.runtime.actor import Actor, Context, Crash
from interlock.runtime.clock import VirtualClock
from interlock.runtime.mailbox import Lane
from interlock.runtime.recorder import RunRecorder
from interlock.runtime.redaction import redact_traceback
from interlock.runtime.schedule import Schedule, SeededSchedule
from interlock.runtime.stepped import RunReport, SteppedSystem
from interlock.runtime.store import MemoryStore, Store

__all__ = ["LiveRequest", "LiveTestOverride", "SessionResult", "SteppedSession"]

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


class SteppedSession:
    """One session on virtual time. ``broker`` replaces the mock broker in tests; it is asked whether it is a mock."""

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
        parts = Parts(config, recording)
        asked = live or LiveRequest()
        sizes = parts.sizes()
        cash, positions = parts.opening()
        self.config = config
        self.recorder = recorder
        self.schedule = schedule or SeededSchedule(config.session.seed, config.session.scheduler)
        self.start_ns = parts.start_ns
        self.store: Store = MemoryStore()
        self.system = SteppedSystem(clock or VirtualClock(self.start_ns), self.schedule, recorder, self._crashed)
        self._broken_end = ""
        recorder.on_broken = self._sink_failed
        add = self.system.add
        self.broker: Actor = add("broker", broker or _mock_broker(parts), sizes["broker"])
        self.rails = add(
            "rails", lambda ctx: SafetyRails(ctx, "orchestrator", parts.limits(), cash, positions), sizes["rails"]
        )
        self.reconciler = add("reconciler", lambda ctx: _reconciler(ctx, parts), sizes["reconciler"])
        facts = parts.facts(
            broker_is_mock=getattr(self.broker, "is_mock", False) is True,
            live_enabled_by=asked.enabled_by,
            live_override=asked.override is not None,
        )
        self.orchestrator = add(
            "orchestrator", lambda ctx: self._orchestrator(ctx, parts, facts), sizes["orchestrator"]
        )
        self.strategy = add("strategy", lambda ctx: Strategy(ctx, parts.strategy()), sizes["strategy"])
        self.system.post("orchestrator", StartSession())
        self.system.post("broker", StartMarket())

    # -- running --------------------------------------------------------------------------------------------

    def run_n_steps(self, n: int) -> RunReport:
        """Run at most ``n`` steps; a deadlock is recorded and ends the session."""
        report = self.system.run_n_steps(n)
        if report.reason in ("deadlock", "quiescent") and not self.over:
            self._give_up(report.reason, "; ".join(report.chain) or "nothing left to do before the session ended")
        return report

    def stop(self, reason: str) -> None:
        """Ask the session to stop in good order."""
        self.system.post("orchestrator", StopSession(reason), Lane.CONTROL)

    @property
    def over(self) -> bool:
        """Return whether the session has ended, in whatever way."""
        return bool(self._broken_end) or self.orchestrator.state in TERMINAL_STATES

    def finish(self) -> SessionResult:
        """Write what is left to write and return how the session ended."""
        if not self.over:
            self._give_up("step_limit", f"the session did not end within {self.system.steps} steps")
        self.recorder.flush()
        result = self.result()
        self.recorder.metrics(self._figures(result))
        self.recorder.flush()
        # A sink that broke in these last lines makes the run a failed one as well.
        return self.result()

    def result(self) -> SessionResult:
        """Return how the session stands."""
        view = self.orchestrator.view()
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
            steps=self.system.steps,
            simulated_ns=self.system.clock.now_ns() - self.start_ns,
            reject_code=rejects[0].code if rejects else "",
            reject_reason="; ".join(reject.reason for reject in rejects),
            fail_code=fail_code,
            fail_reason=fail_reason if fail_code else "",
        )

    def close(self) -> None:
        """Release every mailbox."""
        self.system.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- when things go wrong -------------------------------------------------------------------------------

    def _crashed(self, crash: Crash) -> None:
        """Take an error that left an actor into the trip path (RT-8)."""
        error = crash.error
        code = error.code if isinstance(error, InvariantBroken) else "actor_crashed"
        evidence: dict[str, object] = {"actor": crash.actor, "work": crash.work, "error": type(error).__name__}
        if isinstance(error, InvariantBroken):
            evidence.update(error.evidence)
        now_ns = self.system.clock.now_ns()
        trace = {**evidence, "traceback": redact_traceback(error)}
        self.recorder.audit(now_ns, crash.actor, "ACTOR_CRASHED", str(error), trace, "CRITICAL")
        if crash.actor == "orchestrator" and crash.work.startswith("control"):
            self._give_up("actor_crashed", f"the orchestrator failed while stopping: {type(error).__name__}")
        else:
            self.system.post("orchestrator", Trip(code, str(error), evidence), Lane.CONTROL)

    def _give_up(self, code: str, reason: str) -> None:
        self._broken_end = f"{code}: {reason}"
        self.store.engage_kill_switch(code)
        now_ns = self.system.clock.now_ns()
        self.recorder.audit(now_ns, "session", "SESSION_ABANDONED", reason, {"code": code}, "CRITICAL")
        self.system.halt()

    def _sink_failed(self, sink: str, reason: str) -> None:
        self.system.post("orchestrator", SinkFailed(sink, reason), Lane.CONTROL)

    # -- parts ----------------------------------------------------------------------------------------------

    def _orchestrator(self, ctx: Context, parts: Parts, facts: PreflightFacts) -> Orchestrator:
        link = BrokerLink(ctx, parts.link(), AttemptBudget(parts.attempts()))
        desk = OrderDesk(ctx, parts.desk(), OrderCalls(ctx, link, parts.settle()), self.store)

        def probe() -> PreflightFacts:
            return msgspec.structs.replace(
                facts, audit_sink_error=self.recorder.probe(), store_error=self.store.complaint()
            )

        return Orchestrator(ctx, parts.session(facts), desk, link, probe)

    def _figures(self, result: SessionResult) -> dict[str, object]:
        desk = self.orchestrator.desk
        by_state: dict[str, int] = {}
        for order in desk.orders.values():
            by_state[order.state] = by_state.get(order.state, 0) + 1
        ledger = desk.exposure.ledger
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
            "orders_total": len(desk.orders),
            "fills_total": len(desk.exposure.fills),
            "positions": {line.symbol: decimal_text(line.quantity) for line in ledger.positions()},
            "cash": None if ledger.cash is None else decimal_text(ledger.cash),
            "last_reconcile": None if report is None else report.result,
            "observed_findings": len(self.reconciler.observed),
            "late_replies": self.system.late_replies,
            "counters": dict(sorted(self.recorder.counters.items())),
            "mailboxes": msgspec.to_builtins(self.system.stats()),
        }


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
