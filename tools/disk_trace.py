"""What a store asks of its disk, written down, and every disk that a power cut may leave of it.

``Recorder`` is a file system below SQLite, and stands below Python for the anchor and the kill file; it does what it is
told and takes down each write, truncation, sync, creation and removal. ``Replay`` rebuilds the files as they may be
found after a cut at any place of that trace. Modelled is:

* What was synced is there. Of what was written to a file since its last sync the disk has nothing, or all, or any
  part, in sectors of 512 bytes that are whole or not there; a truncation happened or did not. A file that grew by a
  write that is there has zeros where one is not.
* Names: files are made and removed in order, so that the disk has the first so many of those changes since the folder
  was last synced. SQLite syncs it with the first sync of a log or a journal that it made, unseen from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from interlock.runtime.seeds import SeededStreams

__all__ = ["Disk", "Op", "Recorder", "Replay"]

SECTOR: Final = 512
DRAWN: Final = 3
"""Seeded disks of each kind at one cut, beside the one with nothing and the one with all of what was not synced."""

Disk = dict[str, bytes]
"""The content of each file that is there, by its name."""
Choice = Callable[[str], bool]


class Op(msgspec.Struct, frozen=True):
    """One call: make, remove, rename (from ``before``), write, sync, or the sync of the folder, which has no inode.

    A write without ``data`` cuts the file at ``offset``.
    """

    kind: str
    inode: int = 0
    name: str = ""
    offset: int = 0
    data: bytes | None = None
    before: str = ""


class Recorder(apsw.VFS):
    """The machine's disk below one store, with a trace of what was asked of it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.ops: list[Op] = []
        self._folder = folder
        self._inodes: dict[str, int] = {}
        self._made = 0
        super().__init__(name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        """Open a file, and take down what is done to it."""
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else str(name))
        beside = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        file = _RecordedFile(self, name, flags)
        file.follow(self.made(path.name), syncs_folder=beside)
        return file

    def xDelete(self, name: str, sync_folder: bool) -> None:  # noqa: N802, FBT001 - apsw's name and shape
        """Remove a file."""
        super().xDelete(name, sync_folder)
        self.removed(Path(name).name)
        if sync_folder:
            self.ops.append(Op("folder"))

    def made(self, name: str) -> int:
        """Return the inode of a file, which is made where it was not there."""
        if name not in self._inodes:
            self._inodes[name] = self._new()
            self.ops.append(Op("make", self._inodes[name], name))
        return self._inodes[name]

    def renamed(self, name: str, after: str) -> None:
        """Take down that a file has another name."""
        inode = self._inodes[after] = self._inodes.pop(name)
        self.ops.append(Op("rename", inode, after, before=name))

    def _new(self) -> int:
        self._made += 1
        return self._made

    def removed(self, name: str) -> None:
        """Take down that a name is gone."""
        if name in self._inodes:
            self.ops.append(Op("remove", self._inodes.pop(name), name))

    @contextmanager
    def python_too(self) -> Iterator[None]:
        """Take down what Python asks of the disk as well: the anchor and the kill file are written by it."""
        calls = _PythonCalls(self, self._folder)
        kept = {name: getattr(os, name) for name in _PythonCalls.NAMES}
        for name, call in kept.items():
            setattr(os, name, partial(getattr(calls, name), call))
        try:
            yield
        finally:
            for name, call in kept.items():
                setattr(os, name, call)


class _PythonCalls:
    """Calls of the module ``os``, each handed the true one first; of files in one folder they are taken down."""

    NAMES: Final = ("open", "write", "pwrite", "fsync", "close", "rename", "unlink")

    def __init__(self, recorder: Recorder, folder: Path) -> None:
        self._recorder = recorder
        self._folder = folder
        self._files: dict[int, int] = {}
        """The inode of each open file; 0 for the folder."""
        self._places: dict[int, int] = {}

    def open(self, call: Any, path: Any, flags: int, *rest: Any, **named: Any) -> int:
        """Open a file, or the folder."""
        fd: int = call(path, flags, *rest, **named)
        if path == self._folder:
            self._files[fd] = 0
        elif self._ours(path):
            self._files[fd] = self._recorder.made(Path(path).name)
            self._places[fd] = 0
            if flags & os.O_TRUNC:
                self._recorder.ops.append(Op("write", self._files[fd]))
        return fd

    def write(self, call: Any, fd: int, data: bytes) -> int:
        """Write where the file stands."""
        done: int = call(fd, data)
        if fd in self._places:
            self._wrote(fd, data[:done], self._places[fd])
            self._places[fd] += done
        return done

    def pwrite(self, call: Any, fd: int, data: bytes, offset: int) -> int:
        """Write at a place."""
        done: int = call(fd, data, offset)
        if fd in self._places:
            self._wrote(fd, data[:done], offset)
        return done

    def fsync(self, call: Any, fd: int) -> None:
        """Sync a file, or the folder."""
        call(fd)
        if fd in self._files:
            self._recorder.ops.append(Op("sync", self._files[fd]) if self._files[fd] else Op("folder"))

    def close(self, call: Any, fd: int) -> None:
        """Close a file."""
        call(fd)
        self._files.pop(fd, None)
        self._places.pop(fd, None)

    def rename(self, call: Any, path: Any, name: Any) -> None:
        """Rename a file."""
        call(path, name)
        if self._ours(path):
            self._recorder.renamed(Path(path).name, Path(name).name)

    def unlink(self, call: Any, path: Any) -> None:
        """Remove a file."""
        call(path)
        if self._ours(path):
            self._recorder.removed(Path(path).name)

    def _ours(self, path: Any) -> bool:
        return Path(path).parent == self._folder and not str(path).endswith(".lock")

    def _wrote(self, fd: int, data: bytes, offset: int) -> None:
        self._recorder.ops.append(Op("write", self._files[fd], "", offset, bytes(data)))


