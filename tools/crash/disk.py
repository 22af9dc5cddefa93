"""A disk that fails once, or from then on: the n-th write of the database or of its anchor, or the n-th sync.

The shim stands below SQLite, in the child's own process. A failed write has written nothing; of a failed sync nobody
knows what the disk holds.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final
from unittest.mock import patch

import apsw
import msgspec

from interlock.runtime.store_anchor import Anchor, Head

__all__ = ["DiskCall", "DiskFault", "FailingDisk", "failing_anchor"]


class DiskCall(StrEnum):
    """What the disk can refuse."""

    WRITE = "disk_full"
    SYNC = "io_error_at_fsync"
    ANCHOR = "disk_full_at_anchor"


_ERRORS: Final[dict[DiskCall, tuple[type[apsw.Error], int]]] = {
    DiskCall.WRITE: (apsw.FullError, apsw.SQLITE_FULL),
    DiskCall.SYNC: (apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
}


class DiskFault(msgspec.Struct, frozen=True):
    """The ``nth`` call of its kind fails; ``lasting`` says that all later ones do, too."""

    call: DiskCall
    nth: int
    lasting: bool = False


class FailingDisk(apsw.VFS):
    """The machine's disk below SQLite, until the fault strikes; ``struck`` is when it did first, as ``when`` tells."""

    def __init__(self, fault: DiskFault, when: Callable[[], str]) -> None:
        self.name = f"failing disk {id(self)}"
        self.struck = ""
        self._when = when
        self._fault = fault
        self._seen = 0
        super().__init__(self.name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        """Open a file that can fail."""
        return _FailingFile(self, name, flags)

    def strikes(self, call: DiskCall) -> bool:
        """Return whether this call is refused."""
        if call is not self._fault.call:
            return False
        self._seen += 1
        hit = self._seen == self._fault.nth or (self._fault.lasting and self._seen > self._fault.nth)
        if hit:
            self.struck = self.struck or self._when()
        return hit

    def refuse(self, call: DiskCall) -> None:
        """Raise what a refused call is answered with."""
        if self.strikes(call):
            kind, code = _ERRORS[call]
            error = kind(f"injected: {call}")
            vars(error)["extendedresult"] = code
            raise error


class _FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - apsw's name
        """Write, or fail."""
        self._disk.refuse(DiskCall.WRITE)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        """Sync, or fail."""
        self._disk.refuse(DiskCall.SYNC)
        super().xSync(flags)


@contextmanager
def failing_anchor(disk: FailingDisk) -> Iterator[None]:
    """Let the anchor, which SQLite knows nothing of, fail with the same disk."""
    write = Anchor.write

    def written(anchor: Anchor, head: Head) -> None:
        if disk.strikes(DiskCall.ANCHOR):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(anchor, head)

    with patch.object(Anchor, "write", written):
        yield
