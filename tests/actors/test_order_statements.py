"""What the broker says, in every order it may say it: fills count once, wherever they cross acks and cancels."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.domain.broker import (
    Accepted,
    Cancelled,
    CancelOrder,
    CancelRefused,
    Expired,
    PlaceOrder,
    QueryOrder,
    Rejected,
)
from interlock.domain.order_states import OrderState
from interlock.domain.session_states import SessionState
from tests.actors.stage import Stage, an_intent, does_silently, key_of, late, says
from tests.session_builders import BTC, positions_of

KEY = key_of("d1")


def working(stage: Stage) -> Stage:
    """Submit d1 and let it be acknowledged."""
    stage.submit("d1")
    assert stage.order("d1").state is OrderState.ACK
    return stage


def filled(stage: Stage) -> str:
    """Return what of d1 is filled, here."""
    return str(stage.order("d1").filled)


# -- fills and acks -----------------------------------------------------------------------------------------


@pytest.mark.spec("FLT-4")
def test_partial_fills_add_up_to_the_order() -> None:
    with Stage() as stage:
        working(stage)
        for piece, state in (("0.1", "PARTIAL"), ("0.2", "PARTIAL"), ("0.7", "FILLED")):
            stage.fill("d1", piece)
            assert stage.order("d1").state == state
        assert filled(stage) == "1.0"
        assert stage.stop().status == "COMPLETED"
        assert positions_of(stage.session)[BTC] == "21"
        assert stage.desk.book.exposure.ledger.cash == stage.exchange.cash == Decimal(100_000) - 90


@pytest.mark.spec("FLT-6")
def test_a_fill_before_the_ack_counts_and_the_ack_takes_nothing_back() -> None:
    with Stage(place=[late(1)]) as stage:
        done = stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder) == 1)
        stage.fill("d1", "0.5")
        assert stage.order("d1").state is OrderState.PARTIAL
        stage.until(lambda: bool(done))
        assert (stage.order("d1").state, filled(stage)) == (OrderState.PARTIAL, "0.5")
        stage.fill("d1", "0.5")
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("FLT-6")
def test_a_whole_fill_before_the_ack_is_final() -> None:
    with Stage(place=[late(1)]) as stage:
        done = stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder) == 1)
        stage.fill("d1", "1")
        stage.until(lambda: bool(done))
        assert (done[0].status, stage.order("d1").state) == ("ACCEPTED", OrderState.FILLED)
        assert stage.stop().status == "COMPLETED"


# -- fills and cancels --------------------------------------------------------------------------------------


@pytest.mark.spec("FLT-6")
def test_a_fill_while_the_cancel_is_in_flight_counts() -> None:
    with Stage(cancel=[late(1)]) as stage:
        working(stage).cancel("d1")
        stage.until(lambda: stage.asked(CancelOrder) == 1)
        stage.fill("d1", "0.25")
        assert stage.order("d1").state is OrderState.CANCEL_PENDING
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        assert filled(stage) == "0.25"
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("FLT-6")
def test_a_fill_told_after_the_cancel_s_ack_counts() -> None:
    """It happened before the cancel did; the ack's cumulative quantity says that something is missing."""
    with Stage() as stage:
        working(stage)
        fill = stage.execute("d1", "0.25")
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        stage.tell(fill)
        assert (stage.order("d1").state, filled(stage)) == (OrderState.CANCELLED, "0.25")
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("FLT-6")
def test_a_fill_that_is_never_told_after_a_cancel_is_asked_for() -> None:
    with Stage() as stage:
        working(stage)
        stage.execute("d1", "0.25")
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").filled > 0, within_s=60)
        assert (stage.order("d1").state, filled(stage), stage.asked(QueryOrder)) == (OrderState.CANCELLED, "0.25", 1)


@pytest.mark.spec("FLT-6")
def test_a_late_partial_after_a_cancel_counts() -> None:
    """The broker said that nothing was filled, and then something was all the same."""
    with Stage() as stage:
        working(stage).cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        stage.fill("d1", "0.5")
        assert (stage.order("d1").state, filled(stage)) == (OrderState.CANCELLED, "0.5")
        stage.fill("d1", "0.5")
        assert stage.order("d1").state is OrderState.FILLED
        assert stage.stop().status == "COMPLETED"
        assert positions_of(stage.session)[BTC] == "21"


