"""An order is a fold over facts: quantities add up, refused facts leave no trace, labels never lie about amounts."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import IllegalTransition, InvariantBroken
from interlock.domain.intents import OrderIntent, OrderType, Side, TimeInForce
from interlock.domain.order_states import LIVE_STATES, OrderEvent, OrderState
from interlock.domain.orders import Order, advance, book_fill, new_order, place_request
from tests.domain_builders import BTC, a_fill, an_intent, an_order


def ordered(intent: OrderIntent, *, strategy: str = "strat_demo", now_ns: int = 0) -> Order:
    """Return the order of an intent at the usual venue."""
    return new_order(intent, "mock", "main", strategy, now_ns)


def test_a_new_order_has_the_content_of_its_intent_and_nothing_filled() -> None:
    order = ordered(an_intent(reference_price="99", time_in_force="IOC"), now_ns=7)
    assert (order.symbol, order.side, order.order_type) == (BTC, Side.BUY, OrderType.LIMIT)
    assert (order.quantity, order.limit_price, order.reference_price) == (Decimal(10), Decimal(100), Decimal(99))
    assert order.time_in_force is TimeInForce.IOC
    assert (order.state, order.version) == (OrderState.NEW, 0)
    assert (order.filled, order.leaves) == (Decimal(0), Decimal(10))
    assert order.created_ns == order.updated_ns == 7


@pytest.mark.spec("IDM-2")
def test_the_same_decision_is_the_same_order_whenever_it_is_made() -> None:
    """Neither the time nor the way its numbers are written is part of what an order is."""
    first, again = ordered(an_intent(), now_ns=1), ordered(an_intent(quantity="10.00", limit_price="100.0"), now_ns=2)
    assert first.client_order_id == again.client_order_id
    assert first.fingerprint == again.fingerprint


@pytest.mark.spec("IDM-2")
@pytest.mark.parametrize(
    "other",
    [
        {"symbol": "ETH/EUR"},
        {"side": "SELL"},
        {"quantity": "10.1"},
        {"limit_price": "100.1"},
        {"order_type": "MARKET", "limit_price": None},
        {"time_in_force": "IOC"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_content_under_one_decision_has_the_same_key_and_another_fingerprint(other: dict[str, str]) -> None:
    """That is how it is found out, and refused."""
    first, second = ordered(an_intent()), ordered(an_intent(**other))
    assert first.client_order_id == second.client_order_id
    assert first.fingerprint != second.fingerprint


def test_another_decision_or_another_strategy_has_another_key() -> None:
    keys = [
        ordered(an_intent()).client_order_id,
        ordered(an_intent(decision_id="d2")).client_order_id,
        ordered(an_intent(), strategy="strat_other").client_order_id,
    ]
    assert len(sorted({*keys})) == len(keys)


def test_venue_and_account_are_part_of_the_fingerprint() -> None:
    prints = [new_order(an_intent(), *where, "s", 0).fingerprint for where in (("a", "b"), ("a", "c"), ("ab", ""))]
    assert len(sorted({*prints})) == len(prints)


def test_the_request_to_the_broker_carries_the_orders_key_and_content() -> None:
    request = place_request(an_order("o9"))
    assert msgspec.structs.astuple(request) == (
        "o9", BTC, Side.BUY, OrderType.LIMIT, Decimal(10), Decimal(100), TimeInForce.GTC,
    )  # fmt: skip


def test_a_fact_moves_state_time_and_version_and_keeps_what_it_does_not_say() -> None:
    order = advance(an_order(state=OrderState.SENT), OrderEvent.ACCEPT, 5, broker_order_id="b1", reason="ok")
    assert (order.state, order.broker_order_id, order.reason) == (OrderState.ACK, "b1", "ok")
    assert (order.updated_ns, order.version) == (5, 1)
    later = advance(order, OrderEvent.CANCEL_REQUEST, 6)
    assert (later.broker_order_id, later.reason, later.version) == ("b1", "ok", 2)
    assert advance(later, OrderEvent.CANCEL_ACK, 7, reason="").reason == ""


@pytest.mark.parametrize("state", OrderState)
def test_an_order_is_live_where_the_broker_may_hold_it_open(state: OrderState) -> None:
    assert an_order(state=state).live == (state in LIVE_STATES)


@pytest.mark.parametrize(
    ("quantity", "state"), [("9.999999", OrderState.PARTIAL), ("10", OrderState.FILLED), ("10.000", OrderState.FILLED)]
)
def test_the_fill_that_reaches_the_ordered_quantity_fills_the_order(quantity: str, state: OrderState) -> None:
    order = book_fill(an_order(state=OrderState.ACK), a_fill(quantity=quantity), 3)
    assert order.state is state
    assert order.filled == Decimal(quantity)
    assert order.leaves == 10 - Decimal(quantity)
    assert (order.updated_ns, order.version) == (3, 1)


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize("before", ["0", "4"])
def test_filled_never_gets_above_ordered(before: str) -> None:
    """The smallest excess is refused, and the evidence says by how much."""
    order = an_order(state=OrderState.ACK, filled=Decimal(before))
    excess = Decimal(10) - Decimal(before) + Decimal("0.000001")
    with pytest.raises(InvariantBroken, match="overfill") as broken:
        book_fill(order, a_fill(quantity=str(excess)), 3)
    assert broken.value.code == "overfill"
    assert broken.value.evidence == {
        "client_order_id": "o1",
        "fill_id": "f1",
        "ordered": "10",
        "filled": "10.000001",
    }
    assert order == an_order(state=OrderState.ACK, filled=Decimal(before))


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize("other", [{"symbol": "ETH/EUR"}, {"side": Side.SELL}])
def test_a_fill_of_another_symbol_or_side_is_not_booked(other: dict[str, Any]) -> None:
    order = an_order(state=OrderState.ACK)
    with pytest.raises(InvariantBroken) as broken:
        book_fill(order, a_fill(**other), 3)
    assert broken.value.code == "fill_mismatch"
    assert order == an_order(state=OrderState.ACK)


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize("state", [OrderState.NEW, OrderState.REJECTED, OrderState.QUARANTINED])
def test_an_order_that_cannot_have_been_filled_takes_no_fill(state: OrderState) -> None:
    order = an_order(state=state)
    with pytest.raises(IllegalTransition):
        book_fill(order, a_fill(), 3)
    assert order == an_order(state=state)


def test_a_fill_before_the_ack_brings_the_brokers_id_and_a_later_one_does_not_change_it() -> None:
    order = book_fill(an_order(state=OrderState.SENT), a_fill(), 1)
    assert (order.state, order.broker_order_id) == (OrderState.PARTIAL, "b1")
    assert book_fill(order, a_fill("f2", broker_order_id="b2"), 2).broker_order_id == "b1"


def test_a_piece_that_comes_after_the_cancel_counts_although_the_label_stays() -> None:
    order = book_fill(an_order(state=OrderState.CANCELLED, filled=Decimal(2)), a_fill(quantity="3"), 1)
    assert (order.state, order.filled) == (OrderState.CANCELLED, Decimal(5))
    assert book_fill(order, a_fill("f2", "5"), 2).state is OrderState.FILLED


@st.composite
def pieces(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Draw the pieces of an order of 10, in two orders of arrival."""
    cuts = draw(st.lists(st.integers(1, 9_999), max_size=8, unique=True))
    whole = draw(st.booleans())
    edges = [0, *sorted(cuts), *([10_000] if whole else [])]
    sizes = [str(Decimal(after - before) / 1000) for before, after in pairwise(edges)]
    return sizes, list(draw(st.permutations(sizes)))


@pytest.mark.spec("SAF-1")
@given(pieces())
def test_fills_give_the_same_order_in_whatever_order_they_come(drawn: tuple[list[str], list[str]]) -> None:
    """Only the sum counts, and the sum is exact."""
    ends = []
    for sizes in drawn:
        order = an_order(state=OrderState.SENT)
        for number, size in enumerate(sizes):
            order = book_fill(order, a_fill(f"f{number}", size), 1)
        ends.append(order)
    assert ends[0] == ends[1]
    total = sum(map(Decimal, drawn[0]), Decimal(0))
    assert ends[0].filled == total
    full = OrderState.FILLED if total == 10 else OrderState.PARTIAL
    assert ends[0].state is (full if drawn[0] else OrderState.SENT)
