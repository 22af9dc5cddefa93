"""The order book: what the orchestrator holds to be true of its orders, and the one way to change it.

Every change is persisted, counted and told in the same breath: journal first, then memory, then the event. Facts that
change nothing are counted and leave no trace, so a repeated ack is not a new version of an order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from interlock.domain.broker import Fill
from interlock.domain.errors import InvariantBroken
from interlock.domain.exposure import Exposure
from interlock.domain.limits import RailLimits
from interlock.domain.messages import GetLocalView
from interlock.domain.money import decimal_text
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.domain.orders import Order, advance, book_fill
from interlock.domain.reconcile import LocalView
from interlock.runtime.actor import Context
from interlock.runtime.store import Execution, Store

__all__ = ["OrderBook"]

_TRANSITIONS: Final = {
    (before, after): f"order_state_transitions_total|{before}|{after}" for before in OrderState for after in OrderState
}
_ENDINGS: Final = {state: f"ORDER_{state}" for state in OrderState}
"""Names of counters and audit codes, made once: they are needed with every change of every order."""


class OrderBook:
    """Orders by key, those that may be live, fills, and the exposure they make."""

    def __init__(
        self,
        ctx: Context,
        store: Store,
        limits: RailLimits,
        cash: Decimal | None,
        positions: dict[str, Decimal],
        *,
        account: tuple[str, str],
    ) -> None:
        """Begin with what is held; ``account`` is venue and account, as executions are recorded under."""
        self.ctx = ctx
        self.store = store
        self.exposure = Exposure(limits, cash, positions)
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}
        self._account = account

    def step(
        self, order: Order, event: OrderEvent, *, broker_order_id: str | None = None, reason: str | None = None
    ) -> Order:
        """Apply one fact that changes no quantity and return the order as it is now.

        Raises:
            IllegalTransition: the table does not hold the pair; nothing changed.
            InvariantBroken: ``unsettled_order``: the order is in quarantine now.
        """
        after = advance(order, event, self.ctx.now_ns(), broker_order_id=broker_order_id, reason=reason)
        if order.state is after.state and order.broker_order_id == after.broker_order_id:
            self.ctx.count("repeated_statements_total")
            return order
        self.store.journal(after)
        self._keep(order, after, event)
        return after

    def book(self, fill: Fill) -> None:
        """Book one fill, once.

        Raises:
            InvariantBroken, IllegalTransition: the fill contradicts what must always hold.
        """
        ctx, exposure = self.ctx, self.exposure
        if exposure.fills.repeats(fill):
            ctx.count("duplicate_fills_total")
            return
        order = self.orders.get(fill.client_order_id)
        if order is None:
            code = "unknown_order_fill"
            evidence = {"client_order_id": fill.client_order_id, "fill_id": fill.fill_id}
            raise InvariantBroken(code, "a fill for an order that was never sent", evidence)
        filled = book_fill(order, fill, ctx.now_ns())
        # A store that refuses leaves everything as it was, and the fill can come again.
        self.store.journal(filled, Execution(*self._account, fill))
        exposure.begin_day(ctx.now_ns())
        exposure.book(fill)
        ctx.count("fills_total")
        event = OrderEvent.FULL_FILL if filled.leaves == 0 else OrderEvent.PARTIAL_FILL
        self._keep(order, filled, event, fill)
        exposure.verify(fill)

    def view(self, wanted: GetLocalView) -> LocalView:
        """Return what we believe now: live orders and the named ones, fills from an index on, the ledgers."""
        named = {key: self.orders[key] for key in wanted.client_order_ids if key in self.orders}
        ledger, fills = self.exposure.ledger, self.exposure.fills
        orders = tuple({**self.live, **named}.values())
        return LocalView(
            self.ctx.now_ns(),
            orders,
            fills.since(wanted.fills_from),
            len(fills),
            fills.cursor,
            ledger.positions(),
            ledger.cash,
        )

    def _keep(self, before: Order, after: Order, event: OrderEvent, fill: Fill | None = None) -> None:
        ctx, key = self.ctx, after.client_order_id
        self.orders[key] = after
        if after.live:
            self.live[key] = after
        else:
            self.live.pop(key, None)
        ctx.count(_TRANSITIONS[before.state, after.state])
        ctx.emit("ORDER_STATE", _told(before, after, event, fill))
        if before.live and not after.live:
            ended = {"client_order_id": key, "filled": decimal_text(after.filled), "reason": after.reason}
            ctx.audit(_ENDINGS[after.state], "the order ended", ended)
        if after.state is OrderState.QUARANTINED:
            code = "unsettled_order"
            raise InvariantBroken(code, "an order that only an operator can settle", {"client_order_id": key})


def _told(before: Order, after: Order, event: OrderEvent, fill: Fill | None) -> dict[str, object]:
    """Return one change of an order as the event that tells it."""
    payload: dict[str, object] = {
        "client_order_id": after.client_order_id,
        "symbol": after.symbol,
        "side": after.side,
        "event": event,
        "from": before.state,
        "to": after.state,
        "filled": decimal_text(after.filled),
        "quantity": decimal_text(after.quantity),
    }
    if event is OrderEvent.SEND:
        payload["decision_id"] = after.decision_id
        payload["limit_price"] = None if after.limit_price is None else decimal_text(after.limit_price)
    if after.reason:
        payload["reason"] = after.reason
    if fill is not None:
        payload["fill_id"] = fill.fill_id
        payload["fill_quantity"] = decimal_text(fill.quantity)
        payload["fill_price"] = decimal_text(fill.price)
        payload["fee"] = decimal_text(fill.fee)
    return payload
