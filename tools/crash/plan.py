"""What goes wrong at the broker, as data: the fate of each call and of each statement on the stream.

A plan has chances in permille, drawn from the story's seed, and lists that say what becomes of the first calls of a
kind, for stories that are about exactly that. What is late or hidden is so for less than the settle time, together.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from interlock.runtime.seeds import SeededStreams

__all__ = ["CALM", "LATE_S", "ROUGH", "Fate", "Mishaps", "Plan"]

LATE_S: Final = 4
"""How late a place request can reach the book, and how long a new order can be hidden: each of both."""

_PERMILLE: Final = 1000


class Fate(StrEnum):
    """What becomes of a call, or of a statement."""

    DONE = "done"
    LIMITED = "limited"
    """Turned away for its rate: proven to have had no effect."""
    REFUSED = "refused"
    """A definite no."""
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    LATE = "late"
    """A place request: no answer, and done only later. A statement: told later."""
    HIDDEN = "hidden"
    """A query: a new order is not found yet."""
    TWICE = "twice"
    """A statement: told again later."""


Chances = dict[Fate, int]


class Plan(msgspec.Struct, frozen=True):
    """Chances in permille by fate, and the fates of the first calls of a kind; what is left is ``DONE``."""

    place: Chances = {}
    cancel: Chances = {}
    read: Chances = {}
    stream: Chances = {}
    partial: int = 0
    """How often only a part fills at a time."""
    crossing: int = 0
    """How often a fill crosses a cancel."""
    first_places: tuple[Fate, ...] = ()
    first_reads: tuple[Fate, ...] = ()
    first_told: tuple[Fate, ...] = ()
    conflict_at: int = 0
    """The execution that is told again with another price: what must stop a session. 0: none."""


CALM: Final = Plan()

ROUGH: Final = Plan(
    place={
        Fate.LIMITED: 60,
        Fate.REFUSED: 60,
        Fate.LOST_BEFORE: 60,
        Fate.LOST_AFTER: 70,
        Fate.ERROR_BEFORE: 30,
        Fate.ERROR_AFTER: 40,
        Fate.LATE: 70,
    },
    cancel={Fate.LIMITED: 60, Fate.LOST_BEFORE: 80, Fate.LOST_AFTER: 80, Fate.ERROR_AFTER: 40},
    read={Fate.LIMITED: 50, Fate.LOST_BEFORE: 50, Fate.ERROR_BEFORE: 50, Fate.HIDDEN: 200},
    stream={Fate.LATE: 150, Fate.TWICE: 150, Fate.LOST_BEFORE: 40},
    partial=350,
    crossing=200,
)
"""A broker on a bad day."""


class Mishaps:
    """A plan on its way."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        self._draws = SeededStreams(seed)
        self._seen = {"place": 0, "read": 0, "stream": 0}

    def place(self) -> Fate:
        """Return what becomes of the next place request."""
        return self._next("place", self.plan.place, self.plan.first_places)

    def cancel(self) -> Fate:
        """Return what becomes of the next cancel."""
        return self._drawn("cancel", self.plan.cancel)

    def read(self) -> Fate:
        """Return what becomes of the next question."""
        return self._next("read", self.plan.read, self.plan.first_reads)

    def told(self) -> Fate:
        """Return what becomes of the next statement on the stream."""
        return self._next("stream", self.plan.stream, self.plan.first_told)

    def partly(self) -> bool:
        """Return whether only a part of an order fills now."""
        return self.below(_PERMILLE, "partial") < self.plan.partial

    def crosses(self) -> bool:
        """Return whether a fill crosses a cancel now."""
        return self.below(_PERMILLE, "crossing") < self.plan.crossing

    def below(self, n: int, label: str) -> int:
        """Draw a whole number below ``n``."""
        return self._draws.below(n, label)

    def _next(self, kind: str, chances: Chances, first: tuple[Fate, ...]) -> Fate:
        seen = self._seen[kind]
        self._seen[kind] += 1
        return first[seen] if seen < len(first) else self._drawn(kind, chances)

    def _drawn(self, kind: str, chances: Chances) -> Fate:
        drawn = self.below(_PERMILLE, kind)
        for fate, permille in chances.items():
            drawn -= permille
            if drawn < 0:
                return fate
        return Fate.DONE
