"""A snapshot made of parts: a broker that is asked for one thing after another, as if it had been asked at once.

Between two answers the account may move. The fills are read before everything else and again after it; only where
nothing was executed in between do positions, cash and orders belong together, else it is looked again. Fills that
come in the wrong order, or a history that no longer holds what it told before, are no answer at all.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from interlock.domain.broker import BrokerSnapshot, Fill
from interlock.domain.errors import Unreachable
from interlock.ports import BrokerReader

__all__ = ["SnapshotReader"]

_LOOKS: Final = 4


class SnapshotReader:
    """Takes snapshots of one account; remembers the last fill it was told, to know the history again."""

    def __init__(self, reader: BrokerReader) -> None:
        self._reader = reader
        self._last: Fill | None = None

    async def take(self, fills_after: int) -> BrokerSnapshot:
        """Return the account as it is, with the fills above a cursor.

        Raises:
            BrokerError: no answer, or none from which anything can be concluded.
        """
        reader = self._reader
        before = await self._fills(fills_after)
        for _ in range(_LOOKS):
            as_of_ns = await reader.server_time_ns()
            orders = await reader.open_orders()
            positions = await reader.positions()
            cash, limits = await reader.cash(), await reader.limits()
            after = await self._fills(fills_after)
            if after == before:
                if after:
                    self._last = after[-1]
                return BrokerSnapshot(
                    as_of_ns=as_of_ns,
                    cursor=after[-1].cursor if after else fills_after,
                    open_orders=tuple(orders),
                    fills=tuple(fill for fill in after if fill.cursor > fills_after),
                    positions=tuple(positions),
                    cash=cash,
                    limits=limits,
                )
            before = after
        message = f"the account moved during each of {_LOOKS} looks"
        raise Unreachable(message)

    async def _fills(self, cursor: int) -> tuple[Fill, ...]:
        """Return the fills from a cursor on, that one included, if they are a piece of one history."""
        fills, last = tuple(await self._reader.fills_since(cursor)), self._last
        cursors = [fill.cursor for fill in fills]
        if any(later <= earlier for earlier, later in pairwise(cursors)):
            message = "the fills do not come in rising order"
            raise Unreachable(message)
        if cursors and cursors[0] < cursor:
            message = f"asked for fills from {cursor} on, the broker told {cursors[0]}"
            raise Unreachable(message)
        if last is not None and last.cursor >= cursor and last not in fills:
            message = f"fill {last.cursor}, told before, is not told again as it was"
            raise Unreachable(message)
        return fills
