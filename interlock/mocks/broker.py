"""The mock broker actor: an exchange behind a network, with a fault plan.

A call arrives, takes its latency as a job, is answered; what happens in the market is told on the stream. Both
ways are late by what the settings say, so acks, fills and cancels cross each other as they do in the world. The
fault plan decides what is lost, doubled, late or wrong: calls here, statements in ``stream``, the account itself in
``disturbances``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from interlock.domain.broker import (
    Accepted,
    BrokerMessage,
    BrokerSnapshot,
    Cancelled,
    CancelOrder,
    CancelRefused,
    GetSnapshot,
    OrderNotFound,
    PlaceOrder,
    QueryOrder,
    Rejected,
    Throttled,
    Unavailable,
)
from interlock.domain.instants import to_ns
from interlock.mocks.disturbances import Disturbances
from interlock.mocks.exchange import Exchange
from interlock.mocks.faults import Call, Fault, FaultPlan, FaultRule, Faults
from interlock.mocks.stream import Stream
from interlock.mocks.trading import MarketSettings, Trading
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import ReplyTo

__all__ = ["GetQuote", "MockBroker", "Quote", "StartMarket"]

_PLACE, _CANCEL, _QUERY, _SNAPSHOT = Call.PLACE, Call.CANCEL, Call.QUERY, Call.SNAPSHOT
_LIMITED, _DOWN, _STALE = Fault.RATE_LIMIT, Fault.BROKER_DOWN, Fault.STALE_SNAPSHOT
_FAILED_BEFORE, _LOST_BEFORE = Fault.ERROR_BEFORE, Fault.TIMEOUT_BEFORE
_FAILED_AFTER, _LOST_AFTER = Fault.ERROR_AFTER, Fault.TIMEOUT_AFTER
"""What each call is asked about: looking up a member of an enum costs Python 3.11 ten times more."""


class StartMarket(msgspec.Struct, frozen=True, tag_field="schema", tag="StartMarket/1"):
    """Let prices move."""


class GetQuote(msgspec.Struct, frozen=True, tag_field="schema", tag="GetQuote/1"):
    """Ask for the last price of a symbol (the mock market's own service)."""

    symbol: str


class Quote(msgspec.Struct, frozen=True, tag_field="schema", tag="Quote/1"):
    """The last price of a symbol; None where it is not traded."""

    symbol: str
    price: Decimal | None


class MockBroker(Actor):
    """A broker that can only pretend."""

    is_mock: Final = True

    def __init__(self, ctx: Context, settings: MarketSettings, exchange: Exchange, plan: FaultPlan) -> None:
        super().__init__(ctx)
        self.exchange = exchange
        self._settings = settings
        self.requests: list[str] = []
        """The client order id of every place call that got through or may have, once for each time."""
        self._faults = faults = Faults(ctx, plan)
        self._stream = Stream(ctx, faults, settings.client)
        self._disturbances = Disturbances(faults, exchange, self._stream)
        self._down_until_ns = 0
        self._served: BrokerSnapshot | None = None
        self._trading = Trading(ctx, settings, exchange, faults, self._stream, self._disturbances)

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Start a job for each call, so that no caller waits behind another."""
        ctx = self.ctx
        if isinstance(message, GetQuote) and reply_to is not None:
            ctx.reply(reply_to, Quote(message.symbol, self.exchange.prices.get(message.symbol)))
        elif isinstance(message, PlaceOrder) and reply_to is not None:
            ctx.spawn(self._place(message, reply_to), "place")
        elif isinstance(message, CancelOrder) and reply_to is not None:
            ctx.spawn(self._cancel(message, reply_to), "cancel")
        elif isinstance(message, (QueryOrder, GetSnapshot)) and reply_to is not None:
            ctx.spawn(self._tell(message, reply_to), "tell")
        elif isinstance(message, StartMarket):
            ctx.spawn(self._trading.market(), "market")
        else:
            refuse(self, message)

    # -- calls ----------------------------------------------------------------------------------------------

    async def _place(self, request: PlaceOrder, reply_to: ReplyTo) -> None:
        settings, faults, symbol = self._settings, self._faults, request.symbol
        if not await self._reached(_PLACE, reply_to, symbol, request.client_order_id):
            return
        statement: Accepted | Rejected
        if faults.strike(Fault.REJECT, symbol) is not None:
            statement = Rejected(client_order_id=request.client_order_id, code="INSUFFICIENT_MARGIN")
        else:
            statement = self.exchange.place(request, self.ctx.now_ns())
        early = faults.strike(Fault.FILL_BEFORE_ACK, symbol) if isinstance(statement, Accepted) else None
        if isinstance(statement, Accepted):
            order = self.exchange.orders[request.client_order_id]
            late_s = settings.report_latency_s * (1 if early is not None else 2)
            self.ctx.spawn(self._trading.arrive(order, late_s), "trade")
        await self._answer(_PLACE, reply_to, statement, symbol, 0 if early is None else early.delay_s)
        duplicate = Fault.DUPLICATE_ACK if isinstance(statement, Accepted) else Fault.DUPLICATE_REJECT
        if faults.strike(duplicate, symbol) is not None:
            await self._stream.say(statement)

    async def _cancel(self, request: CancelOrder, reply_to: ReplyTo) -> None:
        key, exchange = request.client_order_id, self.exchange
        order = exchange.orders.get(key)
        symbol = None if order is None else order.request.symbol
        if not await self._reached(_CANCEL, reply_to, symbol):
            return
        after: list[tuple[BrokerMessage, float]] = []
        late: FaultRule | None = None
        if order is not None and order.leaves > 0:
            await self._trading.cross(order, after)
            late = self._faults.strike(Fault.LATE_PARTIAL_AFTER_CANCEL, symbol) if order.leaves > 0 else None
        statement: Cancelled | CancelRefused
        if order is not None and order.leaves > 0 and self._faults.strike(Fault.CANCEL_NOT_DONE, symbol) is not None:
            statement = Cancelled(client_order_id=key, filled=order.filled)
            self._served = None  # a snapshot that is older than this lie would hide it from everybody, for good
        else:
            statement = exchange.cancel(key)
        if isinstance(statement, CancelRefused) and self._faults.strike(Fault.CANCEL_UNKNOWN_ORDER, symbol) is not None:
            statement = CancelRefused(client_order_id=key, code="UNKNOWN_ORDER")
        await self._answer(_CANCEL, reply_to, statement, symbol)
        for said, late_s in after:
            await self._stream.say(said, late_s)
        if late is not None and order is not None and order.leaves > 0:
            await self._stream.say(exchange.execute(order, self._trading.piece(order), self.ctx.now_ns()), late.delay_s)

    async def _tell(self, request: QueryOrder | GetSnapshot, reply_to: ReplyTo) -> None:
        call = _QUERY if isinstance(request, QueryOrder) else _SNAPSHOT
        if await self._reached(call, reply_to, None):
            seen = self._look_up(request) if isinstance(request, QueryOrder) else self._look_over(request)
            await self._answer(call, reply_to, seen, None)

    def _look_up(self, request: QueryOrder) -> BrokerMessage:
        key = request.client_order_id
        order = self.exchange.orders.get(key)
        hidden = self._faults.strike(Fault.NOT_VISIBLE) if order is not None else None
        if hidden is not None and order is not None and self.ctx.now_ns() - order.placed_ns < to_ns(hidden.delay_s):
            return OrderNotFound(client_order_id=key)
        return self.exchange.query(key)

    def _look_over(self, request: GetSnapshot) -> BrokerMessage:
        exchange, served = self.exchange, self._served
        if served is not None and self._faults.strike(_STALE) is not None:
            # What was asked for is still honoured: fills from the cursor on, as far as the old snapshot knew them.
            return served.model_copy(update={"fills": exchange.fills_between(request.fills_after, served.cursor)})
        self._served = exchange.snapshot(self.ctx.now_ns(), request.fills_after)
        return self._served

    async def _reached(self, call: Call, reply_to: ReplyTo, symbol: str | None, key: str = "") -> bool:
        """Let the request travel; False where it was turned away or got lost before anything was done."""
        ctx, faults = self.ctx, self._faults
        if self._settings.request_latency_s:
            await ctx.sleep(self._settings.request_latency_s)
        limited = faults.strike(_LIMITED, symbol, call)
        if limited is not None:
            ctx.reply(reply_to, Throttled(retry_after_s=limited.retry_after_s))
            return False
        if key:
            self.requests.append(key)
        if self._is_down(call, symbol):
            return False
        if faults.strike(_FAILED_BEFORE, symbol, call) is not None:
            ctx.reply(reply_to, Unavailable(reason="internal error"))
            return False
        return faults.strike(_LOST_BEFORE, symbol, call) is None

    def _is_down(self, call: Call, symbol: str | None) -> bool:
        if self.ctx.now_ns() < self._down_until_ns:
            return True
        struck = self._faults.strike(_DOWN, symbol, call)
        if struck is not None:
            self._down_until_ns = self._faults.end_ns(struck)
        return struck is not None

    async def _answer(
        self, call: Call, reply_to: ReplyTo, answer: BrokerMessage, symbol: str | None, late_s: float = 0.0
    ) -> None:
        """Let the answer travel, unless it gets lost or an error stands in its place."""
        lost = self._faults.strike(_LOST_AFTER, symbol, call)
        failed = self._faults.strike(_FAILED_AFTER, symbol, call)
        if self._settings.report_latency_s + late_s:
            await self.ctx.sleep(self._settings.report_latency_s + late_s)
        if lost is None:
            self.ctx.reply(reply_to, answer if failed is None else Unavailable(reason="internal error"))
