"""The kill switch latches, a recorded reset is the only way back, and after a trip nothing stays open unsaid."""

from __future__ import annotations

import pytest

from interlock.domain.errors import StoreRefused
from interlock.runtime.memory_store import MemoryStore
from tests.actors.stage import Stage, stays_silent
from tests.session_builders import BTC, at, run


def tripped() -> MemoryStore:
    """Return the store of a session whose broker disagreed."""
    store = MemoryStore()
    ran = run(broker={"book": {"positions": {BTC: "7"}}}, store=store)
    assert ran.result.view.kill_switch == 1
    return store


@pytest.mark.spec("SAF-2")
def test_a_new_session_on_a_store_with_the_switch_set_does_not_begin() -> None:
    store = tripped()
    ran = run(strategy={"script": [at(1, "d1")]}, store=store)
    assert (ran.result.status, ran.result.reject_code) == ("REJECTED", "C2_REJECT_KILL_SWITCH")
    assert ran.counters.get("orders_place_total", 0) == 0


@pytest.mark.spec("SAF-2")
def test_a_recorded_reset_by_an_operator_is_the_way_back() -> None:
    store = tripped()
    store.reset_kill_switch("ada", "checked the position by hand", 5)
    ran = run(strategy={"script": [at(1, "d1")]}, store=store)
    assert ran.result.status == "COMPLETED"
    [record] = ran.kept.audited("OPERATOR_RESET")
    assert (record["meta"]["operator"], record["meta"]["reason"]) == ("ada", "checked the position by hand")
    assert record["meta"]["was_set_by"] == "startup_reconcile"


@pytest.mark.spec("SAF-2")
@pytest.mark.parametrize(("operator", "reason"), [("", "why"), ("ada", " ")])
def test_a_reset_without_a_name_or_a_reason_is_refused(operator: str, reason: str) -> None:
    store = tripped()
    with pytest.raises(StoreRefused, match="names its operator"):
        store.reset_kill_switch(operator, reason, 0)
    assert store.kill_switch() == "startup_reconcile"


@pytest.mark.spec("SAF-2")
def test_there_is_nothing_to_reset_where_nothing_tripped() -> None:
    with pytest.raises(StoreRefused, match="not set"):
        MemoryStore().reset_kill_switch("ada", "just so", 0)


@pytest.mark.spec("SAF-2", "ORC-6")
def test_after_a_trip_what_may_be_cancelled_is_and_the_report_says_that_nothing_is_open() -> None:
    with Stage() as stage:
        stage.submit("d1")
        stage.submit("d2", limit_price="89")
        stage.fill("d1", "1")
        stage.tell(stage.exchange.executions[0].model_copy(update={"fill_id": "x"}))
        result = stage.end()
        assert result.view.state == "ERROR_REQUIRES_OPERATOR"
        assert stage.kept.codes.count("NOTHING_OPEN_AT_BROKER") == 1
        assert [order.status for order in stage.exchange.orders.values()] == ["FILLED", "CANCELLED"]


@pytest.mark.spec("SAF-2", "ORC-6")
def test_what_stays_open_after_a_trip_is_named() -> None:
    with Stage(cancel=[stays_silent] * 500, session={"drains_max": 5}) as stage:
        stage.submit("d1")
        stage.submit("d2", limit_price="89")
        stage.fill("d1", "1")
        stage.tell(stage.exchange.executions[0].model_copy(update={"fill_id": "x"}))
        stage.end()
        [record] = stage.kept.audited("ORDERS_OPEN_AT_BROKER")
        assert record["meta"]["orders"] == [stage.order("d2").client_order_id]


@pytest.mark.spec("DIF-7")
def test_a_fail_opens_an_incident_with_its_record() -> None:
    ran = run(broker={"book": {"positions": {BTC: "7"}}})
    [incident] = ran.kept.payloads("INCIDENT")
    assert incident["max_severity"] == "FAIL"
    assert incident["counts_by_type"] == {"POSITION": 1}
    [record] = ran.kept.audited("INCIDENT_OPENED")
    assert (record["level"], record["meta"]["incident_id"]) == ("CRITICAL", incident["incident_id"])
