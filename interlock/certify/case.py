"""What a rule has in its hands: one fresh adapter with its double, and the words to say what is wrong.

A check returns a note for the report, or "", where the rule holds, and raises ``Wrong`` where it does not. Whatever
else leaves it was not expected of the adapter and counts as wrong as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

from interlock.certify.bench import DECIMALS, LOT, PRICE, SYMBOL, Bench
from interlock.domain.broker import Accepted, BrokerMessage, Fill, PlaceOrder
from interlock.domain.errors import DeadlineExceeded
from interlock.domain.ids import client_order_id
from interlock.domain.instants import NS_PER_S
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.ports import BrokerReader, BrokerTrader
from interlock.runtime.clock import RealClock

__all__ = ["Case", "Listener", "Skip", "Wrong", "need", "raised", "shown", "total", "trades", "unlike"]

T = TypeVar("T")

_NOON_NS: Final = 1_767_614_400 * NS_PER_S
"""2026-01-05T12:00:00Z, where fills begin."""


class Wrong(Exception):
    """The adapter does not do what the port says; the text is what was seen."""


class Skip(Exception):
    """The rule cannot be held to this adapter; the text says why."""


def need(holds: object, seen: str) -> None:
    """Raise ``Wrong`` unless it holds."""
    if not holds:
        raise Wrong(seen)


def trades(broker: object) -> bool:
    """Return whether it means to be a trader: it can place."""
    return hasattr(broker, "place")


async def raised(call: Awaitable[object], what: str) -> Exception:
    """Return what a call raises."""
    try:
        answer = await call
    except Exception as error:  # noqa: BLE001 - whatever an adapter raises is what is looked at
        return error
    raise Wrong(f"{what} was answered: {shown(answer)}")


def shown(answer: object) -> str:
    """Return an answer on one short line."""
    return " ".join(repr(answer).split())[:200]


def unlike(one: BrokerMessage, other: BrokerMessage) -> str:
    """Return in which fields two statements differ, and how."""
    theirs = dict(other)
    return ", ".join(f"{name}: {value!r}, {theirs.get(name)!r}" for name, value in one if value != theirs.get(name))


class Case:
    """One bench with what it stands for, and orders to try it with."""

    def __init__(self, made: object, timeout_s: float) -> None:
        self.bench = cast("Bench", made)
        self._broker: object = getattr(made, "broker", made)
        self.symbol: str = getattr(made, "symbol", SYMBOL)
        self.price: Decimal = getattr(made, "price", PRICE)
        self.lot: Decimal = getattr(made, "lot", LOT)
        self.decimals: tuple[tuple[Decimal, Decimal], ...] = getattr(made, "decimals", DECIMALS)
        self.timeout_s = timeout_s
        self._clock = RealClock()
        self._orders = 0
        self._fills = 0
        self._tasks: list[asyncio.Task[Any]] = []

    @property
    def reader(self) -> BrokerReader:
        """What is certified, to be asked."""
        return cast("BrokerReader", self._broker)

    @property
    def trader(self) -> BrokerTrader:
        """What is certified, to be traded with. Only for rules that are for traders."""
        return cast("BrokerTrader", self._broker)

    # -- orders ---------------------------------------------------------------------------------------------

    def request(self, lots: int = 4, *, quantity: Decimal | None = None, price: Decimal | None = None) -> PlaceOrder:
        """Return a new order to buy, which rests."""
        self._orders += 1
        return PlaceOrder(
            client_order_id("certify", f"order-{self._orders}"),
            self.symbol,
            Side.BUY,
            OrderType.LIMIT,
            quantity or lots * self.lot,
            price or self.price,
            TimeInForce.GTC,
        )

    async def put(self, request: PlaceOrder) -> PlaceOrder:
        """Bring an order into the book: through the adapter where it can, else by the double."""
        if not trades(self._broker):
            await self.bench.place_there(request)
            return request
        answer = await self.trader.place(request)
        need(isinstance(answer, Accepted), f"an ordinary order was answered with {shown(answer)}")
        return request

    async def rests(self, lots: int = 4) -> PlaceOrder:
        """Return an order that rests in the book."""
        return await self.put(self.request(lots))

    async def fill(self, order: PlaceOrder, lots: int = 1, *, at_s: int | None = None) -> int:
        """Let so many lots of an order execute, each time a second later unless told when; return that instant."""
        self._fills += 1
        ts_ns = self.instant_ns(self._fills if at_s is None else at_s)
        await self.bench.fill(order.client_order_id, lots * self.lot, self.price, ts_ns)
        return ts_ns

    def instant_ns(self, at_s: int) -> int:
        """Return an instant so many seconds after noon."""
        return _NOON_NS + at_s * NS_PER_S

    # -- waiting --------------------------------------------------------------------------------------------

    async def within(self, call: Awaitable[T], otherwise: str) -> T:
        """Return the answer to a call that has half of the rule's time.

        Raises:
            Wrong: it took longer; ``otherwise`` says what did not happen.
        """
        try:
            with self._clock.deadline(self.timeout_s / 2):
                return await call
        except DeadlineExceeded as error:
            raise Wrong(f"{otherwise} within {self.timeout_s / 2} s") from error

    async def many_held(self, count: int) -> None:
        """Wait until so many answers are held back, or one, where the adapter makes one call at a time."""
        await self.bench.held(1)
        try:
            with self._clock.deadline(min(self.timeout_s / 2, 0.05)):
                await self.bench.held(count)
        except DeadlineExceeded:
            return  # making one call after the other is a way to keep answers apart

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work beside the rule; it ends with the rule at the latest."""
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def listen(self) -> Listener:
        """Return somebody who hears what is told from now on."""
        listener = Listener(self)
        await self.within(listener.begun(self.begin(self.bench.listened())), "nobody listened at the double")
        return listener

    async def end(self) -> None:
        """End what was started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Listener:
    """Hears the statements of an adapter."""

    def __init__(self, case: Case) -> None:
        self.told: list[BrokerMessage] = []
        self.error: Exception | None = None
        """What ended it; StopAsyncIteration where it ended by itself."""
        self._case = case
        self._some = asyncio.Event()
        self._iterator = case.trader.statements()
        case.begin(self._listen())

    @property
    def fills(self) -> list[Fill]:
        """What was told of fills."""
        return [statement for statement in self.told if isinstance(statement, Fill)]

    @property
    def silent(self) -> bool:
        """Whether there is nothing to be told, now or later."""
        return not self.told and isinstance(self.error, StopAsyncIteration)

    async def begun(self, listened: asyncio.Task[None]) -> None:
        """Wait until it listens, or the iterator has ended."""
        listened.add_done_callback(lambda _: self._some.set())
        while not listened.done() and self.error is None:
            await self._next()

    async def until_cursor(self, last: int) -> None:
        """Wait until the fill at a cursor has been told, or the iterator has ended."""
        await self._case.within(self._heard(last), f"the fill at cursor {last} was not told")

    async def ended(self) -> Exception:
        """Return what ended the iterator."""
        await self._case.within(self._over(), "the iterator did not end")
        return cast("Exception", self.error)

    async def _heard(self, last: int) -> None:
        while all(fill.cursor != last for fill in self.fills) and self.error is None:
            await self._next()

    async def _over(self) -> None:
        while self.error is None:
            await self._next()

    async def _next(self) -> None:
        self._some.clear()
        await self._some.wait()

    async def _listen(self) -> None:
        while True:
            try:
                self.told.append(await anext(self._iterator))
            except Exception as error:  # noqa: BLE001 - as in raised(); the end is an error too
                self.error = error
                return
            finally:
                self._some.set()


def total(fills: Iterable[Fill]) -> Decimal:
    """Return what was executed."""
    return sum((fill.quantity for fill in fills), Decimal(0))
