"""A reader over ccxt for tests: an exchange on this machine, keys in the environment, short pauses."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interlock.adapters import CcxtReader, CcxtSettings
from tests.kraken_server import KEY, SECRET, KrakenServer

CCXT_BASE: Any = importlib.import_module("ccxt.async_support.base.exchange").BaseExchange
__all__ = ["CCXT_BASE", "an_account", "reader_settings"]


def reader_settings(url: str, **changed: Any) -> CcxtSettings:
    """Return the settings of a reader of the exchange at ``url``."""
    fields = {
        "exchange": "kraken",
        "cash": "EUR",
        "since": "2023-11-14T22:00:00Z",
        "keys": {"apiKey": {"env": "EXCHANGE_KEY"}, "secret": {"env": "EXCHANGE_SECRET"}},
        "base_url": url,
        "request_every_s": "0.001",
        "timeout_s": "5",
    }
    return CcxtSettings.model_validate(fields | changed)


@asynccontextmanager
async def an_account(**changed: Any) -> AsyncIterator[tuple[KrakenServer, CcxtReader]]:
    """Open an exchange and a reader of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXCHANGE_KEY", KEY)
        patch.setenv("EXCHANGE_SECRET", SECRET)
        # A quarter of a second for connections that are encrypted; these are not.
        patch.setattr(CCXT_BASE, "timeout_on_exit", 0)
        async with KrakenServer() as server, CcxtReader(reader_settings(server.url, **changed)) as reader:
            yield server, reader
