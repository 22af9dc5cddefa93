"""The database of a store: its tables, the settings it is opened with, and how its rows are read.

Every change of anything is one record of ``journal``, each with the chain of all before it; the other tables are what
the journal amounts to, each row with a hash. No record is ever deleted; of an order that is dropped a digest stays.
The tables came about in steps, and an older store is brought up to date by those that it lacks, one transaction each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import apsw

from interlock.domain.errors import StoreDamaged, StoreRefused
from interlock.domain.ids import canonical_json, sha256_hex
from interlock.runtime.crash_points import CrashPoint, Probe
from interlock.runtime.store_place import Place

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "STEPS",
    "connect",
    "migrate",
    "one",
    "one_line",
    "refusal_of",
    "row_hash",
    "told",
    "version_complaint",
]

APPLICATION_ID: Final = 0x494C4B32

_BEGINNING: Final = """
CREATE TABLE orders (
    sequence INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL, state TEXT NOT NULL,
    live INTEGER NOT NULL, version INTEGER NOT NULL, expires_ns INTEGER NOT NULL, record INTEGER NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX orders_live ON orders (sequence) WHERE live = 1;
CREATE TABLE fills (
    sequence INTEGER PRIMARY KEY, venue TEXT NOT NULL, account TEXT NOT NULL, execution_id TEXT NOT NULL,
    cursor INTEGER NOT NULL, record INTEGER NOT NULL, hash TEXT NOT NULL, UNIQUE (venue, account, execution_id)
);
CREATE TABLE switch (sequence INTEGER PRIMARY KEY, reason TEXT NOT NULL, record INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    version INTEGER NOT NULL, content TEXT NOT NULL, fill TEXT NOT NULL, audit TEXT NOT NULL, counts TEXT NOT NULL,
    chain TEXT NOT NULL
);
CREATE INDEX journal_marks ON journal (kind, sequence) WHERE kind IN ('mark', 'reset');
"""

_BOOKS: Final = """
CREATE TABLE books (
    sequence INTEGER PRIMARY KEY, venue TEXT NOT NULL, account TEXT NOT NULL, symbol TEXT NOT NULL,
    record INTEGER NOT NULL, content TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE (venue, account, symbol)
);
CREATE INDEX fills_cursor ON fills (venue, account, cursor);
"""

_SPENT: Final = """
CREATE TABLE spent (sequence INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, record INTEGER NOT NULL);
"""

STEPS: Final = (_BEGINNING, _BOOKS, _SPENT)
"""What brought the tables about; a store whose ``user_version`` is n has had the first n of them."""

SCHEMA_VERSION: Final = len(STEPS)

_WAL_RESET_FIXED: Final = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""Releases in which the fault in the reset of the write-ahead log is mended; from the last one on, all are sound."""

_READ_BACK: Final = (("journal_mode", "wal"), ("synchronous", 2), ("mmap_size", 0), ("locking_mode", "exclusive"))

_TEXT_MAX: Final = 300

Row = tuple[Any, ...]


def version_complaint(version: str) -> str:
    """Return why a release of SQLite may not keep a store, or ""."""
    number = tuple(int(part) for part in version.split("."))
    mended = [fixed for fixed in _WAL_RESET_FIXED if number[:2] == fixed[:2]]
    if number >= _WAL_RESET_FIXED[-1] or (mended and number >= mended[0]):
        return ""
    return f"SQLite {version} can lose commits when its log is reset (allowed: 3.51.3 or newer, 3.50.7, 3.44.6)"


def connect(place: Place, *, fresh: bool, vfs: str | None = None) -> apsw.Connection:
    """Open the database with the settings that it needs, and read them back.

    Raises:
        StoreRefused: a release of SQLite with a known fault, or a setting that did not hold.
        StoreDamaged: it is not the database of a store.
    """
    complaint = version_complaint(apsw.sqlite_lib_version())
    if complaint:
        raise StoreRefused(f"{place.path}: {complaint}")
    with told(place):
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW | (apsw.SQLITE_OPEN_CREATE if fresh else 0)
        db = apsw.Connection(str(place.path), flags=flags, vfs=vfs)
    try:
        with told(place):
            _settle(db, place, fresh=fresh)
    except StoreRefused:
        db.close()
        raise
    return db


def _settle(db: apsw.Connection, place: Place, *, fresh: bool) -> None:
    # A damaged store is evidence: closing must not write its log into it.
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    # A plan is kept whatever is looked for; otherwise the look-up of a key is planned anew for every key.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    # Exclusive from the first access on: the index of the log is kept in plain memory, no file is mapped.
    for setting in ("locking_mode = EXCLUSIVE", "mmap_size = 0", "synchronous = FULL", "fullfsync = ON"):
        db.execute(f"PRAGMA {setting}").fetchall()
    db.execute("PRAGMA cell_size_check = ON").fetchall()
    # The log is put into the database by us, at a place of our choosing, and by nobody else.
    db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    if fresh and one(db, "PRAGMA journal_mode") != ("wal",):
        db.execute("PRAGMA journal_mode = WAL").fetchall()
    for name, wanted in _READ_BACK:
        got = one(db, f"PRAGMA {name}")
        # Where memory mapping was left out of the build, nothing is told about it.
        if got != (wanted,) and not (name == "mmap_size" and got is None):
            text = f"{place.path}: {name} is {got} and not {wanted!r}"
            raise StoreDamaged(text) if name == "journal_mode" and not fresh else StoreRefused(text)
    db.execute("BEGIN IMMEDIATE").fetchall()  # takes the lock of the database at once, and keeps it
    db.execute("ROLLBACK").fetchall()


def migrate(db: apsw.Connection, probe: Probe) -> None:
    """Take the steps that a store lacks, each whole or not at all; raises apsw.Error."""
    known = one(db, "PRAGMA user_version")
    for number, step in enumerate(STEPS, start=1):
        if known is not None and number <= known[0]:
            continue
        with db:
            if number == 1:
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}").fetchall()
            db.execute(step).fetchall()
            if number == 1:
                blank = (1, "", 0)
                db.execute("INSERT INTO switch VALUES (?, ?, ?, ?)", (*blank, row_hash("switch", blank))).fetchall()
            db.execute(f"PRAGMA user_version = {number}").fetchall()
            probe(CrashPoint.IN_MIGRATION)


def row_hash(table: str, columns: Row) -> str:
    """Return the hash of one row: of every column before it, and of the table's name."""
    return sha256_hex(canonical_json((table, *columns)))


def one(db: apsw.Connection, sql: str, values: Row = ()) -> Row | None:
    """Return the first row of an answer, or None; raises apsw.Error."""
    found: Row | None = db.execute(sql, values).fetchone()
    return found


@contextmanager
def told(place: Place) -> Iterator[None]:
    """Turn what SQLite says into one clear line.

    Raises:
        StoreDamaged: the database cannot be read as one.
        StoreRefused: everything else.
    """
    try:
        yield
    except (apsw.Error, UnicodeDecodeError) as error:
        raise refusal_of(place, error) from error


def refusal_of(place: Place, error: apsw.Error | UnicodeDecodeError) -> StoreRefused:
    """Return what an error of SQLite means for the store."""
    if isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.SQLError | apsw.FormatError | UnicodeDecodeError):
        return StoreDamaged(f"{place.path}: the database is damaged: {one_line(str(error))}")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreRefused(f"{place.path}: another process has the database open (allowed: one owner at a time)")
    return StoreRefused(f"{place.path}: {one_line(str(error))}")


def one_line(text: str) -> str:
    """Return what a damaged database says, fit for one line."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))[:_TEXT_MAX]
