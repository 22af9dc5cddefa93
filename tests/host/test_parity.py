"""Parity: the same scenario on virtual time and in a host's loop ends in the same orders, fills, ledgers and codes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from interlock.config.scenarios import load_scenario, scenario_names
from interlock.domain.order_states import OrderState
from interlock.runtime.clock import RealClock
from interlock.sessions import RealTimeSession, Session, SteppedSession
from tests.host_builders import LOOPS, FastClock, LoopClock, in_loop, instantly
from tests.session_builders import STEPS, Kept, a_recorder, exchange_of, orders_of, positions_of

pytestmark = pytest.mark.spec("RT-3", "RT-10")

SPEED = 20.0
"""How much faster than the clock the library is played where waiting takes its time."""


def ending_of(session: Session, kept: Kept, status: str) -> dict[str, Any]:
    """Return all that must not depend on the driver: how it ended, both sides' books, and every audit code."""
    book, exchange = session.orchestrator.desk.book, exchange_of(session)
    decisions = {order.client_order_id: order.decision_id for order in orders_of(session).values()}
    return {
        "status": status,
        "trips": sorted({*session.orchestrator.record.trips}),
        "orders": {name: (str(order.state), order.filled) for name, order in orders_of(session).items()},
        "fills": sorted(
            (decisions[fill.client_order_id], str(fill.quantity), str(fill.price), str(fill.fee))
            for fill in book.exposure.fills.since(0)
        ),
        "executions": [(fill.fill_id, str(fill.quantity), str(fill.price)) for fill in exchange.executions],
        "positions": positions_of(session),
        "cash": book.exposure.ledger.cash,
        "cash there": exchange.cash,
        "accepted": exchange.accepted,
        "codes": Counter(kept.codes),
        "faults": {name: n for name, n in session.recorder.counters.items() if name.startswith("faults_total")},
    }


def stepped(name: str) -> dict[str, Any]:
    """Play a scenario on virtual time."""
    kept, config = Kept(), load_scenario(name).loaded.config
    with SteppedSession(config, a_recorder(kept, config)) as session:
        session.run_n_steps(STEPS)
        return ending_of(session, kept, session.finish().status)


async def played(name: str, clock: RealClock) -> dict[str, Any]:
    """Play a scenario in this loop."""
    kept, config = Kept(), load_scenario(name).loaded.config
    recorder = a_recorder(kept, config, clock.now_ns())
    recorder.alert_sinks = ()  # they would run in threads, for which no time passes
    session = RealTimeSession(config, recorder, clock=clock)
    async with session:
        return ending_of(session, kept, (await session.ended()).status)


@pytest.mark.parametrize("name", scenario_names())
def test_a_scenario_ends_the_same_on_both_drivers(name: str) -> None:
    assert instantly(lambda: played(name, LoopClock())) == stepped(name)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_whole_library_at_once_ends_as_it_says_where_time_really_passes(loop: str) -> None:
    """On a busy machine what is milliseconds apart may cross here; how it ends does not depend on that."""

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(*(played(name, FastClock(SPEED)) for name in scenario_names()))

    for name, ending in zip(scenario_names(), in_loop(loop, all_of_them), strict=True):
        wanted, expected = stepped(name), load_scenario(name).scenario.expect.codes
        assert (ending["status"], ending["trips"]) == (wanted["status"], wanted["trips"]), name
        assert len(ending["accepted"]) == len({*ending["accepted"]}), name
        assert [code for code in expected if code not in ending["codes"]] == [], name
        if ending["status"] == "COMPLETED":
            assert ending["cash"] == ending["cash there"], name


def test_the_library_is_about_something() -> None:
    endings = [stepped(name) for name in scenario_names()]
    states = {state for ending in endings for state, _ in ending["orders"].values()}
    assert states >= {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED}
    assert {ending["status"] for ending in endings} == {"COMPLETED", "FAILED"}
