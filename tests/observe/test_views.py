"""What is seen of a session while it runs and after: health, readiness, status, and what there is to do."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from interlock.domain.alerts import AlertName
from interlock.domain.broker import BrokerStatus
from interlock.domain.session_states import SessionState
from interlock.observe.rows import health_rows, page, status_rows
from interlock.observe.source import source_of
from interlock.observe.steps import REJECT_CODES, STEPS, TRIP_CODES, next_steps
from interlock.observe.views import Status, as_json
from interlock.sessions import SteppedSession
from tests.run_builders import ROOT
from tests.session_builders import BTC, Kept, a_day, a_session, at, exchange_of, run

FAULTS = {"rules": [{"fault": "conflicting_fill", "nth": [1]}]}


def until(session: SteppedSession, state: SessionState) -> None:
    """Run a session to a state."""
    for _ in range(10_000):
        if session.orchestrator.record.state is state:
            return
        session.run_n_steps(1)
    raise AssertionError(state)


@pytest.mark.spec("OBS-1")
def test_a_session_is_well_before_it_began_but_takes_nothing() -> None:
    with a_session(Kept()) as session:
        source = source_of(session)
        health, ready = source.health(), source.ready()
    assert (health.ok, health.orchestrator_state, health.reconciler_last_ok_ts) == (True, "INIT", None)
    assert (ready.ready, ready.reasons) == (False, ("the session is INIT: no intent is let through",))


@pytest.mark.spec("OBS-1")
def test_a_session_that_trades_is_well_and_takes_intents() -> None:
    kept = Kept()
    with a_session(kept, strategy=a_day()) as session:
        until(session, SessionState.DRYRUN_ACTIVE)
        health, ready = source_of(session).health(), source_of(session).ready()
        session.recorder.flush()
        assert health.last_audit_event_ts == kept.audit[-1]["ts"]
        summary = next(record for record in kept.audit if record["code"] == "RECON_SUMMARY")
        assert health.reconciler_last_ok_ts == summary["ts"]
    assert (health.ok, health.reasons, health.kill_switch, ready.ready) == (True, (), 0, True)


@pytest.mark.spec("OBS-1", "SAF-2")
def test_a_trip_is_seen_in_every_view() -> None:
    session = run(broker={"faults": FAULTS}, strategy={"script": [at(1, "d", limit_price="110")]}).session
    source = source_of(session)
    health, ready, status = source.health(), source.ready(), source.status()
    assert (health.ok, health.kill_switch, health.safety_rail_trips_total > 0) == (False, 1, True)
    assert health.reasons[0] == "the kill switch is set: fill_conflict"
    assert not ready.ready
    assert (status.status, status.kill_switch_reason, status.trips) == ("FAILED", "fill_conflict", ("fill_conflict",))
    assert [step.code for step in status.next_steps] == ["fill_conflict", "KILL_SWITCH"]
    assert status.operator_needed


@pytest.mark.spec("OBS-1")
def test_a_broker_that_falls_silent_is_a_reason_before_the_session_trips() -> None:
    with a_session(Kept(), session={"heartbeat_timeout_s": 5, "check_every_s": 600}, strategy=a_day()) as session:
        until(session, SessionState.DRYRUN_ACTIVE)
        session.system.clock.advance(30)
        health = source_of(session).health()
    assert [reason.partition(":")[0] for reason in health.reasons] == ["broker_silent"]


@pytest.mark.spec("OBS-1")
def test_a_session_that_is_over_is_well_and_takes_nothing() -> None:
    source = source_of(run(strategy=a_day()).session)
    assert source.health().ok
    assert source.ready().reasons == ("the session is over: COMPLETED",)


@pytest.mark.spec("OBS-1", "ORC-3")
def test_a_rejected_session_says_what_to_do_about_each_reason() -> None:
    session = run(session={"strategy_allowlist": []}).session
    status = source_of(session).status()
    assert (status.status, status.rejects[0]) == ("REJECTED", "C2_REJECT_ALLOWLIST_EMPTY")
    assert status.next_steps[0].instruction == STEPS["C2_REJECT_ALLOWLIST_EMPTY"]
    assert not source_of(session).health().ok


@pytest.mark.spec("OBS-5")
def test_a_status_holds_orders_positions_and_limits_as_both_sides_have_them() -> None:
    script = [at(1, "fills", limit_price="110"), at(2, "rests", quantity="2")]
    with a_session(Kept(), strategy={"script": script, "linger_s": 60}) as session:
        until(session, SessionState.DRYRUN_ACTIVE)
        while len(session.orchestrator.desk.book.orders) < 2 or not session.orchestrator.desk.book.exposure.fills:
            session.run_n_steps(1)
        session.run_n_steps(20)
        status, exchange = source_of(session).status(), exchange_of(session)
        resting = [key for key, order in exchange.orders.items() if order.status is BrokerStatus.OPEN]
        assert [order.client_order_id for order in status.open_orders] == resting
        held = {line.symbol: line.quantity for line in status.positions}
        assert held == {symbol: quantity for symbol, quantity in exchange.positions.items() if quantity}
        assert status.cash == exchange.cash
    limits = {(line.name, line.symbol): (line.used, line.cap) for line in status.limits}
    assert limits["live_orders", ""] == (Decimal(1), Decimal(500))
    assert limits["messages", ""] == (Decimal(2), Decimal(600))
    assert limits["position", BTC] == (Decimal(23), Decimal(1000))
    assert (status.in_doubt, status.operator_needed) == ((), False)


@pytest.mark.spec("OBS-5")
def test_an_order_without_an_answer_is_in_doubt() -> None:
    silent = {"fault": "broker_down", "nth": [2], "delay_s": 3000, "calls": ["query"]}
    faults = {"rules": [{"fault": "timeout_after", "nth": [1]}, silent]}
    with a_session(Kept(), broker={"faults": faults}, strategy={"script": [at(1, "d")]}) as session:
        until(session, SessionState.DRYRUN_ACTIVE)
        while "UNKNOWN" not in [order.state for order in session.orchestrator.desk.book.orders.values()]:
            session.run_n_steps(1)
        status = source_of(session).status()
    [order] = status.in_doubt
    assert (order.state, order.symbol, status.open_orders) == ("UNKNOWN", BTC, ())
    assert not status.operator_needed, "a session that runs settles it itself"


@pytest.mark.spec("OBS-5")
def test_a_session_that_is_given_up_leaves_its_sent_orders_in_doubt() -> None:
    with a_session(Kept(), strategy=a_day()) as session:
        until(session, SessionState.DRYRUN_ACTIVE)
        while not session.orchestrator.desk.book.live:
            session.run_n_steps(1)
        session.finish()
        status = source_of(session).status()
    assert [order.state for order in status.in_doubt] == ["SENT"]
    assert "ORDERS_IN_DOUBT" in [step.code for step in status.next_steps]
    assert status.operator_needed


@pytest.mark.spec("OBS-5")
def test_findings_of_the_last_reconcile_stand_in_the_status() -> None:
    status = source_of(run(broker={"book": {"positions": {BTC: "19"}}}).session).status()
    assert status.last_reconcile is not None
    [finding] = status.last_reconcile.findings
    assert (finding.kind, finding.subject, finding.internal, finding.external) == ("position_drift", BTC, "20", "19")
    assert "RECONCILE_FINDINGS" in [step.code for step in status.next_steps] or status.rejects


def test_long_lists_are_cut_and_say_so() -> None:
    script = [at(1 + n / 100, f"d{n}", quantity="0.01", limit_price=str(50 + n % 30)) for n in range(120)]
    with a_session(Kept(), strategy={"script": script, "in_flight_max": 32, "linger_s": 600}) as session:
        while len(session.orchestrator.desk.book.live) < 120:
            session.run_n_steps(100)
        session.run_n_steps(300)
        status = source_of(session).status()
    assert (len(status.open_orders), status.open_orders_left_out) == (100, 20)
    rows = dict(row for row in status_rows(status, 3) if row[0])
    assert rows["open orders"] == "120"
    assert ("", "and 117 more") in [*status_rows(status, 3)]


def test_a_view_is_read_back_as_it_was_written() -> None:
    status = source_of(run(strategy=a_day()).session).status()
    assert msgspec.json.decode(as_json(status), type=Status) == status


def test_what_stands_in_a_page_cannot_leave_its_cell() -> None:
    assert page("t", [("a", "x | y \\")]).splitlines()[-1] == "| a | x \\| y \\\\ |"
    health = source_of(run().session).health()
    assert [what for what, _ in health_rows(health)] == ["health", "last"]


# -- what to do ---------------------------------------------------------------------------------------------


def codes_in(*folders: str, pattern: str) -> set[str]:
    """Return what matches in the sources of the package."""
    files = [path for folder in folders for path in (ROOT / "interlock" / folder).rglob("*.py")]
    return {code for path in files for code in re.findall(pattern, path.read_text())}


@pytest.mark.spec("OBS-5")
def test_there_is_one_clear_instruction_for_every_code() -> None:
    rejects = codes_in("domain", "actors", "sessions", pattern=r'"(C2_REJECT_[A-Z_]+)"')
    broken = codes_in("domain", "actors", "runtime", pattern=r'\bcode = "([a-z_]+)"\n')
    trips = codes_in("actors", "sessions", pattern=r'(?:Trip|_give_up|return)\(?\s?"([a-z_]+)"')
    health = codes_in("domain", pattern=r'found\.append\(\(?\s*\(?"([a-z_]+)"') | {"reconcile_overdue"}
    assert sorted(rejects - {*REJECT_CODES}) == []
    assert sorted((broken | trips | health) - {*TRIP_CODES}) == []
    assert sorted({*AlertName} - {*STEPS}) == []
    assert [text for text in STEPS.values() if not 20 <= len(text) <= 160] == []


def test_an_instruction_is_given_once() -> None:
    steps = next_steps(["C2_REJECT_STORE", "STORE_DAMAGED", "no_such_code"])
    assert [step.code for step in steps] == ["C2_REJECT_STORE", "no_such_code"]
    assert "audit.jsonl" in steps[1].instruction


def test_a_session_is_not_needed_to_end_for_a_look(tmp_path: Path) -> None:
    with a_session(Kept(), strategy=a_day()) as session:
        session.run_n_steps(200)
        assert source_of(session).status().status == "RUNNING"
    assert not list(tmp_path.iterdir())
