"""The order tracker: what the broker says of our orders, and what is asked because of it.

Whatever the broker says, as an answer or on the stream, goes through ``believe``: shown to the rails first, folded
into the order by the table, booked once. What cannot be folded raises and trips the session. What is missing or
contradicts itself is asked about, and the answer goes the same way.
"""

from __future__ import annotations

from decimal import Decimal

from interlock.actors.order_book import OrderBook
from interlock.actors.order_calls import OrderCalls
from interlock.actors.order_cancels import OrderCancels
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
from interlock.domain.messages import CallOutcome, CancelDone, Observe, OrderAdopted, OrderClosed, QueryDone
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.domain.orders import Order
from interlock.domain.repair import Action, PlannedAction
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Context

__all__ = ["OrderTracker"]


class OrderTracker:
    """Follows orders from the send to the last late fill; what is known of them is in ``book``."""

    def __init__(self, ctx: Context, book: OrderBook, calls: OrderCalls, cancels: OrderCancels, rails: str) -> None:
        self.book = book
        self.cancels = cancels
        self._ctx = ctx
        self._calls = calls
        self._rails = rails
        self._asking: dict[str, None] = {}
        self._over_there: dict[str, OrderEvent] = {}

    @property
    def asking(self) -> int:
        """Return about how many orders the broker is being asked."""
        return len(self._asking)

    async def believe(self, statement: BrokerMessage) -> None:
        """Fold one statement of the broker into its order.

        Raises:
            InvariantBroken, IllegalTransition: the statement contradicts what must always hold.
        """
        if isinstance(statement, Fill) and self.book.booked_before(statement):
            self._ctx.count("duplicate_fills_total")
            return
        key = getattr(statement, "client_order_id", "")
        recalled = self.book.recall(key)
        if recalled is not None:
            await self._ctx.send(self._rails, OrderAdopted(recalled))
        await self._ctx.send(self._rails, Observe(statement))
        if isinstance(statement, Fill):
            self.book.book(statement)
            self.cancels.go_on(statement.client_order_id)
            return
        order = self.book.orders.get(key)
        if order is not None:
            await self._follow(order, statement)
        else:
            self._ctx.count("orphan_statements_total")
            self._ctx.audit("ORPHAN_STATEMENT", f"{type(statement).__name__} for an order we never sent", level="WARN")

    async def _follow(self, order: Order, statement: BrokerMessage) -> None:
        """Fold what is no fill into an order of ours."""
        if isinstance(statement, Accepted):
            self.book.exposure.accepted(statement)
            self.book.step(order, OrderEvent.ACCEPT, broker_order_id=statement.broker_order_id)
            self.cancels.go_on(order.client_order_id)
        elif isinstance(statement, Rejected):
            await self.rejected(order, statement.code)
        elif isinstance(statement, Cancelled):
            await self._over(order, OrderEvent.CANCEL_ACK, statement.filled)
        elif isinstance(statement, Expired):
            await self._over(order, OrderEvent.EXPIRE, statement.filled)
        elif isinstance(statement, CancelRefused):
            self.cancels.refused(order, statement.code)
            if order.state is OrderState.FILLED or statement.code == "ALREADY_FILLED":
                self._ctx.sometimes(Sometimes.CANCEL_REFUSED_FILLED)
            if order.live:  # refused because it ended there: the fill we have not heard of is looked for
                self.ask_about(order)

    async def rejected(self, order: Order, reason: str) -> None:
        """End an order that never worked; where it did work, the contradiction is asked about."""
        ended = self.book.step(order, OrderEvent.REJECT, reason=reason)
        if ended.state is OrderState.REJECTED:
            await self.free(ended)
        elif ended.live:
            self.ask_about(ended)

    async def _over(self, order: Order, event: OrderEvent, filled_there: Decimal) -> None:
        """Close an order that the broker calls over, once every fill of it is here; what is missing is asked for."""
        if filled_there > order.filled:
            self._ctx.sometimes(Sometimes.END_WITH_FILLS_MISSING)
            # Closed now, neither the order nor the fill that is missing would count after a restart.
            self._over_there[order.client_order_id] = event
            self.ask_about(order)
        else:
            self.book.step(order, event)
            await self.free(order)

    async def free(self, order: Order, *, left: bool = True) -> None:
        """Release what was reserved for an order that is over, or that never ``left``, in both books."""
        self.book.exposure.release(order.client_order_id)
        await self._ctx.send(self._rails, OrderClosed(order.client_order_id, left))

    def repair(self, actions: tuple[PlannedAction, ...]) -> None:
        """Start what a reconcile has planned: both actions only ask for the broker's own word."""
        for action in actions:
            order = self.book.orders.get(action.client_order_id or "")
            if order is None:
                continue
            if action.action is Action.CANCEL_ORDER:
                self.cancels.cancel(order.client_order_id)
            elif action.action is Action.ASK_ORDER:
                self.ask_about(order)

    # -- answers and questions ------------------------------------------------------------------------------

    async def cancel_ended(self, done: CancelDone) -> None:
        """Take the end of a cancel call."""
        order = self.book.orders[done.client_order_id]
        if done.answer is not None:
            await self.believe(done.answer)
        elif done.outcome is CallOutcome.NOT_PROCESSED:
            self.cancels.refused(order, done.reason)
        else:
            self.ask_about(self.book.step(order, OrderEvent.CANCEL_UNKNOWN))

    def ask_about(self, order: Order) -> None:
        """Ask the broker what became of an order, unless it is being asked already."""
        key = order.client_order_id
        if key not in self._asking:
            self._asking[key] = None
            # The settle time of an order in doubt runs from when its last call ended, never from the intent.
            since_ns = order.updated_ns if order.state is OrderState.UNKNOWN else order.created_ns
            self._ctx.spawn(self._calls.settle(key, since_ns), "settle")

    async def asked(self, done: QueryDone) -> None:
        """Take what the broker said about one order, or that it could not be asked."""
        key = done.client_order_id
        self._asking.pop(key, None)
        order = self.book.orders[key]
        if isinstance(done.answer, BrokerOrder):
            if order.state is OrderState.UNKNOWN:
                self._ctx.sometimes(Sometimes.ADOPTED)
            self._over_there.pop(key, None)
            for statement in statements_of(done.answer):
                await self.believe(statement)
            order = self.book.orders[key]
            if order.state is OrderState.CANCEL_PENDING and done.answer.status is BrokerStatus.OPEN:
                self.cancels.refused(order, "still open there")
        elif order.state is not OrderState.UNKNOWN or key in self._over_there:
            self._ctx.audit("ORDER_NOT_CONFIRMED", f"asked about {key}: {done.reason or 'not found'}", level="WARN")
            if key in self._over_there:
                order = self.book.step(order, self._over_there.pop(key))
            if not order.live:  # over, though not all of it was heard: nothing more is held for it
                await self.free(order)
        elif done.answer is not None:
            self._ctx.sometimes(Sometimes.VOIDED)
            self.book.step(order, OrderEvent.NOT_FOUND, reason="not found after the settle time")
            await self.free(order)
        else:
            self.book.step(order, OrderEvent.QUARANTINE, reason=done.reason)
