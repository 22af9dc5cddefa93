"""The mirror of the broker's limits in a session: told on a change, an alert where they differ, and nothing stops."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain, repeat
from typing import Any

import pytest

from interlock.domain.broker import BrokerLimits, BrokerSnapshot, GetSnapshot
from interlock.domain.messages import RequestReconcile, SubmitStatus
from interlock.mocks.exchange import Exchange
from tests.actors.stage import Move, Stage, behaves, stays_silent
from tests.session_builders import BTC, ETH, Ran, run

ALERT = "ALERT_BROKER_LIMIT_MISMATCH"
EQUAL = {"daily_loss_cap": "1000000", "symbol_caps": {BTC: "10", ETH: "10"}}


def a_stage(limits: dict[str, Any] | None = None, **sections: Any) -> Stage:
    """Return a session whose broker offers limits; by default those of the engine."""
    return Stage(broker={"book": {"limits": limits or EQUAL}}, **sections)


def offer(stage: Stage, cap: str, **caps: str) -> None:
    """Let the broker have other limits from now on."""
    symbols = {symbol: Decimal(most) for symbol, most in (caps or {BTC: "10", ETH: "10"}).items()}
    stage.exchange.limits = BrokerLimits(daily_loss_cap=Decimal(cap), symbol_caps=symbols)


def look(stage: Stage) -> None:
    """Let both sides be compared."""
    stage.session.system.post("orchestrator", RequestReconcile())
    stage.wait(20)


def alerts(stage: Stage) -> list[dict[str, Any]]:
    """Return the alerts for limits that differ."""
    return [payload for payload in stage.kept.payloads("ALERT") if payload["alert"] == ALERT]


@pytest.mark.spec("BRK-1")
def test_limits_that_agree_are_mirrored_once_and_raise_no_alert() -> None:
    with a_stage() as stage:
        look(stage)
        look(stage)
        [told] = stage.kept.payloads("BROKER_LIMITS")
        assert (told["offered"], told["broker_limits"], told["mismatches"]) == (True, EQUAL, [])
        assert alerts(stage) == []
        assert stage.stop().status == "COMPLETED"
        [metrics] = stage.kept.metrics
        assert metrics["broker_limits"] == EQUAL
        assert metrics["engine_limits_hash"] == told["engine_limits_hash"]
        assert len(metrics["engine_limits_hash"]) == 64


@pytest.mark.spec("BRK-1")
def test_a_mismatch_is_one_alert_for_each_change_and_none_for_each_reconcile() -> None:
    with a_stage() as stage:
        offer(stage, "999")
        look(stage)
        look(stage)
        [alert] = alerts(stage)
        assert alert["mismatches"] == [{"limit": "daily_loss_cap", "engine": "1000000", "broker": "999"}]
        assert (alert["engine_limits"], alert["broker_limits"]) == (EQUAL, {**EQUAL, "daily_loss_cap": "999"})
        *_, reconcile = [payload for payload in stage.kept.payloads("RECONCILE") if payload["reason"] == "demand"][:1]
        assert alert["reconcile_id"] == reconcile["reconcile_id"]
        offer(stage, "998")
        look(stage)
        offer(stage, "1000000")
        look(stage)
        offer(stage, "998")
        look(stage)
        assert [one["broker_limits"]["daily_loss_cap"] for one in alerts(stage)] == ["999", "998", "998"]
        assert len(stage.kept.payloads("BROKER_LIMITS")) == 5
        assert {one["engine_limits_hash"] for one in alerts(stage)} == {
            told["engine_limits_hash"] for told in stage.kept.payloads("BROKER_LIMITS")
        }
        assert stage.counters[f"alerts_total|{ALERT}"] == len(stage.kept.audited(ALERT)) == 3


@pytest.mark.spec("BRK-1")
def test_limits_that_differ_from_the_beginning_are_told_before_trading_begins_and_do_not_stop_it() -> None:
    """The rails keep to the engine's own: ten leave here, though the broker says that it takes only five."""
    with a_stage({"symbol_caps": {BTC: "5", ETH: "20"}}) as stage:
        [alert] = alerts(stage)
        assert [one["limit"] for one in alert["mismatches"]] == [f"symbol_caps.{BTC}", f"symbol_caps.{ETH}"]
        assert stage.submit("d1", quantity="10").status is SubmitStatus.REJECTED
        assert stage.submit("e1", symbol=ETH, limit_price="50", quantity="11").code == "RAIL_ORDER_QUANTITY"
        assert not stage.trips
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("BRK-1")
def test_a_broker_that_offers_no_limits_says_so_once_and_nobody_is_alarmed() -> None:
    ran: Ran = run(session={"duration_s": 1000})
    assert ran.counters["engine_reconcile_runs_total"] == 5
    [told] = ran.kept.payloads("BROKER_LIMITS")
    assert (told["offered"], told["broker_limits"], told["mismatches"]) == (False, None, [])
    assert f"alerts_total|{ALERT}" not in ran.counters
    assert ran.kept.metrics[0]["broker_limits"] is None
    assert ran.kept.metrics[0]["engine_limits_hash"] == told["engine_limits_hash"]


@pytest.mark.spec("BRK-1")
def test_a_broker_that_stops_offering_limits_is_told_and_what_it_said_is_forgotten() -> None:
    with a_stage({"daily_loss_cap": "5"}) as stage:
        stage.exchange.limits = None
        look(stage)
        assert [told["offered"] for told in stage.kept.payloads("BROKER_LIMITS")] == [True, False]
        assert stage.session.reconciler.mirror.figures()["broker_limits"] is None
        assert len(alerts(stage)) == 1


@pytest.mark.spec("BRK-1", "FLT-7")
def test_an_old_snapshot_does_not_bring_old_limits_back() -> None:
    served: list[BrokerSnapshot] = []

    def remember(exchange: Exchange, request: GetSnapshot, now_ns: int) -> BrokerSnapshot:
        served.append(exchange.snapshot(now_ns, request.fills_after))
        return served[-1]

    moves = chain([Move(remember), behaves, Move(lambda *_: served[0])], repeat(behaves))
    with a_stage(snapshot=moves) as stage:
        stage.wait(1)
        offer(stage, "5")
        look(stage)
        look(stage)
        look(stage)
        assert stage.counters["engine_reconcile_runs_total"] == 4
        assert len(alerts(stage)) == 1
        assert len(stage.kept.payloads("BROKER_LIMITS")) == 2


@pytest.mark.spec("BRK-1", "REC-6")
def test_a_broker_that_cannot_be_asked_changes_nothing_in_the_mirror() -> None:
    with a_stage(snapshot=chain([behaves], repeat(stays_silent, 4), repeat(behaves))) as stage:
        offer(stage, "5")
        stage.session.system.post("orchestrator", RequestReconcile())
        stage.wait(60)
        assert (stage.session.reconciler.mirror.figures()["broker_limits"], alerts(stage)) == (EQUAL, [])
        look(stage)
        assert len(alerts(stage)) == 1


@pytest.mark.spec("BRK-1", "FLT-8")
def test_the_mock_brokers_changed_limits_are_found_by_the_next_reconcile() -> None:
    faults = {"rules": [{"fault": "limits_changed", "nth": [3], "amount": "4"}]}
    ran = run(session={"duration_s": 1000}, broker={"book": {"limits": EQUAL}, "faults": faults})
    assert ran.counters[f"alerts_total|{ALERT}"] == 1
    assert ran.kept.metrics[0]["broker_limits"] == {**EQUAL, "symbol_caps": {BTC: "4", ETH: "4"}}
    assert ran.result.status == "COMPLETED"
