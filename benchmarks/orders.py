"""Whole orders: submit, checks, claim, place, ack, fill, both books, events and audit written to files.

The session is the real one, from the host's side of the orchestrator to the mock broker, with no latency and no
faults, so that what is measured is Interlock and not the market.
"""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.domain.intents import OrderIntent, OrderType, Side
from interlock.domain.messages import SubmitIntent
from interlock.domain.session_states import SessionState
from interlock.runtime.recorder import RunRecorder, RunSinks
from interlock.runtime.sinks import Sink
from interlock.sessions import SteppedSession

__all__ = ["largest_costs", "order_rates"]

_IN_FLIGHT = 32
_BATCH = 256
_WARM_UP_STEPS = 40
_STEPS_PER_ORDER_MAX = 40
_STEPS_AT_ONCE = 16
_COSTS = 12


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
            },
            "reconcile": {"every_s": 86400},
            "instruments": [
                {
                    "symbol": "BTC/EUR",
                    "price": "100",
                    "max_order_quantity": "10",
                    "max_order_notional": "1000",
                    "allow_short": True,
                }
            ],
            "opening": {"cash": "100000000"},
            "broker": {"request_latency_s": 0, "report_latency_s": 0, "price_every_s": 3600},
            "rails": {
                "attempts_per_minute": 1_000_000,
                "messages_max": 1_000_000,
                "repeats_max": 1_000_000,
                "in_flight_max": _IN_FLIGHT,
            },
            "strategy": {"linger_s": 86400},
        },
        "benchmark",
    )


def _intents(count: int) -> list[SubmitIntent]:
    sides = (Side.BUY, Side.SELL)
    return [
        SubmitIntent(
            OrderIntent.model_validate(
                {
                    "decision_id": f"d-{number}",
                    "symbol": "BTC/EUR",
                    "side": sides[number % 2],
                    "quantity": "1",
                    "order_type": OrderType.LIMIT,
                    "limit_price": "100",
                }
            )
        )
        for number in range(count)
    ]


@contextmanager
def _session() -> Iterator[SteppedSession]:
    """A session that is past preflight and writes its artifacts into a folder that goes away again."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        sinks = [
            Sink(
                name,
                stack.enter_context((folder / name).open("wb")),
                max_retries=0,
                sleep=lambda _: None,
                batch=_BATCH,
            )
            for name in ("events", "states", "metrics", "audit")
        ]
        recorder = RunRecorder("bench", "strat_demo", RunSinks(*sinks))
        session = stack.enter_context(SteppedSession(_config(), recorder))
        for _ in range(_WARM_UP_STEPS):
            if session.orchestrator.record.state is not SessionState.DRYRUN_ACTIVE:
                session.system.step()
        yield session


def _drive(session: SteppedSession, intents: list[SubmitIntent]) -> int:
    """Keep as many intents on their way as credit allows until all are filled; return the steps it took."""
    fills = session.orchestrator.desk.book.exposure.fills
    started, at, count = session.system.steps, 0, len(intents)
    for _ in range(count * _STEPS_PER_ORDER_MAX):
        if len(fills) >= count:
            break
        while at < count and at - len(fills) < _IN_FLIGHT:
            session.system.post("orchestrator", intents[at])
            at += 1
        session.system.run_ready(_STEPS_AT_ONCE)
    assert len(fills) == count
    return session.system.steps - started


def order_rates(count: int) -> tuple[float, float]:
    """Return steps and whole orders per second over ``count`` orders."""
    intents = _intents(count)
    with _session() as session:
        started = perf_counter()
        steps = _drive(session, intents)
        session.recorder.flush()
        elapsed_s = perf_counter() - started
    return steps / elapsed_s, count / elapsed_s


def largest_costs(count: int) -> str:
    """Return the functions in which a whole order spends most, by their own time under the profiler."""
    intents = _intents(count)
    with _session() as session:
        profile = cProfile.Profile()
        profile.runcall(_drive, session, intents)
    stats = pstats.Stats(profile)
    total_s = sum(entry[2] for entry in stats.stats.values())  # type: ignore[attr-defined]  # typeshed hides it
    costs = sorted(stats.stats.items(), key=lambda item: -item[1][2])  # type: ignore[attr-defined]  # as above
    lines = [
        f"{own_s / total_s:6.1%}  {calls / count:5.1f} calls an order  {Path(file).name}:{line} {name}"
        for (file, line, name), (_, calls, own_s, _, _) in costs[:_COSTS]
    ]
    return "largest costs of an order, own time under the profiler:\n" + "\n".join(lines)
