"""The broker process: an exchange behind a socket, with a plan of what goes wrong, and the truth of a whole story.

It outlives every child. What it tells on the stream goes with the reply to whoever is connected, and is lost with him.
``serve`` answers one connection after the other; a request that a dying child had written is still carried out.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import msgspec

from interlock.domain.broker import (
    BrokerMessage,
    BrokerStatus,
    Expired,
    Fill,
    OrderNotFound,
    PlaceOrder,
    Rejected,
    Throttled,
    Unavailable,
)
from interlock.domain.instants import to_ns
from interlock.domain.intents import Side
from interlock.domain.money import ZERO
from interlock.mocks.exchange import Exchange, MockOrder, OpeningBook
from tools.crash.plan import CALM, LATE_S, Fate, Mishaps, Plan
from tools.crash.wire import (
    Book,
    Calm,
    Cancel,
    Mark,
    Marked,
    Place,
    Query,
    Reach,
    Reply,
    Request,
    Said,
    Sent,
    Show,
    Snapshot,
    Stop,
    There,
    Tick,
    pack,
)

__all__ = ["BrokerBook", "serve"]

_CONNECTIONS_MAX: Final = 10_000
_LOT: Final = Decimal("0.01")
_TOLD_S: Final = 0.03
_NOT_DONE: Final = (Fate.LOST_BEFORE, Fate.ERROR_BEFORE)
_NO_ANSWER: Final = (Fate.LOST_BEFORE, Fate.LOST_AFTER, Fate.LATE)
_ERROR: Final = (Fate.ERROR_BEFORE, Fate.ERROR_AFTER)


class BrokerBook:
    """The exchange with its mishaps. ``handle`` takes one request; it is the only way in."""

    def __init__(self, opening: OpeningBook, prices: dict[str, Decimal], plan: Plan, seed: int) -> None:
        self._exchange = Exchange(opening)
        self._exchange.prices.update(prices)
        self._mishaps = Mishaps(plan, seed)
        self._now_ns = 0
        self._sent: list[Sent] = []
        self._marks: list[Marked] = []
        self._late: list[tuple[int, PlaceOrder]] = []
        self._told: list[Said] = []
        self._handlers: dict[type[Any], Callable[[Any], BrokerMessage | None]] = {
            Place: self._place,
            Cancel: self._cancel,
            Query: self._query,
            Snapshot: self._snapshot,
            Tick: self._tick,
            Mark: self._mark,
            Calm: self._calm,
            Show: lambda _: None,
        }

    def handle(self, request: Request) -> Reply:
        """Do what is asked and return what is said, as far as it does not get lost."""
        self._now_ns = max(self._now_ns, request.now_ns)
        self._told = []
        self._arrive_late()
        answer = self._handlers[type(request)](request)
        book = self._book() if isinstance(request, Show) else None
        return Reply(None if answer is None else pack(answer), tuple(self._told), self._reach(), book)

    # -- calls ----------------------------------------------------------------------------------------------

    def _place(self, request: Place) -> BrokerMessage | None:
        fate, order = self._mishaps.place(), request.order
        self._sent.append(Sent(order, self._now_ns, fate))
        if fate is Fate.LIMITED:
            return Throttled(retry_after_s=1.0)
        if fate is Fate.REFUSED:
            return Rejected(client_order_id=order.client_order_id, code="INSUFFICIENT_MARGIN")
        if fate is Fate.LATE:
            self._late.append((self._now_ns + to_ns(1 + self._mishaps.below(LATE_S, "late")), order))
            return None
        return self._answer(fate, lambda: self._take_in(order, self._now_ns))

    def _cancel(self, request: Cancel) -> BrokerMessage | None:
        fate = self._mishaps.cancel()
        if fate is Fate.LIMITED:
            return Throttled()
        return self._answer(fate, lambda: self._close(request.key))

    def _query(self, request: Query) -> BrokerMessage | None:
        fate, key = self._mishaps.read(), request.key
        if fate is Fate.LIMITED:
            return Throttled(retry_after_s=0.5)
        order = self._exchange.orders.get(key)
        if fate is Fate.HIDDEN and order is not None and self._now_ns - order.placed_ns < to_ns(LATE_S):
            return OrderNotFound(client_order_id=key)
        return self._answer(fate, lambda: self._exchange.query(key))

    def _snapshot(self, request: Snapshot) -> BrokerMessage | None:
        fate = self._mishaps.read()
        if fate is Fate.LIMITED:
            return Throttled()
        return self._answer(fate, lambda: self._exchange.snapshot(self._now_ns, request.fills_after))

    def _answer(self, fate: Fate, act: Callable[[], BrokerMessage]) -> BrokerMessage | None:
        done = None if fate in _NOT_DONE else act()
        if fate in _NO_ANSWER:
            return None
        return Unavailable(reason="internal error") if fate in _ERROR else done

    def _mark(self, request: Mark) -> None:
        self._marks.append(Marked(request.what, self._now_ns, len(self._sent)))

    def _calm(self, _: Calm) -> None:
        self._mishaps.plan = CALM

    # -- the market -----------------------------------------------------------------------------------------

    def _tick(self, request: Tick) -> None:
        exchange = self._exchange
        for _ in range(request.times):
            for symbol, price in sorted(exchange.prices.items()):
                exchange.prices[symbol] = price + self._mishaps.below(3, f"price.{symbol}") - 1
                for order in exchange.crossed(symbol):
                    self._trade(order)

    def _take_in(self, request: PlaceOrder, now_ns: int) -> BrokerMessage:
        said = self._exchange.place(request, now_ns)
        order = self._exchange.orders.get(request.client_order_id)
        if order is not None and not isinstance(said, Rejected):
            if self._exchange.marketable(order):
                self._trade(order)
            if self._exchange.expire_if_immediate(order):
                self._tell(Expired(client_order_id=request.client_order_id, filled=order.filled))
        return said

    def _arrive_late(self) -> None:
        due = [late for late in self._late if late[0] <= self._now_ns]
        self._late = [late for late in self._late if late[0] > self._now_ns]
        for due_ns, order in due:
            self._take_in(order, due_ns)

    def _close(self, key: str) -> BrokerMessage:
        order = self._exchange.orders.get(key)
        if order is not None and order.status is BrokerStatus.OPEN and self._mishaps.crosses():
            self._fill(order, self._part(order))
        return self._exchange.cancel(key)

    def _trade(self, order: MockOrder) -> None:
        self._fill(order, self._part(order) if self._mishaps.partly() else order.leaves)

    def _part(self, order: MockOrder) -> Decimal:
        return max(_LOT, (order.leaves / 2).quantize(_LOT))

    def _fill(self, order: MockOrder, quantity: Decimal) -> None:
        fill = self._exchange.execute(order, min(quantity, order.leaves), self._now_ns)
        self._tell(fill)
        if len(self._exchange.executions) == self._mishaps.plan.conflict_at:
            self._told.append(pack(fill.model_copy(update={"price": fill.price * 2}), 1.0))

    def _tell(self, statement: Fill | Expired) -> None:
        fate = self._mishaps.told()
        if fate is Fate.LOST_BEFORE:
            return
        late_s = 1.0 + self._mishaps.below(LATE_S, "told late") if fate is Fate.LATE else _TOLD_S
        self._told.append(pack(statement, late_s))
        if fate is Fate.TWICE:
            self._told.append(pack(statement, late_s + 1))

    # -- what is seen ---------------------------------------------------------------------------------------

    def _reach(self) -> dict[str, Reach]:
        exchange = self._exchange
        sides = {(symbol, side): ZERO for symbol in exchange.prices for side in Side}
        for order in exchange.orders.values():
            if order.status is BrokerStatus.OPEN:
                sides[order.request.symbol, order.request.side] += order.leaves
        for _, late in self._late:
            sides[late.symbol, late.side] += late.quantity
        held = {symbol: exchange.positions.get(symbol, ZERO) for symbol in exchange.prices}
        return {
            symbol: Reach(held[symbol] + sides[symbol, Side.BUY], held[symbol] - sides[symbol, Side.SELL])
            for symbol in exchange.prices
        }

    def _book(self) -> Book:
        exchange = self._exchange
        orders = {key: There(o.request, o.status.value, o.filled) for key, o in exchange.orders.items()}
        return Book(
            now_ns=self._now_ns,
            sent=tuple(self._sent),
            accepted=tuple(exchange.accepted),
            orders=orders,
            on_their_way=tuple(order.client_order_id for _, order in self._late),
            executions=tuple(pack(fill) for fill in exchange.executions),
            positions=exchange.positions,
            cash=exchange.cash,
            marks=tuple(self._marks),
        )


def serve(listener: socket.socket, book: BrokerBook) -> None:
    """Answer whoever connects, one after the other, until told to stop."""
    for _ in range(_CONNECTIONS_MAX):
        connection, _ = listener.accept()
        # A child that was killed before its answer: what it had asked for was done.
        with connection, suppress(ConnectionError):
            if _converse(connection, book):
                return


def _converse(connection: socket.socket, book: BrokerBook) -> bool:
    """Serve one connection to its end; return whether that is the end of all."""
    encode, decode = msgspec.json.Encoder(decimal_format="string").encode, msgspec.json.Decoder(Request).decode
    with connection.makefile("rb") as lines:
        for line in lines:
            request: Request = decode(line)
            if isinstance(request, Stop):
                return True
            connection.sendall(encode(book.handle(request)) + b"\n")
    return False
