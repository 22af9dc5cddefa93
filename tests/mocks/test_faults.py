"""Fault plans: data that says what goes wrong, when and how often, and the same each time."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from interlock.mocks.faults import Call, Fault, FaultPlan, Faults
from interlock.runtime.actor import Context
from interlock.runtime.clock import VirtualClock
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.schedule import Schedule, SeededSchedule, TapeSchedule
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import Notes, playing, settle


class Board:
    """A plan on its way, asked from outside."""

    def __init__(self, *rules: dict[str, Any], schedule: Schedule | None = None, until_s: float | None = None) -> None:
        self.notes = Notes()
        self.clock = VirtualClock()
        self.schedule = schedule or SeededSchedule(1)
        self.contexts: list[Context] = []

        async def keep(ctx: Context, _: object, __: ReplyTo | None) -> None:
            self.contexts.append(ctx)

        with SteppedSystem(self.clock, self.schedule, self.notes) as system:
            system.add("broker", playing(keep))
            system.post("broker", "hello")
            settle(system)
        plan = FaultPlan.model_validate({"rules": rules, "until_s": until_s})
        self.faults = Faults(self.contexts[0], plan)

    def struck(self, times: int, fault: Fault = Fault.REJECT, *where: Any) -> list[int]:
        """Return which of so many opportunities were struck, counted from 1."""
        return [n for n in range(1, times + 1) if self.faults.strike(fault, *where) is not None]


def test_an_empty_plan_never_strikes_and_draws_nothing() -> None:
    board = Board()
    assert board.faults.none
    assert [fault for fault in Fault if board.struck(100, fault)] == []
    assert board.schedule.tape() == {}


def test_given_opportunities_are_struck_and_no_others() -> None:
    assert Board({"fault": "reject", "nth": [2, 5]}).struck(10) == [2, 5]


def test_by_chance_about_as_many_are_struck_as_the_rule_says() -> None:
    struck = Board({"fault": "reject", "permille": 250}).struck(4000)
    assert 900 < len(struck) < 1100


@pytest.mark.parametrize(("permille", "struck"), [(0, 0), (1000, 50)])
def test_never_is_never_and_always_is_always(permille: int, struck: int) -> None:
    assert len(Board({"fault": "reject", "permille": permille}).struck(50)) == struck


def test_both_ways_of_striking_work_at_once() -> None:
    struck = Board({"fault": "reject", "permille": 100, "nth": [1]}).struck(500)
    assert struck[0] == 1
    assert 20 < len(struck) < 90


def test_a_storm_strikes_so_many_in_a_row() -> None:
    assert Board({"fault": "reject", "nth": [3, 10], "burst": 4}).struck(20) == [3, 4, 5, 6, 10, 11, 12, 13]


@pytest.mark.spec("RT-5")
def test_the_same_seed_strikes_the_same_and_another_one_does_not() -> None:
    rule = {"fault": "reject", "permille": 300}
    first, again, other = (Board(rule, schedule=SeededSchedule(seed)).struck(200) for seed in (7, 7, 8))
    assert first == again != other


@pytest.mark.spec("RT-5")
def test_chances_are_draws_of_the_schedule_so_a_tape_strikes_the_same() -> None:
    rule = {"fault": "reject", "permille": 300}
    board = Board(rule)
    struck = board.struck(100)
    assert Board(rule, schedule=TapeSchedule(board.schedule.tape())).struck(100) == struck
    assert list(board.schedule.tape()) == ["fault.reject"]


def test_a_rule_strikes_no_other_fault() -> None:
    board = Board({"fault": "reject", "permille": 1000})
    assert board.struck(5, Fault.OVERFILL) == []


def test_a_rule_for_one_symbol_leaves_others_alone_and_does_not_count_them() -> None:
    board = Board({"fault": "reject", "nth": [2], "symbol": "BTC/EUR"})
    assert board.struck(5, Fault.REJECT, "ETH/EUR") == []
    assert board.struck(5, Fault.REJECT, "BTC/EUR") == [2]


def test_a_rule_for_some_calls_leaves_others_alone_and_does_not_count_them() -> None:
    board = Board({"fault": "timeout_before", "nth": [1], "calls": ["cancel", "query"]})
    assert board.struck(3, Fault.TIMEOUT_BEFORE, "BTC/EUR", Call.PLACE) == []
    assert board.struck(3, Fault.TIMEOUT_BEFORE, "BTC/EUR", Call.QUERY) == [1]


def test_by_default_a_rule_is_for_place_calls() -> None:
    board = Board({"fault": "rate_limit", "permille": 1000})
    assert [call for call in Call if board.struck(1, Fault.RATE_LIMIT, None, call)] == [Call.PLACE]


def test_the_first_rule_that_strikes_is_the_one() -> None:
    board = Board(
        {"fault": "rate_limit", "nth": [1], "retry_after_s": 1}, {"fault": "rate_limit", "nth": [1], "retry_after_s": 2}
    )
    rules = [board.faults.strike(Fault.RATE_LIMIT, None, Call.PLACE) for _ in range(3)]
    assert [None if rule is None else rule.retry_after_s for rule in rules] == [1, 2, None]


@pytest.mark.parametrize(("now_s", "struck"), [(0, 1), (59.999, 1), (60, 0), (600, 0)])
def test_faults_stop_after_a_while(now_s: float, struck: int) -> None:
    board = Board({"fault": "reject", "permille": 1000}, until_s=60)
    board.clock.advance(now_s)
    assert len(board.struck(1)) == struck


def test_every_strike_is_counted_and_told() -> None:
    board = Board({"fault": "reject", "nth": [1, 2]})
    board.struck(5)
    assert board.notes.counters == {"faults_total|reject": 2}
    assert [event for _, _, event in board.notes.events] == ["FAULT", "FAULT"]


# -- a plan is data -----------------------------------------------------------------------------------------


def test_a_plan_survives_being_written_down() -> None:
    plan = FaultPlan.model_validate(
        {
            "rules": [
                {"fault": "rate_limit", "permille": "60", "calls": ["place", "snapshot"], "retry_after_s": "1.5"},
                {
                    "fault": "partial_fills",
                    "nth": ["1", "7"],
                    "pieces_max": "9",
                    "symbol": "BTC/EUR",
                    "delay_s": "0.25",
                },
            ],
            "until_s": "3600",
        }
    )
    assert FaultPlan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.rules[1].nth == (1, 7)


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "gremlins"},
        {"fault": "reject", "permille": 1001},
        {"fault": "reject", "permille": -1},
        {"fault": "reject", "permille": 2.5},
        {"fault": "reject", "nth": [0]},
        {"fault": "reject", "burst": 0},
        {"fault": "reject", "delay_s": -1},
        {"fault": "rate_limit", "retry_after_s": "nan"},
        {"fault": "rate_limit", "calls": ["everything"]},
        {"fault": "partial_fills", "pieces_max": 1},
        {"fault": "reject", "often": True},
    ],
    ids=lambda rule: " ".join(str(value) for value in rule.values()),
)
@pytest.mark.spec("NFR-1")
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FaultPlan.model_validate({"rules": [rule]})


def test_a_plan_cannot_be_changed_on_its_way() -> None:
    plan = FaultPlan()
    with pytest.raises(ValidationError, match="frozen"):
        plan.until_s = 5  # type: ignore[misc]  # the point