@pytest.mark.spec("FLT-6")
def test_a_cancel_rejected_because_filled_with_the_fill_told_first_ends_filled() -> None:
    with Stage(cancel=[late(1)]) as stage:
        working(stage).cancel("d1")
        stage.until(lambda: stage.asked(CancelOrder) == 1)
        stage.fill("d1", "1")
        stage.wait(2)
        assert stage.order("d1").state is OrderState.FILLED
        assert stage.stop().status == "COMPLETED"


def test_an_expiry_with_untold_fills_makes_us_ask_for_them() -> None:
    with Stage() as stage:
        working(stage)
        stage.execute("d1", "0.5")
        assert stage.exchange.cancel(KEY)
        stage.tell(Expired(client_order_id=KEY, filled=Decimal("0.5")))
        assert stage.order("d1").live, "it counts as open until all of it is here"
        stage.until(lambda: not stage.order("d1").live, within_s=60)
        assert filled(stage) == "0.5"
        assert stage.stop().status == "COMPLETED"


def test_what_a_cancelled_order_had_reserved_is_free_again() -> None:
    everything = {"side": "SELL", "quantity": "10", "limit_price": "150"}
    with Stage() as stage:
        for name in ("d1", "d2"):
            stage.submit(name, **everything)
        assert stage.submit("d3", **everything).code == "RAIL_SHORT"
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        stage.wait(0)
        assert stage.submit("d4", **everything).status == "ACCEPTED"


# -- said twice ---------------------------------------------------------------------------------------------


@pytest.mark.spec("FLT-5", "SAF-5")
def test_a_fill_told_three_times_is_booked_once_and_counted() -> None:
    with Stage() as stage:
        fill = working(stage).fill("d1", "0.5")
        before = len(stage.kept.events)
        stage.tell(fill, fill)
        assert (filled(stage), positions_of(stage.session)[BTC]) == ("0.5", "20.5")
        assert stage.counters["duplicate_fills_total"] == 2
        assert len(stage.kept.events) == before
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("FLT-5")
def test_an_ack_told_again_changes_nothing_and_is_counted() -> None:
    with Stage() as stage:
        ack = Accepted(client_order_id=KEY, broker_order_id="b-000001")
        version = working(stage).order("d1").version
        stage.tell(ack, ack)
        assert (stage.order("d1").version, stage.counters["repeated_statements_total"]) == (version, 2)
        stage.fill("d1", "1")
        stage.tell(ack)
        assert stage.order("d1").state is OrderState.FILLED
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("FLT-5")
def test_a_reject_told_again_changes_nothing_and_is_counted() -> None:
    rejected = Rejected(client_order_id=KEY, code="NO")
    with Stage(place=[says(rejected)]) as stage:
        stage.submit("d1")
        stage.tell(rejected, rejected)
        assert stage.order("d1").state is OrderState.REJECTED
        assert stage.counters["repeated_statements_total"] == 2
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("FLT-5")
def test_a_cancel_ack_told_again_changes_nothing() -> None:
    with Stage() as stage:
        working(stage).cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        stage.tell(Cancelled(client_order_id=KEY, filled=Decimal(0)))
        assert stage.counters["repeated_statements_total"] == 1
        assert stage.stop().status == "COMPLETED"


# -- contradictions -----------------------------------------------------------------------------------------


@pytest.mark.spec("SAF-1", "SAF-5")
def test_a_known_fill_with_other_content_trips_and_is_not_booked() -> None:
    with Stage() as stage:
        fill = working(stage).fill("d1", "0.5")
        stage.tell(fill.model_copy(update={"price": Decimal(91)}))
        assert stage.state is SessionState.STOPPING
        assert stage.trips[0] == "fill_conflict"
        assert (filled(stage), positions_of(stage.session)[BTC]) == ("0.5", "20.5")
        [evidence] = [record["meta"] for record in stage.kept.audited("SAFETY_RAIL_TRIPPED")][:1]
        assert (evidence["fill_id"], evidence["known_price"], evidence["price"]) == (fill.fill_id, "90", "91")
        assert stage.end().view.state is SessionState.ERROR_REQUIRES_OPERATOR


