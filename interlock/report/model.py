"""What a report shows of one run, as data: rows of the sequence chart, orders, books, findings, alerts, trips.

All texts are redacted and bounded before they come here. Times are nanoseconds of session time, from its beginning.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

import msgspec

__all__ = ["TEXT_MAX", "Alert", "Capped", "Finding", "OrderLane", "Point", "ReportData", "Row", "Span", "Trip"]

T = TypeVar("T")

TEXT_MAX: Final = 240
"""Characters of what is told about one message."""

Point = tuple[int, str]
"""When a quantity changed, and what it was from then on, as a decimal text."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of the sequence chart: a message, or something that happened at one actor.

    ``way`` is how a message came (see ``runtime.tracing``), else ``fault``, ``book`` or ``event``. ``step`` is 0 where
    it is not known, ``seq`` the number of the event in the log, 0 for what is no event.
    """

    step: int
    t_ns: int
    sender: str
    to: str
    way: str
    kind: str
    order: str
    text: str
    seq: int = 0


class Span(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An order is in ``state`` from ``t_ns`` on, with so much filled."""

    t_ns: int
    state: str
    filled: str


class OrderLane(msgspec.Struct, frozen=True):
    """The life of one order."""

    key: str
    decision: str
    symbol: str
    side: str
    quantity: str
    spans: list[Span]


class Finding(msgspec.Struct, frozen=True):
    """One difference that a reconcile found; ``seq`` is the event that tells of that reconcile."""

    t_ns: int
    seq: int
    severity: str
    type: str
    kind: str
    symbol: str
    order: str
    ours: str
    theirs: str
    text: str
    resolved: bool


class Alert(msgspec.Struct, frozen=True):
    """One alert that was raised, and whether people were told of it or it was held back."""

    t_ns: int
    seq: int
    alert: str
    text: str
    told: bool


class Trip(msgspec.Struct, frozen=True):
    """One safety rail that fired, with its evidence as (name, value)."""

    t_ns: int
    seq: int
    code: str
    text: str
    evidence: list[tuple[str, str]]


class ReportData(msgspec.Struct, frozen=True):
    """All that a page shows. ``gap`` is where rows were left out (index of the first row after it) and how many."""

    facts: list[tuple[str, str]]
    notes: list[str]
    rows: list[Row]
    gap: tuple[int, int]
    orders: list[OrderLane]
    ours: dict[str, list[Point]]
    theirs: dict[str, list[Point]]
    """Positions by symbol; "" is cash."""
    findings: list[Finding]
    alerts: list[Alert]
    trips: list[Trip]
    end_ns: int


class Capped(Generic[T]):
    """A list that keeps its beginning and its end: where trouble starts, and where it ends."""

    def __init__(self, most: int) -> None:
        self.head: list[T] = []
        self.dropped = 0
        self._most = most // 2
        self._tail: deque[T] = deque(maxlen=most - self._most)

    def append(self, item: T) -> None:
        """Add one item; drop one from the middle where there is no room."""
        if len(self.head) < self._most:
            self.head.append(item)
            return
        self.dropped += len(self._tail) == self._tail.maxlen
        self._tail.append(item)

    def all(self) -> list[T]:
        """Return what was kept."""
        return [*self.head, *self._tail]
