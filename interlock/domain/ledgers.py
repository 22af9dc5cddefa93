"""Ledgers: positions and cash as a fold over fills, each fill once.

A known fill id with the same content changes nothing and is reported as a duplicate; with other content it is a
broken invariant (SAF-5). Average price and realised result follow the average-cost method; a fill that turns a
position around closes the old one at its price and opens the rest at the same price.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from interlock.domain.broker import FeeCurrency, Fill
from interlock.domain.errors import InvariantBroken
from interlock.domain.intents import BUY, SELL, Side
from interlock.domain.money import ZERO, decimal_text

__all__ = [
    "AccountLedger",
    "Executed",
    "FillBook",
    "LedgerLine",
    "Position",
    "apply_to_position",
    "need_same_fill",
    "signed",
]


class Executed(Protocol):
    """What a ledger asks of an execution; every ``Fill`` is one."""

    @property
    def symbol(self) -> str:
        """What was traded."""

    @property
    def side(self) -> Side:
        """Bought or sold."""

    @property
    def quantity(self) -> Decimal:
        """How much, above zero."""

    @property
    def price(self) -> Decimal:
        """At what price, above zero."""

    @property
    def fee(self) -> Decimal:
        """What it cost."""

    @property
    def fee_currency(self) -> FeeCurrency:
        """What the fee was taken in."""


class Position(msgspec.Struct, frozen=True):
    """Quantity (negative when short), average entry price (None when flat) and realised result before fees."""

    symbol: str
    quantity: Decimal = ZERO
    average_price: Decimal | None = None
    realised: Decimal = ZERO


class LedgerLine(msgspec.Struct, frozen=True):
    """One position and what belongs to the whole account, as they are after a fill."""

    position: Position
    cash: Decimal | None
    fees: Decimal = ZERO
    result: Decimal = ZERO


def signed(side: Side, quantity: Decimal) -> Decimal:
    """Return the quantity with the sign of its effect on the position."""
    return quantity if side is BUY else -quantity


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


def need_same_fill(known: Fill, fill: Fill) -> None:
    """Raise the ``InvariantBroken`` of a fill id that is known with other content (``fill_conflict``)."""
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


class FillBook:
    """Which fills are known, and that each id keeps its content.

    ``cursor`` is the highest place in the broker's own sequence of fills that was seen, ``matched`` the one up to which
    both sides have agreed: from there on fills are fetched, and compared, after a restart.
    """

    def __init__(self, matched: int = 0, cursor: int = 0, before: int = 0) -> None:
        """Begin after ``before`` fills that are not kept here."""
        self._fills: dict[str, Fill] = {}
        self._order: list[Fill] = []
        self._before = before
        self.cursor = cursor
        self.matched = matched

    @property
    def ever(self) -> int:
        """Return how many fills the account has, those before this book included."""
        return self._before + len(self._order)

    def repeats(self, fill: Fill) -> bool:
        """Return whether this very fill is known already.

        Raises:
            InvariantBroken: ``fill_conflict``: the id is known with other content.
        """
        known = self._fills.get(fill.fill_id)
        if known is None:
            return False
        need_same_fill(known, fill)
        return True

    def remember(self, fill: Fill) -> None:
        """Take a fill in that ``repeats`` called new."""
        self._fills[fill.fill_id] = fill
        self._order.append(fill)
        self.cursor = max(self.cursor, fill.cursor)

    def all_matched(self, cursor: int) -> None:
        """Take note that both sides were compared up to ``cursor``, and agreed."""
        self.matched = max(cursor, self.matched)

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

    def line(self, symbol: str) -> LedgerLine:
        """Return one position and the account as they are now."""
        return LedgerLine(self.position(symbol), self.cash, self.fees, self.result)

    def after(self, fill: Executed) -> LedgerLine:
        """Return what one fill, admitted before, makes of its position and of the account; nothing is booked."""
        value = signed(fill.side, fill.quantity) * fill.price
        return _charged(_moved(self.line(fill.symbol), fill.side, fill.quantity, fill.price, value), fill)

    def take(self, line: LedgerLine) -> None:
        """Go on from ``line``."""
        self._positions[line.position.symbol] = line.position
        self.cash, self.fees, self.result = line.cash, line.fees, line.result

    def book(self, fill: Executed) -> None:
        """Book one fill that was admitted before."""
        self.take(self.after(fill))

    def book_transaction(self, fills: Sequence[Fill]) -> None:
        """Book fills of one symbol that belong together: where the account traded with itself, only the net counts.

        Raises:
            InvariantBroken: ``mixed_transaction``: the fills are of several symbols.
        """
        symbols = list(dict.fromkeys(fill.symbol for fill in fills))
        if len(symbols) > 1:
            code = "mixed_transaction"
            raise InvariantBroken(code, "a transaction has one symbol", {"symbols": symbols})
        if not fills:
            return
        line = self.line(symbols[0])
        net = sum((signed(fill.side, fill.quantity) for fill in fills), ZERO)
        side = BUY if net > 0 else SELL
        same = [fill for fill in fills if fill.side is side]
        if net:
            size = sum((fill.quantity for fill in same), ZERO)
            paid = sum((fill.quantity * fill.price for fill in same), ZERO)
            value = sum((signed(fill.side, fill.quantity) * fill.price for fill in fills), ZERO)
            line = _moved(line, side, abs(net), paid / size, value)
        for fill in fills:
            line = _charged(line, fill)
        self.take(line)


def _moved(line: LedgerLine, side: Side, quantity: Decimal, price: Decimal, value: Decimal) -> LedgerLine:
    """Return the line after a trade for which ``value`` left the cash."""
    before = line.position
    after = apply_to_position(before, side, quantity, price)
    cash = None if line.cash is None else line.cash - value
    return LedgerLine(after, cash, line.fees, line.result + after.realised - before.realised)


def _charged(line: LedgerLine, fill: Executed) -> LedgerLine:
    """Take a fee from the cash, or, where the venue takes it in the base currency, from the position."""
    if fill.fee_currency is FeeCurrency.BASE:
        held, cost = line.position, fill.fee * fill.price
        left = held.quantity - fill.fee
        position = msgspec.structs.replace(held, quantity=left, average_price=held.average_price if left else None)
        return LedgerLine(position, line.cash, line.fees + cost, line.result - cost)
    cash = None if line.cash is None else line.cash - fill.fee
    return LedgerLine(line.position, cash, line.fees + fill.fee, line.result - fill.fee)
