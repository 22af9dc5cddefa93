"""NFR-2: nothing that changes an account can be called through the adapter, whatever is asked of it."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

from interlock.adapters import CcxtReader
from interlock.adapters.ccxt_exchange import READS, CcxtExchange
from interlock.domain.errors import Refused
from tests.ccxt_builders import an_account
from tests.kraken_server import PRIVATE_READS, an_order

pytestmark = [pytest.mark.usefixtures("loopback"), pytest.mark.spec("NFR-2")]

PORT = {"open_orders", "order", "fills_since", "positions", "cash", "limits", "server_time_ns"}
CCXT: Any = importlib.import_module("ccxt.async_support")
WRITES = (
    "create_",
    "cancel_",
    "edit_",
    "withdraw",
    "transfer",
    "set_",
    "add_",
    "close_",
    "borrow_",
    "repay_",
    "sign_in",
)


def held(reader: CcxtReader) -> CcxtExchange:
    """Return what a reader asks through."""
    return reader._account._exchange  # noqa: SLF001 - what somebody would reach for who means harm


def methods_of_ccxt() -> list[str]:
    """Return every method that any exchange of ccxt may have, for one exchange."""
    return [name for name, value in inspect.getmembers(CCXT.kraken) if callable(value) and not name.startswith("__")]


def test_the_reader_has_the_methods_of_the_port_and_can_be_closed() -> None:
    public = {name for name in dir(CcxtReader) if not name.startswith("_")}
    assert public == PORT | {"name", "aclose"}


def test_reads_are_reads() -> None:
    assert all(name.startswith("fetch_") for name in READS)


async def test_no_other_method_of_ccxt_can_be_called_whatever_is_asked() -> None:
    names = methods_of_ccxt()
    harmful = [name for name in names if name.startswith(WRITES)]
    assert {"create_order", "cancel_order", "cancel_all_orders", "edit_order", "withdraw", "transfer"} <= {*harmful}
    assert len(harmful) > 80
    async with an_account() as (server, reader):
        for name in (*names, "privatePostAddOrder", "private_post_withdraw", "", "__init__", "fetch", "request"):
            if name not in READS:
                with pytest.raises(Refused, match="READ_ONLY"):
                    await held(reader).read(name, "BTC/EUR", "limit", "buy", "1", "90")
        assert server.asked == []
        assert not [name for name in dir(held(reader)) if name.startswith(WRITES)]


async def test_ccxt_itself_cannot_send_outside_of_a_read() -> None:
    async with an_account() as (server, reader):
        await reader.open_orders()
        exchange = held(reader)._CcxtExchange__exchange  # type: ignore[attr-defined]  # noqa: SLF001 - what is never handed out
        asked = len(server.asked)
        calls = {
            "create_order": ("BTC/EUR", "limit", "buy", "1", "90"),
            "cancel_order": ("O1", "BTC/EUR"),
            "cancel_all_orders": (),
            "edit_order": ("O1", "BTC/EUR", "limit", "buy", "1", "90"),
            "withdraw": ("BTC", "1", "address", {"key": "k"}),
            "transfer": ("BTC", "1", "spot", "swap"),
            "privatePostAddOrder": ({"pair": "XBTEUR"},),
            "privatePostWithdraw": ({"asset": "XBT"},),
            "request": ("AddOrder", "private", "POST", {}),
            "fetch2": ("AddOrder", "private", "POST", {}),
            "fetch": ("http://127.0.0.1:1/0/private/AddOrder", "POST", {}, ""),
            "fetch_open_orders": (),
        }
        for name, args in calls.items():
            with pytest.raises(Refused, match="READ_ONLY: kraken: nothing is sent outside of a read"):
                await getattr(exchange, name)(*args)
        with pytest.raises(Refused, match="no streams"):
            exchange.client("wss://127.0.0.1:1")
        assert len(server.asked) == asked


async def test_not_even_a_read_can_send_what_is_no_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def turned(self: Any, *_: object) -> Any:
        return await self.create_order("BTC/EUR", "limit", "buy", "1", "90")

    monkeypatch.setattr(CCXT.kraken, "fetch_open_orders", turned)
    async with an_account() as (server, reader):
        with pytest.raises(Refused, match="AddOrder is not among what a reader may ask for"):
            await reader.open_orders()
        assert "AddOrder" not in server.endpoints()


async def test_a_task_beside_a_read_is_not_within_it() -> None:
    async with an_account() as (server, reader):
        server.fail("OpenOrders", None)
        reading = asyncio.create_task(reader.open_orders())
        await server.heard("OpenOrders")
        exchange = held(reader)._CcxtExchange__exchange  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        with pytest.raises(Refused, match="outside of a read"):
            await exchange.cancel_all_orders()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_every_question_reaches_the_exchange_as_a_read() -> None:
    async with an_account() as (server, reader):
        server.open["O1"] = an_order()
        await reader.open_orders()
        await reader.order("host-2")
        await reader.fills_since(0)
        await reader.positions()
        await reader.cash()
        await reader.server_time_ns()
    private = {asked.endpoint for asked in server.asked if asked.method != "GET"}
    assert private <= PRIVATE_READS
    assert {asked.path.split("/")[2] for asked in server.asked if asked.method == "GET"} == {"public"}


def test_ccxt_is_not_imported_before_a_reader_is_made() -> None:
    code = (
        "import sys, interlock, interlock.host, interlock.adapters, interlock.cli.main;"
        "sys.exit(any(name.split('.')[0] in ('ccxt', 'aiohttp') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own interpreter
