"""Faults of an exchange: no answer of it that says nothing is ever taken for an empty account."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from interlock.adapters import CcxtReader
from interlock.domain.errors import BrokerError, NotSent, OutcomeUnknown, RateLimited, Refused, Unreachable
from tests.ccxt_builders import an_account
from tests.kraken_server import RESET, KrakenServer, a_trade, an_order, answered

pytestmark = [pytest.mark.usefixtures("loopback"), pytest.mark.spec("REC-6")]

OURS = "OAAAAA-AAAAA-AAAAAA"
QUESTIONS: dict[str, Callable[[CcxtReader], Awaitable[object]]] = {
    "OpenOrders": lambda reader: reader.open_orders(),
    "ClosedOrders": lambda reader: reader.order("host-1"),
    "TradesHistory": lambda reader: reader.fills_since(0),
    "BalanceEx": lambda reader: reader.positions(),
    "Time": lambda reader: reader.server_time_ns(),
}


async def failed(endpoint: str, *said: bytes | None, **settings: Any) -> BrokerError:
    """Return what a question raises whose first answers are these; the next one is answered."""
    async with an_account(**settings) as (server, reader):
        assert await reader.open_orders() == (), "what is known of the exchange is loaded"
        server.fail(endpoint, *said)
        with pytest.raises(BrokerError) as caught:
            await QUESTIONS[endpoint](reader)
        await QUESTIONS[endpoint](reader)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "nothing of ccxt hangs on to it"
    return caught.value


HTML = b"<html><body>Maintenance</body></html>"
SILENCES = {
    "an error of the server": answered(500, b"oops"),
    "a gateway's page": answered(502, HTML, kind="text/html"),
    "a page where JSON should be": answered(200, HTML, kind="text/html"),
    "a page that is called JSON": answered(200, HTML),
    "JSON that is called a page": answered(200, b'{"error":["EService:Unavailable"]}', kind="text/html"),
    "nothing": answered(200, b""),
    "an empty object": answered(200, b"{}"),
    "a list": answered(200, b"[]"),
    "null": answered(200, b"null"),
    "bytes that are no text": answered(200, b"\x80\x81\x82"),
    "an answer without a result": answered(200, b'{"error":[]}'),
    "a result of another kind": answered(200, b'{"error":[],"result":[]}'),
    "a result that is null": answered(200, b'{"error":[],"result":null}'),
    "a number that is none": answered(200, b'{"error":[],"result":{"open":NaN}}'),
    "a reset": RESET,
    "an end before the beginning": b"",
    "an end in the middle": answered(200, b'{"error":[],"result":{"open":{}}}')[:-9],
    "JSON cut short": answered(200, b'{"error":[],"result":{"open":{'),
    "no HTTP": b"\x00\xff this is no HTTP \r\n\r\n",
    "maintenance": answered(200, b'{"error":["EService:Unavailable"]}'),
    "a nonce that does not suit": answered(200, b'{"error":["EAPI:Invalid nonce"]}'),
    "an error that nobody knows": answered(200, b'{"error":["EWhatever:Is this"]}'),
}


@pytest.mark.parametrize("said", SILENCES.values(), ids=SILENCES.keys())
@pytest.mark.parametrize("endpoint", ["OpenOrders", "ClosedOrders", "TradesHistory"])
async def test_an_answer_that_says_nothing_is_unreachable(endpoint: str, said: bytes) -> None:
    assert type(await failed(endpoint, said)) is Unreachable


@pytest.mark.parametrize("endpoint", ["BalanceEx", "Time"])
@pytest.mark.parametrize("said", ["an empty object", "an answer without a result", "JSON cut short", "nothing"])
async def test_no_balance_and_no_time_is_made_of_nothing(endpoint: str, said: str) -> None:
    assert type(await failed(endpoint, SILENCES[said])) is Unreachable


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirection_is_not_followed_with_our_keys(status: int) -> None:
    async with an_account() as (server, reader):
        await reader.open_orders()
        server.fail("OpenOrders", answered(status, b"", f"location: {server.url}/0/private/Elsewhere"))
        with pytest.raises(Unreachable, match="redirections are not followed"):
            await reader.open_orders()
        assert await reader.open_orders() == ()
        assert "Elsewhere" not in server.endpoints()


async def test_no_answer_in_time_is_unreachable() -> None:
    error = await failed("OpenOrders", None, timeout_s="0.1")
    assert type(error) is Unreachable
    assert "RequestTimeout" in str(error)


@pytest.mark.parametrize(
    ("said", "delay_s"),
    [
        (answered(429, b"slow down", "retry-after: 7", kind="text/plain"), 7.0),
        (answered(429, b"{}", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"), None),
        (answered(429, b"", "retry-after: -1"), None),
        (answered(200, b'{"error":["EAPI:Rate limit exceeded"]}'), None),
        (answered(200, b'{"error":["EOrder:Rate limit exceeded"]}', "retry-after: 2"), 2.0),
    ],
)
async def test_too_many_questions_are_rate_limited_with_the_exchange_s_advice(
    said: bytes, delay_s: float | None
) -> None:
    error = await failed("OpenOrders", said)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == delay_s


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b'{"error":["EAPI:Invalid key"]}', "AuthenticationError"),
        (b'{"error":["EGeneral:Permission denied"]}', "PermissionDenied"),
        (b'{"error":["EGeneral:Invalid arguments"]}', "BadRequest"),
        (b'{"error":["EQuery:Unknown asset"]}', "BadSymbol"),
    ],
)
async def test_a_definite_no_is_refused_with_its_code(said: bytes, code: str) -> None:
    error = await failed("OpenOrders", answered(200, said))
    assert isinstance(error, Refused)
    assert error.code == code
    assert str(error).startswith(f"{code}: kraken: ")


async def test_a_reader_that_was_closed_sends_nothing() -> None:
    async with an_account() as (server, reader):
        await reader.open_orders()
        await reader.aclose()
        asked = len(server.asked)
        with pytest.raises(NotSent):
            await reader.open_orders()
        assert len(server.asked) == asked


async def test_markets_that_cannot_be_loaded_are_loaded_at_the_next_question() -> None:
    async with an_account() as (server, reader):
        server.fail("AssetPairs", answered(500, b""), answered(200, b"{}"))
        for _ in range(2):
            with pytest.raises(Unreachable):
                await reader.open_orders()
        assert await reader.open_orders() == ()


# -- answers that are whole and wrong -----------------------------------------------------------------------


Break = Callable[[KrakenServer], object]


def order_with(**changed: Any) -> Break:
    """Have one open order that is changed like this; None takes a field away."""

    def change(server: KrakenServer) -> None:
        order = an_order()
        for name, value in changed.items():
            for place in (order, order["descr"]):
                if name in place:
                    place[name] = value
                    if value is None:
                        del place[name]
        server.open[OURS] = order

    return change


def trade_with(**changed: Any) -> Break:
    """Have one execution that is changed like this; None takes a field away."""

    def change(server: KrakenServer) -> None:
        server.closed[OURS] = an_order(status="closed")
        trade = a_trade(OURS, **changed)
        server.trades["TA"] = {name: value for name, value in trade.items() if value is not None}

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (order_with(status="held"), f"kraken: order {OURS}: status 'held' is not known"),
        (order_with(status=None), f"kraken: order {OURS}: status 'None' is not known"),
        (order_with(vol_exec="3.0"), f"kraken: order {OURS}: open, and 3 of 2 filled"),
    ],
)
async def test_a_status_that_nobody_knows_is_an_unknown_outcome(change: Break, text: str) -> None:
    async with an_account() as (server, reader):
        change(server)
        for ask in (reader.open_orders, lambda: reader.order("host-1")):
            with pytest.raises(OutcomeUnknown) as caught:
                await ask()
            assert type(caught.value) is OutcomeUnknown
            assert str(caught.value) == text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (order_with(vol=None), "amount is missing"),
        (order_with(vol="1_0"), "amount is no exact number but str"),
        (order_with(vol_exec=None), "filled is missing"),
        (order_with(type="hold"), "side is neither buy nor sell"),
        (order_with(pair="XBTXXX"), "symbol"),
        (order_with(ordertype=None), "type is missing"),
        (order_with(price="0.00000"), "limit_price cannot be taken: not above zero"),
        (order_with(cl_ord_id="x" * 65), "client_order_id cannot be taken"),
        (order_with(vol="0.00000000"), "quantity cannot be taken"),
        (order_with(vol="0.1234567890123456789"), "quantity cannot be taken"),
    ],
)
async def test_an_order_with_a_field_missing_or_wrong_names_it(change: Break, text: str) -> None:
    async with an_account() as (server, reader):
        change(server)
        with pytest.raises(Unreachable, match=f"^kraken: order {OURS}: {text}"):
            await reader.open_orders()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (trade_with(vol=None), "amount is missing"),
        (trade_with(price=None), "price is missing"),
        (trade_with(price="-1"), "price cannot be taken"),
        (trade_with(fee=None), "fee currency is missing"),
        (trade_with(type=None), "side is missing"),
        (trade_with(pair="XBTXXX"), "symbol"),
        (trade_with(time=None), "timestamp is missing"),
    ],
)
async def test_an_execution_with_a_field_missing_or_wrong_names_it(change: Break, text: str) -> None:
    async with an_account() as (server, reader):
        change(server)
        with pytest.raises(Unreachable, match=f"^kraken: trade TA: {text}"):
            await reader.fills_since(0)


async def test_an_execution_of_an_order_that_is_not_there_is_no_answer() -> None:
    async with an_account() as (server, reader):
        server.trades["TA"] = a_trade(OURS)
        with pytest.raises(Unreachable, match=f"executions of order {OURS}, and no such order"):
            await reader.fills_since(0)


async def test_a_fee_that_its_order_says_is_in_another_currency_is_no_answer() -> None:
    async with an_account() as (server, reader):
        server.closed[OURS] = an_order(status="closed", oflags="fcib")
        server.trades["TA"] = a_trade(OURS)
        with pytest.raises(Unreachable, match="trade TA: fee currency is EUR, and BTC by its order"):
            await reader.fills_since(0)


async def test_json_numbers_beyond_a_float_s_precision_are_exact() -> None:
    order = json.dumps({"error": [], "result": {"open": {OURS: an_order()}}})
    order = order.replace('"2.00000000"', "1234567890.123456789").replace('"90.0"', "0.1000000000000000055")
    balance = '{"error":[],"result":{"XXBT":{"balance":0.300000000000000004,"hold_trade":0}}}'
    async with an_account() as (server, reader):
        server.fail("OpenOrders", answered(200, order.encode()))
        server.fail("BalanceEx", answered(200, balance.encode()))
        with pytest.raises(Unreachable, match="limit_price cannot be taken"):
            await reader.open_orders()
        server.fail("OpenOrders", answered(200, order.replace("0.1000000000000000055", "1e-8").encode()))
        [told] = await reader.open_orders()
        assert (str(told.quantity), f"{told.limit_price:f}") == ("1234567890.123456789", "0.00000001")
        [held] = await reader.positions()
        assert str(held.quantity) == "0.300000000000000004"


async def test_one_execution_told_twice_alike_is_one_and_otherwise_no_answer() -> None:
    twice = b'{"error":[],"result":{"count":2,"trades":{"TA":%s,"TA":%s}}}'
    one, other = json.dumps(a_trade(OURS)).encode(), json.dumps(a_trade(OURS, vol="2.0")).encode()
    async with an_account(page_max=2) as (server, reader):
        server.closed[OURS] = an_order(status="closed")
        server.fail("TradesHistory", answered(200, twice % (one, other)))
        with pytest.raises(Unreachable, match="no JSON"):
            await reader.fills_since(0)
        page = b'{"error":[],"result":{"count":2,"trades":{"TA":%s,"TB":%s}}}'
        rest = b'{"error":[],"result":{"count":1,"trades":{"TA":%s}}}'
        later = json.dumps(a_trade(OURS, time=1_700_000_099.0)).encode()
        server.fail("TradesHistory", answered(200, page % (one, later)), answered(200, rest % one))
        assert [fill.fill_id for fill in await reader.fills_since(0)] == ["TA", "TB"]
        server.fail("TradesHistory", answered(200, page % (one, later)), answered(200, rest % other))
        with pytest.raises(Unreachable, match="TA is told in two ways"):
            await reader.fills_since(0)
