"""The caps of the rails, recounted from the store alone: what is filled and what is live, whenever a key is claimed.

An order counts as fully open from its claim to its recorded end. A fill that comes after the end of its order could be
foreseen by nobody, so it is never held against an order of the side that it adds to.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from interlock.domain.broker import FeeCurrency, Fill
from interlock.domain.intents import BUY, SELL, Side
from interlock.domain.ledgers import signed
from interlock.domain.limits import RailLimits
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.orders import Order

__all__ = ["Caps"]


class Caps:
    """What the orders in the store may add up to."""

    def __init__(self, limits: RailLimits, positions: Mapping[str, Decimal]) -> None:
        self._limits = limits
        self._opening = dict(positions)
        self._live: dict[str, Order] = {}
        self._held: dict[tuple[str, Side], Decimal] = {}

    def clear(self) -> None:
        """Begin again, before the records are told anew."""
        self._live.clear()
        self._held.clear()

    def changed(self, order: Order) -> None:
        """Take one version of an order."""
        if order.live:
            self._live[order.client_order_id] = order
        else:
            self._live.pop(order.client_order_id, None)

    def filled(self, fill: Fill, *, late: bool) -> None:
        """Take one execution; ``late`` where its order had ended before."""
        change = signed(fill.side, fill.quantity)
        if fill.fee_currency is FeeCurrency.BASE:
            change -= fill.fee
        for side in (BUY, SELL):
            if not (late and side is fill.side):
                key = fill.symbol, side
                self._held[key] = self._held.get(key, ZERO) + change

    def complaint(self, order: Order) -> str:
        """Return which cap a newly claimed order, taken in before, has broken, or ""."""
        limits = self._limits
        if len(self._live) > limits.max_live_orders:
            return f"{len(self._live)} orders are live, the cap is {limits.max_live_orders}"
        caps = limits.symbols.get(order.symbol)
        if caps is None:
            return f"{order.symbol} has no limits"
        if order.quantity > caps.max_order_quantity:
            return (
                f"{decimal_text(order.quantity)} is above the cap {decimal_text(caps.max_order_quantity)} of one order"
            )
        same = (live for live in self._live.values() if live.symbol == order.symbol and live.side is order.side)
        total = sum((live.leaves for live in same), ZERO)
        held = self._opening.get(order.symbol, ZERO) + self._held.get((order.symbol, order.side), ZERO)
        after = held + signed(order.side, total)
        reduces = held * signed(order.side, order.quantity) < 0 and total <= abs(held)
        if abs(after) > caps.position_cap and not reduces:
            has, comes, cap = decimal_text(held), decimal_text(total), decimal_text(caps.position_cap)
            return f"{has} of {order.symbol} held and {comes} on its way to {order.side}, the cap is {cap}"
        return ""
