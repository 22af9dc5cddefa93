"""What a broker says is checked at the door, cannot be changed, and an answer equals the statements it stands for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from interlock.domain import broker
from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerMessage,
    BrokerStatus,
    Cancelled,
    Expired,
    OrderNotFound,
    PositionClaim,
    PositionLine,
    Rejected,
    Throttled,
    Unavailable,
    statements_of,
)
from tests.domain_builders import a_broker_order, a_fill, a_snapshot

SAID = [
    Accepted(client_order_id="o1", broker_order_id="b1"),
    Rejected(client_order_id="o1", code="no", reason="why"),
    a_fill(),
    Cancelled(client_order_id="o1", filled=Decimal(0)),
    broker.CancelRefused(client_order_id="o1", code="filled"),
    Expired(client_order_id="o1", filled=Decimal(3)),
    OrderNotFound(client_order_id="o1"),
    a_broker_order(fills=(a_fill(),)),
    Throttled(retry_after_s=1.5),
    Unavailable(reason="try later"),
    broker.Undelivered(reason="no route"),
    broker.Reconnected(reason="back"),
    broker.Unreadable(text="?"),
    PositionClaim(symbol="BTC/EUR", quantity=Decimal(-1), transaction_id="t", ts_ns=1),
    PositionLine(symbol="BTC/EUR", quantity=Decimal(1), average_price=Decimal(5)),
    BrokerLimits(daily_loss_cap=Decimal(100), symbol_caps={"BTC/EUR": Decimal("0.5")}),
    a_snapshot({"BTC/EUR": "1"}, "5", (a_broker_order(),), (a_fill(),)),
]


def test_every_statement_is_in_the_list_above_and_names_its_own_schema() -> None:
    models = [
        value
        for name in broker.__all__
        if isinstance(value := getattr(broker, name), type) and issubclass(value, BaseModel)
    ]
    assert sorted(type(one).__name__ for one in SAID) == sorted(
        model.__name__ for model in models if model is not BrokerMessage
    )
    assert [model.SCHEMA for model in models if issubclass(model, BrokerMessage)] == [
        f"{model.__name__}/1" for model in models
    ]


@pytest.mark.parametrize("said", SAID, ids=lambda said: type(said).__name__)
def test_a_statement_cannot_be_changed_and_has_no_unknown_parts(said: BrokerMessage) -> None:
    name = next(iter(type(said).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(said, name, "other")
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(said).model_validate({**dict(said), "more": 1})


@pytest.mark.parametrize("said", SAID, ids=lambda said: type(said).__name__)
def test_a_statement_is_read_back_from_its_own_json(said: BrokerMessage) -> None:
    assert type(said).model_validate_json(said.model_dump_json()) == said


@pytest.mark.spec("BRK-1")
@pytest.mark.parametrize("cap", ["0", "-1", "NaN", "Infinity", "1E+5", 1.5, True, ""])
def test_a_limit_is_a_plain_positive_number_or_none(cap: Any) -> None:
    for limits in ({"daily_loss_cap": cap}, {"symbol_caps": {"BTC/EUR": cap}}):
        with pytest.raises(ValidationError):
            BrokerLimits.model_validate(limits)
    assert BrokerLimits() == BrokerLimits(daily_loss_cap=None, symbol_caps={})


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity", "1E+5", 1.5, True, None, ""])
def test_a_fill_has_a_plain_positive_quantity_or_does_not_come_in(quantity: Any) -> None:
    with pytest.raises(ValidationError):
        a_fill(quantity=quantity)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fill_id": ""},
        {"fill_id": "x" * 65},
        {"symbol": ""},
        {"side": "BUY"},
        {"side": "HOLD"},
        {"price": "0"},
        {"fee": "abc"},
        {"ts_ns": "1"},
        {"ts_ns": 1.0},
        {"cursor": True},
    ],
    ids=str,
)
def test_a_fill_with_a_part_of_the_wrong_kind_does_not_come_in(wrong: dict[str, Any]) -> None:
    """Python objects are taken strictly: a text is no side and no time."""
    with pytest.raises(ValidationError):
        a_fill(**wrong)


@pytest.mark.parametrize("filled", ["-1", "-0.000001"])
def test_nobody_can_have_filled_less_than_nothing(filled: str) -> None:
    with pytest.raises(ValidationError):
        a_broker_order(filled=filled)
    for ending in (Cancelled, Expired):
        with pytest.raises(ValidationError):
            ending(client_order_id="o1", filled=Decimal(filled))


@pytest.mark.parametrize("seconds", [-0.1, float("inf"), float("nan")])
def test_advice_to_wait_is_a_finite_time(seconds: float) -> None:
    assert Throttled(retry_after_s=0.0).retry_after_s == 0
    assert Throttled().retry_after_s is None
    with pytest.raises(ValidationError):
        Throttled(retry_after_s=seconds)


def test_a_text_of_the_broker_is_bounded() -> None:
    assert Unavailable(reason="x" * 500)
    with pytest.raises(ValidationError):
        Unavailable(reason="x" * 501)


FILLS = (a_fill("f1"), a_fill("f2"))
KNOWN = Accepted(client_order_id="o1", broker_order_id="b1")


@pytest.mark.parametrize(
    ("status", "statements"),
    [
        (BrokerStatus.OPEN, (KNOWN, *FILLS)),
        (BrokerStatus.FILLED, (KNOWN, *FILLS)),
        (BrokerStatus.CANCELLED, (KNOWN, *FILLS, Cancelled(client_order_id="o1", filled=Decimal(2)))),
        (BrokerStatus.EXPIRED, (KNOWN, *FILLS, Expired(client_order_id="o1", filled=Decimal(2)))),
    ],
)
def test_an_answer_says_what_its_single_statements_would_have_said(
    status: BrokerStatus, statements: tuple[BrokerMessage, ...]
) -> None:
    """Fills come before the end, so that the end finds them booked."""
    assert statements_of(a_broker_order(status=status, filled="2", fills=FILLS)) == statements


def test_a_rejected_order_never_worked_so_its_answer_says_only_that() -> None:
    assert statements_of(a_broker_order(status=BrokerStatus.REJECTED)) == (
        Rejected(client_order_id="o1", code="rejected"),
    )
