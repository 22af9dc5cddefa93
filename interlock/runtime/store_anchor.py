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

__all__ = ["GENESIS", "Anchor", "Head", "Record", "sync_folder"]

_BYTES: Final = 512
"""One sector, written in one go: there is no half-written anchor."""


class Head(msgspec.Struct, frozen=True):
    """The end of a journal: its last sequence and chain, and how many rows there are then (``live``: not ended)."""

    sequence: int
    orders: int
    live: int
    fills: int
    chain: str


GENESIS: Final = Head(0, 0, 0, 0, hashlib.sha256(b"interlock store 1").hexdigest())
"""The head of a store in which nothing ever happened."""


class Record(msgspec.Struct, frozen=True):
    """One record of the journal. ``fill`` is "" where nothing was filled."""

    sequence: int
    kind: str
    key: str
    version: int
    content: str
    fill: str
    orders: int
    live: int
    fills: int
    chain: str

    def chained(self, before: str) -> str:
        """Return the chain this record has when it stands after the chain ``before``."""
        return sha256_hex(canonical_json((before, *msgspec.structs.astuple(self)[:-1])))

    @property
    def head(self) -> Head:
        """Return the head of a journal that ends with this record."""
        return Head(self.sequence, self.orders, self.live, self.fills, self.chain)


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
