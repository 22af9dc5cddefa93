"""Requests around a cycle lock it up when both mailboxes are full; with credit and the reply lane they never do."""

from __future__ import annotations

from collections import deque
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import Broken
from interlock.runtime.actor import Actor, Context
from interlock.runtime.credit import Credit
from interlock.runtime.mailbox import Lane, MailboxSizes, ReplyTo
from interlock.runtime.schedule import Schedule, SeededSchedule
from interlock.runtime.stepped import RunReport, SteppedSystem
from tests.runtime.kernel_builders import STEPS, Script, pairs, playing

Asked = tuple[str, int]


class Naive(Actor):
    """Passes every order on as a request, whatever is in flight."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.answers: list[int] = []

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Serve an order or an answer."""
        kind, number = cast("Asked", message)
        if kind == "answer":
            self.answers.append(number)
        else:
            await self.ctx.send("b", ("request", number))


class Careful(Actor):
    """Passes an order on only with credit; what has none waits here."""

    def __init__(self, ctx: Context, credit: Credit) -> None:
        super().__init__(ctx)
        self.answers: list[int] = []
        self.held: deque[int] = deque()
        self.credit = credit

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Serve an order or an answer."""
        kind, number = cast("Asked", message)
        if kind == "answer":
            self.answers.append(number)
            self.credit.give_back()
        else:
            self.held.append(number)
        while self.held and self.credit.take():
            await self.ctx.send("b", ("request", self.held.popleft()))


def answering_on(lane: Lane) -> Script:
    """Return the script of the other side, which answers by message on ``lane``."""

    async def answer(ctx: Context, message: Asked, _: ReplyTo | None) -> None:
        await ctx.send("a", ("answer", message[1]), lane)

    return answer


async def order_a_lot(ctx: Context, count: int, _: ReplyTo | None) -> None:
    """Keep the cycle under load."""
    for number in range(count):
        await ctx.send("a", ("order", number))


def run_careful(count: int, data: int, limit: int, schedule: Schedule) -> tuple[RunReport, Careful]:
    """Run ``count`` orders around a cycle with credit ``limit`` and a reply lane of just that size."""
    with SteppedSystem(schedule=schedule) as system:
        careful = system.add(
            "a", lambda ctx: Careful(ctx, Credit("a to b", limit)), MailboxSizes(data=data, reply=limit)
        )
        system.add("b", playing(answering_on(Lane.REPLY)), MailboxSizes(data=data))
        system.add("host", playing(order_a_lot))
        system.post("host", count)
        return system.run_n_steps(STEPS), careful


def run_naive(count: int, schedule: Schedule) -> RunReport:
    """Run ``count`` orders around a cycle whose answers come by the data lane."""
    with SteppedSystem(schedule=schedule) as system:
        system.add("a", Naive, MailboxSizes(data=1))
        system.add("b", playing(answering_on(Lane.DATA)), MailboxSizes(data=1))
        system.add("host", playing(order_a_lot))
        system.post("host", count)
        return system.run_n_steps(STEPS)


def test_credit_runs_out_and_comes_back() -> None:
    credit = Credit("checks", 2)
    assert [credit.take() for _ in range(3)] == [True, True, False]
    credit.give_back()
    assert (credit.take(), credit.take(), credit.in_flight, credit.peak) == (True, False, 2, 2)


def test_an_answer_that_nobody_asked_for_is_an_error() -> None:
    credit = Credit("checks", 2)
    with pytest.raises(Broken, match="credit checks: an answer without a request"):
        credit.give_back()


def test_no_credit_at_all_lets_nothing_through() -> None:
    assert not Credit("checks", 0).take()


@pytest.mark.spec("RT-9")
def test_a_simulation_finds_that_the_naive_cycle_locks_up() -> None:
    reports = [run_naive(20, SeededSchedule(seed, "random")) for seed in range(20)]
    locked = [report for report in reports if report.reason == "deadlock"]
    assert len(locked) > 10
    assert all(sorted(pairs(report)) == [("a", "b"), ("b", "a")] for report in locked)
    assert {report.reason for report in reports} <= {"deadlock", "quiescent"}, "none of them hangs"


@pytest.mark.spec("RT-1", "RT-9")
def test_the_same_cycle_with_credit_and_a_reply_lane_does_not() -> None:
    for seed in range(20):
        report, careful = run_careful(20, 1, 1, SeededSchedule(seed, "random"))
        assert (report.reason, careful.answers) == ("quiescent", list(range(20)))


@pytest.mark.spec("RT-1", "RT-9")
@given(count=st.integers(0, 30), data=st.integers(1, 4), limit=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_no_size_and_no_order_locks_up_a_cycle_with_credit(count: int, data: int, limit: int, seed: int) -> None:
    report, careful = run_careful(count, data, limit, SeededSchedule(seed, "random"))
    assert (report.reason, careful.answers) == ("quiescent", list(range(count)))
    assert careful.credit.in_flight == 0
    assert careful.credit.peak <= limit
