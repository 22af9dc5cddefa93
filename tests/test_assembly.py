"""Whole sessions against a broker that does wrong: after each, both sides agree, or the session says why not.

Every fault of the mock broker runs alone, under several seeds and both schedulers, and all of them together.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Literal

import pytest

from interlock.domain.broker import Accepted, PlaceOrder, Rejected
from interlock.domain.errors import BadInput
from interlock.domain.session_states import SessionState
from interlock.mocks.exchange import Exchange
from interlock.mocks.faults import Fault
from interlock.runtime.schedule import FifoSchedule, TapeSchedule
from tests.session_builders import (
    BTC,
    STEPS,
    Kept,
    Ran,
    a_config,
    a_day,
    a_session,
    assert_agreed,
    at,
    exchange_of,
    orders_of,
    positions_of,
    run,
    run_session,
)

Scheduler = Literal["fifo", "random"]

EVERY_CALL = ["place", "cancel", "query", "snapshot"]

# How each fault is switched on. Rates are high: an order that meets none of them proves nothing.
ALONE: dict[Fault, dict[str, Any]] = {
    Fault.RATE_LIMIT: {"permille": 300, "calls": EVERY_CALL, "retry_after_s": "0.5"},
    Fault.TIMEOUT_BEFORE: {"permille": 150, "calls": ["place", "cancel", "query"]},
    Fault.TIMEOUT_AFTER: {"permille": 250, "calls": ["place", "cancel"]},
    Fault.PARTIAL_FILLS: {"permille": 800, "pieces_max": 6, "delay_s": "0.7"},
    Fault.DUPLICATE_FILL: {"permille": 500},
    Fault.DUPLICATE_ACK: {"permille": 500},
    Fault.DUPLICATE_REJECT: {"permille": 900},
    Fault.REJECT: {"permille": 300},
    Fault.FILL_BEFORE_ACK: {"permille": 500, "delay_s": "0.5"},
    Fault.FILL_AFTER_CANCEL_ACK: {"permille": 500},
    Fault.FILL_DURING_CANCEL: {"permille": 500},
    Fault.CANCEL_REJECTED_FILLED: {"permille": 400},
    Fault.LATE_PARTIAL_AFTER_CANCEL: {"permille": 500},
}
MUST_TRIP = {Fault.CONFLICTING_FILL: "fill_conflict", Fault.OVERFILL: "overfill"}
NEEDED_TOO = {Fault.DUPLICATE_REJECT: [Fault.REJECT]}
SEEDS = range(5)


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often the broker took an order in, by client order id."""
    counts: Counter[str] = Counter()
    place = Exchange.place

    def counted(self: Exchange, request: PlaceOrder, *more: Any) -> Accepted | Rejected:
        statement = place(self, request, *more)
        counts[request.client_order_id] += isinstance(statement, Accepted)
        return statement

    monkeypatch.setattr(Exchange, "place", counted)
    return counts


def a_rough_day(faults: list[Fault], seed: int, scheduler: Scheduler, rates: float = 1.0) -> Ran:
    """Run a drawn day with these faults on; ``rates`` turns all of them up or down."""
    rules = [
        {"fault": fault, **rule, "permille": round(rule["permille"] * rates)}
        for fault, rule in ALONE.items()
        if fault in faults
    ]
    return run(
        session={"seed": seed, "scheduler": scheduler},
        strategy=a_day(),
        broker={"faults": {"rules": rules}},
        # A second look that outlives the doubt about a cancel; a broker that can always be asked in the end.
        reconcile={"every_s": 60, "grace_s": 30},
        retry={"attempts_max": 12, "duration_max_s": 120},
        rails={"attempts_per_minute": 6000},
        settle={"settle_after_s": 15},
    )


def assert_held(ran: Ran, accepted: Counter[str]) -> None:
    """Hold what must hold after any fault that is no contradiction."""
    assert (ran.result.status, ran.result.view.trips) == ("COMPLETED", ())
    assert_agreed(ran.session)
    assert max(accepted.values()) == 1, "no key was taken in twice"
    assert "orphan_statements_total" not in ran.counters
    assert ran.kept.metrics[0]["last_reconcile"] == "healthy"


@pytest.mark.parametrize("scheduler", ["fifo", "random"])
@pytest.mark.parametrize("fault", ALONE)
@pytest.mark.spec("FLT-1", "FLT-2", "FLT-4", "FLT-5", "FLT-6", "SAF-1")
def test_each_fault_alone_leaves_both_sides_agreed(fault: Fault, scheduler: Scheduler, accepted: Counter[str]) -> None:
    struck = 0
    for seed in SEEDS:
        accepted.clear()
        ran = a_rough_day([fault, *NEEDED_TOO.get(fault, [])], seed, scheduler)
        struck += ran.counters.get(f"faults_total|{fault}", 0)
        assert_held(ran, accepted)
    assert struck >= 5, "the fault must have struck"


