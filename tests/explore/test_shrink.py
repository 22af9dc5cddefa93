"""Shrinking keeps the invariant, loses everything else that it can, and never runs for ever."""

from __future__ import annotations

from interlock.explore import run_once
from interlock.explore.finding_file import Finding, finding_bytes
from interlock.explore.shrink import Shrunk, shrink
from interlock.explore.size import size_of
from interlock.runtime.schedule import FifoSchedule, TapeSchedule
from tests.finding_builders import PLANTED, a_failing_run, a_finding


def shrunk(limit: int = 1500) -> Shrunk:
    """Return a failing run, as small as it becomes within so many runs."""
    with PLANTED.plant():
        plan, outcome = a_failing_run()
        small = shrink(plan, outcome.tape, "random", limit=limit)
    assert small is not None
    return small


def as_bytes(small: Shrunk) -> bytes:
    """Return the file of what was shrunk."""
    return finding_bytes(Finding(small.plan, small.order, small.tape, small.failure))


def test_a_failing_run_becomes_small_and_breaks_the_same_invariant() -> None:
    before, small = a_finding(), shrunk()
    assert small.failure.invariant == before.failure.invariant == "I1"
    assert size_of(small.plan, small.tape).total <= 3 < before.size.total
    with PLANTED.plant():
        assert run_once(small.plan, TapeSchedule(small.tape, small.order)).failure == small.failure


def test_one_order_one_fault_and_nobody_out_of_turn_are_left() -> None:
    small = shrunk()
    assert small.order == "fifo"
    assert small.plan.config.strategy.day is None
    assert len(small.plan.config.strategy.script) == 1
    assert len(small.plan.config.broker.faults.rules) == 1


def test_equal_findings_shrink_to_equal_bytes() -> None:
    assert as_bytes(shrunk()) == as_bytes(shrunk())


def test_it_stops_when_its_runs_are_used_up_with_what_it_has_by_then() -> None:
    few = shrunk(limit=5)
    assert few.runs <= 5
    assert few.failure.invariant == "I1"


def test_a_run_that_breaks_nothing_cannot_be_shrunk() -> None:
    plan = PLANTED.case.swarm().plan(0)
    assert shrink(plan, FifoSchedule().tape(), "fifo") is None


def test_progress_is_told_and_never_grows() -> None:
    told: list[tuple[int, int]] = []
    with PLANTED.plant():
        plan, outcome = a_failing_run()
        small = shrink(plan, outcome.tape, "random", progress=lambda runs, size: told.append((runs, size)))
    assert small is not None
    assert [runs for runs, _ in told] == list(range(2, small.runs + 1))
