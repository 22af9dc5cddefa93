"""The session: how it stops in good order, how it stops when it must, and what it watches while it runs."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain, repeat

import pytest

from interlock.domain.broker import Accepted, CancelOrder
from interlock.domain.messages import StopSession, Trip
from interlock.domain.order_states import OrderState
from interlock.domain.session_states import SessionState
from interlock.runtime.mailbox import Lane
from tests.actors.stage import Stage, behaves, key_of, late, stays_silent
from tests.session_builders import BTC, at, exchange_of, run

BY_HAND = Trip("by_hand", "the test says so", {"who": "test"})


def trip(stage: Stage, times: int = 1) -> None:
    """Trip the session from outside."""
    for _ in range(times):
        assert stage.session.system.post("orchestrator", BY_HAND, Lane.CONTROL)


# -- stopping in good order ---------------------------------------------------------------------------------


@pytest.mark.spec("ORC-1", "ORC-2")
def test_a_session_walks_its_states_and_shows_its_status() -> None:
    kept = run(strategy={"script": [at(1, "d1")], "linger_s": 5}).kept
    assert [(state["state"], state["status"]) for state in kept.states] == [
        ("INIT", "INIT"),
        ("PREFLIGHT_OK", "RUNNING"),
        ("DRYRUN_ACTIVE", "RUNNING"),
        ("STOPPING", "RUNNING"),
        ("STOPPED", "COMPLETED"),
    ]
    assert [payload["to"] for payload in kept.payloads("SESSION_STATE")] == [
        state["state"] for state in kept.states[1:]
    ]


@pytest.mark.spec("ORC-6")
def test_a_stop_cancels_what_is_open_then_reconciles_a_last_time() -> None:
    with Stage(cancel=[late(2), late(2)]) as stage:
        stage.submit("d1")
        stage.submit("d2")
        stage.fill("d2", "0.5")
        result = stage.stop()
        assert (result.status, result.view.state) == ("COMPLETED", SessionState.STOPPED)
        assert [stage.order(name).state for name in ("d1", "d2")] == [OrderState.CANCELLED] * 2
        assert stage.asked(CancelOrder) == 2
        codes = stage.kept.codes
        assert codes[-1] == "C2_DRYRUN_STOP"
        assert stage.kept.audited("RECON_SUMMARY")[-1]["meta"]["reason"] == "shutdown"
        last_look = len(codes) - 1 - codes[::-1].index("RECON_SUMMARY")
        assert codes.index("ORDER_CANCELLED") < last_look


@pytest.mark.spec("ORC-6")
def test_by_policy_a_stop_leaves_open_orders_open() -> None:
    with Stage(session={"cancel_on_stop": "false"}) as stage:
        stage.submit("d1")
        assert stage.stop().status == "COMPLETED"
        assert (stage.asked(CancelOrder), stage.order("d1").state) == (0, OrderState.ACK)
        assert len(stage.exchange.snapshot(0, 0).open_orders) == 1


@pytest.mark.spec("ORC-6", "SAF-2")
def test_a_trip_cancels_open_orders_whatever_the_policy_says() -> None:
    with Stage(session={"cancel_on_stop": "false"}) as stage:
        stage.submit("d1")
        trip(stage)
        assert stage.end().status == "FAILED"
        assert stage.order("d1").state is OrderState.CANCELLED


@pytest.mark.spec("ORC-6")
def test_stopping_twice_is_stopping_once() -> None:
    with Stage(cancel=[late(2)]) as stage:
        stage.submit("d1")
        for _ in range(3):
            stage.session.system.post("orchestrator", StopSession("again"), Lane.CONTROL)
        stage.wait(1.5)
        assert stage.stop().status == "COMPLETED"
        assert stage.asked(CancelOrder) == 1
        assert stage.kept.codes.count("C2_DRYRUN_STOP") == 1
        reasons = [record["meta"]["reason"] for record in stage.kept.audited("RECON_SUMMARY")]
        assert reasons == ["startup", "shutdown"]
        assert [state["state"] for state in stage.kept.states].count("STOPPING") == 1


@pytest.mark.spec("ORC-6")
def test_a_session_ends_when_its_duration_is_over() -> None:
    ran = run(session={"duration_s": 100})
    assert ran.result.status == "COMPLETED"
    assert 100 <= ran.result.simulated_ns / 1e9 < 110
    assert ran.kept.states[-2]["reason"] == "duration reached"


@pytest.mark.spec("ORC-6")
def test_orders_that_cannot_be_cancelled_leave_the_session_to_an_operator() -> None:
    with Stage(cancel=repeat(stays_silent), query=repeat(stays_silent), session={"drains_max": 20}) as stage:
        stage.submit("d1")
        result = stage.stop()
        assert result.view.state is SessionState.ERROR_REQUIRES_OPERATOR
        assert stage.kept.audited("OPERATOR_REQUIRED")[0]["meta"]["open_orders"] == 1


@pytest.mark.spec("ORC-6", "REC-6")
def test_a_last_reconcile_that_cannot_be_made_leaves_the_session_to_an_operator() -> None:
    with Stage(snapshot=chain([behaves], repeat(stays_silent))) as stage:
        assert stage.stop().view.state is SessionState.ERROR_REQUIRES_OPERATOR
        assert stage.kept.audited("OPERATOR_REQUIRED")[0]["meta"]["reconcile"] == "unavailable"


@pytest.mark.spec("ORC-6")
def test_a_session_told_to_stop_before_it_began_sends_nothing_and_ends() -> None:
    with Stage(begin=False, strategy={"script": [at(0, "d1")]}) as stage:
        stage.session.stop("at once")
        result = stage.end()
        assert result.status == "COMPLETED"
        assert not stage.trips
        assert not stage.exchange.orders


# -- tripping -----------------------------------------------------------------------------------------------


@pytest.mark.spec("SAF-2", "ORC-6")
def test_a_trip_sets_the_kill_switch_cancels_and_leaves_the_session_to_an_operator() -> None:
    with Stage() as stage:
        stage.submit("d1")
        trip(stage)
        result = stage.end()
        view = result.view
        assert (result.status, view.state) == ("FAILED", SessionState.ERROR_REQUIRES_OPERATOR)
        assert (view.kill_switch, view.trips, view.fail_code) == (1, ("by_hand",), "by_hand")
        assert stage.session.store.kill_switch() == "by_hand"
        assert stage.order("d1").state is OrderState.CANCELLED
        [record] = stage.kept.audited("SAFETY_RAIL_TRIPPED")
        assert record["level"] == "CRITICAL"
        assert (record["meta"]["code"], record["meta"]["who"]) == ("by_hand", "test")
        assert stage.kept.payloads("TRIP")[0]["evidence"] == {"who": "test"}
        assert stage.kept.audited("ALERT_SAFETY_RAIL_TRIPPED")
        assert stage.kept.audited("OPERATOR_REQUIRED")
        assert (stage.kept.states[-1]["kill_switch"], stage.kept.metrics[0]["kill_switch"]) == (1, 1)


@pytest.mark.spec("ORC-6", "SAF-2")
def test_tripping_twice_stops_once_and_tells_of_both() -> None:
    with Stage() as stage:
        stage.submit("d1")
        trip(stage, times=2)
        result = stage.end()
        assert result.view.trips == ("by_hand", "by_hand")
        assert stage.asked(CancelOrder) == 1
        assert stage.kept.codes.count("C2_DRYRUN_STOP") == 1


@pytest.mark.spec("ORC-6", "SAF-2")
def test_a_trip_while_stopping_turns_a_good_end_into_a_bad_one() -> None:
    with Stage(cancel=[late(2)]) as stage:
        stage.submit("d1")
        stage.session.stop("in good order")
        stage.wait(1.5)
        trip(stage)
        assert stage.end().view.state is SessionState.ERROR_REQUIRES_OPERATOR


@pytest.mark.spec("SAF-2")
def test_a_trip_before_preflight_passed_lets_nothing_begin() -> None:
    with Stage(begin=False, strategy={"script": [at(0, "d1")]}) as stage:
        trip(stage)
        assert stage.end().status == "FAILED"
        assert "DRYRUN_ACTIVE" not in [state["state"] for state in stage.kept.states]
        assert not stage.exchange.orders


@pytest.mark.spec("RT-2")
def test_with_ten_thousand_messages_waiting_a_trip_is_served_in_the_next_step() -> None:
    with Stage(sinks={"mailbox_data": 10_000}) as stage:
        stage.submit("d1")
        ack = Accepted(client_order_id=key_of("d1"), broker_order_id="b-000001")
        for _ in range(10_000):
            assert stage.session.system.post("orchestrator", ack)
        assert not stage.session.system.post("orchestrator", ack), "it is full"
        trip(stage)
        stage.session.run_n_steps(1)
        assert stage.trips == ("by_hand",)
        assert (stage.state, stage.desk.gate_open) == (SessionState.STOPPING, False)
        assert stage.session.mailboxes()["orchestrator"]["data"].depth == 10_000


# -- what is watched ----------------------------------------------------------------------------------------


@pytest.mark.spec("REC-5")
def test_both_sides_are_compared_every_five_minutes() -> None:
    ran = run(session={"duration_s": 1000})
    times = [
        (event["payload"]["reason"], event["ts_sim"] // 1_000_000_000)
        for event in ran.kept.events
        if event["event_type"] == "RECONCILE"
    ]
    assert times == [("startup", 0), ("cadence", 300), ("cadence", 600), ("cadence", 900), ("shutdown", 1001)]


@pytest.mark.spec("ORC-5", "REC-6")
def test_a_reconcile_that_is_too_old_trips() -> None:
    with Stage(snapshot=chain([behaves], repeat(stays_silent)), reconcile={"deadline_s": 400}) as stage:
        stage.until(lambda: bool(stage.trips))
        assert stage.trips == ("reconcile_overdue",)
        assert 400 < stage.now_s <= 430
        assert stage.end().status == "FAILED"


@pytest.mark.spec("ORC-5")
def test_a_broker_that_is_not_heard_any_more_trips() -> None:
    with Stage(
        snapshot=chain([behaves], repeat(stays_silent)),
        reconcile={"deadline_s": 3000},
        session={"heartbeat_timeout_s": 500},
    ) as stage:
        stage.until(lambda: bool(stage.trips))
        assert stage.trips == ("broker_silent",)
        assert 500 < stage.now_s <= 530


@pytest.mark.spec("ORC-5")
def test_a_broker_that_answers_orders_is_heard() -> None:
    with Stage(
        snapshot=chain([behaves], repeat(stays_silent)),
        reconcile={"deadline_s": 3000},
        session={"heartbeat_timeout_s": 500},
    ) as stage:
        for n in range(4):
            stage.wait(300)
            stage.submit(f"d{n}")
        assert not stage.trips


@pytest.mark.spec("ORC-5")
def test_a_session_that_is_well_trips_over_nothing_all_day() -> None:
    ran = run(session={"duration_s": 40_000}, broker={"price_every_s": 3600})
    assert (ran.result.status, ran.result.view.trips) == ("COMPLETED", ())


# -- a broker that parts ways with us -----------------------------------------------------------------------


@pytest.mark.parametrize("what", ["position", "cash", "order"])
@pytest.mark.spec("REC-1", "REC-5", "SAF-2")
def test_a_change_in_the_broker_s_own_book_trips_at_the_next_reconcile(what: str) -> None:
    """The mock broker shares nothing with us: its book is changed behind everybody's back."""
    with Stage() as stage:
        stage.submit("d1")
        stage.wait(1)
        if what == "position":
            stage.exchange.positions[BTC] -= 2
        elif what == "cash":
            assert stage.exchange.cash is not None
            stage.exchange.cash -= 50
        else:
            stage.exchange.cancel(key_of("d1"))
        stage.until(lambda: bool(stage.trips))
        assert stage.trips == ("reconcile_divergence",)
        assert 300 < stage.now_s < 310, "the first look at 300 s, the second after the grace"
        message = stage.kept.audited("SAFETY_RAIL_TRIPPED")[0]["message"]
        expected = {
            "position": f"position {BTC}: we hold 20, the broker says 18",
            "cash": "cash: we have 100000, the broker says 99950",
            "order": f"order {key_of('d1')}: open here",
        }
        assert message.startswith(expected[what])
        assert stage.kept.audited("ALERT_RECONCILE_DIVERGENCE")
        assert stage.end().status == "FAILED"