@pytest.mark.parametrize("fault", ALONE)
@pytest.mark.spec("FLT-1", "FLT-2", "FLT-4", "FLT-5", "FLT-6", "SAF-1")
def test_each_fault_with_each_other_leaves_both_sides_agreed(fault: Fault, accepted: Counter[str]) -> None:
    names = list(ALONE)
    for seed, other in enumerate(names[names.index(fault) + 1 :]):
        accepted.clear()
        scheduler: Scheduler = "random" if seed % 2 else "fifo"
        assert_held(a_rough_day([fault, other], seed, scheduler), accepted)


@pytest.mark.parametrize("scheduler", ["fifo", "random"])
@pytest.mark.parametrize("rates", [0.2, 0.5, 1.0])
@pytest.mark.spec("FLT-1", "FLT-2", "FLT-4", "FLT-5", "FLT-6", "SAF-1")
def test_all_faults_together_leave_both_sides_agreed(
    rates: float, scheduler: Scheduler, accepted: Counter[str]
) -> None:
    for seed in range(10):
        accepted.clear()
        ran = a_rough_day(list(ALONE), seed, scheduler, rates)
        assert_held(ran, accepted)
        struck = [name for name in ran.counters if name.startswith("faults_total|")]
        assert len(struck) >= 6


@pytest.mark.parametrize("scheduler", ["fifo", "random"])
@pytest.mark.parametrize(("fault", "code"), MUST_TRIP.items())
@pytest.mark.spec("SAF-1", "SAF-2", "SAF-5")
def test_a_contradiction_ends_the_session_with_its_code(fault: Fault, code: str, scheduler: Scheduler) -> None:
    for seed in SEEDS:
        ran = run(
            session={"seed": seed, "scheduler": scheduler},
            strategy=a_day(),
            broker={"faults": {"rules": [{"fault": fault, "nth": [3]}]}},
        )
        view = ran.result.view
        assert (ran.result.status, view.state) == ("FAILED", SessionState.ERROR_REQUIRES_OPERATOR)
        assert (ran.result.fail_code, view.kill_switch) == (code, 1)
        assert code in view.trips
        tripped_ns = next(event["ts_sim"] for event in ran.kept.events if event["event_type"] == "TRIP")
        sent = [
            event["ts_sim"]
            for event in ran.kept.events
            if event["event_type"] == "ORDER_STATE" and event["payload"]["event"] == "SEND"
        ]
        assert max(sent) <= tripped_ns, "no order left after the trip"
        assert_agreed(ran.session)


@pytest.mark.spec("FLT-1", "SAF-3")
def test_a_storm_of_rate_limits_ends_by_itself(accepted: Counter[str]) -> None:
    rule = {"fault": "rate_limit", "nth": [3], "burst": 60, "calls": ["place"]}
    ran = run(strategy=a_day(), broker={"faults": {"rules": [rule]}})
    assert_held(ran, accepted)
    refused = ran.counters["orders_rejected_total|RATE_LIMITED"]
    assert refused >= 10
    assert ran.counters["orders_place_total"] == 40 - refused + 60, "four attempts for each refused order"


@pytest.mark.spec("RT-5")
@pytest.mark.parametrize("scheduler", ["fifo", "random"])
def test_the_same_seed_gives_the_same_records_and_another_seed_others(scheduler: Scheduler) -> None:
    first, again, other = (a_rough_day(list(ALONE), seed, scheduler, 0.5).kept for seed in (4, 4, 5))
    assert (first.events, first.states, first.audit) == (again.events, again.states, again.audit)
    assert first.metrics == again.metrics
    assert first.events != other.events


@pytest.mark.spec("RT-5")
def test_a_recorded_tape_plays_the_same_session_again() -> None:
    rules = [{"fault": fault, **rule} for fault, rule in ALONE.items()]
    kept, replayed = Kept(), Kept()
    sections: dict[str, Any] = {
        "session": {"seed": 3, "scheduler": "random"},
        "strategy": a_day(orders=10),
        "broker": {"faults": {"rules": rules}},
    }
    tape = run_session(a_session(kept, **sections), kept).session.schedule.tape()
    run_session(a_session(replayed, schedule=TapeSchedule(tape, "random"), **sections), replayed)
    assert replayed.events == kept.events
    assert replayed.audit == kept.audit


@pytest.mark.spec("RT-5")
def test_a_schedule_that_always_says_nought_has_no_faults() -> None:
    rules = [{"fault": fault, **rule} for fault, rule in ALONE.items()]
    ran = run(schedule=FifoSchedule(), strategy=a_day(), broker={"faults": {"rules": rules}})
    assert not [name for name in ran.counters if name.startswith("faults_total")]
    assert ran.result.status == "COMPLETED"


