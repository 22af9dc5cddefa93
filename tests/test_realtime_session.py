"""A whole session in a host's event loop: the same actors, the same ends, beside whatever else the host does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from interlock.actors.safety_rails import SafetyRails
from interlock.config.model import SessionConfig
from interlock.domain.errors import DeadlineExceeded
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import SubmitStatus
from interlock.domain.order_states import OrderState
from interlock.domain.session_states import SessionState
from interlock.sessions import LiveRequest, RealTimeSession, Session, SessionResult
from tests.session_builders import (
    BTC,
    ETH,
    Kept,
    a_config,
    a_recorder,
    assert_agreed,
    at,
    exchange_of,
    intent_fields,
    orders_of,
    positions_of,
    run,
)

pytestmark = pytest.mark.spec("RT-3")

BOUND_S = 10

QUICK: dict[str, Any] = {
    "broker": {
        "request_latency_s": "0.001",
        "report_latency_s": "0.001",
        "price_every_s": "3600",
        "timeout_s": "1",
        "fee_bps": "5",
    },
    "session": {"drain_every_s": "0.01"},
    "reconcile": {"grace_s": "0.1"},
    "settle": {"interval_s": "0.01", "settle_after_s": "0.2", "deadline_s": "1"},
    "retry": {"wait_initial_s": "0.001", "wait_max_s": "0.01", "jitter_s": "0"},
}
SCRIPT = {
    "linger_s": "0.05",
    "script": [
        at(0, "crosses", limit_price="101"),
        at(0.01, "rests"),
        at(0.02, "market", limit_price="", order_type="MARKET", reference_price="100", quantity="0.5"),
        at(0.03, "sells", side="SELL", limit_price="99", quantity="3"),
        at(0.03, "eth", symbol=ETH, side="SELL", limit_price="49"),
        at(0.04, "too-large", quantity="11"),
        at(0.04, "crosses", limit_price="101"),
        {"at_s": 0.06, "cancel": "rests"},
    ],
}


@contextmanager
def bounded() -> Iterator[None]:
    """Bound a test."""
    with anyio.fail_after(BOUND_S):  # noqa: TID251 - a bound on the test, not on an actor
        yield


def quick(**sections: Any) -> SessionConfig:
    """Return the config of a session whose latencies are milliseconds; sections extend it."""
    return a_config(**QUICK | {name: QUICK.get(name, {}) | section for name, section in sections.items()})


def a_session(kept: Kept, **sections: Any) -> RealTimeSession:
    """Return a session that is not open yet."""
    config = quick(**sections)
    return RealTimeSession(config, a_recorder(kept, config))


async def run_to_end(session: RealTimeSession) -> SessionResult:
    """Run a session to its own end."""
    with bounded():
        async with session:
            return await session.ended()


async def begun(session: RealTimeSession) -> None:
    """Wait until intents are taken."""
    while session.orchestrator.record.state is SessionState.INIT:
        await session.system.wait_idle()
        await anyio.lowlevel.checkpoint()


async def filled(session: RealTimeSession, decision_id: str) -> None:
    """Wait until the order of a decision has its last fill, however long that takes on this machine."""
    while orders_of(session)[decision_id].state is not OrderState.FILLED:
        await anyio.lowlevel.checkpoint()


def an_intent(decision_id: str, **wanted: str) -> OrderIntent:
    """Return the intent of ``intent_fields``."""
    return OrderIntent.model_validate(intent_fields(decision_id, **wanted))


def ending_of(session: Session) -> dict[str, object]:
    """Return what must not depend on the driver: orders, executions, positions and cash, on both sides."""
    exchange = exchange_of(session)
    decisions = {order.client_order_id: order.decision_id for order in orders_of(session).values()}
    return {
        "orders": {name: (str(order.state), order.filled) for name, order in orders_of(session).items()},
        "fills": sorted(
            (decisions[fill.client_order_id], fill.quantity, fill.price, fill.fee) for fill in exchange.executions
        ),
        "positions": positions_of(session),
        "cash": session.orchestrator.desk.book.exposure.ledger.cash,
        "refused": session.recorder.counters.get("intents_refused_total|RAIL_ORDER_QUANTITY"),
        "duplicates": session.recorder.counters.get("duplicate_intents_total"),
    }


async def test_both_drivers_bring_the_same_config_to_the_same_end() -> None:
    kept = Kept()
    session = a_session(kept, strategy=SCRIPT)
    result = await run_to_end(session)
    assert (result.status, result.view.trips) == ("COMPLETED", ())
    stepped = run(**QUICK | {"strategy": SCRIPT})
    assert ending_of(session) == ending_of(stepped.session)
    assert_agreed(session)
    assert len(exchange_of(session).executions) == 4
    assert [state["state"] for state in kept.states] == [state["state"] for state in stepped.kept.states]
    assert kept.metrics[0]["orders_by_state"] == stepped.kept.metrics[0]["orders_by_state"]


@pytest.mark.spec("FLT-1", "FLT-2", "FLT-4", "FLT-5", "FLT-6")
@pytest.mark.parametrize("seed", range(3))
async def test_a_rough_broker_and_real_time_still_leave_both_sides_agreed(seed: int) -> None:
    rules = [
        {"fault": "rate_limit", "permille": 200, "calls": ["place", "cancel"], "retry_after_s": 0.001},
        {"fault": "timeout_after", "permille": 100, "calls": ["place", "cancel"]},
        {"fault": "partial_fills", "permille": 700, "delay_s": 0.002},
        {"fault": "duplicate_fill", "permille": 400, "delay_s": 0.002},
        {"fault": "duplicate_ack", "permille": 400},
        {"fault": "fill_before_ack", "permille": 400, "delay_s": 0.004},
        {"fault": "fill_after_cancel_ack", "permille": 400, "delay_s": 0.002},
        {"fault": "cancel_rejected_filled", "permille": 400, "delay_s": 0.002},
        {"fault": "late_partial_after_cancel", "permille": 300, "delay_s": 0.002},
    ]
    day = {"orders": 40, "every_s": 0.003, "lot": "0.01", "lots_max": 20, "tick_size": "1", "cancel_after_s": 0.01}
    session = a_session(
        Kept(),
        session={"seed": seed},
        broker={"timeout_s": "0.05", "faults": {"rules": rules}},
        reconcile={"grace_s": "0.4"},
        strategy={"day": {**day, "cancel_permille": 500}, "linger_s": 0.3},
    )
    result = await run_to_end(session)
    assert (result.status, result.view.trips) == ("COMPLETED", ())
    assert_agreed(session)


@pytest.mark.spec("RT-10")
async def test_a_host_submits_and_is_told_what_became_of_it() -> None:
    session = a_session(Kept(), broker={"timeout_s": "9"})
    with bounded():
        async with session:
            early = await session.submit(an_intent("early"))
            await begun(session)
            outcomes = [await session.submit(an_intent("rests")) for _ in range(2)]
            outcomes.append(await session.submit(an_intent("fills", limit_price="101")))
            await filled(session, "fills")
            outcomes += [
                await session.submit(an_intent("fills", limit_price="101")),
                await session.submit(an_intent("fills", limit_price="102")),
                await session.submit(an_intent("large", quantity="11")),
            ]
            session.stop("the host is done")
            result = await session.ended()
            late = await session.submit(an_intent("late"))
    assert early.code in ("RAIL_GATE_CLOSED", "")
    assert [(outcome.status, outcome.code) for outcome in outcomes] == [
        (SubmitStatus.ACCEPTED, ""),
        (SubmitStatus.DUPLICATE, "ACK"),
        (SubmitStatus.ACCEPTED, ""),
        (SubmitStatus.DUPLICATE, "FILLED"),
        (SubmitStatus.REFUSED, "KEY_REUSED"),
        (SubmitStatus.REFUSED, "RAIL_ORDER_QUANTITY"),
    ]
    assert (result.status, late.code) == ("COMPLETED", "RAIL_GATE_CLOSED")
    assert_agreed(session)


@pytest.mark.spec("RT-10")
async def test_many_tasks_of_a_host_submit_at_once_and_each_gets_its_own_outcome() -> None:
    session = a_session(Kept())
    outcomes: dict[str, str] = {}

    async def submit(name: str) -> None:
        outcome = await session.submit(an_intent(name, quantity=f"0.{name[1:]}1"))
        outcomes[name] = outcome.client_order_id

    with bounded():
        async with session:
            await begun(session)
            async with anyio.create_task_group() as group:
                for n in range(25):
                    group.start_soon(submit, f"d{n}")
            session.stop("the host is done")
            await session.ended()
    assert outcomes == {name: order.client_order_id for name, order in orders_of(session).items()}
    assert len(outcomes) == 25


@pytest.mark.spec("RT-10")
async def test_a_host_that_does_not_wait_for_the_outcome_may_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker takes longer than the host: the order lives, and the same decision finds it."""
    session = a_session(Kept(), broker={"request_latency_s": "0.03"})
    with bounded():
        async with session:
            await begun(session)
            with pytest.raises(DeadlineExceeded):
                await session.submit(an_intent("d1"), timeout_s=0.01)
            assert (await session.submit(an_intent("d1"))).status is SubmitStatus.DUPLICATE
            session.stop("the host is done")
            result = await session.ended()
    assert (result.status, len(exchange_of(session).orders)) == ("COMPLETED", 1)
    assert session.late_replies == 1


