"""What every session is: the parts of one run, whatever drives them, and how it ended.

Errors that leave an actor come here and go into the trip path; where nobody is left to take it, the session is
abandoned, with the kill switch set and everything flushed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

import msgspec

from interlock.actors.session_record import SessionView
from interlock.assembly import Past, System, wire, wire_alerts
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.errors import Broken, IllegalTransition, InvariantBroken, StorageError
from interlock.domain.messages import SinkFailed, StartSession, StopSession, Trip
from interlock.domain.money import decimal_text
from interlock.domain.session_states import TERMINAL_STATES, SessionState
from interlock.mocks.broker import StartMarket
from interlock.mocks.recording import Recording
from interlock.mocks.store import store_for
from interlock.runtime.actor import Actor, Context, Crash
from interlock.runtime.alert_sinks import AlertSink
from interlock.runtime.clock import Clock
from interlock.runtime.mailbox import Lane, LaneStats
from interlock.runtime.recorder import RunRecorder
from interlock.runtime.redaction import redact_traceback
from interlock.runtime.store import Store
from interlock.sessions.figures import commit_figures, reconcile_figures, store_figures

__all__ = ["LiveRequest", "LiveTestOverride", "Session", "SessionResult"]

_ENDING_WORK: Final = ("handler Tick", "handler ReconcileDone")
"""What an orchestrator that is stopping does to come to its end."""


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


def _trip_code(error: Exception) -> str:
    """Return the code under which an error that left an actor trips the session."""
    match error:
        case InvariantBroken():
            return error.code
        case IllegalTransition():
            return "illegal_transition"
        case StorageError():
            return "storage_failed"
    return "actor_crashed"


def _reconcile_id(crash: Crash) -> object:
    """Return the id of the reconcile that broke; its job is named after it."""
    return crash.work.removeprefix("job reconcile ") if crash.work.startswith("job reconcile ") else ""


class Session(ABC):
    """The parts of one session, whatever drives them, and how it ended. Made of a config, or of parts made before."""

    steps = 0
    late_replies = 0

    def __init__(
        self,
        config: SessionConfig | Parts,
        recorder: RunRecorder,
        *,
        recording: Recording | None = None,
        live: LiveRequest | None = None,
        store: Store | None = None,
        shadow: bool = False,
    ) -> None:
        if isinstance(config, Parts) and (recording is not None or shadow):
            message = "parts that are made already know their recording, and whether they are a shadow's"
            raise Broken(message)
        self.parts = config if isinstance(config, Parts) else Parts(config, recording, shadow=shadow)
        self.config = config = self.parts.config
        self.recorder = recorder
        self.past = Past.of(store or store_for(config.broker.faults, config.store.ttl_s), self.parts)
        self.store = self.past.store
        self._live = live or LiveRequest()
        self._broken_end = ""
        recorder.on_broken = self._sink_failed
        recorder.keep_with(self.store)

    def bind(
        self,
        system: System,
        clock: Clock,
        broker: Callable[[Context], Actor] | None,
        alert_sinks: tuple[AlertSink, ...],
    ) -> None:
        """Make the actors on a driver."""
        self._system, self._clock, self.start_ns = system, clock, clock.now_ns()
        parties = wire(
            system,
            self.parts,
            self.recorder,
            self.past,
            live_enabled_by=self._live.enabled_by,
            live_override=self._live.override is not None,
            broker=broker,
        )
        self.broker, self.rails, self.reconciler, self.orchestrator, self.strategy = parties
        self.alerts = wire_alerts(system, self.parts, alert_sinks)

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
        self.deliver_alerts()
        self.alerts.conclude(self._system.waiting("alerts", Lane.DATA))
        self.orchestrator.desk.dismiss()
        self.recorder.flush()
        result = self.result()
        if self.recorder.wants_metrics:
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

    def figures(self) -> dict[str, object]:
        """Return what ``metrics.json`` would hold if it were written now."""
        return {**self._figures(self.result()), **self.recorder.own_figures()}

    def now_ns(self) -> int:
        """Return the session's time."""
        return self._clock.now_ns()

    def deliver_alerts(self) -> None:  # noqa: B027 - in a host's loop there is nothing to do: ``ended`` has waited
        """Have the last alerts delivered, as far as that needs no time."""

    @abstractmethod
    def halt(self) -> None:
        """End the run at once."""

    @abstractmethod
    def mailboxes(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor."""

    # -- when things go wrong -------------------------------------------------------------------------------

    def _crashed(self, crash: Crash) -> None:
        """Take an error that left an actor into the trip path (RT-8)."""
        error = crash.error
        code = _trip_code(error)
        evidence: dict[str, object] = {"actor": crash.actor, "work": crash.work, "error": type(error).__name__}
        if isinstance(error, InvariantBroken):
            evidence.update(error.evidence)
        now_ns = self._clock.now_ns()
        trace = {**evidence, "traceback": redact_traceback(error)}
        self.recorder.audit(now_ns, crash.actor, "ACTOR_CRASHED", str(error), trace, "CRITICAL")
        if crash.actor == "alerts" and (crash.work.startswith("job") or self.orchestrator.record.trips):
            return  # a sink is never a reason to stop trading; and a trip that cannot be told is no further trip
        if isinstance(error, StorageError):
            self.orchestrator.record.alert("ALERT_IDEMPOTENCY_PERSISTENCE_FAILED", {"reason": str(error)})
        if crash.actor == "reconciler":
            about = {"code": code, "detail": type(error).__name__, "reconcile_id": _reconcile_id(crash)}
            self.orchestrator.record.alert("ALERT_RECONCILE_FAILED", about)
        if self._nobody_ends_it(crash):
            self._give_up("actor_crashed", f"the orchestrator failed while stopping: {type(error).__name__}")
        elif not self._system.post("orchestrator", Trip(code, str(error), evidence), Lane.CONTROL):
            self._give_up(code, "the orchestrator had no room for a trip")

    def _nobody_ends_it(self, crash: Crash) -> bool:
        """Return whether what broke is what would have brought the session to its end."""
        if crash.actor != "orchestrator":
            return False
        stopping = self.orchestrator.record.state is SessionState.STOPPING
        return crash.work.startswith("control") or (stopping and crash.work in _ENDING_WORK)

    def _give_up(self, code: str, reason: str) -> None:
        self._broken_end = f"{code}: {reason}"
        self.orchestrator.record.engage_kill_switch(code)
        now_ns = self._clock.now_ns()
        self.recorder.audit(now_ns, "session", "SESSION_ABANDONED", reason, {"code": code}, "CRITICAL")
        self.halt()

    def _sink_failed(self, sink: str, reason: str) -> None:
        self._system.post("orchestrator", SinkFailed(sink, reason), Lane.CONTROL)

    # -- parts ----------------------------------------------------------------------------------------------

    def _figures(self, result: SessionResult) -> dict[str, object]:
        book = self.orchestrator.desk.book
        by_state: dict[str, int] = {}
        for order in book.orders.values():
            by_state[order.state] = by_state.get(order.state, 0) + 1
        ledger = book.exposure.ledger
        report = self.orchestrator.watch.last_report
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
            "engine_slippage_pips": self.rails.slippage.figures(),
            **self.reconciler.mirror.figures(),
            "commits": commit_figures(book.commits),
            "reconcile": reconcile_figures(report),
            "store": store_figures(self.store),
            "counters": dict(sorted(self.recorder.counters.items())),
            "mailboxes": msgspec.to_builtins(self.mailboxes()),
        }