@pytest.mark.spec("REC-6")
def test_a_broker_that_cannot_be_asked_for_a_while_stops_nothing() -> None:
    with Stage(snapshot=[behaves, *[stays_silent] * 4]) as stage:
        stage.exchange.positions[BTC] += 0
        stage.wait(500)
        results = [payload["result"] for payload in stage.kept.payloads("RECONCILE")]
        assert results == ["healthy", "unavailable"]
        assert stage.kept.audited("ALERT_RECONCILE_FAILED")
        assert (stage.trips, stage.kept.payloads("RECON_DIFF")) == ((), [])
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("REC-10")
def test_observing_reports_every_difference_and_stops_nothing() -> None:
    """Longer than any reconcile may be old: the two sides never agree again, and that is only reported."""
    ran_states: list[SessionState] = []
    with Stage(reconcile={"observe": "true"}) as stage:
        stage.exchange.positions[BTC] -= 2
        stage.wait(1400)
        ran_states.append(stage.state)
        result = stage.stop()
    assert ran_states == [SessionState.DRYRUN_ACTIVE]
    assert (result.status, result.view.kill_switch, result.view.trips) == ("COMPLETED", 0, ())
    assert [payload["result"] for payload in stage.kept.payloads("RECONCILE")[1:]] == ["findings"] * 5


def test_small_differences_are_reported_and_do_not_stop_the_session_at_once() -> None:
    with Stage() as stage:
        stage.exchange.positions[BTC] += Decimal("0.01")
        stage.wait(400)
        assert stage.kept.payloads("RECON_DIFF")[0]["severity"] == "INFO"
        assert not stage.trips


def test_a_session_leaves_no_trace_in_the_broker_s_book_but_its_orders() -> None:
    ran = run(strategy={"script": [at(1, "d1"), at(2, "d2", limit_price="101")], "linger_s": 5})
    assert sorted(exchange_of(ran.session).orders) == sorted([key_of("d1"), key_of("d2")])