# -- the parts and their wiring -----------------------------------------------------------------------------


def test_a_small_session_fills_rests_and_ends_with_its_figures() -> None:
    ran = run(strategy={"script": [at(1, "fills", limit_price="101"), at(2, "rests")], "linger_s": 5})
    assert {name: str(order.state) for name, order in orders_of(ran.session).items()} == {
        "fills": "FILLED",
        "rests": "CANCELLED",
    }
    figures = ran.kept.metrics[0]
    assert (figures["orders_total"], figures["fills_total"], figures["status"]) == (2, 1, "COMPLETED")
    assert figures["orders_by_state"] == {"CANCELLED": 1, "FILLED": 1}
    assert figures["positions"] == {BTC: "21"}
    assert Decimal(figures["cash"]) == exchange_of(ran.session).cash
    assert (figures["steps"], figures["simulated_ns"]) == (ran.result.steps, ran.result.simulated_ns)
    assert figures["audit_events"] == len(ran.kept.audit)
    assert figures["events_emitted"] == len(ran.kept.events)


def test_what_the_broker_s_book_says_is_what_we_believe_unless_the_config_says_otherwise() -> None:
    kept = Kept()
    with a_session(kept, broker={"book": {"positions": {BTC: "3"}}}) as session:
        exchange = exchange_of(session)
        assert {symbol: str(held) for symbol, held in exchange.positions.items()} == {BTC: "3"}
        assert str(exchange.cash) == "100000", "what the book does not name it shares"
        assert positions_of(session) == {BTC: "20"}, "what we believe is our own"


@pytest.mark.spec("RT-1")
def test_no_actor_shares_a_book_with_another() -> None:
    """Changing what the broker holds changes nothing that the others hold."""
    with a_session(Kept()) as session:
        exchange_of(session).positions[BTC] += 7
        assert positions_of(session) == {BTC: "20"}


@pytest.mark.spec("RT-1")
def test_every_capacity_comes_from_the_config() -> None:
    with a_session(Kept(), sinks={"mailbox_data": 7, "mailbox_control": 3}) as session:
        boxes = session.mailboxes()
        assert {name: lanes["data"].capacity for name, lanes in boxes.items()} == dict.fromkeys(boxes, 7)
        assert {lanes["control"].capacity for lanes in boxes.values()} == {3}


@pytest.mark.parametrize("data", [1, 2, 3])
@pytest.mark.parametrize("scheduler", ["fifo", "random"])
@pytest.mark.spec("RT-1", "RT-9")
def test_the_smallest_mailboxes_lose_nothing_and_lock_nobody_up(
    data: int, scheduler: Scheduler, accepted: Counter[str]
) -> None:
    """Credit admits what goes around in a circle, so even one place in each lane is enough."""
    for seed in SEEDS:
        accepted.clear()
        ran = run(
            session={"seed": seed, "scheduler": scheduler},
            strategy=a_day(every_s=0.01),
            sinks={"mailbox_data": data, "mailbox_control": 1},
        )
        assert_held(ran, accepted)
        assert ran.session.mailboxes()["orchestrator"]["data"].peak <= data


@pytest.mark.spec("RT-4")
def test_a_session_in_pieces_is_the_same_session() -> None:
    whole, pieces = Kept(), Kept()
    run_session(a_session(whole, strategy=a_day()), whole)
    with a_session(pieces, strategy=a_day()) as session:
        for _ in range(STEPS):
            if session.run_n_steps(7).reason != "limit":
                break
        session.finish()
    assert (pieces.events, pieces.audit) == (whole.events, whole.audit)


def test_two_sessions_in_one_process_do_not_see_each_other() -> None:
    """They take turns, step by step, and write what each would have written alone."""
    alone = [Kept(), Kept()]
    for kept, seed in zip(alone, (1, 2), strict=True):
        run_session(a_session(kept, session={"seed": seed}, strategy=a_day()), kept)
    beside = [Kept(), Kept()]
    with (
        a_session(beside[0], session={"seed": 1}, strategy=a_day()) as one,
        a_session(beside[1], session={"seed": 2}, strategy=a_day()) as two,
    ):
        for _ in range(STEPS):
            if {one.run_n_steps(3).reason, two.run_n_steps(5).reason} == {"stopped"}:
                break
        one.finish()
        two.finish()
    assert [kept.events for kept in beside] == [kept.events for kept in alone]
    assert [kept.metrics for kept in beside] == [kept.metrics for kept in alone]


def test_a_config_without_an_instrument_is_refused() -> None:
    with pytest.raises(BadInput, match="needs at least one"):
        a_config(instruments=())
