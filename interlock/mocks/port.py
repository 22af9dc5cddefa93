"""The mock broker behind the ports: the same exchange, latencies and faults, for sessions in a host's event loop.

``async with MockPort(config parts...)`` runs the mock broker actor on a small system of its own, so that it lives and
dies apart from the session that trades with it, as a broker does. A call that gets no answer there gets none here
either: it waits until its caller gives up. What it tells goes to one listener, and waits for it while there is room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from decimal import Decimal
from types import TracebackType
from typing import Final, Self, TypeVar

import anyio

from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerMessage,
    BrokerOrder,
    BrokerSnapshot,
    Cancelled,
    CancelOrder,
    CancelRefused,
    Fill,
    GetSnapshot,
    OrderNotFound,
    PlaceOrder,
    PositionLine,
    QueryOrder,
    Rejected,
    Throttled,
    Unavailable,
)
from interlock.domain.errors import OutcomeUnknown, RateLimited, Unreachable
from interlock.mocks.broker import MockBroker, StartMarket
from interlock.mocks.exchange import Exchange, OpeningBook
from interlock.mocks.faults import FaultPlan
from interlock.mocks.trading import MarketSettings
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.clock import RealClock
from interlock.runtime.mailbox import MailboxSizes, ReplyTo
from interlock.runtime.realtime import RealTimeSystem
from interlock.runtime.schedule import FifoSchedule, Schedule

__all__ = ["MockPort"]

T = TypeVar("T")

_BROKER, _CLIENT = "broker", "client"
_SIZES: Final = MailboxSizes(data=100_000, jobs=100_000)
_TOLD_MAX: Final = 100_000


class _Ear(Actor):
    """Hears what the broker tells, and keeps it until somebody listens."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.told: deque[BrokerMessage] = deque(maxlen=_TOLD_MAX)
        self.some = anyio.Event()

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:  # noqa: ARG002 - nobody asks this actor
        """Keep one statement."""
        if not isinstance(message, BrokerMessage):
            refuse(self, message)
        self.told.append(message)
        self.some.set()


class MockPort:
    """A ``BrokerTrader`` that can only pretend."""

    name: Final = "mock"
    is_mock: Final = True
    is_paper: Final = False

    def __init__(
        self,
        settings: MarketSettings,
        opening: OpeningBook,
        plan: FaultPlan | None = None,
        *,
        clock: RealClock | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        self.exchange = Exchange(opening)
        self._clock = clock or RealClock()
        self._system = RealTimeSystem(self._clock, schedule or FifoSchedule())
        told_to = MarketSettings(
            settings.paths,
            settings.request_latency_s,
            settings.report_latency_s,
            settings.price_every_s,
            settings.lot,
            settings.price_ticks_max,
            _CLIENT,
        )
        self._ear = self._system.add(_CLIENT, _Ear, _SIZES)
        self.broker = self._system.add(
            _BROKER, lambda ctx: MockBroker(ctx, told_to, self.exchange, plan or FaultPlan()), _SIZES
        )

    async def __aenter__(self) -> Self:
        await self._system.__aenter__()
        self._system.post(_BROKER, StartMarket())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._system.__aexit__(kind, error, trace)

    # -- the reader -----------------------------------------------------------------------------------------

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Return what rests in the book."""
        return (await self._look()).open_orders

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        """Return one order, open or closed."""
        return await self._ask(QueryOrder(client_order_id), (BrokerOrder, OrderNotFound), Unreachable)

    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        """Return the executions from a cursor on, that one included."""
        return (await self._look(max(cursor - 1, 0))).fills

    async def positions(self) -> tuple[PositionLine, ...]:
        """Return what is held."""
        return (await self._look()).positions

    async def cash(self) -> Decimal | None:
        """Return the cash, where it is tracked."""
        return (await self._look()).cash

    async def limits(self) -> BrokerLimits | None:
        """Return the account's limits, where it has any."""
        return (await self._look()).limits

    async def server_time_ns(self) -> int:
        """Return the clock's time."""
        return self._clock.now_ns()

    # -- the trader -----------------------------------------------------------------------------------------

    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        """Place one order."""
        return await self._ask(request, (Accepted, Rejected), OutcomeUnknown)

    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        """Cancel what is left of one order."""
        return await self._ask(CancelOrder(client_order_id), (Cancelled, CancelRefused), OutcomeUnknown)

    async def statements(self) -> AsyncIterator[BrokerMessage]:
        """Tell what happens, beginning with what nobody has listened to yet."""
        ear = self._ear
        while True:
            while ear.told:
                yield ear.told.popleft()
            ear.some = anyio.Event()
            await ear.some.wait()

    async def _look(self, after: int = 0) -> BrokerSnapshot:
        return await self._ask(GetSnapshot(after), (BrokerSnapshot,), Unreachable)

    async def _ask(self, request: object, expected: tuple[type[T], ...], unknown: type[OutcomeUnknown]) -> T:
        answer = await self._system.ask(_BROKER, request)
        if isinstance(answer, expected):
            return answer
        if isinstance(answer, Throttled):
            raise RateLimited(answer.retry_after_s)
        raise unknown(answer.reason if isinstance(answer, Unavailable) else type(answer).__name__)
