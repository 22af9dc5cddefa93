"""A difference is about the fills that explain it; only what they leave over is a distance of its own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from interlock.domain.broker import FeeCurrency, Fill
from interlock.domain.explanations import one_sided
from interlock.domain.findings import DiffType, Finding
from interlock.domain.intents import Side
from interlock.domain.reconcile import survivors
from tests.domain_builders import BTC, a_fill, a_snapshot, a_view, differences


def counted(
    ours: tuple[str, str], theirs: tuple[str, str], here: tuple[Fill, ...] = (), there: tuple[Fill, ...] = ()
) -> dict[str, Finding]:
    """Return position and cash findings between (position, cash) on both sides, by type."""
    view = a_view({BTC: ours[0]}, ours[1], fills=here)
    found = differences(view, a_snapshot({BTC: theirs[0]}, theirs[1], fills=there))
    return {one.diff_type: one for one in found if one.delta is not None}


def test_fills_that_both_sides_know_explain_nothing() -> None:
    fills = one_sided((a_fill("both"), a_fill("here")), (a_fill("there"), a_fill("both")))
    assert [fill.fill_id for fill in fills.here] == ["here"]
    assert [fill.fill_id for fill in fills.there] == ["there"]


@pytest.mark.spec("REC-7")
@pytest.mark.parametrize(
    ("fill", "position", "cash"),
    [
        ({}, "1", "-100"),
        ({"side": Side.SELL}, "-1", "100"),
        ({"fee": "2"}, "1", "-102"),
        ({"fee": "0.1", "fee_currency": FeeCurrency.BASE}, "0.9", "-100"),
    ],
)
@pytest.mark.parametrize("known_here", [True, False])
def test_a_fill_that_one_side_knows_explains_its_effect_on_both_balances(
    fill: dict[str, Any], position: str, cash: str, *, known_here: bool
) -> None:
    fills, moved, still = (a_fill("f7", **fill),), (position, str(1000 + Decimal(cash))), ("0", "1000")
    found = counted(moved, still, here=fills) if known_here else counted(still, moved, there=fills)
    for finding in (found[DiffType.POSITION], found[DiffType.CASH]):
        assert (finding.residue, finding.explained_by) == (Decimal(0), ("f7",))


@pytest.mark.spec("REC-7")
def test_what_fills_do_not_explain_is_left_over() -> None:
    found = counted(("5", "1000"), ("3", "1000"), here=(a_fill(),))
    assert (found[DiffType.POSITION].residue, found[DiffType.POSITION].explained_by) == (Decimal(1), ())
    other = counted(("5", "1000"), ("3", "1000"), here=(a_fill(symbol="ETH/EUR"),))
    assert other[DiffType.POSITION].residue == other[DiffType.POSITION].delta == Decimal(2)


@pytest.mark.spec("REC-7")
def test_the_same_distance_for_another_fill_was_a_message_in_flight() -> None:
    """A busy account: one fill on its way at the first look, another of the same size at the second."""
    looks = [
        (counted(("0", "1000"), ("1", "900"), there=(a_fill(name),))[DiffType.POSITION],) for name in ("f1", "f1", "f2")
    ]
    assert survivors(looks[0], looks[1]) == looks[1]
    assert survivors(looks[1], looks[2]) == ()


@pytest.mark.spec("REC-7")
def test_a_divergence_is_seen_through_the_fills_on_their_way() -> None:
    """The position is off by 3; another fill is on its way at each look, so that the whole difference changes."""
    first = counted(("0", "0"), ("4", "-100"), there=(a_fill("f1"),))[DiffType.POSITION]
    second = counted(("1", "0"), ("6", "-200"), there=(a_fill("f2", "2"),))[DiffType.POSITION]
    assert (first.delta, second.delta) == (Decimal(-4), Decimal(-5))
    assert survivors([first], [second]) == (second,)
