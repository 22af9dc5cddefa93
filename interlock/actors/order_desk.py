"""The order desk: the part of the orchestrator that takes an intent in, and lets its order out or not.

Every intent goes the same way: key and fingerprint, the rails' verdict, the claim in the store, then a job that
calls the broker, with the rails asked once more in the last line before the send. What becomes of the order from then
on is the tracker's.
"""

from __future__ import annotations

from typing import Final

import msgspec

from interlock.actors.order_calls import OrderCalls
from interlock.actors.order_tracker import OrderTracker
from interlock.actors.refusal_alarm import KEY_REUSED, RefusalAlarm
from interlock.domain.broker import Rejected
from interlock.domain.errors import Withheld
from interlock.domain.intents import OrderIntent
from interlock.domain.limits import RailLimits
from interlock.domain.messages import (
    CallOutcome,
    CancelOutcome,
    CheckIntent,
    PlaceDone,
    SubmitOutcome,
    SubmitStatus,
    Verdict,
)
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.domain.orders import Order, new_order
from interlock.domain.rails import check_order
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Context
from interlock.runtime.credit import Credit
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.store import ClaimResult

__all__ = ["SHADOW", "DeskSettings", "OrderDesk"]

SHADOW: Final = "SHADOW"
"""The code under which a session that only reads refuses what would change something."""

_HELD: Final = "the store holds the key already; it is never sent again"
_IN_DOUBT: Final = (OrderState.UNKNOWN, OrderState.SENT, OrderState.QUARANTINED)
_UNCLAIMED: Final = {
    ClaimResult.KNOWN: ("KEY_KNOWN", _HELD),
    ClaimResult.CONFLICT: (KEY_REUSED, _HELD),
    ClaimResult.SPENT: ("KEY_SPENT", "the key was used long ago; it is never sent again"),
    ClaimResult.HALTED: ("KILL_SWITCH", "the kill switch is set; nothing is claimed while it is"),
}
"""What the host is told when a key could not be claimed: code and reason."""


class DeskSettings(msgspec.Struct, frozen=True):
    """Whose orders these are, and how many may be on their way at once."""

    strategy_id: str
    venue: str
    account: str
    limits: RailLimits
    rails: str = "rails"
    in_flight_max: int = 32
    shadow: bool = False
    """Nothing is sent: what the host and the broker say is only held against each other."""


