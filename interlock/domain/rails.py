"""The safety rails as pure decisions: may this order leave, and does what happened keep every invariant.

``check_order`` is called twice for each order, by the rails actor and in the last line before the send, so that
a stalled actor cannot be bypassed. It fails closed: a limit or a price that is missing is a no. ``Exposure`` is
the book behind it; the rails and the order desk keep one each and never see the other's.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from interlock.domain.broker import Accepted, Fill
from interlock.domain.errors import InvariantBroken
from interlock.domain.intents import Side
from interlock.domain.ledgers import AccountLedger, FillBook
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.orders import Order

__all__ = ["Exposure", "RailLimits", "Refusal", "SymbolLimits", "check_order"]


class SymbolLimits(msgspec.Struct, frozen=True):
    """The caps of one instrument. There is no "unlimited": a missing instrument is not traded."""

    max_order_quantity: Decimal
    max_order_notional: Decimal
    allow_short: bool = False


class RailLimits(msgspec.Struct, frozen=True):
    """The caps of a session, by symbol."""

    symbols: dict[str, SymbolLimits]
    max_live_orders: int
    cash_buffer: Decimal = ZERO
    """Share of a buy's value that is kept free on top of it, for fees and for a market that moves."""


class Refusal(msgspec.Struct, frozen=True):
    """Why an order may not leave."""

    code: str
    reason: str


class _Reserved:
    """What one live order may still do to the account."""

    __slots__ = ("broker_order_id", "filled", "order", "price")

    def __init__(self, order: Order, price: Decimal) -> None:
        self.order = order
        self.price = price
        self.filled = ZERO
        self.broker_order_id: str | None = None


class Exposure:
    """Positions, cash and what live orders may still add to them; raises when an invariant breaks."""

    def __init__(self, limits: RailLimits, cash: Decimal | None, positions: dict[str, Decimal]) -> None:
        self.limits = limits
        self.ledger = AccountLedger(cash, positions)
        self.fills = FillBook()
        self.reserved_cash = ZERO
        self._open_sells: dict[str, Decimal] = {}
        self._live: dict[str, _Reserved] = {}
        self._ended: dict[str, _Reserved] = {}

    @property
    def live_orders(self) -> int:
        """Return how many orders hold a reservation."""
        return len(self._live)

    def open_sells(self, symbol: str) -> Decimal:
        """Return what live sell orders may still take out of the position."""
        return self._open_sells.get(symbol, ZERO)

    def holds(self, client_order_id: str) -> bool:
        """Return whether the order has been reserved, now or before."""
        return client_order_id in self._live or client_order_id in self._ended

    def reserve(self, order: Order) -> None:
        """Count an order as fully open from before it is sent until it is known to be over.

        Raises:
            InvariantBroken: ``duplicate_order``: the key was live or used before.
        """
        key = order.client_order_id
        if key in self._live or key in self._ended:
            code = "duplicate_order"
            raise InvariantBroken(code, "a second order under one key", {"client_order_id": key})
        held = self._live[key] = _Reserved(order, _price_with_buffer(order, self.limits))
        self._hold(held, order.quantity)

    def release(self, client_order_id: str) -> None:
        """Free what is left of an order's reservation; a second time changes nothing."""
        held = self._live.pop(client_order_id, None)
        if held is not None:
            self._hold(held, held.filled - held.order.quantity)
            self._ended[client_order_id] = held

    def accepted(self, statement: Accepted) -> None:
        """Take note of the broker's id of an order.

        Raises:
            InvariantBroken: ``two_broker_orders``: one key, two orders there.
        """
        held = self._held(statement.client_order_id)
        if held is None:
            return
        if held.broker_order_id not in (None, statement.broker_order_id):
            evidence = {
                "client_order_id": statement.client_order_id,
                "broker_order_ids": [held.broker_order_id, statement.broker_order_id],
            }
            code = "two_broker_orders"
            raise InvariantBroken(code, "one client order id has two orders at the broker", evidence)
        held.broker_order_id = statement.broker_order_id

    def book(self, fill: Fill) -> bool:
        """Book one fill; False where it is a repetition, which changes nothing.

        Raises:
            InvariantBroken: ``fill_conflict``, ``unknown_order_fill``, ``fill_mismatch``, ``overfill``,
                ``short_position`` or ``negative_cash``.
        """
        if self.fills.repeats(fill):
            return False
        held = self._held(fill.client_order_id)
        evidence: dict[str, object] = {
            "client_order_id": fill.client_order_id,
            "fill_id": fill.fill_id,
            "quantity": decimal_text(fill.quantity),
        }
        if held is None:
            code = "unknown_order_fill"
            raise InvariantBroken(code, "a fill for an order that was never sent", evidence)
        if fill.symbol != held.order.symbol or fill.side is not held.order.side:
            code = "fill_mismatch"
            raise InvariantBroken(code, "a fill names another symbol or side than its order", evidence)
        if held.filled + fill.quantity > held.order.quantity:
            code = "overfill"
            raise InvariantBroken(code, "filled above ordered", {**evidence, "filled": decimal_text(held.filled)})
        self.fills.remember(fill)
        held.filled += fill.quantity
        if fill.client_order_id in self._live:
            self._hold(held, -fill.quantity)
            if held.filled == held.order.quantity:
                self.release(fill.client_order_id)
        self.ledger.book(fill)
        self._hold_invariants(fill, evidence)
        return True

    def _hold_invariants(self, fill: Fill, evidence: dict[str, object]) -> None:
        cash = self.ledger.cash
        if cash is not None and cash < 0:
            code = "negative_cash"
            raise InvariantBroken(code, "the account's cash is below zero", {**evidence, "cash": decimal_text(cash)})
        limits = self.limits.symbols.get(fill.symbol)
        position = self.ledger.position(fill.symbol).quantity
        if position < 0 and fill.side is Side.SELL and not (limits is not None and limits.allow_short):
            code = "short_position"
            evidence = {**evidence, "symbol": fill.symbol, "position": decimal_text(position)}
            raise InvariantBroken(code, "short in an instrument that allows no shorts", evidence)

    def _held(self, client_order_id: str) -> _Reserved | None:
        return self._live.get(client_order_id) or self._ended.get(client_order_id)

    def _hold(self, held: _Reserved, quantity: Decimal) -> None:
        order = held.order
        if order.side is Side.BUY:
            self.reserved_cash += quantity * held.price
        else:
            self._open_sells[order.symbol] = self.open_sells(order.symbol) + quantity


