"""A message in words: its type, its order, and its fields on one short line without secrets."""

from __future__ import annotations

from decimal import Decimal

from interlock.domain.broker import Accepted, CancelOrder, Fill, GetSnapshot, Rejected
from interlock.domain.ids import client_order_id
from interlock.domain.intents import OrderIntent, Side
from interlock.domain.messages import CallOutcome, ExecutionsFetched, Observe, PlaceDone, SubmitIntent, Tick
from interlock.report.describe import described, line_of
from interlock.report.model import TEXT_MAX

SECRET = "sk-" + "9fQ2xLr7Vb3TzK8mWc4NdP6h"


def test_a_message_is_told_by_its_type_its_order_and_its_fields() -> None:
    assert described(CancelOrder("il-1"), "s") == ("CancelOrder", "il-1", "")
    assert described(GetSnapshot(7), "s") == ("GetSnapshot", "", "fills_after=7")
    assert described(Tick("drain"), "s") == ("Tick", "", "what=drain")


def test_an_intent_is_told_under_the_key_that_its_order_will_have() -> None:
    intent = OrderIntent(
        decision_id="d1", symbol="BTC/EUR", side=Side.BUY, quantity=Decimal("1.50"), limit_price=Decimal(90)
    )
    said = described(SubmitIntent(intent), "strat_demo")
    assert (said.kind, said.order) == ("SubmitIntent", client_order_id("strat_demo", "d1"))
    assert "symbol=BTC/EUR side=BUY quantity=1.5" in said.text


def test_a_statement_inside_a_message_is_named_with_it() -> None:
    statement = Accepted(client_order_id="il-1", broker_order_id="b-1")
    assert described(Observe(statement), "s") == ("Observe Accepted", "il-1", "broker_order_id=b-1")
    done = described(PlaceDone("il-1", CallOutcome.ANSWERED, Rejected(client_order_id="il-1", code="NO")), "s")
    assert done == ("PlaceDone Rejected", "il-1", "code=NO outcome=ANSWERED")


def test_times_are_left_out_and_containers_are_counted() -> None:
    fill = Fill(
        fill_id="f1",
        client_order_id="il-1",
        broker_order_id="b-1",
        symbol="BTC/EUR",
        side=Side.SELL,
        quantity=Decimal(1),
        price=Decimal(2),
        fee=Decimal(0),
        ts_ns=5,
        cursor=1,
    )
    assert described(ExecutionsFetched((fill, fill)), "s").text == "fills=2"
    assert "ts_ns" not in described(fill, "s").text


def test_what_is_no_struct_is_told_as_its_value() -> None:
    assert described(3, "s") == ("int", "", "value=3")


def test_a_secret_is_redacted_and_a_long_text_cut() -> None:
    said = described(Rejected(client_order_id=SECRET, code="NO", reason=f"api_key={SECRET} is unknown"), "s")
    assert SECRET not in said.order + said.text
    assert line_of({"password": "open sesame"}) == "password=[redacted]"
    assert len(line_of({"reason": "x y " * 500})) == TEXT_MAX
