"""What the strongest open-source peers were measured to get wrong, each right here and named after it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.actors.reconciler import Reconciler
from interlock.domain.broker import Cancelled, CancelOrder, PlaceOrder, Rejected
from interlock.domain.messages import RequestReconcile, SubmitStatus
from interlock.domain.order_states import OrderState
from interlock.domain.orders import place_request
from interlock.domain.session_states import SessionState
from tests.actors.stage import Stage, does_silently, key_of, says, stays_silent
from tests.session_builders import BTC, at, run

REJECTED = Rejected(client_order_id=key_of("d1"), code="NO_MARGIN")
REPAIRING = {"auto_repair": True, "grace_s": 1, "repair_wait_s": 10}


def gained(stage: Stage) -> Decimal:
    """Return what was added to the position that the session began with."""
    ledger = stage.desk.book.exposure.ledger
    return ledger.position(BTC).quantity - stage.session.config.opening.positions[BTC]


def look(stage: Stage) -> None:
    """Let the session compare with the broker and wait for what comes of it."""
    stage.tell(RequestReconcile())  # type: ignore[arg-type]  # a request of the host, put in like a statement
    stage.wait(60)


@pytest.mark.spec("SAF-1", "SAF-2")
def test_an_overfill_under_a_new_fill_id_is_refused_and_trips() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        first = stage.fill("d1", "2")
        stage.tell(first.model_copy(update={"fill_id": "another"}))
        assert stage.order("d1").filled == Decimal(2)
        assert gained(stage) == Decimal(2)
        result = stage.end()
        assert stage.trips[0] == "overfill"
        assert (result.status, result.view.kill_switch) == ("FAILED", 1)


@pytest.mark.spec("SAF-1", "SAF-2")
def test_a_fill_after_reject_is_not_booked_without_the_order() -> None:
    with Stage(place=[says(REJECTED)]) as stage:
        assert stage.submit("d1").status is SubmitStatus.REJECTED
        stage.exchange.place(place_request(stage.order("d1")))
        stage.fill("d1", "1")
        assert stage.order("d1").filled == 0
        assert gained(stage) == 0
        assert stage.end().status == "FAILED"
        assert stage.trips


@pytest.mark.spec("SAF-1")
def test_a_fill_that_overdraws_the_cash_is_in_every_book_and_trips() -> None:
    """It happened, whatever it led to: order, ledger and fills must agree on it before the session stops."""
    with Stage(opening={"cash": "100", "positions": {BTC: "20"}}, rails={"cash_buffer": "0"}) as stage:
        stage.submit("d1")
        fill = stage.execute("d1", "1").model_copy(update={"fee": Decimal("10.01")})
        stage.tell(fill)
        book = stage.desk.book
        assert (stage.order("d1").state, stage.order("d1").filled) == (OrderState.FILLED, Decimal(1))
        assert (book.exposure.ledger.cash, len(book.exposure.fills)) == (Decimal("-0.01"), 1)
        assert stage.trips[0] == "negative_cash"


@pytest.mark.spec("REC-2")
def test_an_order_open_here_and_missing_there_is_a_finding() -> None:
    with Stage(reconcile={"grace_s": 1}) as stage:
        stage.submit("d1")
        stage.exchange.cancel(key_of("d1"))
        look(stage)
        [diff] = stage.kept.payloads("RECON_DIFF")
        assert (diff["details"]["kind"], diff["client_order_id"]) == ("stale_local_order", key_of("d1"))
        assert stage.end().fail_code == "reconcile_divergence"


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize(("field", "value"), [("quantity", Decimal(3)), ("limit_price", Decimal(89))])
def test_price_or_size_that_differs_from_the_brokers_is_a_finding(field: str, value: Decimal) -> None:
    with Stage(reconcile={"grace_s": 1}) as stage:
        stage.submit("d1")
        order = stage.exchange.orders[key_of("d1")]
        content = {name: getattr(order.request, name) for name in PlaceOrder.__struct_fields__}
        order.request = PlaceOrder(**{**content, field: value})
        look(stage)
        [diff] = stage.kept.payloads("RECON_DIFF")
        assert diff["details"]["kind"] == "status_mismatch"
        assert str(value) in diff["external"]


@pytest.mark.spec("REC-3", "REC-8")
def test_a_broker_side_cancel_with_a_filled_quantity_but_no_fill_report_books_the_fill() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        stage.execute("d1", "0.5")
        stage.exchange.cancel(key_of("d1"))
        stage.tell(Cancelled(client_order_id=key_of("d1"), filled=Decimal("0.5")))
        stage.wait(30)
        assert (stage.order("d1").state, stage.order("d1").filled) == (OrderState.CANCELLED, Decimal("0.5"))
        assert gained(stage) == Decimal("0.5")
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("SAF-4")
def test_the_notional_cap_holds_before_the_first_account_state_arrives() -> None:
    with Stage(opening={"cash": None, "positions": {}}) as stage:
        assert stage.desk.book.exposure.ledger.cash is None
        outcome = stage.submit("d1", quantity="10", limit_price="200.01")
        assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "RAIL_ORDER_NOTIONAL")
        assert stage.asked(PlaceOrder) == 0


@pytest.mark.spec("SAF-4")
def test_a_reduce_only_mode_cannot_flip_the_position() -> None:
    with Stage(opening={"cash": "10000", "positions": {BTC: "2"}}, rails={"reduce_only": True}) as stage:
        first = stage.submit("d1", side="SELL", quantity="1.5", limit_price="110")
        second = stage.submit("d2", side="SELL", quantity="0.6", limit_price="110")
        third = stage.submit("d3", side="SELL", quantity="0.5", limit_price="110")
        assert (first.code, second.code, third.code) == ("", "RAIL_REDUCE_ONLY", "")
        assert stage.submit("d4", side="BUY").code == "RAIL_REDUCE_ONLY"


@pytest.mark.spec("SAF-4")
def test_cancels_are_throttled_too() -> None:
    with Stage(rails={"messages_max": 2, "messages_window_s": 60}) as stage:
        stage.submit("d1")
        stage.submit("d2", limit_price="89")
        assert stage.cancel("d1").code == "RAIL_MESSAGE_RATE"
        assert (stage.asked(CancelOrder), stage.order("d1").state) == (0, OrderState.ACK)
        stage.wait(60)
        assert stage.cancel("d1").requested
        assert stage.counters["cancels_refused_total|RAIL_MESSAGE_RATE"] == 1


@pytest.mark.spec("RT-5", "IDM-4")
def test_synthetic_ids_made_in_recovery_are_equal_in_two_cold_starts() -> None:
    """Reconcile, diff and incident ids are made of content: a second start gives the same ones."""

    def ids() -> list[str]:
        ran = run(broker={"book": {"positions": {BTC: "7"}}}, strategy={"script": [at(1, "d1")]})
        found = ran.kept.payloads("RECON_DIFF") + ran.kept.payloads("INCIDENT")
        return [record.get("diff_id") or record["incident_id"] for record in found]

    first = ids()
    assert len(first) == 2
    assert first == ids()


@pytest.mark.spec("RT-7", "IDM-4")
@pytest.mark.parametrize("move", [stays_silent, does_silently], ids=["lost before", "lost after"])
def test_an_in_flight_time_out_never_becomes_rejected_or_cancelled(move: object) -> None:
    with Stage(place=[move]) as stage:  # type: ignore[list-item]  # parametrised
        assert stage.submit("d1").status is SubmitStatus.UNKNOWN
        stage.wait(120)
        seen = [event["to"] for event in stage.kept.payloads("ORDER_STATE")]
        assert "REJECTED" not in seen
        assert "CANCELLED" not in seen
        assert seen[-1] == ("VOID" if move is stays_silent else "ACK")
        assert stage.asked(PlaceOrder) == 1


@pytest.mark.spec("REC-8", "REC-9")
def test_a_fill_that_only_the_broker_saw_is_booked_where_repair_is_switched_on() -> None:
    with Stage(reconcile=REPAIRING) as stage:
        stage.submit("d1", quantity="2")
        stage.execute("d1", "0.5")
        look(stage)
        assert (stage.order("d1").state, stage.order("d1").filled) == (OrderState.PARTIAL, Decimal("0.5"))
        caught = stage.kept.audited("partial_fill_caught_by_reconcile")
        assert [record["meta"]["action"] for record in caught] == ["ask_order"] * len(caught) != []
        assert {"before", "after"} <= caught[0]["meta"].keys()
        assert stage.state is SessionState.DRYRUN_ACTIVE
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("REC-9")
def test_without_the_switch_the_same_fill_waits_for_an_operator() -> None:
    with Stage(reconcile={**REPAIRING, "auto_repair": False}) as stage:
        stage.submit("d1", quantity="2")
        stage.execute("d1", "0.5")
        look(stage)
        assert "partial_fill_caught_by_reconcile" not in stage.kept.codes
        assert stage.trips == ("reconcile_divergence",)
        assert stage.kept.codes.count("RECON_PLAN") > 0


@pytest.mark.spec("REC-8")
@pytest.mark.parametrize(("closes", "state"), [(True, OrderState.CANCELLED), (False, OrderState.PARTIAL)])
def test_the_remainder_of_a_caught_fill_works_on_or_is_closed_by_policy(*, closes: bool, state: OrderState) -> None:
    with Stage(reconcile={**REPAIRING, "close_remainder": closes}) as stage:
        stage.submit("d1", quantity="2")
        stage.execute("d1", "0.5")
        look(stage)
        assert (stage.order("d1").state, stage.order("d1").filled) == (state, Decimal("0.5"))


@pytest.mark.spec("REC-8")
@pytest.mark.parametrize(("permitted", "state"), [(True, OrderState.CANCELLED), (False, OrderState.ACK)])
def test_an_open_order_past_its_time_to_live_is_cancelled_if_permitted(*, permitted: bool, state: OrderState) -> None:
    with Stage(reconcile={"grace_s": 1, "order_ttl_s": 30, "cancel_stale": permitted}) as stage:
        stage.submit("d1")
        stage.wait(40)
        look(stage)
        assert stage.order("d1").state is state
        assert stage.kept.codes.count("stale_order_cancelled") == int(permitted)
        assert stage.state is SessionState.DRYRUN_ACTIVE


@pytest.mark.spec("REC-7")
def test_the_reconciler_is_the_one_that_decides_what_survives() -> None:
    """A guard for the tests above: they would pass for the wrong reason if the reconciler were not asked."""
    with Stage() as stage:
        assert isinstance(stage.session.reconciler, Reconciler)
        look(stage)
        assert stage.counters["engine_reconcile_runs_total"] == 2
