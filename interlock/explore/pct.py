"""Schedules by priority: each actor's work has a drawn priority, which changes at a few drawn places of the run.

A fault that needs d steps to happen in a certain order is found with a probability that falls with the number of actors
and with the (d-1)th power of the length of the run, and not with the number of its interleavings. The idea is that of
probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010).
"""

from __future__ import annotations

from typing import ClassVar, Final

from interlock.runtime.schedule import ORDER_LABEL, Schedule
from interlock.runtime.seeds import SeededStreams

__all__ = ["PctSchedule"]

_PRIORITIES: Final = 1 << 30
_PERMILLE: Final = 1000


class PctSchedule(Schedule):
    """Serves the highest priority first; ``depth`` is the number of steps whose order is meant to matter.

    Its tape plays on a ``TapeSchedule`` of the random order.
    """

    named: ClassVar[bool] = True

    def __init__(self, seed: int, depth: int = 3, steps: int = 200) -> None:
        """``steps`` is about how long a run is: the changes of priority are drawn within it."""
        super().__init__("random")
        self._streams = SeededStreams(seed)
        self._priorities: dict[str, int] = {}
        self._changes = sorted(self._streams.below(max(steps, 1), "pct.change") for _ in range(max(depth - 1, 0)))
        self._steps = 0
        self._picked = 0

    def pick(self, names: list[str]) -> int:
        """Return the one of the highest priority; at a place of change that one falls below all others first."""
        self._steps += 1
        while self._changes and self._changes[0] < self._steps:
            del self._changes[0]
            self._priorities[names[self._highest(names)]] = -self._steps
        self._picked = self._highest(names)
        return self.draw(len(names), ORDER_LABEL)

    def _highest(self, names: list[str]) -> int:
        for name in names:
            if name not in self._priorities:
                self._priorities[name] = self._streams.below(_PRIORITIES, "pct.priority")
        return max(range(len(names)), key=lambda index: (self._priorities[names[index]], -index))

    def _choose(self, n: int, label: str) -> int:
        return self._picked if label == ORDER_LABEL else self._streams.below(n, label)

    def _strike(self, permille: int, label: str) -> int:
        return 1 if self._streams.below(_PERMILLE, label) < permille else 0
