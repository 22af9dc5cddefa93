"""The anchor: what a store held last, in a small file outside its database.

SQLite drops the end of a damaged log without a word, and then finds itself in order. The anchor says how far the store
had come, so that a store which is behind its anchor has lost something. It is written after every commit and synced
when the store is closed: a power cut can leave it behind the store, where the chain proves the rest, never ahead.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.errors import StoreDamaged
from interlock.domain.ids import canonical_json, sha256_hex

__all__ = ["GENESIS", "Anchor", "Counts", "Head", "Record", "chain_of", "counts_of", "sync_folder", "text_of"]

_DIGITS_MAX: Final = 19
_BYTES: Final = 512
"""One sector, written in one go: there is no half-written anchor."""


class Counts(msgspec.Struct, frozen=True):
    """How many rows there are after a record: orders ever, of these not ended and dropped, fills, books of accounts."""

    orders: int = 0
    live: int = 0
    purged: int = 0
    fills: int = 0
    books: int = 0


class Head(msgspec.Struct, frozen=True):
    """The end of a journal: its last sequence, the largest time in it, the numbers of rows then, and its chain."""

    sequence: int
    at_ns: int
    counts: Counts
    chain: str


GENESIS: Final = Head(0, 0, Counts(), hashlib.sha256(b"interlock store 2").hexdigest())
"""The head of a store in which nothing ever happened."""


class Record(msgspec.Struct, frozen=True):
    """One record of the journal: a change, the execution with it, and the audit lines that were noted for it.

    ``key`` and ``version`` are those of an order, ``fill`` is "" where nothing was filled, ``audit`` is lines.
    """

    sequence: int
    at_ns: int
    kind: str
    key: str
    version: int
    content: str
    fill: str
    audit: str
    counts: str
    chain: str = ""

    def chained(self, before: str) -> str:
        """Return the chain this record has when it stands after the chain ``before``."""
        return chain_of(before, msgspec.structs.astuple(self)[:-1])

    @property
    def head(self) -> Head:
        """Return the head of a journal that ends with this record."""
        return Head(self.sequence, self.at_ns, counts_of(self.counts), self.chain)


def chain_of(before: str, columns: tuple[int | str, ...]) -> str:
    """Return the chain of a record with these columns, those before ``chain``, after the chain ``before``."""
    return sha256_hex(canonical_json((before, *columns)))


def text_of(counts: Counts) -> str:
    """Return counts as a record has them."""
    return f"{counts.orders} {counts.live} {counts.purged} {counts.fills} {counts.books}"


def counts_of(text: str) -> Counts:
    """Return what ``text_of`` made a text of; a text that it never made gives counts that no store has."""
    numbers = [
        int(word) if word.isascii() and word.isdigit() and len(word) < _DIGITS_MAX else -1 for word in text.split()
    ]
    return Counts(*numbers) if len(numbers) == len(Counts.__struct_fields__) else Counts(-1)


class Anchor:
    """The file of the anchor, open."""

    def __init__(self, path: Path, *, make: bool) -> None:
        """Open the file; ``make`` makes it, at the beginning of all things.

        Raises:
            OSError: the disk refused.
        """
        self.path = path
        # Made under another name: an anchor that is there is whole.
        name = path.with_name(path.name + ".new") if make else path
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT | os.O_TRUNC if make else 0)
        self._fd = os.open(name, flags, 0o600)
        if make:
            self.write(GENESIS)
            os.fsync(self._fd)
            name.rename(path)
            sync_folder(path.parent)

    def write(self, head: Head) -> None:
        """Put ``head`` in place of what is there; raises OSError."""
        body = canonical_json(head)
        text = body + b"\n" + sha256_hex(body).encode() + b"\n"
        if os.pwrite(self._fd, text.ljust(_BYTES), 0) != _BYTES:
            raise OSError(f"{self.path}: was written only in part")

    def read(self) -> Head:
        """Return what is there.

        Raises:
            StoreDamaged: it is not what was written.
        """
        raw = os.pread(self._fd, _BYTES + 1, 0)
        body, _, rest = raw.partition(b"\n")
        if len(raw) != _BYTES or (sha256_hex(body).encode() + b"\n").ljust(_BYTES - len(body) - 1) != rest:
            message = f"{self.path}: the anchor is damaged: it does not have its checksum"
            raise StoreDamaged(message)
        return msgspec.json.decode(body, type=Head)

    def close(self, *, sync: bool) -> None:
        """Close, and wait for the disk if asked to; raises OSError."""
        try:
            if sync:
                os.fsync(self._fd)
        finally:
            os.close(self._fd)


def sync_folder(folder: Path) -> None:
    """Wait until the disk holds the names in a folder; raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