class OrderDesk:
    """What is decided about the orders of one session; what is known of them is in ``book``."""

    def __init__(self, ctx: Context, settings: DeskSettings, calls: OrderCalls, tracker: OrderTracker) -> None:
        self.ctx = ctx
        self.settings = settings
        self.tracker = tracker
        self.book = tracker.book
        self.gate_open = False
        self.alarm = RefusalAlarm()
        self._calls = calls
        self._credit = Credit("checks", settings.in_flight_max)
        self._waiting: dict[str, tuple[Order, ReplyTo | None]] = {}
        self._placing: dict[str, ReplyTo | None] = {}
        self._untold: dict[int, tuple[ReplyTo, SubmitOutcome | CancelOutcome]] = {}

    # -- from the intent to the send ------------------------------------------------------------------------

    async def submit(self, intent: OrderIntent, reply_to: ReplyTo | None) -> None:
        """Take one intent; the outcome goes to ``reply_to`` when it is known."""
        ctx, settings = self.ctx, self.settings
        order = new_order(intent, settings.venue, settings.account, settings.strategy_id, ctx.now_ns())
        key = order.client_order_id
        waiting = self._waiting.get(key)
        known = self.book.store.order_of(key) or (None if waiting is None else waiting[0])
        if settings.shadow:
            self._refuse(order, reply_to, SHADOW, "the session has a broker that can only be read")
        elif known is not None and known.fingerprint == order.fingerprint:
            ctx.count("duplicate_intents_total")
            ctx.sometimes(Sometimes.DUPLICATE_INTENT)
            self.answer(reply_to, SubmitOutcome(key, SubmitStatus.DUPLICATE, known.state))
        elif known is not None:
            ctx.sometimes(Sometimes.KEY_REUSED)
            self._refuse(order, reply_to, KEY_REUSED, "the decision was used before, for something else")
        elif self.book.store.spent(key):
            self._refuse(order, reply_to, *_UNCLAIMED[ClaimResult.SPENT])
        elif not self._credit.take():
            self._refuse(order, reply_to, "BUSY", "too many intents on their way; try again")
        else:
            self._waiting[key] = (order, reply_to)
            await ctx.send(settings.rails, CheckIntent(order))

    async def verdict(self, verdict: Verdict) -> None:
        """Take the rails' answer: claim the key, then start the call."""
        self._credit.give_back()
        waiting = self._waiting.get(verdict.client_order_id)
        if waiting is None:
            return  # dismissed meanwhile: its host was told that nothing was sent, and nothing is
        await self._let_out(verdict, *waiting)
        self._waiting.pop(verdict.client_order_id, None)

    async def _let_out(self, verdict: Verdict, order: Order, reply_to: ReplyTo | None) -> None:
        if verdict.code:
            self._refuse(order, reply_to, verdict.code, verdict.reason)
            return
        claim, sent = self.book.claim(order)
        if claim is not ClaimResult.CLAIMED:
            self._refuse(order, reply_to, *_UNCLAIMED[claim])
            await self.tracker.free(order, left=False)
            return
        self._placing[order.client_order_id] = reply_to
        self.book.commits.then(lambda: self.ctx.spawn(self._calls.place(sent, self._last_line), "place"))

    def dismiss(self) -> None:
        """Answer every host that still waits: the session is over, and nobody else will."""
        unsent = {key: reply_to for key, (_, reply_to) in self._waiting.items() if key not in self._placing}
        for key, reply_to in unsent.items():
            if reply_to is not None:
                ended = SubmitOutcome(key, SubmitStatus.REFUSED, "SESSION_ENDED", "nothing was sent")
                self.ctx.reply(reply_to, ended)
        for key, reply_to in self._placing.items():
            if reply_to is not None:
                self.ctx.reply(reply_to, _unknown(key))
        for reply_to, outcome in self._untold.values():
            key = outcome.client_order_id
            never = CancelOutcome(key, requested=False, code="SESSION_ENDED")
            self.ctx.reply(reply_to, never if isinstance(outcome, CancelOutcome) else _unknown(key))
        for waiting in (self._waiting, self._placing, self._untold):
            waiting.clear()

    def oldest_check_ns(self, now_ns: int) -> int:
        """Return when the intent that waits longest for a verdict came in; ``now_ns`` where none waits."""
        return min((order.created_ns for order, _ in self._waiting.values()), default=now_ns)

    def _last_line(self, order: Order) -> None:
        """Check once more, right before bytes leave; reserve at the first attempt."""
        exposure, key = self.book.exposure, order.client_order_id
        if self.book.orders[key].state is not OrderState.SENT:
            code = "ALREADY_THERE"
            raise Withheld(code, "the broker has spoken of the order meanwhile")
        if exposure.holds(key):
            if not self.gate_open:
                code = "RAIL_GATE_CLOSED"
                raise Withheld(code, "the gate closed between two attempts")
            return
        now_ns = self.ctx.now_ns()
        refusal = check_order(order, self.settings.limits, exposure, now_ns, gate_open=self.gate_open)
        if refusal is not None:
            raise Withheld(refusal.code, refusal.reason)
        exposure.reserve(order, now_ns)

    async def placed(self, done: PlaceDone) -> None:
        """Take the end of a place call, and tell the host, also where what was said cannot be believed."""
        try:
            await self._take(done)
        finally:
            self._tell_host(done.client_order_id, done)

    async def _take(self, done: PlaceDone) -> None:
        key = done.client_order_id
        if done.answer is not None:
            await self.tracker.believe(done.answer)
        elif done.outcome is CallOutcome.NOT_PROCESSED:
            if done.reason.startswith("RAIL_"):
                self.ctx.sometimes(Sometimes.WITHHELD)
            await self.tracker.rejected(self.book.orders[key], done.reason)
        else:
            order = self.book.step(self.book.orders[key], OrderEvent.PLACE_UNKNOWN, reason=done.reason)
            if order.state is OrderState.UNKNOWN:
                self.tracker.ask_about(order)

    def _tell_host(self, key: str, done: PlaceDone) -> None:
        order, reply_to = self.book.orders[key], self._placing.pop(key, None)
        if order.state is OrderState.REJECTED:
            status = SubmitStatus.REJECTED if done.answer is not None else SubmitStatus.REFUSED
            code = done.answer.code if isinstance(done.answer, Rejected) else done.reason.partition(":")[0]
            if status is SubmitStatus.REFUSED:
                self.alarm.refused(order, code, order.reason)
            self.ctx.count(f"orders_rejected_total|{code}")
        elif order.state in _IN_DOUBT:
            status, code = SubmitStatus.UNKNOWN, "OUTCOME_UNKNOWN"
        else:
            status, code = SubmitStatus.ACCEPTED, ""
        self.answer(reply_to, SubmitOutcome(key, status, code, order.reason))

    def _refuse(self, order: Order, reply_to: ReplyTo | None, code: str, reason: str) -> None:
        ctx, key = self.ctx, order.client_order_id
        ctx.count(f"intents_refused_total|{code}")
        self.alarm.refused(order, code, reason)
        payload = {"client_order_id": key, "decision_id": order.decision_id, "symbol": order.symbol, "code": code}
        ctx.emit("INTENT_REFUSED", {**payload, "reason": reason})
        ctx.audit("INTENT_REFUSED", reason, payload, "WARN")
        self.answer(reply_to, SubmitOutcome(key, SubmitStatus.REFUSED, code, reason))

    def answer(self, reply_to: ReplyTo | None, outcome: SubmitOutcome | CancelOutcome) -> None:
        """Tell the host, once everything is durable that the outcome stands on."""
        if reply_to is not None:
            self._untold[reply_to.ask_id] = reply_to, outcome
            self.book.commits.then(lambda: self._tell(reply_to, outcome))

    def _tell(self, reply_to: ReplyTo, outcome: SubmitOutcome | CancelOutcome) -> None:
        if self._untold.pop(reply_to.ask_id, None) is not None:
            self.ctx.reply(reply_to, outcome)


def _unknown(key: str) -> SubmitOutcome:
    return SubmitOutcome(key, SubmitStatus.UNKNOWN, "SESSION_ENDED", "ask the broker")
