"""The idempotency cache as a file: a header with the number of entries and the checksum of all bytes after it.

The header has to be the very text that a writer makes, so that a flipped byte anywhere in the file is found. A file
that is not what its checksum says is *damaged*: that is a result (``cache_ok=false``), and nothing in it is believed.
A file that is, and still holds no entries as they must be, is bad input like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.errors import BadInput
from interlock.domain.ids import canonical_json
from interlock.domain.money import decimal_text
from interlock.domain.orders import Order
from interlock.prove.executions import digest
from interlock.prove.lines import LINES_MAX, RecordReader, readable
from interlock.prove.records import CacheEntry, CacheHeader, above_zero
from interlock.runtime.jsonl import LINE_BYTES_MAX, read_lines

__all__ = ["Cache", "cache_bytes", "read_cache"]

_CHUNK: Final = 1 << 20
_ENTRIES: Final[RecordReader[CacheEntry]] = RecordReader((CacheEntry,))


class Cache:
    """What a cache file says. ``complaint`` is "" where it is sound; digests of keys and contents are kept."""

    def __init__(self, sha256: str, complaint: str = "") -> None:
        self.sha256 = sha256
        self.complaint = complaint
        self._entries: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: CacheEntry) -> None:
        """Take one entry in; raises BadInput for a key that is there already."""
        key = digest(entry.broker_client_order_id)
        if key in self._entries:
            raise BadInput("key broker_client_order_id", "stands here a second time", "each key once")
        size = decimal_text(above_zero(entry.size, "size"))
        self._entries[key] = _content(entry.decision_id, entry.symbol, entry.side, size, entry.fingerprint)

    def misses(self, order: Order) -> str:
        """Return why this cache would not keep an open order from being sent again, or ""."""
        content = self._entries.get(digest(order.client_order_id))
        if content is None:
            return f"holds no entry for the open order {order.client_order_id}"
        size = decimal_text(order.quantity)
        same = content == _content(order.decision_id, order.symbol, order.side, size, order.fingerprint)
        return "" if same else f"holds the open order {order.client_order_id} with other content"


def _content(*parts: str) -> bytes:
    return digest("|".join(parts))


def cache_bytes(entries: Iterable[CacheEntry]) -> bytes:
    """Return the file that holds these entries."""
    lines = [msgspec.json.encode(entry) + b"\n" for entry in entries]
    body = b"".join(lines)
    return canonical_json(CacheHeader(len(lines), hashlib.sha256(body).hexdigest())) + b"\n" + body


def read_cache(path: Path) -> Cache:
    """Return what the file at ``path`` says, or that it is damaged.

    Raises:
        BadInput: there is no such file, or it is sound and holds something that is no entry.
    """
    whole, body = hashlib.sha256(), hashlib.sha256()
    with readable(path) as stream:
        first = stream.readline(LINE_BYTES_MAX)
        whole.update(first)
        while chunk := stream.read(_CHUNK):
            whole.update(chunk)
            body.update(chunk)
        header = _header(first)
        if isinstance(header, str):
            return Cache(whole.hexdigest(), header)
        if header.sha256 != body.hexdigest():
            return Cache(whole.hexdigest(), "its bytes do not have the checksum of its header")
        stream.seek(0)
        cache = Cache(whole.hexdigest())
        for number, line in read_lines(stream, str(path), lambda _: None, lines_max=LINES_MAX):
            if number > 1:
                _add(cache, line, f"{path}:{number}")
    if len(cache) != header.entries:
        return Cache(whole.hexdigest(), f"holds {len(cache)} entries, its header says {header.entries}")
    return cache


def _add(cache: Cache, line: bytes, where: str) -> None:
    try:
        cache.add(_ENTRIES.read(line, where))
    except BadInput as error:
        if error.where.startswith(where):
            raise
        raise BadInput(f"{where}: {error.where}", error.what, error.allowed) from error


def _header(line: bytes) -> CacheHeader | str:
    """Return the header of a file, or what is wrong with it."""
    try:
        header = msgspec.json.decode(line, type=CacheHeader)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "does not begin with a header that can be read"
    return header if canonical_json(header) + b"\n" == line else "has a header that no writer makes"
