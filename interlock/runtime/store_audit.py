"""A run's audit log, brought up to date from the store, which has every line that was acknowledged.

A run that was killed leaves a file that is behind, and perhaps a last line that was half written. What the file has
must be what the store has; the torn line is cut off, and it and the rest are written again, with the same bytes and
hashes. Damage anywhere else stops it, and nothing is changed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from interlock.domain.errors import BadInput
from interlock.runtime.store_anchor import Record, sync_folder
from interlock.runtime.store_export import run_begun
from interlock.runtime.store_reading import Reading, reading

__all__ = ["Mended", "bring_up_to_date", "mend_audit"]

_LINE_BYTES_MAX: Final = 1 << 21
_ALLOWED: Final = "the audit.jsonl of that run, as far as it was written"
_MARKS: Final = "SELECT * FROM journal WHERE kind = 'mark' ORDER BY sequence"


class Mended(msgspec.Struct, frozen=True):
    """What a log has now: its lines, how many of them were written again, and what was cut off a torn last one."""

    lines: int
    added: int
    torn_bytes: int


def mend_audit(store: Path, run_id: str, file: Path) -> Mended:
    """Bring the audit log ``file`` of a run up to date from the store at ``store``; where there is none it is made.

    Of several runs with the same id the last one is meant.

    Raises:
        BadInput: there is no store, or no such run in it; or a line of the file, which is named, is not the store's.
        StoreDamaged: the store is not as it was written; the kill switch is set and a copy kept aside.
        StoreRefused: it cannot be opened, or somebody else owns it.
    """
    with reading(store, "the mending of an audit log") as opened:
        return bring_up_to_date(file, _lines_of(opened, _beginning(opened, run_id)))


def bring_up_to_date(file: Path, lines: Iterable[bytes]) -> Mended:
    """Bring ``file`` up to ``lines``, each with its newline: what it has stays, a torn end is cut, the rest is added.

    Raises:
        BadInput: a line of the file, which is named, is another one; or it cannot be read or written.
    """
    made = not os.path.lexists(file)
    try:
        if not made and not stat.S_ISREG(file.lstat().st_mode):
            raise BadInput(str(file), "is no plain file", _ALLOWED)
        with file.open("x+b" if made else "r+b") as stream:
            mended = _mended(file, stream, iter(lines))
        if made:
            sync_folder(file.parent)
    except OSError as error:
        raise BadInput(str(file), f"cannot be written: {error.strerror or error}", _ALLOWED) from error
    return mended


def _beginning(store: Reading, run_id: str) -> int:
    """Return the record with which the last run of that id began."""
    begun = [record.sequence for row in store.db.execute(_MARKS) if run_begun(record := Record(*row)) == run_id]
    if not begun:
        raise BadInput(run_id, "no run of this name began on the store", "the run_id of one that did")
    return begun[-1]


def _lines_of(store: Reading, first: int) -> Iterator[bytes]:
    for record in store.records(first):
        if record.sequence > first and run_begun(record) is not None:
            return
        yield from record.audit.encode().splitlines(keepends=True)


def _mended(file: Path, stream: BinaryIO, lines: Iterator[bytes]) -> Mended:
    count, good = 0, 0
    for line in lines:
        found = stream.readline(_LINE_BYTES_MAX)
        if found != line:
            _need_torn(f"{file}:{count + 1}", found, stream)
            return _written(stream, good, line, lines, Mended(count, 0, len(found)))
        count, good = count + 1, good + len(line)
    found = stream.readline(_LINE_BYTES_MAX)
    _need_torn(f"{file}:{count + 1}", found, stream)
    return _written(stream, good, b"", lines, Mended(count, 0, len(found)))


def _need_torn(where: str, found: bytes, stream: BinaryIO) -> None:
    """Let nothing pass but the end of the file, and what a killed process has left of its last line there."""
    if found.endswith(b"\n") or stream.read(1):
        raise BadInput(where, "is not what the store has there", _ALLOWED)


def _written(stream: BinaryIO, good: int, line: bytes, rest: Iterator[bytes], found: Mended) -> Mended:
    """Cut the file after its good lines and add the rest; killed meanwhile, it is torn and can be mended again."""
    added = 0
    stream.seek(good)
    stream.truncate()
    for each in (line, *rest) if line else ():
        stream.write(each)
        added += 1
    stream.flush()
    os.fsync(stream.fileno())
    return Mended(found.lines + added, added, found.torn_bytes)
