"""The one source of choice: whatever is not determined is one ``draw(n, label)`` on the session's Schedule.

0 always means "first in, first out; no fault". So a run is its config plus, for every label, a list of small
integers: its tape. ``FifoSchedule`` always says 0, ``SeededSchedule`` draws from seeded streams, ``TapeSchedule``
plays a recorded tape and says 0 past its end. Every schedule records what it answered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from interlock.domain.errors import BadInput, Broken
from interlock.runtime.seeds import WORD_BITS, SeededStreams

__all__ = ["ORDER_LABEL", "FifoSchedule", "OrderPolicy", "Schedule", "SeededSchedule", "Tape", "TapeSchedule"]

OrderPolicy = Literal["fifo", "random"]
"""Who is served next: the one that waits longest, or a drawn one."""

Tape = dict[str, list[int]]
"""What was drawn, by label, in order; zeros at the end of a list are left out."""

ORDER_LABEL: Final = "next"
"""The label of the draw that decides which runnable thing the next step serves."""

_PERMILLE: Final = 1000
_MAX_DRAWS: Final = 50_000_000
"""Draws a schedule records before it gives up: a run that long has lost its bound."""


class Schedule(ABC):
    """What all schedules share: bounds, recording, and the two questions ``draw`` and ``chance``."""

    def __init__(self, order: OrderPolicy = "fifo") -> None:
        self.order: Final[OrderPolicy] = order
        self._tape: defaultdict[str, list[int]] = defaultdict(list)
        self._draws = 0

    def draw(self, n: int, label: str) -> int:
        """Return a whole number in ``0 .. n-1``; 0 is the ordinary course of things.

        Raises:
            Broken: ``n`` is below 1, or the run has drawn more often than any bounded run may.
        """
        if n <= 1:
            if n == 1:
                return 0
            message = f"draw({n}, {label!r}): there must be at least one choice"
            raise Broken(message)
        self._draws += 1
        if self._draws > _MAX_DRAWS:
            message = f"more than {_MAX_DRAWS} draws in one run"
            raise Broken(message)
        value = self._choose(n, label)
        self._tape[label].append(value)
        return value

    named: ClassVar[bool] = False
    """Whether ``pick`` is asked before every step, with the names of all that can run; otherwise how many is enough."""

    touched: list[str] | None = None
    """Where the driver notes whose mailboxes and waits a step has reached into, for who wants to know."""

    def pick(self, names: list[str]) -> int:
        """Return which of these is served next; the choice is recorded as a draw under ``ORDER_LABEL``."""
        return self.draw(len(names), ORDER_LABEL)

    def chance(self, permille: int, label: str) -> bool:
        """Return True ``permille`` times in a thousand. False, the ordinary course, is recorded as 0."""
        if permille <= 0:
            return False
        self._draws += 1
        value = self._strike(permille, label)
        self._tape[label].append(value)
        return value == 1

    def tape(self) -> Tape:
        """Return everything drawn so far, labels sorted, trailing zeros left out."""
        trimmed: Tape = {}
        for label in sorted(self._tape):
            values = self._tape[label]
            if any(values):  # most labels of faults and crashes have nothing to tell
                end = len(values)
                while values[end - 1] == 0:
                    end -= 1
                trimmed[label] = values[:end]
        return trimmed

    @abstractmethod
    def _choose(self, n: int, label: str) -> int:
        """Return a choice below ``n``."""

    @abstractmethod
    def _strike(self, permille: int, label: str) -> int:
        """Return 1 where a chance comes true, else 0."""


class FifoSchedule(Schedule):
    """First in, first out, and nothing ever goes wrong."""

    def _choose(self, n: int, label: str) -> int:  # noqa: ARG002 - the answer is 0 whatever the question
        return 0

    def _strike(self, permille: int, label: str) -> int:  # noqa: ARG002 - as above
        return 0


class SeededSchedule(Schedule):
    """Draws from seeded streams. With ``order="fifo"`` the seed decides chances only, not who runs next."""

    def __init__(self, seed: int, order: OrderPolicy = "fifo") -> None:
        super().__init__(order)
        self._streams = SeededStreams(seed)

    def _choose(self, n: int, label: str) -> int:
        return next(self._streams[label]) * n >> WORD_BITS

    def _strike(self, permille: int, label: str) -> int:
        return 1 if next(self._streams[label]) * _PERMILLE >> WORD_BITS < permille else 0


class TapeSchedule(Schedule):
    """Plays a recorded tape; past the end of a label's list, first in, first out and no fault.

    Raises:
        BadInput: the tape is not a mapping of labels to lists of whole numbers from 0 on.
    """

    def __init__(self, tape: Mapping[str, list[int]], order: OrderPolicy = "fifo") -> None:
        super().__init__(order)
        if not isinstance(tape, Mapping):
            raise BadInput("tape", f"is a {type(tape).__name__}", "labels with a list of whole numbers each")
        for label, values in tape.items():
            listed = isinstance(label, str) and isinstance(values, list)
            if not listed or not all(isinstance(value, int) and value >= 0 for value in values):
                where = f"tape, label {label!r}"
                raise BadInput(where, "a choice is not a whole number from 0 on", "a list of whole numbers from 0 on")
        self._rest = {label: iter(values) for label, values in sorted(tape.items())}

    def _choose(self, n: int, label: str) -> int:
        # A tape cut or edited by a shrinker may hold a choice that is too large by now: the last one serves.
        return min(self._next(label), n - 1)

    def _strike(self, permille: int, label: str) -> int:  # noqa: ARG002 - the tape has decided already
        return min(self._next(label), 1)

    def _next(self, label: str) -> int:
        rest = self._rest.get(label)
        return 0 if rest is None else next(rest, 0)
