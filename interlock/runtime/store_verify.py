"""Look at the whole of a store: every page, every record of the journal, and every row against them.

The journal is walked from its beginning; what it amounts to must be exactly what the other tables hold. The store is
only read, and owned for that time, so that nobody writes to it meanwhile.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import apsw
import msgspec

from interlock.domain.ids import canonical_json
from interlock.domain.orders import Order
from interlock.runtime.kill_file import KillFile
from interlock.runtime.store_anchor import Record
from interlock.runtime.store_changes import (
    AccountOpened,
    Change,
    KeysPurged,
    OperatorReset,
    SwitchSet,
    digest_of,
    ended,
)
from interlock.runtime.store_place import Place
from interlock.runtime.store_reading import reading
from interlock.runtime.store_schema import one, row_hash
from interlock.runtime.store_tables import OrderRow, Tables, damaged

__all__ = ["StoreReport", "verify_store"]


class StoreReport(msgspec.Struct, frozen=True):
    """What a sound store holds. ``kill_switch`` says why it is set, or ""."""

    records: int
    orders: int
    live: int
    purged: int
    fills: int
    audit_lines: int
    kill_switch: str


class _Sums:
    """What the journal amounts to: for each key its row's number and last record, and so on for every table."""

    def __init__(self) -> None:
        self.orders: dict[str, tuple[int, int]] = {}
        self.claimed = 0
        self.fills: list[int] = []
        self.books: dict[tuple[str, str, str], tuple[int, str]] = {}
        self.spent: list[tuple[bytes, int]] = []
        self.switch: tuple[str, int] = ("", 0)
        self.audit_lines = 0

    def take(self, record: Record) -> None:
        """Take one record in."""
        change: Change = msgspec.json.decode(record.content, type=Change)
        at = record.sequence
        self.audit_lines += record.audit.count("\n")
        if isinstance(change, Order):
            number, _ = self.orders.get(record.key, (0, 0))
            self.claimed += not number
            self.orders[record.key] = number or self.claimed, at
        elif isinstance(change, SwitchSet | OperatorReset):
            self.switch = (change.reason if isinstance(change, SwitchSet) else "", at)
            if isinstance(change, OperatorReset) and change.rebased:
                self.books.clear()
        elif isinstance(change, AccountOpened):
            for line in change.lines:
                self.books[change.venue, change.account, line.symbol] = at, canonical_json(line).decode()
        elif isinstance(change, KeysPurged):
            for key in change.keys:
                del self.orders[key]
                self.spent.append((digest_of(key), at))
        if record.fill:
            self.fills.append(at)
            venue, account, fill, line = msgspec.json.decode(record.fill)
            if line is not None:
                self.books[venue, account, fill["symbol"]] = at, canonical_json(line).decode()


def verify_store(path: Path) -> StoreReport:
    """Check every row of a store.

    Raises:
        StoreDamaged: the first thing that is not as it was written; the kill switch is set and a copy kept aside.
        StoreRefused: it cannot be opened, or somebody else owns it.
        BadInput: there is no store.
    """
    with reading(path, "interlock store verify") as store:
        db, place = store.db, store.place
        found = one(db, "PRAGMA integrity_check(1)")
        if found != ("ok",):
            raise damaged(place.path, f"SQLite finds: {found}")
        sums = _Sums()
        for record in store.records():
            sums.take(record)
        _orders(db, store.tables, place, sums)
        _fills(db, place, sums)
        _books(db, place, sums)
        _spent(db, place, sums)
        if store.tables.switch() != sums.switch:
            raise damaged(place.path, "the row of the kill switch is not what the journal says")
    kill_switch, counts = store.switch or KillFile(place.kill).reason(), store.head.counts
    orders = counts.orders - counts.purged
    return StoreReport(
        store.head.sequence, orders, counts.live, counts.purged, counts.fills, sums.audit_lines, kill_switch
    )


def _orders(db: apsw.Connection, tables: Tables, place: Place, sums: _Sums) -> None:
    rows = db.execute(
        "SELECT orders.*, journal.content FROM orders LEFT JOIN journal ON journal.sequence = orders.record "
        "ORDER BY orders.sequence"
    )
    for known, joined in zip_longest(sums.orders.items(), rows):
        if known is None or joined is None:
            which = joined[1] if known is None else known[0]
            raise damaged(place.path, f"the orders row of {which} is {'too much' if known is None else 'gone'}")
        row = tables.believed(joined)
        key, (number, record) = known
        if (row.sequence, row.key, row.record) != (number, key, record) or not _fits(row):
            raise damaged(place.path, f"orders row {row.sequence} ({row.key}) is not what the journal says")


def _fits(row: OrderRow) -> bool:
    """Return whether the columns of a row are those of its order."""
    order = row.order
    columns = (order.client_order_id, order.fingerprint, str(order.state), int(not ended(order)), order.version)
    return columns == (row.key, row.fingerprint, row.state, row.live, row.version)


def _fills(db: apsw.Connection, place: Place, sums: _Sums) -> None:
    rows = db.execute(
        "SELECT fills.*, journal.fill FROM fills LEFT JOIN journal ON journal.sequence = fills.record "
        "ORDER BY fills.sequence"
    )
    for number, (record, row) in enumerate(zip_longest(sums.fills, rows), start=1):
        if record is None or row is None:
            raise damaged(place.path, f"fills row {number} is {'too much' if record is None else 'gone'}")
        sequence, venue, account, fill_id, cursor, at, digest, content = row
        if row_hash("fills", (*row[:-2], content)) != digest:
            raise damaged(place.path, f"fills row {number} ({fill_id}) does not have its hash")
        told_venue, told_account, fill, _ = msgspec.json.decode(content)
        told_as = (number, told_venue, told_account, fill["fill_id"], fill["cursor"], record)
        if (sequence, venue, account, fill_id, cursor, at) != told_as:
            raise damaged(place.path, f"fills row {number} ({fill_id}) is not what the journal says")


def _books(db: apsw.Connection, place: Place, sums: _Sums) -> None:
    rows = db.execute("SELECT * FROM books ORDER BY sequence")
    for number, (known, row) in enumerate(zip_longest(sums.books.items(), rows), start=1):
        if known is None or row is None:
            raise damaged(place.path, f"books row {number} is {'too much' if known is None else 'gone'}")
        sequence, venue, account, symbol, at, content, digest = row
        if row_hash("books", row[:-1]) != digest:
            raise damaged(place.path, f"books row {number} ({symbol}) does not have its hash")
        if ((venue, account, symbol), (at, content)) != known or sequence != number:
            raise damaged(place.path, f"books row {number} ({symbol}) is not what the journal says")


def _spent(db: apsw.Connection, place: Place, sums: _Sums) -> None:
    rows = db.execute("SELECT digest, record FROM spent ORDER BY sequence")
    for number, (known, row) in enumerate(zip_longest(sums.spent, rows), start=1):
        if row != known:
            raise damaged(place.path, f"spent row {number} is not what the journal says")
