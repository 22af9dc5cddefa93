"""Exposure: positions, cash, and what live orders may still do to them; the book behind the rails.

An order counts as fully open from before it is sent until it is known to be over. What happens is checked as it is
booked, and an invariant that breaks raises with its evidence. The rails and the order desk keep one each and never
see the other's.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Self

import msgspec

from interlock.domain.account_book import AccountBook, AccountLine
from interlock.domain.broker import Accepted, Fill
from interlock.domain.errors import InvariantBroken
from interlock.domain.intents import BUY, SELL, Side
from interlock.domain.ledgers import AccountLedger, FillBook, LedgerLine
from interlock.domain.limits import RailLimits
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.orders import Order
from interlock.domain.windows import SlidingWindow, SlidingWindows

__all__ = ["Exposure", "price_with_buffer", "repeat_key"]

_DAY_NS: Final = 86_400_000_000_000


def repeat_key(order: Order) -> tuple[object, ...]:
    """Return what makes two orders the same order tried again."""
    return order.symbol, order.side, order.order_type, order.quantity, order.limit_price


def price_with_buffer(order: Order, limits: RailLimits) -> Decimal:
    """Return what one unit may cost: the limit, or the reference of a market order, and the buffer on top."""
    return (order.limit_price or order.reference_price or ZERO) * (1 + limits.cash_buffer)


class DailyResult:
    """The realised result since the UTC day began. A day never comes back, so a loss budget is never re-opened."""

    __slots__ = ("before", "day")

    def __init__(self, day: int = 0, before: Decimal = ZERO) -> None:
        """Go on in ``day`` (since the epoch), before which the result was ``before``."""
        self.day = day
        self.before = before

    def begin(self, ledger: AccountLedger, now_ns: int) -> None:
        """Begin a new day if ``now_ns`` lies in one; called before anything of that day is booked."""
        day = now_ns // _DAY_NS
        if day > self.day:
            self.day = day
            self.before = ledger.result

    def result(self, ledger: AccountLedger, now_ns: int) -> Decimal:
        """Return the result of the day that ``now_ns`` lies in; zero where nothing was booked in it yet."""
        if now_ns // _DAY_NS > self.day:
            return ZERO
        return ledger.result - self.before


class _Reserved(msgspec.Struct, gc=False):
    """What one live order may still do to the account."""

    order: Order
    price: Decimal
    filled: Decimal = ZERO
    broker_order_id: str | None = None


class Exposure:
    """Positions, cash and what live orders may still add to them; raises when an invariant breaks."""

    def __init__(self, limits: RailLimits, cash: Decimal | None, positions: dict[str, Decimal]) -> None:
        self.limits = limits
        self.ledger = AccountLedger(cash, positions)
        self.fills = FillBook()
        self.reserved_cash = ZERO
        self.messages = SlidingWindow(limits.messages_window_s)
        self.tried = SlidingWindows(limits.repeats_window_s)
        self._open: dict[tuple[str, Side], Decimal] = {}
        self._day = DailyResult()
        self._live: dict[str, _Reserved] = {}
        self._ended: dict[str, _Reserved] = {}

    @classmethod
    def restored(cls, limits: RailLimits, book: AccountBook, live: Iterable[Order]) -> Self:
        """Return the exposure to go on with after a restart: the account's lines, and every order that may be live."""
        exposure = cls(limits, None, {})
        exposure.ledger, exposure.fills = book.ledger(), book.fill_book()
        exposure._day = DailyResult(book.last.day, book.last.day_before)
        for order in live:
            exposure.adopt(order)
        return exposure

    def adopt(self, order: Order) -> None:
        """Take in an order of an earlier session, whose fills are booked; what is left of a live one is reserved."""
        held = _Reserved(order, price_with_buffer(order, self.limits), order.filled, order.broker_order_id)
        if order.live:
            self._live[order.client_order_id] = held
            self._hold(held, order.leaves)
        else:
            self._ended[order.client_order_id] = held

    def left_before(self, orders: Iterable[Order], now_ns: int) -> None:
        """Count orders that left in an earlier session, oldest first, as messages and as tries.

        None counts as later than ``now_ns``: after a clock that was ahead, they would be held against others for long.
        """
        for order in orders:
            at_ns = min(order.created_ns, now_ns)
            self.messages.note(at_ns)
            self.tried.note(repeat_key(order), at_ns)

    def line_after(self, fill: Fill) -> AccountLine:
        """Return the line that a fill, admitted before, will make; nothing is booked."""
        fills = self.fills
        return self._line(self.ledger.after(fill), max(fills.cursor, fill.cursor), fills.matched, fills.ever + 1)

    def lines(self) -> tuple[AccountLine, ...]:
        """Return the account as it is now, a line for each position; one without a symbol where there is none."""
        ledger, fills = self.ledger, self.fills
        symbols = [position.symbol for position in ledger.positions()] or [""]
        return tuple(self._line(ledger.line(name), fills.cursor, fills.matched, fills.ever) for name in symbols)

    def _line(self, line: LedgerLine, cursor: int, matched: int, fills: int) -> AccountLine:
        day = self._day
        return AccountLine(
            line.position.symbol,
            line.position.quantity,
            line.position.average_price,
            line.position.realised,
            line.cash,
            line.fees,
            line.result,
            day.day,
            day.before,
            cursor,
            matched,
            fills,
        )

    @property
    def live_orders(self) -> int:
        """Return how many orders hold a reservation."""
        return len(self._live)

    def open_quantity(self, symbol: str, side: Side) -> Decimal:
        """Return what live orders of one side may still add to the position, or take out of it."""
        return self._open.get((symbol, side), ZERO)

    def begin_day(self, now_ns: int) -> None:
        """Begin a new day of losses if ``now_ns``, by our own clock, lies in one; called before anything is booked."""
        self._day.begin(self.ledger, now_ns)

    def loss_of_day(self, now_ns: int) -> Decimal:
        """Return the realised loss of this UTC day, fees included; negative for a profit."""
        return -self._day.result(self.ledger, now_ns)

    def holds(self, client_order_id: str) -> bool:
        """Return whether the order has been reserved, now or before."""
        return client_order_id in self._live or client_order_id in self._ended

    def reserve(self, order: Order, now_ns: int) -> None:
        """Count an order as fully open from before it is sent until it is known to be over.

        Raises:
            InvariantBroken: ``duplicate_order``: the key was live or used before.
        """
        key = order.client_order_id
        if key in self._live or key in self._ended:
            code = "duplicate_order"
            raise InvariantBroken(code, "a second order under one key", {"client_order_id": key})
        held = self._live[key] = _Reserved(order, price_with_buffer(order, self.limits))
        self._hold(held, order.quantity)
        self.messages.note(now_ns)
        self.tried.note(repeat_key(order), now_ns)

    def release(self, client_order_id: str) -> None:
        """Free what is left of an order's reservation; a second time changes nothing."""
        held = self._live.pop(client_order_id, None)
        if held is not None:
            self._hold(held, held.filled - held.order.quantity)
            self._ended[client_order_id] = held

    def forget(self, client_order_id: str) -> None:
        """Forget an order that was released and never left: its host may ask for it again, and is refused again."""
        self._ended.pop(client_order_id, None)

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
            InvariantBroken: ``fill_conflict``, ``unknown_order_fill``, ``fill_mismatch`` or ``overfill``; nothing
                is booked.
        """
        if self.fills.repeats(fill):
            return False
        held = self._held(fill.client_order_id)
        if held is None:
            code = "unknown_order_fill"
            raise InvariantBroken(code, "a fill for an order that was never sent", _about(fill, quantity=fill.quantity))
        if fill.symbol != held.order.symbol or fill.side is not held.order.side:
            code, text = "fill_mismatch", "a fill names another symbol or side than its order"
            raise InvariantBroken(code, text, _about(fill, quantity=fill.quantity))
        if held.filled + fill.quantity > held.order.quantity:
            code, evidence = "overfill", _about(fill, quantity=fill.quantity, filled=held.filled)
            raise InvariantBroken(code, "filled above ordered", evidence)
        self.fills.remember(fill)
        held.filled += fill.quantity
        if fill.client_order_id in self._live:
            self._hold(held, -fill.quantity)
            if held.filled == held.order.quantity:
                self.release(fill.client_order_id)
        self.ledger.book(fill)
        return True

    def verify(self, fill: Fill) -> None:
        """Hold the account to its invariants after a fill was booked: it happened, whatever it led to.

        Raises:
            InvariantBroken: ``negative_cash`` or ``short_position``.
        """
        cash = self.ledger.cash
        if cash is not None and cash < 0:
            code = "negative_cash"
            raise InvariantBroken(code, "the account's cash is below zero", _about(fill, cash=cash))
        limits = self.limits.symbols.get(fill.symbol)
        position = self.ledger.position(fill.symbol).quantity
        if position < 0 and fill.side is SELL and not (limits is not None and limits.allow_short):
            code, evidence = "short_position", {**_about(fill, position=position), "symbol": fill.symbol}
            raise InvariantBroken(code, "short in an instrument that allows no shorts", evidence)

    def _held(self, client_order_id: str) -> _Reserved | None:
        return self._live.get(client_order_id) or self._ended.get(client_order_id)

    def _hold(self, held: _Reserved, quantity: Decimal) -> None:
        order = held.order
        key = order.symbol, order.side
        self._open[key] = self._open.get(key, ZERO) + quantity
        if order.side is BUY:
            self.reserved_cash += quantity * held.price


def _about(fill: Fill, **amounts: Decimal) -> dict[str, object]:
    """Return which fill it is about, with some amounts, as evidence of what is wrong with it."""
    told = {name: decimal_text(amount) for name, amount in amounts.items()}
    return {"client_order_id": fill.client_order_id, "fill_id": fill.fill_id, **told}
