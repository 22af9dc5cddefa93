"""Orders in doubt: a place or cancel call without an answer is never repeated, and settled by asking."""

from __future__ import annotations

from itertools import repeat

import pytest

from interlock.domain.broker import (
    Accepted,
    CancelOrder,
    CancelRefused,
    OrderNotFound,
    PlaceOrder,
    QueryOrder,
    Throttled,
    Unavailable,
)
from interlock.domain.messages import SubmitStatus
from interlock.domain.order_states import OrderState
from tests.actors.stage import Move, Stage, an_intent, does_silently, key_of, late, says, stays_silent
from tests.session_builders import positions_of

NOT_FOUND = says(OrderNotFound(client_order_id=key_of("d1")))


@pytest.mark.parametrize("lost", [stays_silent, does_silently], ids=["before the broker acted", "after it acted"])
@pytest.mark.spec("FLT-2", "RT-7")
def test_a_place_call_without_an_answer_is_unknown_and_never_sent_again(lost: Move) -> None:
    with Stage(place=[lost]) as stage:
        outcome = stage.submit("d1")
        assert (outcome.status, outcome.code) == (SubmitStatus.UNKNOWN, "OUTCOME_UNKNOWN")
        assert stage.order("d1").state is OrderState.UNKNOWN
        assert stage.now_s == 5.0, "the deadline of the call"
        stage.until(lambda: stage.order("d1").state is not OrderState.UNKNOWN)
        assert stage.submit("d1").status is SubmitStatus.DUPLICATE
        stage.stop()
        assert stage.asked(PlaceOrder) == 1


@pytest.mark.spec("RT-7")
def test_a_transient_error_on_place_is_unknown_and_never_sent_again() -> None:
    with Stage(place=[says(Unavailable(reason="try later"))]) as stage:
        outcome = stage.submit("d1")
        assert (outcome.status, outcome.reason) == (SubmitStatus.UNKNOWN, "try later")
        stage.stop()
        assert stage.asked(PlaceOrder) == 1


@pytest.mark.spec("RT-7", "FLT-1", "FLT-2")
def test_a_repetition_that_gets_no_answer_is_the_last_one() -> None:
    with Stage(place=[says(Throttled()), does_silently]) as stage:
        assert stage.submit("d1").status is SubmitStatus.UNKNOWN
        stage.stop()
        assert stage.asked(PlaceOrder) == 2


