"""Twenty thousand runs of the unchanged system: nothing breaks, and everything that can be hit is hit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from interlock.explore.cases import CASES
from interlock.explore.chunk import Chunk, Tally
from interlock.explore.coverage import Coverage
from interlock.explore.pool import processes
from tests.explore.hunting import a_chunk

BUDGET: Final = {
    "cancel-race": 1000,
    "trip-under-backlog": 1200,
    "restart-at-the-claim": 600,
    "trip-beside-an-order": 50,
    "trip-in-a-backlog": 50,
    "small": 250,
    "busy": 100,
    "day": 5550,
    "crowd": 1500,
    "at_once": 1200,
    "in_step": 1200,
    "overtaken": 1500,
    "impatient": 1500,
    "fleeting": 2000,
    "hidden": 1500,
    "store_locked": 400,
    "switch_stuck": 400,
}
"""Runs of each case: most of them short ones, and so many of each that even what is rare comes more than once."""

CHUNK = 50


def chunks() -> Iterator[Chunk]:
    for case, runs in BUDGET.items():
        yield from (a_chunk(case, first, CHUNK) for first in range(0, runs, CHUNK))


@pytest.fixture(scope="module")
def twenty_thousand() -> Tally:
    """Run the whole budget, once for all tests of this file."""
    tally = Tally()
    with processes(2) as pool:
        for some in pool(chunks()):
            tally = tally.plus(some)
    return tally


def test_the_budget_is_twenty_thousand_runs_over_every_case() -> None:
    assert sum(BUDGET.values()) == 20_000
    assert {*BUDGET} == {*CASES}


@pytest.mark.spec("SAF-1", "SAF-2", "IDM-4", "RST-2")
def test_no_run_breaks_an_invariant(twenty_thousand: Tally) -> None:
    told = [
        f"{found.case} {found.seed}: {found.failure.invariant}: {found.failure.text}" for found in twenty_thousand.found
    ]
    assert told == []
    assert twenty_thousand.runs == 20_000
    assert twenty_thousand.crashes > 5_000


@pytest.mark.spec("FLT-1", "FLT-2", "FLT-3", "FLT-4", "FLT-5", "FLT-6", "FLT-7", "FLT-8", "FLT-9", "FLT-10")
@pytest.mark.spec("REC-2", "REC-3")
def test_everything_that_can_be_hit_is_hit(twenty_thousand: Tally) -> None:
    assert Coverage(twenty_thousand.hits).missing() == ()


def test_what_is_said_never_to_be_hit_is_not(twenty_thousand: Tally) -> None:
    assert Coverage(twenty_thousand.hits).contradicted() == ()
