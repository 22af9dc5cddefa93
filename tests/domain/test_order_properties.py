"""Whatever reaches us about one order, in whatever order and how often, its quantities stay right.

A model broker lives through one order and makes statements about it. What reaches us is any selection of them, in any
order and any number, between what we do ourselves: time-outs, cancels, looks at the broker. A second model lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.broker import (
    Accepted,
    BrokerMessage,
    BrokerOrder,
    BrokerStatus,
    Cancelled,
    CancelRefused,
    Expired,
    Fill,
    Rejected,
    statements_of,
)
from interlock.domain.errors import IllegalTransition, InvariantBroken
from interlock.domain.intents import Side
from interlock.domain.money import ZERO
from interlock.domain.order_states import ORDER_TABLE, TERMINAL_ORDER_STATES, OrderEvent, OrderState
from interlock.domain.orders import Order, advance, book_fill
from interlock.runtime.memory_store import MemoryStore
from tests.domain_builders import BTC, a_broker_order, a_fill, an_exposure, an_order, limits

ORDERED: Final = 10
CASH: Final = Decimal(1_000_000)

LAST_WORDS_CHANGED: Final = {
    (OrderState.CANCELLED, OrderState.FILLED),
    (OrderState.EXPIRED, OrderState.FILLED),
    (OrderState.VOID, OrderState.QUARANTINED),
}
"""How an ending may change: the fills that were under way completed it, or a broker disproved its own "not found"."""


# -- the broker's side ------------------------------------------------------------------------------------------


class Life(msgspec.Struct, frozen=True):
    """What becomes of an order at the broker: its fills in order, and where it stands after them."""

    sizes: tuple[int, ...]
    status: BrokerStatus

    @property
    def filled(self) -> int:
        """Return the cumulative quantity."""
        return sum(self.sizes)

    def fills(self) -> tuple[Fill, ...]:
        """Return every execution."""
        return tuple(
            a_fill(f"f{at}", str(size), price=str(100 - at), fee="0.1", cursor=at, ts_ns=at)
            for at, size in enumerate(self.sizes, 1)
        )

    def statements(self) -> tuple[BrokerMessage, ...]:
        """Return everything the broker ever says by itself, and the refusal of a cancel that came too late."""
        if self.status is BrokerStatus.REJECTED:
            return (Rejected(client_order_id="o1", code="no margin"),)
        said = (Accepted(client_order_id="o1", broker_order_id="b1"), *self.fills())
        if self.status is BrokerStatus.CANCELLED:
            return (*said, Cancelled(client_order_id="o1", filled=Decimal(self.filled)))
        if self.status is BrokerStatus.EXPIRED:
            return (*said, Expired(client_order_id="o1", filled=Decimal(self.filled)))
        return (*said, CancelRefused(client_order_id="o1", code="too late"))

    def answer(self) -> BrokerOrder:
        """Return what the broker says when it is asked about the order by id."""
        return a_broker_order(filled=str(self.filled), status=self.status, fills=self.fills())


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Draw a life. Only an order with something left can be open, cancelled or expired."""
    sizes: list[int] = []
    for size in draw(st.lists(st.integers(1, 4), max_size=5)):
        if sum(sizes) + size <= ORDERED:
            sizes.append(size)
    if not sizes and draw(st.booleans()):
        return Life((), BrokerStatus.REJECTED)
    if draw(st.booleans()):
        rest = ORDERED - sum(sizes)
        return Life((*sizes, *([rest] if rest else [])), BrokerStatus.FILLED)
    if sum(sizes) == ORDERED:
        return Life(tuple(sizes), BrokerStatus.FILLED)
    ends = (BrokerStatus.OPEN, BrokerStatus.CANCELLED, BrokerStatus.EXPIRED)
    return Life(tuple(sizes), draw(st.sampled_from(ends)))


OURS: Final = (OrderEvent.PLACE_UNKNOWN, OrderEvent.CANCEL_REQUEST, OrderEvent.CANCEL_UNKNOWN)
"""What happens on our side: a time-out, a cancel, a cancel without an answer."""

