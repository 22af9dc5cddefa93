"""A mock broker on a kernel of its own, and a client that calls it at given times and notes all it hears."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from interlock.domain.broker import BrokerMessage, Fill, PlaceOrder
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.mocks.broker import MockBroker, StartMarket
from interlock.mocks.exchange import Exchange, OpeningBook
from interlock.mocks.faults import FaultPlan
from interlock.mocks.prices import PricePath
from interlock.mocks.trading import MarketSettings
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.schedule import Schedule
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import playing, settle

__all__ = ["BTC", "Heard", "Market", "buy"]

BTC = "BTC/EUR"


class Heard(NamedTuple):
    """Something that reached the client: when, how, and what."""

    at_s: float
    how: str
    what: str


class Market:
    """A mock broker, and its client, which calls at given times and notes all it hears."""

    def __init__(
        self,
        *faults: dict[str, Any],
        points: Iterable[str] = ("100",),
        schedule: Schedule | None = None,
        until_s: float | None = None,
    ) -> None:
        self.heard: list[Heard] = []
        self.fills: list[Fill] = []
        self.answers: list[object] = []
        self.said: list[BrokerMessage] = []
        """What came on the stream, in order of arrival."""
        self.system = SteppedSystem(schedule=schedule)
        settings = MarketSettings(
            (PricePath(BTC, Decimal(100), Decimal(1), tuple(Decimal(point) for point in points)),),
            request_latency_s=0.1,
            report_latency_s=0.2,
            price_every_s=10,
            lot=Decimal("0.01"),
            price_ticks_max=4,
        )
        plan = FaultPlan.model_validate({"rules": faults, "until_s": until_s})
        exchange = self.exchange = Exchange(OpeningBook(Decimal(10_000), {}))
        self.broker = self.system.add("broker", lambda ctx: MockBroker(ctx, settings, exchange, plan))
        self.system.add("orchestrator", playing(self._hear))
        self.system.add("caller", playing(self._call))

    async def _hear(self, ctx: Context, message: object, _: ReplyTo | None) -> None:
        self._note(ctx, "stream", message)

    async def _call(self, ctx: Context, plan: tuple[float, object], _: ReplyTo | None) -> None:
        ctx.spawn(self._ask(ctx, *plan), "call")

    async def _ask(self, ctx: Context, at_s: float, request: object) -> None:
        await ctx.sleep(at_s)
        self._note(ctx, "answer", await ctx.ask("broker", request))

    def _note(self, ctx: Context, how: str, message: object) -> None:
        if how == "stream" and isinstance(message, BrokerMessage):
            self.said.append(message)
        if isinstance(message, Fill):
            self.fills.append(message)
        elif how == "answer":
            self.answers.append(message)
        self.heard.append(Heard(round(ctx.now_ns() / 1e9, 6), how, type(message).__name__))

    def run(self, *calls: tuple[float, object], market: bool = False) -> list[Heard]:
        """Make the calls and run until nothing is left to do."""
        with self.system:
            for call in calls:
                self.system.post("caller", call)
            if market:
                self.system.post("broker", StartMarket())
            settle(self.system)
        return self.heard

    @property
    def pieces(self) -> list[str]:
        """Return the quantities of the fills that were told."""
        return [str(fill.quantity) for fill in self.fills]


def buy(key: str = "o1", limit: str | None = "90", quantity: str = "1", **wanted: Any) -> PlaceOrder:
    """Return a request to buy; by default it rests below the market."""
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    content = {"time_in_force": TimeInForce.GTC} | wanted
    price = None if limit is None else Decimal(limit)
    return PlaceOrder(key, BTC, Side.BUY, kind, Decimal(quantity), price, **content)
