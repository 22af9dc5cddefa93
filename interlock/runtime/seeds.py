"""Seeded randomness: the only file under the actors that may touch ``random``.

Each label has a stream of its own, so that drawing once more for one purpose shifts no other purpose, and a
tape recorded yesterday still means the same after a small change of the code.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from interlock.domain.ids import stable_id

__all__ = ["SeededStreams"]


class SeededStreams(dict[str, Callable[[], float]]):
    """The stream of each label: a call of it draws from [0, 1). Equal seeds give equal streams everywhere."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def below(self, n: int, label: str) -> int:
        """Return a whole number in ``0 .. n-1`` from the stream of ``label``."""
        return int(self[label]() * n)

    def __missing__(self, label: str) -> Callable[[], float]:
        # random() of a Mersenne Twister seeded with an int is guaranteed stable across versions.
        stream = self[label] = random.Random(int(stable_id("seed", self.seed, label), 16)).random
        return stream
