"""Cancels: each leaves as soon as its order can be cancelled, and what was promised to a host is not forgotten.

An order that is on its way, or in doubt, cannot be cancelled yet: the wish waits for a sign of it, an ack or a fill.
What the message rate holds back is tried again.
"""

from __future__ import annotations

from interlock.actors.order_book import OrderBook
from interlock.actors.order_calls import OrderCalls
from interlock.domain.limits import RailLimits
from interlock.domain.order_states import ORDER_TABLE, OrderEvent, OrderState
from interlock.domain.orders import Order
from interlock.domain.rails import check_cancel
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Context

__all__ = ["OrderCancels"]


class OrderCancels:
    """Which orders are to be cancelled, and the calls that do it; the end of a call comes to the order tracker."""

    def __init__(self, ctx: Context, book: OrderBook, calls: OrderCalls, limits: RailLimits) -> None:
        self._ctx = ctx
        self._book = book
        self._calls = calls
        self._limits = limits
        self._wanted: dict[str, None] = {}

    def cancel(self, client_order_id: str) -> str:
        """Start a cancel; return "" where one is on its way now or as soon as it can be, else why not."""
        order = self._book.orders.get(client_order_id)
        if order is None:
            return "UNKNOWN_ORDER"
        if order.state in (OrderState.SENT, OrderState.UNKNOWN):
            self._ctx.sometimes(Sometimes.CANCEL_WAITED)
            self._wanted[client_order_id] = None
        elif ORDER_TABLE.allows(order.state, OrderEvent.CANCEL_REQUEST):
            exposure, now_ns = self._book.exposure, self._ctx.now_ns()
            refusal = check_cancel(self._limits, exposure, now_ns)
            if refusal is not None:
                self._ctx.count(f"cancels_refused_total|{refusal.code}")
                return refusal.code
            exposure.messages.note(now_ns)
            self._wanted.pop(client_order_id, None)
            self._book.step(order, OrderEvent.CANCEL_REQUEST)
            self._book.commits.then(lambda: self._ctx.spawn(self._calls.cancel(client_order_id), "cancel"))
        elif order.state is not OrderState.CANCEL_PENDING:
            return "NOT_OPEN"
        return ""

    def go_on(self, client_order_id: str) -> None:
        """Send a cancel that waited for a sign of its order: an ack, or a fill where the ack was lost."""
        if client_order_id in self._wanted and self.cancel(client_order_id) == "NOT_OPEN":
            del self._wanted[client_order_id]

    def retry(self) -> None:
        """Try again what was promised to be cancelled and could not be, such as for the message rate."""
        for key in list(self._wanted):
            self.go_on(key)

    def refused(self, order: Order, reason: str) -> None:
        """Take note that the broker did not cancel an order."""
        event = OrderEvent.CANCEL_REFUSED_PARTIAL if order.filled else OrderEvent.CANCEL_REFUSED
        if ORDER_TABLE.allows(order.state, event):  # a cancel we never asked for cannot have been refused
            self._book.step(order, event, reason=reason)
