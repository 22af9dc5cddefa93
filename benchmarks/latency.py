"""Latency in real time: from a host's ``submit`` to the broker's ``place``, at several rates, with and without a disk.

One session in one event loop, records written to files, a broker behind the port that acknowledges and fills at once.
Orders come evenly, each from a task of its own, whether the last one is through or not. Beside the durable store
stands a bare fdatasync of the bytes that one claim writes, in the same folder and between the same orders. What was
refused for want of room is counted; every order that was not is at the broker exactly once, which is checked.

Orders that come apart find caches cold. What that is worth on a machine shows in the bare turn of two tasks, made at
the same rate. The last rate is beyond what one loop can do, so that there is something to refuse.
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.store import bytes_per_claim, sync_times
from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerMessage,
    BrokerOrder,
    Cancelled,
    CancelRefused,
    Fill,
    OrderNotFound,
    PlaceOrder,
    PositionLine,
)
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import SubmitOutcome, SubmitStatus
from interlock.host import HostSession, open_session

__all__ = ["RATES", "Latency", "bare_turn_us", "latency_of", "print_latency"]

RATES = (100, 1_000, 5_000, 20_000)
_BUDGET_US = 60.0
_BUDGET_SYNCS = 2.0
_IN_FLIGHT = 256
_WARM_UP = 300
_SPIN_S = 0.002
_TURNS_APART = 200


class Latency(msgspec.Struct, frozen=True):
    """One run: orders offered a second, microseconds from submit to place, and what became of the orders."""

    offered: int
    p50_us: float
    p99_us: float
    placed: int
    refused: int
    reached_per_s: float


class _Instant:
    """A broker that takes everything at once and notes when."""

    name = "instant"
    is_mock = True
    is_paper = False

    def __init__(self) -> None:
        self.placed: dict[str, float] = {}
        self.doubled = 0
        self._told: deque[BrokerMessage] = deque()
        self._some = asyncio.Event()
        self._held = Decimal(0)

    async def place(self, request: PlaceOrder) -> Accepted:
        key = request.client_order_id
        self.doubled += key in self.placed
        self.placed[key] = perf_counter()
        number = len(self.placed)
        fill = Fill(
            fill_id=f"f{number}",
            client_order_id=key,
            broker_order_id=f"b{number}",
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            price=Decimal(100),
            fee=Decimal(0),
            ts_ns=1,
            cursor=number,
        )
        self._told.append(fill)
        self._some.set()
        return Accepted(client_order_id=key, broker_order_id=f"b{number}")

    async def statements(self) -> AsyncIterator[BrokerMessage]:
        while True:
            while self._told:
                yield self._told.popleft()
            self._some.clear()
            await self._some.wait()

    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        return CancelRefused(client_order_id=client_order_id, code="FILLED")

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        return OrderNotFound(client_order_id=client_order_id)

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        return ()

    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:  # noqa: ARG002 - asked at the start alone
        return ()

    async def positions(self) -> tuple[PositionLine, ...]:
        return ()

    async def cash(self) -> Decimal | None:
        return None

    async def limits(self) -> BrokerLimits | None:
        return None

    async def server_time_ns(self) -> int:
        return int(perf_counter() * 1e9)


def _config(name: str, *, durable: bool) -> SessionConfig:
    return config_from_tree(
        {
            "session": {
                "session_id": name,
                "strategy_id": "strat_demo",
                "duration_s": 86400,
                "check_every_s": 86400,
                "heartbeat_timeout_s": 86400,
            },
            "reconcile": {"every_s": 86400},
            "instruments": [
                {
                    "symbol": "BTC/EUR",
                    "price": "100",
                    "max_order_quantity": "10",
                    "max_order_notional": "1000",
                    "max_position": "1000000",
                    "allow_short": True,
                }
            ],
            "rails": {
                "attempts_per_minute": 1_000_000,
                "messages_max": 1_000_000,
                "repeats_max": 1_000_000,
                "in_flight_max": _IN_FLIGHT,
                "max_live_orders": 10_000,
            },
            "store": {"group_commit": durable},
            "host": {"in_flight_max": _IN_FLIGHT, "waiting_max": _IN_FLIGHT, "shutdown_s": 0.5},
        },
        "benchmark",
    )


def _intents(count: int) -> list[OrderIntent]:
    content = {"symbol": "BTC/EUR", "quantity": "1", "limit_price": "100"}
    return [
        OrderIntent.model_validate({"decision_id": f"d-{number}", "side": ("BUY", "SELL")[number % 2], **content})
        for number in range(count)
    ]


async def _until(due: float) -> None:
    """Wait for an instant. Timers of event loops come in milliseconds, so the last ones are spent turning."""
    while (left := due - perf_counter()) > 0:  # noqa: ASYNC110 - there is no event to wait for but the time
        await asyncio.sleep(left - _SPIN_S if left > _SPIN_S else 0)


async def _offer(session: HostSession, intents: list[OrderIntent], rate: int) -> tuple[dict[str, float], int, float]:
    """Submit evenly; return when each was submitted by its key, how many were refused, and how long it took."""
    submitted: dict[str, float] = {}
    refused = 0

    async def submit(intent: OrderIntent) -> None:
        nonlocal refused
        began = perf_counter()
        outcome: SubmitOutcome = await session.submit(intent)
        if outcome.status is SubmitStatus.ACCEPTED:
            submitted[outcome.client_order_id] = began
        else:
            assert outcome.code == "BUSY", outcome
            refused += 1

    tasks: list[asyncio.Task[None]] = []
    started = perf_counter()
    for number, intent in enumerate(intents):
        due = started + number / rate
        await _until(due)
        tasks.append(asyncio.ensure_future(submit(intent)))
    await asyncio.gather(*tasks)
    return submitted, refused, perf_counter() - started


async def _measure(rate: int, orders: int, store: Path | None, out: Path) -> Latency:
    broker = _Instant()
    async with open_session(
        _config(f"bench{rate}", durable=store is not None), broker=broker, store=store, out=out
    ) as session:
        intents = _intents(orders + _WARM_UP)
        await _offer(session, intents[:_WARM_UP], 1_000)
        gc.collect()
        gc.freeze()
        submitted, refused, took_s = await _offer(session, intents[_WARM_UP:], rate)
        gc.unfreeze()
        await asyncio.sleep(0.05)
    assert broker.doubled == 0
    assert len(broker.placed) == len(submitted) + _WARM_UP, "every order that was taken is there, and no other"
    times = sorted((broker.placed[key] - began) * 1e6 for key, began in submitted.items())
    return Latency(
        rate,
        times[len(times) // 2],
        times[min(len(times) * 99 // 100, len(times) - 1)],
        len(submitted),
        refused,
        len(submitted) / took_s,
    )


def latency_of(rate: int, orders: int, *, durable: bool, loop: str = "asyncio", folder: Path | None = None) -> Latency:
    """Return the latencies of ``orders`` orders offered at ``rate`` a second, under one kind of event loop."""
    with TemporaryDirectory(dir=folder) as made, asyncio.Runner(loop_factory=_factory(loop)) as runner:
        store = Path(made) / "store.sqlite3" if durable else None
        return runner.run(_measure(rate, orders, store, Path(made)))


def print_latency(seconds: float, loops: tuple[str, ...], console: Console, folder: Path | None = None) -> None:
    """Measure every rate with both stores for so long, and print the figures beside a bare turn and a bare sync."""
    table = Table(
        *("loop", "store", "offered/s", "bare turn µs", "p50 µs", "p99 µs", "placed/s", "BUSY", "p50 by its budget")
    )
    with TemporaryDirectory(dir=folder) as made:
        size = bytes_per_claim(Path(made))
        for loop in loops:
            try:
                turns = {rate: bare_turn_us(loop, rate) for rate in RATES}
            except ModuleNotFoundError:
                table.add_row(loop, "not installed")
                continue
            for durable in (False, True):
                for rate in RATES:
                    bare = _bare(Path(made), size) if durable else None
                    orders = max(int(rate * seconds), 200)
                    got = latency_of(rate, orders, durable=durable, loop=loop, folder=folder)
                    table.add_row(*_row(loop, got, turns[rate], bare))
                    if bare is not None:
                        table.add_row("", f"bare sync, {size:,} B", "", "", f"{bare[0]:,.0f}", f"{bare[1]:,.0f}")
    console.print(table)


def bare_turn_us(loop: str, rate: int) -> float:
    """Return how long it takes one task to wake another through a future, at so many a second: the median."""

    async def turns() -> float:
        running, times = asyncio.get_running_loop(), list[float]()
        called: asyncio.Future[float] = running.create_future()

        async def answer() -> None:
            nonlocal called
            while True:
                began = await called
                called = running.create_future()
                times.append(perf_counter() - began)

        answering = asyncio.ensure_future(answer())
        started = perf_counter()
        for number in range(_TURNS_APART):
            await _until(started + number / rate)
            called.set_result(perf_counter())
            await asyncio.sleep(0)
        answering.cancel()
        return sorted(times)[len(times) // 2] * 1e6

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        return runner.run(turns())


def _factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if loop != "uvloop":
        return None
    import uvloop  # noqa: PLC0415 - a dependency of development alone

    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made


def _bare(folder: Path, size: int) -> tuple[float, float]:
    times = sorted(time_s * 1e6 for time_s in sync_times(folder / "bare", 300, size))
    return times[len(times) // 2], times[len(times) * 99 // 100]


def _row(loop: str, got: Latency, turn_us: float, bare: tuple[float, float] | None) -> tuple[str, ...]:
    if bare is None:
        store, budget = "memory", f"{got.p50_us / _BUDGET_US:.2f} of {_BUDGET_US:.0f} µs"
    else:
        store, budget = "disk", f"{got.p50_us / bare[0] / _BUDGET_SYNCS:.2f} of {_BUDGET_SYNCS:.0f} syncs"
    figures = (f"{turn_us:,.1f}", f"{got.p50_us:,.0f}", f"{got.p99_us:,.0f}", f"{got.reached_per_s:,.0f}")
    return loop, store, f"{got.offered:,}", *figures, f"{got.refused:,}", budget
