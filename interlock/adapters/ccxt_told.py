"""What a reader has told of the history of executions, so that nothing that comes late is passed over.

A cursor is the exchange's own time, and an exchange may put an execution into the past. Whoever reads on from a cursor
would never see it. So each question reads a little further back than was asked for, and an execution that is new there
is an error: better no answer than one with a hole.
"""

from __future__ import annotations

from typing import Final

from interlock.domain.broker import Fill
from interlock.domain.errors import Unreachable

__all__ = ["ToldFills"]

_KEPT_MAX: Final = 200_000


class ToldFills:
    """The executions that were seen, from the place on from which all of them were."""

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange
        self._seen: dict[str, None] = {}
        self._from: int | None = None

    def take(self, fills: tuple[Fill, ...], cursor: int, read_from: int) -> tuple[Fill, ...]:
        """Take in every fill from ``read_from`` on; return those from ``cursor`` on.

        Raises:
            Unreachable: one below ``cursor`` was not there when that place was read before.
        """
        for fill in fills:
            passed = self._from is not None and self._from <= fill.cursor < cursor
            if passed and fill.fill_id not in self._seen:
                text = f"{self._exchange}: trade {fill.fill_id} came late, before what was told already"
                raise Unreachable(text)
        if self._from is None or len(self._seen) > _KEPT_MAX:
            self._seen, self._from = {}, read_from
        self._from = min(self._from, read_from)
        self._seen |= {fill.fill_id: None for fill in fills}
        return tuple(fill for fill in fills if fill.cursor >= cursor)
