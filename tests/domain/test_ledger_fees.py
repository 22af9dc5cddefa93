"""Fees in either currency, and transactions in which an account trades with itself."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.broker import FeeCurrency, Fill
from interlock.domain.errors import InvariantBroken
from interlock.domain.intents import Side
from interlock.domain.ledgers import AccountLedger
from tests.domain_builders import BTC, a_fill


def ledger(cash: str = "10000", held: str = "0") -> AccountLedger:
    """Return an account."""
    return AccountLedger(Decimal(cash), {BTC: Decimal(held)})


def fill(quantity: str, price: str, side: Side = Side.BUY, fee: str = "0", *, base: bool = False) -> Fill:
    """Return a fill with its fee."""
    currency = FeeCurrency.BASE if base else FeeCurrency.QUOTE
    return a_fill("f", quantity, price=price, side=side, fee=fee, fee_currency=currency)


@pytest.mark.spec("REC-4")
def test_a_fee_in_the_quote_currency_comes_out_of_the_cash() -> None:
    book = ledger()
    book.book(fill("2", "100", fee="0.5"))
    assert (book.cash, book.position(BTC).quantity, book.fees, book.result) == (
        Decimal("9799.5"),
        Decimal(2),
        Decimal("0.5"),
        Decimal("-0.5"),
    )


@pytest.mark.spec("REC-4")
def test_a_fee_in_the_base_currency_comes_out_of_the_position() -> None:
    """Bought 51.307 and hold 51: what was taken was the thing itself."""
    book = ledger()
    book.book(fill("51.307", "10", fee="0.307", base=True))
    assert book.position(BTC).quantity == Decimal(51)
    assert book.cash == Decimal("9486.93")
    assert (book.fees, book.result) == (Decimal("3.07"), Decimal("-3.07"))


@pytest.mark.spec("REC-4")
def test_a_base_fee_that_takes_the_last_of_a_position_leaves_it_flat() -> None:
    book = ledger(held="1.1")
    book.book(fill("1", "10", Side.SELL, fee="0.1", base=True))
    assert (book.position(BTC).quantity, book.position(BTC).average_price) == (Decimal(0), None)


@pytest.mark.spec("REC-10")
def test_an_account_that_trades_with_itself_keeps_position_entry_and_result() -> None:
    book = ledger()
    book.book(fill("3", "90"))
    before = book.position(BTC)
    book.book_transaction([fill("2", "100"), fill("2", "100", Side.SELL)])
    assert book.position(BTC) == before
    assert (book.cash, book.result) == (Decimal(9730), Decimal(0))


@pytest.mark.spec("REC-10")
def test_of_a_transaction_on_both_sides_only_the_net_moves_the_position() -> None:
    book = ledger()
    book.book_transaction([fill("5", "100", fee="1"), fill("2", "100", Side.SELL, fee="1")])
    assert book.position(BTC).quantity == Decimal(3)
    assert book.position(BTC).average_price == Decimal(100)
    assert (book.cash, book.fees) == (Decimal(9698), Decimal(2))


def test_a_transaction_of_two_symbols_is_refused_and_changes_nothing() -> None:
    book = ledger()
    with pytest.raises(InvariantBroken, match="mixed_transaction"):
        book.book_transaction([fill("1", "100"), fill("1", "100").model_copy(update={"symbol": "ETH/EUR"})])
    assert book.cash == Decimal(10000)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 50), st.integers(90, 110)), min_size=1, max_size=8))
def test_as_one_transaction_or_one_by_one_cash_and_quantity_are_the_same(trades: list[tuple[bool, int, int]]) -> None:
    fills = [fill(str(size), str(price), Side.BUY if buys else Side.SELL, fee="0.1") for buys, size, price in trades]
    together, apart = ledger(), ledger()
    together.book_transaction(fills)
    for one in fills:
        apart.book(one)
    assert together.cash == apart.cash
    assert together.position(BTC).quantity == apart.position(BTC).quantity
    assert together.fees == apart.fees
