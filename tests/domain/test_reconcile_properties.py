"""Laws of reconciling, over any two sides: equal ones agree, swapped ones mirror, the order of lists is nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.broker import BrokerOrder, BrokerSnapshot, BrokerStatus, Fill
from interlock.domain.findings import DiffType, Finding, FindingKind, Severity, Tolerances
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order
from interlock.domain.recon_orders import order_findings
from interlock.domain.reconcile import LocalView, survivors
from tests.domain_builders import a_broker_order, a_fill, a_snapshot, a_view, an_order, differences

PIPS: Final = Tolerances(pip_sizes={"A": Decimal("0.01"), "B": Decimal(1)})

MIRRORED: Final = {
    FindingKind.STALE_LOCAL_ORDER: FindingKind.ORPHAN_BROKER_ORDER,
    FindingKind.ORPHAN_BROKER_ORDER: FindingKind.STALE_LOCAL_ORDER,
    FindingKind.FILL_MISSING_LOCALLY: FindingKind.FILL_ORPHANED,
    FindingKind.FILL_ORPHANED: FindingKind.FILL_MISSING_LOCALLY,
}
"""What a finding is called from the other side; all others keep their name.

Four kinds are not of two equals and stay out of the sides drawn here: an unknown outcome and a stuck order are about
our own waiting, an out-of-order fill about our own stream, and a duplicated fill asks which side counted twice.
"""


class Side(msgspec.Struct, frozen=True):
    """One side of a comparison, before it is ours or theirs. Orders: status, quantity, filled, price."""

    positions: dict[str, tuple[str, str]]
    cash: str | None
    orders: dict[str, tuple[BrokerStatus, int, int, int]]
    fills: dict[str, int]


def here(side: Side) -> LocalView:
    """Return the side as ours."""
    return a_view(
        {name: quantity for name, (quantity, _) in side.positions.items()},
        side.cash,
        tuple(_our_order(key, *content) for key, content in side.orders.items()),
        _fills(side),
        prices={name: price for name, (_, price) in side.positions.items()},
    )


def there(side: Side) -> BrokerSnapshot:
    """Return the side as the broker's."""
    return a_snapshot(
        {name: quantity for name, (quantity, _) in side.positions.items()},
        side.cash,
        tuple(_their_order(key, *content) for key, content in side.orders.items()),
        _fills(side),
        prices={name: price for name, (_, price) in side.positions.items()},
    )


def _our_order(key: str, status: BrokerStatus, quantity: int, filled: int, price: int) -> Order:
    working = OrderState.PARTIAL if filled else OrderState.ACK
    state = working if status is BrokerStatus.OPEN else OrderState(status)
    return an_order(key, state=state, quantity=Decimal(quantity), filled=Decimal(filled), limit_price=Decimal(price))


def _their_order(key: str, status: BrokerStatus, quantity: int, filled: int, price: int) -> BrokerOrder:
    return a_broker_order(key, status=status, quantity=str(quantity), filled=f"{filled}.0", limit_price=str(price))


def _fills(side: Side) -> tuple[Fill, ...]:
    """Return the fills; each id has a price of its own, so that no two are twins of each other."""
    return tuple(a_fill(name, str(quantity), price=str(ord(name))) for name, quantity in side.fills.items())


amounts = st.integers(-5000, 5000).map(lambda number: str(Decimal(number) / 1000))
prices = st.integers(1, 400).map(lambda number: str(Decimal(number) / 4))
orders = st.tuples(st.sampled_from(BrokerStatus), st.integers(9, 10), st.integers(0, 2), st.integers(1, 2))
sides = st.builds(
    Side,
    st.dictionaries(st.sampled_from("ABC"), st.tuples(amounts, prices)),
    st.none() | amounts,
    st.dictionaries(st.sampled_from(["o1", "o2", "o3", "o4", "o5"]), orders),
    st.dictionaries(st.sampled_from("fghi"), st.integers(1, 2)),
)


def told(found: tuple[Finding, ...]) -> list[tuple[object, ...]]:
    """Return what a mirror shows of findings: kind, subject, both sides, distances; orders without our own words."""

    def words(finding: Finding, text: str) -> str:
        return text.partition(" ")[2] if finding.diff_type is DiffType.ORDER else text

    return [
        (
            one.kind,
            one.subject,
            words(one, one.internal),
            words(one, one.external),
            None if one.delta is None else abs(one.delta),
            one.drift_pips,
        )
        for one in found
    ]