def check_order(order: Order, limits: RailLimits, exposure: Exposure, *, gate_open: bool) -> Refusal | None:
    """Return why ``order`` may not leave, or None where it may. The order itself is not reserved yet."""
    if not gate_open:
        return Refusal("RAIL_GATE_CLOSED", "the session is not trading: before preflight, stopping, or tripped")
    caps = limits.symbols.get(order.symbol)
    if caps is None:
        return Refusal("RAIL_SYMBOL_NOT_ALLOWED", f"{order.symbol} has no limits in the config")
    if exposure.live_orders >= limits.max_live_orders:
        return Refusal("RAIL_LIVE_ORDERS", f"{exposure.live_orders} live orders are as many as the cap allows")
    for code, rail in _RAILS.items():
        reason = rail(order, caps, exposure)
        if reason:
            return Refusal(code, reason)
    return None


def _quantity(order: Order, caps: SymbolLimits, _: Exposure) -> str:
    above = order.quantity > caps.max_order_quantity
    return f"{order.quantity} is above the cap {caps.max_order_quantity}" if above else ""


def _price(order: Order, _: SymbolLimits, __: Exposure) -> str:
    known = order.limit_price is not None or order.reference_price is not None
    return "" if known else "a market order without a reference price cannot be valued"


def _notional(order: Order, caps: SymbolLimits, _: Exposure) -> str:
    notional = _value(order)
    above = notional > caps.max_order_notional
    return f"{decimal_text(notional)} is above the cap {caps.max_order_notional}" if above else ""


def _cash(order: Order, _: SymbolLimits, exposure: Exposure) -> str:
    cash = exposure.ledger.cash
    cost = _cost(order, exposure.limits)
    if order.side is not Side.BUY or cash is None or cash - exposure.reserved_cash >= cost:
        return ""
    return f"{decimal_text(cost)} with its buffer is more than the free part of {decimal_text(cash)}"


def _short(order: Order, caps: SymbolLimits, exposure: Exposure) -> str:
    if order.side is not Side.SELL or caps.allow_short:
        return ""
    free = exposure.ledger.position(order.symbol).quantity - exposure.open_sells(order.symbol)
    return "" if free >= order.quantity else f"selling {order.quantity} of {decimal_text(free)} free would go short"


def _value(order: Order) -> Decimal:
    return order.quantity * (order.limit_price or order.reference_price or ZERO)


def _cost(order: Order, limits: RailLimits) -> Decimal:
    return order.quantity * _price_with_buffer(order, limits)


def _price_with_buffer(order: Order, limits: RailLimits) -> Decimal:
    return (order.limit_price or order.reference_price or ZERO) * (1 + limits.cash_buffer)


_RAILS: Final[dict[str, Callable[[Order, SymbolLimits, Exposure], str]]] = {
    "RAIL_ORDER_QUANTITY": _quantity,
    "RAIL_NO_PRICE": _price,
    "RAIL_ORDER_NOTIONAL": _notional,
    "RAIL_CASH": _cash,
    "RAIL_SHORT": _short,
}
"""The rails of one order, in the order in which they are asked; each returns why not, or ""."""
