"""Hosts for tests: an event loop of either kind, a broker behind the ports that does what it is told, a fast clock."""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any, Final, TypeVar

import anyio
import pytest

from interlock.config.model import SessionConfig
from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerMessage,
    BrokerOrder,
    Cancelled,
    CancelRefused,
    Fill,
    OrderNotFound,
    PlaceOrder,
    PositionLine,
    Rejected,
)
from interlock.domain.instants import NS_PER_S
from interlock.domain.intents import OrderIntent, OrderType, Side, TimeInForce
from interlock.host.opening import Sinks
from interlock.mocks.exchange import Exchange, OpeningBook
from interlock.runtime.clock import RealClock, Timer
from tests.session_builders import BTC, ETH, Kept, a_config, intent_fields

__all__ = [
    "LOOPS",
    "FastClock",
    "InstantLoop",
    "LoopClock",
    "ReaderOf",
    "TraderOf",
    "a_place",
    "an_exchange",
    "an_intent",
    "host_config",
    "in_loop",
    "instantly",
    "sinks_of",
]

T = TypeVar("T")

BOUND_S: Final = 20
"""No test here waits for the clock; this only keeps a broken one from hanging."""

_NEW_YEAR_NS: Final = 1_767_225_600 * NS_PER_S

LOOPS: Final = ("asyncio", "uvloop")

_QUICK: dict[str, Any] = {
    "broker": {"request_latency_s": "0", "report_latency_s": "0", "price_every_s": "3600", "timeout_s": "1"},
    "session": {"drain_every_s": "0.005"},
    "reconcile": {"grace_s": "0.01"},
    "settle": {"interval_s": "0.005", "settle_after_s": "0.02", "deadline_s": "1"},
    "retry": {"wait_initial_s": "0.001", "wait_max_s": "0.005", "jitter_s": "0"},
    "alerts": {"flush_s": "0.1"},
}


def host_config(**sections: Any) -> SessionConfig:
    """Return the config of a session in a host, with waits of milliseconds; sections extend it."""
    return a_config(**_QUICK | {name: _QUICK.get(name, {}) | section for name, section in sections.items()})


