"""``make soak``: ten real minutes of trading through the ports with a faulty broker, session after session.

A lap is a broker, a store on disk and two sessions on them, so that every second one is a restart. A session holds its
orders in memory for as long as it lasts; what must stay flat is what is left after each lap. Any warning is an error,
no task may be left, every session must end in good order, and both sides must agree at every end.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tracemalloc
import warnings
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio
import msgspec

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import SubmitStatus
from interlock.host import HostSession, OrderUpdate, open_session
from interlock.mocks.port import MockPort
from interlock.runtime.clock import RealClock
from interlock.runtime.schedule import SeededSchedule

__all__ = ["Traded", "port_of", "soak_config", "trade_on"]

_BTC: Final = "BTC/EUR"
_GROWTH_BYTES_MAX: Final = 300_000
"""How much more may be held at the end than half way, by when the memos of texts and numbers are as good as full."""

_RULES: Final[list[dict[str, Any]]] = [
    {"fault": "rate_limit", "permille": 20, "calls": ["place", "cancel", "query", "snapshot"], "retry_after_s": 0.05},
    {"fault": "timeout_before", "permille": 5, "calls": ["place", "cancel", "query", "snapshot"]},
    {"fault": "timeout_after", "permille": 5, "calls": ["place", "cancel", "query"]},
    {"fault": "error_before", "permille": 5, "calls": ["place", "cancel", "query", "snapshot"]},
    {"fault": "error_after", "permille": 5, "calls": ["place", "cancel"]},
    {"fault": "partial_fills", "permille": 300, "pieces_max": 4, "delay_s": 0.05},
    {"fault": "duplicate_fill", "permille": 50, "delay_s": 0.05},
    {"fault": "duplicate_ack", "permille": 50},
    {"fault": "reject", "permille": 10},
    {"fault": "fill_before_ack", "permille": 50, "delay_s": 0.05},
    {"fault": "fill_after_cancel_ack", "permille": 50, "delay_s": 0.05},
    {"fault": "cancel_rejected_filled", "permille": 50, "delay_s": 0.05},
    {"fault": "late_event", "permille": 20, "delay_s": 0.2},
    {"fault": "lost_event", "permille": 5},
    {"fault": "malformed_message", "permille": 2},
]


class Traded(msgspec.Struct, frozen=True):
    """One session of a soak."""

    status: str
    reason: str
    orders: int
    refused: int
    updates: int
    reconciles: int
    agreed: bool


def soak_config(run: str, **session: Any) -> SessionConfig:
    """Return the config of one session of a soak."""
    return config_from_tree(
        {
            "session": {
                "session_id": "soak",
                "strategy_id": "strat_demo",
                "run_id": run,
                "duration_s": 86400,
                "drain_every_s": 0.2,
                "drains_max": 300,
                **session,
            },
            "instruments": [
                {
                    "symbol": _BTC,
                    "price": "100",
                    "tick_size": "1",
                    "max_order_quantity": "10",
                    "max_order_notional": "10000",
                    "max_position": "100000",
                    "allow_short": True,
                }
            ],
            "opening": {"cash": "100000000", "positions": {_BTC: "50"}},
            "broker": {
                "fee_bps": "5",
                "request_latency_s": 0.005,
                "report_latency_s": 0.005,
                "price_every_s": 0.5,
                "timeout_s": 0.5,
                "faults": {"rules": _RULES},
            },
            "rails": {"attempts_per_minute": 100_000, "messages_max": 100_000, "repeats_max": 100_000},
            "retry": {"wait_initial_s": 0.05, "wait_max_s": 0.5, "jitter_s": 0.05},
            "settle": {"interval_s": 0.2, "settle_after_s": 2, "deadline_s": 30},
            "reconcile": {"every_s": 5, "grace_s": 1.5, "repair_wait_s": 3, "auto_repair": True},
            "store": {"group_commit": True},
            "host": {"shutdown_s": 60},
        },
        "soak",
    )


def port_of(config: SessionConfig, clock: RealClock, seed: int = 1) -> MockPort:
    """Return the broker of a whole soak."""
    parts = Parts(config)
    schedule = SeededSchedule(seed, "fifo")
    return MockPort(parts.market, parts.opening_book(), config.broker.faults, clock=clock, schedule=schedule)


async def trade_on(
    config: SessionConfig, port: MockPort, clock: RealClock, *, seconds: float, every_s: float, **places: Any
) -> Traded:
    """Trade for so long in one session: an order every so often, some cancelled, now and then a reconcile."""
    draws = SeededSchedule(len(port.exchange.orders), "fifo")
    refused = updates = reconciles = 0

    async def trade(session: HostSession, number: int) -> None:
        nonlocal refused
        buys, last = draws.draw(2, "side") == 0, port.exchange.prices[_BTC]
        at = max(last - 5 + draws.draw(11, "price"), Decimal(1))
        wanted = {"decision_id": f"{config.run_id}-{number}", "symbol": _BTC, "side": "BUY" if buys else "SELL"}
        quantity = Decimal(1 + draws.draw(20, "lots")) / 10
        intent = OrderIntent.model_validate({**wanted, "quantity": str(quantity), "limit_price": str(at)})
        outcome = await session.submit(intent)
        refused += outcome.status is SubmitStatus.REFUSED
        if draws.draw(2, "cancels"):
            await clock.sleep(0.5 + draws.draw(20, "later") / 10)
            await session.cancel(outcome.client_order_id)

    async with open_session(config, broker=port, clock=clock, **places) as session:
        events = session.events()

        async def follow() -> None:
            nonlocal updates
            async for event in events:
                updates += isinstance(event, OrderUpdate)

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            async with anyio.create_task_group() as traders:
                for number in range(int(seconds / every_s)):
                    traders.start_soon(trade, session, number)
                    await clock.sleep(every_s)
                    if number % 200 == 199:  # noqa: PLR2004 - now and then
                        await session.reconcile()
                        reconciles += 1
            result = await session.stop("the lap is over")
        status = session.status()
        agreed = status.last_reconcile == "healthy" and not status.live_orders
    reason = result.fail_reason or result.reject_reason
    return Traded(result.status, reason, int(seconds / every_s), refused, updates, reconciles, agreed)


async def _lap(number: int, seconds: float) -> list[str]:
    """Run two sessions on one broker and one store; return what was wrong."""
    clock, complaints = RealClock(), []
    with TemporaryDirectory() as made:
        folder = Path(made)
        async with port_of(soak_config("port"), clock, seed=number) as port:
            for run in ("first", "restarted"):
                config = soak_config(f"{run}-{number}")
                store = folder / "soak.sqlite3"
                got = await trade_on(config, port, clock, seconds=seconds / 2, every_s=0.05, store=store, out=folder)
                print(f"{config.run_id}: {msgspec.json.encode(got).decode()}", flush=True)
                if got.status != "COMPLETED" or not got.agreed:
                    complaints.append(f"{config.run_id} ended {got.status}: {got.reason}")
    left = len(asyncio.all_tasks()) - 1
    return [*complaints, f"lap {number} left {left} tasks"] if left else complaints


async def _soak(laps: int, seconds: float) -> list[str]:
    held: list[int] = []
    complaints: list[str] = []
    for number in range(laps):
        complaints += await _lap(number, seconds)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        print(f"lap {number}: {held[-1]:,} bytes held", flush=True)
    growth = held[-1] - held[len(held) // 2]
    if growth > _GROWTH_BYTES_MAX:
        complaints.append(f"{growth:,} bytes more are held than half way")
    return complaints


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; 0 where everything held, 1 where something did not, with a line for each complaint."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description="Real sessions, one after the other.")
    parser.add_argument("--laps", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each of them trades (default 60)")
    options = parser.parse_args(arguments)
    warnings.simplefilter("error")
    tracemalloc.start()
    complaints = asyncio.run(_soak(options.laps, options.seconds))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if not complaints:
        print(
            f"{options.laps} laps of {options.seconds:g} s: every session ended in good order, nothing is left of them"
        )
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
