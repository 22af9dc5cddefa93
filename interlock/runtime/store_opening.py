"""How a store is opened: what must hold before anything is believed, and what is done where it does not.

Looked at are the settings, the end of the journal against the anchor, the numbers of rows, each row of an order that
has not ended, and, while the database is small, every page and index: a key that an index hides would be claimed
again. What is wrong with a row of an ended order comes out when it is read, or in ``store verify``.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

import apsw
import msgspec

from interlock.domain.errors import StoreDamaged, StoreRefused
from interlock.domain.order_states import TERMINAL_ORDER_STATES
from interlock.domain.orders import Order
from interlock.runtime.kill_file import KillFile
from interlock.runtime.store_anchor import GENESIS, Anchor, Head, Record
from interlock.runtime.store_place import Place, keep_aside
from interlock.runtime.store_schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    Row,
    connect,
    create,
    one,
    one_line,
    row_hash,
    told,
)

__all__ = [
    "DAMAGED_SWITCH",
    "Opened",
    "OrderRow",
    "chained",
    "damage_told",
    "damaged",
    "ended",
    "open_database",
    "order_row",
    "switch_row",
]

DAMAGED_SWITCH: Final = "store_damaged"
_WHOLE_BYTES_MAX: Final = 32 << 20
"""Of larger databases pages and indexes are checked in ``store verify`` alone: opening has to be quick."""

_MAGIC: Final = b"SQLite format 3\0"

_REMEDY: Final = (
    "nothing was changed and no order leaves; put back a sound copy of the store with its anchor, or settle every "
    "order with the broker by hand and begin a new store"
)


class OrderRow(NamedTuple):
    """One row of ``orders``."""

    sequence: int
    key: str
    fingerprint: str
    state: str
    live: int
    version: int
    expires_ns: int
    record: int
    content: str
    hash: str

    @property
    def order(self) -> Order:
        """Return the order as it was recorded last."""
        return msgspec.json.decode(self.content, type=Order)


class Opened(NamedTuple):
    """A store that was found in order."""

    db: apsw.Connection
    anchor: Anchor
    head: Head
    switch: str


def damaged(where: object, what: str) -> StoreDamaged:
    """Return the error that names what is not as it was written."""
    return StoreDamaged(f"{where}: {one_line(what)}")


def damage_told(place: Place, error: StoreDamaged) -> StoreDamaged:
    """Set the kill switch, keep a copy aside, and return the error with what is to be done."""
    try:
        KillFile(place.kill).engage(DAMAGED_SWITCH)
        kill = "the kill switch is set"
    except OSError as refused:
        kill = f"the kill switch cannot be set ({refused.strerror or refused})"
    return StoreDamaged(f"{error}; {kill}; {keep_aside(place)}; {_REMEDY}")


def ended(order: Order) -> bool:
    """Return whether nothing more is expected of an order."""
    return order.state in TERMINAL_ORDER_STATES


def open_database(place: Place, vfs: str | None = None) -> Opened:
    """Open the store at a place that is ours, or begin it.

    Raises:
        StoreDamaged: it does not hold what was written to it.
        StoreRefused: it cannot be opened.
    """
    try:
        anchor = _anchor(place)
    except OSError as error:
        raise _refused(place, error) from error
    try:
        anchored = anchor.read()
        _need_files(place, anchored)
        # Nothing was ever acknowledged before the first record: what is missing then was never there.
        db = connect(place, fresh=anchored == GENESIS, vfs=vfs)
    except StoreRefused:
        anchor.close(sync=False)
        raise
    except OSError as error:
        anchor.close(sync=False)
        raise _refused(place, error) from error
    try:
        with told(place):
            if anchored == GENESIS:
                create(db)
            head = _check(db, place, anchored)
            switch = switch_row(db, place)
        if head != anchored:
            anchor.write(head)
    except OSError as error:
        _close(db, anchor)
        raise _refused(place, error) from error
    except StoreRefused:
        _close(db, anchor)
        raise
    return Opened(db, anchor, head, str(switch[1]))


def _refused(place: Place, error: OSError) -> StoreRefused:
    return StoreRefused(f"{error.filename or place.path}: {error.strerror or error}")


def _close(db: apsw.Connection, anchor: Anchor) -> None:
    db.close()
    anchor.close(sync=False)


def _anchor(place: Place) -> Anchor:
    """Open the anchor, or begin with it: it comes first, the database after it."""
    there = place.anchor.exists()
    if not there and place.path.exists() and not place.wal.exists() and not _is_database(place):
        raise StoreRefused(f"{place.path}: is something else, and no store (allowed: a store, or a name for a new one)")
    if not there and (place.path.exists() or place.wal.exists()):
        raise damaged(place.anchor, "the anchor of this store is gone")
    return Anchor(place.anchor, make=not there)


def _is_database(place: Place) -> bool:
    with place.path.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def _need_files(place: Place, anchored: Head) -> None:
    """Look before SQLite does: it throws the log of an empty database away, and plays a journal into any."""
    if anchored == GENESIS:
        if not place.path.exists():
            os.close(os.open(place.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    if not place.path.exists() or place.path.stat().st_size == 0:
        raise damaged(place.path, f"the database is gone, and {anchored.sequence} records with it")
    if place.journal.exists():
        raise damaged(place.journal, "is no file of this store, and would be played into it")


def _check(db: apsw.Connection, place: Place, anchored: Head) -> Head:
    schema = (one(db, "PRAGMA application_id"), one(db, "PRAGMA user_version"))
    if schema[0] == (APPLICATION_ID,) and schema[1] is not None and schema[1][0] > SCHEMA_VERSION:
        raise StoreRefused(f"{place.path}: is of schema {schema[1][0]} (allowed: {SCHEMA_VERSION})")
    if schema != ((APPLICATION_ID,), (SCHEMA_VERSION,)):
        raise damaged(place.path, "is not the database of a store")
    if place.path.stat().st_size <= _WHOLE_BYTES_MAX:
        found = one(db, "PRAGMA integrity_check(1)")
        if found != ("ok",):
            raise damaged(place.path, f"SQLite finds: {found}")
    head = _follow(db, place, anchored)
    _count(db, place, head)
    rows = db.execute("SELECT * FROM orders WHERE live = 1 ORDER BY sequence")
    for number, row in enumerate(rows, start=1):
        order_row(row, place)
        _need_recorded(db, place, OrderRow(*row))
        if number > head.live:
            break
    return head


def _follow(db: apsw.Connection, place: Place, anchored: Head) -> Head:
    """Walk the journal from the anchor to its end, and return that end."""
    # The record of the anchor itself is hashed again as well, after the one before it.
    begin = max(anchored.sequence - 1, 0)
    before = one(db, "SELECT * FROM journal WHERE sequence = ?", (begin,)) if begin else ()
    if before is None:
        raise damaged(place.path, f"journal record {begin} is gone, and the anchor knows of {anchored.sequence}")
    head = Record(*before).head if before else GENESIS
    for row in db.execute("SELECT * FROM journal WHERE sequence > ? ORDER BY sequence", (begin,)):
        head = chained(Record(*row), head, place)
        if head.sequence == anchored.sequence and head != anchored:
            raise damaged(place.path, f"journal record {head.sequence} is not the one that the anchor knows")
    if head.sequence < anchored.sequence:
        what = (
            f"ends with journal record {head.sequence}, and the anchor knows of {anchored.sequence}: commits are lost"
        )
        raise damaged(place.path, what)
    return head


def chained(record: Record, head: Head, place: Place) -> Head:
    """Return the head after one more record of the journal.

    Raises:
        StoreDamaged: the record is missing, or is not the one that was written there.
    """
    wanted = head.sequence + 1
    if record.sequence != wanted:
        raise damaged(place.path, f"journal record {wanted} is gone")
    if record.chained(head.chain) != record.chain:
        raise damaged(place.path, f"journal record {wanted} is not what was written: its chain does not hold")
    return record.head


def _count(db: apsw.Connection, place: Place, head: Head) -> None:
    live = one(db, "SELECT count(*) FROM orders WHERE live = 1")
    for name, found, wanted in (
        ("orders", one(db, "SELECT count(*) FROM orders"), head.orders),
        ("orders that have not ended", live, head.live),
        ("fills", one(db, "SELECT count(*) FROM fills"), head.fills),
    ):
        if found != (wanted,):
            number = None if found is None else found[0]
            raise damaged(place.path, f"holds {number} {name}, and the journal knows of {wanted}")


def order_row(row: Row, place: Place) -> OrderRow:
    """Return a row of ``orders`` that is what was written.

    Raises:
        StoreDamaged: it is not.
    """
    found = OrderRow(*row)
    if row_hash("orders", row[:-1]) != found.hash:
        raise damaged(place.path, f"orders row {found.sequence} ({found.key}) does not have its hash")
    return found


def switch_row(db: apsw.Connection, place: Place) -> Row:
    """Return the row of the kill switch.

    Raises:
        StoreDamaged: it is not what was written.
    """
    row = one(db, "SELECT * FROM switch WHERE sequence = 1")
    if row is None or row_hash("switch", row[:-1]) != row[-1]:
        raise damaged(place.path, "the row of the kill switch is not what was written")
    return row


def _need_recorded(db: apsw.Connection, place: Place, row: OrderRow) -> None:
    if one(db, "SELECT content FROM journal WHERE sequence = ?", (row.record,)) != (row.content,):
        raise damaged(place.path, f"orders row {row.sequence} ({row.key}) is not what journal record {row.record} says")
