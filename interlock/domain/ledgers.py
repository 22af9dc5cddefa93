"""Ledgers: positions and cash as a fold over fills, each fill once.

A known fill id with the same content changes nothing and is reported as a duplicate; with other content it is a
broken invariant (SAF-5). Average price and realised result follow the average-cost method; a fill that turns a
position around closes the old one at its price and opens the rest at the same price.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from interlock.domain.broker import FeeCurrency, Fill
from interlock.domain.errors import InvariantBroken
from interlock.domain.intents import Side
from interlock.domain.money import ZERO, decimal_text

__all__ = ["AccountLedger", "FillBook", "Position", "apply_to_position", "signed"]


class Position(msgspec.Struct, frozen=True):
    """Quantity (negative when short), average entry price (None when flat) and realised result before fees."""

    symbol: str
    quantity: Decimal = ZERO
    average_price: Decimal | None = None
    realised: Decimal = ZERO


def signed(side: Side, quantity: Decimal) -> Decimal:
    """Return the quantity with the sign of its effect on the position."""
    return quantity if side is Side.BUY else -quantity


def apply_to_position(position: Position, side: Side, quantity: Decimal, price: Decimal) -> Position:
    """Return the position after one execution."""
    change = signed(side, quantity)
    held = position.quantity
    after = held + change
    average = position.average_price
    if held == 0 or (held > 0) == (change > 0):
        if held == 0:
            entry: Decimal | None = price
        else:  # what was paid for a part is unknown, so it is for the whole
            entry = None if average is None else (average * abs(held) + price * quantity) / abs(after)
        return msgspec.structs.replace(position, quantity=after, average_price=entry)
    closed = min(abs(held), quantity)
    basis = price if average is None else average
    result = (price - basis) * closed if held > 0 else (basis - price) * closed
    if after == 0:
        entry_left = None
    elif (after > 0) == (held > 0):
        entry_left = average
    else:
        entry_left = price
    return Position(position.symbol, after, entry_left, position.realised + result)


class FillBook:
    """Which fills are known, and that each id keeps its content."""

    def __init__(self) -> None:
        self._fills: dict[str, Fill] = {}
        self._order: list[Fill] = []
        self.cursor = 0
        """The highest place in the broker's own sequence of fills that was seen."""

    def repeats(self, fill: Fill) -> bool:
        """Return whether this very fill is known already.

        Raises:
            InvariantBroken: ``fill_conflict``: the id is known with other content.
        """
        known = self._fills.get(fill.fill_id)
        if known is None:
            return False
        if known != fill:
            code = "fill_conflict"
            evidence = {
                "fill_id": fill.fill_id,
                "client_order_id": fill.client_order_id,
                "known_quantity": decimal_text(known.quantity),
                "known_price": decimal_text(known.price),
                "quantity": decimal_text(fill.quantity),
                "price": decimal_text(fill.price),
            }
            raise InvariantBroken(code, "a known fill id came with other content", evidence)
        return True

    def remember(self, fill: Fill) -> None:
        """Take a fill in that ``repeats`` called new."""
        self._fills[fill.fill_id] = fill
        self._order.append(fill)
        self.cursor = max(self.cursor, fill.cursor)

    def since(self, index: int) -> tuple[Fill, ...]:
        """Return the fills from ``index`` on, in the order of their arrival."""
        return tuple(self._order[index:])

    def __len__(self) -> int:
        return len(self._order)


class AccountLedger:
    """Positions by symbol, and cash where it is known (None: the account does not tell)."""

    def __init__(self, cash: Decimal | None, positions: dict[str, Decimal] | None = None) -> None:
        self.cash = cash
        self.fees = ZERO
        """All fees, in the quote currency; those taken in the base currency at the price of their fill."""
        self.result = ZERO
        """Realised result of all positions, less fees. Closing a position of unknown entry price realises nothing."""
        self._positions: dict[str, Position] = {
            symbol: Position(symbol, quantity) for symbol, quantity in sorted((positions or {}).items())
        }

    def position(self, symbol: str) -> Position:
        """Return the position in ``symbol``, flat if there never was one."""
        return self._positions.get(symbol) or Position(symbol)

    def positions(self) -> tuple[Position, ...]:
        """Return all positions, by symbol."""
        return tuple(self._positions[symbol] for symbol in sorted(self._positions))

    def book(self, fill: Fill) -> None:
        """Book one fill that was admitted before."""
        self._move(fill.symbol, fill.side, fill.quantity, fill.price)
        self._charge(fill)

    def book_transaction(self, fills: Sequence[Fill]) -> None:
        """Book fills of one symbol that belong together: where the account traded with itself, only the net counts.

        Raises:
            InvariantBroken: ``mixed_transaction``: the fills are of several symbols.
        """
        symbols = list(dict.fromkeys(fill.symbol for fill in fills))
        if len(symbols) > 1:
            code = "mixed_transaction"
            raise InvariantBroken(code, "a transaction has one symbol", {"symbols": symbols})
        net = sum((signed(fill.side, fill.quantity) for fill in fills), ZERO)
        side = Side.BUY if net > 0 else Side.SELL
        same = [fill for fill in fills if fill.side is side]
        if net:
            size = sum((fill.quantity for fill in same), ZERO)
            value = sum((fill.quantity * fill.price for fill in same), ZERO)
            self._move(same[0].symbol, side, abs(net), value / size, value=self._value_of(fills))
        for fill in fills:
            self._charge(fill)

    @staticmethod
    def _value_of(fills: Sequence[Fill]) -> Decimal:
        return sum((signed(fill.side, fill.quantity) * fill.price for fill in fills), ZERO)

    def _move(
        self, symbol: str, side: Side, quantity: Decimal, price: Decimal, *, value: Decimal | None = None
    ) -> None:
        before = self.position(symbol)
        after = self._positions[symbol] = apply_to_position(before, side, quantity, price)
        self.result += after.realised - before.realised
        if self.cash is not None:
            self.cash -= signed(side, quantity) * price if value is None else value

    def _charge(self, fill: Fill) -> None:
        """Take a fee from the cash, or, where the venue takes it in the base currency, from the position."""
        if fill.fee_currency is FeeCurrency.BASE:
            held = self.position(fill.symbol)
            left = held.quantity - fill.fee
            average = held.average_price if left else None
            self._positions[fill.symbol] = msgspec.structs.replace(held, quantity=left, average_price=average)
            self.fees += fill.fee * fill.price
            self.result -= fill.fee * fill.price
            return
        self.fees += fill.fee
        self.result -= fill.fee
        if self.cash is not None:
            self.cash -= fill.fee
