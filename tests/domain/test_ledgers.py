"""Positions and cash are a fold over fills: each counted once, in any order, with the average-cost arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.broker import Fill
from interlock.domain.errors import InvariantBroken
from interlock.domain.intents import Side
from interlock.domain.ledgers import AccountLedger, FillBook, Position, apply_to_position, signed
from tests.domain_builders import BTC, a_fill

BUY, SELL = Side.BUY, Side.SELL


def after(*trades: tuple[Side, str, str], position: Position | None = None) -> Position:
    """Return the position after some trades of (side, quantity, price)."""
    held = position or Position(BTC)
    for side, quantity, price in trades:
        held = apply_to_position(held, side, Decimal(quantity), Decimal(price))
    return held


def as_numbers(position: Position) -> tuple[object, ...]:
    """Return quantity, average price, realised."""
    return position.quantity, position.average_price, position.realised


def test_a_sell_counts_against_the_position() -> None:
    assert signed(BUY, Decimal(2)) == 2
    assert signed(SELL, Decimal(2)) == -2


@pytest.mark.parametrize(
    ("trades", "quantity", "average", "realised"),
    [
        pytest.param([(BUY, "1", "100")], 1, 100, 0, id="opened long"),
        pytest.param([(SELL, "1", "100")], -1, 100, 0, id="opened short"),
        pytest.param([(BUY, "1", "100"), (BUY, "3", "104")], 4, 103, 0, id="added to a long"),
        pytest.param([(SELL, "1", "100"), (SELL, "3", "104")], -4, 103, 0, id="added to a short"),
        pytest.param([(BUY, "4", "100"), (SELL, "1", "110")], 3, 100, 10, id="part of a long closed"),
        pytest.param([(SELL, "4", "100"), (BUY, "1", "110")], -3, 100, -10, id="part of a short closed"),
        pytest.param([(BUY, "4", "100"), (SELL, "4", "90")], 0, None, -40, id="a long closed"),
        pytest.param([(SELL, "4", "100"), (BUY, "4", "90")], 0, None, 40, id="a short closed"),
        pytest.param([(BUY, "1", "100"), (SELL, "3", "110")], -2, 110, 10, id="a long turned around"),
        pytest.param([(SELL, "1", "100"), (BUY, "3", "90")], 2, 90, 10, id="a short turned around"),
        pytest.param([(BUY, "1", "9"), (SELL, "1", "9"), (SELL, "2", "50")], -2, 50, 0, id="flat, then short"),
    ],
)
def test_trades_give_quantity_average_and_result(
    trades: list[tuple[Side, str, str]], quantity: int, average: int | None, realised: int
) -> None:
    assert as_numbers(after(*trades)) == (quantity, average, realised)


def test_a_position_taken_over_without_a_price_closes_at_the_trades_own_price() -> None:
    """Nothing is invented: what it once cost is not known, so nothing was earned."""
    taken_over = Position(BTC, Decimal(2))
    assert as_numbers(after((SELL, "1", "100"), position=taken_over)) == (1, None, 0)


@given(
    st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 500).map(str), st.integers(1, 900).map(str)), max_size=12)
)
def test_what_was_paid_is_what_is_held_plus_what_was_earned(trades: list[tuple[Side, str, str]]) -> None:
    """Money neither appears nor vanishes, whatever way a position goes."""
    end = after(*trades)
    paid = sum((signed(side, Decimal(size)) * Decimal(price) for side, size, price in trades), Decimal(0))
    worth = end.quantity * (end.average_price or Decimal(0))
    assert abs(worth - end.realised - paid) < Decimal("1e-15")
    assert (end.average_price is None) == (end.quantity == 0)


def a_ledger(fills: list[Fill], cash: str | None = "100000") -> AccountLedger:
    """Return a ledger with everything booked."""
    ledger = AccountLedger(None if cash is None else Decimal(cash), {BTC: Decimal(5)})
    for fill in fills:
        ledger.book(fill)
    return ledger


def test_a_buy_costs_its_price_and_its_fee_and_a_sell_brings_the_one_less_the_other() -> None:
    bought = a_ledger([a_fill(quantity="2", price="100", fee="0.5")], "1000")
    assert (bought.cash, bought.fees, bought.position(BTC).quantity) == (Decimal("799.5"), Decimal("0.5"), Decimal(7))
    sold = a_ledger([a_fill(quantity="2", side=SELL, fee="-0.25")], "1000")
    assert (sold.cash, sold.fees, sold.position(BTC).quantity) == (Decimal("1200.25"), Decimal("-0.25"), Decimal(3))


def test_cash_that_is_not_known_stays_unknown() -> None:
    ledger = a_ledger([a_fill(fee="1")], None)
    assert ledger.cash is None
    assert (ledger.fees, ledger.position(BTC).quantity) == (Decimal(1), Decimal(6))


def test_positions_are_listed_by_symbol_and_a_symbol_never_traded_is_flat() -> None:
    ledger = AccountLedger(None, {"Z": Decimal(1), "A": Decimal(2)})
    ledger.book(a_fill(symbol="M"))
    assert [f"{position.symbol} {position.quantity}" for position in ledger.positions()] == ["A 2", "M 1", "Z 1"]
    assert ledger.position("B") == Position("B")
    assert len(ledger.positions()) == 3


a_trade: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    symbol=st.sampled_from(["A", "B"]),
    side=st.sampled_from(Side),
    quantity=st.integers(1, 10_000).map(lambda n: str(Decimal(n) / 1000)),
    price=st.integers(1, 10_000_000).map(lambda n: str(Decimal(n) / 100)),
    fee=st.integers(-100, 100).map(lambda n: str(Decimal(n) / 1000)),
)


@pytest.mark.spec("SAF-1")
@given(st.lists(a_trade, max_size=10).flatmap(lambda trades: st.tuples(st.just(trades), st.permutations(trades))))
def test_fills_give_the_same_positions_and_cash_in_whatever_order_they_come(
    drawn: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    ends = []
    for trades in drawn:
        ledger = a_ledger([a_fill(f"f{number}", **trade) for number, trade in enumerate(trades)])
        held = [(position.symbol, position.quantity) for position in ledger.positions()]
        ends.append((ledger.cash, ledger.fees, held))
    assert ends[0] == ends[1]


@pytest.mark.spec("SAF-5")
def test_a_known_fill_is_a_repetition_however_its_numbers_are_written() -> None:
    book = FillBook()
    assert not book.repeats(a_fill())
    book.remember(a_fill())
    assert book.repeats(a_fill())
    assert book.repeats(a_fill(quantity="1.000", price="100.0"))
    assert len(book) == 1


@pytest.mark.spec("SAF-5")
@pytest.mark.parametrize(
    "other",
    [
        {"quantity": "2"},
        {"price": "100.01"},
        {"fee": "0.01"},
        {"side": SELL},
        {"symbol": "ETH/EUR"},
        {"client_order_id": "o2"},
        {"broker_order_id": "b2"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_known_fill_id_with_other_content_is_a_broken_invariant(other: dict[str, Any]) -> None:
    book = FillBook()
    book.remember(a_fill())
    with pytest.raises(InvariantBroken) as broken:
        book.repeats(a_fill(**other))
    assert broken.value.code == "fill_conflict"
    assert broken.value.evidence["fill_id"] == "f1"
    assert broken.value.evidence["known_quantity"] == "1"
    assert book.since(0) == (a_fill(),)


def test_fills_are_kept_in_the_order_of_their_arrival() -> None:
    book = FillBook()
    fills = [a_fill("z"), a_fill("a"), a_fill("m")]
    for fill in fills:
        book.remember(fill)
    assert book.since(0) == tuple(fills)
    assert book.since(2) == (fills[2],)
    assert book.since(3) == ()
