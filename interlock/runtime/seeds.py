"""Seeded randomness: the only file under the actors that may touch ``random``.

Each label has a stream of its own, so that drawing once more for one purpose shifts no other purpose, and a
tape recorded yesterday still means the same after a small change of the code.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from interlock.domain.ids import stable_id

__all__ = ["SeededStreams"]


class SeededStreams:
    """Uniform draws by label. Equal seeds give equal streams on every machine and Python version."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, Callable[[], float]] = {}

    def below(self, n: int, label: str) -> int:
        """Return a whole number in ``0 .. n-1`` from the stream of ``label``."""
        stream = self._streams.get(label)
        return int((stream or self._begin(label))() * n)

    def _begin(self, label: str) -> Callable[[], float]:
        # random() of a Mersenne Twister seeded with an int is guaranteed stable across versions.
        stream = self._streams[label] = random.Random(int(stable_id("seed", self.seed, label), 16)).random
        return stream
