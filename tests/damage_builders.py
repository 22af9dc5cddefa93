"""Seeded damage to files, and a folder to do it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from interlock.runtime.seeds import SeededStreams

__all__ = ["Damage", "cut", "drop_line", "flip", "repeat_line", "swap", "swap_lines"]

Damage = Callable[[Path, SeededStreams], None]
"""What is done to a file; it may turn out to have changed nothing."""


def flip(file: Path, draw: SeededStreams) -> None:
    """Flip one bit."""
    raw = bytearray(file.read_bytes())
    raw[draw.below(len(raw), "byte")] ^= 1 << draw.below(8, "bit")
    file.write_bytes(raw)


def cut(file: Path, draw: SeededStreams) -> None:
    """Cut the tail off."""
    file.write_bytes(file.read_bytes()[: draw.below(file.stat().st_size, "length")])


def swap(file: Path, draw: SeededStreams) -> None:
    """Swap two pages, or two equal parts of a small file."""
    raw = file.read_bytes()
    size = 4096 if len(raw) > 3 * 4096 else 16
    _swap(file, [raw[at : at + size] for at in range(0, len(raw), size)], draw)


def swap_lines(file: Path, draw: SeededStreams) -> None:
    """Swap two lines."""
    _swap(file, file.read_bytes().splitlines(keepends=True), draw)


def drop_line(file: Path, draw: SeededStreams) -> None:
    """Drop a line."""
    lines = file.read_bytes().splitlines(keepends=True)
    del lines[draw.below(len(lines), "line")]
    file.write_bytes(b"".join(lines))


def repeat_line(file: Path, draw: SeededStreams) -> None:
    """Put a second copy of a line somewhere."""
    lines = file.read_bytes().splitlines(keepends=True)
    lines.insert(draw.below(len(lines), "there"), lines[draw.below(len(lines), "line")])
    file.write_bytes(b"".join(lines))


def _swap(file: Path, parts: list[bytes], draw: SeededStreams) -> None:
    one = draw.below(len(parts), "one")
    other = (one + 1 + draw.below(len(parts) - 1, "other")) % len(parts)
    parts[one], parts[other] = parts[other], parts[one]
    file.write_bytes(b"".join(parts))
