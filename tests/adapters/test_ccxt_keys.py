"""Where keys come from, and that nothing ever shows them."""

from __future__ import annotations

import gc
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from interlock.adapters import CcxtReader, CcxtSettings
from interlock.domain.errors import BadInput, BrokerError
from tests.ccxt_builders import an_account, reader_settings
from tests.kraken_server import KEY, SECRET, answered

NOWHERE = "http://127.0.0.1:1"
PLANTED = (KEY, SECRET, SECRET.rstrip("="))


def shows(text: str) -> bool:
    """Say whether a text has a piece of a key in it."""
    return any(secret in text or secret[:16] in text for secret in PLANTED)


def key_files(folder: Path, mode: int = 0o600) -> dict[str, Any]:
    """Write both keys and return their places."""
    places = {}
    for name, key in (("apiKey", KEY), ("secret", SECRET)):
        file = folder / name
        file.write_text(key + "\n")
        file.chmod(mode)
        places[name] = {"file": str(file)}
    return places


def test_keys_are_read_from_files_that_are_ours_alone(tmp_path: Path) -> None:
    CcxtReader(reader_settings(NOWHERE, keys=key_files(tmp_path)))


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(
        BadInput, match=rf"keys\.apiKey: .*is open to others \(mode {mode:04o}\) \(allowed: 0600"
    ) as caught:
        CcxtReader(reader_settings(NOWHERE, keys=key_files(tmp_path, mode)))
    assert not shows(str(caught.value))


@pytest.mark.spec("NFR-1")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = key_files(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    with pytest.raises(BadInput, match=r"keys\.apiKey: .*belongs to somebody else"):
        CcxtReader(reader_settings(NOWHERE, keys=keys))


@pytest.mark.spec("NFR-1")
def test_a_key_that_is_missing_is_named() -> None:
    with pytest.raises(BadInput, match=r"keys\.apiKey: the variable EXCHANGE_KEY: is not set"):
        CcxtReader(reader_settings(NOWHERE))
    with pytest.raises(BadInput, match="keys: kraken needs apiKey, secret"):
        CcxtReader(reader_settings(NOWHERE, keys={}))


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"exchange": "krakn"}, r"exchange: ccxt .* has none called krakn"),
        ({"exchange": "upbit"}, r"exchange: upbit does not tell all that is needed: .*fetch_my_trades"),
        ({"exchange": "binance"}, r"symbols: binance tells orders and executions by symbol only"),
        ({"exchange": "bitbns", "symbols": ["BTC/INR"]}, r"does not tell all that is needed|page_max: is needed"),
    ],
)
def test_an_exchange_that_cannot_be_read_is_refused_in_one_line(
    changed: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_KEY", KEY)
    monkeypatch.setenv("EXCHANGE_SECRET", SECRET)
    with pytest.raises(BadInput, match=text):
        CcxtReader(reader_settings(NOWHERE, **changed))


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx", "coinbaseexchange", "bitvavo", "gate"])
def test_other_exchanges_can_be_made_as_well(exchange: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_KEY", KEY)
    keys = {name: {"env": "EXCHANGE_KEY"} for name in ("apiKey", "secret", "password")}
    settings = reader_settings(NOWHERE, exchange=exchange, keys=keys, symbols=["BTC/EUR"])
    assert CcxtReader(settings).name == exchange


@pytest.mark.parametrize("place", [{}, {"file": "a", "env": "B"}, {"value": KEY}])
def test_a_key_has_one_place_and_is_never_written_into_settings(place: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        CcxtSettings.model_validate(
            {"exchange": "x", "cash": "EUR", "since": "2026-01-01T00:00:00Z", "keys": {"a": place}}
        )


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ccxt.async_support", None)
    with pytest.raises(BadInput, match=r"ccxt is not installed \(allowed: pip install 'interlock\[ccxt\]'\)"):
        CcxtReader(reader_settings(NOWHERE, keys=key_files(tmp_path)))


@pytest.mark.usefixtures("loopback")
@pytest.mark.spec("ART-4")
async def test_no_key_is_in_what_is_shown_logged_or_raised(caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    async with an_account() as (server, reader):
        said += [repr(reader), str(reader), repr(reader._account._exchange)]  # noqa: SLF001 - it is shown in debuggers
        echo = f'{{"error":["EWhatever:{KEY} {SECRET}"]}}'.encode()
        faults = (
            answered(200, echo),
            answered(500, echo, kind="text/plain"),
            answered(429, echo),
            answered(401, echo),
            answered(200, echo[:-3]),
            None,
        )
        for fault in faults:
            server.fail("OpenOrders", fault)
            with pytest.raises(BrokerError) as caught:
                await reader.open_orders()
            said += [str(caught.value), repr(caught.value), *traceback.format_exception(caught.value)]
            assert caught.value.__context__ is None
        assert len(said) > 3 * len(faults)
    gc.collect()
    said += [caplog.text, *(repr(vars(record)) for record in caplog.records), *capfd.readouterr()]
    assert not [text for text in said if shows(text)]
    assert any(asked.endpoint == "OpenOrders" for asked in server.asked)
