"""What a session does that begins where another was killed, or stopped: settle first, compare, and only then trade."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from interlock.domain.broker import CancelOrder, GetSnapshot, PlaceOrder, QueryOrder, Throttled, Unavailable
from interlock.domain.findings import DiffType
from interlock.domain.instants import NS_PER_S
from interlock.domain.messages import SubmitStatus
from interlock.domain.order_states import OrderState
from interlock.domain.restart import RestartReason, SessionBegun, SessionDone, restart_reason
from interlock.domain.session_states import SessionState
from tests.actors.stage import Stage, an_intent, does_silently, key_of, says, stays_silent, store_of
from tests.session_builders import BTC, ETH

OLD = SessionBegun("r1", "s", "1.0", 5)
DONE = SessionDone("r1", "COMPLETED", 9)


def reason(stage: Stage) -> Any:
    """Return the restart reason that the session wrote down."""
    [record] = stage.kept.audited("ENGINE_RESTART")
    assert record["meta"]["engine_restart_reason"] == stage.session.orchestrator.record.restart
    return record["meta"]["engine_restart_reason"]


# -- why it starts ------------------------------------------------------------------------------------------


@pytest.mark.spec("RST-2")
@pytest.mark.parametrize(
    ("begun", "done", "version", "switch", "expected"),
    [
        (None, None, "1.0", "", RestartReason.FIRST),
        (None, None, "1.0", "pulled", RestartReason.KILL_SWITCH),
        (OLD, DONE, "1.0", "", RestartReason.CLEAN),
        (OLD, DONE, "1.1", "", RestartReason.UPGRADE),
        (OLD, None, "1.0", "", RestartReason.CRASH),
        (OLD, None, "1.1", "pulled", RestartReason.CRASH),
        (OLD, DONE, "1.1", "pulled", RestartReason.KILL_SWITCH),
        (OLD, SessionDone("r1", "FAILED", 9, "overfill"), "1.0", "", RestartReason.KILL_SWITCH),
    ],
)
def test_the_reason_of_a_start_follows_from_the_marks_of_the_last_session(
    begun: SessionBegun | None, done: SessionDone | None, version: str, switch: str, expected: RestartReason
) -> None:
    assert restart_reason(begun, done, version=version, kill_switch=switch) is expected


@pytest.mark.spec("RST-2")
def test_every_start_says_why_it_is_one() -> None:
    with Stage() as stage:
        assert reason(stage) == "first"
        stage.restart()
        assert reason(stage) == "crash"
        assert stage.stop().status == "COMPLETED"
        stage.session.crash()
        stage.start_again()
        assert reason(stage) == "clean"
        assert stage.state is SessionState.DRYRUN_ACTIVE


# -- what was left open -------------------------------------------------------------------------------------


@pytest.mark.spec("RST-2", "IDM-4", "REC-5")
def test_a_fill_of_the_meantime_is_booked_before_anything_is_compared() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        stage.session.crash()
        stage.execute("d1", "0.5")
        stage.start_again()
        assert stage.state is SessionState.DRYRUN_ACTIVE
        assert (stage.order("d1").state, stage.order("d1").filled) == (OrderState.PARTIAL, Decimal("0.5"))
        [told] = stage.kept.audited("RECOVERED")
        assert told["meta"] == {"fills": 1, "in_doubt": 0, "live": 1, "orders": 1, "states": {"PARTIAL": 1}}
        codes = [code for code in stage.kept.codes if code in ("RECOVERY_BEGUN", "RECOVERED", "RECON_SUMMARY")]
        assert codes == ["RECOVERY_BEGUN", "RECOVERED", "RECON_SUMMARY"]
        assert stage.session.orchestrator.startup is not None
        stage.fill("d1", "1.5")
        assert stage.order("d1").state is OrderState.FILLED
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("RST-2", "IDM-4")
def test_the_position_goes_on_from_what_was_booked_and_not_from_the_config() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2", limit_price="100")
        stage.fill("d1", "2")
        stage.restart()
        ledger = stage.desk.book.exposure.ledger
        assert ledger.position(BTC).quantity == 22
        assert (ledger.cash, stage.exchange.cash) == (Decimal(99800), Decimal(99800))


@pytest.mark.spec("IDM-4", "IDM-2")
@pytest.mark.parametrize(
    ("move", "state"), [(stays_silent, OrderState.VOID), (does_silently, OrderState.ACK)], ids=["never came", "came"]
)
def test_an_order_that_was_on_its_way_is_settled_by_asking_and_never_sent_again(move: Any, state: OrderState) -> None:
    with Stage(place=[move]) as stage:
        stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder, "d1") == 1)
        stage.restart()
        assert stage.state is SessionState.DRYRUN_ACTIVE
        assert stage.order("d1").state is state
        assert (stage.asked(PlaceOrder, "d1"), stage.asked(QueryOrder, "d1") > 0) == (1, True)
        again = stage.submit("d1")
        assert (again.status, stage.asked(PlaceOrder, "d1")) == (SubmitStatus.DUPLICATE, 1)


@pytest.mark.spec("IDM-4", "RST-2")
def test_not_found_counts_only_after_the_settle_time_also_after_a_restart() -> None:
    with Stage(place=[stays_silent], settle={"settle_after_s": 50, "interval_s": 5}) as stage:
        stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder, "d1") == 1)
        stage.session.crash()
        began_s = stage.now_s
        stage.start_again()
        assert stage.order("d1").state is OrderState.VOID
        assert stage.now_s - began_s >= 50
        assert stage.asked(QueryOrder, "d1") >= 10


@pytest.mark.spec("RST-2", "IDM-4")
def test_a_cancel_that_was_on_its_way_is_settled_by_asking() -> None:
    with Stage(cancel=[stays_silent]) as stage:
        stage.submit("d1")
        stage.cancel("d1")
        stage.restart()
        assert stage.order("d1").state is OrderState.ACK
        assert stage.asked(CancelOrder, "d1") == 1
        stage.session.crash()
        stage.exchange.cancel(key_of("d1"))
        stage.start_again()
        assert stage.state is SessionState.DRYRUN_ACTIVE
        assert stage.order("d1").state is OrderState.CANCELLED


@pytest.mark.spec("RST-2", "ORC-6")
def test_a_session_that_is_stopped_before_it_begins_settles_what_an_earlier_one_left() -> None:
    with Stage(cancel=[stays_silent]) as stage:
        stage.submit("d1")
        stage.submit("d2")
        stage.cancel("d1")
        stage.restart(begin=False)
        assert stage.stop().status == "COMPLETED"
        assert [stage.order(name).state for name in ("d1", "d2")] == [OrderState.CANCELLED] * 2
        assert not stage.exchange.snapshot(0, 0).open_orders


@pytest.mark.spec("IDM-4", "SAF-2")
def test_an_order_that_cannot_be_asked_about_past_the_deadline_is_quarantined() -> None:
    away = says(Unavailable(reason="down"))
    with Stage(place=[stays_silent], query=[away] * 500, settle={"deadline_s": 20}) as stage:
        stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder, "d1") == 1)
        stage.restart(begin=False)
        result = stage.end()
        assert (result.status, result.fail_code) == ("FAILED", "unsettled_order")
        assert store_of(stage).kill_switch() == "unsettled_order"
        order = store_of(stage).order_of(key_of("d1"))
        assert order is not None
        assert order.state is OrderState.QUARANTINED


@pytest.mark.spec("RST-2", "RST-3", "SAF-2")
def test_a_void_order_that_turns_out_to_have_traded_is_quarantined_with_its_fill() -> None:
    with Stage(place=[stays_silent]) as stage:
        stage.submit("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.VOID)
        stage.session.crash()
        request = PlaceOrder(key_of("d1"), BTC, *_content())
        stage.exchange.place(request)
        stage.execute("d1", "1")
        stage.start_again(begin=False)
        assert stage.end().fail_code == "unsettled_order"
        order = store_of(stage).order_of(key_of("d1"))
        assert order is not None
        assert (order.state, order.filled) == (OrderState.QUARANTINED, Decimal(1))
        assert store_of(stage).kill_switch() == "unsettled_order"


def _content() -> tuple[Any, ...]:
    intent = an_intent("d1").intent
    return intent.side, intent.order_type, intent.quantity, intent.limit_price, intent.time_in_force


@pytest.mark.spec("IDM-4", "SAF-5")
def test_a_fill_of_an_earlier_session_that_is_told_again_changes_nothing() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        fill = stage.fill("d1", "2")
        stage.restart()
        held = stage.desk.book.exposure.ledger.position(BTC)
        stage.tell(fill)
        assert stage.desk.book.exposure.ledger.position(BTC) == held
        assert stage.counters["duplicate_fills_total"] >= 1
        assert stage.state is SessionState.DRYRUN_ACTIVE
        stage.tell(fill.model_copy(update={"price": Decimal(77)}))
        stage.until(lambda: bool(stage.trips))
        assert stage.trips[0] == "fill_conflict"


@pytest.mark.spec("IDM-4", "REC-3")
def test_a_late_fill_of_an_order_that_an_earlier_session_ended_is_still_counted() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        stage.execute("d1", "1")
        stage.cancel("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.CANCELLED)
        stage.session.crash()
        stage.start_again()
        order = store_of(stage).order_of(key_of("d1"))
        assert order is not None
        assert (order.state, order.filled) == (OrderState.CANCELLED, Decimal(1))
        assert stage.state is SessionState.DRYRUN_ACTIVE


@pytest.mark.spec("IDM-4", "REC-3")
def test_a_fill_of_nobody_is_kept_as_an_orphan_and_stops_trading() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        stranger = stage.execute("d1", "1").model_copy(update={"client_order_id": "somebody-else", "fill_id": "x-1"})
        stage.tell(stranger)
        stage.until(lambda: bool(stage.trips))
        assert stage.trips[0] == "unknown_order_fill"
        assert store_of(stage).execution_of("mock", "main", "x-1") == stranger


# -- whether trading may begin ------------------------------------------------------------------------------


def rejected(stage: Stage) -> tuple[str, str]:
    """Return how a session that was not let through ended: its code, and what set the kill switch."""
    assert stage.state is SessionState.PREFLIGHT_FAILED
    return stage.session.finish().reject_code, store_of(stage).kill_switch()


@pytest.mark.spec("RST-3", "SAF-2")
def test_an_order_that_the_broker_has_forgotten_keeps_trading_from_beginning() -> None:
    with Stage() as stage:
        stage.submit("d1")
        stage.session.crash()
        del stage.exchange.orders[key_of("d1")]
        stage.exchange._resting[BTC].clear()  # noqa: SLF001 - the broker's own doing
        stage.start_again()
        assert rejected(stage) == ("C2_REJECT_RECONCILE", "startup_reconcile")
        assert "ALERT_RECONCILE_DIVERGENCE" in stage.kept.codes
        stage.session.crash()
        stage.start_again()
        assert rejected(stage)[0] == "C2_REJECT_KILL_SWITCH", "a restart does not release it"
        assert reason(stage) == "kill_switch"


@pytest.mark.spec("RST-2", "REC-3")
def test_a_fill_that_the_broker_does_not_have_is_found_after_a_kill_too() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        true = stage.fill("d1", "1")
        stage.tell(true.model_copy(update={"fill_id": "f-false"}))  # with a number that was seen before
        stage.restart()
        assert stage.state is SessionState.PREFLIGHT_FAILED
        report = stage.session.orchestrator.startup
        assert report is not None
        assert "f-false" in [finding.subject for finding in report.findings if finding.diff_type is DiffType.FILL]


@pytest.mark.spec("RST-3")
def test_an_order_of_nobody_keeps_trading_from_beginning() -> None:
    with Stage() as stage:
        stage.session.crash()
        stage.exchange.place(PlaceOrder("stranger", BTC, *_content()))
        stage.start_again()
        assert rejected(stage)[0] == "C2_REJECT_RECONCILE"


@pytest.mark.spec("RST-3")
@pytest.mark.parametrize(("off", "begins"), [("0.0199", True), ("0.02", False)], ids=["below 0.1 %", "0.1 %"])
def test_a_position_may_be_off_by_less_than_a_tenth_of_a_percent(off: str, *, begins: bool) -> None:
    with Stage() as stage:
        stage.session.crash()
        stage.exchange.positions[BTC] -= Decimal(off)
        stage.start_again()
        assert (stage.state is SessionState.DRYRUN_ACTIVE) is begins


@pytest.mark.spec("RST-3", "REC-6")
def test_a_broker_that_cannot_be_asked_keeps_trading_from_beginning() -> None:
    away = says(Unavailable(reason="down"))
    with Stage() as stage:
        stage.session.crash()
        stage.broker.script(GetSnapshot, [away] * 300)
        stage.start_again()
        assert rejected(stage) == ("C2_REJECT_RECONCILE", "startup_reconcile")
        assert "ALERT_RECONCILE_FAILED" in stage.kept.codes


@pytest.mark.spec("RST-5")
def test_what_is_held_and_open_already_must_fit_the_caps() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="3")
        smaller = [
            {
                "symbol": BTC,
                "price": "100",
                "max_order_quantity": "10",
                "max_order_notional": "2000",
                "max_position": cap,
            }
            for cap in ("23", "22.9")
        ]
        other = {"symbol": ETH, "price": "50", "max_order_quantity": "10", "max_order_notional": "2000"}
        stage.session.crash()
        stage._sections["instruments"] = [smaller[0], other]  # noqa: SLF001 - a list is no section to merge
        stage.start_again()
        assert stage.state is SessionState.DRYRUN_ACTIVE
        stage.session.crash()
        stage._sections["instruments"] = [smaller[1], other]  # noqa: SLF001 - as above
        stage.start_again()
        assert rejected(stage) == ("C2_REJECT_EXPOSURE", "startup_exposure")


@pytest.mark.spec("RST-4", "RT-7")
def test_what_the_broker_says_is_filled_is_not_tried_again() -> None:
    throttled = says(Throttled(retry_after_s=5))
    with Stage(place=[throttled, throttled]) as stage:
        outcomes = stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder, "d1") == 1)
        request = PlaceOrder(key_of("d1"), BTC, *_content())
        stage.exchange.place(request)
        stage.fill("d1", "1")
        stage.until(lambda: bool(outcomes))
        assert stage.asked(PlaceOrder, "d1") == 1
        assert (outcomes[0].status, stage.order("d1").state) == (SubmitStatus.ACCEPTED, OrderState.FILLED)


@pytest.mark.spec("IDM-4", "SAF-4")
def test_orders_in_doubt_count_as_fully_open_while_they_are_being_settled() -> None:
    with Stage(place=[stays_silent]) as stage:
        stage.start(an_intent("d1", quantity="4"))
        stage.until(lambda: stage.asked(PlaceOrder, "d1") == 1)
        stage.restart(begin=False)
        held = stage.desk.book.exposure
        assert held.open_quantity(BTC, an_intent("d1").intent.side) == 4
        stage.until(lambda: stage.state is not SessionState.INIT)
        assert stage.desk.book.exposure.open_quantity(BTC, an_intent("d1").intent.side) == 0


@pytest.mark.spec("SAF-3", "IDM-4")
def test_a_restart_does_not_open_the_throttles_again() -> None:
    with Stage(rails={"messages_max": 3, "messages_window_s": 600}) as stage:
        for number in range(3):
            stage.submit(f"d{number}", limit_price=str(80 + number))
        stage.restart()
        assert stage.submit("d9").code == "RAIL_MESSAGE_RATE"


@pytest.mark.spec("SAF-4", "IDM-4")
def test_a_restart_does_not_give_the_loss_budget_of_the_day_back() -> None:
    with Stage(rails={"daily_loss_cap": "50"}) as stage:
        stage.submit("buy", quantity="1", limit_price="100")
        stage.fill("buy", "1")
        stage.exchange.prices[BTC] = Decimal(40)
        before = stage.desk.book.exposure.loss_of_day(stage.session.system.clock.now_ns())
        stage.restart()
        assert stage.desk.book.exposure.loss_of_day(stage.session.system.clock.now_ns()) == before


def test_a_clock_that_went_back_is_told() -> None:
    with Stage() as stage:
        store = store_of(stage)
        stage.session.crash()
        store.begin_session(SessionBegun("r0", "s", "0.1.0", stage.session.system.clock.now_ns() + 5 * NS_PER_S))
        store.commit()
        stage.start_again()
        [told] = stage.kept.audited("CLOCK_WENT_BACK")
        assert told["meta"]["latest_ns"] - told["meta"]["now_ns"] == 5 * NS_PER_S
