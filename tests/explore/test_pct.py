"""Schedules by priority: repeatable, and their tapes play anywhere."""

from __future__ import annotations

from interlock.explore.cases import case_config
from interlock.explore.pct import PctSchedule
from interlock.explore.plan import RunPlan
from interlock.runtime.schedule import ORDER_LABEL, TapeSchedule
from tests.explore.hunting import ran

PLAN = RunPlan(case_config("cancel-race"), must_settle=True)


def test_the_same_seed_serves_in_the_same_order_and_another_in_another() -> None:
    (one, left), (two, left_again), (other, _) = (ran(PLAN, PctSchedule(seed)) for seed in (3, 3, 4))
    assert (one.tape, left) == (two.tape, left_again)
    assert one.tape != other.tape


def test_a_tape_of_priorities_plays_on_a_plain_tape() -> None:
    for seed in range(20):
        run, left = ran(PLAN, PctSchedule(seed))
        again, left_again = ran(PLAN, TapeSchedule(run.tape, "random"))
        assert (left_again, again.steps, again.tape) == (left, run.steps, run.tape)


def test_whoever_has_the_highest_priority_goes_first_until_it_falls() -> None:
    schedule = PctSchedule(1, depth=2, steps=1)
    first = schedule.pick(["a", "b"])
    schedule = PctSchedule(1, depth=1, steps=1)
    assert [schedule.pick(["a", "b"]) for _ in range(5)] == [1 - first] * 5
    assert schedule.tape().get(ORDER_LABEL, [0] * 5)[:5] == ([1] * 5 if first == 0 else [0] * 5)


def test_priorities_reach_orders_that_first_in_first_out_does_not() -> None:
    finals = {ran(PLAN, PctSchedule(seed, depth=3))[1] for seed in range(200)}
    assert len(finals) == 3, "cancelled, cancelled in part, filled"
