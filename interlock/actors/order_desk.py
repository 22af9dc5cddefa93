"""The order desk: the part of the orchestrator that takes an order from its intent to its last late fill.

Every intent goes the same way: key and fingerprint, the rails' verdict, the claim in the store, then a job that
calls the broker. What the broker says, as an answer or on the stream, goes through ``believe``: shown to the rails
first, folded into the order by the table, booked once. What cannot be folded raises and trips the session.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from interlock.actors.order_book import OrderBook
from interlock.actors.order_calls import OrderCalls
from interlock.domain.broker import (
    Accepted,
    BrokerMessage,
    BrokerOrder,
    BrokerStatus,
    Cancelled,
    CancelRefused,
    Expired,
    Fill,
    Rejected,
    statements_of,
)
from interlock.domain.errors import Withheld
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import (
    CallOutcome,
    CancelDone,
    CheckIntent,
    Observe,
    OrderClosed,
    PlaceDone,
    QueryDone,
    SubmitOutcome,
    SubmitStatus,
    Verdict,
)
from interlock.domain.order_states import ORDER_TABLE, OrderEvent, OrderState
from interlock.domain.orders import Order, new_order
from interlock.domain.rails import RailLimits, check_order
from interlock.runtime.actor import Context
from interlock.runtime.credit import Credit
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.store import ClaimResult, Store

__all__ = ["DeskSettings", "OrderDesk"]


class DeskSettings(msgspec.Struct, frozen=True):
    """Whose orders these are, and how many may be on their way at once."""

    strategy_id: str
    venue: str
    account: str
    limits: RailLimits
    opening_cash: Decimal | None
    opening_positions: dict[str, Decimal]
    rails: str = "rails"
    in_flight_max: int = 32


class OrderDesk:
    """What is decided about the orders of one session; what is known of them is in ``book``."""

    def __init__(self, ctx: Context, settings: DeskSettings, calls: OrderCalls, store: Store) -> None:
        self.ctx = ctx
        self.settings = settings
        self.book = OrderBook(ctx, store, settings.limits, settings.opening_cash, settings.opening_positions)
        self.gate_open = False
        self._calls = calls
        self._credit = Credit("checks", settings.in_flight_max)
        self._waiting: dict[str, tuple[Order, ReplyTo | None]] = {}
        self._placing: dict[str, ReplyTo | None] = {}
        self._cancel_wanted: dict[str, None] = {}
        self._asking: dict[str, None] = {}

    # -- from the intent to the send ------------------------------------------------------------------------

    async def submit(self, intent: OrderIntent, reply_to: ReplyTo | None) -> None:
        """Take one intent; the outcome goes to ``reply_to`` when it is known."""
        ctx, settings = self.ctx, self.settings
        order = new_order(intent, settings.venue, settings.account, settings.strategy_id, ctx.now_ns())
        key = order.client_order_id
        waiting = self._waiting.get(key)
        taken = self.book.store.fingerprint_of(key) or (waiting[0].fingerprint if waiting is not None else "")
        if taken == order.fingerprint:
            known = self.book.orders.get(key)
            ctx.count("duplicate_intents_total")
            self._answer(reply_to, SubmitOutcome(key, SubmitStatus.DUPLICATE, known.state if known else order.state))
        elif taken:
            self._refuse(order, reply_to, "KEY_REUSED", "the decision was used before, for something else")
        elif not self._credit.take():
            self._refuse(order, reply_to, "BUSY", "too many intents on their way; try again")
        else:
            self._waiting[key] = (order, reply_to)
            await ctx.send(settings.rails, CheckIntent(order))

    async def verdict(self, verdict: Verdict) -> None:
        """Take the rails' answer: claim the key, then start the call."""
        self._credit.give_back()
        order, reply_to = self._waiting.pop(verdict.client_order_id)
        if verdict.code:
            self._refuse(order, reply_to, verdict.code, verdict.reason)
            return
        claim = self.book.store.claim(order)
        if claim is not ClaimResult.CLAIMED:
            code = "KEY_REUSED" if claim is ClaimResult.CONFLICT else "KEY_KNOWN"
            self._refuse(order, reply_to, code, "the store holds the key already; it is never sent again")
            await self._free(order)
            return
        self._placing[order.client_order_id] = reply_to
        sent = self.book.step(order, OrderEvent.SEND)
        self.ctx.spawn(self._calls.place(sent, self._last_line), "place")

    def oldest_check_ns(self, now_ns: int) -> int:
        """Return when the intent that waits longest for a verdict came in; ``now_ns`` where none waits."""
        return min((order.created_ns for order, _ in self._waiting.values()), default=now_ns)

    def _last_line(self, order: Order) -> None:
        """Check once more, right before bytes leave; reserve at the first attempt."""
        exposure = self.book.exposure
        if exposure.holds(order.client_order_id):
            if not self.gate_open:
                code = "RAIL_GATE_CLOSED"
                raise Withheld(code, "the gate closed between two attempts")
            return
        refusal = check_order(order, self.settings.limits, exposure, gate_open=self.gate_open)
        if refusal is not None:
            raise Withheld(refusal.code, refusal.reason)
        exposure.reserve(order)

    async def placed(self, done: PlaceDone) -> None:
        """Take the end of a place call, and tell the host."""
        key = done.client_order_id
        if done.answer is not None:
            await self.believe(done.answer)
        elif done.outcome is CallOutcome.NOT_PROCESSED:
            await self._end(self.book.orders[key], OrderEvent.REJECT, done.reason)
        else:
            order = self.book.step(self.book.orders[key], OrderEvent.PLACE_UNKNOWN, reason=done.reason)
            if order.state is OrderState.UNKNOWN:
                self._ask_about(order)
        self._tell_host(key, done)

    def _tell_host(self, key: str, done: PlaceDone) -> None:
        order, reply_to = self.book.orders[key], self._placing.pop(key, None)
        if order.state is OrderState.REJECTED:
            status = SubmitStatus.REJECTED if done.answer is not None else SubmitStatus.REFUSED
            code = done.answer.code if isinstance(done.answer, Rejected) else done.reason.partition(":")[0]
            self.ctx.count(f"orders_rejected_total|{code}")
        elif order.state is OrderState.UNKNOWN:
            status, code = SubmitStatus.UNKNOWN, "OUTCOME_UNKNOWN"
        else:
            status, code = SubmitStatus.ACCEPTED, ""
        self._answer(reply_to, SubmitOutcome(key, status, code, order.reason))

    def _refuse(self, order: Order, reply_to: ReplyTo | None, code: str, reason: str) -> None:
        ctx, key = self.ctx, order.client_order_id
        ctx.count(f"intents_refused_total|{code}")
        payload = {"client_order_id": key, "decision_id": order.decision_id, "symbol": order.symbol, "code": code}
        ctx.emit("INTENT_REFUSED", {**payload, "reason": reason})
        ctx.audit("INTENT_REFUSED", reason, payload, "WARN")
        self._answer(reply_to, SubmitOutcome(key, SubmitStatus.REFUSED, code, reason))

    def _answer(self, reply_to: ReplyTo | None, outcome: SubmitOutcome) -> None:
        if reply_to is not None:
            self.ctx.reply(reply_to, outcome)

    # -- what the broker says -------------------------------------------------------------------------------

    async def believe(self, statement: BrokerMessage) -> None:
        """Fold one statement of the broker into its order.

        Raises:
            InvariantBroken, IllegalTransition: the statement contradicts what must always hold.
        """
        await self.ctx.send(self.settings.rails, Observe(statement))
        if isinstance(statement, Fill):
            self.book.book(statement)
            self._cancel_if_wanted(statement.client_order_id)
            return
        order = self.book.orders.get(getattr(statement, "client_order_id", ""))
        if order is None:
            self.ctx.count("orphan_statements_total")
            self.ctx.audit("ORPHAN_STATEMENT", f"{type(statement).__name__} for an order we never sent", level="WARN")
        elif isinstance(statement, Accepted):
            self.book.exposure.accepted(statement)
            self.book.step(order, OrderEvent.ACCEPT, broker_order_id=statement.broker_order_id)
            self._cancel_if_wanted(order.client_order_id)
        elif isinstance(statement, Rejected):
            await self._end(order, OrderEvent.REJECT, statement.code)
        elif isinstance(statement, Cancelled):
            await self._over(order, OrderEvent.CANCEL_ACK, statement.filled)
        elif isinstance(statement, Expired):
            await self._over(order, OrderEvent.EXPIRE, statement.filled)
        elif isinstance(statement, CancelRefused):
            self._cancel_refused(order, statement.code)
            if order.live:  # refused because it ended there: the fill we have not heard of is looked for
                self._ask_about(order)

    async def _end(self, order: Order, event: OrderEvent, reason: str) -> None:
        """End an order that never worked; where it did work, the contradiction is asked about."""
        ended = self.book.step(order, event, reason=reason)
        if ended.state is OrderState.REJECTED:
            await self._free(ended)
        elif ended.live:
            self._ask_about(ended)

    async def _over(self, order: Order, event: OrderEvent, filled_there: Decimal) -> None:
        """Close an order that the broker calls over; fills that are still missing are asked for."""
        over = self.book.step(order, event)
        if filled_there > over.filled:
            self._ask_about(over)
        else:
            await self._free(order)

    async def _free(self, order: Order) -> None:
        self.book.exposure.release(order.client_order_id)
        await self.ctx.send(self.settings.rails, OrderClosed(order.client_order_id))

    # -- cancels and questions ------------------------------------------------------------------------------

    def cancel(self, client_order_id: str) -> str:
        """Start a cancel; return "" where one is on its way now or as soon as it can be, else why not."""
        order = self.book.orders.get(client_order_id)
        if order is None:
            return "UNKNOWN_ORDER"
        if order.state in (OrderState.SENT, OrderState.UNKNOWN):
            self._cancel_wanted[client_order_id] = None
        elif ORDER_TABLE.allows(order.state, OrderEvent.CANCEL_REQUEST):
            self._cancel_wanted.pop(client_order_id, None)
            self.book.step(order, OrderEvent.CANCEL_REQUEST)
            self.ctx.spawn(self._calls.cancel(client_order_id), "cancel")
        elif order.state is not OrderState.CANCEL_PENDING:
            return "NOT_OPEN"
        return ""

    def _cancel_if_wanted(self, key: str) -> None:
        """Send a cancel that waited for a sign of its order: an ack, or a fill where the ack was lost."""
        if key in self._cancel_wanted and self.cancel(key):
            del self._cancel_wanted[key]

    async def cancel_ended(self, done: CancelDone) -> None:
        """Take the end of a cancel call."""
        order = self.book.orders[done.client_order_id]
        if done.answer is not None:
            await self.believe(done.answer)
        elif done.outcome is CallOutcome.NOT_PROCESSED:
            self._cancel_refused(order, done.reason)
        else:
            self._ask_about(self.book.step(order, OrderEvent.CANCEL_UNKNOWN))

    def _cancel_refused(self, order: Order, reason: str) -> None:
        event = OrderEvent.CANCEL_REFUSED_PARTIAL if order.filled else OrderEvent.CANCEL_REFUSED
        if ORDER_TABLE.allows(order.state, event):  # a cancel we never asked for cannot have been refused
            self.book.step(order, event, reason=reason)

    def _ask_about(self, order: Order) -> None:
        key = order.client_order_id
        if key not in self._asking:
            self._asking[key] = None
            self.ctx.spawn(self._calls.settle(key, order.created_ns), "settle")

    async def asked(self, done: QueryDone) -> None:
        """Take what the broker said about one order, or that it could not be asked."""
        key = done.client_order_id
        self._asking.pop(key, None)
        order = self.book.orders[key]
        if isinstance(done.answer, BrokerOrder):
            for statement in statements_of(done.answer):
                await self.believe(statement)
            order = self.book.orders[key]
            if order.state is OrderState.CANCEL_PENDING and done.answer.status is BrokerStatus.OPEN:
                self._cancel_refused(order, "still open there")
        elif order.state is not OrderState.UNKNOWN:
            self.ctx.audit("ORDER_NOT_CONFIRMED", f"asked about {key}: {done.reason or 'not found'}", level="WARN")
        elif done.answer is not None:
            self.book.step(order, OrderEvent.NOT_FOUND, reason="not found after the settle time")
            await self._free(order)
        else:
            self.book.step(order, OrderEvent.QUARANTINE, reason=done.reason)