@pytest.mark.spec("REC-1", "REC-2", "REC-3", "REC-4")
@given(sides, st.sampled_from([0, 10**18]))
def test_equal_sides_have_no_findings(side: Side, now_ns: int) -> None:
    assert differences(here(side), there(side), PIPS, now_ns) == ()


@pytest.mark.spec("REC-1", "REC-2", "REC-3", "REC-4")
@given(sides, sides)
def test_swapping_the_sides_mirrors_kinds_and_absolute_deltas(left: Side, right: Side) -> None:
    """Neither side is believed more than the other."""
    seen = told(differences(here(left), there(right), PIPS))
    mirrored = [
        (MIRRORED.get(kind, kind), subject, ours, theirs, *distances)  # type: ignore[call-overload]  # kinds by kind
        for kind, subject, theirs, ours, *distances in told(differences(here(right), there(left), PIPS))
    ]
    assert sorted(seen, key=repr) == sorted(mirrored, key=repr)


@pytest.mark.spec("REC-1", "REC-4")
@given(sides, sides)
def test_swapping_the_sides_turns_every_delta_around(left: Side, right: Side) -> None:
    deltas = {one.subject: one.delta for one in differences(here(left), there(right), PIPS) if one.delta is not None}
    turned = {one.subject: one.delta for one in differences(here(right), there(left), PIPS) if one.delta is not None}
    assert deltas == {subject: -delta for subject, delta in turned.items()}


@pytest.mark.spec("REC-1", "DIF-4")
@given(sides, sides)
def test_orders_and_fills_are_as_bad_from_either_side(left: Side, right: Side) -> None:
    for found in (differences(here(left), there(right)), differences(here(right), there(left))):
        assert all(one.severity is Severity.FAIL for one in found if one.delta is None)


@pytest.mark.spec("REC-1")
@given(sides, sides, st.randoms(use_true_random=False))
def test_the_order_in_which_a_side_lists_things_changes_nothing(left: Side, right: Side, draw: Any) -> None:
    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(draw.sample(items, len(items)))

    ours, theirs = here(left), there(right)
    ours_turned = msgspec.structs.replace(
        ours, orders=shuffled(ours.orders), fills=shuffled(ours.fills), positions=shuffled(ours.positions)
    )
    lists = {name: shuffled(getattr(theirs, name)) for name in ("open_orders", "fills", "positions")}
    assert differences(ours_turned, theirs.model_copy(update=lists), PIPS) == differences(ours, theirs, PIPS)


@pytest.mark.spec("REC-1", "REC-2")
@given(sides, sides)
def test_an_order_is_judged_as_if_it_were_the_only_one(left: Side, right: Side) -> None:
    ours, theirs = here(left).orders, there(right).open_orders
    alone = [
        finding
        for key in sorted({**left.orders, **right.orders})
        for finding in order_findings(
            tuple(order for order in ours if order.client_order_id == key),
            tuple(order for order in theirs if order.client_order_id == key),
            PIPS,
            0,
        )
    ]
    assert order_findings(ours, theirs, PIPS, 0) == alone


@pytest.mark.spec("REC-4")
@given(sides)
def test_a_symbol_that_one_side_does_not_list_counts_as_flat(side: Side) -> None:
    holdings = {name: quantity for name, (quantity, _) in side.positions.items()}
    flat = dict.fromkeys(holdings, "0")
    assert differences(a_view(flat), a_snapshot()) == differences(a_view(), a_snapshot(flat)) == ()
    assert differences(a_view(holdings), a_snapshot()) == differences(a_view(holdings), a_snapshot(flat))


@pytest.mark.spec("REC-7")
@given(sides, sides, sides)
def test_the_second_look_never_adds_and_keeps_its_order(left: Side, right: Side, later: Side) -> None:
    first, second = differences(here(left), there(right)), differences(here(left), there(later))
    assert survivors(first, first) == first
    assert survivors(first[::-1], first) == first
    kept = survivors(first, second)
    assert kept == tuple(one for one in second if one in kept)
    assert {(one.kind, one.subject) for one in kept} <= {(one.kind, one.subject) for one in first}
