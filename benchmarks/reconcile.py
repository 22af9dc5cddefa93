"""A reconcile of many orders, each known on both sides, one in a hundred of them different.

Both sides are validated objects, as a session has them. Two listings are measured: the broker lists the orders as
they were placed, which is the usual one, or by key, which to us is no order at all. Beside each stands a bare loop of
dict look-ups over the same orders in the same run: what it loses as the numbers grow is what the machine's caches cost.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from time import perf_counter

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.measure import median_rate
from interlock.domain.broker import BrokerOrder, BrokerSnapshot, BrokerStatus
from interlock.domain.findings import Tolerances
from interlock.domain.ids import client_order_id
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order
from interlock.domain.reconcile import LocalView, compare

__all__ = ["ReconcileRate", "memory_per_order", "print_reconcile", "reconcile_rate"]

_BUDGET = 400_000
_GROWTH_MAX = 2.0
_MISMATCH_EVERY = 100
_MISMATCHES = ({"filled": "1"}, {"limit_price": "99.5"}, {"quantity": "1000"})
_BY_PLACE, _BY_KEY = "as placed", "by key"


class ReconcileRate(msgspec.Struct, frozen=True):
    """Orders compared per second at one size and listing, and the bare look-ups of the same run."""

    size: int
    listing: str
    per_s: float
    bare_per_s: float


def _our_order(number: int) -> Order:
    return Order(
        client_order_id=client_order_id("bench", f"d-{number}"),
        decision_id=f"d-{number}",
        fingerprint=f"{number:064x}",
        symbol="BTC/EUR",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(number % 97 + 1),
        limit_price=Decimal(100 + number % 50),
        reference_price=None,
        time_in_force=TimeInForce.GTC,
        created_ns=number,
        updated_ns=number,
        state=OrderState.ACK,
        broker_order_id=f"b-{number}",
        version=2,
    )


def _their_order(number: int) -> BrokerOrder:
    content = {
        "client_order_id": client_order_id("bench", f"d-{number}"),
        "broker_order_id": f"b-{number}",
        "symbol": "BTC/EUR",
        "side": Side.BUY,
        "quantity": str(number % 97 + 1),
        "limit_price": str(100 + number % 50),
        "filled": "0",
        "status": BrokerStatus.OPEN,
    }
    if number % _MISMATCH_EVERY == 0:
        content |= _MISMATCHES[number // _MISMATCH_EVERY % len(_MISMATCHES)]
    return BrokerOrder.model_validate(content)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Build without the collector: it would walk all that is built again and again, and takes no part in a compare."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _sides(size: int, listing: str) -> tuple[LocalView, BrokerSnapshot]:
    numbers = list(range(size))
    with _no_collections():
        ours = tuple(_our_order(number) for number in numbers)
        if listing == _BY_KEY:
            numbers.sort(key=lambda number: ours[number].client_order_id)
        theirs = tuple(_their_order(number) for number in numbers)
    local = LocalView(size, ours, (), 0, 0, (), None)
    return local, BrokerSnapshot(as_of_ns=size, cursor=0, open_orders=theirs, fills=(), positions=(), cash=None)


def _timed(size: int, work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return size / (perf_counter() - started)


def _compared(local: LocalView, broker: BrokerSnapshot) -> None:
    findings = compare(local, broker, Tolerances(), local.as_of_ns)
    assert len(findings) == len(range(0, len(local.orders), _MISMATCH_EVERY))


def _looked_up(known: dict[str, Order], broker: BrokerSnapshot) -> None:
    for order in broker.open_orders:
        known[order.client_order_id]


def reconcile_rate(size: int, listing: str, rounds: int) -> ReconcileRate:
    """Return orders per second in one listing, each the median of ``rounds``."""
    local, broker = _sides(size, listing)
    known = {order.client_order_id: order for order in local.orders}
    bare = median_rate(rounds, lambda: _timed(size, lambda: _looked_up(known, broker)))
    return ReconcileRate(
        size, listing, median_rate(rounds, lambda: _timed(size, lambda: _compared(local, broker))), bare
    )


def memory_per_order(size: int, listing: str) -> tuple[float, float]:
    """Return bytes an order: of both sides, and on top of them while they are compared."""
    tracemalloc.start()
    local, broker = _sides(size, listing)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    _compared(local, broker)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / size, (peak - held) / size


def print_reconcile(sizes: list[int], rounds: int, console: Console) -> None:
    """Measure at every size, the smallest first, and print."""
    table = Table(
        "orders", "listed", "per second", "of the bare loop", "of the budget", "ns an order", "growth", "bare"
    )
    smallest: dict[str, ReconcileRate] = {}
    for size in sorted(sizes):
        for listing in (_BY_PLACE, _BY_KEY):
            rate = reconcile_rate(size, listing, rounds)
            first = smallest.setdefault(listing, rate)
            table.add_row(
                f"{size:,}",
                listing,
                f"{rate.per_s:,.0f}",
                f"{rate.per_s / rate.bare_per_s:.3f}",
                f"{rate.per_s / _BUDGET:.2f}",
                f"{1e9 / rate.per_s:.0f}",
                f"{first.per_s / rate.per_s:.2f}",
                f"{first.bare_per_s / rate.bare_per_s:.2f}",
            )
    console.print(table)
    console.print(f"growth: time an order against the smallest size, at most {_GROWTH_MAX:.0f}; bare: the bare loop's")
    for listing in (_BY_PLACE, _BY_KEY):
        held, used = memory_per_order(min(sizes), listing)
        console.print(f"bytes an order, listed {listing}: {held:,.0f} for both sides, {used:,.0f} more to compare them")
