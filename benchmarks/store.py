"""Durable claims beside one bare fdatasync of the same bytes: what the store adds to what the disk takes.

All write into the same folder, in turns, so that a busy disk slows all of them. Every key is new. The bytes of a bare
sync are those that one claim adds to the log. They are written twice over: at the end of a file that grows, as a plain
journal would, and into a file that has its length already, as the log has after a while: the cheapest sync there is.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from rich.console import Console
from rich.table import Table

from interlock.domain.intents import OrderIntent
from interlock.domain.orders import Order, new_order
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult

__all__ = ["print_store"]

_BUDGET = 0.7
_PROBE = 50
_LOG_BYTES = 4_000_000
"""Where the log begins anew."""


def print_store(claims: int, rounds: int, console: Console, folder: Path | None = None) -> None:
    """Measure ``rounds`` rounds of ``claims`` claims and print the medians."""
    rates: list[tuple[float, float, float]] = []
    with TemporaryDirectory(dir=folder) as made:
        path = Path(made) / "bench.sqlite3"
        with SqliteStore(path, owner="benchmark") as store:
            size = _bytes_per_claim(store, path)
            for number in range(rounds):
                in_place = _syncs(Path(made) / "bare", claims, size, _LOG_BYTES // size)
                growing = _syncs(Path(made) / "bare", claims, size, 0)
                rates.append((_claims(store, f"r{number}", claims), in_place, growing))
        started = perf_counter()
        SqliteStore(path, owner="benchmark").close()
        opening_s = perf_counter() - started
    claimed, in_place, growing = (median(column) for column in zip(*rates, strict=True))
    table = Table("what", "per second", "claims are of it", "budget")
    table.add_row("durable claims, one by one", f"{claimed:,.0f}", "", "")
    for name, rate, budget in (("in place", in_place, f"{_BUDGET:.2f}"), ("at the end", growing, "")):
        table.add_row(f"bare sync of {size:,} bytes {name}", f"{rate:,.0f}", f"{claimed / rate:.2f}", budget)
    console.print(table)
    console.print(f"opening {_PROBE + rounds * claims:,} keys that have not ended: {opening_s * 1000:,.0f} ms")


def _orders(name: str, count: int) -> list[Order]:
    content = {"symbol": "BTC/EUR", "side": "BUY", "quantity": "1", "limit_price": "100"}
    intents = (OrderIntent.model_validate({"decision_id": f"{name}-{number}", **content}) for number in range(count))
    return [new_order(intent, "mock", "main", "bench", 0) for intent in intents]


def _bytes_per_claim(store: SqliteStore, path: Path) -> int:
    """Return by how much the log grows with a claim; the log is short enough not to begin anew meanwhile."""
    log = path.with_name(path.name + "-wal")
    before = log.stat().st_size
    _claims(store, "probe", _PROBE)
    return (log.stat().st_size - before) // _PROBE


def _claims(store: SqliteStore, name: str, count: int) -> float:
    orders = _orders(name, count)
    started = perf_counter()
    for order in orders:
        assert store.claim(order) is ClaimResult.CLAIMED
    return count / (perf_counter() - started)


def _syncs(path: Path, count: int, size: int, places: int) -> float:
    """Return how often a second so many bytes are synced, over and over in ``places``; 0: one after another."""
    data = b"x" * size
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    sync = getattr(os, "fdatasync", os.fsync)
    try:
        for at in range(places):
            os.pwrite(fd, data, at * size)
        sync(fd)
        started = perf_counter()
        for number in range(count):
            os.pwrite(fd, data, number % (places or count) * size)
            sync(fd)
        return count / (perf_counter() - started)
    finally:
        os.close(fd)
