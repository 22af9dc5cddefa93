"""The tables of a store: how a change becomes rows, and how rows are read back and believed.

``take`` writes what a change amounts to and returns the record of it, without its chain; ``append`` gives it the chain
and writes it. Both a running store and the import of a journal go this way. A row is believed when its hash, which
covers the record it refers to, holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import apsw
import msgspec

from interlock.domain.account_book import AccountBook, AccountLine, opening_lines
from interlock.domain.broker import Fill
from interlock.domain.errors import StoreDamaged
from interlock.domain.ids import canonical_json
from interlock.domain.orders import Order
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.runtime.store_anchor import Counts, Head, chain_of, text_of
from interlock.runtime.store_changes import (
    AccountOpened,
    Change,
    Execution,
    KeysPurged,
    OperatorReset,
    OrphanKept,
    SwitchSet,
    digest_of,
    ended,
)
from interlock.runtime.store_place import Place
from interlock.runtime.store_schema import Row, one, one_line, row_hash

__all__ = ["OrderRow", "Tables", "damaged", "execution_text"]

_CHANGE_ORDER: Final = (
    "UPDATE orders SET fingerprint = ?3, state = ?4, live = ?5, version = ?6, expires_ns = ?7, record = ?8, hash = ?9 "
    "WHERE sequence = ?1 AND key = ?2"
)
_ADD_ORDER: Final = "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_FILL: Final = "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_BOOK: Final = "INSERT INTO books VALUES (?, ?, ?, ?, ?, ?, ?)"
_CHANGE_BOOK: Final = "UPDATE books SET record = ?5, content = ?6, hash = ?7 WHERE sequence = ?1"
_ADD_SPENT: Final = "INSERT INTO spent VALUES (?, ?, ?)"
_ADD_RECORD: Final = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SET_SWITCH: Final = "UPDATE switch SET reason = ?2, record = ?3, hash = ?4 WHERE sequence = ?1"
_ORDER: Final = "SELECT orders.*, journal.content FROM orders LEFT JOIN journal ON journal.sequence = orders.record "
_UNSETTLED: Final = (
    "WHERE orders.state = 'QUARANTINED' AND orders.record > "
    "(SELECT coalesce(max(sequence), 0) FROM journal WHERE kind = 'reset') ORDER BY orders.sequence"
)
_FILL: Final = "SELECT fills.*, journal.fill FROM fills LEFT JOIN journal ON journal.sequence = fills.record "
_FillText = tuple[str, str, msgspec.Raw, AccountLine | None]
"""An execution as ``execution_text`` writes it: venue, account, fill, line."""

_SWITCH: Final = 1
"""The only row of ``switch``."""

_KINDS: Final = {
    Order: "order",
    AccountOpened: "account",
    OrphanKept: "orphan",
    SwitchSet: "switch",
    OperatorReset: "reset",
    KeysPurged: "purge",
    SessionBegun: "mark",
    SessionDone: "mark",
}


class OrderRow(NamedTuple):
    """One row of ``orders``, and the content of the record that it refers to."""

    sequence: int
    key: str
    fingerprint: str
    state: str
    live: int
    version: int
    expires_ns: int
    record: int
    hash: str
    content: str

    @property
    def order(self) -> Order:
        """Return the order as it was recorded last."""
        return msgspec.json.decode(self.content, type=Order)


class _FillRow(NamedTuple):
    sequence: int
    venue: str
    account: str
    execution_id: str
    cursor: int
    record: int
    hash: str
    content: str


def damaged(where: object, what: str) -> StoreDamaged:
    """Return the error that names what is not as it was written."""
    return StoreDamaged(f"{where}: {one_line(what)}")


def execution_text(execution: Execution | None) -> str:
    """Return an execution as a record has it."""
    if execution is None:
        return ""
    fill = execution.fill.model_dump(mode="json")
    return canonical_json((execution.venue, execution.account, fill, execution.line)).decode()


class Tables:
    """The tables of one open database. Methods raise apsw.Error where the disk or SQLite refuses."""

    def __init__(self, db: apsw.Connection, place: Place, ttl_ns: int) -> None:
        self._db = db
        self._place = place
        self._ttl_ns = ttl_ns
        self._switch: Row | None = None
        """The row of the kill switch that was believed last."""

    # -- reading --------------------------------------------------------------------------------------------

    def order(self, key: str) -> OrderRow | None:
        """Return the row of a key, or None; raises StoreDamaged where it is not what was written."""
        row = one(self._db, _ORDER + "WHERE orders.key = ?", (key,))
        return None if row is None else self.believed(row)

    def live(self) -> Iterator[OrderRow]:
        """Yield the rows of orders that have not ended, oldest first; raises as ``order`` does."""
        for row in self._db.execute(_ORDER + "WHERE orders.live = 1 ORDER BY orders.sequence"):
            yield self.believed(row)

    def unsettled(self) -> Iterator[OrderRow]:
        """Yield the rows of orders in quarantine that no reset came after, oldest first; raises as ``order`` does."""
        for row in self._db.execute(_ORDER + _UNSETTLED):
            yield self.believed(row)

    def newest(self) -> Iterator[OrderRow]:
        """Yield all rows of orders, newest first; raises as ``order`` does."""
        for row in self._db.execute(_ORDER + "ORDER BY orders.sequence DESC"):
            yield self.believed(row)

    def oldest(self, after: int, most: int) -> list[OrderRow]:
        """Return at most so many rows of orders after a sequence, oldest first; raises as ``order`` does."""
        rows = self._db.execute(_ORDER + "WHERE orders.sequence > ? ORDER BY orders.sequence LIMIT ?", (after, most))
        return [self.believed(row) for row in rows]

    def believed(self, row: Row) -> OrderRow:
        """Return a row of ``orders`` that is what was written; raises StoreDamaged."""
        found = OrderRow(*row)
        if row_hash("orders", (*row[:-2], found.content)) != found.hash:
            raise damaged(self._place.path, f"orders row {found.sequence} ({found.key}) does not have its hash")
        return found

    def fill(self, venue: str, account: str, fill_id: str) -> Fill | None:
        """Return a recorded execution, or None; raises StoreDamaged."""
        where = "WHERE venue = ? AND account = ? AND execution_id = ?"
        row = one(self._db, _FILL + where, (venue, account, fill_id))
        return None if row is None else self._fill_of(row)

    def _fill_of(self, row: Row) -> Fill:
        found = _FillRow(*row)
        if row_hash("fills", (*row[:-2], found.content)) != found.hash:
            raise damaged(self._place.path, f"fills row {found.sequence} ({found.execution_id}) does not have its hash")
        return Fill.model_validate_json(canonical_json(msgspec.json.decode(found.content)[2]))

    def book(self, venue: str, account: str) -> AccountBook | None:
        """Return the account as its last fill left it, or None; raises StoreDamaged."""
        lines: list[AccountLine] = []
        where = "SELECT * FROM books WHERE venue = ? AND account = ? ORDER BY sequence"
        for row in self._db.execute(where, (venue, account)):
            if row_hash("books", row[:-1]) != row[-1]:
                raise damaged(self._place.path, f"books row {row[0]} ({row[3]}) does not have its hash")
            lines.append(msgspec.json.decode(str(row[5]), type=AccountLine))
        return self._with_fills(venue, account, tuple(lines)) if lines else None

    def given_up(self, venue: str, account: str) -> AccountBook | None:
        """Return an account as ``Store.given_up`` has it, or None; raises StoreDamaged."""
        lines = opening_lines(None, {})
        where = "WHERE venue = ? AND account = ? ORDER BY fills.sequence DESC"
        for row in self._db.execute(_FILL + where, (venue, account)):
            self._fill_of(row)  # believed
            line = msgspec.json.decode(row[-1], type=_FillText)[3]
            if line is not None:
                lines = (line,)
                break
        book = self._with_fills(venue, account, lines)
        return book if lines[0].fills or book.fills else None

    def _with_fills(self, venue: str, account: str, lines: tuple[AccountLine, ...]) -> AccountBook:
        where = "WHERE venue = ? AND account = ? AND cursor > ? ORDER BY fills.sequence"
        fills = self._db.execute(_FILL + where, (venue, account, AccountBook(lines).last.matched))
        return AccountBook(lines, tuple(self._fill_of(row) for row in fills))

    def spent(self, key: str) -> bool:
        """Return whether a key was used and dropped."""
        return one(self._db, "SELECT 1 FROM spent WHERE digest = ?", (digest_of(key),)) is not None

    def switch(self) -> tuple[str, int]:
        """Return why the kill switch is set, or "", and the record that says so; raises StoreDamaged."""
        row = one(self._db, "SELECT * FROM switch WHERE sequence = 1")
        if row is None or (row != self._switch and row_hash("switch", row[:-1]) != row[-1]):
            raise damaged(self._place.path, "the row of the kill switch is not what was written")
        self._switch = row
        return str(row[1]), int(row[2])

    # -- writing --------------------------------------------------------------------------------------------

    def append(
        self,
        change: Change,
        execution: Execution | None,
        audit: str,
        head: Head,
        at_ns: int,
        before: OrderRow | None = None,
    ) -> Head:
        """Write a change after the end of the journal: its rows, then its record; return the new end.

        ``before`` is the row that the key of an order has now, as ``order`` finds it.
        """
        number = head.sequence + 1
        content, fill = canonical_json(change).decode(), execution_text(execution)
        key, version, counts = "", 0, head.counts
        if isinstance(change, Order):
            key, version = change.client_order_id, change.version
            counts = self._put_order(change, number, content, counts, before)
        elif isinstance(change, SwitchSet | OperatorReset):
            self._set_switch(change.reason if isinstance(change, SwitchSet) else "", number)
            if isinstance(change, OperatorReset) and change.rebased:
                self._db.execute("DELETE FROM books")
                counts = msgspec.structs.replace(counts, books=0)
        elif isinstance(change, AccountOpened):
            for line in change.lines:
                counts = self._put_book(change.venue, change.account, line, number, counts)
        elif isinstance(change, KeysPurged):
            counts = self._purge(change, number, counts)
        if execution is not None:
            counts = self._put_fill(execution, number, fill, counts)
        at_ns = max(head.at_ns, at_ns)
        kind = _KINDS.get(type(change), "told")
        record: Row = (number, at_ns, kind, key, version, content, fill, audit, text_of(counts))
        chain = chain_of(head.chain, record)
        self._db.execute(_ADD_RECORD, (*record, chain))
        return Head(number, at_ns, counts, chain)

    def _put_order(self, order: Order, record: int, content: str, counts: Counts, before: OrderRow | None) -> Counts:
        sequence, was_live = (counts.orders + 1, 0) if before is None else (before.sequence, before.live)
        live = int(not ended(order))
        columns: Row = (
            *(sequence, order.client_order_id, order.fingerprint, str(order.state), live, order.version),
            *(order.created_ns + self._ttl_ns, record),
        )
        digest = row_hash("orders", (*columns, content))
        self._db.execute(_ADD_ORDER if before is None else _CHANGE_ORDER, (*columns, digest))
        orders = max(counts.orders, sequence)
        return Counts(orders, counts.live + live - was_live, counts.purged, counts.fills, counts.books)

    def _put_fill(self, execution: Execution, record: int, content: str, counts: Counts) -> Counts:
        venue, account, fill = execution.venue, execution.account, execution.fill
        columns: Row = (counts.fills + 1, venue, account, fill.fill_id, fill.cursor, record)
        self._db.execute(_ADD_FILL, (*columns, row_hash("fills", (*columns, content))))
        counts = msgspec.structs.replace(counts, fills=counts.fills + 1)
        return counts if execution.line is None else self._put_book(venue, account, execution.line, record, counts)

    def _put_book(self, venue: str, account: str, line: AccountLine, record: int, counts: Counts) -> Counts:
        where = "SELECT sequence FROM books WHERE venue = ? AND account = ? AND symbol = ?"
        row = one(self._db, where, (venue, account, line.symbol))
        sequence = counts.books + 1 if row is None else row[0]
        columns: Row = (sequence, venue, account, line.symbol, record, canonical_json(line).decode())
        self._db.execute(_ADD_BOOK if row is None else _CHANGE_BOOK, (*columns, row_hash("books", columns)))
        return counts if row is not None else msgspec.structs.replace(counts, books=sequence)

    def _set_switch(self, reason: str, record: int) -> None:
        columns: Row = (_SWITCH, reason, record)
        self._db.execute(_SET_SWITCH, (*columns, row_hash("switch", columns)))

    def _purge(self, change: KeysPurged, record: int, counts: Counts) -> Counts:
        purged = counts.purged
        for key in change.keys:
            purged += 1
            self._db.execute(_ADD_SPENT, (purged, digest_of(key), record))
            self._db.execute("DELETE FROM orders WHERE key = ?", (key,))
        return msgspec.structs.replace(counts, purged=purged)
