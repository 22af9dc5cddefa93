"""Every schedule of the small cases: how many there are, that none breaks, and that equivalents may be left out."""

from __future__ import annotations

import pytest

from interlock.domain.ledgers import FillBook
from interlock.explore.cases import case_config
from interlock.explore.exhaustive import explore_all
from interlock.explore.plan import RunPlan
from interlock.explore.run import Run, RunOutcome, run_once
from interlock.runtime.schedule import TapeSchedule


def plan_of(name: str, crashes: int = 0, *, settles: bool = True) -> RunPlan:
    """Return the plan of a case, killed at most so often."""
    return RunPlan(case_config(name), settles, 500 if crashes else 0, crashes, 2000)


@pytest.mark.spec("FLT-6", "RT-5")
def test_the_cancel_race_has_so_many_schedules_with_four_deviations_and_none_breaks() -> None:
    seen = explore_all(plan_of("cancel-race"), bound=4)
    assert (seen.failure, seen.complete) == (None, True)
    assert seen.outcomes == {"settled": seen.runs}
    assert seen.runs > 300


@pytest.mark.spec("RT-2", "SAF-2")
def test_a_trip_under_backlog_stops_in_every_schedule() -> None:
    seen = explore_all(plan_of("trip-under-backlog", settles=False), bound=1)
    assert (seen.failure, seen.complete) == (None, True)
    assert seen.outcomes == {"stopped:fill_conflict": seen.runs}
    assert seen.runs > 50


@pytest.mark.spec("IDM-4", "RST-2")
def test_a_process_killed_after_any_step_of_an_order_settles_it_in_every_schedule() -> None:
    seen = explore_all(plan_of("restart-at-the-claim", crashes=1), bound=2)
    assert (seen.failure, seen.complete) == (None, True)
    assert seen.outcomes == {"settled": seen.runs}
    assert seen.runs > 500


@pytest.mark.parametrize(("name", "crashes", "bound"), [("cancel-race", 0, 2), ("restart-at-the-claim", 1, 1)])
def test_whatever_equivalent_orders_lead_to_is_seen_without_them(name: str, crashes: int, bound: int) -> None:
    finals: list[dict[str, None]] = []
    runs: list[int] = []
    for reduce in (True, False):
        found: list[str] = []

        def note(run: Run, _: RunOutcome, found: list[str] = found) -> None:
            found.append(run.left())

        seen = explore_all(plan_of(name, crashes), bound, reduce=reduce, seen=note)
        assert seen.complete
        finals.append(dict.fromkeys(found))
        runs.append(seen.runs)
    assert sorted(finals[0]) == sorted(finals[1])
    assert runs[0] < runs[1]


def test_a_search_that_is_cut_off_says_so() -> None:
    seen = explore_all(plan_of("cancel-race"), bound=3, runs_max=10)
    assert (seen.complete, seen.runs + seen.cut) == (False, 10)


def test_no_deviation_is_the_ordinary_course() -> None:
    seen = explore_all(plan_of("cancel-race"), bound=0)
    assert (seen.runs, seen.complete, seen.tape) == (1, True, {})


def test_a_fault_that_needs_one_deviation_is_found_and_its_tape_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FillBook, "repeats", lambda *_: False)
    plan = plan_of("cancel-race")
    seen = explore_all(plan, bound=2)
    assert seen.failure is not None
    again = run_once(plan, TapeSchedule(seen.tape, "random"))
    assert again.failure == seen.failure