@pytest.mark.spec("SAF-2")
async def test_a_contradiction_trips_in_real_time_as_well() -> None:
    rules = [{"fault": "conflicting_fill", "nth": [1], "delay_s": 0.001}]
    kept = Kept()
    session = a_session(kept, broker={"faults": {"rules": rules}}, strategy=SCRIPT)
    result = await run_to_end(session)
    assert (result.status, result.fail_code, result.view.kill_switch) == ("FAILED", "fill_conflict", 1)
    assert kept.audited("SAFETY_RAIL_TRIPPED")


@pytest.mark.spec("RT-8")
async def test_an_actor_that_raises_trips_in_real_time_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: object, *_: object) -> None:
        message = "no way"
        raise KeyError(message)

    monkeypatch.setattr(SafetyRails, "_check", broken)
    kept = Kept()
    result = await run_to_end(a_session(kept, strategy=SCRIPT))
    assert (result.status, result.fail_code) == ("FAILED", "actor_crashed")
    assert kept.audited("ACTOR_CRASHED")[0]["meta"]["actor"] == "rails"


@pytest.mark.spec("RT-8")
async def test_an_orchestrator_that_breaks_while_stopping_lets_the_host_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: object, **_: object) -> None:
        message = "no way"
        raise KeyError(message)

    monkeypatch.setattr("interlock.actors.ending.Ending.drain", broken)
    kept = Kept()
    result = await run_to_end(a_session(kept, strategy=SCRIPT))
    assert (result.status, result.fail_code, kept.codes[-1]) == ("FAILED", "actor_crashed", "SESSION_ABANDONED")


