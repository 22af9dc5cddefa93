"""What a host may ask for, and what is refused at its door."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from interlock.domain.intents import OrderType, Side, TimeInForce
from tests.domain_builders import an_intent


def test_an_intent_is_a_limit_order_till_cancelled_unless_it_says_otherwise() -> None:
    intent = an_intent()
    assert (intent.side, intent.order_type, intent.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.GTC)
    assert (intent.quantity, intent.limit_price, intent.reference_price) == (Decimal(10), Decimal(100), None)


def test_an_intent_cannot_be_changed() -> None:
    intent = an_intent()
    with pytest.raises(ValidationError, match="frozen"):
        intent.quantity = Decimal(11)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"order_type": "LIMIT", "limit_price": "100"}, True),
        ({"order_type": "MARKET", "limit_price": None}, True),
        ({"order_type": "LIMIT", "limit_price": None}, False),
        ({"order_type": "MARKET", "limit_price": "100"}, False),
    ],
)
def test_a_limit_order_has_a_limit_and_a_market_order_has_none(wanted: dict[str, Any], *, fits: bool) -> None:
    if fits:
        assert an_intent(**wanted).order_type == wanted["order_type"]
        return
    with pytest.raises(ValidationError, match="a LIMIT order has a limit_price and a MARKET order has none"):
        an_intent(**wanted)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": "0"},
        {"quantity": "-1"},
        {"quantity": 0.1},
        {"limit_price": "0"},
        {"reference_price": "-1"},
        {"side": "buy"},
        {"side": "HOLD"},
        {"order_type": "STOP"},
        {"time_in_force": "FOK"},
        {"more": 1},
        *({"decision_id": name} for name in ("", " ", "-a", "a b", "a\n", "a/b", "x" * 65, "\u00e9", None, 5)),
        *({"symbol": name} for name in ("", "/a", "a b", "x" * 65, "\u20bf")),
    ],
    ids=str,
)
def test_anything_else_is_refused_with_the_name_of_the_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        an_intent(**wrong)
    (fault,) = refusal.value.errors()
    assert fault["loc"] == tuple(wrong)


@pytest.mark.parametrize("name", ["a", "9", "a.b_c:d-e", "x" * 64])
def test_plain_names_are_taken(name: str) -> None:
    assert an_intent(decision_id=name, symbol=name).decision_id == name
    assert an_intent(symbol="BTC/EUR-perp").symbol == "BTC/EUR-perp"
