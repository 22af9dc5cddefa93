"""Where two runs part: their artifacts compared byte by byte, and the first line that is not the same."""

from __future__ import annotations

import os
from itertools import zip_longest
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.errors import BadInput
from interlock.runtime.redaction import scrub
from interlock.runtime.run_folder import ALERTS, ARTIFACTS

__all__ = ["Difference", "first_difference"]

_EXCERPT: Final = 40


class Difference(msgspec.Struct, frozen=True):
    """The first place where two run folders part: file, line (from 1), and what stands there in each."""

    file: str
    line: int
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.first} here, {self.second} there"


def first_difference(first: Path, second: Path) -> Difference | None:
    """Return where the artifacts of two runs differ first, or None where they are the same bytes.

    Raises:
        BadInput: a file of either folder cannot be read.
    """
    for name in ARTIFACTS:
        found = _first_line(first / name, second / name)
        if found is not None:
            return Difference(name, *found)
    if not os.path.lexists(first / ALERTS) and not os.path.lexists(second / ALERTS):
        return None
    found = _first_line(_there(first / ALERTS), _there(second / ALERTS))
    return None if found is None else Difference(ALERTS, *found)


def _there(path: Path) -> Path:
    """Return a file that may be missing, or one without content in its place."""
    return path if os.path.lexists(path) else Path(os.devnull)


def _first_line(first: Path, second: Path) -> tuple[int, str, str] | None:
    try:
        with first.open("rb") as here, second.open("rb") as there:
            for number, (ours, theirs) in enumerate(zip_longest(here, there, fillvalue=b""), start=1):
                if ours != theirs:
                    parted = (at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b)
                    at = next(parted, min(len(ours), len(theirs)))
                    return number, _excerpt(ours, at), _excerpt(theirs, at)
    except OSError as error:
        raise BadInput(str(error.filename or first), f"cannot be read: {error.strerror or error}") from error
    return None


def _excerpt(line: bytes, at: int) -> str:
    """Return the part of a line around the first byte that differs, fit for a terminal."""
    if not line:
        return "nothing"
    begin = max(0, at - _EXCERPT)
    text = line[begin : at + _EXCERPT].decode("utf-8", "backslashreplace").rstrip("\n")
    return f"{'...' if begin else ''}{scrub(ascii(text)[1:-1])}"
