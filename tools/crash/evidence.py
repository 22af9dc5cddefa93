"""What is held against each other after a death: a copy of the store, read row by row, and the broker's own book.

The store is read from a copy, so that the next child finds it as the dead one left it. It is verified whole first, by
the verifier that operators use; then everything is read with plain SQL and decoded here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec

from interlock.domain.account_book import AccountBook, AccountLine
from interlock.domain.broker import Fill
from interlock.domain.errors import StoreRefused
from interlock.domain.ids import canonical_json
from interlock.domain.orders import Order
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.runtime.store_anchor import Record
from interlock.runtime.store_changes import Change, KeysPurged
from interlock.runtime.store_verify import verify_store
from tools.crash.wire import Book

__all__ = ["Change", "Entry", "Evidence", "Told", "gathered"]

_FILES = ("", "-wal", ".anchor", ".kill")


class Entry(msgspec.Struct, frozen=True):
    """One record of the journal, its change decoded."""

    record: Record
    change: Change


class Told(msgspec.Struct, frozen=True):
    """One audit line: the journal's record that it was committed with, and what it says."""

    sequence: int
    line: bytes
    code: str
    meta: dict[str, object]


class _Line(msgspec.Struct):
    code: str
    seq: int
    meta: dict[str, object]


class Evidence(msgspec.Struct, frozen=True):
    """Both sides. ``damage`` says why the store does not verify, or ""; ``at_rest`` that a session ended in order.

    ``versions`` has every version of every order, in the journal's order; ``rows`` the orders as their rows refer to.
    """

    store: Path
    damage: str
    entries: tuple[Entry, ...]
    versions: dict[str, list[Order]]
    rows: dict[str, Order]
    fills: dict[str, Fill]
    spent: frozenset[bytes]
    account: AccountBook | None
    switch: str
    runs: tuple[tuple[Told, ...], ...]
    there: Book
    executions: dict[str, Fill]
    at_rest: bool

    def purged(self) -> frozenset[str]:
        """Return the keys that were dropped."""
        changes = (entry.change for entry in self.entries)
        return frozenset(key for change in changes if isinstance(change, KeysPurged) for key in change.keys)

    def marks(self) -> Iterator[SessionBegun | SessionDone]:
        """Yield the beginnings and ends of sessions."""
        for entry in self.entries:
            if isinstance(entry.change, SessionBegun | SessionDone):
                yield entry.change


def gathered(store: Path, aside: Path, there: Book, *, at_rest: bool) -> Evidence:
    """Copy the store into the folder ``aside`` and read it; what was never begun is an empty store."""
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    for ending in _FILES:
        file = store.with_name(store.name + ending)
        if file.exists():
            shutil.copy(file, aside / file.name)
    copy = aside / store.name
    damage, switch = "", ""
    if copy.exists() or copy.with_name(copy.name + ".anchor").exists():
        try:
            switch = verify_store(copy).kill_switch
        except StoreRefused as refused:
            damage = str(refused)
    return _read(copy, there, damage, switch, at_rest=at_rest)


def _read(copy: Path, there: Book, damage: str, switch: str, *, at_rest: bool) -> Evidence:
    tables: dict[str, list[tuple[object, ...]]] = {}
    if copy.exists() and copy.stat().st_size:
        db = apsw.Connection(str(copy))
        try:
            names = [str(row[0]) for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            for name in names:
                tables[name] = db.execute(f"SELECT * FROM {name} ORDER BY sequence").fetchall()  # noqa: S608 - ours
        finally:
            db.close()
    records = [Record(*row) for row in tables.get("journal", ())]  # type: ignore[arg-type]  # as the table has them
    entries = tuple(Entry(record, msgspec.json.decode(record.content, type=Change)) for record in records)
    content = {entry.record.sequence: entry for entry in entries}
    orders = [content[int(str(row[7]))].change for row in tables.get("orders", ())]
    fills = [_fill(content[int(str(row[5]))].record) for row in tables.get("fills", ())]
    lines = [msgspec.json.decode(str(row[5]), type=AccountLine) for row in tables.get("books", ())]
    return Evidence(
        store=copy,
        damage=damage,
        entries=entries,
        versions=_versions(entries),
        rows={order.client_order_id: order for order in orders if isinstance(order, Order)},
        fills={fill.fill_id: fill for fill in fills},
        spent=frozenset(bytes(row[1]) for row in tables.get("spent", ()) if isinstance(row[1], bytes)),
        account=AccountBook(tuple(lines)) if lines else None,
        switch=switch,
        runs=tuple(_runs(records)),
        there=there,
        executions=there.fills(),
        at_rest=at_rest,
    )


def _versions(entries: tuple[Entry, ...]) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for entry in entries:
        if isinstance(entry.change, Order):
            found.setdefault(entry.change.client_order_id, []).append(entry.change)
    return found


def _fill(record: Record) -> Fill:
    return Fill.model_validate_json(canonical_json(msgspec.json.decode(record.fill)[2]))


def _runs(records: list[Record]) -> Iterator[tuple[Told, ...]]:
    """Yield the audit lines of each run: a new one begins where the numbering begins again."""
    run: list[Told] = []
    for record in records:
        for raw in record.audit.encode().splitlines(keepends=True):
            line = msgspec.json.decode(raw, type=_Line)
            if line.seq == 1 and run:
                yield tuple(run)
                run = []
            run.append(Told(record.sequence, raw, line.code, line.meta))
    if run:
        yield tuple(run)
