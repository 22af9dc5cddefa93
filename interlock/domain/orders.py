"""The order: a frozen record of one intent, and the pure fold that moves it.

``advance`` applies one fact to an order and returns the next one; ``book_fill`` does so for an execution and
checks first what must never happen: more filled than ordered, or a fill that names another order's symbol or
side. Neither changes its input, so a refused fact leaves everything as it was.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from interlock.domain.broker import Fill, PlaceOrder
from interlock.domain.errors import InvariantBroken
from interlock.domain.ids import client_order_id, fingerprint
from interlock.domain.intents import OrderIntent, OrderType, Side, TimeInForce
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.order_states import LIVE_STATES, ORDER_TABLE, OrderEvent, OrderState

__all__ = ["Order", "advance", "belongs_to", "book_fill", "new_order", "place_request", "seen_order"]


class Order(msgspec.Struct, frozen=True, gc=False, tag_field="schema", tag="Order/1"):
    """What we know of one order. ``version`` rises by one with every fact."""

    client_order_id: str
    decision_id: str
    fingerprint: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None
    reference_price: Decimal | None
    time_in_force: TimeInForce
    created_ns: int
    updated_ns: int
    state: OrderState = OrderState.NEW
    broker_order_id: str | None = None
    filled: Decimal = ZERO
    reason: str = ""
    version: int = 0

    @property
    def leaves(self) -> Decimal:
        """Return what is not filled, whatever the state says."""
        return self.quantity - self.filled

    @property
    def live(self) -> bool:
        """Return whether the broker may hold it open."""
        return self.state in LIVE_STATES


def new_order(intent: OrderIntent, venue: str, account: str, strategy_id: str, now_ns: int) -> Order:
    """Return the order of an intent, with its key and the fingerprint of its content (durability rule 1)."""
    return Order(
        client_order_id=client_order_id(strategy_id, intent.decision_id),
        decision_id=intent.decision_id,
        fingerprint=_content(intent, venue, account),
        symbol=intent.symbol,
        side=intent.side,
        order_type=intent.order_type,
        quantity=intent.quantity,
        limit_price=intent.limit_price,
        reference_price=intent.reference_price,
        time_in_force=intent.time_in_force,
        created_ns=now_ns,
        updated_ns=now_ns,
    )


def belongs_to(order: Order, venue: str, account: str) -> bool:
    """Return whether an order was made for an account: its fingerprint says so."""
    return order.fingerprint == _content(order, venue, account)


def seen_order(seen: PlaceOrder, venue: str, account: str, now_ns: int) -> Order:
    """Return the order that somebody else placed under a key of its own, which stands for its decision as well."""
    return Order(
        client_order_id=seen.client_order_id,
        decision_id=seen.client_order_id,
        fingerprint=_content(seen, venue, account),
        symbol=seen.symbol,
        side=seen.side,
        order_type=seen.order_type,
        quantity=seen.quantity,
        limit_price=seen.limit_price,
        reference_price=None,
        time_in_force=seen.time_in_force,
        created_ns=now_ns,
        updated_ns=now_ns,
    )


def _content(wanted: OrderIntent | PlaceOrder | Order, venue: str, account: str) -> str:
    return fingerprint(
        venue,
        account,
        wanted.symbol,
        wanted.side,
        wanted.order_type,
        decimal_text(wanted.quantity),
        None if wanted.limit_price is None else decimal_text(wanted.limit_price),
        wanted.time_in_force,
    )


def place_request(order: Order) -> PlaceOrder:
    """Return what is sent to the broker."""
    return PlaceOrder(
        order.client_order_id,
        order.symbol,
        order.side,
        order.order_type,
        order.quantity,
        order.limit_price,
        order.time_in_force,
    )


def advance(
    order: Order, event: OrderEvent, now_ns: int, *, broker_order_id: str | None = None, reason: str | None = None
) -> Order:
    """Return the order after one fact that changes no quantity.

    Raises:
        IllegalTransition: the table does not hold the pair.
    """
    return msgspec.structs.replace(
        order,
        state=ORDER_TABLE.next(order.state, event),
        broker_order_id=broker_order_id or order.broker_order_id,
        reason=order.reason if reason is None else reason,
        updated_ns=now_ns,
        version=order.version + 1,
    )


def book_fill(order: Order, fill: Fill, now_ns: int) -> Order:
    """Return the order after one execution that was not booked before.

    Raises:
        InvariantBroken: ``overfill`` or ``fill_mismatch``; nothing is booked.
        IllegalTransition: the order is in a state in which it cannot have been filled.
    """
    if fill.symbol != order.symbol or fill.side is not order.side:
        evidence = {"client_order_id": order.client_order_id, "fill_id": fill.fill_id}
        code = "fill_mismatch"
        raise InvariantBroken(code, "a fill names another symbol or side than its order", evidence)
    filled = order.filled + fill.quantity
    if filled > order.quantity:
        evidence = {
            "client_order_id": order.client_order_id,
            "fill_id": fill.fill_id,
            "ordered": decimal_text(order.quantity),
            "filled": decimal_text(filled),
        }
        code = "overfill"
        raise InvariantBroken(code, "filled above ordered", evidence)
    event = OrderEvent.FULL_FILL if filled == order.quantity else OrderEvent.PARTIAL_FILL
    return msgspec.structs.replace(
        order,
        state=ORDER_TABLE.next(order.state, event),
        broker_order_id=order.broker_order_id or fill.broker_order_id,
        filled=filled,
        updated_ns=now_ns,
        version=order.version + 1,
    )
