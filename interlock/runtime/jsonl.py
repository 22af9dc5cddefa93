"""JSON lines at a door: a file is read as if it were hostile, and the first thing wrong is named as ``file:line``.

Regular files only, line by line, every length bounded; compressed files, byte order marks, CRLF, blank and
half-written lines are refused before anyone looks at their content. ``without_duplicates`` is what a JSON reader
needs to see a key that is given twice: readers silently keep the last one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from interlock.domain.errors import BadInput

__all__ = ["JSONL_FORMAT", "LINE_BYTES_MAX", "open_regular", "read_lines", "without_duplicates"]

JSONL_FORMAT: Final = "a UTF-8 file with one JSON object a line, each line ended by a newline"
LINE_BYTES_MAX: Final = 64 * 1024

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_KEY_SHOWN_MAX: Final = 40


def open_regular(path: Path) -> BinaryIO:
    """Open ``path`` if it is a regular file; a FIFO or device is refused without ever waiting for it.

    Raises:
        BadInput: it is no regular file, or its name cannot be one.
        OSError: it cannot be opened.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO that nobody writes to would hang before it could be looked at.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except ValueError as error:
        raise BadInput(repr(str(path)), "not a usable file name", "a path without NUL bytes") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a directory" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise BadInput(str(path), f"is {kind}", "a regular file")
    return os.fdopen(descriptor, "rb")


def read_lines(
    stream: BinaryIO, source: str, update: Callable[[bytes], None], *, lines_max: int
) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each line, bounded by the size the file had when this began.

    ``update`` is given every byte, in order, so that what was read can be hashed.

    Raises:
        BadInput: naming ``source`` and the line.
    """
    size = os.fstat(stream.fileno()).st_size
    if size == 0:
        raise BadInput(source, "is empty", JSONL_FORMAT)
    taken = 0
    for number in range(1, lines_max + 2):
        raw = stream.readline(LINE_BYTES_MAX + 2)
        taken += len(raw)
        at_end = not raw.endswith(b"\n") and len(raw) <= LINE_BYTES_MAX + 1
        if taken > size or (at_end and taken < size):
            raise BadInput(f"{source}:{number}", "the file changed while it was read", "a file at rest")
        if not raw:
            return
        if number > lines_max:
            raise BadInput(f"{source}:{number}", "too many lines", f"at most {lines_max}")
        fault = (_fault_of_a_file(raw) if number == 1 else None) or _fault(raw)
        if fault is not None:
            raise BadInput(f"{source}:{number}", *fault)
        update(raw)
        yield number, raw[:-1]


def _fault_of_a_file(raw: bytes) -> tuple[str, str] | None:
    """Return what a first line says to be wrong with the whole file."""
    if raw.startswith(_GZIP_MAGIC):
        return "the file is compressed with gzip", JSONL_FORMAT
    if raw.startswith(_BYTE_ORDER_MARK):
        return "the file begins with a byte order mark", JSONL_FORMAT
    return None


def _fault(raw: bytes) -> tuple[str, str] | None:
    """Return what is wrong with the bytes of a line, and what is allowed, before anyone looks at its content."""
    if len(raw.rstrip(b"\n")) > LINE_BYTES_MAX:
        return "the line is too long", f"at most {LINE_BYTES_MAX} bytes"
    if not raw.endswith(b"\n"):
        return "half-written: the last line has no newline", JSONL_FORMAT
    if raw.endswith(b"\r\n"):
        return "the line ends in CRLF", "lines ended by a newline alone"
    if not raw.strip():
        return "the line is blank", JSONL_FORMAT
    return None


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build the object, refusing a key given twice; a hook for ``json.loads``. Raises ValueError."""
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"key {ascii(key)[:_KEY_SHOWN_MAX]} is given twice")
        fields[key] = value
    return fields