LIES: Final = (
    a_fill("other", "11"),
    a_fill("more", "7", cursor=50),
    a_fill("yet more", "4", cursor=51),
    a_fill("f1", "3", price="77"),
    a_fill("wrong side", side=Side.SELL),
    a_fill("wrong symbol", symbol="ETH/EUR"),
    a_fill("stranger", client_order_id="o2"),
    Rejected(client_order_id="o1", code="no margin"),
    Accepted(client_order_id="o1", broker_order_id="b2"),
    Cancelled(client_order_id="o1", filled=Decimal(99)),
    OrderEvent.NOT_FOUND,
)

Fact = BrokerMessage | OrderEvent

_ENDS: Final = {Rejected: OrderEvent.REJECT, Cancelled: OrderEvent.CANCEL_ACK, Expired: OrderEvent.EXPIRE}


@st.composite
def stories(draw: st.DrawFn, *, with_lies: bool = False) -> tuple[Life, list[Fact]]:
    """Draw a life and what reaches us of it: lost, repeated and out of order, mixed with what we do ourselves."""
    life = draw(lives())
    facts = (*life.statements(), *life.answer().fills, *OURS, *(LIES if with_lies else ()))
    heard: list[Fact] = []
    for at in draw(st.lists(st.integers(0, len(facts)), max_size=16)):
        heard += statements_of(life.answer()) if at == len(facts) else [facts[at]]
    return life, heard


# -- our side ---------------------------------------------------------------------------------------------------


class Desk:
    """One order that has been sent, the account behind it and the journal: the fold of a session, without a session."""

    def __init__(self) -> None:
        self.exposure = an_exposure(limits(quantity="100", notional="100000"), cash=str(CASH), held="0")
        self.journal = MemoryStore()
        self.now_ns = 0
        new = an_order()
        self.journal.claim(new)
        self.order = new
        self._step(OrderEvent.SEND)
        self.exposure.reserve(self.order, 0)

    def hear(self, fact: Fact) -> None:
        """Fold one fact in; raises where it contradicts what must always hold."""
        self.now_ns += 1
        if isinstance(fact, OrderEvent):
            if ORDER_TABLE.allows(self.order.state, fact):  # what we do ourselves, we do where it makes sense
                self._step(fact)
                self._free(ZERO)
        elif isinstance(fact, Fill):
            if not self.exposure.fills.repeats(fact):
                filled = book_fill(self.order, fact, self.now_ns)
                self.exposure.book(fact)
                self._keep(filled)
        elif isinstance(fact, Accepted):
            self.exposure.accepted(fact)
            self._step(OrderEvent.ACCEPT, fact.broker_order_id)
        elif isinstance(fact, CancelRefused):
            event = OrderEvent.CANCEL_REFUSED_PARTIAL if self.order.filled else OrderEvent.CANCEL_REFUSED
            if ORDER_TABLE.allows(self.order.state, event):
                self._step(event)
        else:
            assert isinstance(fact, Rejected | Cancelled | Expired)
            self._step(_ENDS[type(fact)])
            self._free(ZERO if isinstance(fact, Rejected) else fact.filled)

    def _free(self, filled_there: Decimal) -> None:
        """Give the reservation back once the order is over and no fill of it is missing."""
        if not self.order.live and self.order.filled >= filled_there:
            self.exposure.release(self.order.client_order_id)

    def _step(self, event: OrderEvent, broker_order_id: str | None = None) -> None:
        after = advance(self.order, event, self.now_ns, broker_order_id=broker_order_id)
        if (after.state, after.broker_order_id) != (self.order.state, self.order.broker_order_id):
            self._keep(after)

    def _keep(self, after: Order) -> None:
        self.journal.journal(after)
        self.order = after

    def books(self) -> tuple[object, ...]:
        """Return everything that is believed, to see whether it changed."""
        exposure = self.exposure
        return (
            self.order,
            self.journal.records(),
            exposure.fills.since(0),
            exposure.ledger.positions(),
            exposure.ledger.cash,
            exposure.ledger.fees,
            exposure.reserved_cash,
            exposure.open_quantity(BTC, Side.BUY),
            exposure.live_orders,
        )


