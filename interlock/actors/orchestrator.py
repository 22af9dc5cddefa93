"""The orchestrator actor: the session's state machine, from preflight to the last word.

It owns the order desk and decides when intents are let through. Nothing moves before preflight, which includes a
start-up reconcile; a trip from any side closes the gate at once, cancels what may be cancelled, compares with the
broker once more and leaves the session to an operator. Stopping and tripping are idempotent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.actors.order_desk import OrderDesk
from interlock.actors.session_record import SessionRecord
from interlock.domain.broker import BrokerMessage, PositionClaim
from interlock.domain.health import HealthFacts, HealthLimits, health_complaints
from interlock.domain.ids import stable_id
from interlock.domain.messages import (
    CancelDone,
    CancelIntent,
    CancelOutcome,
    GetLocalView,
    ObservePosition,
    PlaceDone,
    QueryDone,
    ReconcileDone,
    ReconcileNow,
    RequestReconcile,
    SessionEnded,
    SessionStarted,
    SetGate,
    SinkFailed,
    StartSession,
    StopSession,
    SubmitIntent,
    Tick,
    Trip,
    Verdict,
)
from interlock.domain.preflight import PreflightFacts, preflight
from interlock.domain.reconcile import ReconcileReport, ReconcileResult, Severity
from interlock.domain.session_states import SessionEvent, SessionState
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.clock import to_ns
from interlock.runtime.mailbox import Lane, ReplyTo

__all__ = ["Orchestrator", "SessionSettings"]


class SessionSettings(msgspec.Struct, frozen=True):
    """Names, addresses and rhythms of one session; durations in seconds of session time."""

    session_id: str
    facts: PreflightFacts
    health: HealthLimits
    duration_s: float
    reconcile_every_s: float = 300.0
    check_every_s: float = 30.0
    drain_every_s: float = 5.0
    drains_max: int = 60
    cancel_on_stop: bool = True
    observe: bool = False
    rails: str = "rails"
    reconciler: str = "reconciler"
    strategy: str | None = None


class Orchestrator(Actor):
    """The session. Data goes through ``handle``, stop and trip through ``handle_control``."""

    def __init__(
        self,
        ctx: Context,
        settings: SessionSettings,
        desk: OrderDesk,
        link: BrokerLink,
        probe: Callable[[], PreflightFacts],
    ) -> None:
        super().__init__(ctx)
        self.desk = desk
        self.record = SessionRecord(ctx, desk.book.store, settings.session_id, settings.facts.run_id)
        self.last_report: ReconcileReport | None = None
        self._settings = settings
        self._link = link
        self._probe = probe
        self._reconciles = 0
        self._last_agreed_ns = ctx.now_ns()
        self._drains = 0
        self._final_asked = False
        self._handlers: dict[type[Any], Callable[[Any], Awaitable[None]]] = {
            StartSession: self._start,
            ReconcileDone: self._reconciled,
            Tick: self._tick,
            Verdict: desk.verdict,
            PlaceDone: desk.placed,
            CancelDone: desk.cancel_ended,
            QueryDone: desk.asked,
            PositionClaim: self._claimed,
        }

    # -- receiving ------------------------------------------------------------------------------------------

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Serve intents, verdicts, statements of the broker and the ends of jobs."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            await handler(message)
        elif isinstance(message, SubmitIntent):
            await self.desk.submit(message.intent, reply_to)
        elif isinstance(message, BrokerMessage):
            await self.desk.believe(message)
        elif isinstance(message, RequestReconcile):
            await self._ask_reconcile("demand")
        elif isinstance(message, GetLocalView) and reply_to is not None:
            self.ctx.reply(reply_to, self.desk.book.view(message))
        elif isinstance(message, CancelIntent) and reply_to is not None:
            code = self.desk.cancel(message.client_order_id)
            self.ctx.reply(reply_to, CancelOutcome(message.client_order_id, not code, code))
        else:
            refuse(self, message)

    async def handle_control(self, message: object) -> None:
        """Serve stop, trip and broken sinks, ahead of any backlog."""
        if isinstance(message, StopSession):
            await self._stop(SessionEvent.STOP, message.reason)
        elif isinstance(message, Trip):
            self.record.trip(message)
            await self._stop(SessionEvent.TRIP, message.code)
        elif isinstance(message, SinkFailed):
            if message.sink == "audit" and self.record.state is SessionState.INIT:
                return  # preflight finds the same and rejects
            self.record.fail_code = "C2_ABORT_SINK_WRITE_FAILED"
            await self._stop(SessionEvent.STOP, f"sink {message.sink} is broken")
        else:
            refuse(self, message)

    # -- beginning ------------------------------------------------------------------------------------------

    async def _start(self, _: StartSession) -> None:
        facts = self._settings.facts
        self.record.tell("created")
        self.ctx.audit("C2_DRYRUN_START", "session begins", {"run_id": facts.run_id, "strategy_id": facts.strategy_id})
        if facts.broker_is_mock and not (facts.live_enabled_by and not facts.live_override):
            await self._ask_reconcile("startup")
        else:  # the broker must not be touched at all
            await self._judge(None)

    async def _judge(self, startup: ReconcileReport | None) -> None:
        """Preflight: all reasons against beginning, or go."""
        facts = msgspec.structs.replace(self._probe(), startup=startup)
        rejects = preflight(facts)
        if rejects:
            self.record.reject(rejects)
            self.record.move(SessionEvent.PREFLIGHT_REJECTED, rejects[0].code)
            self.record.end()
            return
        self.record.move(SessionEvent.PREFLIGHT_PASSED, "")
        self.record.move(SessionEvent.ACTIVATE, "")
        self.desk.gate_open = True
        await self.ctx.send(self._settings.rails, SetGate(open=True, reason="preflight passed"), Lane.CONTROL)
        settings = self._settings
        ticks = int(settings.duration_s / min(settings.reconcile_every_s, settings.check_every_s)) + 1
        self.ctx.spawn(_cadence(self.ctx, "reconcile", settings.reconcile_every_s, ticks), "reconcile cadence")
        self.ctx.spawn(_cadence(self.ctx, "check", settings.check_every_s, ticks), "check cadence")
        self.ctx.spawn(_cadence(self.ctx, "duration", settings.duration_s, 1), "duration")
        if settings.strategy is not None:
            await self.ctx.send(settings.strategy, SessionStarted())

    # -- running --------------------------------------------------------------------------------------------

    async def _tick(self, tick: Tick) -> None:
        if tick.what == "drain":
            await self._drain()
        elif self.record.state is not SessionState.DRYRUN_ACTIVE:
            return
        elif tick.what == "duration":
            await self._stop(SessionEvent.STOP, "duration reached")
        elif tick.what == "reconcile":
            await self._ask_reconcile("cadence")
        else:
            now_ns = self.ctx.now_ns()
            rails_answered = now_ns - self.desk.oldest_check_ns(now_ns) <= to_ns(self._settings.check_every_s)
            facts = HealthFacts(self._last_agreed_ns, self._link.last_answer_ns, rails_answered)
            for code, text in health_complaints(facts, self._settings.health, now_ns):
                await self.handle_control(Trip(code, text, {}))

    async def _ask_reconcile(self, reason: str) -> None:
        self._reconciles += 1
        reconcile_id = "rc-" + stable_id("reconcile", self._settings.facts.run_id, self._reconciles)[:16]
        await self.ctx.send(self._settings.reconciler, ReconcileNow(reconcile_id, reason))

    async def _reconciled(self, done: ReconcileDone) -> None:
        report = self.last_report = done.report
        if report.result is not ReconcileResult.UNAVAILABLE:
            self._link.last_answer_ns = max(self._link.last_answer_ns, report.finished_ns)
        if report.result is ReconcileResult.HEALTHY:
            self._last_agreed_ns = report.finished_ns
        severe = [finding for finding in report.findings if finding.severity in (Severity.FAIL, Severity.CRITICAL)]
        about: dict[str, object] = {"reconcile_id": report.reconcile_id, "findings": len(report.findings)}
        if report.result is ReconcileResult.UNAVAILABLE:
            self.record.alert("ALERT_RECONCILE_FAILED", {**about, "detail": report.detail})
        elif report.worst not in (None, Severity.INFO):
            self.record.alert("ALERT_RECONCILE_DIVERGENCE", about)
        if report.reason == "startup":
            if self.record.state is SessionState.INIT:
                await self._judge(report)
            return
        if severe and not self._settings.observe:
            evidence: dict[str, object] = {"reconcile_id": report.reconcile_id, "findings": len(severe)}
            await self.handle_control(Trip("reconcile_divergence", severe[0].description, evidence))
        if report.reason == "shutdown":
            self._conclude(report)

    async def _claimed(self, claim: PositionClaim) -> None:
        internal = self.desk.book.exposure.ledger.position(claim.symbol).quantity
        await self.ctx.send(self._settings.reconciler, ObservePosition(claim, internal))

    # -- ending ---------------------------------------------------------------------------------------------

    async def _stop(self, event: SessionEvent, reason: str) -> None:
        """Close the gate, then drain; a second stop or trip finds it closed and draining already."""
        self.desk.gate_open = False
        moved = self.record.move(event, reason)
        if not moved or self.record.state is not SessionState.STOPPING:
            return
        await self.ctx.send(self._settings.rails, SetGate(open=False, reason=reason), Lane.CONTROL)
        if self._settings.strategy is not None:
            await self.ctx.send(self._settings.strategy, SessionEnded(), Lane.CONTROL)
        self.ctx.spawn(_cadence(self.ctx, "drain", self._settings.drain_every_s, self._settings.drains_max), "drain")

    async def _drain(self) -> None:
        """Cancel what is open; when nothing is, ask for the last reconcile."""
        if self.record.state is not SessionState.STOPPING or self._final_asked:
            return
        self._drains += 1
        last = self._drains >= self._settings.drains_max
        if self._settings.cancel_on_stop or self.record.trips:
            for key in list(self.desk.book.live):
                self.desk.cancel(key)
            if self.desk.book.live and not last:
                return
        self._final_asked = True
        await self._ask_reconcile("shutdown")

    def _conclude(self, report: ReconcileReport) -> None:
        """Say how it ended: in order, or with something for an operator."""
        trips = self.record.trips
        left = len(self.desk.book.live) if self._settings.cancel_on_stop or trips else 0
        severe = report.worst in (Severity.FAIL, Severity.CRITICAL) and not self._settings.observe
        if trips or left or severe or report.result is ReconcileResult.UNAVAILABLE:
            reason = trips[0] if trips else f"{left} orders left open, reconcile {report.result}"
            self.ctx.audit("OPERATOR_REQUIRED", reason, {"open_orders": left, "reconcile": report.result}, "CRITICAL")
            self.record.move(SessionEvent.OPERATOR_NEEDED, reason)
        else:
            self.record.move(SessionEvent.DRAINED, "")
        self.record.end()


async def _cadence(ctx: Context, what: str, every_s: float, ticks: int) -> None:
    """Say that the time has come for something, every so often and not for ever."""
    for _ in range(ticks):
        await ctx.sleep(every_s)
        await ctx.send(ctx.name, Tick(what))
