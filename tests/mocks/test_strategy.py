"""The mock strategies: what they ask for and when, and that they stop when the session does."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from interlock.actors.orchestrator import Orchestrator
from interlock.domain.intents import OrderType
from interlock.domain.messages import SubmitIntent
from interlock.runtime.mailbox import ReplyTo
from tests.session_builders import BTC, ETH, Kept, a_day, a_session, at, orders_of, run, run_session


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Any]]:
    """Return when each intent reached the orchestrator, in seconds of session time."""
    intents: list[tuple[float, Any]] = []
    handle = Orchestrator.handle

    async def note(self: Orchestrator, message: object, reply_to: ReplyTo | None) -> None:
        if isinstance(message, SubmitIntent):
            intents.append((self.ctx.now_ns() / 1e9, message.intent))
        await handle(self, message, reply_to)

    monkeypatch.setattr(Orchestrator, "handle", note)
    return intents


def test_a_script_is_played_at_its_times(asked: list[tuple[float, Any]]) -> None:
    ran = run(strategy={"script": [at(1, "d1"), at(2.5, "d2"), at(2.5, "d3")], "linger_s": 5})
    begin = asked[0][0] - 1
    assert [(round(when - begin, 3), intent.decision_id) for when, intent in asked] == [
        (1, "d1"),
        (2.5, "d2"),
        (2.5, "d3"),
    ]
    assert ran.result.status == "COMPLETED"


def test_a_script_cancels_a_decision_s_order() -> None:
    ran = run(strategy={"script": [at(1, "d1"), at(2, "d2"), {"at_s": 3, "cancel": "d1"}], "linger_s": 60})
    cancelled = {name: order.updated_ns - order.created_ns for name, order in orders_of(ran.session).items()}
    assert 2e9 <= cancelled["d1"] < 3e9 < cancelled["d2"], "d2 was cancelled by the stop"


def test_when_its_work_is_done_it_lingers_and_stops_the_session() -> None:
    ran = run(strategy={"script": [at(1, "d1", limit_price="101")], "linger_s": 7})
    assert 8 <= ran.result.simulated_ns / 1e9 < 10
    assert ran.kept.states[-2]["reason"] == "the strategy is done"


def test_a_session_without_work_is_ended_by_its_duration() -> None:
    ran = run(session={"duration_s": 200})
    assert ran.kept.states[-2]["reason"] == "duration reached"
    assert ran.result.simulated_ns / 1e9 > 200


def test_a_drawn_day_asks_as_often_as_its_plan_says(asked: list[tuple[float, Any]]) -> None:
    ran = run(strategy=a_day(orders=60, market_permille=300, lots_max=20))
    assert [intent.decision_id for _, intent in asked] == [f"day-{n:05d}" for n in range(1, 61)]
    intents = [intent for _, intent in asked]
    assert {intent.symbol for intent in intents} == {BTC, ETH}
    kinds = Counter(intent.order_type for intent in intents)
    assert 8 < kinds[OrderType.MARKET] < 30
    sizes = {intent.quantity / Decimal("0.01") for intent in intents}
    assert min(sizes) >= 1
    assert max(sizes) <= 20
    assert all(intent.reference_price is not None for intent in intents)
    assert ran.counters["orders_cancel_total"] > 5


def test_limits_lie_behind_the_price_by_some_ticks(asked: list[tuple[float, Any]]) -> None:
    run(strategy=a_day(orders=60, market_permille=0, offset_ticks_max=2))
    offsets = set()
    for _, intent in asked:
        distance = intent.reference_price - intent.limit_price
        offsets.add(int(distance if intent.side == "BUY" else -distance))
    assert offsets == {0, 1, 2}


def test_no_limit_is_below_one_tick(asked: list[tuple[float, Any]]) -> None:
    instrument = {"symbol": BTC, "price": "2", "tick_size": "1", "max_order_quantity": "9", "max_order_notional": "99"}
    run(instruments=[instrument], strategy=a_day(orders=40, market_permille=0, offset_ticks_max=9))
    assert min(intent.limit_price for _, intent in asked if intent.side == "BUY") == 1


def test_after_a_stop_nothing_more_is_asked_for(asked: list[tuple[float, Any]]) -> None:
    kept = Kept()
    session = a_session(kept, strategy=a_day())
    session.run_n_steps(300)
    before = len(asked)
    session.stop("enough")
    ran = run_session(session, kept)
    assert before > 5
    assert len(asked) <= before + 1
    assert ran.result.status == "COMPLETED"


def test_only_so_many_intents_are_on_their_way_at_once() -> None:
    """Every answer takes two seconds, so the credit of three is what sets the pace."""
    kept = Kept()
    session = a_session(
        kept,
        strategy={**a_day(orders=12, every_s=0.01), "in_flight_max": 3},
        broker={"request_latency_s": 1, "report_latency_s": 1},
    )
    ran = run_session(session, kept)
    placed = [event["ts_sim"] / 1e9 for event in kept.events if event["payload"].get("event") == "SEND"]
    assert ran.result.status == "COMPLETED"
    assert all(later - earlier >= 1.9 for earlier, later in zip(placed, placed[3:], strict=False))
