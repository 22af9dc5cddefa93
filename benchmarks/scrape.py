"""Whether somebody who looks holds up who trades: how long messages wait, with and without a scraper of the web app.

A session in real time takes intents at a steady rate. What is measured is a hop: from the moment at which a message is
put into a mailbox until its actor has it in hand. Rounds with a scraper, in the same event loop and straight through
ASGI, take turns with rounds without one, so that what else the machine does falls on both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter_ns

import anyio
import httpx
import msgspec
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint
from rich.console import Console
from rich.table import Table

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.domain.intents import OrderIntent
from interlock.domain.session_states import SessionState
from interlock.runtime.mailbox import LaneQueue
from interlock.runtime.recorder import RunRecorder, RunSinks
from interlock.runtime.sinks import Sink
from interlock.sessions import RealTimeSession
from interlock.web import create_app

__all__ = ["Round", "print_scrape", "scrape_round"]

_ORDER_EVERY_S = 0.002
_BATCH = 256
_BEGIN_TURNS_MAX = 10_000
_PERCENT = 100
_US = 1_000


class Round(msgspec.Struct, frozen=True):
    """How long messages waited in one round, and how long scrapes took, in nanoseconds."""

    hops_ns: list[int]
    scrapes_ns: list[int]


def _config() -> SessionConfig:
    return config_from_tree(
        {
            # Nothing but orders: every cadence lies beyond the end of the benchmark.
            "session": {
                "session_id": "bench",
                "strategy_id": "strat_demo",
                "duration_s": 86400,
                "check_every_s": 86400,
                "heartbeat_timeout_s": 86400,
                "drain_every_s": 0.01,
            },
            "reconcile": {"every_s": 86400, "grace_s": 0.01},
            "instruments": [
                {"symbol": "BTC/EUR", "price": "100", "max_order_quantity": "10", "max_order_notional": "1000"}
            ],
            "opening": {"cash": "100000000"},
            "broker": {"request_latency_s": 0, "report_latency_s": 0, "price_every_s": 3600},
            "rails": {"attempts_per_minute": 1_000_000, "messages_max": 1_000_000, "repeats_max": 1_000_000},
            "strategy": {"linger_s": 86400},
        },
        "benchmark",
    )


def _intents(count: int) -> list[OrderIntent]:
    fields = {"symbol": "BTC/EUR", "side": "BUY", "quantity": "0.001", "limit_price": "100"}
    return [OrderIntent.model_validate({**fields, "decision_id": f"d-{number}"}) for number in range(count)]


@contextmanager
def _session() -> Iterator[RealTimeSession]:
    """A session whose artifacts are made and thrown away."""
    with Path(os.devnull).open("wb") as nowhere:
        sinks = [
            Sink(name, nowhere, max_retries=0, sleep=lambda _: None, batch=_BATCH)
            for name in ("events", "states", "metrics", "audit")
        ]
        yield RealTimeSession(_config(), RunRecorder("bench", "strat_demo", RunSinks(*sinks)))


@contextmanager
def _each_wait_into(waits_ns: list[int]) -> Iterator[None]:
    """Take down every wait in a mailbox, beside the totals that mailboxes keep."""
    taken = LaneQueue.taken

    def note_each(queue: LaneQueue, wait_ns: int) -> bool:
        waits_ns.append(wait_ns)
        return taken(queue, wait_ns)

    LaneQueue.taken = note_each  # type: ignore[assignment, method-assign]  # put back below
    try:
        yield
    finally:
        LaneQueue.taken = taken  # type: ignore[method-assign]  # as it was


async def _scrape(
    session: RealTimeSession,
    every_s: float,
    took_ns: list[int],
    done: anyio.Event,
    *,
    task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
) -> None:
    """Ask for the metrics at a steady rate until the orders are through, and at least once."""
    transport = httpx.ASGITransport(create_app(session))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.get("/metrics")  # the first one also makes what every one uses
        task_status.started()
        while not took_ns or not done.is_set():
            began_ns = perf_counter_ns()
            response = await client.get("/metrics")
            took_ns.append(perf_counter_ns() - began_ns)
            assert response.status_code == 200  # noqa: PLR2004 - what HTTP calls success
            await anyio.sleep(every_s)


async def _trade(orders: int, scrape_every_s: float | None) -> Round:
    hops_ns: list[int] = []
    scrapes_ns: list[int] = []
    intents = _intents(orders)
    with _session() as session:
        async with session, anyio.create_task_group() as group:
            for _ in range(_BEGIN_TURNS_MAX):
                if session.orchestrator.record.state is SessionState.DRYRUN_ACTIVE:
                    break
                await checkpoint()
            done = anyio.Event()
            if scrape_every_s is not None:
                await group.start(_scrape, session, scrape_every_s, scrapes_ns, done)
            with _each_wait_into(hops_ns):
                for intent in intents:
                    group.start_soon(session.submit, intent)
                    await anyio.sleep(_ORDER_EVERY_S)
                await session.system.wait_idle()
            done.set()
            assert len(session.orchestrator.desk.book.exposure.fills) == orders
            session.stop("the benchmark is done")
            await session.ended()
    return Round(hops_ns, scrapes_ns)


def scrape_round(orders: int, scrape_every_s: float | None) -> Round:
    """Run one session through so many orders, with a scraper every so many seconds, or without one."""
    return anyio.run(_trade, orders, scrape_every_s)


def _p99(values: list[int]) -> float:
    return quantiles(values, n=_PERCENT)[-1]


def print_scrape(orders: int, rounds: int, every_s: float, console: Console) -> None:
    """Measure rounds of both kinds in turns and print medians over the rounds, and their ratio."""
    pairs = [(scrape_round(orders, None), scrape_round(orders, every_s)) for _ in range(rounds)]
    without, scraped = [first for first, _ in pairs], [second for _, second in pairs]
    table = Table("a hop, put to handled", "hops", "median µs", "p99 µs", "longest µs")
    for name, of in (("nobody looks", without), (f"scraped every {every_s} s", scraped)):
        table.add_row(
            name,
            f"{sum(len(one.hops_ns) for one in of):,}",
            f"{median(median(one.hops_ns) for one in of) / _US:.0f}",
            f"{median(_p99(one.hops_ns) for one in of) / _US:.0f}",
            f"{median(max(one.hops_ns) for one in of) / _US:.0f}",
        )
    ratio = median(_p99(second.hops_ns) / _p99(first.hops_ns) for first, second in pairs)
    took_ns = [took for one in scraped for took in one.scrapes_ns]
    console.print(table)
    console.print(f"p99 with a scraper, of that without one: {ratio:.2f} (median of {rounds} pairs)")
    console.print(f"{len(took_ns)} scrapes, median {median(took_ns) / _US:.0f} µs, longest {max(took_ns) / _US:.0f} µs")
