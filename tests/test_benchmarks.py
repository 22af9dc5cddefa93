"""The benchmarks measure what they say: small runs of each, without a look at the time."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.kernel import bare_stream_rate, ring_rate
from benchmarks.latency import RATES, bare_turn_us, latency_of, print_latency
from benchmarks.orders import largest_costs, order_rates
from benchmarks.proof import print_proof, proof_rate
from benchmarks.reconcile import reconcile_rate
from benchmarks.scrape import print_scrape, scrape_round
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
    console = Console(file=StringIO(), width=200)
    print_store(40, 1, console, tmp_path, 60)
    assert isinstance(console.file, StringIO)
    told = console.file.getvalue()
    for part in ("durable claims, one by one", "durable claims, 16 a commit", "opening 60 ended keys, 60 fills"):
        assert part in told


def test_a_proof_of_a_generated_log_is_healthy_and_stands_beside_plain_decoding() -> None:
    console = Console(file=StringIO(), width=120)
    print_proof([500], console, proof_rate)
    assert isinstance(console.file, StringIO)
    assert "1,200" in console.file.getvalue(), "the records of both logs"


@pytest.mark.spec("OBS-6")
def test_a_session_trades_on_while_it_is_scraped() -> None:
    """The function itself asserts that every order is filled and every scrape answered."""
    quiet, scraped = scrape_round(30, None), scrape_round(30, 0.001)
    assert quiet.scrapes_ns == []
    assert len(scraped.scrapes_ns) > 1
    assert min(len(quiet.hops_ns), len(scraped.hops_ns)) > 30 * 5
    console = Console(file=StringIO(), width=120)
    print_scrape(10, 1, 0.01, console)
    assert isinstance(console.file, StringIO)
    assert "p99 with a scraper" in console.file.getvalue()


@pytest.mark.parametrize("durable", [False, True])
def test_every_order_that_was_offered_is_placed_once_or_refused(
    durable: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The benchmark itself asserts that none is lost or doubled; at the last rate more is offered than is served."""
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
    for rate in (1_000, 100_000):
        got = latency_of(rate, 400, durable=bool(durable), folder=tmp_path)
        assert got.placed + got.refused == 400
        assert 0 < got.p50_us <= got.p99_us


def test_latencies_stand_beside_a_bare_turn_and_a_bare_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
    monkeypatch.setattr("benchmarks.latency.RATES", RATES[1:2])
    console = Console(file=StringIO(), width=160)
    print_latency(0.01, ("asyncio",), console, tmp_path)
    assert isinstance(console.file, StringIO)
    said = console.file.getvalue()
    assert all(part in said for part in ("bare turn µs", "1,000", "bare sync", "of 60 µs"))
    assert bare_turn_us("asyncio", 20_000) > 0
