"""Which order a fault is put to."""

from __future__ import annotations

import pytest

from interlock.report.faults import Struck, with_orders
from interlock.report.model import Row

SYMBOLS = {"one": "BTC/EUR", "two": "BTC/EUR", "three": "ETH/EUR"}


def said(kind: str, order: str, sender: str = "orchestrator", to: str = "broker") -> Row:
    """Return a message about an order."""
    return Row(1, 1, sender, to, "data", kind, order, "")


def put_to(fault: Struck, *before: Row) -> str:
    """Return the order that a fault is put to after these messages."""
    row = Row(2, 2, "broker", "", "fault", "FAULT", "", "", 9)
    *_, shown = with_orders([*before, row], {9: fault}, SYMBOLS)
    return shown.order


def done(kind: str, order: str) -> Row:
    """Return the orchestrator's word that a call is over."""
    return said(kind, order, to="orchestrator")


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        (("BTC/EUR", "place"), "two"),
        (("BTC/EUR", "cancel"), "one"),
        (("ETH/EUR", "place"), "three"),
        (("ETH/EUR", "cancel"), ""),
        (("", "query"), ""),
        (("", "snapshot"), ""),
        (("", ""), ""),
        (("ETH/EUR", ""), "three"),
        (("BTC/EUR", ""), "two"),
        (("XRP/EUR", ""), ""),
    ],
)
def test_a_fault_belongs_to_the_open_call_of_its_kind_or_to_who_was_dealt_with_last(fault: Struck, order: str) -> None:
    open_calls = (said("CancelOrder", "one"), said("PlaceOrder", "three"), said("PlaceOrder", "two"))
    assert put_to(fault, *open_calls) == order


def test_a_call_that_is_done_takes_no_more_faults() -> None:
    asked = said("QueryOrder", "one")
    assert put_to(("", "query"), asked) == "one"
    assert put_to(("", "query"), asked, done("QueryDone BrokerOrder", "one")) == ""


def test_of_two_open_calls_the_later_one_is_struck() -> None:
    first, second = said("PlaceOrder", "one"), said("PlaceOrder", "two")
    assert put_to(("BTC/EUR", "place"), first, second) == "two"
    assert put_to(("BTC/EUR", "place"), first, second, first) == "one"
