"""Look at the whole of a store: every page, every record of the journal, and every row against them.

The journal is walked from its beginning; what it amounts to must be exactly what the other tables hold. The store is
only read, and owned for that time, so that nobody writes to it meanwhile.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import apsw
import msgspec

from interlock.domain.errors import BadInput, StoreDamaged
from interlock.domain.orders import Order
from interlock.runtime.kill_file import KillFile
from interlock.runtime.store_anchor import GENESIS, Head, Record
from interlock.runtime.store_opening import (
    chained,
    damage_told,
    damaged,
    ended,
    open_database,
    order_row,
    switch_row,
)
from interlock.runtime.store_place import Ownership, Place
from interlock.runtime.store_schema import one, row_hash, told

__all__ = ["StoreReport", "verify_store"]


class StoreReport(msgspec.Struct, frozen=True):
    """What a sound store holds. ``kill_switch`` says why it is set, or ""."""

    records: int
    orders: int
    live: int
    fills: int
    kill_switch: str


class _Sums(msgspec.Struct):
    """What the journal amounts to: the last record of each key in order of its first, the fills, the switch."""

    orders: dict[str, int]
    fills: list[int]
    switch: tuple[str, int] = ("", 0)


def verify_store(path: Path) -> StoreReport:
    """Check every row of a store.

    Raises:
        StoreDamaged: the first thing that is not as it was written; the kill switch is set and a copy kept aside.
        StoreRefused: it cannot be opened, or somebody else owns it.
    """
    place = Place(path)
    if not place.path.exists() and not place.anchor.exists():
        raise BadInput(str(path), "there is no store", "the FILE of a store, as --store named it")
    ownership = Ownership(place, "interlock store verify")
    try:
        return _verified(place)
    except StoreDamaged as error:
        raise damage_told(place, error) from error
    finally:
        ownership.release()


def _verified(place: Place) -> StoreReport:
    db, anchor, head, switch = open_database(place)
    try:
        with told(place):
            found = one(db, "PRAGMA integrity_check(1)")
            if found != ("ok",):
                raise damaged(place.path, f"SQLite finds: {found}")
            sums = _journal(db, place, head)
            _orders(db, place, sums)
            _fills(db, place, sums)
            if switch_row(db, place)[1:3] != sums.switch:
                raise damaged(place.path, "the row of the kill switch is not what the journal says")
    finally:
        db.close()
        anchor.close(sync=False)
    kill_switch = switch or KillFile(place.kill).reason()
    return StoreReport(head.sequence, head.orders, head.live, head.fills, kill_switch)


def _journal(db: apsw.Connection, place: Place, head: Head) -> _Sums:
    sums, at = _Sums({}, []), GENESIS
    for row in db.execute("SELECT * FROM journal ORDER BY sequence"):
        record = Record(*row)
        at = chained(record, at, place)
        if record.kind in ("switch", "reset"):
            sums.switch = (record.content, at.sequence) if record.kind == "switch" else ("", at.sequence)
            continue
        sums.orders[record.key] = at.sequence
        if record.fill:
            sums.fills.append(at.sequence)
    if at != head:
        raise damaged(place.path, f"journal record {at.sequence} is the last one, and {head.sequence} should be")
    return sums


def _orders(db: apsw.Connection, place: Place, sums: _Sums) -> None:
    rows = db.execute(
        "SELECT orders.*, journal.content FROM orders LEFT JOIN journal ON journal.sequence = orders.record "
        "ORDER BY orders.sequence"
    )
    for number, (known, joined) in enumerate(zip_longest(sums.orders.items(), rows), start=1):
        if known is None or joined is None:
            raise damaged(place.path, f"orders row {number} is {'too much' if known is None else 'gone'}")
        row = order_row(joined[:-1], place)
        order = row.order
        if (row.sequence, row.key, row.record, row.content) != (number, *known, joined[-1]) or _columns(order) != (
            row.key,
            row.fingerprint,
            row.state,
            row.live,
            row.version,
        ):
            raise damaged(place.path, f"orders row {number} ({row.key}) is not what the journal says")


def _columns(order: Order) -> tuple[str, str, str, int, int]:
    return order.client_order_id, order.fingerprint, str(order.state), int(not ended(order)), order.version


def _fills(db: apsw.Connection, place: Place, sums: _Sums) -> None:
    rows = db.execute(
        "SELECT fills.*, journal.fill FROM fills LEFT JOIN journal ON journal.sequence = fills.record "
        "ORDER BY fills.sequence"
    )
    for number, (record, row) in enumerate(zip_longest(sums.fills, rows), start=1):
        if record is None or row is None:
            raise damaged(place.path, f"fills row {number} is {'too much' if record is None else 'gone'}")
        sequence, _, _, _, at, content, digest, recorded = row
        if row_hash("fills", row[:6]) != digest:
            raise damaged(place.path, f"fills row {number} ({row[3]}) does not have its hash")
        if (sequence, at, content) != (number, record, recorded):
            raise damaged(place.path, f"fills row {number} ({row[3]}) is not what the journal says")
