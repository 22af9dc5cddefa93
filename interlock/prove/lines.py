"""Reads one input file of a proof, record by record, and stops at the first line that is not as it must be.

On top of what the records themselves say (unknown keys, wrong types, unknown schemas) it refuses what decoders let
pass: a key given twice, a gap or a repeat in ``seq``, a time that goes back or lies outside 1970 to 2199. Every
complaint is a ``BadInput`` that names file and line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Generic, Protocol, TypeVar, Union

import msgspec

from interlock.domain.errors import BadInput, UnknownSchema
from interlock.runtime.jsonl import JSONL_FORMAT, open_regular, read_lines, without_duplicates

__all__ = ["LINES_MAX", "RecordFile", "RecordReader", "in_order", "readable"]

LINES_MAX: Final = 100_000_000

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_SHOWN_MAX: Final = 200
_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<key>[^`]*)`)?", re.DOTALL)

T = TypeVar("T")


class _Numbered(Protocol):
    @property
    def seq(self) -> int: ...
    @property
    def ts(self) -> datetime: ...


R = TypeVar("R", bound=_Numbered)


class RecordReader(Generic[T]):
    """Turns lines into records of one format, strictly. ``schemas`` is what may stand under ``schema``."""

    def __init__(self, shapes: tuple[type[T], ...], *schemas: str) -> None:
        self._decode: Callable[[bytes], T] = msgspec.json.Decoder(Union[shapes]).decode  # noqa: UP007 - known at run time
        self._encode = msgspec.json.Encoder().encode
        self._schemas = schemas

    def read(self, line: bytes, where: str) -> T:
        """Return the record of one line; raises BadInput (UnknownSchema for a record of another release)."""
        try:
            record = self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._fault(error, where) from error
        # The text that we would write ourselves holds no key twice; any other is read again by who sees such keys.
        if self._encode(record) != line:
            try:
                json.loads(line, object_pairs_hook=without_duplicates)
            except ValueError as error:
                raise BadInput(where, str(error), "each key once") from error
        return record

    def _fault(self, error: Exception, where: str) -> BadInput:
        if isinstance(error, UnicodeDecodeError):
            return BadInput(where, "not UTF-8", JSONL_FORMAT)
        if isinstance(error, RecursionError):
            return BadInput(where, "nested too deep", "one flat JSON object")
        found = _PLACE.fullmatch(str(error))
        what = str(error) if found is None else found["what"]
        key = None if found is None else found["key"]
        shown = ascii(what)[1:-1][:_SHOWN_MAX]
        if key == "schema" and self._schemas:
            return UnknownSchema(f"{where}: key schema", shown, ", ".join(self._schemas))
        if not isinstance(error, msgspec.ValidationError):
            return BadInput(where, shown, JSONL_FORMAT)
        return BadInput(f"{where}: key {key}" if key else where, shown)


class RecordFile(Generic[R]):
    """A file of numbered records, read once and in order.

    ``count``, ``latest`` and ``digest`` say how far it was read, up to which time, and what; all are whole when the
    iteration has ended.
    """

    def __init__(self, path: Path, reader: RecordReader[R]) -> None:
        self.path = path
        self.count = 0
        self.latest: datetime | None = None
        self._source = str(path)
        self._reader = reader
        self._hash = hashlib.sha256()

    @property
    def where(self) -> str:
        """Return the place of the record that was read last."""
        return f"{self._source}:{self.count}"

    @property
    def digest(self) -> str:
        """Return the SHA-256 of what was read."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[R]:
        with readable(self.path) as stream:
            last: R | None = None
            for number, line in read_lines(stream, self._source, self._hash.update, lines_max=LINES_MAX):
                self.count = number
                record = self._reader.read(line, self.where)
                if last is None or record.seq != last.seq + 1 or record.ts < last.ts or record.ts >= _LATEST:
                    self._check(record, last)
                last, self.latest = record, record.ts
                yield record

    def _check(self, record: R, last: R | None) -> None:
        """Refuse a record that does not follow the one before it."""
        if not _EARLIEST <= record.ts < _LATEST:
            raise BadInput(f"{self.where}: key ts", "is out of range", "a time from 1970 to 2199")
        if last is None:
            return
        if record.seq <= last.seq:
            kind = "stands here again" if record.seq == last.seq else f"comes after {last.seq}"
            raise BadInput(f"{self.where}: key seq", f"{record.seq} {kind}", f"{last.seq + 1}")
        if record.seq > last.seq + 1:
            what = f"{record.seq} after {last.seq} leaves a gap: nothing is concluded from a log with a hole in it"
            raise BadInput(f"{self.where}: key seq", what, f"{last.seq + 1}; ask for what is missing")
        if record.ts < last.ts:
            what = f"goes back from {last.ts.isoformat()} to {record.ts.isoformat()}"
            raise BadInput(f"{self.where}: key ts", what, "records in the order of their time")


@contextmanager
def readable(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for the length of the block; raises BadInput for one that cannot be read."""
    try:
        with open_regular(path) as stream:
            yield stream
    except OSError as error:
        raise BadInput(str(path), f"cannot be read: {error.strerror or error}", "a readable regular file") from error


def in_order(
    first: RecordFile[Any],
    take_first: Callable[[Any], None],
    second: RecordFile[Any],
    take_second: Callable[[Any], None],
) -> None:
    """Read two files side by side in the order of their times, the first one first where those are equal.

    Raises:
        BadInput: from either file, or from who takes its records; then file and line are put before it.
    """
    left, right = iter(first), iter(second)
    here, there = next(left, None), next(right, None)
    while here is not None or there is not None:
        if there is None or (here is not None and here.ts <= there.ts):
            _take(first, take_first, here)
            here = next(left, None)
        else:
            _take(second, take_second, there)
            there = next(right, None)


def _take(file: RecordFile[Any], take: Callable[[Any], None], record: Any) -> None:
    try:
        take(record)
    except BadInput as error:
        raise BadInput(f"{file.where}: {error.where}", error.what, error.allowed) from error
