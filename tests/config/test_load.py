"""Settings come from file, environment and arguments, in rising priority; every bad one is one line with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.config import LoadedConfig, load_config
from interlock.config.load import config_from_tree
from interlock.domain.errors import BadInput

LEAST = """\
session:
  session_id: s
  strategy_id: strat_demo
  seed: 1
instruments:
  - {symbol: BTC/EUR, price: 100, max_order_quantity: 1, max_order_notional: 100}
"""
SECRET = "sk_live_0123456789abcdef"  # noqa: S105 - it only looks like one


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's own environment might say."""
    for name in ("LIVE_ENABLED", "SESSION", "SESSION__SEED", "BROKER", "INSTRUMENTS"):
        monkeypatch.delenv(f"INTERLOCK_{name}", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a settings file with the least that a session needs."""
    path = tmp_path / "s.yaml"
    path.write_text(LEAST)
    return path


def with_lines(file: Path, lines: str) -> Path:
    """Add lines to the settings."""
    file.write_text(f"{LEAST}{lines}\n")
    return file


def refusal_of(file: Path, overrides: dict[str, Any] | None = None) -> str:
    """Return the one line with which settings are refused; the file's folder is left out."""
    with pytest.raises(BadInput) as refusal:
        load_config(file, overrides)
    line = str(refusal.value)
    assert "\n" not in line
    return line.replace(f"{file.parent}/", "")


def seed_of(loaded: LoadedConfig) -> int:
    """Return the seed that came out on top."""
    return loaded.config.session.seed


# -- who wins ---------------------------------------------------------------------------------------------------


def test_a_file_with_the_least_is_enough(file: Path) -> None:
    loaded = load_config(file)
    assert (seed_of(loaded), loaded.config.run_id, loaded.live_enabled_by) == (1, "s-seed1", ())


def test_the_environment_beats_the_file_and_arguments_beat_both(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_SESSION__SEED", "7")
    assert seed_of(load_config(file)) == 7
    assert load_config(file).config.session.session_id == "s"
    assert seed_of(load_config(file, {"session": {"seed": 9}})) == 9


def test_the_environment_may_name_a_whole_section_as_json(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_SESSION", '{"seed": 8, "duration_s": 60}')
    loaded = load_config(file)
    assert (seed_of(loaded), loaded.config.session.duration_s) == (8, 60.0)


def test_a_list_is_replaced_as_a_whole_and_a_section_key_by_key(file: Path) -> None:
    instrument = {"symbol": "ETH/EUR", "price": "5", "max_order_quantity": "1", "max_order_notional": "5"}
    config = load_config(file, {"instruments": [instrument], "opening": {"cash": "5"}}).config
    assert [item.symbol for item in config.instruments] == ["ETH/EUR"]
    assert config.session.strategy_id == "strat_demo"


def test_loading_changes_neither_the_overrides_nor_later_loads(file: Path) -> None:
    overrides = {"session": {"seed": 9}}
    load_config(file, overrides)
    assert overrides == {"session": {"seed": 9}}
    assert seed_of(load_config(file)) == 1


# -- bad input --------------------------------------------------------------------------------------------------

BAD = {
    "an unknown section": ("sesion: {}", "s.yaml: sesion: is not a known key (allowed: schema_version, description, "),
    "an unknown key": ("opening: {csh: 5}", "s.yaml: opening.csh: is not a known key (allowed: cash, positions)"),
    "an unknown key in a list": (
        "strategy: {script: [{at_s: 1, cancel: d, when: 2}]}",
        "s.yaml: strategy.script.0.when: is not a known key (allowed: at_s, submit, cancel)",
    ),
    "an unknown key of a part that may be missing": (
        "broker: {book: {gold: 1}}",
        "s.yaml: broker.book.gold: is not a known key (allowed: cash, positions, orders, limits)",
    ),
    "a wrong type": ("rails: {max_live_orders: many}", "s.yaml: rails.max_live_orders: must be a whole number"),
    "a text for a section": ("rails: many", "s.yaml: rails: Input should be a valid dictionary"),
    "an empty section": ("rails:", "s.yaml: rails: Input should be a valid dictionary"),
    "a mapping for a list": ("strategy: {script: {a: b}}", "s.yaml: strategy.script: Input should be a valid tuple"),
    "a negative size": ("broker: {lot: -1}", "s.yaml: broker.lot: not above zero (allowed: a number above zero)"),
    "a size of zero": ("broker: {lot: 0}", "s.yaml: broker.lot: not above zero (allowed: a number above zero)"),
    "a size with an exponent": ("broker: {lot: 1e3}", "s.yaml: broker.lot: not a plain decimal number"),
    "room for nothing": ("sinks: {mailbox_data: 0}", "s.yaml: sinks.mailbox_data: Input should be greater than or"),
    "too much room": ("sinks: {mailbox_data: 1000001}", "s.yaml: sinks.mailbox_data: Input should be less than or"),
    "a YAML bool that is none here": ("reconcile: {observe: yes}", "s.yaml: reconcile.observe: must be true or false"),
    "a number in sixties": ("settle: {interval_s: 1:30}", "s.yaml: settle.interval_s: must be a number of seconds"),
    "an unknown choice": ("broker: {kind: real}", "s.yaml: broker.kind: Input should be 'mock' or 'recording'"),
    "another schema": ("schema_version: X", "s.yaml: schema_version: Input should be 'INTERLOCK_CONFIG_V1'"),
    "an unknown fault": (
        "broker: {faults: {rules: [{fault: gremlins}]}}",
        "s.yaml: broker.faults.rules.0.fault: Input should be 'rate_limit', 'timeout_before'",
    ),
}


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(("lines", "said"), BAD.values(), ids=BAD.keys())
def test_a_bad_setting_is_named_by_file_and_key_with_what_is_allowed(file: Path, lines: str, said: str) -> None:
    assert refusal_of(with_lines(file, lines)).startswith(said)


@pytest.mark.spec("NFR-1")
def test_a_setting_that_is_missing_is_named(file: Path) -> None:
    file.write_text("instruments: []\n")
    assert refusal_of(file) == "s.yaml: session: Field required"
    file.write_text(LEAST.replace("price: 100, ", ""))
    assert refusal_of(file) == "s.yaml: instruments.0.price: Field required"


@pytest.mark.spec("NFR-1")
def test_settings_that_do_not_fit_together_are_named(file: Path) -> None:
    file.write_text(LEAST.partition("instruments")[0])
    assert refusal_of(file) == "s.yaml: settings: instruments: a session with the mock broker needs at least one"


@pytest.mark.spec("NFR-1")
def test_a_bad_value_is_blamed_on_where_it_came_from(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person told to look into the file would search there in vain."""
    monkeypatch.setenv("INTERLOCK_SESSION__SEED", "x")
    assert refusal_of(file) == "environment: session.seed: must be a whole number in plain digits"
    assert refusal_of(file, {"session": {"seed": -1}}).startswith("arguments: session.seed: ")
    assert seed_of(load_config(file, {"session": {"seed": 9}})) == 9
    monkeypatch.setenv("INTERLOCK_SESSION__SEED", "2")
    assert refusal_of(with_lines(file, "broker: {lot: 0}")).startswith("s.yaml: broker.lot: ")


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SESSION", "{half", "environment: an INTERLOCK_ variable cannot be read"),
        ("SESSION__NOPE", "1", "environment: session.nope: is not a known key (allowed: session_id, "),
        ("RAILS", "7", "environment: rails: Input should be a valid dictionary"),
        ("INSTRUMENTS", '[{"symbol": "A"}]', "environment: instruments.0.price: Field required"),
        ("SESSION__START_UTC", "0001-01-01T00:00:00+23:59", "environment: session.start_utc: must lie from 1970"),
    ],
)
def test_a_bad_variable_is_named_by_its_key(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"INTERLOCK_{name}", value)
    assert refusal_of(file).startswith(said)


def test_a_tree_of_another_origin_is_named_as_it_asks() -> None:
    with pytest.raises(BadInput, match=r"^run\.json: session: Field required$"):
        config_from_tree({}, "run.json")


# -- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("NFR-1", "ART-4")
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("broker: {api_key: hunter2}", "s.yaml: broker.api_key: settings hold no secrets (allowed: leave it out)"),
        ("Password: hunter2", "s.yaml: Password: settings hold no secrets"),
        ("broker: {faults: {rules: [{x: {auth_token: hunter2}}]}}", "s.yaml: broker.faults.rules.0.x.auth_token: "),
        (f"description: {SECRET}", "s.yaml: description: looks like a secret; settings hold none"),
        (f"description: the key is {SECRET}, use it", "s.yaml: description: looks like a secret"),
        (f"strategy: {{script: [{{cancel: {SECRET}}}]}}", "s.yaml: strategy.script.0.cancel: looks like a secret"),
    ],
)
def test_a_secret_is_refused_without_being_shown(file: Path, lines: str, said: str) -> None:
    line = refusal_of(with_lines(file, lines))
    assert line.startswith(said)
    assert "hunter2" not in line
    assert SECRET not in line


@pytest.mark.spec("ART-4")
@pytest.mark.parametrize(
    "lines", [f"{SECRET}: 1", f"opening: {{{SECRET}: 1}}", f"opening: {{positions: {{{SECRET}: x}}}}"]
)
def test_a_secret_in_the_place_of_a_key_is_not_shown_either(file: Path, lines: str) -> None:
    line = refusal_of(with_lines(file, lines))
    assert SECRET not in line
    assert "[redacted]" in line


@pytest.mark.spec("ART-4")
def test_a_secret_in_the_environment_is_refused_without_being_shown(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_BROKER__API_KEY", "hunter2")
    line = refusal_of(file)
    assert line == "environment: broker.api_key: settings hold no secrets (allowed: leave it out)"


def test_an_idempotency_key_or_a_symbol_is_no_secret(file: Path) -> None:
    assert load_config(with_lines(file, "opening: {positions: {BTC/EUR: 1}}\ndescription: il-0123456789abcdef01234567"))


# -- live trading -----------------------------------------------------------------------------------------------


@pytest.mark.spec("ORC-4")
@pytest.mark.parametrize(
    "lines",
    [
        "live_enabled: true",
        "live_enabled: True",
        "live_enabled: yes",
        "live_enabled: 1",
        "live_enabled: maybe",
        "live_enabled: {why: not}",
        "rails: {live_enabled: true}",
        "broker: {faults: {live_enabled: on}}",
        "strategy: {script: [{at_s: 1, cancel: d, live_enabled: true}]}",
    ],
)
def test_live_trading_asked_for_anywhere_in_a_file_is_reported(file: Path, lines: str) -> None:
    """Whatever is not plainly off counts as asked for; preflight rejects it with the code of its source."""
    assert load_config(with_lines(file, lines)).live_enabled_by == ("file",)


@pytest.mark.parametrize("value", ["false", "False", "no", "off", "0", "''", ""])
def test_live_trading_that_is_plainly_off_is_not_asked_for(file: Path, value: str) -> None:
    assert load_config(with_lines(file, f"live_enabled: {value}\nrails: {{live_enabled: off}}")).live_enabled_by == ()


@pytest.mark.spec("ORC-4")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INTERLOCK_LIVE_ENABLED", "true"),
        ("INTERLOCK_LIVE_ENABLED", "1"),
        ("interlock_live_enabled", "TRUE"),
        ("INTERLOCK_SESSION__LIVE_ENABLED", "true"),
        ("INTERLOCK_SESSION", '{"live_enabled": true}'),
    ],
)
def test_live_trading_asked_for_by_the_environment_is_reported(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert load_config(file).live_enabled_by == ("environment",)


@pytest.mark.spec("ORC-4")
def test_live_trading_asked_for_by_a_flag_is_reported_and_every_source_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_config(file, live_flag=True).live_enabled_by == ("flag",)
    monkeypatch.setenv("INTERLOCK_LIVE_ENABLED", "true")
    with_lines(file, "live_enabled: true")
    assert load_config(file, live_flag=True).live_enabled_by == ("file", "environment", "flag")


@pytest.mark.spec("ORC-4")
def test_arguments_cannot_ask_for_live_trading_unseen(file: Path) -> None:
    assert refusal_of(file, {"live_enabled": True}).startswith("arguments: live_enabled: is not a known key")


@pytest.mark.spec("NFR-1")
def test_a_misspelt_variable_is_refused_rather_than_ignored(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_SESION__SEED", "1")
    line = refusal_of(file)
    assert line.startswith("environment: INTERLOCK_SESION__SEED: is not a known setting (allowed: INTERLOCK_")


def test_arguments_that_look_like_secrets_are_refused_without_being_shown(file: Path) -> None:
    line = refusal_of(file, {"description": SECRET})
    assert "description" in line
    assert SECRET not in line
