"""What the failure matrix found, one small session each: a stop where nothing was wrong, or an end without a name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.session_builders import Ran, assert_agreed, at, orders_of, run

QUICK = {"every_s": 10, "grace_s": 1, "repair_wait_s": 20, "auto_repair": True}
CROSSES = {"limit_price": "101"}


def a_run(*rules: dict[str, Any], script: list[dict[str, Any]], **sections: Any) -> Ran:
    """Run a script against a broker with these faults; reconciles come every ten seconds."""
    broker = {"faults": {"rules": rules}, **sections.pop("broker", {})}
    reconcile = {**QUICK, **sections.pop("reconcile", {})}
    settle = {"interval_s": 1, "settle_after_s": 12, "deadline_s": 60}
    strategy = {"script": script, "linger_s": 60}
    return run(broker=broker, reconcile=reconcile, settle=settle, strategy=strategy, **sections)


def cancel(at_s: float, decision_id: str) -> dict[str, Any]:
    """Return the step of a script that cancels."""
    return {"at_s": at_s, "cancel": decision_id}


@pytest.mark.spec("REC-7", "FLT-2")
def test_a_cancel_that_waits_for_its_answer_is_no_divergence() -> None:
    """The order is gone there and still waits here, for as long as an answer may take."""
    lost = {"fault": "timeout_after", "nth": [1], "calls": ["cancel"]}
    ran = a_run(lost, script=[at(1, "d1"), cancel(5, "d1")], broker={"timeout_s": 25}, reconcile={"auto_repair": False})
    assert ran.result.status == "COMPLETED"
    assert orders_of(ran.session)["d1"].state == "CANCELLED"
    assert_agreed(ran.session)


@pytest.mark.spec("REC-7", "FLT-7")
def test_a_second_look_at_the_same_old_snapshot_confirms_nothing() -> None:
    """Twice the snapshot from before the cancel: the order is open in both, and that is one look, not two."""
    stale = {"fault": "stale_snapshot", "nth": [2], "burst": 2}
    ran = a_run(stale, script=[at(1, "d1"), cancel(15, "d1")])
    assert ran.result.status == "COMPLETED"
    assert ran.counters["faults_total|stale_snapshot"] == 2
    assert ran.counters["stale_snapshots_total"] == 1
    assert_agreed(ran.session)


@pytest.mark.spec("REC-9", "FLT-1")
def test_a_repair_that_takes_its_time_is_waited_for() -> None:
    """The fill is lost, and the question about it is turned away five times: slow is not wrong."""
    lost = {"fault": "lost_event", "nth": [1]}
    slow = {"fault": "rate_limit", "nth": [1], "burst": 5, "calls": ["query"], "retry_after_s": 2}
    ran = a_run(lost, slow, script=[at(1, "d1", **CROSSES)])
    assert ran.result.status == "COMPLETED"
    assert ran.counters["reconcile_repairs_total|ask_order"] >= 1
    assert_agreed(ran.session)


@pytest.mark.spec("REC-5", "REC-7")
def test_a_reconcile_that_ends_during_another_s_look_takes_no_fills_away_from_it() -> None:
    """One look waits for its snapshot while another reconcile matches everything and moves the marks of both sides."""
    lost = {"fault": "lost_event", "nth": [1]}
    slow = {"fault": "timeout_before", "nth": [4], "calls": ["snapshot"]}
    ran = a_run(lost, slow, script=[at(8, "d1", **CROSSES)], broker={"timeout_s": 12})
    [repaired] = [
        event for event in ran.kept.events if event["event_type"] == "RECONCILE" and event["payload"]["repairs"]
    ]
    assert ran.result.status == "COMPLETED"
    assert ran.counters["faults_total|timeout_before"] == 1
    assert 29 < repaired["ts_sim"] / 1e9 < 32, "the look that had to wait is the one that finds both sides agreed"
    assert_agreed(ran.session)


@pytest.mark.spec("SAF-2", "ORC-6")
def test_an_end_that_nobody_could_check_has_a_name_and_sets_the_kill_switch() -> None:
    """The last reconcile gets no answer: whether both sides agree is not known, and that is no good order."""
    away = {"fault": "timeout_before", "permille": 1000, "calls": ["snapshot"]}
    faults = {"rules": [away], "after_s": 30}
    ran = run(broker={"faults": faults}, strategy={"script": [at(1, "d1")], "linger_s": 60})
    view = ran.result.view
    assert (ran.result.status, ran.result.fail_code, view.kill_switch) == ("FAILED", "unsettled_end", 1)
    [told] = ran.kept.audited("SAFETY_RAIL_TRIPPED")
    assert told["meta"]["reconcile"] == "unavailable"


@pytest.mark.spec("SAF-2", "SAF-6")
def test_a_kill_switch_that_cannot_be_stored_keeps_nobody_from_stopping() -> None:
    throws = {"fault": "kill_switch_throws", "nth": [1], "burst": 100}
    wrong = {"fault": "conflicting_fill", "nth": [1]}
    ran = a_run(throws, wrong, script=[at(1, "rests"), at(2, "fills", **CROSSES), at(30, "later")])
    assert (ran.result.fail_code, ran.result.view.kill_switch) == ("fill_conflict", 1)
    assert sorted(orders_of(ran.session)) == ["fills", "rests"], "nothing left after the trip"
    assert "KILL_SWITCH_NOT_STORED" in ran.kept.codes
    assert_agreed(ran.session)


@pytest.mark.spec("SAF-2")
def test_a_kill_switch_that_could_not_be_stored_is_tried_again_to_the_last() -> None:
    throws = {"fault": "kill_switch_throws", "nth": [1], "burst": 2}
    ran = a_run(throws, {"fault": "conflicting_fill", "nth": [1]}, script=[at(1, "d1", **CROSSES)])
    assert len(ran.result.view.trips) == ran.counters["kill_switch_failures_total"] == 2
    assert ran.session.store.kill_switch() == "fill_conflict"


@pytest.mark.spec("SAF-6", "FLT-10")
def test_a_fill_that_could_not_be_recorded_is_booked_when_it_comes_again() -> None:
    """Journal first: a store that refuses leaves the fill unbooked, so that asking for it books it once, and whole."""
    locked = {"fault": "store_locked", "nth": [3]}
    ran = a_run(locked, script=[at(1, "d1", **CROSSES)])
    assert ran.result.status == "FAILED"
    assert orders_of(ran.session)["d1"].state == "FILLED"
    assert_agreed(ran.session)
