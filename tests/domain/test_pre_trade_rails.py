"""SAF-4: each pre-trade rail just below, at and just above its boundary, with its code."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from interlock.domain.exposure import Exposure
from interlock.domain.intents import OrderType, Side
from interlock.domain.limits import RailLimits
from interlock.domain.orders import Order
from interlock.domain.rails import RAIL_CODES, check_cancel, check_order
from tests.domain_builders import BTC, a_fill, an_order, limits

MINUTE_NS = 60_000_000_000
DAY_NS = 86_400_000_000_000


def caps(**changes: Any) -> RailLimits:
    """Return generous limits with some of them changed; names of one instrument's caps are found by themselves."""
    wide = limits(quantity="1000", notional="1000000", live=1000)
    of_symbol = {key: changes.pop(key) for key in ("max_position", "collar_pct", "allow_short") if key in changes}
    symbol = msgspec.structs.replace(wide.symbols[BTC], **of_symbol)
    return msgspec.structs.replace(wide, symbols={BTC: symbol}, **changes)


def account(of: RailLimits, *, held: str = "0", cash: str | None = None) -> Exposure:
    """Return an account that holds some BTC/EUR."""
    return Exposure(of, None if cash is None else Decimal(cash), {BTC: Decimal(held)})


def order(key: str = "o1", side: Side = Side.BUY, quantity: str = "1", price: str | None = "100", **more: Any) -> Order:
    """Return an order in BTC/EUR; without a price a market order."""
    limit = None if price is None else Decimal(price)
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    return an_order(key, side=side, quantity=Decimal(quantity), limit_price=limit, order_type=kind, **more)


def code(of: RailLimits, exposure: Exposure, wanted: Order, now_ns: int = 0) -> str:
    """Return the code with which the order is refused, or ""."""
    refusal = check_order(wanted, of, exposure, now_ns, gate_open=True)
    return "" if refusal is None else refusal.code


def filled(exposure: Exposure, wanted: Order, price: str, fill_id: str, ts_ns: int = 0) -> None:
    """Let an order be sent and filled at a price."""
    exposure.reserve(wanted, ts_ns)
    fill = a_fill(fill_id, str(wanted.quantity), client_order_id=wanted.client_order_id, side=wanted.side)
    exposure.begin_day(ts_ns)
    exposure.book(fill.model_copy(update={"price": Decimal(price), "ts_ns": ts_ns}))


@pytest.mark.spec("SAF-4")
@pytest.mark.parametrize(("quantity", "said"), [("6.99", ""), ("7", ""), ("7.01", "RAIL_POSITION")])
def test_a_position_counts_what_is_held_what_is_open_and_the_order(quantity: str, said: str) -> None:
    """Two are held and one is open, so seven more reach the cap of ten."""
    of = caps(max_position=Decimal(10))
    exposure = account(of, held="2")
    exposure.reserve(order("open"), 0)
    assert code(of, exposure, order(quantity=quantity)) == said


@pytest.mark.spec("SAF-4")
def test_a_position_above_its_cap_may_still_be_made_smaller() -> None:
    of = caps(max_position=Decimal(1))
    exposure = account(of, held="5")
    assert code(of, exposure, order(side=Side.SELL, quantity="2")) == ""
    assert code(of, exposure, order(side=Side.BUY, quantity="1")) == "RAIL_POSITION"


@pytest.mark.spec("SAF-4")
def test_the_position_cap_holds_for_shorts_too() -> None:
    of = caps(max_position=Decimal(3), allow_short=True)
    exposure = account(of)
    assert code(of, exposure, order(side=Side.SELL, quantity="3")) == ""
    assert code(of, exposure, order(side=Side.SELL, quantity="3.1")) == "RAIL_POSITION"


@pytest.mark.spec("SAF-4")
@pytest.mark.parametrize(
    ("price", "said"),
    [("104.99", ""), ("105", ""), ("105.01", "RAIL_PRICE_COLLAR"), ("95", ""), ("94.99", "RAIL_PRICE_COLLAR")],
)
def test_a_limit_price_stays_within_its_collar(price: str, said: str) -> None:
    of = caps(collar_pct=Decimal(5))
    assert code(of, account(of), order(price=price, reference_price=Decimal(100))) == said


@pytest.mark.spec("SAF-4", "SAF-6")
def test_a_collar_without_a_reference_price_is_a_no() -> None:
    of = caps(collar_pct=Decimal(5))
    assert code(of, account(of), order()) == "RAIL_PRICE_COLLAR"


@pytest.mark.spec("SAF-4")
@pytest.mark.parametrize(("sold_at", "said"), [("90.01", ""), ("90", "RAIL_DAILY_LOSS"), ("89", "RAIL_DAILY_LOSS")])
def test_a_day_that_has_lost_its_cap_lets_nothing_more_out(sold_at: str, said: str) -> None:
    of = caps(daily_loss_cap=Decimal(10))
    exposure = account(of)
    filled(exposure, order("in"), "100", "f1")
    filled(exposure, order("out", side=Side.SELL), sold_at, "f2")
    assert code(of, exposure, order("next")) == said


