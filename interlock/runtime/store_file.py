"""One open database of a store: its transaction, its commits with the anchor, and its end.

What is appended waits in one open transaction. ``commit`` lets the disk hold it and then moves the anchor. After an
error of the disk or the database the file is finished: it takes nothing more, and what holds is found out by opening it
again.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Final

import apsw

from interlock.domain.errors import StoreDamaged, StoreRefused
from interlock.runtime.crash_points import CrashPoint, Probe
from interlock.runtime.store_changes import Change, Execution, Told
from interlock.runtime.store_opening import damage_told, open_database
from interlock.runtime.store_place import Ownership, Place
from interlock.runtime.store_schema import refusal_of
from interlock.runtime.store_tables import OrderRow

__all__ = ["StoreFile"]

_CHECKPOINT_PAGES: Final = 1_000
"""How long the log may get before it is put into the database."""


class StoreFile:
    """The database at ``place``, owned by ``owner`` until ``close``.

    Raises:
        StoreRefused: it cannot be opened here, or somebody else owns it.
        StoreDamaged: it does not hold what was written to it.
    """

    def __init__(self, place: Place, *, owner: str, ttl_ns: int, vfs: str | None, probe: Probe) -> None:
        self.place = place
        self.finished = ""
        """Why it takes nothing more, or ""."""
        self._probe = probe
        self._ownership = Ownership(place, owner)
        try:
            opened = open_database(place, vfs, ttl_ns=ttl_ns, probe=probe)
        except StoreDamaged as error:
            told = damage_told(place, error)
            self._ownership.release()
            raise told from error
        except StoreRefused:
            self._ownership.release()
            raise
        self.db, self.tables, self._anchor, self._head, self.switch = opened
        self.taken = self._head
        """The end of the journal with all that waits."""
        self.taking = False
        """Whether a block is within ``transaction``: a commit now would end it in the middle."""
        self._writing = False
        self._lines: list[str] = []
        self._pages = 0
        self.db.set_wal_hook(self._logged)
        self._told = _Told(self)
        self._transaction = _Transaction(self)
        self._name = str(place.path)
        self._identity = _identity(self._name)

    def note(self, line: bytes) -> None:
        """Keep an audit line for the change that is appended next, or for the commit."""
        self._lines.append(line.decode())

    def append(
        self, change: Change, execution: Execution | None = None, at_ns: int = 0, before: OrderRow | None = None
    ) -> None:
        """Write a change into the transaction, only within ``transaction``; ``before`` as with ``Tables.append``."""
        audit, self._lines = "".join(self._lines), []
        self._writing = True
        self.taken = self.tables.append(change, execution, audit, self.taken, at_ns, before)
        self._writing = False

    def transaction(self) -> AbstractContextManager[None]:
        """Take what the block appends into the transaction that is open, or into a new one."""
        return self._transaction

    def begin(self) -> None:
        """Open a transaction, unless one is open."""
        if self.finished:
            raise StoreRefused(f"{self.finished} (the store takes nothing more until it is opened again)")
        if not self.db.in_transaction:
            try:
                self.db.execute("BEGIN IMMEDIATE")
            except apsw.Error as error:
                self.end(error)

    def let_go(self) -> None:
        """Let a transaction go into which nothing was appended."""
        if self.taken is self._head and self.db.in_transaction:
            try:
                self.db.execute("ROLLBACK")
            except apsw.Error as error:
                self.end(error)

    def commit(self) -> bool:
        """Make everything durable that was appended, then say so in the anchor; False where there was nothing.

        Raises:
            StoreRefused: the disk refused; the file is finished.
        """
        if self._lines:
            with self.transaction():
                self.append(Told())
        if self.taken is self._head:
            return False
        if self.finished:
            raise StoreRefused(f"{self.finished} (what was taken since is lost)")
        with self.told():
            self._need_file()
            self.db.execute("COMMIT")
            self._head = self.taken
            self._probe(CrashPoint.ANCHOR_WRITE)
            self._anchor.write(self._head)
        if self._pages >= _CHECKPOINT_PAGES:
            self._checkpoint()
        return True

    def close(self) -> None:
        """Commit, put the log into the database, unless there was an error, and let the next owner in.

        Raises:
            StoreRefused: the disk refused; what was acknowledged is in the log.
        """
        try:
            if not self.finished:
                self.commit()
                with self.told():
                    self.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                    self.db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)  # and so the empty log goes, too
        finally:
            self.db.close()
            with suppress(OSError):  # an anchor that is behind is made good at the next opening
                self._anchor.close(sync=not self.finished)
            self._ownership.release()

    def told(self) -> AbstractContextManager[None]:
        """Turn whatever the disk or the database says into the end of this file."""
        return self._told

    def end(self, error: BaseException) -> None:
        """Take nothing more after an error of the disk, and raise it: nobody knows then what the disk holds."""
        if isinstance(error, StoreRefused):
            refused = error
        elif isinstance(error, apsw.Error | UnicodeDecodeError):
            refused = refusal_of(self.place, error)
        elif isinstance(error, OSError):
            refused = StoreRefused(f"{self.place.path}: {error.strerror or error}")
        elif self._writing:  # half of a change may stand in the transaction, beside others that are whole
            refused = StoreRefused(f"{self.place.path}: a change could not be written whole: {error}")
        else:
            return
        if isinstance(refused, StoreDamaged) and not self.finished:
            refused = damage_told(self.place, refused)
        self.finished = self.finished or str(refused)
        raise refused from error

    def _need_file(self) -> None:
        """Refuse to write into a file that nobody will find again."""
        if _identity(self._name) != self._identity:
            raise StoreRefused(f"{self.place.path}: was moved, removed or replaced while it was open")

    def _logged(self, _: apsw.Connection, __: str, pages: int) -> int:
        """Take note of how long the log is; SQLite calls this after each commit."""
        self._pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        self._probe(CrashPoint.BEFORE_CHECKPOINT)
        with self.told():
            self.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._pages = 0
        self._probe(CrashPoint.AFTER_CHECKPOINT)


# A claim enters two of them while an order waits: plain objects, made once, where generators would be made each time.
class _Told:
    __slots__ = ("_file",)

    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._file.end(error)


class _Transaction(_Told):
    __slots__ = ()

    def __enter__(self) -> None:
        self._file.begin()
        self._file.taking = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.taking = False
        self._file.let_go()
        if error is not None:
            self._file.end(error)


def _identity(name: str) -> tuple[int, int]:
    found = os.stat(name)  # noqa: PTH116 - at every commit, and a Path takes its time
    return found.st_dev, found.st_ino
