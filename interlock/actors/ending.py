"""How a session ends (ORC-6): the gate closes, what is open is cancelled, both sides are compared a last time.

A graceful stop and a safe stop after a trip go the same way, and both may be asked for again at any time. The end
says what is still open at the broker; what only a person can settle is left to one.
"""

from __future__ import annotations

from typing import Final

import msgspec

from interlock.actors.cadence import cadence
from interlock.actors.order_desk import OrderDesk
from interlock.actors.session_record import SessionRecord
from interlock.actors.watch import Watch
from interlock.domain.findings import Severity
from interlock.domain.messages import SessionEnded, SetGate, Trip
from interlock.domain.order_states import OrderState
from interlock.domain.reconcile import ReconcileReport, ReconcileResult
from interlock.domain.session_states import SessionEvent, SessionState
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import Lane

__all__ = ["Ending", "EndingSettings"]


_ON_THEIR_WAY: Final = (OrderState.SENT, OrderState.UNKNOWN)


class EndingSettings(msgspec.Struct, frozen=True):
    """How patient an ending is; seconds of session time."""

    drain_every_s: float = 5.0
    drains_max: int = 60
    last_word_s: float = 900.0
    """How long the last reconcile may take before the session ends without it."""
    cancel_on_stop: bool = True
    observe: bool = False
    shadow: bool = False
    """Nothing there is ours to cancel, or to leave open."""
    rails: str = "rails"
    strategy: str | None = None


class Ending:
    """The way from the first word of stopping to the last record."""

    def __init__(
        self, ctx: Context, settings: EndingSettings, record: SessionRecord, desk: OrderDesk, watch: Watch
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._record = record
        self._desk = desk
        self._watch = watch
        self._drains = 0
        self._final_asked = False
        self._drained_again = False

    async def begin(self, event: SessionEvent, reason: str) -> None:
        """Close the gate, then drain; a second stop or trip finds it closed and draining already."""
        ctx, settings = self._ctx, self._settings
        self._desk.gate_open = False
        moved = self._record.move(event, reason)
        if event is SessionEvent.TRIP and any(order.state in _ON_THEIR_WAY for order in self._desk.book.live.values()):
            ctx.sometimes(Sometimes.TRIP_WHILE_PLACING)
        if not moved and event is SessionEvent.TRIP:
            self._drain_again()
        if not moved or self._record.state is not SessionState.STOPPING:
            return
        await ctx.send(settings.rails, SetGate(open=False, reason=reason), Lane.CONTROL)
        if settings.strategy is not None:
            await ctx.send(settings.strategy, SessionEnded(), Lane.CONTROL)
        ctx.spawn(cadence(ctx, "drain", settings.drain_every_s, settings.drains_max), "drain")

    def _drain_again(self) -> None:
        """After a trip that comes late, once: what was left open by then is cancelled, and compared anew."""
        late = self._final_asked and not self._drained_again and self._desk.book.live
        if late and self._record.state is SessionState.STOPPING:
            self._drained_again, self._final_asked, self._drains = True, False, 0
            self._ctx.sometimes(Sometimes.DRAINED_AGAIN)
            settings = self._settings
            self._ctx.spawn(cadence(self._ctx, "drain", settings.drain_every_s, settings.drains_max), "drain")

    async def drain(self, *, may_ask: bool) -> None:
        """Cancel what is open; when nothing is, ask for the last reconcile, if the broker may be asked at all."""
        if self._record.state is not SessionState.STOPPING or self._final_asked:
            return
        self._drains += 1
        last = self._drains >= self._settings.drains_max
        live = self._desk.book.live
        if self._cancels:
            for key in list(live):
                self._desk.tracker.cancels.cancel(key)
            if live and not last:
                return
        self._final_asked = True
        if not may_ask:
            self.conclude(None)
            return
        await self._watch.ask("shutdown")
        # Should the answer never come, a session must end all the same.
        self._ctx.spawn(cadence(self._ctx, "last word", self._settings.last_word_s, 1), "last word")

    def conclude(self, report: ReconcileReport | None) -> None:
        """Say how it ended: in order, or with something for an operator. A second time changes nothing."""
        if self._record.state is not SessionState.STOPPING or not self._final_asked:
            return
        trips = self._record.trips
        result = ReconcileResult.UNAVAILABLE if report is None else report.result
        left = self._left_open(report)
        worst = None if report is None else report.worst
        severe = worst in (Severity.FAIL, Severity.CRITICAL) and not self._settings.observe
        if trips or left or severe or result is ReconcileResult.UNAVAILABLE:
            reason = trips[0] if trips else f"{left} orders left open, reconcile {result}"
            meta = {"open_orders": left, "reconcile": result}
            if not trips:
                self._record.trip(Trip("unsettled_end", reason, meta))
            self._ctx.audit("OPERATOR_REQUIRED", reason, meta, "CRITICAL")
            self._record.move(SessionEvent.OPERATOR_NEEDED, reason)
        else:
            self._record.move(SessionEvent.DRAINED, "")
        self._record.end()

    def _left_open(self, report: ReconcileReport | None) -> int:
        """Say what the last look found open at the broker; return how many orders are open on either side."""
        there = () if report is None else report.open_there
        if report is not None and report.result is not ReconcileResult.UNAVAILABLE:
            code = "ORDERS_OPEN_AT_BROKER" if there else "NOTHING_OPEN_AT_BROKER"
            self._ctx.audit(code, "what the last look found", {"orders": there}, "WARN" if there else "INFO")
        return len({**dict.fromkeys(there), **self._desk.book.live}) if self._cancels else 0

    @property
    def _cancels(self) -> bool:
        """Return whether what is open is cancelled, so that it matters what stays."""
        return (self._settings.cancel_on_stop or bool(self._record.trips)) and not self._settings.shadow
