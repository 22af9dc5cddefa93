"""What tests of stores share: orders on their way, a store with something in it, and a disk that can fail."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw

from interlock.domain.account_book import opening_lines
from interlock.domain.broker import Fill
from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import Order, advance, book_fill
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.runtime.audit import AuditChain
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import Store
from interlock.runtime.store_changes import Execution
from tests.domain_builders import a_fill, an_order

__all__ = ["FailingDisk", "Runs", "a_life", "an_execution", "contents_of", "copied", "fill_store", "rows_of", "sent"]

Step = tuple[Order, Execution | None]
TABLES = ("orders", "fills", "switch", "journal", "books", "spent")


def sent(order: Order) -> Order:
    """Return the order after its sending."""
    return advance(order, OrderEvent.SEND, 2)


def an_execution(order: Order, fill_id: str, quantity: str = "10") -> Execution:
    """Return a fill of an order, with its account."""
    fill: Fill = a_fill(fill_id, quantity, client_order_id=order.client_order_id)
    return Execution("mock", "main", fill)


def a_life(key: str, *, steps: int = 4) -> Iterator[Step]:
    """Yield an order through its life: new, sent, acknowledged, filled; of these the first ``steps``."""
    order = an_order(key)
    shipped = sent(order)
    working = advance(shipped, OrderEvent.ACCEPT, 3, broker_order_id=f"b-{key}")
    execution = an_execution(order, f"f-{key}")
    whole: list[Step] = [(order, None), (shipped, None), (working, None)]
    whole.append((book_fill(working, execution.fill, 4), execution))
    yield from whole[:steps]


def fill_store(store: Store, orders: int = 24) -> None:
    """Put an account and orders into a store, a third of them not ended, a purge, a kill switch set and released."""
    store.open_account("mock", "main", opening_lines(Decimal(1000), {"BTC/EUR": Decimal(3), "ETH/EUR": Decimal(2)}))
    for order, execution in a_life("old"):
        if order.version:
            store.journal(order, execution)
        else:
            store.claim(order)
    store.note(b'{"code":"PURGE"}\n')
    store.purge(1 << 62, ())
    for number in range(orders):
        for order, execution in a_life(f"o{number}", steps=2 + number % 3):
            if order.version:
                store.journal(order, execution)
            else:
                store.claim(order)
        if number == orders // 2:
            store.engage_kill_switch("loss limit")
            store.reset_kill_switch("ada", "looked at it", 7)


def copied(path: Path, folder: Path) -> Path:
    """Copy the files of a store into a folder, as they are now, and return the store's path there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in (path.name, f"{path.name}-wal", f"{path.name}.anchor"):
        if (path.parent / name).exists():
            shutil.copy(path.parent / name, folder / name)
    return folder / path.name


def contents_of(path: Path) -> dict[str, bytes]:
    """Return what is in the files of a store that must not be touched; an empty log is none."""
    files = [path.with_name(path.name + ending) for ending in ("", "-wal", ".anchor")]
    return {file.name: raw for file in files if file.exists() and (raw := file.read_bytes())}


def rows_of(path: Path) -> dict[str, list[Any]]:
    """Return every row of a database."""
    db = apsw.Connection(str(path))
    try:
        return {table: db.execute(f"SELECT * FROM {table} ORDER BY sequence").fetchall() for table in TABLES}  # noqa: S608 - the names are ours
    finally:
        db.close()


class FailingDisk(apsw.VFS):
    """The machine's disk, below SQLite, until ``strike`` names a call and what it answers from then on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.strike: tuple[str, type[apsw.Error], int] | None = None
        self.struck = 0
        super().__init__(name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        """Open a file that can fail."""
        return _FailingFile(self, name, flags)

    def answer(self, call: str) -> None:
        """Raise what a call is to be answered with, if anything."""
        if self.strike is not None and self.strike[0] == call:
            self.struck += 1
            error = self.strike[1](f"injected into {call}")
            vars(error)["extendedresult"] = self.strike[2]
            raise error


class _FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - apsw's name
        """Write, or fail."""
        self._disk.answer("xWrite")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        """Sync, or fail."""
        self._disk.answer("xSync")
        super().xSync(flags)


def three_runs(path: Path) -> Runs:
    """Return a store on which three runs were made: r1, r2 and r3."""
    made = Runs(path)
    for run_id in ("r1", "r2", "r3"):
        made.run(run_id)
    return made


class Runs:
    """A store on which runs were made, and the audit log that each has written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs: dict[str, bytes] = {}
        self.orders = 0

    def run(self, run_id: str, orders: int = 3) -> None:
        """Run a session: it begins, claims and moves orders with a line each, and ends with lines of no change."""
        chain, lines = AuditChain(), list[bytes]()
        with SqliteStore(self.path) as store:

            def say(code: str) -> None:
                lines.append(chain.append(ts="2026-01-01T00:00:00Z", code=code, message="ü", meta={"run": run_id}))
                lines[-1] += b"\n"
                store.note(lines[-1])

            say("BEGIN")
            store.begin_session(SessionBegun(run_id, "s", "1", 5))
            for _ in range(orders):
                self.orders += 1
                order = an_order(f"o{self.orders}")
                say("CLAIMED")
                store.claim(order)
                say("SENT")
                store.journal(sent(order))
                store.commit()
            say("END")
            store.end_session(SessionDone(run_id, "COMPLETED", 6))
            say("AFTER")
        self.logs[run_id] = b"".join(lines)
