"""Instruments, slippage presets and the broker's limits as settings: what is taken, and one clear line for the rest."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from interlock.config.load import config_from_tree, load_config
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.broker import BrokerLimits
from interlock.domain.errors import BadInput

HOUR_NS = 3_600_000_000_000
EUR, GBP = "EUR/USD", "GBP/USD"


def an_instrument(symbol: str = EUR, **wanted: Any) -> dict[str, Any]:
    """Return one instrument with a pip size."""
    least = {"symbol": symbol, "price": "1.1", "max_order_quantity": "10", "max_order_notional": "100"}
    return {**least, "pip_size": "0.0001", **wanted}


def a_tree(slippage: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    """Return the settings of a session in two symbols."""
    tree: dict[str, Any] = {
        "session": {"session_id": "s", "strategy_id": "strat_demo"},
        "instruments": [an_instrument(), an_instrument(GBP)],
        **sections,
    }
    return tree if slippage is None else {**tree, "slippage": slippage}


def a_config(slippage: dict[str, Any] | None = None, **sections: Any) -> SessionConfig:
    """Return the config of ``a_tree``."""
    return config_from_tree(a_tree(slippage, **sections), "f.yaml")


def complaint(slippage: dict[str, Any] | None = None, **sections: Any) -> str:
    """Return the one line with which settings are refused."""
    with pytest.raises(BadInput) as refusal:
        a_config(slippage, **sections)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def a_preset(**wanted: str) -> dict[str, str]:
    """Return one preset."""
    return {"symbol": EUR, "session": "eu", "max_slippage_pips": "1.5", **wanted}


# -- what is taken ------------------------------------------------------------------------------------------


@pytest.mark.spec("SLP-1")
def test_the_sessions_that_nobody_names_are_the_usual_four() -> None:
    presets = Parts(a_config({"presets": [a_preset()]})).limits.slippage
    assert presets is not None
    named = {hour: presets.session_of(hour * HOUR_NS) for hour in (0, 6, 7, 12, 13, 20, 21, 23)}
    assert list(named.values()) == ["asia", "asia", "eu", "eu", "us", "us", "overnight", "overnight"]
    preset = presets.preset(EUR, 7 * HOUR_NS)
    assert preset is not None
    assert preset.max_slippage_pips == Decimal("1.5")


@pytest.mark.spec("SLP-1")
def test_a_session_has_one_window_or_a_list_of_them() -> None:
    sessions = {"night": "22-6", "day": ["6-12", "12-22"]}
    config = a_config({"sessions": sessions, "presets": [a_preset(session="night")]})
    assert config.slippage is not None
    assert config.slippage.sessions == {"night": ("22-6",), "day": ("6-12", "12-22")}
    assert config.slippage.rules().preset(EUR, 23 * HOUR_NS) is not None
    assert SessionConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.spec("SLP-1")
def test_windows_are_read_from_a_file_as_they_stand_there(tmp_path: Path) -> None:
    file = tmp_path / "session.yaml"
    sessions = "slippage: {sessions: {a: 22-6, b: [6-12, 12-22]}, presets: []}\n"
    rest = json.dumps(a_tree())[1:-1].replace('"session":', '\n"session":', 1)
    file.write_text("{" + rest + ", " + sessions.strip() + "}", encoding="utf-8")
    config = load_config(file).config
    assert config.slippage is not None
    assert config.slippage.sessions == {"a": ("22-6",), "b": ("6-12", "12-22")}


@pytest.mark.spec("SLP-1")
def test_presets_can_be_set_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "session.yaml"
    file.write_text(json.dumps(a_tree()), encoding="utf-8")
    monkeypatch.setenv("INTERLOCK_SLIPPAGE__PRESETS", json.dumps([a_preset()]))
    slippage = load_config(file).config.slippage
    assert slippage is not None
    assert slippage.presets[0].symbol == EUR


def test_without_the_section_there_are_no_presets() -> None:
    assert a_config().slippage is None
    assert Parts(a_config()).limits.slippage is None


@pytest.mark.spec("REC-4", "SLP-1")
def test_pip_size_and_lot_step_reach_the_rails_and_the_reconciler() -> None:
    made = Parts(a_config(instruments=[an_instrument(lot_step="0.5", currency="USD"), an_instrument(GBP)]))
    caps = made.limits.symbols
    assert (caps[EUR].lot_step, caps[EUR].pip_size) == (Decimal("0.5"), Decimal("0.0001"))
    assert (caps[GBP].lot_step, caps[GBP].pip_size) == (None, Decimal("0.0001"))
    assert made.reconciler.tolerances.pip_sizes == {EUR: Decimal("0.0001"), GBP: Decimal("0.0001")}
    assert made.reconciler.limits == made.limits


@pytest.mark.spec("BRK-1")
def test_the_mock_broker_offers_the_limits_of_its_book() -> None:
    book = {"limits": {"daily_loss_cap": "100", "symbol_caps": {EUR: "5"}}}
    config = a_config(broker={"book": book})
    limits = BrokerLimits(daily_loss_cap=Decimal(100), symbol_caps={EUR: Decimal(5)})
    assert Parts(config).opening_book().limits == limits
    assert Parts(a_config()).opening_book().limits is None
    assert SessionConfig.model_validate_json(config.model_dump_json()) == config


# -- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.spec("SLP-1", "NFR-1")
@pytest.mark.parametrize(
    ("sessions", "said"),
    [
        ({"a": "0-12", "b": "11-24"}, "sessions: hour 11 is in a and in b (allowed: each hour"),
        ({"a": "0-12", "b": "13-24"}, "sessions: hour 12 is in none of them (allowed: each hour"),
        ({"a": "0-12", "b": "12-24", "c": "24-0"}, "sessions.c: 24-0 is no window (allowed: UTC hours such as"),
        ({"a": "-1-12", "b": "12-24"}, "sessions.a: -1-12 is no window (allowed: UTC hours such as"),
        ({}, "sessions: hour 0 is in none of them (allowed: each hour"),
    ],
)
def test_sessions_that_do_not_cut_the_day_are_refused(sessions: dict[str, str], said: str) -> None:
    assert complaint({"sessions": sessions}).startswith(f"f.yaml: slippage: {said}")


@pytest.mark.spec("SLP-1", "NFR-1")
@pytest.mark.parametrize(
    ("presets", "said"),
    [
        (
            [a_preset(session="tokyo")],
            "slippage: presets: EUR/USD in session tokyo: there is no such session (allowed: ",
        ),
        ([a_preset(), a_preset()], "slippage: presets: EUR/USD in session eu: stands here twice (allowed: one preset"),
        ([a_preset(max_slippage_pips="-1")], "slippage.presets.0.max_slippage_pips: "),
        ([a_preset(max_slippage_pips="1e3")], "slippage.presets.0.max_slippage_pips: "),
        ([a_preset(pips="1")], "slippage.presets.0.pips: is not a known key (allowed: symbol, session, max_slippage_"),
        ([a_preset(symbol="CHF/USD")], "settings: slippage: CHF/USD has a preset and is no instrument with a pip_size"),
    ],
)
def test_presets_that_cannot_be_held_are_refused(presets: list[dict[str, str]], said: str) -> None:
    assert complaint({"presets": presets}).startswith(f"f.yaml: {said}")


@pytest.mark.spec("SLP-1", "NFR-1")
def test_a_preset_needs_the_pip_size_of_its_instrument() -> None:
    bare = [an_instrument(pip_size=None), an_instrument(GBP)]
    assert "EUR/USD has a preset and is no instrument with a pip_size" in complaint(
        {"presets": [a_preset()]}, instruments=bare
    )
    assert a_config({"presets": [a_preset(symbol=GBP)]}, instruments=bare)


def test_presets_and_a_recording_do_not_go_together() -> None:
    assert "a recording has no reference prices" in complaint({"presets": []}, broker={"kind": "recording"})


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("key", "value"), [("lot_step", "0"), ("lot_step", "-1"), ("currency", "usd"), ("currency", "")]
)
def test_an_instrument_with_an_odd_lot_step_or_currency_is_refused(key: str, value: str) -> None:
    assert complaint(instruments=[an_instrument(**{key: value})]).startswith(f"f.yaml: instruments.0.{key}: ")


@pytest.mark.spec("NFR-1")
def test_one_account_adds_up_one_currency() -> None:
    both = [an_instrument(currency="USD"), an_instrument(GBP, currency="JPY")]
    assert "instruments: JPY and USD cannot be added up in one account" in complaint(instruments=both)
    assert a_config(instruments=[both[0], an_instrument(GBP, currency="USD")])
    assert a_config(instruments=[both[0], an_instrument(GBP)])


@pytest.mark.spec("BRK-1", "NFR-1")
def test_limits_of_a_broker_with_an_unknown_key_are_refused() -> None:
    said = complaint(broker={"book": {"limits": {"loss_cap": "5"}}})
    assert said == "f.yaml: broker.book.limits.loss_cap: is not a known key (allowed: daily_loss_cap, symbol_caps)"
