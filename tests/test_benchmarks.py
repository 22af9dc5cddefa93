"""The benchmarks measure what they say: small runs of each, without a look at the time."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.kernel import bare_stream_rate, ring_rate
from benchmarks.orders import largest_costs, order_rates
from benchmarks.reconcile import reconcile_rate
from benchmarks.store import print_store
from interlock.runtime import store_place


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


def test_durable_claims_stand_beside_a_bare_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
    console = Console(file=StringIO(), width=120)
    print_store(30, 1, console, tmp_path)
    assert isinstance(console.file, StringIO)
    assert "durable claims, one by one" in console.file.getvalue()
    assert "opening 80 keys" in console.file.getvalue()
