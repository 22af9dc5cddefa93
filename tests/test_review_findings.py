"""What an independent reading of the code found, each as the session in which it went wrong."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest

from interlock import DryrunConfig, LiveSessionOrchestrator
from interlock.domain.broker import (
    Accepted,
    BrokerMessage,
    Cancelled,
    CancelOrder,
    OrderNotFound,
    PlaceOrder,
    QueryOrder,
    Reconnected,
    Throttled,
    Unreadable,
)
from interlock.domain.errors import StoreRefused
from interlock.domain.intents import OrderIntent, Side
from interlock.domain.ledgers import Position, apply_to_position
from interlock.domain.messages import RequestReconcile, SubmitStatus
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order
from interlock.domain.session_states import SessionState
from interlock.mocks.exchange import Exchange
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store import ClaimResult, silent
from interlock.sessions import RealTimeSession
from tests.actors.stage import Move, Stage, an_intent, behaves, does_silently, key_of, says
from tests.session_builders import Kept, a_config, a_recorder, intent_fields


def wrongly(statement: BrokerMessage) -> Move:
    """Return a move in which the broker takes the order and answers with something else."""

    def take(exchange: Exchange, request: Any, _: int) -> BrokerMessage:
        exchange.place(request)
        return statement

    return Move(take)


@pytest.mark.spec("FLT-1", "FLT-2", "IDM-4")
def test_the_settle_time_runs_from_the_last_send_and_not_from_the_intent() -> None:
    """Throttled for long, then lost: an early "not found" is no proof of anything yet."""
    unseen = says(OrderNotFound(client_order_id=key_of("d1")))
    with Stage(
        place=[says(Throttled(retry_after_s=27)), does_silently],
        query=[unseen],
        settle={"settle_after_s": 30, "interval_s": 2},
        retry={"duration_max_s": 60},
    ) as stage:
        assert stage.submit("d1").status is SubmitStatus.UNKNOWN
        stage.wait(60)
        assert stage.order("d1").state is OrderState.ACK
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("RT-5", "RT-10")
def test_the_decimal_context_of_the_host_changes_no_digit() -> None:
    def cash() -> object:
        metrics: list[dict[str, object]] = []
        config = DryrunConfig(strategy_id="strat_demo", run_id="x")
        LiveSessionOrchestrator().run_dryrun(config, metrics_sink=metrics)
        return metrics[0]["cash"]

    expected = cash()
    with decimal.localcontext(prec=3):
        assert cash() == expected


@pytest.mark.spec("FLT-10", "IDM-4")
@pytest.mark.parametrize(
    "answer",
    [OrderNotFound(client_order_id=key_of("d1")), Accepted(client_order_id=key_of("other"), broker_order_id="b9")],
    ids=["of another kind", "about another order"],
)
def test_an_order_whose_place_was_answered_with_nonsense_is_asked_about(answer: BrokerMessage) -> None:
    with Stage(place=[wrongly(answer)]) as stage:
        assert stage.submit("d1").status is SubmitStatus.UNKNOWN
        stage.wait(60)
        assert (stage.order("d1").state, stage.asked(QueryOrder)) == (OrderState.ACK, 1)
        assert "MALFORMED_MESSAGE" in stage.kept.codes
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("SAF-4", "SAF-6")
def test_a_cancel_that_was_promised_is_sent_once_the_throttle_lets_it() -> None:
    with Stage(place=[Move(behaves.react, 3.0)], rails={"messages_max": 1, "messages_window_s": 60}) as stage:
        outcomes = stage.start(an_intent("d1"))
        stage.until(lambda: key_of("d1") in stage.desk.book.orders)
        assert stage.cancel("d1").requested
        stage.until(lambda: bool(outcomes))
        assert stage.asked(CancelOrder) == 0
        stage.wait(120)
        assert (stage.asked(CancelOrder), stage.order("d1").state) == (1, OrderState.CANCELLED)


@pytest.mark.spec("REC-5", "FLT-10")
@pytest.mark.parametrize(
    ("statement", "reason"), [(Unreadable(text="{"), "demand"), (Reconnected(), "reconnect"), (None, "demand")]
)
def test_a_gap_in_what_was_told_is_looked_into_and_many_gaps_are_one_look_and_one_more(
    statement: Unreadable | Reconnected | None, reason: str
) -> None:
    with Stage() as stage:
        for _ in range(40):
            assert stage.session.system.post("orchestrator", statement or RequestReconcile())
        stage.wait(30)
        reasons = [event["reason"] for event in stage.kept.payloads("RECONCILE")]
        assert reasons == ["startup", reason, reason]
        assert stage.state is SessionState.DRYRUN_ACTIVE


@pytest.mark.spec("SAF-2", "ORC-6")
def test_a_trip_that_comes_with_the_last_reconcile_still_cancels_what_is_open() -> None:
    with Stage(session={"cancel_on_stop": False}, reconcile={"grace_s": 1}) as stage:
        stage.submit("d1")
        stage.exchange.positions["BTC/EUR"] += 3
        result = stage.stop()
        assert (result.status, stage.trips) == ("FAILED", ("reconcile_divergence", "reconcile_divergence"))
        assert stage.order("d1").state is OrderState.CANCELLED
        assert stage.kept.codes.count("NOTHING_OPEN_AT_BROKER") == 1


@pytest.mark.spec("SAF-4")
def test_a_fill_stamped_tomorrow_by_the_broker_does_not_forgive_the_losses_of_today() -> None:
    with Stage(rails={"daily_loss_cap": "50"}) as stage:
        stage.submit("d1", quantity="1", limit_price="100")
        fill = stage.execute("d1", "1")
        stage.tell(fill.model_copy(update={"fee": Decimal(60)}))
        stage.submit("d2", quantity="1", limit_price="101")
        assert stage.order("d1").state is OrderState.FILLED
        later = stage.session.system.clock.now_ns() + 86_400_000_000_000
        book = stage.desk.book
        assert book.exposure.loss_of_day(stage.session.system.clock.now_ns()) == Decimal(60)
        assert book.exposure.loss_of_day(later) == 0
        assert "d2" not in {order.decision_id for order in book.orders.values()}


@pytest.mark.spec("REC-4")
def test_a_position_of_unknown_entry_price_stays_of_unknown_entry_price() -> None:
    held = Position("BTC/EUR", Decimal(20))
    more = apply_to_position(held, Side.BUY, Decimal(1), Decimal(100))
    assert more.average_price is None
    assert apply_to_position(more, Side.SELL, Decimal(21), Decimal(50)).realised == 0


class LockedStore(MemoryStore):
    """A store that takes no claim."""

    def claim(self, order: Order, say: Callable[[], None] = silent) -> ClaimResult:
        """Refuse."""
        message = "database is locked"
        raise StoreRefused(message)


@pytest.mark.spec("SAF-6", "RT-10")
async def test_a_host_whose_claim_the_store_refused_gets_an_answer_and_nothing_is_sent() -> None:
    kept = Kept()
    config = a_config(broker={"request_latency_s": 0.001, "report_latency_s": 0.001})
    session = RealTimeSession(config, a_recorder(kept, config, 0), store=LockedStore())
    with anyio.fail_after(20):  # noqa: TID251 - a bound on the test, not on an actor
        async with session:
            while session.orchestrator.record.state is not SessionState.DRYRUN_ACTIVE:
                await anyio.lowlevel.checkpoint()
            outcome = await session.submit(OrderIntent.model_validate(intent_fields("d1")))
            result = await session.ended()
    assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "SESSION_ENDED")
    assert (result.status, result.fail_code) == ("FAILED", "storage_failed")
    assert session.recorder.counters.get("orders_place_total", 0) == 0


@pytest.mark.spec("SAF-1", "RT-10")
def test_a_verdict_that_comes_after_its_host_was_dismissed_lets_nothing_out() -> None:
    """The host was told that nothing was sent; a late yes of the rails must not make that untrue, or trip anything."""
    with Stage() as stage:
        outcomes = stage.start(an_intent("d1"))
        stage.until(lambda: stage.desk.oldest_check_ns(-1) != -1)
        stage.desk.dismiss()
        stage.wait(5)
        assert (outcomes[0].status, outcomes[0].code) == (SubmitStatus.REFUSED, "SESSION_ENDED")
        assert (stage.asked(PlaceOrder), stage.trips) == (0, ())


@pytest.mark.spec("RT-10")
async def test_a_session_that_its_host_leaves_early_is_abandoned_and_says_so() -> None:
    kept = Kept()
    config = a_config()
    with anyio.fail_after(20):  # noqa: TID251 - a bound on the test, not on an actor
        async with RealTimeSession(config, a_recorder(kept, config, 0)) as session:
            while session.orchestrator.record.state is not SessionState.DRYRUN_ACTIVE:
                await anyio.lowlevel.checkpoint()
    assert kept.codes[-1] == "SESSION_ABANDONED"
    assert (kept.metrics[0]["status"], kept.metrics[0]["fail_code"]) == ("FAILED", "host_left")
    assert kept.metrics[0]["kill_switch"] == 1


@pytest.mark.spec("REC-3")
def test_an_order_that_is_over_is_not_held_for_a_fill_that_nobody_can_be_asked_about() -> None:
    silent = says(Throttled(retry_after_s=1))
    settle = {"deadline_s": 10, "interval_s": 2, "asks_max": 5}
    with Stage(query=[silent] * 500, settle=settle) as stage:
        stage.submit("d1", quantity="2")
        stage.exchange.cancel(key_of("d1"))
        stage.tell(Cancelled(client_order_id=key_of("d1"), filled=Decimal("0.5")))
        stage.wait(250)
        assert stage.desk.book.exposure.live_orders == 0
