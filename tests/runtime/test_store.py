"""A key is claimed once for one content, the journal shows tampering, and the kill switch latches."""

from __future__ import annotations

from decimal import Decimal

from interlock.domain.intents import OrderIntent, Side
from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import Order, advance, new_order
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store import ClaimResult


def an_order(decision: str = "d1", quantity: str = "2", now_ns: int = 0) -> Order:
    """Return an order that has just been made."""
    intent = OrderIntent(
        decision_id=decision,
        symbol="BTC/EUR",
        side=Side.BUY,
        quantity=Decimal(quantity),
        limit_price=Decimal("100.50"),
    )
    return new_order(intent, "mock", "main", "demo", now_ns)


def test_a_key_is_claimed_once() -> None:
    store = MemoryStore()
    assert [store.claim(an_order()), store.claim(an_order())] == [ClaimResult.CLAIMED, ClaimResult.KNOWN]
    assert store.claim(an_order("d2")) is ClaimResult.CLAIMED


def test_the_same_key_for_other_content_is_a_conflict() -> None:
    store = MemoryStore()
    store.claim(an_order(quantity="2"))
    assert store.claim(an_order(quantity="3")) is ClaimResult.CONFLICT
    assert store.claim(an_order(quantity="2")) is ClaimResult.KNOWN, "the first content keeps the key"


def test_the_time_of_a_decision_is_not_its_content() -> None:
    store = MemoryStore()
    store.claim(an_order(now_ns=1))
    assert store.claim(an_order(now_ns=2)) is ClaimResult.KNOWN


def test_a_number_written_otherwise_is_the_same_content() -> None:
    store = MemoryStore()
    store.claim(an_order(quantity="2"))
    assert store.claim(an_order(quantity="2.00")) is ClaimResult.KNOWN


def test_the_journal_keeps_every_record_in_order() -> None:
    store, order = MemoryStore(), an_order()
    sent = advance(order, OrderEvent.SEND, 5)
    store.claim(order)
    store.journal(sent)
    store.claim(order)
    assert store.records() == (order, sent), "a claim that took nothing records nothing"


def test_an_untouched_store_has_no_complaint() -> None:
    store = MemoryStore()
    assert store.complaint() == ""
    for n in range(3):
        store.claim(an_order(f"d{n}"))
    assert store.complaint() == ""


def test_the_kill_switch_latches_and_keeps_its_first_reason() -> None:
    store = MemoryStore()
    assert store.kill_switch() == ""
    store.engage_kill_switch("loss limit")
    store.engage_kill_switch("operator")
    assert store.kill_switch() == "loss limit"


def test_two_stores_share_nothing() -> None:
    one, other = MemoryStore(), MemoryStore()
    one.claim(an_order())
    one.engage_kill_switch("loss limit")
    assert (other.claim(an_order()), other.kill_switch()) == (ClaimResult.CLAIMED, "")