@pytest.mark.parametrize("when", ["working", "filled", "cancelled"])
@pytest.mark.spec("SAF-1")
def test_a_fill_above_the_ordered_quantity_trips_and_is_not_booked(when: str) -> None:
    with Stage() as stage:
        fill = working(stage).fill("d1", "0.5")
        if when == "filled":
            stage.fill("d1", "0.5")
        elif when == "cancelled":
            stage.cancel("d1")
            stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        before = positions_of(stage.session)
        stage.tell(fill.model_copy(update={"fill_id": "beyond", "quantity": Decimal("0.6")}))
        assert stage.trips[0] == "overfill"
        assert positions_of(stage.session) == before
        assert stage.end().status == "FAILED"


@pytest.mark.spec("SAF-1")
def test_a_fill_for_an_order_that_was_never_sent_trips() -> None:
    with Stage() as stage:
        fill = working(stage).execute("d1", "0.5")
        stage.tell(fill.model_copy(update={"client_order_id": "never-sent"}))
        assert stage.trips[0] == "unknown_order_fill"
        assert positions_of(stage.session)[BTC] == "20"


@pytest.mark.parametrize("other", [{"symbol": "ETH/EUR"}, {"side": "SELL"}], ids=["symbol", "side"])
@pytest.mark.spec("SAF-1")
def test_a_fill_that_names_another_symbol_or_side_than_its_order_trips(other: dict[str, str]) -> None:
    with Stage() as stage:
        fill = working(stage).execute("d1", "0.5")
        stage.tell(type(fill).model_validate({**fill.model_dump(), **other}, strict=False))
        assert stage.trips[0] == "fill_mismatch"
        assert positions_of(stage.session) == {BTC: "20"}


@pytest.mark.spec("SAF-1")
def test_a_fill_that_costs_more_than_there_is_trips() -> None:
    with Stage(opening={"cash": "100"}) as stage:
        working(stage)
        fill = stage.execute("d1", "1")
        stage.tell(fill.model_copy(update={"price": Decimal(101)}))
        assert stage.trips[0] == "negative_cash"


@pytest.mark.spec("FLT-6")
def test_a_reject_after_a_fill_is_not_believed_over_it() -> None:
    with Stage() as stage:
        working(stage).fill("d1", "0.5")
        stage.tell(Rejected(client_order_id=KEY, code="NO"))
        assert (stage.order("d1").state, filled(stage)) == (OrderState.PARTIAL, "0.5")
        stage.wait(10)
        assert stage.asked(QueryOrder) == 1, "the contradiction is asked about"
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("SAF-1")
def test_a_fill_after_a_reject_trips() -> None:
    with Stage(place=[says(Rejected(client_order_id=KEY, code="NO"))]) as stage:
        stage.submit("d1")
        with Stage() as other:
            fill = working(other).execute("d1", "0.5")
        stage.tell(fill)
        assert stage.trips == ("illegal_transition",)
        assert positions_of(stage.session)[BTC] == "20"
        assert stage.end().status == "FAILED"


def test_statements_about_orders_that_were_never_sent_are_noted_and_change_nothing() -> None:
    with Stage() as stage:
        stage.tell(
            Accepted(client_order_id="x", broker_order_id="b"),
            Rejected(client_order_id="x", code="NO"),
            Cancelled(client_order_id="x", filled=Decimal(0)),
            CancelRefused(client_order_id="x", code="NO"),
            Expired(client_order_id="x", filled=Decimal(0)),
        )
        assert (stage.counters["orphan_statements_total"], len(stage.kept.audited("ORPHAN_STATEMENT"))) == (5, 5)
        assert stage.stop().status == "COMPLETED"


def test_a_refused_cancel_that_nobody_asked_for_changes_nothing_but_makes_us_look() -> None:
    with Stage() as stage:
        working(stage)
        stage.tell(CancelRefused(client_order_id=KEY, code="WHY"))
        assert stage.order("d1").state is OrderState.ACK
        stage.wait(10)
        assert stage.asked(QueryOrder) == 1
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("FLT-2", "FLT-4")
def test_fills_of_an_order_whose_ack_was_lost_are_all_booked() -> None:
    with Stage(place=[does_silently]) as stage:
        stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder) == 1)
        stage.fill("d1", "0.5")
        stage.wait(20)
        stage.fill("d1", "0.5")
        assert stage.order("d1").state is OrderState.FILLED
        assert stage.stop().status == "COMPLETED"
