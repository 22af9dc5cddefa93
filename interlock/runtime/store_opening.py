"""How a store is opened: what must hold before anything is believed, and what is done where it does not.

Looked at are the settings, the end of the journal against the anchor, the numbers of rows, each row of an order that
has not ended, the account's books, and, while the database is small, every page and index: a key that an index hides
would be claimed again. What is wrong with a row of an ended order comes out when it is read, or in ``store verify``.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

import apsw

from interlock.domain.errors import StoreDamaged, StoreRefused
from interlock.runtime.crash_points import Probe, unheard
from interlock.runtime.kill_file import KillFile
from interlock.runtime.store_anchor import GENESIS, Anchor, Head, Record
from interlock.runtime.store_place import Place, keep_aside
from interlock.runtime.store_schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    connect,
    migrate,
    one,
    told,
)
from interlock.runtime.store_tables import Tables, damaged

__all__ = ["DAMAGED_SWITCH", "Opened", "chained", "damage_told", "open_database"]

DAMAGED_SWITCH: Final = "store_damaged"
_WHOLE_BYTES_MAX: Final = 32 << 20
"""Of larger databases pages and indexes are checked in ``store verify`` alone: opening has to be quick."""

_MAGIC: Final = b"SQLite format 3\0"

_REMEDY: Final = (
    "nothing was changed and no order leaves; put back a sound copy of the store with its anchor, or settle every "
    "order with the broker by hand and begin a new store"
)


class Opened(NamedTuple):
    """A store that was found in order."""

    db: apsw.Connection
    tables: Tables
    anchor: Anchor
    head: Head
    switch: str


def damage_told(place: Place, error: StoreDamaged) -> StoreDamaged:
    """Set the kill switch, keep a copy aside, and return the error with what is to be done."""
    try:
        KillFile(place.kill).engage(DAMAGED_SWITCH)
        kill = "the kill switch is set"
    except OSError as refused:
        kill = f"the kill switch cannot be set ({refused.strerror or refused})"
    return StoreDamaged(f"{error}; {kill}; {keep_aside(place)}; {_REMEDY}")


def open_database(place: Place, vfs: str | None = None, *, ttl_ns: int = 0, probe: Probe = unheard) -> Opened:
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
    tables = Tables(db, place, ttl_ns)
    try:
        with told(place):
            _need_schema(db, place, fresh=anchored == GENESIS)
            # A store that lost commits is evidence: nothing is migrated before the journal has been found whole.
            head = GENESIS if anchored == GENESIS else _follow(db, place, anchored)
            migrate(db, probe)
            if anchored == GENESIS:
                head = _follow(db, place, anchored)
            _check(db, tables, place, head)
            switch, _ = tables.switch()
        if head != anchored:
            anchor.write(head)
    except OSError as error:
        _close(db, anchor)
        raise _refused(place, error) from error
    except StoreRefused:
        _close(db, anchor)
        raise
    return Opened(db, tables, anchor, head, switch)


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


def _need_schema(db: apsw.Connection, place: Place, *, fresh: bool) -> None:
    """Refuse a database that no release made, and one that a later release has changed."""
    if fresh and one(db, "SELECT count(*) FROM sqlite_schema") == (0,):
        return
    mark, version = one(db, "PRAGMA application_id"), one(db, "PRAGMA user_version")
    if mark != (APPLICATION_ID,) or version is None or version[0] < 1:
        raise damaged(place.path, "is not the database of a store")
    if version[0] > SCHEMA_VERSION:
        raise StoreRefused(f"{place.path}: is of schema {version[0]} (allowed: up to {SCHEMA_VERSION})")


def _check(db: apsw.Connection, tables: Tables, place: Place, head: Head) -> None:
    if place.path.stat().st_size <= _WHOLE_BYTES_MAX:
        found = one(db, "PRAGMA integrity_check(1)")
        if found != ("ok",):
            raise damaged(place.path, f"SQLite finds: {found}")
    _count(db, place, head)
    for number, row in enumerate(tables.live(), start=1):
        if row.order.client_order_id != row.key:
            raise damaged(place.path, f"orders row {row.sequence} ({row.key}) is not its journal record's")
        if number > head.counts.live:
            break
    for venue, account in db.execute("SELECT DISTINCT venue, account FROM books").fetchall():
        tables.book(str(venue), str(account))


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
    counts = head.counts
    for name, sql, wanted in (
        ("orders", "SELECT count(*) FROM orders", counts.orders - counts.purged),
        ("orders that have not ended", "SELECT count(*) FROM orders WHERE live = 1", counts.live),
        ("fills", "SELECT count(*) FROM fills", counts.fills),
        ("books", "SELECT count(*) FROM books", counts.books),
        ("spent keys", "SELECT count(*) FROM spent", counts.purged),
    ):
        found = one(db, sql)
        if found != (wanted,):
            number = None if found is None else found[0]
            raise damaged(place.path, f"holds {number} {name}, and the journal knows of {wanted}")