class _RecordedFile(apsw.VFSFile):
    def __init__(self, recorder: Recorder, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._recorder = recorder
        self._inode = 0
        self._syncs_folder = False
        super().__init__("", name, flags)

    def follow(self, inode: int, *, syncs_folder: bool) -> None:
        """Take down under an inode; a log or a journal that was made syncs the folder once."""
        self._inode = inode
        self._syncs_folder = syncs_folder

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - apsw's name
        """Write."""
        super().xWrite(data, offset)
        self._recorder.ops.append(Op("write", self._inode, "", offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - apsw's name
        """Cut."""
        super().xTruncate(size)
        self._recorder.ops.append(Op("write", self._inode, "", size))

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        """Sync."""
        super().xSync(flags)
        self._recorder.ops.append(Op("sync", self._inode))
        if self._syncs_folder:
            self._syncs_folder = False
            self._recorder.ops.append(Op("folder"))


class Replay:
    """The disk as a trace goes on: ``step`` takes one operation, ``disks`` says what a cut would leave now."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._renamed: list[Op] = []
        """Changes of names since the folder was synced."""
        self._synced: dict[int, bytearray] = {}
        self._written: dict[int, list[Op]] = {}
        """Writes and cuts of each file since it was synced."""

    def step(self, op: Op) -> None:
        """Take one operation."""
        self._synced.setdefault(op.inode, bytearray())
        self._written.setdefault(op.inode, [])
        if op.kind in ("make", "remove", "rename"):
            self._renamed.append(op)
        elif op.kind == "write":
            self._written[op.inode].append(op)
        elif op.kind == "sync":
            for write in self._written[op.inode]:
                _apply(self._synced[op.inode], write)
            self._written[op.inode].clear()
        else:
            _rename(self._names, self._renamed)
            self._renamed.clear()

    def disks(self, seed: int) -> Iterator[Disk]:
        """Yield disks that a power cut may leave now.

        First the one with nothing of what was not synced, then the one with all of it, then seeded ones: with some of
        the writes, and with some of the sectors of some of them. Where all was synced there is but one.
        """
        yield self._disk(lambda _: False, lambda _: False, 0)
        if not self._renamed and not any(self._written.values()):
            return
        yield self._disk(lambda _: True, lambda _: True, len(self._renamed))
        for number in range(2 * DRAWN):
            draw = SeededStreams(seed * 100 + number)
            names = draw.below(len(self._renamed) + 1, "names")

            def some(label: str, draw: SeededStreams = draw) -> bool:
                return draw.below(2, label) == 1

            yield self._disk(some, some if number % 2 else lambda _: True, names)

    def _disk(self, writes: Choice, sectors: Choice, renamed: int) -> Disk:
        names = dict(self._names)
        _rename(names, self._renamed[:renamed])
        disk: Disk = {}
        for name, inode in names.items():
            content = bytearray(self._synced[inode])
            for write in self._written[inode]:
                if writes("write"):
                    _apply(content, write, sectors)
            disk[name] = bytes(content)
        return disk


def _rename(names: dict[str, int], ops: list[Op]) -> None:
    for op in ops:
        if op.kind == "remove":
            del names[op.name]
        else:
            names.pop(op.before, None)
            names[op.name] = op.inode


def _apply(content: bytearray, write: Op, sectors: Choice = lambda _: True) -> None:
    """Do a write, or those sectors of it that are chosen; a file that it makes longer has zeros elsewhere."""
    if write.data is None:
        if len(content) > write.offset:
            del content[write.offset :]
        else:
            content.extend(bytes(write.offset - len(content)))
        return
    end = write.offset + len(write.data)
    content.extend(bytes(max(0, end - len(content))))
    for begin in range(write.offset // SECTOR * SECTOR, end, SECTOR):
        first, last = max(begin, write.offset), min(begin + SECTOR, end)
        if sectors("sector"):
            content[first:last] = write.data[first - write.offset : last - write.offset]
