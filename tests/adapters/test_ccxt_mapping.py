"""From structures of ccxt to what a broker says: exactly, or an error that names what is wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.ccxt_fields import Told
from interlock.adapters.ccxt_mapping import (
    CURSORS_PER_MS,
    Owner,
    balance_of,
    balances_of,
    cursor_of,
    fill_of,
    key_of,
    order_of,
    owner_of,
    position_of,
)
from interlock.adapters.ccxt_reins import TOLD
from interlock.domain.broker import BrokerStatus, FeeCurrency
from interlock.domain.errors import OutcomeUnknown, Unreachable
from interlock.domain.money import decimal_text

OURS = Owner("host-1", None)


def an_order(**changed: Any) -> Told:
    """Return an order of ccxt; amounts are those that were told."""
    amounts = {"amount": "2", "filled": "0", "remaining": None, "price": "90"}
    told = {name: changed.pop(name, value) for name, value in amounts.items()}
    order = {"id": "O1", "clientOrderId": "host-1", "symbol": "BTC/EUR", "side": "buy", "type": "limit"}
    return {**order, "status": "open", TOLD: told, **changed}


def a_trade(**changed: Any) -> Told:
    """Return an execution of ccxt."""
    fee = {"cost": "0.10", "currency": "EUR"}
    trade = {"id": "T1", "order": "O1", "symbol": "BTC/EUR", "side": "buy", "amount": "1.50", "price": "90.0"}
    return {**trade, "timestamp": 1_700_000_000_123, "fee": fee, **changed}


@pytest.mark.parametrize(
    ("status", "filled", "expected"),
    [
        ("open", "0", BrokerStatus.OPEN),
        ("open", "2", BrokerStatus.OPEN),
        ("canceling", "1", BrokerStatus.OPEN),
        ("closed", "2", BrokerStatus.FILLED),
        ("closed", "1", BrokerStatus.CANCELLED),
        ("canceled", "1", BrokerStatus.CANCELLED),
        ("expired", "1", BrokerStatus.EXPIRED),
        ("rejected", "0", BrokerStatus.REJECTED),
    ],
)
def test_statuses_follow_the_amounts(status: str, filled: str, expected: BrokerStatus) -> None:
    assert order_of("x", an_order(status=status, filled=filled)).status is expected


@pytest.mark.parametrize(("status", "filled"), [("rejected", "1"), ("held", "0"), (None, "0"), (7, "0"), ("open", "9")])
def test_a_status_that_is_not_known_or_cannot_be_is_an_unknown_outcome_and_no_reject(status: Any, filled: str) -> None:
    with pytest.raises(OutcomeUnknown, match=r"^x: order O1: ") as caught:
        order_of("x", an_order(status=status, filled=filled))
    assert type(caught.value) is OutcomeUnknown


def test_what_was_filled_may_be_told_by_what_remains_and_is_never_made_up() -> None:
    assert order_of("x", an_order(filled=None, remaining="0.5")).filled == Decimal("1.5")
    with pytest.raises(Unreachable, match="x: order O1: filled is missing"):
        order_of("x", {**an_order(filled=None, status="closed"), "filled": "2"})


@pytest.mark.parametrize(
    ("kind", "price", "limit"),
    [("limit", "90.0", Decimal(90)), ("market", "91.3", None), ("stop loss", None, None), ("stop", "0", None)],
)
def test_a_limit_order_has_a_limit_and_a_market_order_none(kind: str, price: str, limit: Decimal | None) -> None:
    assert order_of("x", an_order(type=kind, price=price)).limit_price == limit


def test_an_order_without_our_id_is_nobody_s() -> None:
    assert key_of("x", an_order(clientOrderId=None)) == "x:O1"
    assert key_of("x", an_order(clientOrderId="")) == "x:O1"
    assert owner_of("x", an_order(fee={"currency": "BTC"})) == Owner("host-1", "BTC")
    with pytest.raises(Unreachable, match="x: order: clientOrderId is no text"):
        key_of("x", an_order(clientOrderId=7))


@pytest.mark.parametrize("number", [1.5, "1.5f", "", "NaN", "Infinity", "1_0", "0x1", True, "\u0661", "1e999", " 1"])
def test_a_number_that_is_not_exact_is_refused(number: Any) -> None:
    with pytest.raises(Unreachable, match="x: trade T1: amount is no exact number"):
        fill_of("x", a_trade(amount=number), OURS)


@given(st.decimals(min_value="0.000000000000000001", max_value=10**9, places=18))
def test_every_number_comes_out_as_it_went_in(number: Decimal) -> None:
    for text in (str(number), decimal_text(number), f"{number:f}000"):
        assert fill_of("x", a_trade(amount=text), OURS).quantity == number


@pytest.mark.parametrize(
    ("fee", "amount", "currency"),
    [
        ({"fee": {"cost": "0.1", "currency": "EUR"}}, "0.1", FeeCurrency.QUOTE),
        ({"fee": {"cost": "-0.1", "currency": "BTC"}}, "-0.1", FeeCurrency.BASE),
        ({"fee": {"cost": "0.0", "currency": "BNB"}}, "0", FeeCurrency.QUOTE),
        ({"fees": [{"cost": "0.1", "currency": "BTC"}, {"cost": "0.2", "currency": "BTC"}]}, "0.3", FeeCurrency.BASE),
        ({"fees": [{"cost": "0", "currency": "BNB"}, {"cost": "0.2", "currency": "EUR"}]}, "0.2", FeeCurrency.QUOTE),
        ({"symbol": "BTC/USD:BTC", "fee": {"cost": "0.1", "currency": "BTC"}}, "0.1", FeeCurrency.BASE),
        ({"symbol": "BTC/USDT:USDT", "fee": {"cost": "0.1", "currency": "USDT"}}, "0.1", FeeCurrency.QUOTE),
    ],
)
def test_a_fee_is_in_cash_or_in_what_was_traded(fee: dict[str, Any], amount: str, currency: FeeCurrency) -> None:
    fill = fill_of("x", a_trade(**fee), OURS)
    assert (fill.fee, fill.fee_currency) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    ("fee", "text"),
    [
        ({"fee": None}, "fee currency is missing"),
        ({"fee": {"cost": None, "currency": "EUR"}}, "fee cost is missing"),
        ({"fee": {"cost": "1", "currency": "BNB"}}, "fee currency is BNB, neither BTC nor EUR"),
        ({"fees": [{"cost": "1", "currency": "BTC"}, {"cost": "1", "currency": "EUR"}]}, "fee is in 2 currencies"),
    ],
)
def test_a_fee_that_cannot_be_told_is_no_answer(fee: dict[str, Any], text: str) -> None:
    with pytest.raises(Unreachable, match=f"x: trade T1: {text}"):
        fill_of("x", a_trade(**fee), OURS)


@given(st.integers(1, 9 * 10**12), st.integers(1, 9 * 10**12), st.text(min_size=1), st.text(min_size=1))
def test_a_later_execution_has_a_higher_cursor_of_64_bits(one: int, other: int, first: str, second: str) -> None:
    if one < other:
        assert 0 < cursor_of(one, first) < cursor_of(other, second) < 2**63
    assert cursor_of(one, first) == cursor_of(one, first)


def test_ids_that_count_give_the_order_within_a_millisecond() -> None:
    cursors = [cursor_of(5, str(number)) for number in range(1_000_000, 1_000_100)]
    assert cursors == sorted(set(cursors))
    assert {cursor // CURSORS_PER_MS for cursor in cursors} == {5}
    assert cursor_of(5, "TABCDE-FGHIJ-KLMNOP") == 5_007_222, "the same in every process and release"


def test_a_borrowed_balance_is_no_holding() -> None:
    balance = {"total": {"EUR": "5", "BTC": "1"}, "debt": {"BTC": "0.5", "EUR": "0"}}
    assert balance_of("x", balance, "EUR") == 5
    with pytest.raises(Unreachable, match="x: balance BTC: debt is not zero"):
        list(balances_of("x", balance, "EUR"))
    with pytest.raises(Unreachable, match="x: balance BTC: total is missing"):
        list(balances_of("x", {"total": {"BTC": None}}, "EUR"))


def test_a_position_has_a_side_or_is_flat() -> None:
    told = {"symbol": "BTC/USD:BTC", "contracts": "3", "side": "short", "entryPrice": "90.50"}
    line = position_of("x", told)
    assert line is not None
    assert (line.quantity, line.average_price) == (Decimal(-3), Decimal("90.5"))
    assert position_of("x", told | {"contracts": "0.000", "side": None}) is None
    with pytest.raises(Unreachable, match="x: position BTC/USD:BTC: side is 'None' with 3 contracts"):
        position_of("x", told | {"side": None})
    with pytest.raises(Unreachable, match="contracts is missing"):
        position_of("x", told | {"contracts": None})