@pytest.mark.spec("FLT-2")
def test_an_order_in_doubt_that_the_broker_knows_is_adopted() -> None:
    with Stage(place=[does_silently]) as stage:
        stage.submit("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.ACK)
        assert stage.order("d1").broker_order_id == stage.exchange.orders[key_of("d1")].broker_order_id
        assert stage.asked(QueryOrder, "d1") == 1
        assert stage.stop().status == "COMPLETED"
        assert stage.order("d1").state is OrderState.CANCELLED


@pytest.mark.parametrize(
    ("pieces", "state"), [(["0.25", "0.5"], OrderState.PARTIAL), (["0.3", "0.7"], OrderState.FILLED)]
)
@pytest.mark.spec("FLT-2", "FLT-4")
def test_an_order_in_doubt_is_adopted_with_its_fills(pieces: list[str], state: OrderState) -> None:
    """They were told to nobody: the answer to the question brings them."""
    with Stage(place=[does_silently]) as stage:
        stage.submit("d1")
        fills = [stage.execute("d1", piece) for piece in pieces]
        stage.until(lambda: stage.order("d1").state is state)
        assert stage.order("d1").filled == sum(fill.quantity for fill in fills)
        stage.tell(*fills)
        assert stage.counters["duplicate_fills_total"] == 2, "told once more, they change nothing"
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("FLT-2")
def test_a_fill_that_comes_by_the_stream_settles_the_doubt() -> None:
    with Stage(place=[does_silently], query=repeat(stays_silent, 2)) as stage:
        stage.submit("d1")
        stage.fill("d1", "1")
        assert stage.order("d1").state is OrderState.FILLED
        assert stage.stop().status == "COMPLETED"
        assert positions_of(stage.session)["BTC/EUR"] == "21"


@pytest.mark.spec("FLT-2")
def test_an_early_not_found_proves_nothing_and_the_answer_after_it_counts() -> None:
    """The broker shows the order only at the third question: taken for void, it would be live and forgotten."""
    with Stage(place=[does_silently], query=[NOT_FOUND, NOT_FOUND]) as stage:
        stage.submit("d1")
        stage.until(lambda: stage.order("d1").state is not OrderState.UNKNOWN)
        assert stage.order("d1").state is OrderState.ACK
        assert stage.asked(QueryOrder) == 3


@pytest.mark.spec("FLT-2")
def test_not_found_counts_only_after_the_settle_time_and_then_is_void() -> None:
    with Stage(place=[stays_silent], settle={"settle_after_s": 20, "interval_s": 2}) as stage:
        stage.submit("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.VOID)
        unknown_s = 5  # the settle time runs from the end of the last call, which is this late
        assert 20 + unknown_s <= stage.now_s < 22 + unknown_s
        assert stage.asked(QueryOrder) > 5, "the answers before that were not enough"
        assert stage.stop().status == "COMPLETED"
        assert stage.asked(PlaceOrder) == 1


def test_what_a_void_order_had_reserved_is_free_again() -> None:
    everything = {"side": "SELL", "quantity": "10", "limit_price": "150"}
    with Stage(place=[stays_silent]) as stage:
        stage.submit("d1", **everything)
        stage.submit("d2", **everything)
        assert stage.submit("d3", **everything).code == "RAIL_SHORT"
        stage.until(lambda: stage.order("d1").state is OrderState.VOID)
        stage.wait(0)
        assert stage.submit("d4", **everything).status is SubmitStatus.ACCEPTED


@pytest.mark.spec("SAF-2")
@pytest.mark.parametrize("proof", ["ack", "fill"])
def test_a_void_order_that_lives_after_all_is_for_an_operator(proof: str) -> None:
    """The broker proved us wrong: the order is quarantined, and that is no state to trade on in."""
    with Stage(place=[stays_silent], settle={"settle_after_s": 10}) as stage:
        stage.submit("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.VOID)
        accepted = stage.exchange.place(_request(stage))
        assert isinstance(accepted, Accepted)
        if proof == "ack":
            stage.tell(accepted)
        else:
            stage.fill("d1", "1")
        assert stage.order("d1").state is OrderState.QUARANTINED
        assert stage.end().status == "FAILED"
        assert "unsettled_order" in stage.trips


def _request(stage: Stage) -> PlaceOrder:
    order = stage.order("d1")
    return PlaceOrder(
        order.client_order_id,
        order.symbol,
        order.side,
        order.order_type,
        order.quantity,
        order.limit_price,
        order.time_in_force,
    )


@pytest.mark.spec("SAF-2", "SAF-3")
def test_an_order_that_nobody_can_be_asked_about_is_quarantined_and_trips() -> None:
    with Stage(place=[does_silently], query=repeat(stays_silent)) as stage:
        stage.submit("d1")
        result = stage.end()
        assert stage.order("d1").state is OrderState.QUARANTINED
        assert (result.status, result.view.kill_switch) == ("FAILED", 1)
        assert stage.trips[0] == "unsettled_order"
        assert stage.asked(QueryOrder) < 60, "asking has its budget"
        assert stage.asked(PlaceOrder) == 1


@pytest.mark.spec("FLT-2")
def test_a_question_without_an_answer_is_asked_again() -> None:
    with Stage(place=[does_silently], query=repeat(stays_silent, 3)) as stage:
        stage.submit("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.ACK)
        assert stage.asked(QueryOrder) == 4


# -- cancels ------------------------------------------------------------------------------------------------


@pytest.mark.spec("FLT-2")
def test_a_cancel_without_an_answer_is_settled_by_asking() -> None:
    with Stage(cancel=[does_silently]) as stage:
        stage.submit("d1")
        stage.cancel("d1")
        assert stage.order("d1").state is OrderState.CANCEL_PENDING
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        assert stage.asked(CancelOrder) == 1


@pytest.mark.spec("FLT-2")
def test_a_cancel_that_never_arrived_leaves_the_order_working() -> None:
    with Stage(cancel=[stays_silent]) as stage:
        stage.submit("d1")
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.ACK)
        assert stage.asked(CancelOrder) == 1
        assert stage.cancel("d1").requested
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)


@pytest.mark.spec("FLT-1")
def test_a_rate_limited_cancel_is_repeated() -> None:
    with Stage(cancel=[says(Throttled(retry_after_s=1.0))]) as stage:
        stage.submit("d1")
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        assert stage.asked(CancelOrder) == 2


@pytest.mark.spec("FLT-1")
def test_a_cancel_that_is_not_taken_leaves_the_order_working() -> None:
    with Stage(cancel=repeat(says(Throttled()), 2), retry={"attempts_max": 2}) as stage:
        stage.submit("d1")
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.ACK)
        assert stage.stop().status == "COMPLETED", "stopping cancels it again"


@pytest.mark.spec("FLT-6")
def test_a_cancel_refused_because_the_order_filled_makes_us_look_for_the_fill() -> None:
    """The fill was told to nobody; the refusal alone must lead to it."""
    with Stage() as stage:
        stage.submit("d1")
        stage.execute("d1", "1")
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.FILLED)
        assert (stage.asked(QueryOrder), stage.stop().status) == (1, "COMPLETED")
        assert positions_of(stage.session)["BTC/EUR"] == "21"


