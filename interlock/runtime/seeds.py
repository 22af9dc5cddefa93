"""Seeded randomness: hashes of a seed, a label and a running number, the same on every machine and Python.

Each label has a stream of its own, so that drawing once more for one purpose shifts no other purpose, and a
tape recorded yesterday still means the same after a small change of the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain, count
from struct import Struct
from typing import Final

__all__ = ["WORD_BITS", "SeededStreams"]

WORD_BITS: Final = 32
"""How many bits a word has: ``word * n >> WORD_BITS`` lies in ``0 .. n-1``, evenly for every ``n`` in use here."""

_BLOCK: Final = Struct("<16I")


class SeededStreams(dict[str, Iterator[int]]):
    """The stream of each label: words of ``WORD_BITS`` bits without end. Equal seeds give equal streams everywhere.

    Most streams of a session are asked a few times only, and seeding a Mersenne Twister costs as much as 40 draws.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def below(self, n: int, label: str) -> int:
        """Return a whole number in ``0 .. n-1`` from the stream of ``label``."""
        return next(self[label]) * n >> WORD_BITS

    def __missing__(self, label: str) -> Iterator[int]:
        about = f"{self.seed} {label}"
        blocks = (_BLOCK.unpack(blake2b(f"{about} {number}".encode()).digest()) for number in count())
        stream = self[label] = chain.from_iterable(blocks)
        return stream
