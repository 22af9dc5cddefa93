"""What happens at the mock broker without our doing: strangers in the account (FLT-8), and restarts (FLT-9).

Each tick of the market is one opportunity for each of these faults.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from interlock.domain.broker import PlaceOrder
from interlock.domain.intents import BUY, OrderType, TimeInForce
from interlock.mocks.exchange import Exchange
from interlock.mocks.faults import Fault, FaultRule, Faults
from interlock.mocks.stream import Stream

__all__ = ["Disturbances"]

_ORPHAN: Final = "orphan-"
_FAR_BELOW: Final = 2
"""An orphan order rests at the price divided by this, so that it does not trade by itself."""


class Disturbances:
    """Changes one account behind everybody's back, as the plan says."""

    def __init__(self, faults: Faults, exchange: Exchange, stream: Stream) -> None:
        self._faults = faults
        self._exchange = exchange
        self._stream = stream
        self._orphans = 0

    async def tick(self) -> None:
        """Let happen what the plan wants to happen now."""
        if self._faults.none:
            return
        for fault, happen in self._kinds.items():
            rule = self._faults.strike(fault)
            if rule is not None:
                await happen(self, rule)

    def _symbol(self, rule: FaultRule) -> str:
        return rule.symbol or next(iter(self._exchange.prices))

    async def _orphan(self, rule: FaultRule) -> None:
        self._orphans += 1
        symbol = self._symbol(rule)
        price = self._exchange.prices[symbol] / _FAR_BELOW
        key, gtc = f"{_ORPHAN}{self._orphans}", TimeInForce.GTC
        self._exchange.place(PlaceOrder(key, symbol, BUY, OrderType.LIMIT, rule.amount, price, gtc))

    async def _phantom(self, rule: FaultRule) -> None:
        positions, symbol = self._exchange.positions, self._symbol(rule)
        positions[symbol] = positions.get(symbol, rule.amount - rule.amount) + rule.amount

    async def _fee(self, rule: FaultRule) -> None:
        if self._exchange.cash is not None:
            self._exchange.cash -= rule.amount

    async def _limit(self, rule: FaultRule) -> None:
        self._exchange.cap_orders(rule.amount)

    async def _end(self, _: FaultRule) -> None:
        ended = self._exchange.cancel_oldest(besides=_ORPHAN)
        if ended is not None:
            await self._stream.say(ended)

    async def _restart(self, _: FaultRule) -> None:
        for known in self._exchange.renumber():
            await self._stream.say(known)

    async def _reuse(self, _: FaultRule) -> None:
        self._exchange.count_from_one()

    async def _replay(self, _: FaultRule) -> None:
        await self._stream.say_again()

    async def _replay_as_new(self, _: FaultRule) -> None:
        await self._stream.say_last_fill_as_new()

    _kinds: ClassVar[dict[Fault, Callable[[Disturbances, FaultRule], Awaitable[None]]]] = {
        Fault.ORPHAN_ORDER: _orphan,
        Fault.PHANTOM_POSITION: _phantom,
        Fault.CASH_OFF: _fee,
        Fault.LIMITS_CHANGED: _limit,
        Fault.ENDED_THERE: _end,
        Fault.BROKER_RESTART: _restart,
        Fault.IDS_REUSED: _reuse,
        Fault.REPLAYED_EVENTS: _replay,
        Fault.REPLAYED_UNDER_NEW_ID: _replay_as_new,
    }
    """What each fault does, in the order in which they are asked about."""
