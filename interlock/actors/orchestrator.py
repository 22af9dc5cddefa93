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
from interlock.actors.cadence import cadence
from interlock.actors.ending import Ending, EndingSettings
from interlock.actors.order_desk import SHADOW, OrderDesk
from interlock.actors.recovery import Recovery
from interlock.actors.session_record import SessionRecord
from interlock.actors.sightings import Sightings
from interlock.actors.watch import Watch
from interlock.domain.broker import BrokerMessage, PositionClaim, Reconnected, Unreadable
from interlock.domain.health import HealthLimits
from interlock.domain.messages import (
    CancelDone,
    CancelIntent,
    CancelOutcome,
    ExecutionsFetched,
    GetLocalView,
    HostSaw,
    ObservePosition,
    PlaceDone,
    QueryDone,
    ReconcileDone,
    RepairNow,
    RequestReconcile,
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
from interlock.domain.rails import exposure_complaint
from interlock.domain.reconcile import ReconcileReport
from interlock.domain.session_states import SessionEvent, SessionState
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.crash_points import CrashPoint
from interlock.runtime.mailbox import Lane, ReplyTo

__all__ = ["Orchestrator", "SessionSettings"]


class SessionSettings(msgspec.Struct, frozen=True):
    """Names, addresses and rhythms of one session; durations in seconds of session time."""

    session_id: str
    facts: PreflightFacts
    health: HealthLimits
    ending: EndingSettings
    duration_s: float
    reconcile_every_s: float = 300.0
    check_every_s: float = 30.0
    observe: bool = False
    version: str = ""
    """The release of this engine, as the store remembers it."""
    reconciler: str = "reconciler"


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
        facts = settings.facts
        self.record = SessionRecord(ctx, desk.book.store, settings.session_id, facts.run_id, settings.version)
        desk.alarm.alert = self.record.alert
        self.watch = Watch(ctx, self.record, link, run_id=facts.run_id, reconciler=settings.reconciler)
        self.recovery = Recovery(ctx, desk.book, desk.tracker, link)
        self.sightings = Sightings(ctx, desk.settings, desk.tracker)
        self.startup: ReconcileReport | None = None
        """What the start-up reconcile said."""
        self._ending = Ending(ctx, settings.ending, self.record, desk, self.watch)
        self._settings = settings
        self._probe = probe
        self._may_ask = facts.may_ask
        self._handlers: dict[type[Any], Callable[[Any], Awaitable[None]]] = {
            StartSession: self._start,
            ReconcileDone: self._reconciled,
            Tick: self._tick,
            Verdict: desk.verdict,
            PlaceDone: desk.placed,
            CancelDone: desk.tracker.cancel_ended,
            QueryDone: self._asked,
            ExecutionsFetched: self._fetched,
            PositionClaim: self._claimed,
            Reconnected: self._after_a_gap,
            Unreadable: self._after_a_gap,
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
            await self.desk.tracker.believe(message)
        elif isinstance(message, RepairNow) and reply_to is not None:
            self.desk.tracker.repair(message.actions)
            self.ctx.reply(reply_to, len(message.actions))
        elif isinstance(message, RequestReconcile):
            await self.watch.ask("demand")
        elif isinstance(message, GetLocalView) and reply_to is not None:
            self.ctx.reply(reply_to, self.desk.book.view(message))
        elif isinstance(message, CancelIntent) and reply_to is not None:
            shadow, key = self._settings.facts.shadow, message.client_order_id
            code = SHADOW if shadow else self.desk.tracker.cancels.cancel(key)
            self.desk.answer(reply_to, CancelOutcome(key, not code, code))
        elif isinstance(message, HostSaw) and reply_to is not None:
            self.ctx.reply(reply_to, await self.sightings.saw(message.what))
        else:
            refuse(self, message)

    async def handle_control(self, message: object) -> None:
        """Serve stop, trip and broken sinks, ahead of any backlog."""
        if isinstance(message, StopSession):
            await self._ending.begin(SessionEvent.STOP, message.reason)
        elif isinstance(message, Trip):
            self.record.trip(message)
            await self._ending.begin(SessionEvent.TRIP, message.code)
        elif isinstance(message, SinkFailed):
            if message.sink == "audit" and self.record.state is SessionState.INIT:
                return  # preflight finds the same and rejects
            self.record.fail_code = "C2_ABORT_SINK_WRITE_FAILED"
            await self._ending.begin(SessionEvent.STOP, f"sink {message.sink} is broken")
        else:
            refuse(self, message)

    # -- beginning ------------------------------------------------------------------------------------------

    async def _start(self, _: StartSession) -> None:
        facts = self._settings.facts
        self.record.tell("created")
        self.record.begin()
        self.desk.book.open()
        for reset in self.desk.book.store.resets():
            self.ctx.audit("OPERATOR_RESET", reset.reason, msgspec.to_builtins(reset), "WARN")
        self.ctx.audit("C2_DRYRUN_START", "session begins", {"run_id": facts.run_id, "strategy_id": facts.strategy_id})
        state, restored = self.record.state, self.desk.book.restored
        if self._may_ask and restored and state in (SessionState.INIT, SessionState.STOPPING):
            self.recovery.begin()  # told to stop before it began, it still settles what an earlier session left
        elif state is not SessionState.INIT:
            return
        elif self._may_ask:
            await self.watch.ask("startup")
        else:
            await self._judge(None)

    async def _fetched(self, done: ExecutionsFetched) -> None:
        await self.recovery.fetched(done)
        await self._compare_if_recovered()

    async def _asked(self, done: QueryDone) -> None:
        if self.recovery.running:
            self.desk.book.store.probe(CrashPoint.REC_AFTER_QUERY)
        await self.desk.tracker.asked(done)
        await self._compare_if_recovered()

    async def _compare_if_recovered(self) -> None:
        if self.recovery.finished() and self.record.state is SessionState.INIT:
            await self.watch.ask("startup")

    async def _judge(self, startup: ReconcileReport | None) -> None:
        """Preflight: all reasons against beginning, or go."""
        book, limits = self.desk.book, self.desk.settings.limits
        above = exposure_complaint(book.exposure, limits)
        facts = msgspec.structs.replace(self._probe(), startup=startup)
        if not facts.shadow:
            facts = msgspec.structs.replace(facts, exposure_error=above)
        rejects = preflight(facts)
        if rejects:
            self.record.reject(rejects)
            self.record.move(SessionEvent.PREFLIGHT_REJECTED, rejects[0].code)
            self.record.end()
            return
        self.record.move(SessionEvent.PREFLIGHT_PASSED, "")
        self.record.move(SessionEvent.ACTIVATE, "")
        settings = self._settings
        if startup is not None:
            # What recovery has just settled is still in memory: a late fill or a repeated decision must find its row.
            dropped = book.store.purge(self.ctx.now_ns(), (*startup.open_there, *book.orders))
            book.commits.changed()
            self.ctx.count("keys_purged_total", dropped)
        self.desk.gate_open = True
        await self.ctx.send(settings.ending.rails, SetGate(open=True, reason="preflight passed"), Lane.CONTROL)
        ticks = int(settings.duration_s / min(settings.reconcile_every_s, settings.check_every_s)) + 1
        self.ctx.spawn(cadence(self.ctx, "reconcile", settings.reconcile_every_s, ticks), "reconcile cadence")
        self.ctx.spawn(cadence(self.ctx, "check", settings.check_every_s, ticks), "check cadence")
        self.ctx.spawn(cadence(self.ctx, "duration", settings.duration_s, 1), "duration")
        if settings.ending.strategy is not None:
            await self.ctx.send(settings.ending.strategy, SessionStarted())

    # -- running --------------------------------------------------------------------------------------------

    async def _tick(self, tick: Tick) -> None:
        if tick.what == "drain":
            await self._ending.drain(may_ask=self._may_ask)
        elif tick.what == "last word":
            self._ending.conclude(None)
        elif self.record.state is not SessionState.DRYRUN_ACTIVE:
            return
        elif tick.what == "duration":
            await self._ending.begin(SessionEvent.STOP, "duration reached")
        elif tick.what == "reconcile":
            await self.watch.ask("cadence")
        else:
            settings, now_ns = self._settings, self.ctx.now_ns()
            if settings.facts.shadow:
                return  # it protects nothing by stopping; that the broker is silent each reconcile has told
            self.desk.tracker.cancels.retry()
            oldest_ns = self.desk.oldest_check_ns(now_ns)
            for code, text in self.watch.complaints(settings.health, oldest_ns, settings.check_every_s):
                await self.handle_control(Trip(code, text, {}))

    async def _reconciled(self, done: ReconcileDone) -> None:
        report = done.report
        about = self.watch.note(report)
        self.desk.book.exposure.fills.all_matched(report.matched)
        if report.reason == "startup":
            self.startup = report
            if self.record.state is SessionState.INIT:
                await self._judge(report)
            return
        if done.stop_trading and not self._settings.observe:
            worst = next(finding for finding in report.findings if finding.severity is report.worst)
            await self.handle_control(Trip("reconcile_divergence", worst.description, about))
        if report.reason == "shutdown":
            self._ending.conclude(report)
        elif self.record.state is SessionState.DRYRUN_ACTIVE:
            await self.watch.ask_again()

    async def _claimed(self, claim: PositionClaim) -> None:
        internal = self.desk.book.exposure.ledger.position(claim.symbol).quantity
        await self.ctx.send(self._settings.reconciler, ObservePosition(claim, internal))

    async def _after_a_gap(self, statement: Reconnected | Unreadable) -> None:
        """Something may have been told that we did not hear: record it, and compare at once."""
        unreadable = isinstance(statement, Unreadable)
        code = "MALFORMED_MESSAGE" if unreadable else "BROKER_RECONNECTED"
        self.ctx.count("malformed_messages_total" if unreadable else "reconnects_total")
        text = statement.text if isinstance(statement, Unreadable) else statement.reason
        self.ctx.audit(code, "what the broker told may be incomplete", {"text": text}, "WARN")
        if self.record.state is SessionState.DRYRUN_ACTIVE:
            await self.watch.ask("demand" if unreadable else "reconnect")