def check(desk: Desk) -> None:
    """The invariants of SAF-1 for one order: its label, its fills, the position and the cash tell one story."""
    order, ledger = desk.order, desk.exposure.ledger
    fills = desk.exposure.fills.since(0)
    booked = sum((fill.quantity for fill in fills), ZERO)
    assert len({fill.fill_id for fill in fills}) == len(fills)
    assert 0 <= order.filled <= order.quantity
    assert order.filled == booked == ledger.position(BTC).quantity
    assert ledger.cash == CASH - sum((fill.quantity * fill.price + fill.fee for fill in fills), ZERO)
    assert order.filled == order.quantity or order.state is not OrderState.FILLED
    assert order.filled < order.quantity or order.state in (OrderState.FILLED, OrderState.QUARANTINED)
    assert desk.exposure.open_quantity(BTC, Side.BUY) in ((order.leaves,) if order.live else (0, order.leaves))


def told(facts: list[Fact]) -> Iterator[tuple[Desk, Order]]:
    """Fold facts in one after the other; yield the desk after each, and the order as it was before."""
    desk = Desk()
    for fact in facts:
        before, books = desk.order, desk.books()
        try:
            desk.hear(fact)
        except (InvariantBroken, IllegalTransition):
            assert desk.books() == books, "a contradiction changes nothing"
        yield desk, before


# -- the laws ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("SAF-1", "SAF-5", "FLT-5", "FLT-6", "FLT-7")
@given(stories())
def test_any_interleaving_keeps_the_quantities_right(story: tuple[Life, list[Fact]]) -> None:
    """No true statement ever contradicts another, and after each of them all books agree."""
    life, facts = story
    desk = Desk()
    seen: dict[str, Decimal] = {}
    for fact in facts:
        if isinstance(fact, Fill):
            seen[fact.fill_id] = fact.quantity
        desk.hear(fact)
        check(desk)
        assert desk.order.filled == sum(seen.values(), ZERO) <= life.filled


@pytest.mark.spec("SAF-1", "SAF-5", "FLT-5")
@given(stories(with_lies=True))
def test_whatever_arrives_a_contradiction_raises_and_changes_nothing(story: tuple[Life, list[Fact]]) -> None:
    for desk, _ in told(story[1]):
        check(desk)


@pytest.mark.spec("SAF-1", "SAF-5", "FLT-9")
@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (a_fill("one too many", "9", cursor=9), "overfill"),
        (a_fill("f1", "2", price="77", fee="0.1"), "fill_conflict"),
        (a_fill("wrong side", side=Side.SELL), "fill_mismatch"),
        (a_fill("wrong symbol", symbol="ETH/EUR"), "fill_mismatch"),
        (Accepted(client_order_id="o1", broker_order_id="b2"), "two_broker_orders"),
    ],
)
def test_a_lie_about_a_working_order_is_named_and_not_believed(lie: BrokerMessage, code: str) -> None:
    desk, life = Desk(), Life((2,), BrokerStatus.OPEN)
    for statement in life.statements():
        desk.hear(statement)
    books = desk.books()
    with pytest.raises(InvariantBroken) as broken:
        desk.hear(lie)
    assert broken.value.code == code
    assert desk.books() == books


@pytest.mark.spec("SAF-1")
@pytest.mark.parametrize("lie", [Accepted(client_order_id="o1", broker_order_id="b1"), a_fill()])
def test_what_contradicts_a_refusal_is_not_believed(lie: BrokerMessage) -> None:
    desk = Desk()
    desk.hear(Rejected(client_order_id="o1", code="no margin"))
    filled = desk.order.filled
    with pytest.raises(IllegalTransition):
        desk.hear(lie)
    assert (desk.order.state, desk.order.filled) == (OrderState.REJECTED, filled)


