"""The cells of the failure matrix: each fault alone and each pair, run in a small session and judged.

Faults stop before the session does, so that a run has two ways to end: it *settled* (in good order, both sides agree,
nothing is open), or it *stopped* (a named trip, kill switch on, an operator is asked for, and whatever of ours is still
open is reported). Whichever it is, the invariants of SAF-1 are recounted from the broker's own books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.domain.broker import BrokerStatus
from interlock.domain.money import ZERO
from interlock.domain.reconcile import ReconcileResult
from interlock.domain.session_states import SessionState, SessionStatus
from interlock.mocks.broker import MockBroker
from interlock.mocks.fault_rows import ROWS
from interlock.runtime.recorder import RunRecorder, RunSinks
from interlock.runtime.sinks import Sink
from interlock.sessions import SessionResult, SteppedSession

__all__ = [
    "SEEDS",
    "SETTLED",
    "Ended",
    "Outcomes",
    "a_session",
    "cell",
    "cells_of",
    "config_of",
    "judged",
    "run_cell",
]

SEEDS: Final = 20
STEPS_MAX: Final = 50_000
SETTLED: Final = "settled"

Outcomes = dict[str, int]
"""How many runs ended in which way: ``settled``, or ``stopped:`` and the code of the trip."""


_SESSION: Final[dict[str, Any]] = {
    "session": {
        "session_id": "matrix",
        "strategy_id": "strat_demo",
        "scheduler": "random",
        "duration_s": 300,
        "check_every_s": 30,
        "drain_every_s": 1,
    },
    "instruments": [
        {
            "symbol": "BTC/EUR",
            "price": "100",
            "tick_size": "1",
            "max_order_quantity": "10",
            "max_order_notional": "2000",
            "allow_short": True,
        }
    ],
    "opening": {"cash": "10000", "positions": {"BTC/EUR": "20"}},
    "broker": {"fee_bps": "5", "price_every_s": 5, "timeout_s": 2, "lot": "0.01"},
    "retry": {"attempts_max": 4, "duration_max_s": 15, "wait_initial_s": 0.25, "wait_max_s": 4},
    "settle": {"interval_s": 1, "settle_after_s": 12, "deadline_s": 60},
    "reconcile": {"every_s": 10, "grace_s": 1, "repair_wait_s": 20, "stuck_after_s": 30, "auto_repair": True},
    "strategy": {
        "linger_s": 40,
        "day": {
            "orders": 12,
            "every_s": 3,
            "lot": "0.01",
            "lots_max": 16,
            "tick_size": "1",
            "market_permille": 300,
            "cancel_permille": 600,
            "cancel_after_s": 6,
        },
    },
}
_FAULTS_FROM_S: Final = 1
_FAULTS_UNTIL_S: Final = 40


class Ended(msgspec.Struct, frozen=True):
    """How all runs of one cell of the matrix ended, what was wrong with any of them, in how many a fault struck."""

    outcomes: Outcomes
    wrong: tuple[str, ...]
    struck: int


def cell(faults: Iterable[str]) -> str:
    """Return the name of one cell: its faults, in the order of the table."""
    return " + ".join(faults)


def cells_of(row: str) -> list[tuple[str, ...]]:
    """Return the fault alone, and its pairs with every fault after it in the table."""
    names = list(ROWS)
    return [(row,), *((row, other) for other in names[names.index(row) + 1 :])]


def config_of(faults: Iterable[str]) -> SessionConfig:
    """Return the session of one cell, for seed 0."""
    rules = [rule for name in faults for rule in ROWS[name].rules]
    plan = {"after_s": _FAULTS_FROM_S, "until_s": _FAULTS_UNTIL_S, "rules": rules}
    return config_from_tree({**_SESSION, "broker": {**_SESSION["broker"], "faults": plan}}, "failure matrix")


def run_cell(faults: tuple[str, ...], seeds: int = SEEDS, *, reconcile: dict[str, object] | None = None) -> Ended:
    """Run one cell under every seed; ``reconcile`` replaces settings of that section."""
    config = config_of(faults)
    config = config.model_copy(update={"reconcile": config.reconcile.model_copy(update=reconcile or {})})
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    struck = 0
    for seed in range(seeds):
        section = config.session.model_copy(update={"seed": seed})
        with a_session(config.model_copy(update={"session": section})) as session:
            session.run_n_steps(STEPS_MAX)
            result = session.finish()
            outcome, complaints = judged(session, result)
            struck += any(name.startswith("faults_total|") for name in session.recorder.counters)
        outcomes[outcome] += 1
        wrong += [f"{cell(faults)}, seed {seed}, {outcome}: {complaint}" for complaint in complaints]
    return Ended(dict(sorted(outcomes.items())), tuple(wrong), struck)


def a_session(config: SessionConfig) -> SteppedSession:
    """Return a session that keeps what it writes to itself."""
    sinks = [Sink(name, [], max_retries=0, sleep=lambda _: None) for name in ("events", "states", "metrics", "audit")]
    return SteppedSession(config, RunRecorder(config.run_id, config.session.strategy_id, RunSinks(*sinks)))


def judged(session: SteppedSession, result: SessionResult) -> tuple[str, list[str]]:
    """Return how a session ended, and everything that is wrong with that."""
    complaints = list(_broken_invariants(session))
    if result.status == SessionStatus.COMPLETED:
        return SETTLED, [*complaints, *_disagreements(session, result)]
    if result.view.state is SessionState.ERROR_REQUIRES_OPERATOR:
        return f"stopped:{result.fail_code}", [*complaints, *_loose_ends(session, result)]
    return f"{result.status}:{result.fail_code or result.reject_code}", [*complaints, "a third way to end"]


# -- what must hold, by the broker's own books ------------------------------------------------------------------


def _broken_invariants(session: SteppedSession) -> Iterator[str]:
    """Recount SAF-1: each key sent and accepted once at most, no fill counted twice, nothing filled above its order."""
    broker = _broker(session)
    for what, keys in (("sent", broker.requests), ("accepted", broker.exchange.accepted)):
        yield from (f"{key} was {what} {times} times" for key, times in Counter(keys).items() if times > 1)
    book = session.orchestrator.desk.book
    booked = book.exposure.fills.since(0)
    ids = Counter(fill.fill_id for fill in booked)
    yield from (f"{key} is booked {times} times" for key, times in ids.items() if times > 1)
    filled: dict[str, Decimal] = {}
    for fill in booked:
        filled[fill.client_order_id] = filled.get(fill.client_order_id, ZERO) + fill.quantity
    for key, order in book.orders.items():
        if order.filled != filled.get(key, ZERO):
            yield f"{key} counts {order.filled} as filled, its fills are {filled.get(key, ZERO)}"
        if order.filled > order.quantity:
            yield f"{key} is filled above its quantity"


def _disagreements(session: SteppedSession, result: SessionResult) -> Iterator[str]:
    """Say where a session that ended in good order is not where the broker is."""
    book, exchange = session.orchestrator.desk.book, _broker(session).exchange
    ledger = book.exposure.ledger
    if result.view.kill_switch or result.view.trips:
        yield f"it completed with trips {result.view.trips}"
    here = {fill.fill_id: fill for fill in book.exposure.fills.since(0)}
    there = {fill.fill_id: fill for fill in exchange.executions}
    yield from (f"fill {key} differs" for key in sorted(here.keys() | there.keys()) if here.get(key) != there.get(key))
    if ledger.cash != exchange.cash:
        yield f"cash is {ledger.cash} here, {exchange.cash} there"
    held = {line.symbol: line.quantity for line in ledger.positions()}
    for symbol, there_held in exchange.positions.items():
        if held.get(symbol, ZERO) != there_held:
            yield f"{symbol} is {held.get(symbol, ZERO)} here, {there_held} there"
    yield from (f"{key} is open here" for key in book.live)
    for key, known in exchange.orders.items():
        order = book.orders.get(key)
        if known.status is BrokerStatus.OPEN:
            yield f"{key} is open there"
        if order is None or (order.state.value, order.filled) != (known.status.value, known.filled):
            ours = "unknown" if order is None else f"{order.state} {order.filled}"
            yield f"{key} is {ours} here, {known.status} {known.filled} there"


def _loose_ends(session: SteppedSession, result: SessionResult) -> Iterator[str]:
    """Say what a session that stopped has left untold."""
    if not result.fail_code or result.fail_code not in result.view.trips:
        yield "it stopped without a named trip"
    if not result.view.kill_switch:
        yield "it stopped and the kill switch is off"
    report, ours = session.orchestrator.watch.last_report, session.orchestrator.desk.book.orders
    if report is not None and report.result is ReconcileResult.UNAVAILABLE:
        return  # nobody can say what is open at a broker that does not answer, and that was told
    told = () if report is None else report.open_there
    for order in _broker(session).exchange.snapshot(0, 0).open_orders:
        if order.client_order_id in ours and order.client_order_id not in told:
            yield f"{order.client_order_id} is open there, and nobody was told"


def _broker(session: SteppedSession) -> MockBroker:
    broker = session.broker
    if not isinstance(broker, MockBroker):
        message = "the matrix runs against the mock broker"
        raise TypeError(message)
    return broker
