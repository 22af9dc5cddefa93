"""Durable claims beside one bare fdatasync of the same bytes: what the store adds to what the disk takes.

A claim has its audit line with it, as in a session; every key is new. All write into the same folder, in turns, so that
a busy disk slows all of them, and each round gives its own ratios. What a bare sync writes is one of three: the record
of a claim, at the end of a file, as a journal would; all the bytes that a claim adds to the log, at the end of a file;
and the same into a file that has its length already, as the log has after a while: the cheapest sync there is.
"""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.opening import opening_rows
from interlock.domain.ids import canonical_json
from interlock.domain.intents import OrderIntent
from interlock.domain.orders import Order, new_order
from interlock.runtime.audit import AuditChain
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult

__all__ = ["bytes_per_claim", "print_store", "sync_times"]

_BUDGET = 0.7
_IN_FLIGHT = 16
_BUDGET_IN_FLIGHT = 3
_WARM_UP = 300
"""Claims after which the log has its length."""
_LOG_BYTES = 4_000_000
"""Where the log begins anew."""


class _Round(msgspec.Struct, frozen=True):
    """What one round made of each, per second."""

    one_by_one: float
    in_flight: float
    record: float
    at_the_end: float
    in_place: float


def print_store(claims: int, rounds: int, console: Console, folder: Path | None = None, keys: int = 20_000) -> None:
    """Measure rounds of ``claims`` claims, and the opening of a store of ``keys`` keys; print the medians."""
    with TemporaryDirectory(dir=folder) as made:
        path = Path(made) / "bench.sqlite3"
        with SqliteStore(path, owner="benchmark") as store:
            size = _bytes_per_claim(store, path)
            results = [_round(store, Path(made) / "bare", f"r{number}", claims, size) for number in range(rounds)]
        console.print(_table(results, size))
        console.print(opening_rows(Path(made), keys, rounds))


def _round(store: SqliteStore, bare: Path, name: str, claims: int, size: int) -> _Round:
    return _Round(
        _claims(store, f"{name}-alone", claims, 1),
        _claims(store, f"{name}-together", claims, _IN_FLIGHT),
        _syncs(bare, claims, _record_bytes(), 0),
        _syncs(bare, claims, size, 0),
        _syncs(bare, claims, size, _LOG_BYTES // size),
    )


def _table(results: list[_Round], size: int) -> Table:
    bare = {"record": f"{_record_bytes():,} bytes at the end", "at_the_end": f"{size:,} bytes at the end"}
    bare["in_place"] = f"{size:,} bytes in place"
    table = Table("what", "per second", *(f"of {name}" for name in bare.values()), "budget")
    for name, field, budget in (
        ("durable claims, one by one", "one_by_one", f"{_BUDGET}"),
        (f"durable claims, {_IN_FLIGHT} a commit", "in_flight", f"{_BUDGET_IN_FLIGHT}"),
        *((f"bare sync of {told}", field, "") for field, told in bare.items()),
    ):
        rates: list[float] = [getattr(result, field) for result in results]
        shares = [
            median(rate / getattr(result, other) for rate, result in zip(rates, results, strict=True)) for other in bare
        ]
        table.add_row(name, f"{median(rates):,.0f}", *(f"{share:.2f}" for share in shares), budget)
    return table


def _orders(name: str, count: int) -> list[Order]:
    content = {"symbol": "BTC/EUR", "side": "BUY", "quantity": "1", "limit_price": "100"}
    intents = (OrderIntent.model_validate({"decision_id": f"{name}-{number}", **content}) for number in range(count))
    return [new_order(intent, "mock", "main", "bench", 0) for intent in intents]


def _lines(orders: list[Order]) -> list[bytes]:
    chain = AuditChain()
    about = ((order.client_order_id, order.decision_id) for order in orders)
    return [
        chain.append(ts="2026-01-01T00:00:00Z", code="ORDER_CLAIMED", message="claimed", meta={"key": key, "for": why})
        + b"\n"
        for key, why in about
    ]


def _record_bytes() -> int:
    """Return how long the record of a claim is: the order and the audit line with it."""
    [order] = _orders("one", 1)
    return len(canonical_json(order)) + len(_lines([order])[0])


def _bytes_per_claim(store: SqliteStore, path: Path) -> int:
    """Return by how much the log grows with a claim, on average, until it begins anew."""
    log = path.with_name(path.name + "-wal")
    before, taken = log.stat().st_size, 50
    _claims(store, "probe", taken, 1)
    size = (log.stat().st_size - before) // taken
    _claims(store, "warm-up", _WARM_UP, 1)
    return size


def _claims(store: SqliteStore, name: str, count: int, together: int) -> float:
    orders = _orders(name, count)
    work = list(zip(orders, _lines(orders), strict=True))
    groups = [work[at : at + together] for at in range(0, count, together)]
    started = perf_counter()
    for group in groups:
        for order, line in group:
            store.note(line)
            assert store.claim(order) is ClaimResult.CLAIMED
        store.commit()
    return count / (perf_counter() - started)


def bytes_per_claim(folder: Path) -> int:
    """Return by how much the log of a new store grows with a claim."""
    path = folder / "probe.sqlite3"
    with SqliteStore(path, owner="benchmark") as store:
        return _bytes_per_claim(store, path)


def sync_times(path: Path, count: int, size: int) -> list[float]:
    """Return how long each of so many syncs of so many bytes took, written in place; seconds."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    sync, data, times = getattr(os, "fdatasync", os.fsync), b"x" * size, []
    try:
        os.pwrite(fd, b"x" * _LOG_BYTES, 0)
        sync(fd)
        for number in range(count):
            started = perf_counter()
            os.pwrite(fd, data, number % (_LOG_BYTES // size) * size)
            sync(fd)
            times.append(perf_counter() - started)
    finally:
        os.close(fd)
    return times


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
