"""One source of choice: equal seeds make equal runs, in any process; a recorded tape replays one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import BadInput, Broken
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.schedule import (
    ORDER_LABEL,
    FifoSchedule,
    OrderPolicy,
    Schedule,
    SeededSchedule,
    Tape,
    TapeSchedule,
)
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import playing, settle, story

pytestmark = pytest.mark.spec("RT-5")

ROOT = Path(__file__).resolve().parents[2]
SEEDS = st.integers(0, 2**64)
ORDERS: tuple[OrderPolicy, ...] = ("fifo", "random")
LABELS = st.sampled_from(["next", "fault.drop", "jitter.place"])
QUESTIONS = st.lists(st.tuples(LABELS, st.integers(2, 1000)), max_size=60)


def order_of_service(schedule: Schedule) -> list[str]:
    """Return in which order six actors with one message each were served."""
    served: list[str] = []

    async def note(ctx: Context, message: object, _: ReplyTo | None) -> None:
        served.append(ctx.name)

    with SteppedSystem(schedule=schedule) as system:
        for name in "abcdef":
            system.add(name, playing(note))
            system.post(name, "hello")
        settle(system)
    return served


def told_elsewhere(hash_seed: str, *, planted: bool = False) -> list[str]:
    """Return the story of seed 7 as another process tells it."""
    code = (
        "from tests.runtime.kernel_builders import story\n"
        "from interlock.runtime.schedule import SeededSchedule\n"
        f"print(*story(SeededSchedule(7, 'random'), planted={planted}), sep='\\n')"
    )
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


# -- runs ---------------------------------------------------------------------------------------------------


@given(SEEDS)
def test_the_same_seed_serves_in_the_same_order(seed: int) -> None:
    for order in ORDERS:
        assert story(SeededSchedule(seed, order)) == story(SeededSchedule(seed, order))


def test_another_seed_makes_another_run() -> None:
    assert len({tuple(story(SeededSchedule(seed, "random"))) for seed in range(10)}) == 10


@pytest.mark.parametrize("schedule", [FifoSchedule(), SeededSchedule(7), TapeSchedule({"other": [3]})])
def test_first_in_first_out_is_the_default_and_draws_nothing_for_it(schedule: Schedule) -> None:
    assert order_of_service(schedule) == list("abcdef")
    assert ORDER_LABEL not in schedule.tape()


def test_the_random_policy_serves_in_other_orders() -> None:
    orders = {"".join(order_of_service(SeededSchedule(seed, "random"))) for seed in range(50)}
    assert len(orders) > 40
    assert {order[0] for order in orders} == set("abcdef"), "anyone may be the first"


@given(SEEDS)
def test_the_tape_of_a_run_replays_the_run(seed: int) -> None:
    for order in ORDERS:
        schedule = SeededSchedule(seed, order)
        told = story(schedule)
        replay = TapeSchedule(schedule.tape(), order)
        assert story(replay) == told
        assert replay.tape() == schedule.tape(), "the replay can be replayed"


def test_a_tape_cut_short_goes_on_first_in_first_out() -> None:
    served = order_of_service(TapeSchedule({ORDER_LABEL: [5, 4]}, "random"))
    assert served == ["f", "e", "a", "b", "c", "d"]


def test_the_empty_tape_is_the_fifo_run() -> None:
    assert story(TapeSchedule({}, "random")) == story(FifoSchedule())


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_under_another_hash_seed_tells_the_same_story(hash_seed: str) -> None:
    assert told_elsewhere(hash_seed) == story(SeededSchedule(7, "random"))


def test_a_set_iterated_in_an_actor_is_caught_by_two_hash_seeds() -> None:
    assert told_elsewhere("1", planted=True) != told_elsewhere("2", planted=True)


# -- draws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [FifoSchedule(), SeededSchedule(1), TapeSchedule({"x": [1, 1]})])
def test_one_choice_is_no_choice(schedule: Schedule) -> None:
    assert (schedule.draw(1, "x"), schedule.tape()) == (0, {})
    with pytest.raises(Broken, match="at least one choice"):
        schedule.draw(0, "x")


@given(SEEDS, st.integers(1, 5000))
def test_a_draw_lies_below_its_bound(seed: int, n: int) -> None:
    schedule = SeededSchedule(seed)
    assert all(0 <= schedule.draw(n, "x") < n for _ in range(20))


def test_every_choice_is_drawn_in_the_end() -> None:
    schedule = SeededSchedule(3)
    assert {schedule.draw(16, "x") for _ in range(500)} == set(range(16))


@given(SEEDS, QUESTIONS)
def test_each_label_has_a_stream_of_its_own(seed: int, questions: list[tuple[str, int]]) -> None:
    """Drawing more on one label shifts no other."""
    alone, mixed = SeededSchedule(seed), SeededSchedule(seed)
    for label, n in questions:
        mixed.draw(n, label)
        mixed.draw(7, "one more purpose")
    for label in sorted({label for label, _ in questions}):
        for of, n in questions:
            if of == label:
                alone.draw(n, label)
    assert alone.tape() == {label: values for label, values in mixed.tape().items() if label != "one more purpose"}


def test_two_labels_do_not_draw_the_same_numbers() -> None:
    schedule = SeededSchedule(1)
    assert [schedule.draw(1000, "a") for _ in range(5)] != [schedule.draw(1000, "b") for _ in range(5)]


def test_the_numbers_of_a_seed_are_the_same_in_every_release() -> None:
    """A failure is reported as a seed: these numbers are a promise."""
    schedule = SeededSchedule(7)
    drawn = [schedule.draw(1000, "jitter.place") for _ in range(6)]
    assert drawn == [639, 460, 672, 531, 888, 0]


# -- chance -------------------------------------------------------------------------------------------------


def test_chance_is_recorded_as_nought_or_one() -> None:
    schedule = SeededSchedule(11)
    struck = [schedule.chance(500, "fault.drop") for _ in range(40)]
    assert {True, False} == set(struck)
    recorded = schedule.tape()["fault.drop"]
    assert recorded + [0] * (40 - len(recorded)) == [int(hit) for hit in struck]


@pytest.mark.parametrize("permille", [0, 1000])
def test_never_and_always_are_certain(permille: int) -> None:
    schedule = SeededSchedule(5)
    assert {schedule.chance(permille, "x") for _ in range(200)} == {permille == 1000}


def test_chance_strikes_about_as_often_as_asked() -> None:
    schedule = SeededSchedule(5)
    assert 200 < sum(schedule.chance(250, "x") for _ in range(1000)) < 300


@pytest.mark.parametrize("schedule", [FifoSchedule(), TapeSchedule({}), TapeSchedule({"x": []})])
def test_without_a_seed_or_a_tape_no_fault_strikes(schedule: Schedule) -> None:
    assert not any(schedule.chance(999, "x") for _ in range(100))
    assert schedule.tape() == {}


@given(SEEDS, QUESTIONS)
def test_a_tape_answers_as_the_schedule_that_made_it(seed: int, questions: list[tuple[str, int]]) -> None:
    def answers(schedule: Schedule) -> list[int]:
        return [schedule.draw(n, label) if n % 2 else schedule.chance(n, f"{label}?") for label, n in questions]

    schedule = SeededSchedule(seed)
    first = answers(schedule)
    assert answers(TapeSchedule(schedule.tape())) == first


# -- tapes --------------------------------------------------------------------------------------------------


def test_a_tape_lists_its_labels_in_order_and_leaves_out_trailing_noughts() -> None:
    schedule = TapeSchedule({"b": [0, 2, 0, 1], "a": [1, 0], "c": [0, 0]})
    for label in ("c", "b", "a"):
        for _ in range(9):
            schedule.draw(3, label)
    assert list(schedule.tape().items()) == [("a", [1]), ("b", [0, 2, 0, 1])]


def test_a_choice_too_large_by_now_means_the_last_one() -> None:
    """A shrinker cuts and edits tapes freely; each of them still has to be a run."""
    schedule = TapeSchedule({"x": [9, 9], "fault": [7]})
    assert (schedule.draw(3, "x"), schedule.draw(5, "x"), schedule.chance(1, "fault")) == (2, 4, True)


def test_a_tape_is_not_changed_by_being_played() -> None:
    tape: Tape = {"x": [1, 2]}
    schedule = TapeSchedule(tape)
    schedule.draw(3, "x")
    assert (tape, schedule.tape()) == ({"x": [1, 2]}, {"x": [1]})


@pytest.mark.parametrize("values", [[-1], [1.5], ["1"], [None], 3, None, "12"])
def test_a_tape_that_is_no_tape_is_refused_with_its_label(values: object) -> None:
    with pytest.raises(BadInput, match=r"^tape, label 'fault': "):
        TapeSchedule({"next": [0, 1], "fault": values})  # type: ignore[dict-item]


@pytest.mark.parametrize("tape", [[1, 2], "next", 3, {1: [0]}])
def test_what_is_no_mapping_of_labels_is_refused(tape: object) -> None:
    with pytest.raises(BadInput, match=r"^tape"):
        TapeSchedule(tape)  # type: ignore[arg-type]
