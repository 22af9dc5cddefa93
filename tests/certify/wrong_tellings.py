"""Adapters that break one promise about fills, the account or statements."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Final, cast

from interlock.domain.broker import (
    BrokerMessage,
    BrokerOrder,
    Fill,
    OrderNotFound,
    PositionLine,
)
from interlock.domain.errors import Unreachable
from tests.certify.adapter_builders import Noted

__all__ = [
    "BeginsAfterTheCursor",
    "CountsByTime",
    "DropsWhatHasEnded",
    "EndsQuietly",
    "ForgetsFees",
    "KeepsOneOfAnInstant",
    "KeepsPositions",
    "NamesFillsAnew",
    "NumbersDeliveries",
    "RoundsThroughFloats",
    "TellsFillsWithoutFees",
    "TellsLocalTime",
    "TellsOurTime",
    "TellsTheLastPart",
    "TellsTimeAsItComes",
]

_NS_PER_H: Final = 3600 * 1_000_000_000


# -- fills --------------------------------------------------------------------------------------------------


class BeginsAfterTheCursor(Noted):
    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        return tuple(fill for fill in await super().fills_since(cursor) if fill.cursor > cursor)


class KeepsOneOfAnInstant(Noted):
    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        return tuple({fill.ts_ns: fill for fill in await super().fills_since(cursor)}.values())


class CountsByTime(Noted):
    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        """Take the time for the cursor; among fills of one instant the number decides, but nothing else."""
        fills = sorted(await super().fills_since(0), key=lambda fill: (fill.ts_ns, fill.cursor))
        places = {fill.fill_id: place for place, fill in enumerate(fills, start=1)}
        told = (fill.model_copy(update={"cursor": places[fill.fill_id]}) for fill in fills)
        return tuple(fill for fill in told if fill.cursor >= cursor)


class NamesFillsAnew(Noted):
    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        """Make ids while reading: the first time they are those of the venue."""
        self.reads += 1
        fills = await super().fills_since(cursor)
        if self.reads == 1:
            return fills
        return tuple(fill.model_copy(update={"fill_id": f"{fill.fill_id}-{self.reads}"}) for fill in fills)


class TellsTheLastPart(Noted):
    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        found = await super().order(client_order_id)
        if isinstance(found, BrokerOrder) and found.fills:
            return found.model_copy(update={"filled": found.fills[-1].quantity})
        return found


class RoundsThroughFloats(Noted):
    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        found = await super().order(client_order_id)
        if isinstance(found, BrokerOrder):
            return found.model_copy(update={"quantity": Decimal(repr(float(found.quantity)))})
        return found


class TellsLocalTime(Noted):
    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        fills = await super().fills_since(cursor)
        return tuple(fill.model_copy(update={"ts_ns": fill.ts_ns + _NS_PER_H}) for fill in fills)

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        found = await super().order(client_order_id)
        if isinstance(found, BrokerOrder):
            fills = tuple(fill.model_copy(update={"ts_ns": fill.ts_ns + _NS_PER_H}) for fill in found.fills)
            return found.model_copy(update={"fills": fills})
        return found

    async def statements(self) -> AsyncIterator[BrokerMessage]:
        async for told in super().statements():
            yield told.model_copy(update={"ts_ns": told.ts_ns + _NS_PER_H}) if isinstance(told, Fill) else told


# -- the account --------------------------------------------------------------------------------------------


class KeepsPositions(Noted):
    async def positions(self) -> tuple[PositionLine, ...]:
        if self.known is None:
            self.known = await super().positions()
        return cast("tuple[PositionLine, ...]", self.known)


class ForgetsFees(Noted):
    async def cash(self) -> Decimal | None:
        told = await super().cash()
        return None if told is None else told + sum(Decimal(deal["fee"]) for deal in self.line.venue.deals)


class TellsOurTime(Noted):
    async def server_time_ns(self) -> int:
        """Ask once, and go on counting by our own clock."""
        if self.known is None:
            self.known = await super().server_time_ns()
        self.known += 1
        return cast("int", self.known)


class TellsTimeAsItComes(Noted):
    async def server_time_ns(self) -> int:
        self._latest_ns = 0
        return await super().server_time_ns()


# -- statements ---------------------------------------------------------------------------------------------


class TellsFillsWithoutFees(Noted):
    async def statements(self) -> AsyncIterator[BrokerMessage]:
        async for told in super().statements():
            yield told.model_copy(update={"fee": Decimal(0)}) if isinstance(told, Fill) else told


class NumbersDeliveries(Noted):
    async def statements(self) -> AsyncIterator[BrokerMessage]:
        seen: list[str] = []
        async for told in super().statements():
            again = isinstance(told, Fill) and told.fill_id in seen
            if isinstance(told, Fill):
                seen.append(told.fill_id)
            yield told.model_copy(update={"fill_id": f"{seen[-1]}-2"}) if again else told


class EndsQuietly(Noted):
    async def statements(self) -> AsyncIterator[BrokerMessage]:
        try:
            async for told in super().statements():
                yield told
        except Unreachable:
            return


class DropsWhatHasEnded(Noted):
    async def statements(self) -> AsyncIterator[BrokerMessage]:
        async for told in super().statements():
            if isinstance(told, Fill) and self.line.venue.orders[told.client_order_id]["state"] == "cancelled":
                continue
            yield told
