"""Trading at the mock broker: prices that move, orders that fill, and what the plan makes of each fill.

The exchange says what can trade and keeps the book; this decides how much at a time, and tells it on the stream.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from interlock.domain.broker import BrokerMessage, Expired, Fill, Rejected
from interlock.mocks.disturbances import Disturbances
from interlock.mocks.exchange import Exchange, MockOrder
from interlock.mocks.faults import Fault, Faults
from interlock.mocks.prices import PricePath, PriceWalk
from interlock.mocks.stream import Stream
from interlock.runtime.actor import Context

__all__ = ["MarketSettings", "Trading"]

_PARTS: Final = 16


class MarketSettings(msgspec.Struct, frozen=True):
    """How late calls and reports are, and how prices move; seconds of session time."""

    paths: tuple[PricePath, ...]
    request_latency_s: float = 0.02
    report_latency_s: float = 0.03
    price_every_s: float = 10.0
    lot: Decimal = Decimal("0.0001")
    price_ticks_max: int = 100_000
    client: str = "orchestrator"


class Trading:
    """The market side of a mock broker."""

    def __init__(
        self,
        ctx: Context,
        settings: MarketSettings,
        exchange: Exchange,
        faults: Faults,
        stream: Stream,
        disturbances: Disturbances,
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._exchange = exchange
        self._faults = faults
        self._stream = stream
        self._disturbances = disturbances
        self._walks = [PriceWalk(path) for path in settings.paths]
        for walk in self._walks:
            exchange.prices[walk.symbol] = walk.price

    async def market(self) -> None:
        """Let prices move, tick by tick, and resting orders fill where they cross."""
        settings = self._settings
        for _ in range(settings.price_ticks_max):
            await self._ctx.sleep(settings.price_every_s)
            await self._disturbances.tick()
            for walk in self._walks:
                self._exchange.prices[walk.symbol] = walk.tick(self._ctx)
                for order in self._exchange.crossed(walk.symbol):
                    await self.trade(order, settings.report_latency_s)

    async def trade(self, order: MockOrder, late_s: float) -> None:
        """Fill what is left, in one piece or, by the plan, in several."""
        exchange, symbol = self._exchange, order.request.symbol
        pieces = self._faults.strike(Fault.PARTIAL_FILLS, symbol)
        if pieces is not None:
            for _ in range(1 + self._ctx.draw(pieces.pieces_max - 1, "pieces")):
                if order.leaves > 0 and exchange.marketable(order):
                    await self._report(exchange.execute(order, self.piece(order), self._ctx.now_ns()), late_s)
                    await self._ctx.sleep(pieces.delay_s)
        if exchange.marketable(order):
            await self._report(exchange.execute(order, order.leaves, self._ctx.now_ns()), late_s)

    def piece(self, order: MockOrder) -> Decimal:
        """Return a part of what is left in whole lots: some sixteenths of it, all of it only where it is one lot."""
        lots = int(order.leaves / self._settings.lot)
        if lots <= 1:
            return order.leaves
        return max(1, lots * (1 + self._ctx.draw(_PARTS - 1, "piece")) // _PARTS) * self._settings.lot

    async def _report(self, fill: Fill, late_s: float) -> None:
        """Tell a fill, and what the plan makes of it."""
        faults, symbol = self._faults, fill.symbol
        await self._stream.say(fill, late_s)
        again = faults.strike(Fault.DUPLICATE_FILL, symbol)
        if again is not None:
            await self._stream.say(fill, late_s + again.delay_s)
        changed = faults.strike(Fault.CONFLICTING_FILL, symbol)
        if changed is not None:
            await self._stream.say(fill.model_copy(update={"price": fill.price * 2}), late_s + changed.delay_s)
        denied = faults.strike(Fault.REJECT_AFTER_FILL, symbol)
        if denied is not None:
            rejected = Rejected(client_order_id=fill.client_order_id, code="UNKNOWN_REASON")
            await self._stream.say(rejected, late_s + denied.delay_s)
        beyond = faults.strike(Fault.OVERFILL, symbol)
        if beyond is not None:
            await self._stream.say(fill.model_copy(update={"fill_id": f"{fill.fill_id}-x"}), late_s + beyond.delay_s)

    async def arrive(self, order: MockOrder, late_s: float) -> None:
        """Let a new order trade as far as it can now; what may not rest expires."""
        if self._exchange.marketable(order):
            await self.trade(order, late_s)
        if self._exchange.expire_if_immediate(order):
            key = order.request.client_order_id
            await self._stream.say(Expired(client_order_id=key, filled=order.filled), late_s)

    async def cross(self, order: MockOrder, after: list[tuple[BrokerMessage, float]]) -> None:
        """Let fills happen between the cancel's sending and its processing; ``after`` is told after the answer."""
        faults, symbol, now_ns = self._faults, order.request.symbol, self._ctx.now_ns()
        if faults.strike(Fault.FILL_DURING_CANCEL, symbol) is not None:
            await self._stream.say(self._exchange.execute(order, self.piece(order), now_ns))
        told_late = faults.strike(Fault.FILL_AFTER_CANCEL_ACK, symbol) if order.leaves > 0 else None
        if told_late is not None:
            after.append((self._exchange.execute(order, self.piece(order), now_ns), told_late.delay_s))
        all_of_it = faults.strike(Fault.CANCEL_REJECTED_FILLED, symbol) if order.leaves > 0 else None
        if all_of_it is not None:
            after.append((self._exchange.execute(order, order.leaves, now_ns), all_of_it.delay_s))
