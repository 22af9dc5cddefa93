"""A reader over ccxt, against an exchange on this machine that speaks one published format."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from interlock.domain.broker import BrokerOrder, BrokerStatus, FeeCurrency, OrderNotFound
from interlock.domain.errors import OutcomeUnknown, Unreachable
from interlock.domain.intents import Side
from interlock.ports import BrokerReader
from tests.ccxt_builders import CCXT_BASE, an_account
from tests.kraken_server import PAGE, a_trade, an_order

pytestmark = pytest.mark.usefixtures("loopback")

OURS = "OAAAAA-AAAAA-AAAAAA"
OTHER = "OBBBBB-BBBBB-BBBBBB"


def as_port(reader: BrokerReader) -> BrokerReader:
    """Have the type checker hold an adapter against the port."""
    return reader


async def test_open_orders_are_told_with_exact_amounts() -> None:
    async with an_account() as (server, reader):
        server.open[OURS] = an_order(vol="2.00000001", vol_exec="0.10000000")
        [order] = await as_port(reader).open_orders()
    assert order == BrokerOrder(
        client_order_id="host-1",
        broker_order_id=OURS,
        symbol="BTC/EUR",
        side=Side.BUY,
        quantity=Decimal("2.00000001"),
        limit_price=Decimal(90),
        filled=Decimal("0.1"),
        status=BrokerStatus.OPEN,
    )


async def test_an_order_of_nobody_is_listed_under_a_key_made_of_its_id() -> None:
    async with an_account() as (server, reader):
        server.open[OURS] = an_order(None, ordertype="market", limit="0")
        [order] = await reader.open_orders()
        assert order.client_order_id == f"kraken:{OURS}"
        assert order.limit_price is None
        assert await reader.order(order.client_order_id) == order
        assert await reader.order("kraken:OXXXXX-XXXXX-XXXXXX") == OrderNotFound(
            client_order_id="kraken:OXXXXX-XXXXX-XXXXXX"
        )


async def test_an_order_that_has_ended_is_found_by_our_id_with_its_fills() -> None:
    async with an_account() as (server, reader):
        server.closed[OURS] = an_order(status="closed", vol_exec="2.00000000")
        server.closed[OTHER] = an_order("host-2", status="canceled")
        server.trades["TB"] = a_trade(OURS, time=1_700_000_020.25)
        server.trades["TA"] = a_trade(OURS)
        server.trades["TC"] = a_trade(OTHER)
        order, other = await reader.order("host-1"), await reader.order("host-2")
        unknown = await reader.order("host-3")
    assert isinstance(order, BrokerOrder)
    assert isinstance(other, BrokerOrder)
    assert (order.status, order.filled) == (BrokerStatus.FILLED, Decimal(2))
    assert [fill.fill_id for fill in order.fills] == ["TA", "TB"]
    assert {fill.client_order_id for fill in order.fills} == {"host-1"}
    assert (other.status, other.fills) == (BrokerStatus.CANCELLED, ())
    assert unknown == OrderNotFound(client_order_id="host-3")
    asked = [asked.fields.get("cl_ord_id") for asked in server.asked if asked.endpoint == "ClosedOrders"]
    assert asked == ["host-1", "host-2", "host-3"]


async def test_fills_that_do_not_add_up_to_the_order_are_no_answer() -> None:
    async with an_account() as (server, reader):
        server.open[OURS] = an_order(vol_exec="2.00000000")
        server.trades["TA"] = a_trade(OURS)
        with pytest.raises(Unreachable, match=f"order {OURS}: its executions do not add up"):
            await reader.order("host-1")


async def test_two_orders_under_one_id_are_an_unknown_outcome() -> None:
    async with an_account() as (server, reader):
        server.open |= {OURS: an_order(), OTHER: an_order()}
        with pytest.raises(OutcomeUnknown, match="2 orders have one client order id"):
            await reader.order("host-1")


async def test_a_user_reference_is_looked_for_among_all_orders_that_have_ended() -> None:
    async with an_account() as (server, reader):
        server.closed[OURS] = an_order(None, userref=77, status="expired")
        order = await reader.order("77")
        assert isinstance(order, BrokerOrder)
        assert order.status is BrokerStatus.EXPIRED


async def test_fills_are_told_in_order_with_the_id_of_their_order() -> None:
    async with an_account() as (server, reader):
        server.closed[OURS] = an_order(status="closed", vol_exec="1.50000000")
        server.trades["TB"] = a_trade(OURS, time=1_700_000_020.25, vol="0.50000000", price="89.95000", fee="0.00001")
        server.trades["TA"] = a_trade(OTHER, type="sell", pair="XETHZEUR")
        server.closed[OTHER] = an_order(None, status="closed", pair="ETHEUR", side="sell")
        sold, bought = await reader.fills_since(0)
    assert (sold.client_order_id, sold.symbol, sold.side) == (f"kraken:{OTHER}", "ETH/EUR", Side.SELL)
    assert (bought.client_order_id, bought.broker_order_id, bought.fill_id) == ("host-1", OURS, "TB")
    assert (bought.quantity, bought.price, bought.fee) == (Decimal("0.5"), Decimal("89.95"), Decimal("0.00001"))
    assert bought.fee_currency is FeeCurrency.QUOTE
    assert bought.ts_ns == 1_700_000_020_250_000_000
    assert sold.cursor < bought.cursor


async def test_a_history_of_many_pages_is_read_whole_and_each_order_is_looked_up_once() -> None:
    async with an_account() as (server, reader):
        server.closed[OURS] = an_order(status="closed")
        for number in range(5 * PAGE):
            server.trades[f"T{number:04}"] = a_trade(OURS, time=1_700_000_000 + number / 8)
        fills = await reader.fills_since(0)
        again = await reader.fills_since(fills[-3].cursor)
    assert [fill.fill_id for fill in fills] == [f"T{number:04}" for number in range(5 * PAGE)]
    assert again == fills[-3:], "from the cursor on, that one included, as they were"
    assert sum(asked.endpoint == "QueryOrders" for asked in server.asked) == 1


async def test_fills_of_one_millisecond_have_places_of_their_own() -> None:
    async with an_account() as (server, reader):
        server.closed[OURS] = an_order(status="closed")
        server.trades |= {f"T{number}": a_trade(OURS) for number in range(20)}
        fills = await reader.fills_since(0)
        for fill in fills:
            later = await reader.fills_since(fill.cursor)
            assert later == tuple(other for other in fills if other.cursor >= fill.cursor)
    assert len({fill.cursor for fill in fills}) == 20
    assert len({fill.cursor // 1_000_000 for fill in fills}) == 1


async def test_more_than_a_page_holds_of_one_moment_is_no_answer() -> None:
    async with an_account() as (server, reader):
        server.trades |= {f"T{number}": a_trade(OURS) for number in range(PAGE)}
        with pytest.raises(Unreachable, match="one page does not hold the entries of 4000 ms"):
            await reader.fills_since(0)


async def test_a_history_of_too_many_pages_is_no_answer() -> None:
    async with an_account(pages_max=3) as (server, reader):
        server.trades |= {f"T{n}": a_trade(OURS, time=1_700_000_000 + n / 8) for n in range(9 * PAGE)}
        with pytest.raises(Unreachable, match="takes more than 3 pages"):
            await reader.fills_since(0)


async def test_orders_are_looked_up_a_bounded_number_at_a_time_and_nothing_is_lost() -> None:
    async with an_account(lookups_max=4) as (server, reader):
        for number in range(10):
            server.closed[f"O{number}"] = an_order(f"host-{number}", status="closed")
            server.trades[f"T{number}"] = a_trade(f"O{number}", time=1_700_000_000 + number)
        for left in (6, 2):
            with pytest.raises(Unreachable, match=f"{left} orders are still to be looked up"):
                await reader.fills_since(0)
        assert [fill.client_order_id for fill in await reader.fills_since(0)] == [f"host-{n}" for n in range(10)]


async def test_what_was_executed_before_the_history_began_is_not_told() -> None:
    async with an_account(since="2023-11-14T22:13:30.501Z") as (server, reader):
        server.closed[OURS] = an_order(status="closed")
        server.trades["TA"] = a_trade(OURS, time=1_700_000_010.5001)
        server.trades["TB"] = a_trade(OURS, time=1_700_000_010.5015)
        assert [fill.fill_id for fill in await reader.fills_since(0)] == ["TB"]


async def test_balances_are_positions_against_cash() -> None:
    async with an_account() as (server, reader):
        server.balances = {"ZEUR": "1000.1234", "XXBT": "0.1234567891", "XETH": "0.0000000000", "ZUSD": "-3.5"}
        lines = await reader.positions()
        assert [(line.symbol, line.quantity) for line in lines] == [
            ("BTC/EUR", Decimal("0.1234567891")),
            ("USD/EUR", Decimal("-3.5")),
        ]
        assert await reader.cash() == Decimal("1000.1234")
        server.balances = {}
        assert await reader.positions() == ()
        assert await reader.cash() == 0
        assert await reader.limits() is None


async def test_positions_are_those_that_the_exchange_lists_where_it_is_asked_to() -> None:
    async with an_account(holds="positions") as (server, reader):
        position = {"positions": "1", "leverage": "2.0", "cost": "28.5", "fee": "0.1", "vol_closed": "0.0"}
        server.positions = [
            {"pair": "XXBTZEUR", "type": "sell", "vol": "0.02000000", "margin": "14.2", **position},
            {"pair": "XETHZEUR", "type": "buy", "vol": "1.50000000", "margin": "14.2", **position},
        ]
        lines = await reader.positions()
        assert [(line.symbol, line.quantity) for line in lines] == [
            ("BTC/EUR", Decimal("-0.02")),
            ("ETH/EUR", Decimal("1.5")),
        ]
        server.positions.append(server.positions[0])
        with pytest.raises(Unreachable, match="position BTC/EUR is told twice"):
            await reader.positions()


@pytest.mark.parametrize("ahead_s", [-7200, 7200])
async def test_the_exchange_s_clock_counts_and_ours_does_not(ahead_s: int) -> None:
    async with an_account() as (server, reader):
        server.time_s += ahead_s
        server.closed[OURS] = an_order(status="closed")
        server.trades |= {f"T{n}": a_trade(OURS, time=1_700_000_000 + n / 8) for n in range(2 * PAGE)}
        assert await reader.server_time_ns() == (1_700_000_100 + ahead_s) * 10**9
        assert len(await reader.fills_since(0)) == 2 * PAGE
        server.time_s -= 30
        assert await reader.server_time_ns() == (1_700_000_100 + ahead_s) * 10**9, "never less than it was"


async def test_an_execution_that_comes_late_is_never_passed_over() -> None:
    async with an_account() as (server, reader):
        server.closed[OURS] = an_order(status="closed")
        server.trades["TB"] = a_trade(OURS, time=1_700_000_020.0)
        [told] = await reader.fills_since(0)
        assert await reader.fills_since(told.cursor) == (told,)
        server.trades["TA"] = a_trade(OURS, time=1_700_000_019.0)
        with pytest.raises(Unreachable, match="trade TA came late, before what was told already"):
            await reader.fills_since(told.cursor)
        assert [fill.fill_id for fill in await reader.fills_since(0)] == ["TA", "TB"], "whoever asks for all is told"


async def test_several_questions_at_once_are_asked_one_after_the_other() -> None:
    async with an_account() as (server, reader):
        server.open[OURS] = an_order()
        calls: list[Callable[[], Awaitable[object]]] = [reader.open_orders, reader.positions, reader.cash] * 3
        answers = await asyncio.gather(*(call() for call in calls))
    assert len(answers) == 9, "a nonce that does not rise would have been refused"
    assert answers[0] == answers[3]


async def test_a_question_may_be_cancelled_at_any_time_and_others_go_on() -> None:
    async with an_account() as (server, reader):
        server.fail("AssetPairs", None)
        first = asyncio.create_task(reader.open_orders())
        second = asyncio.create_task(reader.cash())
        await server.heard("AssetPairs")
        first.cancel()
        assert await second == Decimal(100000)
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_ccxt_s_rate_limiter_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    throttled: list[float] = []

    async def noted(self: object, cost: float | None = None) -> None:
        throttled.append(cost or 0)

    monkeypatch.setattr(CCXT_BASE, "throttle", noted)
    async with an_account() as (server, reader):
        await reader.open_orders()
    assert len(throttled) == len(server.asked)
