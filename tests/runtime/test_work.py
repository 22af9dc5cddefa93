"""Requests find their answers, deadlines bound every wait, and what was given up never comes back."""

from __future__ import annotations

import pytest

from interlock.domain.errors import Broken, DeadlineExceeded
from interlock.domain.instants import NS_PER_S
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import MailboxSizes, ReplyTo
from interlock.runtime.schedule import ORDER_LABEL, TapeSchedule
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import Player, Script, asking, playing, settle


async def answer_at_once(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
    """Answer a request with its own text, doubled."""
    assert reply_to is not None
    ctx.reply(reply_to, f"{message}{message}")


def answering_after(seconds: float) -> Script:
    """Return the script of an actor that takes its time."""

    async def answer(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        await ctx.sleep(seconds)
        if reply_to is not None:
            ctx.reply(reply_to, "at last")

    return answer


# -- ask and reply ------------------------------------------------------------------------------------------


def test_a_request_gets_its_answer() -> None:
    answers: list[object] = []
    with SteppedSystem() as system:
        system.add("a", playing(asking("b", answers)))
        system.add("b", playing(answer_at_once))
        system.post("a", "ha")
        system.post("a", "ho")
        assert (settle(system).reason, answers) == ("quiescent", ["haha", "hoho"])


def test_an_actor_that_asks_takes_no_new_message_before_its_answer() -> None:
    with SteppedSystem() as system:
        a = system.add("a", playing(asking("b", [])))
        system.add("b", playing(answering_after(1)))
        system.post("a", 1)
        system.post("a", 2)
        system.run_n_steps(2)
        assert a.seen == [1]
        settle(system)
        assert a.seen == [1, 2]


def test_answers_find_their_askers_whatever_their_order() -> None:
    tickets: list[tuple[object, ReplyTo]] = []

    async def collect(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        assert reply_to is not None
        tickets.append((message, reply_to))
        if len(tickets) == 3:
            for question, ticket in reversed(tickets):
                ctx.reply(ticket, f"to {question}")

    answers: dict[str, list[object]] = {"a": [], "b": [], "c": []}
    with SteppedSystem() as system:
        system.add("desk", playing(collect))
        for name, got in answers.items():
            system.add(name, playing(asking("desk", got)))
            system.post(name, name)
        settle(system)
    assert answers == {"a": ["to a"], "b": ["to b"], "c": ["to c"]}


def test_an_answer_may_come_before_its_asker_waits_for_it() -> None:
    """The asker's request waited for room; by the time it is resumed, the answer is there."""
    answers: list[object] = []
    served: list[object] = []

    async def answer(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        served.append(message)
        if reply_to is not None:
            ctx.reply(reply_to, "early")

    with SteppedSystem(schedule=TapeSchedule({ORDER_LABEL: [1, 1]}, "random")) as system:
        system.add("a", playing(asking("b", answers)))
        system.add("b", playing(answer), MailboxSizes(data=1))
        system.post("b", "first")
        system.step()  # b serves "first"
        system.post("b", "second")
        system.post("a", "question")
        system.step()  # a is drawn, and finds b full
        system.step()  # b serves "second"; the question gets its room, a is ready
        system.step()  # b is drawn, and answers
        assert (served, answers) == (["first", "second", "question"], [])
        settle(system)
        assert (answers, system.late_replies) == (["early"], 0)


def test_nothing_is_an_answer_too() -> None:
    answers: list[object] = []

    async def answer(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        assert reply_to is not None
        ctx.reply(reply_to, None)

    with SteppedSystem() as system:
        system.add("a", playing(asking("b", answers)))
        system.add("b", playing(answer))
        system.post("a", "anything?")
        assert (settle(system).reason, answers) == ("quiescent", [None])


def test_a_second_answer_is_dropped_and_counted() -> None:
    answers: list[object] = []

    async def answer_twice(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        assert reply_to is not None
        ctx.reply(reply_to, "yes")
        ctx.reply(reply_to, "no")

    with SteppedSystem() as system:
        system.add("a", playing(asking("b", answers)))
        system.add("b", playing(answer_twice))
        system.post("a", "well?")
        settle(system)
        assert (answers, system.late_replies) == (["yes"], 1)


def test_a_late_answer_is_dropped_and_counted() -> None:
    async def give_up(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with pytest.raises(DeadlineExceeded, match=r"a \(handler str\) waits for an answer of b for more than 2 s"):
            await ctx.ask("b", message, timeout_s=2)
        assert ctx.now_ns() == 2 * NS_PER_S

    with SteppedSystem() as system:
        a = system.add("a", playing(give_up))
        system.add("b", playing(answering_after(3)))
        system.post("a", "hello")
        assert (settle(system).reason, system.late_replies, a.seen) == ("quiescent", 1, ["hello"])


def test_a_late_answer_is_not_taken_for_the_answer_to_the_next_question() -> None:
    answers: list[object] = []

    async def ask_twice(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with pytest.raises(DeadlineExceeded):
            await ctx.ask("slow", "first", timeout_s=1)
        answers.append(await ctx.ask("slow", "second"))

    async def echo(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        assert reply_to is not None
        await ctx.sleep(2)
        ctx.reply(reply_to, message)

    with SteppedSystem() as system:
        system.add("a", playing(ask_twice))
        system.add("slow", playing(echo))
        system.post("a", "go")
        settle(system)
        assert (answers, system.late_replies) == (["second"], 1)


# -- deadlines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outer", "inner", "first"), [(5, 2, "inner"), (2, 5, "outer")])
def test_the_shorter_of_two_nested_deadlines_strikes_first(outer: int, inner: int, first: str) -> None:
    struck: list[tuple[str, int]] = []

    async def nested(ctx: Context, message: object, _: ReplyTo | None) -> None:
        try:
            with ctx.deadline(outer):
                try:
                    with ctx.deadline(inner):
                        await ctx.sleep(100)
                except DeadlineExceeded:
                    struck.append(("inside", ctx.now_ns() // NS_PER_S))
                await ctx.sleep(100)
        except DeadlineExceeded:
            struck.append(("outside", ctx.now_ns() // NS_PER_S))

    with SteppedSystem() as system:
        system.add("a", playing(nested))
        system.post("a", "go")
        assert settle(system).reason == "quiescent"
    assert struck == ([("inside", 2), ("outside", 5)] if first == "inner" else [("inside", 2), ("outside", 2)])


def test_a_block_that_ends_in_time_is_left_alone() -> None:
    done: list[int] = []

    async def quick(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with ctx.deadline(2):
            await ctx.sleep(1)
        await ctx.sleep(10)
        done.append(ctx.now_ns() // NS_PER_S)

    with SteppedSystem() as system:
        system.add("a", playing(quick))
        system.post("a", "go")
        settle(system)
    assert done == [11]


def test_a_deadline_that_passes_while_its_task_does_not_wait_strikes_at_the_next_wait() -> None:
    """A sink pauses in the middle of a step: the bound is gone by when the next wait begins."""

    async def paused(ctx: Context, message: object, _: ReplyTo | None) -> None:
        async def pause_and_wait() -> None:
            system.clock.advance(5)
            await ctx.sleep(1)

        with pytest.raises(DeadlineExceeded), ctx.deadline(1):
            await pause_and_wait()

    with SteppedSystem() as system:
        system.add("a", playing(paused))
        system.post("a", "go")
        settle(system)
        assert system.clock.now_ns() == 5 * NS_PER_S


def test_a_send_abandoned_by_its_deadline_is_never_delivered() -> None:
    async def give_up(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with pytest.raises(DeadlineExceeded, match="waits for room in the data lane of b"), ctx.deadline(1):
            await ctx.send("b", "abandoned")
        await ctx.send("b", "after")

    with SteppedSystem() as system:
        system.add("a", playing(give_up))
        b = system.add("b", playing(answering_after(5)), MailboxSizes(data=1))
        system.post("b", "first")
        system.step()
        system.post("b", "second")
        system.post("a", "go")
        assert settle(system).reason == "quiescent"
        assert b.seen == ["first", "second", "after"]
        assert system.stats()["b"]["data"].accepted == 3


def test_an_abandoned_send_does_not_cost_the_next_in_line_its_place() -> None:
    async def give_up(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with pytest.raises(DeadlineExceeded), ctx.deadline(1):
            await ctx.send("b", "abandoned")

    async def be_patient(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await ctx.send("b", "patient")

    with SteppedSystem() as system:
        system.add("hasty", playing(give_up))
        system.add("patient", playing(be_patient))
        b = system.add("b", playing(answering_after(5)), MailboxSizes(data=1))
        system.post("b", "first")
        system.step()
        system.post("b", "second")
        system.post("hasty", "go")
        system.post("patient", "go")
        assert settle(system).reason == "quiescent"
        assert b.seen == ["first", "second", "patient"]


def test_a_request_abandoned_before_it_found_room_is_never_delivered() -> None:
    async def give_up(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with pytest.raises(DeadlineExceeded):
            await ctx.ask("b", "question", timeout_s=1)

    with SteppedSystem() as system:
        system.add("a", playing(give_up))
        b = system.add("b", playing(answering_after(5)), MailboxSizes(data=1))
        system.post("b", "first")
        system.step()
        system.post("b", "second")
        system.post("a", "go")
        assert settle(system).reason == "quiescent"
        assert (b.seen, system.late_replies) == (["first", "second"], 0)


def test_a_deadline_belongs_to_a_handler_or_a_job() -> None:
    with SteppedSystem() as system:
        a: Player = system.add("a", playing())
        with pytest.raises(Broken, match="outside a handler or job"), a.ctx.deadline(1):
            pass
