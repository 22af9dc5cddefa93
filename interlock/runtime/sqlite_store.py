"""The store on disk: claims, journal, executions and kill switch in one SQLite database, with an anchor beside it.

Every change is one transaction: the row, the record of the journal that made it so, and the execution where there is
one. It is acknowledged when the disk holds it and the anchor says so. After an error of the disk the store is finished:
it takes nothing more, and what holds is found out by opening it again. Only the kill switch can still be set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import apsw
import msgspec

from interlock.domain.errors import StoreDamaged, StoreRefused
from interlock.domain.ids import canonical_json
from interlock.domain.instants import to_ns
from interlock.domain.orders import Order
from interlock.runtime.kill_file import KillFile
from interlock.runtime.store import (
    ClaimResult,
    Execution,
    OperatorReset,
    need_new_execution,
    need_next_version,
    reset_of,
)
from interlock.runtime.store_anchor import Head, Record
from interlock.runtime.store_opening import OrderRow, damage_told, ended, open_database, order_row, switch_row
from interlock.runtime.store_place import Ownership, Place
from interlock.runtime.store_schema import Row, one, refusal_of, row_hash

__all__ = ["TTL_S", "SqliteStore"]

_CHANGE_ORDER: Final = (
    "UPDATE orders SET fingerprint = ?2, state = ?3, live = ?4, version = ?5, expires_ns = ?6, record = ?7, "
    "content = ?8, hash = ?9 WHERE sequence = ?1"
)
_ADD_ORDER: Final = "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_FILL: Final = "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_RECORD: Final = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SET_SWITCH: Final = "UPDATE switch SET reason = ?2, record = ?3, hash = ?4 WHERE sequence = ?1"
TTL_S: Final = 48 * 3600
"""How long after its making a key may be asked for again; kept with each row, for a purge to come."""

_SWITCH: Final = 1
"""The only row of ``switch``."""


class SqliteStore:
    """The store in the file ``path``, begun where there is none; ``owner`` is who others are told holds it.

    Raises:
        StoreRefused: it cannot be opened here, or somebody else owns it.
        StoreDamaged: it does not hold what was written to it.
    """

    def __init__(self, path: Path, *, owner: str = "a session", ttl_s: int = TTL_S, vfs: str | None = None) -> None:
        self.place = Place(path)
        self._kill = KillFile(self.place.kill)
        self._finished = ""
        self._ttl_ns = to_ns(ttl_s)
        self._ownership = Ownership(self.place, owner)
        try:
            opened = open_database(self.place, vfs)
        except StoreDamaged as error:
            told = damage_told(self.place, error)
            self._ownership.release()
            raise told from error
        except StoreRefused:
            self._ownership.release()
            raise
        self._db, self._anchor, self._head, self._switch = opened
        self._pending = self._head
        self._file = _identity(self.place.path)

    # -- what the port asks for -----------------------------------------------------------------------------

    def length(self) -> int:
        """Return how many records the journal holds."""
        return self._head.sequence

    def complaint(self) -> str:
        """Return why the store takes nothing any more, or ""; it was checked when it was opened."""
        return self._finished

    def order_of(self, client_order_id: str) -> Order | None:
        """Return the order of a key as it was recorded last, or None.

        Raises:
            StoreDamaged: the row is not what was written.
        """
        with self._told():
            row = self._row(client_order_id)
            return None if row is None else row.order

    def claim(self, order: Order) -> ClaimResult:
        """Take the key, unless it is taken or the kill switch is set, which is looked at in the same transaction."""
        with self._transaction():
            row = self._row(order.client_order_id)
            if row is not None:
                return ClaimResult.KNOWN if row.fingerprint == order.fingerprint else ClaimResult.CONFLICT
            if switch_row(self._db, self.place)[1] or self._kill.reason():
                return ClaimResult.HALTED
            self._put(order, None, None)
        return ClaimResult.CLAIMED

    def journal(self, order: Order, execution: Execution | None = None) -> None:
        """Record the order and its execution.

        Raises:
            StoreRefused: nothing was acknowledged, and the store is finished.
            InvariantBroken: ``journal_order`` or ``fill_repeated``; nothing was written.
        """
        with self._transaction():
            self._put(order, self._row(order.client_order_id), execution)

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch, as a file and as a row; one of the two is enough.

        Raises:
            StoreRefused: neither could be written.
        """
        kept = False
        with suppress(OSError):
            self._kill.engage(reason)
            kept = True
        if self._switch:
            return
        try:
            with self._transaction():
                self._turn("switch", reason, reason)
            self._switch = reason
        except StoreRefused:
            if not kept:
                raise

    def kill_switch(self) -> str:
        """Return why the kill switch is set, or ""."""
        return self._switch or self._kill.reason()

    def reset_kill_switch(self, operator: str, reason: str, now_ns: int) -> None:
        """Release the kill switch on the word of a person, and record it; the row first, then the file.

        Raises:
            StoreRefused: the switch is not set, a name or a reason is missing, or it could not be recorded.
        """
        reset = reset_of(self.kill_switch(), operator, reason, now_ns)
        with self._transaction():
            self._turn("reset", "", canonical_json(reset).decode())
        self._switch = ""
        try:
            self._kill.release()
        except OSError as error:
            message = f"{self._kill.path}: cannot be removed, so the kill switch stays set: {error.strerror or error}"
            raise StoreRefused(message) from error

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return every recorded reset, oldest first."""
        with self._told():
            rows = self._db.execute("SELECT content FROM journal WHERE kind = 'reset' ORDER BY sequence").fetchall()
            return tuple(msgspec.json.decode(str(row[0]), type=OperatorReset) for row in rows)

    def close(self) -> None:
        """Put the log into the database, unless there was an error, and let the next owner in.

        Raises:
            StoreRefused: the disk refused; what was acknowledged is in the log.
        """
        try:
            if not self._finished:
                with self._told():
                    self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                    self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)  # and so the empty log goes, too
        finally:
            self._db.close()
            with suppress(OSError):  # an anchor that is behind is made good at the next opening
                self._anchor.close(sync=not self._finished)
            self._ownership.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- one change -----------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block does, all or nothing, and note it in the anchor."""
        if self._finished:
            raise StoreRefused(f"{self._finished} (the store takes nothing more until it is opened again)")
        with self._told():
            self._need_file()
            self._db.execute("BEGIN IMMEDIATE")
            self._pending = self._head
            try:
                yield
                if self._pending is not self._head:
                    self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            if self._pending is not self._head:
                self._head = self._pending
                self._anchor.write(self._head)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever the disk or the database says into the end of this store."""
        try:
            yield
        except StoreRefused as error:
            raise self._finish(error) from error
        except (apsw.Error, UnicodeDecodeError) as error:
            raise self._finish(refusal_of(self.place, error)) from error
        except OSError as error:
            raise self._finish(StoreRefused(f"{self.place.path}: {error.strerror or error}")) from error

    def _finish(self, error: StoreRefused) -> StoreRefused:
        """Take nothing more: after a failed sync nobody knows what the disk holds."""
        if isinstance(error, StoreDamaged) and not self._finished:
            error = damage_told(self.place, error)
        self._finished = self._finished or str(error)
        return error

    def _need_file(self) -> None:
        """Refuse to write into a file that nobody will find again."""
        if _identity(self.place.path) != self._file:
            raise StoreRefused(f"{self.place.path}: was moved, removed or replaced while it was open")

    def _row(self, key: str) -> OrderRow | None:
        row = one(self._db, "SELECT * FROM orders WHERE key = ?", (key,))
        return None if row is None else order_row(row, self.place)

    def _put(self, order: Order, row: OrderRow | None, execution: Execution | None) -> None:
        """Write an order, the execution with it, and the record of both."""
        need_next_version(order, 0 if row is None else row.version + 1)
        head = self._head
        live, was_live = int(not ended(order)), 0 if row is None else row.live
        sequence = head.orders + 1 if row is None else row.sequence
        content, record = canonical_json(order).decode(), head.sequence + 1
        columns: Row = (
            *(sequence, order.client_order_id, order.fingerprint, str(order.state), live, order.version),
            *(order.created_ns + self._ttl_ns, record, content),
        )
        digest = row_hash("orders", columns)
        if row is None:
            self._db.execute(_ADD_ORDER, (*columns, digest))
        else:
            self._db.execute(_CHANGE_ORDER, (sequence, *columns[2:], digest))
        fill = "" if execution is None else self._put_fill(execution, record)
        counts = (max(head.orders, sequence), head.live + live - was_live, head.fills + int(bool(fill)))
        self._append("fill" if fill else "order", (order.client_order_id, order.version), content, fill, counts)

    def _put_fill(self, execution: Execution, record: int) -> str:
        fill = execution.fill
        key = (execution.venue, execution.account, fill.fill_id)
        found = one(self._db, "SELECT 1 FROM fills WHERE venue = ? AND account = ? AND execution_id = ?", key)
        need_new_execution(execution, known=found is not None)
        content = canonical_json((*key, fill.model_dump(mode="json"))).decode()
        columns: Row = (self._head.fills + 1, *key, record, content)
        self._db.execute(_ADD_FILL, (*columns, row_hash("fills", columns)))
        return content

    def _turn(self, kind: str, reason: str, content: str) -> None:
        """Write the row of the kill switch, and its record."""
        head = self._head
        columns: Row = (_SWITCH, reason, head.sequence + 1)
        self._db.execute(_SET_SWITCH, (*columns, row_hash("switch", columns)))
        self._append(kind, ("", 0), content, "", (head.orders, head.live, head.fills))

    def _append(self, kind: str, about: tuple[str, int], content: str, fill: str, counts: tuple[int, int, int]) -> None:
        record = Record(self._head.sequence + 1, kind, *about, content, fill, *counts, "")
        record = msgspec.structs.replace(record, chain=record.chained(self._head.chain))
        self._db.execute(_ADD_RECORD, msgspec.structs.astuple(record))
        self._pending = Head(record.sequence, *counts, record.chain)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