@pytest.mark.spec("SAF-4")
def test_after_the_loss_cap_a_position_may_still_be_closed_and_the_next_day_begins_anew() -> None:
    of = caps(daily_loss_cap=Decimal(10))
    exposure = account(of)
    filled(exposure, order("in", quantity="2"), "100", "f1")
    filled(exposure, order("out", side=Side.SELL), "50", "f2")
    assert code(of, exposure, order("more")) == "RAIL_DAILY_LOSS"
    assert code(of, exposure, order("close", side=Side.SELL)) == ""
    assert code(of, exposure, order("more"), DAY_NS - 1) == "RAIL_DAILY_LOSS"
    assert code(of, exposure, order("more"), DAY_NS) == ""


@pytest.mark.spec("SAF-4")
def test_a_clock_that_goes_back_does_not_reopen_the_loss_budget() -> None:
    of = caps(daily_loss_cap=Decimal(10))
    exposure = account(of)
    filled(exposure, order("in"), "100", "f1", DAY_NS)
    filled(exposure, order("out", side=Side.SELL), "50", "f2", DAY_NS)
    assert code(of, exposure, order("next"), DAY_NS - 1) == "RAIL_DAILY_LOSS"


@pytest.mark.spec("SAF-4")
def test_messages_are_throttled_within_a_sliding_minute() -> None:
    of = caps(messages_max=3, messages_window_s=60.0)
    exposure = account(of)
    for number in range(3):
        assert code(of, exposure, order(f"o{number}", quantity=str(number + 1)), number) == ""
        exposure.reserve(order(f"o{number}", quantity=str(number + 1)), number)
    assert code(of, exposure, order("late"), MINUTE_NS - 1) == "RAIL_MESSAGE_RATE"
    assert code(of, exposure, order("late"), MINUTE_NS) == ""


@pytest.mark.spec("SAF-4")
def test_cancels_are_throttled_too() -> None:
    of = caps(messages_max=2)
    exposure = account(of)
    exposure.reserve(order("o1"), 0)
    assert check_cancel(of, exposure, 0) is None
    exposure.messages.note(0)
    refusal = check_cancel(of, exposure, 0)
    assert refusal is not None
    assert refusal.code == "RAIL_MESSAGE_RATE"
    assert check_cancel(of, exposure, MINUTE_NS) is None


@pytest.mark.spec("SAF-4")
def test_the_same_order_again_and_again_is_stopped_another_one_is_not() -> None:
    """Fifteen identical rejects in a row, each answered by the same order: not here."""
    of = caps(repeats_max=3, repeats_window_s=60.0)
    exposure = account(of)
    for number in range(3):
        assert code(of, exposure, order(f"o{number}")) == ""
        exposure.reserve(order(f"o{number}"), 0)
        exposure.release(f"o{number}")
    assert code(of, exposure, order("again")) == "RAIL_REPEATED_ORDER"
    assert code(of, exposure, order("other", price="100.01")) == ""
    assert code(of, exposure, order("again"), MINUTE_NS) == ""


@pytest.mark.spec("SAF-4")
@pytest.mark.parametrize(
    ("held", "side", "quantity", "said"),
    [
        ("2", Side.SELL, "2", ""),
        ("2", Side.SELL, "2.1", "RAIL_REDUCE_ONLY"),
        ("2", Side.BUY, "1", "RAIL_REDUCE_ONLY"),
        ("-2", Side.BUY, "2", ""),
        ("-2", Side.BUY, "2.1", "RAIL_REDUCE_ONLY"),
        ("0", Side.SELL, "1", "RAIL_REDUCE_ONLY"),
    ],
)
def test_reduce_only_cannot_flip_the_position(held: str, side: Side, quantity: str, said: str) -> None:
    of = caps(reduce_only=True, allow_short=True)
    assert code(of, account(of, held=held), order(side=side, quantity=quantity)) == said


@pytest.mark.spec("SAF-4")
def test_two_reducing_orders_cannot_flip_the_position_together() -> None:
    of = caps(reduce_only=True, allow_short=True)
    exposure = account(of, held="2")
    exposure.reserve(order("first", side=Side.SELL, quantity="1.5"), 0)
    assert code(of, exposure, order("second", side=Side.SELL, quantity="0.5")) == ""
    assert code(of, exposure, order("second", side=Side.SELL, quantity="0.6")) == "RAIL_REDUCE_ONLY"


@pytest.mark.spec("SAF-4")
def test_the_notional_cap_holds_before_the_first_account_state_arrives() -> None:
    """Cash unknown, nothing held: the cap on a single order does not wait for either."""
    of = limits(notional="1000")
    assert code(of, account(of), order(quantity="10")) == ""
    assert code(of, account(of), order(quantity="10", price="100.01")) == "RAIL_ORDER_NOTIONAL"


@pytest.mark.spec("SAF-4")
def test_every_code_of_a_rail_is_its_own() -> None:
    assert len(RAIL_CODES) == len(dict.fromkeys(RAIL_CODES)) == 17