@pytest.mark.spec("FLT-6")
def test_a_cancel_refused_for_an_unknown_order_closes_nothing() -> None:
    """Refused as unknown is no proof that nothing filled: the order stays open here until the broker tells."""
    refused = says(CancelRefused(client_order_id=key_of("d1"), code="UNKNOWN_ORDER"))
    with Stage(cancel=[refused]) as stage:
        stage.submit("d1")
        stage.execute("d1", "0.5")
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").filled > 0)
        assert stage.order("d1").state is OrderState.PARTIAL


def test_a_cancel_before_the_ack_waits_for_it() -> None:
    with Stage(place=[late(3)]) as stage:
        done = stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder) == 1)
        assert stage.cancel("d1").requested
        stage.wait(1)
        assert stage.asked(CancelOrder) == 0
        stage.until(lambda: bool(done))
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        assert (stage.asked(CancelOrder), stage.now_s) == (1, 3.0)


@pytest.mark.spec("FLT-2")
def test_a_cancel_wanted_while_in_doubt_is_sent_once_the_order_is_found() -> None:
    with Stage(place=[does_silently]) as stage:
        stage.submit("d1")
        assert stage.cancel("d1").requested
        assert stage.asked(CancelOrder) == 0
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        assert stage.asked(CancelOrder) == 1


@pytest.mark.spec("FLT-2", "FLT-6")
def test_a_cancel_wanted_before_the_ack_is_sent_when_a_fill_comes_instead_of_it() -> None:
    """The ack is lost for good; the fill proves that the order works, and what is left of it can be cancelled."""
    with Stage(place=[does_silently]) as stage:
        stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder) == 1)
        assert stage.cancel("d1").requested
        stage.fill("d1", "0.5")
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED, within_s=30)
        assert (stage.asked(CancelOrder), str(stage.order("d1").filled)) == (1, "0.5")
        assert stage.stop().status == "COMPLETED"


def test_a_cancel_of_nothing_says_why() -> None:
    with Stage() as stage:
        assert (stage.cancel("d1").requested, stage.cancel("d1").code) == (False, "UNKNOWN_ORDER")
        stage.submit("d1")
        stage.fill("d1", "1")
        assert (stage.cancel("d1").requested, stage.cancel("d1").code) == (False, "NOT_OPEN")
        assert stage.asked(CancelOrder) == 0


def test_a_cancel_wanted_twice_is_sent_once() -> None:
    with Stage(cancel=[late(2)]) as stage:
        stage.submit("d1")
        assert stage.cancel("d1").requested
        assert stage.cancel("d1").requested
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        assert stage.asked(CancelOrder) == 1