def in_loop(loop: str, story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a story in an event loop of the named kind, bounded, and hold it to leave no task behind."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if loop == "uvloop":
        factory = pytest.importorskip("uvloop", reason="uvloop is a dependency of development").new_event_loop

    async def bounded() -> T:
        async with asyncio.timeout(BOUND_S):  # noqa: TID251 - a bound on the test, not on an actor
            told = await story()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return told

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(bounded())


def an_intent(decision_id: str, **wanted: str) -> OrderIntent:
    """Return the intent of ``intent_fields``."""
    return OrderIntent.model_validate(intent_fields(decision_id, **wanted))


def sinks_of(kept: Kept) -> Sinks:
    """Return sinks that keep everything."""
    return Sinks(kept.events, kept.states, kept.metrics, kept.audit)


class FastClock(RealClock):
    """Real time, ``speed`` times as fast: a second of the session is a fraction of one for us."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed
        self._from_ns = super().now_ns()

    def now_ns(self) -> int:
        """Return the start plus the time since, many times over."""
        return self._from_ns + int((super().now_ns() - self._from_ns) * self._speed)

    async def sleep(self, seconds: float) -> None:
        """Wait a fraction."""
        await super().sleep(seconds / self._speed)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call after a fraction."""
        return super().call_later(seconds / self._speed, call)


class _Jumps(selectors.DefaultSelector):
    """Waits for nothing: where the loop would wait for a time, that time has come."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            assert timeout is not None, "nothing is left to wait for"
            self.now_s += max(timeout, 0)
        return found


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop in which no time passes while there is something to do, and any amount of it at once otherwise.

    Threads do not count as something to do: whoever runs in this loop has none.
    """

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Return how much time has passed."""
        return self._jumps.now_s


class LoopClock(RealClock):
    """The time of the loop that runs."""

    def now_ns(self) -> int:
        """Return the time since the loop began, as nanoseconds of 2026."""
        return _NEW_YEAR_NS + round(asyncio.get_running_loop().time() * NS_PER_S)


def instantly(story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a story in a loop in which waiting takes no time."""

    async def told() -> T:
        result = await story()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        return runner.run(told())


# -- a broker behind the ports ------------------------------------------------------------------------------


def an_exchange(**positions: str) -> Exchange:
    """Return the account that ``host_config`` believes in, with both symbols traded."""
    exchange = Exchange(OpeningBook(Decimal(100000), {BTC: Decimal(20)}, Decimal(5)))
    exchange.prices.update({BTC: Decimal(100), ETH: Decimal(50)})
    exchange.positions.update({symbol: Decimal(held) for symbol, held in positions.items()})
    return exchange


def a_place(key: str = "host-1", side: str = "BUY", quantity: str = "2", limit: str = "90") -> PlaceOrder:
    """Return an order that a host places by itself."""
    return PlaceOrder(key, BTC, Side(side), OrderType.LIMIT, Decimal(quantity), Decimal(limit), TimeInForce.GTC)


class ReaderOf:
    """A ``BrokerReader`` over an exchange. Notes each call, and does first what a test has put in its way."""

    name = "book"

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.calls: list[str] = []
        self.first: dict[str, Iterator[object]] = {}
        """By call: errors to raise, events to wait for, functions to call, or None for nothing, one for each call."""
        self.clock = RealClock()

    async def _enter(self, call: str) -> None:
        self.calls.append(call)
        await asyncio.sleep(0)  # noqa: TID251 - a broker is somewhere else: nothing is answered at once
        todo = next(self.first.get(call, iter(())), None)
        if isinstance(todo, BaseException):
            raise todo
        if isinstance(todo, anyio.Event):
            await todo.wait()
        elif callable(todo):
            todo()

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        await self._enter("open_orders")
        return self.exchange.snapshot(0, 0).open_orders

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        await self._enter("order")
        return self.exchange.query(client_order_id)

    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        await self._enter("fills_since")
        return self.exchange.fills_between(max(cursor - 1, 0), self.exchange.cursor)

    async def positions(self) -> tuple[PositionLine, ...]:
        await self._enter("positions")
        return self.exchange.snapshot(0, 0).positions

    async def cash(self) -> Decimal | None:
        await self._enter("cash")
        return self.exchange.cash

    async def limits(self) -> BrokerLimits | None:
        await self._enter("limits")
        return self.exchange.limits

    async def server_time_ns(self) -> int:
        await self._enter("server_time_ns")
        return self.clock.now_ns()


class TraderOf(ReaderOf):
    """A ``BrokerTrader`` over an exchange, in which what crosses fills at once."""

    is_mock = True
    is_paper = False

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self.placed: list[str] = []
        self.asked: dict[str, PlaceOrder] = {}
        """Every request that came, whatever became of it."""
        self.history: list[Fill] | None = None
        self.links = 0
        self.broken: deque[Exception] = deque()
        """Errors that end a link, each after what there was to tell."""
        self._told: deque[BrokerMessage] = deque()
        self._some = anyio.Event()

    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        self.asked[request.client_order_id] = request
        await self._enter("place")
        self.placed.append(request.client_order_id)
        answer = self.exchange.place(request, self.clock.now_ns())
        if isinstance(answer, Accepted):
            order = self.exchange.orders[request.client_order_id]
            if self.exchange.marketable(order):
                self.tell(self.exchange.execute(order, order.leaves, self.clock.now_ns()))
        return answer

    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        await self._enter("cancel")
        return self.exchange.cancel(client_order_id)

    def tell(self, statement: BrokerMessage) -> None:
        """Put a statement on the stream."""
        self._told.append(statement)
        self._some.set()

    def cut(self, error: Exception) -> None:
        """Break the link."""
        self.broken.append(error)
        self._some.set()

    async def statements(self) -> AsyncIterator[BrokerMessage]:
        self.links += 1
        while True:
            while self._told:
                yield self._told.popleft()
            if self.broken:
                raise self.broken.popleft()
            self._some = anyio.Event()
            await self._some.wait()
