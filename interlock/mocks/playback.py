"""A broker that plays a recording: the fills of a real account, in their real sizes, times and order.

Each recorded order is expected as an intent under a known client order id; it is accepted, and filled when the
recording says so. Before each transaction the broker claims what the recording claims the position was, and its own
book goes on from there.
"""

from __future__ import annotations

from typing import Final

from interlock.domain.broker import (
    CancelOrder,
    Fill,
    GetSnapshot,
    PlaceOrder,
    PositionClaim,
    QueryOrder,
)
from interlock.domain.ids import client_order_id
from interlock.domain.instants import NS_PER_S
from interlock.domain.intents import OrderIntent, OrderType
from interlock.mocks.broker import StartMarket
from interlock.mocks.exchange import Exchange
from interlock.mocks.recording import RecordedExecution, RecordedTransaction, Recording
from interlock.mocks.strategy import ScriptStep
from interlock.mocks.trading import MarketSettings
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import ReplyTo

__all__ = ["LEAD_NS", "RecordedBroker", "script_of"]

LEAD_NS: Final = 5 * NS_PER_S
"""A session on a recording begins this long before the first fill."""

_ORDER_LEAD_NS: Final = NS_PER_S
"""An order is submitted this long before its first fill."""

_POLL_S: Final = 0.01
_POLLS_MAX: Final = 10_000


def script_of(recording: Recording) -> tuple[ScriptStep, ...]:
    """Return the recording's orders as intents; times count from ``LEAD_NS`` before the first fill."""
    begin_ns = recording.fills[0].time_ns - LEAD_NS
    return tuple(
        ScriptStep(
            at_ns=order.first_fill_ns - _ORDER_LEAD_NS - begin_ns,
            intent=OrderIntent(
                decision_id=f"rec-{order.broker_oid}",
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                order_type=OrderType.LIMIT,
                limit_price=order.limit_price,
            ),
        )
        for order in recording.orders
    )


class RecordedBroker(Actor):
    """Plays one recording, once."""

    is_mock: Final = True

    def __init__(
        self, ctx: Context, settings: MarketSettings, exchange: Exchange, recording: Recording, strategy_id: str
    ) -> None:
        super().__init__(ctx)
        self.exchange = exchange
        self._settings = settings
        self._recording = recording
        self._keys = {
            order.broker_oid: client_order_id(strategy_id, f"rec-{order.broker_oid}") for order in recording.orders
        }
        for order in recording.orders:
            exchange.prices[order.symbol] = order.limit_price

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Accept orders at once; fills come when the recording says so."""
        ctx, exchange = self.ctx, self.exchange
        if isinstance(message, StartMarket):
            ctx.spawn(self._play(), "recording")
        elif reply_to is None:
            refuse(self, message)
        elif isinstance(message, PlaceOrder):
            ctx.reply(reply_to, exchange.place(message))
        elif isinstance(message, CancelOrder):
            ctx.reply(reply_to, exchange.cancel(message.client_order_id))
        elif isinstance(message, QueryOrder):
            ctx.reply(reply_to, exchange.query(message.client_order_id))
        elif isinstance(message, GetSnapshot):
            ctx.reply(reply_to, exchange.snapshot(ctx.now_ns(), message.fills_after))
        else:
            refuse(self, message)

    async def _play(self) -> None:
        for transaction in self._recording.transactions:
            wait_ns = transaction.time_ns - self.ctx.now_ns()
            if wait_ns > 0:
                await self.ctx.sleep(wait_ns / NS_PER_S)
            await self._until_placed(transaction)
            claim = PositionClaim(
                symbol=transaction.symbol,
                quantity=transaction.start_position,
                transaction_id=transaction.transaction_id,
                ts_ns=transaction.time_ns,
            )
            self.exchange.positions[transaction.symbol] = transaction.start_position
            await self.ctx.send(self._settings.client, claim)
            for execution in transaction.fills:
                await self.ctx.send(self._settings.client, self._fill(execution))
        self.ctx.emit("RECORDING_ENDED", {"fills": len(self.exchange.executions)})

    async def _until_placed(self, transaction: RecordedTransaction) -> None:
        """Wait for the orders of a transaction, should the session be behind the recording."""
        for execution in transaction.fills:
            key = self._keys[execution.broker_oid]
            for _ in range(_POLLS_MAX):
                if key in self.exchange.orders:
                    break
                await self.ctx.sleep(_POLL_S)

    def _fill(self, execution: RecordedExecution) -> Fill:
        order = self.exchange.orders[self._keys[execution.broker_oid]]
        fill = Fill(
            fill_id=execution.fill_id,
            client_order_id=order.request.client_order_id,
            broker_order_id=order.broker_order_id,
            symbol=execution.symbol,
            side=execution.side,
            quantity=execution.quantity,
            price=execution.price,
            fee=execution.fee,
            ts_ns=execution.time_ns,
            cursor=self.exchange.cursor + 1,
        )
        self.exchange.record(order, fill)
        return fill
