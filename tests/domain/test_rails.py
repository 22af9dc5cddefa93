"""May this order leave, and does what happened keep every invariant: each code at its boundary, and fail closed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.broker import Accepted
from interlock.domain.errors import InvariantBroken
from interlock.domain.exposure import Exposure
from interlock.domain.intents import OrderType, Side
from interlock.domain.limits import RailLimits
from interlock.domain.orders import Order
from interlock.domain.rails import check_order
from tests.domain_builders import BTC, a_fill, an_exposure, an_order, limits


def code_of(
    order: Order, exposure: Exposure | None = None, caps: RailLimits | None = None, *, gate: bool = True
) -> str:
    """Return the code with which an order is refused, or ""."""
    caps = caps or (limits() if exposure is None else exposure.limits)
    refusal = check_order(order, caps, exposure or an_exposure(caps), 0, gate_open=gate)
    return "" if refusal is None else refusal.code


def sized(quantity: str, **wanted: Any) -> Order:
    """Return an order of a quantity."""
    return an_order(quantity=Decimal(quantity), **wanted)


def a_sell(quantity: str = "1", key: str = "o1") -> Order:
    """Return an order to sell."""
    return an_order(key, quantity=Decimal(quantity), side=Side.SELL)


def a_market_order(reference: str | None) -> Order:
    """Return an order without a limit."""
    price = None if reference is None else Decimal(reference)
    return an_order(order_type=OrderType.MARKET, limit_price=None, reference_price=price, quantity=Decimal(1))


def reserved(exposure: Exposure) -> tuple[object, ...]:
    """Return what live orders hold: cash, BTC/EUR, and how many they are."""
    return exposure.reserved_cash, exposure.open_quantity(BTC, Side.SELL), exposure.live_orders


def booked(exposure: Exposure, **fill: Any) -> None:
    """Book a fill and hold the account to its invariants."""
    exposure.book(a_fill(**fill))
    exposure.verify(a_fill(**fill))


def broken_by(exposure: Exposure, **fill: Any) -> InvariantBroken:
    """Return what a fill breaks."""
    with pytest.raises(InvariantBroken) as broken:
        booked(exposure, **fill)
    return broken.value


# -- check_order ------------------------------------------------------------------------------------------------


def test_an_order_within_every_limit_may_leave() -> None:
    assert check_order(an_order(), limits(), an_exposure(), 0, gate_open=True) is None


@pytest.mark.spec("SAF-1")
def test_no_order_leaves_through_a_closed_gate_and_no_other_reason_comes_first() -> None:
    """Before preflight, while stopping, after a trip."""
    assert code_of(an_order(), gate=False) == "RAIL_GATE_CLOSED"
    assert code_of(sized("999", symbol="DOGE/EUR"), gate=False) == "RAIL_GATE_CLOSED"


@pytest.mark.spec("SAF-6")
def test_a_symbol_without_limits_is_refused() -> None:
    """There is no "unlimited"."""
    assert code_of(an_order(symbol="ETH/EUR")) == "RAIL_SYMBOL_NOT_ALLOWED"
    assert code_of(an_order(), caps=RailLimits({}, 3)) == "RAIL_SYMBOL_NOT_ALLOWED"


@pytest.mark.spec("SAF-6")
def test_an_order_that_cannot_be_valued_is_refused() -> None:
    assert code_of(a_market_order(None)) == "RAIL_NO_PRICE"
    assert code_of(a_market_order("100")) == ""


@pytest.mark.spec("SAF-4")
@pytest.mark.parametrize(("live", "code"), [(1, ""), (2, "RAIL_LIVE_ORDERS"), (3, "RAIL_LIVE_ORDERS")])
def test_live_orders_are_capped(live: int, code: str) -> None:
    exposure = an_exposure(limits(live=2), cash=None)
    for number in range(live):
        exposure.reserve(an_order(f"live{number}"), 0)
    assert code_of(an_order(), exposure) == code


@pytest.mark.spec("SAF-4")
@pytest.mark.parametrize(
    ("quantity", "code"), [("9.999", ""), ("10", ""), ("10.001", "RAIL_ORDER_QUANTITY"), ("999", "RAIL_ORDER_QUANTITY")]
)
def test_the_size_of_an_order_is_capped(quantity: str, code: str) -> None:
    caps = limits(quantity="10", notional="1000000")
    assert code_of(sized(quantity), an_exposure(caps, cash=None)) == code


@pytest.mark.spec("SAF-4")
@pytest.mark.parametrize(("price", "code"), [("99.99", ""), ("100", ""), ("100.01", "RAIL_ORDER_NOTIONAL")])
def test_the_value_of_an_order_is_capped_at_its_limit_or_reference_price(price: str, code: str) -> None:
    exposure = an_exposure(limits(notional="100"), cash=None)
    assert code_of(sized("1", limit_price=Decimal(price)), exposure) == code
    assert code_of(a_market_order(price), exposure) == code
    both = sized("1", limit_price=Decimal(price), reference_price=Decimal(1))
    assert code_of(both, exposure) == code


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize(("cash", "code"), [("999.99", "RAIL_CASH"), ("1000", ""), ("1000.01", "")])
def test_a_buy_needs_the_cash_that_it_may_cost(cash: str, code: str) -> None:
    assert code_of(an_order(), an_exposure(cash=cash)) == code


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize(("cash", "code"), [("1099", "RAIL_CASH"), ("1100", "")])
def test_cash_that_live_orders_may_still_cost_is_not_free(cash: str, code: str) -> None:
    exposure = an_exposure(cash=cash)
    exposure.reserve(an_order("other"), 0)
    assert code_of(sized("1"), exposure) == code


@pytest.mark.spec("SAF-1", "SAF-6")
@pytest.mark.parametrize(("cash", "code"), [("1009.99", "RAIL_CASH"), ("1010", ""), ("1010.01", "")])
def test_a_buffer_for_fees_is_kept_free_on_top_and_freed_again(cash: str, code: str) -> None:
    """Ten at 100 with one percent on top: without it, the fee of an order that just fits would overdraw the cash."""
    caps = msgspec.structs.replace(limits(notional="1000"), cash_buffer=Decimal("0.01"))
    exposure = an_exposure(caps, cash=cash)
    order = an_order("o1", quantity=Decimal(10), limit_price=Decimal(100))
    refusal = check_order(order, caps, exposure, 0, gate_open=True)
    assert ("" if refusal is None else refusal.code) == code
    exposure.reserve(order, 0)
    assert exposure.reserved_cash == Decimal(1010)
    exposure.release("o1")
    assert exposure.reserved_cash == 0


def test_a_sell_needs_no_cash_and_unknown_cash_stops_no_buy() -> None:
    assert code_of(a_sell("10"), an_exposure(cash="0", held="10")) == ""
    assert code_of(an_order(), an_exposure(cash=None)) == ""


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize(("held", "code"), [("0", "RAIL_SHORT"), ("0.999", "RAIL_SHORT"), ("1", ""), ("1.001", "")])
def test_nothing_is_sold_that_is_not_held(held: str, code: str) -> None:
    assert code_of(a_sell("1"), an_exposure(held=held)) == code


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize(("held", "code"), [("2.999", "RAIL_SHORT"), ("3", "")])
def test_what_live_sells_may_still_take_is_not_free(held: str, code: str) -> None:
    exposure = an_exposure(held=held)
    exposure.reserve(a_sell("2", "other"), 0)
    assert code_of(a_sell("1"), exposure) == code


def test_shorts_are_taken_where_the_instrument_allows_them() -> None:
    assert code_of(a_sell("10"), an_exposure(limits(allow_short=True))) == ""


def test_checking_reserves_nothing() -> None:
    exposure = an_exposure()
    for _ in range(5):
        assert code_of(an_order(), exposure) == ""
    assert reserved(exposure) == (0, 0, 0)
    assert not exposure.holds("o1")


def test_a_refusal_says_the_numbers() -> None:
    refusal = check_order(sized("11"), limits(), an_exposure(), 0, gate_open=True)
    assert refusal is not None
    assert (refusal.code, refusal.reason) == ("RAIL_ORDER_QUANTITY", "11 is above the cap 10")


# -- Exposure: reservations -------------------------------------------------------------------------------------


def test_a_reservation_is_freed_piece_by_piece_by_fills_and_at_last_by_release() -> None:
    exposure = an_exposure(cash="5000")
    exposure.reserve(an_order(), 0)
    assert reserved(exposure) == (1000, 0, 1)
    exposure.book(a_fill(quantity="4", price="90"))
    assert exposure.reserved_cash == 600
    exposure.release("o1")
    assert reserved(exposure) == (0, 0, 0)
    assert exposure.holds("o1")


def test_a_full_fill_frees_everything_and_release_is_idempotent() -> None:
    exposure = an_exposure(cash="5000", held="10")
    exposure.reserve(an_order("buy"), 0)
    exposure.reserve(a_sell("10", "sell"), 0)
    assert exposure.open_quantity(BTC, Side.SELL) == 10
    exposure.book(a_fill("f1", "10", client_order_id="buy"))
    exposure.book(a_fill("f2", "10", client_order_id="sell", side=Side.SELL))
    for key in ("buy", "sell", "sell", "never seen"):
        exposure.release(key)
    assert reserved(exposure) == (0, 0, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 999), st.integers(0, 999)), min_size=1, max_size=6))
def test_whatever_is_filled_before_the_end_nothing_stays_reserved(orders: list[tuple[bool, int, int]]) -> None:
    exposure = an_exposure(cash="1000000", held="100")
    for number, (buys, size, part) in enumerate(orders):
        key, side = f"o{number}", Side.BUY if buys else Side.SELL
        quantity, filled = Decimal(size) / 100, Decimal(min(size, part)) / 100
        exposure.reserve(an_order(key, side=side, quantity=quantity, limit_price=Decimal("99.97")), 0)
        if filled:
            exposure.book(a_fill(f"f{number}", str(filled), client_order_id=key, side=side))
    for number in range(len(orders)):
        exposure.release(f"o{number}")
    assert reserved(exposure) == (0, 0, 0)


# -- Exposure: invariants ---------------------------------------------------------------------------------------


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize("ended", [False, True])
def test_one_key_is_one_order_forever(*, ended: bool) -> None:
    exposure = an_exposure()
    exposure.reserve(an_order(), 0)
    if ended:
        exposure.release("o1")
    with pytest.raises(InvariantBroken) as broken:
        exposure.reserve(an_order(), 0)
    assert (broken.value.code, broken.value.evidence) == ("duplicate_order", {"client_order_id": "o1"})
    assert reserved(exposure) == ((0, 0, 0) if ended else (1000, 0, 1))


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize("ended", [False, True])
def test_one_key_has_one_order_at_the_broker(*, ended: bool) -> None:
    exposure = an_exposure()
    exposure.reserve(an_order(), 0)
    for _ in range(2):
        exposure.accepted(Accepted(client_order_id="o1", broker_order_id="b1"))
    if ended:
        exposure.release("o1")
    with pytest.raises(InvariantBroken) as broken:
        exposure.accepted(Accepted(client_order_id="o1", broker_order_id="b2"))
    assert broken.value.code == "two_broker_orders"
    assert broken.value.evidence["broker_order_ids"] == ["b1", "b2"]


def test_an_ack_of_an_order_that_is_not_ours_says_nothing() -> None:
    """The reconciler finds it; here there is nothing that it could break."""
    exposure = an_exposure()
    exposure.accepted(Accepted(client_order_id="other", broker_order_id="b1"))
    assert not exposure.holds("other")


@pytest.mark.spec("SAF-5")
def test_a_repeated_fill_changes_nothing() -> None:
    exposure = an_exposure()
    exposure.reserve(an_order(), 0)
    assert exposure.book(a_fill(fee="1"))
    before = (exposure.ledger.cash, exposure.ledger.positions(), len(exposure.fills))
    for _ in range(3):
        assert not exposure.book(a_fill(fee="1"))
    exposure.release("o1")
    assert not exposure.book(a_fill(fee="1"))
    assert (exposure.ledger.cash, exposure.ledger.positions(), len(exposure.fills)) == before


@pytest.mark.spec("SAF-5")
def test_a_known_fill_with_other_content_trips() -> None:
    exposure = an_exposure()
    exposure.reserve(an_order(), 0)
    exposure.book(a_fill())
    assert broken_by(exposure, price="100.01").code == "fill_conflict"
    assert exposure.ledger.cash == 900


@pytest.mark.spec("SAF-1")
def test_a_fill_of_an_order_that_was_never_sent_trips() -> None:
    broken = broken_by(an_exposure(), client_order_id="never")
    assert broken.code == "unknown_order_fill"
    assert broken.evidence == {"client_order_id": "never", "fill_id": "f1", "quantity": "1"}


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize("other", [{"symbol": "ETH/EUR"}, {"side": Side.SELL}])
def test_a_fill_that_names_another_symbol_or_side_than_its_order_trips(other: dict[str, Any]) -> None:
    exposure = an_exposure(held="5")
    exposure.reserve(an_order(), 0)
    assert broken_by(exposure, **other).code == "fill_mismatch"
    assert reserved(exposure) == (1000, 0, 1)
    assert exposure.ledger.position(BTC).quantity == 5
    assert len(exposure.fills) == 0


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize("ended", [False, True])
def test_filled_above_ordered_trips_and_is_not_remembered(*, ended: bool) -> None:
    exposure = an_exposure(cash="5000")
    exposure.reserve(an_order(), 0)
    exposure.book(a_fill("f1", "9"))
    if ended:
        exposure.release("o1")
    assert broken_by(exposure, fill_id="f2", quantity="1.001").code == "overfill"
    assert len(exposure.fills) == 1
    assert exposure.ledger.position(BTC).quantity == 9
    assert exposure.book(a_fill("f2", "1"))


@pytest.mark.spec("SAF-1")
def test_a_full_order_takes_no_further_fill() -> None:
    exposure = an_exposure(cash="5000")
    exposure.reserve(an_order(), 0)
    exposure.book(a_fill("f1", "10"))
    assert broken_by(exposure, fill_id="f2", quantity="0.001").code == "overfill"


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize(("fee", "trips"), [("0", False), ("0.01", True)])
def test_cash_below_zero_trips_and_at_zero_does_not(fee: str, *, trips: bool) -> None:
    exposure = an_exposure(cash="1000")
    exposure.reserve(an_order(), 0)
    if not trips:
        assert exposure.book(a_fill(quantity="10", fee=fee))
        exposure.verify(a_fill(quantity="10", fee=fee))
        return
    broken = broken_by(exposure, quantity="10", fee=fee)
    assert (broken.code, broken.evidence["cash"]) == ("negative_cash", "-0.01")


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize(("held", "trips"), [("1", False), ("0.999", True), ("-5", True)])
def test_a_short_trips_where_the_instrument_allows_none(held: str, *, trips: bool) -> None:
    """The book may have been wrong: what the rails let through can still turn out a short."""
    exposure = an_exposure(held=held)
    exposure.reserve(a_sell("1"), 0)
    if not trips:
        assert exposure.book(a_fill(side=Side.SELL))
        exposure.verify(a_fill(side=Side.SELL))
        return
    broken = broken_by(exposure, side=Side.SELL)
    assert (broken.code, broken.evidence["symbol"]) == ("short_position", BTC)
    assert broken.evidence["position"] == str(Decimal(held) - 1)


def test_buying_a_short_back_is_never_a_short() -> None:
    exposure = an_exposure(held="-5")
    exposure.reserve(an_order(), 0)
    assert exposure.book(a_fill())


def test_a_short_is_no_broken_invariant_where_it_is_allowed() -> None:
    exposure = an_exposure(limits(allow_short=True))
    exposure.reserve(a_sell("1"), 0)
    assert exposure.book(a_fill(side=Side.SELL))
    assert exposure.ledger.position(BTC).quantity == -1


def test_a_fill_that_comes_after_the_end_is_booked_and_frees_nothing_twice() -> None:
    exposure = an_exposure(cash="5000")
    exposure.reserve(an_order(), 0)
    exposure.release("o1")
    assert exposure.book(a_fill(quantity="3"))
    assert reserved(exposure) == (0, 0, 0)
    assert exposure.ledger.position(BTC).quantity == 3