@pytest.mark.spec("SAF-1", "FLT-6")
@given(stories(with_lies=True))
def test_an_order_that_is_over_never_lives_again(story: tuple[Life, list[Fact]]) -> None:
    for desk, before in told(story[1]):
        if before.state in TERMINAL_ORDER_STATES:
            assert not desk.order.live
            assert desk.order.state is before.state or (before.state, desk.order.state) in LAST_WORDS_CHANGED
        assert desk.order.version >= before.version
        assert desk.order.filled >= before.filled


def test_the_table_lets_no_ending_live_again() -> None:
    """The same law by every pair there is, so that no story had to be lucky."""
    endings = {
        (before, after)
        for (before, _), after in ORDER_TABLE.rows.items()
        if before in TERMINAL_ORDER_STATES and after is not before
    }
    assert endings == LAST_WORDS_CHANGED


@pytest.mark.spec("SAF-1")
@given(stories(with_lies=True))
def test_a_time_out_never_becomes_a_refusal_or_a_cancel(story: tuple[Life, list[Fact]]) -> None:
    for desk, before in told([*story[1]]):
        for silence in (OrderEvent.PLACE_UNKNOWN, OrderEvent.CANCEL_UNKNOWN):
            if ORDER_TABLE.allows(desk.order.state, silence):
                after = advance(desk.order, silence, 0)
                assert after.state in (desk.order.state, OrderState.UNKNOWN)
        assert before.client_order_id == desk.order.client_order_id


@pytest.mark.spec("REC-8", "FLT-6", "FLT-7")
@given(stories())
def test_asking_the_broker_at_the_end_finds_whatever_was_lost(story: tuple[Life, list[Fact]]) -> None:
    """Nothing but the answer about the order is needed, whatever was heard before."""
    life, facts = story
    desk = Desk()
    for fact in (*facts, *statements_of(life.answer())):
        desk.hear(fact)
    check(desk)
    assert desk.order.filled == life.filled
    assert desk.order.live == (life.status is BrokerStatus.OPEN)
    if not desk.order.live:
        assert desk.order.state is OrderState(life.status)


@pytest.mark.spec("SAF-5", "FLT-5", "FLT-9")
@given(stories())
def test_hearing_everything_a_second_time_books_nothing(story: tuple[Life, list[Fact]]) -> None:
    desk = Desk()
    for fact in story[1]:
        desk.hear(fact)
    filled, cash, fills = desk.order.filled, desk.exposure.ledger.cash, desk.exposure.fills.since(0)
    for fact in story[1]:
        desk.hear(fact)
        check(desk)
    assert (desk.order.filled, desk.exposure.ledger.cash, desk.exposure.fills.since(0)) == (filled, cash, fills)


def folded(records: tuple[Order, ...]) -> dict[str, Order]:
    """Return the orders of a journal: of each key, the highest version."""
    orders: dict[str, Order] = {}
    for record in records:
        known = orders.get(record.client_order_id)
        if known is None or record.version > known.version:
            orders[record.client_order_id] = record
    return orders


@pytest.mark.spec("SAF-1")
@given(stories(with_lies=True))
def test_folding_the_journal_twice_gives_the_same(story: tuple[Life, list[Fact]]) -> None:
    """Once over, twice over, or in two halves that overlap: the order as it is believed, and no version is skipped."""
    desk = Desk()
    for desk, _ in told(story[1]):  # noqa: B007 - the last one is wanted
        pass
    records = desk.journal.records()
    assert folded(records) == folded((*records, *records)) == {"o1": desk.order}
    half = len(records) // 2
    assert folded((*records[half:], *records[: half + 1])) == folded(records)
    assert [record.version for record in records] == list(range(len(records)))
    assert desk.journal.complaint() == ""


@pytest.mark.spec("SAF-1")
@given(stories(with_lies=True))
def test_the_same_story_is_the_same_journal(story: tuple[Life, list[Fact]]) -> None:
    first, second = ([desk.journal.records() for desk, _ in told(story[1])] for _ in range(2))
    assert first == second
