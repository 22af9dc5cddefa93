"""The tree of settings: every limit has a value and a range, and what does not fit together is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from interlock.config.model import SessionConfig, StepConfig

INSTRUMENT = {"symbol": "BTC/EUR", "price": "100", "max_order_quantity": "1", "max_order_notional": "100"}


def a_config(**sections: Any) -> SessionConfig:
    """Return the least that a session needs, except for what is wanted otherwise."""
    least: dict[str, Any] = {"session": {"session_id": "s", "strategy_id": "strat_demo"}, "instruments": [INSTRUMENT]}
    return SessionConfig.model_validate(least | sections)


def fault_of(**sections: Any) -> str:
    """Return place and text of the one thing that is wrong."""
    with pytest.raises(ValidationError) as refusal:
        a_config(**sections)
    (fault,) = refusal.value.errors()
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"


def test_the_least_that_is_said_gives_a_whole_session() -> None:
    config = a_config()
    assert (config.broker.kind, config.reconcile.every_s, config.sinks.max_retries) == ("mock", 300.0, 2)
    assert config.session.strategy_allowlist is None
    assert not config.reconcile.observe


def test_a_run_has_its_own_name_or_one_made_of_session_and_seed() -> None:
    session = {"session_id": "s", "strategy_id": "strat_demo", "seed": "7"}
    assert a_config(session=session).run_id == "s-seed7"
    assert a_config(session=session | {"run_id": "mine"}).run_id == "mine"


def test_a_session_with_the_mock_broker_needs_an_instrument_and_one_on_a_recording_does_not() -> None:
    assert "needs at least one" in fault_of(instruments=[])
    assert a_config(instruments=[], broker={"kind": "recording"}).instruments == ()


def test_an_instrument_stands_there_once() -> None:
    assert "a symbol stands here twice" in fault_of(instruments=[INSTRUMENT, INSTRUMENT])
    assert len(a_config(instruments=[INSTRUMENT, INSTRUMENT | {"symbol": "ETH/EUR"}]).instruments) == 2


@pytest.mark.parametrize(("strategy", "fits"), [("4", True), ("5", False)])
def test_a_strategy_has_no_more_in_flight_than_the_rails_admit(strategy: str, *, fits: bool) -> None:
    sections = {"rails": {"in_flight_max": "4"}, "strategy": {"in_flight_max": strategy}}
    if fits:
        assert a_config(**sections).strategy.in_flight_max == 4
    else:
        assert "strategy.in_flight_max is above rails.in_flight_max" in fault_of(**sections)


INTENT = {"decision_id": "d", "symbol": "BTC/EUR", "side": "BUY", "quantity": "1", "limit_price": "100"}


@pytest.mark.parametrize(
    ("step", "fits"),
    [
        ({"submit": INTENT}, True),
        ({"cancel": "d"}, True),
        ({}, False),
        ({"submit": INTENT, "cancel": "d"}, False),
    ],
)
def test_a_step_submits_or_cancels(step: dict[str, Any], *, fits: bool) -> None:
    if fits:
        assert StepConfig.model_validate({"at_s": "1"} | step).at_s == 1.0
    else:
        with pytest.raises(ValidationError, match="a step has either submit or cancel"):
            StepConfig.model_validate({"at_s": "1"} | step)


@pytest.mark.parametrize(
    ("section", "key", "least", "most"),
    [
        ("session", "seed", "0", str(2**63 - 1)),
        ("session", "max_steps", "1", "100000000"),
        ("session", "drains_max", "1", "10000"),
        ("rails", "max_live_orders", "1", "100000"),
        ("rails", "in_flight_max", "16", "10000"),
        ("rails", "attempts_per_order", "1", "1000"),
        ("rails", "attempts_per_minute", "1", "1000000"),
        ("settle", "asks_max", "1", "1000"),
        ("sinks", "max_retries", "0", "20"),
        ("sinks", "mailbox_data", "1", "1000000"),
        ("sinks", "mailbox_control", "1", "10000"),
        ("session", "check_every_s", "1", "86400"),
        ("reconcile", "every_s", "1", "86400"),
        ("reconcile", "grace_s", "0", "3600"),
        ("broker", "request_latency_s", "0", "60"),
    ],
)
def test_every_number_has_a_least_and_a_most(section: str, key: str, least: str, most: str) -> None:
    base = {"session_id": "s", "strategy_id": "strat_demo"} if section == "session" else {}
    for value in (least, most):
        assert getattr(getattr(a_config(**{section: base | {key: value}}), section), key) == int(value)
    for value in (str(int(least) - 1), str(int(most) + 1)):
        with pytest.raises(ValidationError):
            a_config(**{section: base | {key: value}})


@pytest.mark.parametrize(
    ("section", "key"),
    [("session", "duration_s"), ("broker", "timeout_s"), ("settle", "interval_s"), ("broker", "price_every_s")],
)
def test_a_duration_that_something_waits_for_is_above_zero(section: str, key: str) -> None:
    base = {"session_id": "s", "strategy_id": "strat_demo"} if section == "session" else {}
    assert f"{section}.{key}" in fault_of(**{section: base | {key: "0"}})
    assert a_config(**{section: base | {key: "0.001"}})


def test_an_allowlist_may_be_empty_here_since_preflight_has_a_code_for_that() -> None:
    session = {"session_id": "s", "strategy_id": "strat_demo"}
    assert a_config(session=session | {"strategy_allowlist": []}).session.strategy_allowlist == ()
    assert a_config(session=session | {"strategy_allowlist": ["a", "b"]}).session.strategy_allowlist == ("a", "b")


def test_settings_cannot_be_changed_afterwards() -> None:
    config = a_config()
    with pytest.raises(ValidationError, match="frozen"):
        config.session.seed = 5  # type: ignore[misc]


def test_settings_are_read_back_from_their_own_json() -> None:
    """This is how a replay gets them; run.json loses nothing."""
    config = a_config(
        opening={"cash": "100.50", "positions": {"BTC/EUR": "-0.000001"}},
        broker={"book": {"orders": [INTENT]}, "faults": {"rules": [{"fault": "reject", "permille": "5"}]}},
        strategy={"script": [{"at_s": "0.5", "submit": INTENT}], "day": {
            "orders": "5", "every_s": "1", "lot": "0.1", "lots_max": "3"}},
    )  # fmt: skip
    assert SessionConfig.model_validate_json(config.model_dump_json()) == config
