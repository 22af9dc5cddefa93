"""The account as it outlives a session: one line a symbol, each as it was after the last fill in that symbol.

What belongs to the whole account (cash, fees, result, the day's losses, how far its fills are known) is in every line;
the line with the most fills has it as it was last. A line is stored with the fill that made it, never alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from interlock.domain.broker import Fill
from interlock.domain.ledgers import AccountLedger, FillBook, LedgerLine, Position
from interlock.domain.money import ZERO

__all__ = ["AccountBook", "AccountLine", "opening_lines"]


class AccountLine(msgspec.Struct, frozen=True, tag_field="schema", tag="AccountLine/1"):
    """One position, and the account after ``fills`` fills; ``symbol`` is "" where there was no position at all.

    ``day`` counts UTC days since the epoch, ``day_before`` is the result before that day. ``cursor`` is the highest
    place in the broker's sequence of fills that was seen, ``matched`` the one up to which both sides have agreed.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal | None
    realised: Decimal
    cash: Decimal | None
    fees: Decimal
    result: Decimal
    day: int
    day_before: Decimal
    cursor: int
    matched: int
    fills: int


class AccountBook(msgspec.Struct, frozen=True):
    """Every line of one account, and the fills above what is matched, oldest first."""

    lines: tuple[AccountLine, ...]
    fills: tuple[Fill, ...] = ()

    @property
    def last(self) -> AccountLine:
        """Return the line that has the account as it was last."""
        return max(self.lines, key=lambda line: line.fills)

    def ledger(self) -> AccountLedger:
        """Return the ledger to go on with."""
        last = self.last
        ledger = AccountLedger(last.cash)
        for line in self.lines:
            if line.symbol:
                position = Position(line.symbol, line.quantity, line.average_price, line.realised)
                ledger.take(LedgerLine(position, last.cash, last.fees, last.result))
        ledger.fees, ledger.result = last.fees, last.result
        return ledger

    def fill_book(self) -> FillBook:
        """Return the book of fills to go on with; those that are matched on both sides are not in it."""
        last = self.last
        book = FillBook(last.matched, last.cursor, last.fills - len(self.fills))
        for fill in self.fills:
            book.remember(fill)
        return book

    def begun_anew(self, cash: Decimal | None, positions: Mapping[str, Decimal]) -> AccountBook:
        """Return the account with another opening, in which every fill that is known is contained already.

        What was lost today stays lost: another opening is no new loss budget.
        """
        known, last = self.fill_book(), self.last
        contained = last.matched
        for cursor in sorted(fill.cursor for fill in self.fills):
            contained += cursor == contained + 1
        lines = tuple(
            msgspec.structs.replace(
                line,
                fees=last.fees,
                result=last.result,
                day=last.day,
                day_before=last.day_before,
                cursor=known.cursor,
                matched=contained,
                fills=known.ever,
            )
            for line in opening_lines(cash, positions)
        )
        return AccountBook(lines, tuple(fill for fill in self.fills if fill.cursor > contained))


def opening_lines(cash: Decimal | None, positions: Mapping[str, Decimal]) -> tuple[AccountLine, ...]:
    """Return the lines of an account in which nothing was traded yet."""
    return tuple(
        AccountLine(symbol, quantity, None, ZERO, cash, ZERO, ZERO, 0, ZERO, 0, 0, 0)
        for symbol, quantity in (sorted(positions.items()) or [("", ZERO)])
    )
