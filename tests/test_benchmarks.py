"""The benchmarks measure what they say: small runs of each, without a look at the time."""

from __future__ import annotations

from benchmarks.kernel import bare_stream_rate, ring_rate
from benchmarks.orders import largest_costs, order_rates
from benchmarks.reconcile import reconcile_rate


def test_the_ring_makes_its_steps_and_the_bare_stream_its_turns() -> None:
    assert ring_rate(500) > 0
    assert bare_stream_rate(500) > 0


def test_every_order_of_the_pipeline_is_filled() -> None:
    """The functions themselves assert it; rails, budgets and cadences must not get in their way."""
    by_step, by_order = order_rates(700)
    assert by_step > by_order > 0


def test_the_profile_names_its_largest_costs() -> None:
    assert "calls an order" in largest_costs(50)


def test_a_compare_finds_its_one_percent() -> None:
    assert reconcile_rate(200, "as placed", 1).per_s > 0
