"""Every attempt takes from two finite budgets, so that no storm of repetitions can come about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.budget import AttemptBudget, AttemptLimits
from interlock.domain.errors import Broken

MINUTE_NS = 60_000_000_000

pytestmark = pytest.mark.spec("SAF-3")


def a_budget(*, per_order: int = 2, per_minute: int = 3) -> AttemptBudget:
    """Return a small budget."""
    return AttemptBudget(AttemptLimits(per_order, per_minute))


def test_an_order_has_its_attempts_and_not_one_more() -> None:
    budget = a_budget()
    assert [budget.take("a", 0) for _ in range(3)] == ["", "", "BUDGET_PER_ORDER"]


def test_the_budget_of_an_order_does_not_come_back() -> None:
    budget = a_budget()
    budget.take("a", 0)
    budget.take("a", 0)
    assert budget.take("a", 10 * MINUTE_NS) == "BUDGET_PER_ORDER"


def test_all_orders_together_have_the_minutes_attempts_and_not_one_more() -> None:
    budget = a_budget()
    assert [budget.take(key, 0) for key in "abcd"] == ["", "", "", "BUDGET_PER_MINUTE"]


@pytest.mark.parametrize(
    ("later_ns", "answer"), [(MINUTE_NS - 1, "BUDGET_PER_MINUTE"), (MINUTE_NS, ""), (MINUTE_NS + 1, "")]
)
def test_an_attempt_counts_for_a_minute(later_ns: int, answer: str) -> None:
    budget = a_budget()
    for key in "abc":
        budget.take(key, 5)
    assert budget.take("d", 5 + later_ns) == answer


def test_an_attempt_that_was_not_made_takes_nothing() -> None:
    """A refusal must not keep the next minute closed, nor use up the order."""
    budget = a_budget()
    for key in "abc":
        budget.take(key, 0)
    for _ in range(5):
        assert budget.take("d", MINUTE_NS - 1) == "BUDGET_PER_MINUTE"
    assert [budget.take("d", MINUTE_NS) for _ in range(3)] == ["", "", "BUDGET_PER_ORDER"]
    assert budget.take("e", MINUTE_NS) == ""


@pytest.mark.parametrize(("per_order", "per_minute"), [(0, 1), (1, 0), (-1, 5)])
def test_a_budget_of_nothing_is_refused(per_order: int, per_minute: int) -> None:
    with pytest.raises(Broken, match="at least 1"):
        AttemptLimits(per_order, per_minute)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, MINUTE_NS)), max_size=60))
def test_no_minute_ever_has_more_attempts_than_the_limit(asks: list[tuple[str, int]]) -> None:
    """However they come: any window of a minute, any order."""
    budget, now_ns, made = a_budget(per_order=9, per_minute=4), 0, []
    for key, wait_ns in asks:
        now_ns += wait_ns // 8
        if not budget.take(key, now_ns):
            made.append((key, now_ns))
    for _, start_ns in made:
        assert len([at_ns for _, at_ns in made if start_ns <= at_ns < start_ns + MINUTE_NS]) <= 4
    for key in "abc":
        assert len([name for name, _ in made if name == key]) <= 9
