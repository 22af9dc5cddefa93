"""Price paths: where the mock market goes, tick by tick, as data.

A path either follows its list of points, staying at the last one, or walks: at each tick one draw decides between
staying (the ordinary course), up and down by one tick size, never below one tick size.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from interlock.runtime.actor import Context

__all__ = ["PricePath", "PriceWalk"]


class PricePath(msgspec.Struct, frozen=True):
    """One symbol's path: ``points`` in order if there are any, else a walk from ``start``."""

    symbol: str
    start: Decimal
    tick_size: Decimal
    points: tuple[Decimal, ...] = ()


class PriceWalk:
    """A path on its way."""

    def __init__(self, path: PricePath) -> None:
        self.symbol = path.symbol
        self.price = path.start
        self._path = path
        self._at = 0

    def tick(self, ctx: Context) -> Decimal:
        """Move by one tick and return the new price."""
        points = self._path.points
        if points:
            self.price = points[min(self._at, len(points) - 1)]
            self._at += 1
            return self.price
        move = ctx.draw(3, f"price.{self.symbol}")
        size = self._path.tick_size
        if move == 1:
            self.price += size
        elif move == 2 and self.price > size:  # noqa: PLR2004 - the third of three choices: down
            self.price -= size
        return self.price