@pytest.mark.spec("ORC-3")
async def test_a_session_that_must_not_begin_is_rejected_in_real_time_as_well() -> None:
    config = quick(strategy=SCRIPT)
    session = RealTimeSession(config, a_recorder(Kept(), config), live=LiveRequest(("code",)))
    result = await run_to_end(session)
    assert (result.status, result.reject_code) == ("REJECTED", "C2_REJECT_LIVE_ENABLED")
    assert not exchange_of(session).orders


@pytest.mark.spec("RT-10")
async def test_two_sessions_in_one_loop_do_not_see_each_other() -> None:
    """The same decisions in both: neither takes the other's orders for its own."""
    one, two = a_session(Kept(), strategy=SCRIPT), a_session(Kept(), strategy=SCRIPT)
    with bounded():
        async with one, two:
            results = [await one.ended(), await two.ended()]
    assert [result.status for result in results] == ["COMPLETED", "COMPLETED"]
    assert ending_of(one) == ending_of(two)
    assert exchange_of(one) is not exchange_of(two)
    assert_agreed(one)
    assert_agreed(two)


@pytest.mark.spec("RT-10")
async def test_a_host_that_cancels_shuts_the_session_down_and_leaves_no_task() -> None:
    session = a_session(Kept())
    ready = anyio.Event()

    async def host() -> None:
        async with session:
            await begun(session)
            await session.submit(an_intent("d1"))
            ready.set()
            await session.ended()

    before = asyncio.all_tasks()
    task = asyncio.create_task(host())
    with bounded():
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert asyncio.all_tasks() == before
    assert positions_of(session) == {BTC: "20"}


@pytest.mark.spec("RT-10")
async def test_an_error_of_the_host_ends_the_session_and_leaves_as_itself() -> None:
    async def host() -> None:
        async with a_session(Kept()) as session:
            await begun(session)
            raise ZeroDivisionError

    before = asyncio.all_tasks()
    with bounded(), pytest.raises(ZeroDivisionError):
        await host()
    assert asyncio.all_tasks() == before
