"""The mock broker's own book: what it takes in, how it matches, and what it says about itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerOrder,
    BrokerStatus,
    Cancelled,
    CancelRefused,
    OrderNotFound,
    PlaceOrder,
    Rejected,
)
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.mocks.exchange import Exchange, MockOrder, OpeningBook

BTC = "BTC/EUR"


def an_exchange(price: str = "100", *, fee_bps: str = "0", cash: str | None = "1000") -> Exchange:
    """Return an account that holds 5 BTC/EUR."""
    money = None if cash is None else Decimal(cash)
    exchange = Exchange(OpeningBook(money, {BTC: Decimal(5)}, Decimal(fee_bps)))
    exchange.prices[BTC] = Decimal(price)
    return exchange


def a_request(key: str = "o1", side: str = "BUY", limit: str | None = "100", **wanted: Any) -> PlaceOrder:
    """Return a request to buy 2 BTC/EUR."""
    content: dict[str, Any] = {
        "client_order_id": key,
        "symbol": BTC,
        "side": Side(side),
        "order_type": OrderType.MARKET if limit is None else OrderType.LIMIT,
        "quantity": Decimal(2),
        "limit_price": None if limit is None else Decimal(limit),
        "time_in_force": TimeInForce.GTC,
    }
    return PlaceOrder(**content | wanted)


def placed(exchange: Exchange, request: PlaceOrder) -> MockOrder:
    """Place an order that must be taken in, and return it."""
    assert isinstance(exchange.place(request), Accepted)
    return exchange.orders[request.client_order_id]


# -- taking in ----------------------------------------------------------------------------------------------


def test_orders_get_ids_in_order_of_arrival() -> None:
    exchange = an_exchange()
    said = [exchange.place(a_request(key)) for key in ("o1", "o2")]
    assert [answer.broker_order_id for answer in said if isinstance(answer, Accepted)] == ["b-000001", "b-000002"]


def test_an_id_that_is_open_is_refused() -> None:
    exchange = an_exchange()
    placed(exchange, a_request())
    refused = exchange.place(a_request())
    assert isinstance(refused, Rejected)
    assert refused.code == "DUPLICATE_ID"


def test_the_open_keys_are_those_of_orders_that_rest() -> None:
    exchange = an_exchange()
    for key in ("o1", "o2", "o3"):
        placed(exchange, a_request(key, limit="90"))
    exchange.cancel("o2")
    assert exchange.open_keys() == ("o1", "o3")


@pytest.mark.parametrize("ended_by", ["fill", "cancel"])
def test_an_id_that_was_used_and_is_over_is_taken_again(ended_by: str) -> None:
    """As real brokers do: it is on us never to use one twice."""
    exchange = an_exchange()
    order = placed(exchange, a_request())
    if ended_by == "fill":
        exchange.execute(order, order.leaves, 0)
    else:
        exchange.cancel("o1")
    assert isinstance(exchange.place(a_request()), Accepted)


def test_a_symbol_that_is_not_traded_is_refused() -> None:
    refused = an_exchange().place(a_request(symbol="DOGE/EUR"))
    assert isinstance(refused, Rejected)
    assert refused.code == "UNKNOWN_SYMBOL"


# -- matching -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "limit", "trades"),
    [
        ("BUY", "101", True),
        ("BUY", "100", True),
        ("BUY", "99", False),
        ("SELL", "99", True),
        ("SELL", "100", True),
        ("SELL", "101", False),
        ("BUY", None, True),
        ("SELL", None, True),
    ],
)
def test_an_order_trades_where_its_limit_reaches_the_price(side: str, limit: str | None, trades: bool) -> None:  # noqa: FBT001 - a column of the table
    exchange = an_exchange("100")
    assert exchange.marketable(placed(exchange, a_request(side=side, limit=limit))) is trades


def test_an_order_that_is_over_does_not_trade() -> None:
    exchange = an_exchange()
    order = placed(exchange, a_request())
    exchange.cancel("o1")
    assert not exchange.marketable(order)


def test_a_price_that_moves_crosses_resting_orders_oldest_first() -> None:
    exchange = an_exchange("100")
    for key, limit in (("o1", "98"), ("o2", "99"), ("o3", "97")):
        placed(exchange, a_request(key, limit=limit))
    assert exchange.crossed(BTC) == []
    exchange.prices[BTC] = Decimal(98)
    assert [order.request.client_order_id for order in exchange.crossed(BTC)] == ["o1", "o2"]
    assert exchange.crossed("ETH/EUR") == []


@pytest.mark.parametrize(
    ("limit", "price", "expected"), [("105", "100", "100"), (None, "100", "100"), ("95", "100", "95")]
)
def test_a_trade_is_at_the_last_price_or_at_the_limit_where_that_is_all(
    limit: str | None, price: str, expected: str
) -> None:
    """The last row is a piece that the fault plan lets happen below the market."""
    exchange = an_exchange(price)
    assert exchange.execute(placed(exchange, a_request(limit=limit)), Decimal(1), 7).price == Decimal(expected)


@pytest.mark.parametrize(("side", "held", "cash"), [("BUY", "7", "799.9"), ("SELL", "3", "1199.9")])
def test_an_execution_moves_position_and_cash_by_price_and_fee(side: str, held: str, cash: str) -> None:
    exchange = an_exchange(fee_bps="5")
    fill = exchange.execute(placed(exchange, a_request(side=side)), Decimal(2), 7)
    assert (fill.fee, exchange.positions[BTC], exchange.cash) == (Decimal("0.1"), Decimal(held), Decimal(cash))
    assert (fill.fill_id, fill.cursor, fill.ts_ns, fill.side) == ("f-0000001", 1, 7, side)


def test_fees_are_rounded_to_the_account_s_smallest_unit() -> None:
    exchange = an_exchange("0.00003", fee_bps="1", cash="1")
    fill = exchange.execute(placed(exchange, a_request(limit="1", quantity=Decimal("0.3"))), Decimal("0.3"), 0)
    assert fill.fee == Decimal("0.00000000")
    assert exchange.cash == Decimal("0.999991")


def test_an_account_that_does_not_tell_its_cash_keeps_none() -> None:
    exchange = an_exchange(cash=None)
    exchange.execute(placed(exchange, a_request()), Decimal(2), 0)
    assert exchange.cash is None


def test_the_last_piece_closes_the_order() -> None:
    exchange = an_exchange()
    order = placed(exchange, a_request())
    exchange.execute(order, Decimal("0.5"), 0)
    assert (order.status, order.leaves) == (BrokerStatus.OPEN, Decimal("1.5"))
    exchange.execute(order, Decimal("1.5"), 0)
    assert (order.status, order.leaves) == (BrokerStatus.FILLED, Decimal(0))
    assert exchange.crossed(BTC) == []


def test_a_late_piece_of_a_cancelled_order_counts_and_leaves_it_cancelled() -> None:
    exchange = an_exchange()
    order = placed(exchange, a_request())
    exchange.cancel("o1")
    exchange.execute(order, Decimal(1), 0)
    assert (order.status, order.filled, exchange.positions[BTC]) == (BrokerStatus.CANCELLED, Decimal(1), Decimal(6))
    exchange.execute(order, Decimal(1), 0)
    assert order.status is BrokerStatus.FILLED


@pytest.mark.parametrize(
    ("limit", "in_force", "ends"),
    [(None, TimeInForce.GTC, True), ("99", TimeInForce.IOC, True), ("99", TimeInForce.GTC, False)],
    ids=["market", "immediate or cancel", "good till cancelled"],
)
def test_what_is_left_of_an_immediate_order_expires(limit: str | None, in_force: TimeInForce, ends: bool) -> None:  # noqa: FBT001 - as above
    exchange = an_exchange()
    order = placed(exchange, a_request(limit=limit, time_in_force=in_force))
    assert exchange.expire_if_immediate(order) is ends
    assert order.status is (BrokerStatus.EXPIRED if ends else BrokerStatus.OPEN)
    assert not exchange.expire_if_immediate(order) or not ends, "it ends once"


def test_an_immediate_order_that_filled_does_not_expire() -> None:
    exchange = an_exchange()
    order = placed(exchange, a_request(limit=None))
    exchange.execute(order, order.leaves, 0)
    assert not exchange.expire_if_immediate(order)


# -- cancels and questions ----------------------------------------------------------------------------------


def test_a_cancel_says_what_was_filled() -> None:
    exchange = an_exchange()
    exchange.execute(placed(exchange, a_request()), Decimal("0.5"), 0)
    answer = exchange.cancel("o1")
    assert answer == Cancelled(client_order_id="o1", filled=Decimal("0.5"))
    assert exchange.crossed(BTC) == []


@pytest.mark.parametrize(
    ("ended_by", "code"),
    [
        ("nothing", "UNKNOWN_ORDER"),
        ("fill", "ALREADY_FILLED"),
        ("cancel", "ALREADY_CANCELLED"),
        ("time", "ALREADY_EXPIRED"),
    ],
)
def test_a_cancel_that_comes_too_late_says_why(ended_by: str, code: str) -> None:
    exchange = an_exchange()
    if ended_by != "nothing":
        order = placed(exchange, a_request(time_in_force=TimeInForce.IOC))
        if ended_by == "fill":
            exchange.execute(order, order.leaves, 0)
        elif ended_by == "cancel":
            exchange.cancel("o1")
        else:
            exchange.expire_if_immediate(order)
    answer = exchange.cancel("o1")
    assert isinstance(answer, CancelRefused)
    assert answer.code == code


def test_a_question_finds_open_and_closed_orders_with_their_executions() -> None:
    exchange = an_exchange()
    order = placed(exchange, a_request())
    fills = tuple(exchange.execute(order, Decimal(1), 0) for _ in range(2))
    told = exchange.query("o1")
    assert isinstance(told, BrokerOrder)
    assert (told.status, told.filled, told.fills) == (BrokerStatus.FILLED, Decimal(2), fills)
    assert exchange.query("o2") == OrderNotFound(client_order_id="o2")


# -- the account --------------------------------------------------------------------------------------------


def test_a_snapshot_tells_open_orders_positions_and_cash() -> None:
    exchange = an_exchange()
    placed(exchange, a_request("o1", limit="90"))
    exchange.execute(placed(exchange, a_request("o2")), Decimal(2), 0)
    exchange.positions["ADA/EUR"] = Decimal(-1)
    snapshot = exchange.snapshot(77, 0)
    assert [order.client_order_id for order in snapshot.open_orders] == ["o1"]
    assert [(line.symbol, line.quantity) for line in snapshot.positions] == [
        ("ADA/EUR", Decimal(-1)),
        (BTC, Decimal(7)),
    ]
    assert (snapshot.cash, snapshot.as_of_ns, snapshot.cursor) == (Decimal(800), 77, 1)


def test_a_snapshot_lists_the_fills_above_the_cursor_that_was_asked_for() -> None:
    exchange = an_exchange()
    order = placed(exchange, a_request())
    fills = [exchange.execute(order, Decimal("0.5"), 0) for _ in range(3)]
    assert exchange.snapshot(0, 0).fills == tuple(fills)
    assert exchange.snapshot(0, 2).fills == (fills[2],)
    assert (exchange.snapshot(0, 3).fills, exchange.snapshot(0, 3).cursor) == ((), 3)


def test_the_book_is_a_copy_of_what_it_was_opened_with() -> None:
    positions = {BTC: Decimal(5)}
    exchange = Exchange(OpeningBook(None, positions))
    exchange.positions[BTC] = Decimal(0)
    assert positions == {BTC: Decimal(5)}


# -- limits -------------------------------------------------------------------------------------------------


@pytest.mark.spec("BRK-1")
@pytest.mark.parametrize(("quantity", "taken"), [("2", True), ("2.01", False)])
def test_a_broker_keeps_the_symbol_caps_that_it_tells(quantity: str, *, taken: bool) -> None:
    limits = BrokerLimits(symbol_caps={BTC: Decimal(2), "ETH/EUR": Decimal(1)})
    exchange = Exchange(OpeningBook(None, {}, limits=limits))
    exchange.prices[BTC] = Decimal(100)
    answer = exchange.place(a_request(quantity=Decimal(quantity)))
    assert isinstance(answer, Accepted) is taken
    assert taken or (isinstance(answer, Rejected) and answer.code == "ABOVE_LIMIT")
    assert exchange.snapshot(0, 0).limits == limits
    assert an_exchange().snapshot(0, 0).limits is None
