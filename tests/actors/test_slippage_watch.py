"""Presets in a session: what they refuse, what is counted, the alert for a missing one, and the slippage of fills."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from interlock.domain.messages import SubmitStatus
from interlock.domain.slippage import DEFAULT_SESSIONS, SlippagePresets
from tests.actors.stage import Stage, an_intent, key_of, late
from tests.session_builders import BTC, ETH

HITS = "engine_slippage_preset_hits_total"
ALERT = "ALERT_SLIPPAGE_PRESET_MISSING"
REFUSED = SubmitStatus.REFUSED
ACCEPTED = SubmitStatus.ACCEPTED


def a_stage(start: str = "06:59:00", *, slippage: bool = True, **sections: Any) -> Stage:
    """Return a session that begins at a time of the day, with presets for BTC/EUR in asia (1 pip) and eu (2 pips)."""
    presets = [
        {"symbol": BTC, "session": "asia", "max_slippage_pips": "1"},
        {"symbol": BTC, "session": "eu", "max_slippage_pips": "2"},
    ]
    own = {"max_order_quantity": "10", "max_order_notional": "2000", "pip_size": "0.5", "tick_size": "1"}
    sections["session"] = {"start_utc": f"2026-01-05T{start}Z", **sections.get("session", {})}
    sections["instruments"] = [{"symbol": BTC, "price": "100", **own}, {"symbol": ETH, "price": "50", **own}]
    if slippage:
        sections["slippage"] = {"presets": presets}
    return Stage(**sections)


def hits(stage: Stage) -> dict[str, int]:
    """Return how often each preset was used."""
    return {name.removeprefix(f"{HITS}|"): count for name, count in stage.counters.items() if name.startswith(HITS)}


def alerts(stage: Stage) -> list[dict[str, Any]]:
    """Return the alerts for missing presets."""
    return [payload for payload in stage.kept.payloads("ALERT") if payload["alert"] == ALERT]


def pips(stage: Stage) -> dict[str, dict[str, str]]:
    """Return the slippage that the session would write into its metrics."""
    return stage.session.rails.slippage.figures()


@pytest.mark.spec("SLP-1")
def test_the_preset_of_the_session_of_the_day_is_the_tolerance() -> None:
    """At 06:59 one pip of 0.5 is allowed, from 07:00 on two."""
    with a_stage() as stage:
        assert stage.submit("d1", limit_price="100.5", reference_price="100").status is ACCEPTED
        early = stage.submit("d2", limit_price="101", reference_price="100")
        stage.wait(60)
        assert stage.submit("d3", limit_price="101", reference_price="100").status is ACCEPTED
        assert (early.status, early.code) == (REFUSED, "RAIL_SLIPPAGE")
        assert hits(stage) == {"BTC/EUR|asia": 2, "BTC/EUR|eu": 1}
        assert alerts(stage) == []


@pytest.mark.spec("SLP-2")
def test_an_order_without_a_preset_is_refused_and_an_operator_is_told() -> None:
    with a_stage() as stage:
        outcomes = [stage.submit(name, symbol=ETH, limit_price="50", reference_price="50") for name in ("e1", "e2")]
        assert {(outcome.status, outcome.code) for outcome in outcomes} == {(REFUSED, "RAIL_SLIPPAGE_PRESET")}
        first, second = alerts(stage)
        assert first == {
            "alert": ALERT,
            "run_id": "small-seed0",
            "decision_id": "e1",
            "client_order_id": key_of("e1"),
            "symbol": ETH,
            "reason": "ETH/EUR has no slippage preset for session asia",
            "missing": 1,
        }
        assert (second["decision_id"], second["missing"]) == ("e2", 2)
        assert stage.counters[f"alerts_total|{ALERT}"] == len(stage.kept.audited(ALERT)) == 2
        assert stage.counters["intents_refused_total|RAIL_SLIPPAGE_PRESET"] == 2
        assert (hits(stage), stage.exchange.orders, stage.trips) == ({}, {}, ())


@pytest.mark.spec("SLP-2")
def test_a_preset_that_is_missing_by_the_time_of_the_send_is_told_as_well() -> None:
    """The last line before the send asks again, and the hour may have changed since the rails were asked."""
    with a_stage() as stage:
        desk = stage.desk
        none = msgspec.structs.replace(desk.settings.limits, slippage=SlippagePresets(DEFAULT_SESSIONS, ()))
        desk.settings = msgspec.structs.replace(desk.settings, limits=none)
        outcome = stage.submit("d1", limit_price="100", reference_price="100")
        assert (outcome.status, outcome.code) == (REFUSED, "RAIL_SLIPPAGE_PRESET")
        [alert] = alerts(stage)
        assert (alert["decision_id"], alert["reason"].partition(":")[0]) == ("d1", "RAIL_SLIPPAGE_PRESET")
        assert stage.exchange.orders == {}


@pytest.mark.spec("SLP-1")
def test_an_order_that_is_refused_for_something_else_uses_no_preset() -> None:
    with a_stage() as stage:
        assert stage.submit("d1", quantity="11", reference_price="90").code == "RAIL_ORDER_QUANTITY"
        assert hits(stage) == {}


@pytest.mark.spec("SLP-1")
def test_without_the_section_nothing_is_asked_counted_or_refused() -> None:
    with a_stage(slippage=False) as stage:
        assert stage.submit("d1", limit_price="120").status is ACCEPTED
        assert stage.submit("e1", symbol=ETH, limit_price="90", reference_price="50").status is ACCEPTED
        assert (hits(stage), alerts(stage)) == ({}, [])


# -- what fills really cost ---------------------------------------------------------------------------------


@pytest.mark.spec("SLP-1")
def test_fills_are_measured_in_pips_against_the_reference_price_of_their_order() -> None:
    """A pip is 0.5: bought at 103 for 102 is two pips worse, at 101 two better; sold at 101 for 102 two worse."""
    with a_stage(slippage=False, opening={"positions": {BTC: "20", ETH: "5"}}) as stage:
        for name, side, price in (("b1", "BUY", "103"), ("b2", "BUY", "101"), ("s1", "SELL", "100.25")):
            stage.exchange.prices[BTC] = Decimal(price)
            stage.submit(name, side=side, order_type="MARKET", limit_price="", reference_price="102")
            stage.fill(name, "0.5")
        assert pips(stage) == {BTC: {"last": "3.5", "max": "3.5"}}
        stage.exchange.prices[BTC] = Decimal(104)
        stage.fill("s1", "0.5")
        assert pips(stage) == {BTC: {"last": "-4", "max": "3.5"}}
        assert stage.stop().status == "COMPLETED"
        assert stage.kept.metrics[-1]["engine_slippage_pips"] == {BTC: {"last": "-4", "max": "3.5"}}


@pytest.mark.spec("SLP-1")
def test_a_fill_that_is_told_twice_is_measured_once() -> None:
    with a_stage(slippage=False) as stage:
        stage.submit("d1", reference_price="80")
        stage.exchange.prices[BTC] = Decimal(90)
        first = stage.fill("d1", "0.5")
        stage.exchange.prices[BTC] = Decimal(85)
        stage.fill("d1", "0.25")
        stage.tell(first)
        assert pips(stage) == {BTC: {"last": "10", "max": "20"}}


def test_without_a_pip_size_or_a_reference_nothing_is_measured() -> None:
    with Stage() as stage:
        stage.submit("d1", reference_price="80")
        stage.fill("d1", "0.5")
        assert pips(stage) == {}
    with a_stage(slippage=False) as stage:
        stage.submit("d1")
        stage.fill("d1", "0.5")
        assert pips(stage) == {}


def test_a_fill_that_is_told_before_its_order_is_acknowledged_is_measured() -> None:
    with a_stage(slippage=False, place=[late(5)]) as stage:
        stage.start(an_intent("d1", reference_price="89.5"))
        stage.wait(1)
        stage.fill("d1", "0.5")
        assert pips(stage) == {BTC: {"last": "1", "max": "1"}}
