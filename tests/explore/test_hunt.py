"""Hunts: many seeds, added up in their order, wherever they ran; and what is found is kept with all it takes."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator

import pytest

from interlock.explore.chunk import Chunk, Tally, plan_of, run_chunk
from interlock.explore.hunt import Hunted, hunt
from interlock.explore.pool import here, pool_of, processes
from interlock.explore.run import run_once
from interlock.runtime.clock import VirtualClock
from interlock.runtime.schedule import TapeSchedule
from tests.explore.hunting import a_chunk, a_quarry, hunted, overfills_are_failures
from tests.run_builders import ROOT, a_process

DIGEST = """
from tests.explore.hunting import a_chunk
from interlock.explore.chunk import run_chunk
print(run_chunk(a_chunk("small", count=20, logged=True)).digest)
"""

UNORDERED = """
import sys
from interlock.actors.ending import Ending
from tests.explore.hunting import a_chunk
from interlock.explore.chunk import run_chunk

honest = Ending.drain

async def drain(ending, *, may_ask):
    for key in {*ending._desk.book.live}:
        ending._desk.tracker.cancels.cancel(key)
    await honest(ending, may_ask=may_ask)

Ending.drain = drain
print(run_chunk(a_chunk("at_once", count=30, logged=True)).digest)
"""


@pytest.mark.spec("RT-5")
def test_the_same_seeds_say_the_same_under_two_hash_seeds() -> None:
    said = [a_process("-c", DIGEST, cwd=ROOT, environment={"PYTHONHASHSEED": seed}) for seed in ("1", "2")]
    here_too = run_chunk(a_chunk("small", count=20, logged=True)).digest
    assert [done.stdout.strip() for done in said] == [here_too, here_too], said[0].stderr


@pytest.mark.spec("RT-5")
def test_a_set_iterated_inside_an_actor_changes_the_digest() -> None:
    said = [a_process("-c", UNORDERED, cwd=ROOT, environment={"PYTHONHASHSEED": seed}) for seed in ("1", "2")]
    assert said[0].stdout.strip(), said[0].stderr
    assert said[0].stdout != said[1].stdout


@pytest.mark.spec("RT-5")
def test_a_pool_of_processes_finds_what_one_process_finds() -> None:
    quarry = a_quarry("day", "cancel-race", runs=230, logged=True)
    alone = hunted(quarry)
    with processes(2) as pool:
        together = hunt(quarry, pool)
    assert together.tally == alone.tally
    assert alone.tally.runs == 230


def test_another_seed_is_another_log() -> None:
    digests = {run_chunk(a_chunk("day", first, 3, logged=True)).digest for first in range(5)}
    assert len(digests) == 5


def test_the_digest_of_ends_alone_is_not_that_of_everything_said() -> None:
    assert run_chunk(a_chunk("day")).digest != run_chunk(a_chunk("day", logged=True)).digest


def test_cases_take_turns_with_the_same_seeds_until_enough_were_run() -> None:
    chunks = list(a_quarry("day", "busy", runs=170, seed=7).chunks())
    assert [(chunk.case, chunk.first, chunk.count) for chunk in chunks] == [
        ("day", 7, 50),
        ("busy", 7, 50),
        ("day", 57, 50),
        ("busy", 57, 20),
    ]


def test_a_failure_has_all_it_takes_to_run_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    overfills_are_failures(monkeypatch)
    quarry = a_quarry("crowd", runs=400)
    [found] = hunted(quarry).tally.found
    chunk = a_chunk("crowd")
    assert (found.case, found.failure.invariant) == ("crowd", "planted")
    assert "FAULT" in found.failure.last[-1]
    alone = run_chunk(a_chunk("crowd", found.seed, 1))
    assert alone.found == (found,)
    again = run_once(plan_of(chunk, found.seed), TapeSchedule(found.tape, "random"))
    assert again.failure == found.failure


def test_a_hunt_ends_with_the_first_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    overfills_are_failures(monkeypatch)
    one = hunted(a_quarry("crowd", runs=2000))
    three = hunted(a_quarry("crowd", runs=2000, failures_max=3))
    assert (len(one.tally.found), len(three.tally.found)) == (1, 3)
    assert three.tally.found[0] == one.tally.found[0]
    assert one.tally.runs <= three.tally.runs < 2000


def test_time_that_is_up_ends_a_hunt_after_the_chunk() -> None:
    clock = VirtualClock()

    def slow(chunks: Iterable[Chunk]) -> Iterator[Tally]:
        for chunk in chunks:
            clock.advance(25)
            yield Tally(runs=chunk.count, digest="x")

    found = hunt(a_quarry("day", minutes=1), slow, clock=clock)
    assert (found.tally.runs, found.real_ns) == (150, 75 * 10**9)


def test_an_interrupt_ends_a_hunt_with_what_is_known_so_far() -> None:
    told: list[int] = []

    def interrupted(chunks: Iterable[Chunk]) -> Iterator[Tally]:
        for chunk in chunks:
            if told:
                raise KeyboardInterrupt
            yield run_chunk(chunk)

    def progress(so_far: Hunted) -> None:
        told.append(so_far.tally.runs)

    found = hunt(a_quarry("cancel-race", runs=500), interrupted, progress)
    assert (found.tally.runs, found.interrupted, told) == (50, True, [50])


def test_figures_are_per_second_of_the_wall() -> None:
    clock = VirtualClock()

    def slow(chunks: Iterable[Chunk]) -> Iterator[Tally]:
        for _ in chunks:
            clock.advance(2)
            yield Tally(runs=100, steps=1000, simulated_ns=50 * 10**9)

    found = hunt(a_quarry("day", runs=50), slow, clock=clock)
    assert found.figures == {"runs_per_s": 50, "steps_per_s": 500, "simulated_per_real": 25}


def test_one_job_needs_no_process_and_several_do() -> None:
    with pool_of(1, None) as alone, here() as pool:
        assert list(alone([a_chunk("cancel-race", count=2)])) == list(pool([a_chunk("cancel-race", count=2)]))


def test_collections_are_as_before_when_a_chunk_is_over() -> None:
    assert gc.isenabled()
    run_chunk(a_chunk("cancel-race", count=2))
    assert gc.isenabled()


def test_pct_and_random_are_two_searches() -> None:
    random, pct = (run_chunk(a_chunk("busy", count=10, strategy=how)) for how in ("random", "pct"))
    assert random.digest != pct.digest
    assert (random.runs, pct.runs) == (10, 10)
