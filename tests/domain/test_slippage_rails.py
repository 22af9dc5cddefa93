"""The rails of lot steps and slippage presets: at and just above each boundary, and closed where a fact is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from interlock.domain.intents import OrderType, Side
from interlock.domain.limits import RailLimits
from interlock.domain.orders import Order
from interlock.domain.rails import check_order
from interlock.domain.slippage import DEFAULT_SESSIONS, SlippagePreset, SlippagePresets
from tests.domain_builders import BTC, an_exposure, an_order, limits

HOUR_NS = 3_600_000_000_000
EU_NS, US_NS = 7 * HOUR_NS, 13 * HOUR_NS
PRESETS = SlippagePresets(DEFAULT_SESSIONS, [SlippagePreset(BTC, "eu", Decimal(3))])


def caps(presets: SlippagePresets | None = PRESETS, **of_symbol: Any) -> RailLimits:
    """Return wide limits with presets for a pip of 0.01."""
    wide = limits(quantity="1000", notional="1000000", allow_short=True)
    symbol = msgspec.structs.replace(wide.symbols[BTC], **{"pip_size": Decimal("0.01"), **of_symbol})
    return msgspec.structs.replace(wide, symbols={BTC: symbol}, slippage=presets)


def an_order_at(price: str | None, side: Side = Side.BUY, reference: str | None = "100") -> Order:
    """Return an order for one BTC/EUR; without a price a market order."""
    return an_order(
        side=side,
        quantity=Decimal(1),
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        limit_price=None if price is None else Decimal(price),
        reference_price=None if reference is None else Decimal(reference),
    )


def code(order: Order, of: RailLimits | None = None, now_ns: int = EU_NS) -> str:
    """Return the code with which the order is refused, or ""."""
    of = of or caps()
    refusal = check_order(order, of, an_exposure(of, cash=None), now_ns, gate_open=True)
    return "" if refusal is None else refusal.code


# -- slippage -----------------------------------------------------------------------------------------------


@pytest.mark.spec("SLP-1", "SAF-4")
@pytest.mark.parametrize(
    ("side", "price", "said"),
    [
        (Side.BUY, "100.03", ""),
        (Side.BUY, "100.030000000000000001", "RAIL_SLIPPAGE"),
        (Side.BUY, "50", ""),
        (Side.SELL, "99.97", ""),
        (Side.SELL, "99.969999999999999999", "RAIL_SLIPPAGE"),
        (Side.SELL, "200", ""),
    ],
)
def test_a_limit_price_is_no_worse_than_its_preset_allows(side: Side, price: str, said: str) -> None:
    assert code(an_order_at(price, side)) == said


@pytest.mark.spec("SLP-1", "SAF-6")
def test_without_a_reference_price_or_a_pip_size_a_preset_is_a_no() -> None:
    assert code(an_order_at("100", reference=None)) == "RAIL_SLIPPAGE"
    assert code(an_order_at("100"), caps(pip_size=None)) == "RAIL_SLIPPAGE"


@pytest.mark.spec("SLP-1", "SAF-6")
def test_a_market_order_has_no_price_to_hold_but_needs_its_reference() -> None:
    assert code(an_order_at(None)) == ""
    assert code(an_order_at(None, reference=None)) == "RAIL_NO_PRICE"


@pytest.mark.spec("SLP-2")
@pytest.mark.parametrize("price", ["100", None])
def test_without_a_preset_for_the_symbol_and_the_session_nothing_leaves(price: str | None) -> None:
    order = an_order_at(price)
    assert code(order, now_ns=US_NS - 1) == ""
    assert code(order, now_ns=US_NS) == code(order, now_ns=EU_NS - 1) == "RAIL_SLIPPAGE_PRESET"
    other = SlippagePresets(DEFAULT_SESSIONS, [SlippagePreset("ETH/EUR", "eu", Decimal(3))])
    assert code(order, caps(other)) == "RAIL_SLIPPAGE_PRESET"
    refusal = check_order(order, caps(), an_exposure(caps(), cash=None), US_NS, gate_open=True)
    assert refusal is not None
    assert refusal.reason == "BTC/EUR has no slippage preset for session us"


@pytest.mark.spec("SLP-2")
def test_presets_without_an_entry_let_nothing_out_and_no_presets_ask_for_nothing() -> None:
    assert code(an_order_at("100"), caps(SlippagePresets(DEFAULT_SESSIONS, ()))) == "RAIL_SLIPPAGE_PRESET"
    assert code(an_order_at("120"), caps(None)) == code(an_order_at("120", reference=None), caps(None)) == ""


# -- lot steps ----------------------------------------------------------------------------------------------


@pytest.mark.spec("SAF-4")
@pytest.mark.parametrize(
    ("quantity", "step", "said"),
    [
        ("0.3", "0.1", ""),
        ("0.1", "0.1", ""),
        ("0.35", "0.1", "RAIL_LOT_STEP"),
        ("0.05", "0.1", "RAIL_LOT_STEP"),
        ("0.300000000000000001", "0.1", "RAIL_LOT_STEP"),
        ("7", "2.5", "RAIL_LOT_STEP"),
        ("7.5", "2.5", ""),
        ("0.12345", None, ""),
    ],
)
def test_an_order_is_a_whole_number_of_lot_steps(quantity: str, step: str | None, said: str) -> None:
    of = caps(None, lot_step=None if step is None else Decimal(step))
    assert code(an_order(quantity=Decimal(quantity)), of) == said
