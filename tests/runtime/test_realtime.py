"""The same actors in a host's event loop: nothing lost, nothing out of order, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from interlock.domain.errors import DeadlineExceeded, SessionOver
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import Lane, MailboxSizes, ReplyTo
from interlock.runtime.realtime import RealTimeSystem
from tests.host_builders import FastClock
from tests.runtime.kernel_builders import asking, playing

pytestmark = pytest.mark.spec("RT-3")

BOUND_S = 5
"""No test here waits for the clock; this only keeps a broken one from hanging."""


@contextmanager
def bounded() -> Iterator[None]:
    """Bound a test."""
    with anyio.fail_after(BOUND_S):  # noqa: TID251 - a bound on the test, not on an actor
        yield


async def echo(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
    """Answer with what came."""
    if reply_to is not None:
        ctx.reply(reply_to, message)


# -- messages -----------------------------------------------------------------------------------------------


async def test_what_is_posted_is_handled_in_order() -> None:
    system = RealTimeSystem()
    a = system.add("a", playing())
    with bounded():
        async with system:
            assert all(system.post("a", n) for n in range(20))
            await system.wait_idle()
    assert a.seen == list(range(20))


async def test_a_host_s_request_is_answered() -> None:
    system = RealTimeSystem()
    system.add("a", playing(echo))
    with bounded():
        async with system:
            assert await system.ask("a", "hello") == "hello"


async def test_an_actor_s_request_is_answered_while_the_other_one_works() -> None:
    answers: list[object] = []
    system = RealTimeSystem()
    system.add("a", playing(asking("b", answers)))
    system.add("b", playing(echo))
    with bounded():
        async with system:
            for n in range(3):
                system.post("a", n)
            await system.wait_idle()
    assert answers == [0, 1, 2]


async def test_many_requests_at_once_get_each_its_own_answer() -> None:
    system = RealTimeSystem()
    system.add("a", playing(echo), MailboxSizes(data=2))
    got: dict[int, object] = {}

    async def ask(n: int) -> None:
        got[n] = await system.ask("a", n)

    with bounded():
        async with system, anyio.create_task_group() as group:
            for n in range(30):
                group.start_soon(ask, n)
    assert got == {n: n for n in range(30)}


async def test_a_send_that_finds_room_does_not_yield() -> None:
    """The receiver is ready, and still it runs only when the sender waits: the simulation knows no other order."""
    marks: list[str] = []

    async def send(ctx: Context, message: object, _: ReplyTo | None) -> None:
        for n in range(5):
            await ctx.send("b", n)
            marks.append(f"sent {n}")

    async def note(ctx: Context, message: object, _: ReplyTo | None) -> None:
        marks.append(f"got {message}")

    system = RealTimeSystem()
    system.add("a", playing(send))
    system.add("b", playing(note))
    with bounded():
        async with system:
            system.post("a", "go")
            await system.wait_idle()
    assert marks == [*(f"sent {n}" for n in range(5)), *(f"got {n}" for n in range(5))]


@pytest.mark.spec("RT-1")
@pytest.mark.parametrize("capacity", [1, 2, 7])
async def test_a_full_lane_makes_its_senders_wait_and_loses_nothing(capacity: int) -> None:
    async def send(ctx: Context, message: int, _: ReplyTo | None) -> None:
        for n in range(message):
            await ctx.send("b", (ctx.name, n))

    system = RealTimeSystem()
    for name in ("a1", "a2", "a3"):
        system.add(name, playing(send))
    b = system.add("b", playing(), MailboxSizes(data=capacity))
    with bounded():
        async with system:
            for name in ("a1", "a2", "a3"):
                system.post(name, 40)
            await system.wait_idle()
            stats = system.stats()["b"]["data"]
    assert len(b.seen) == 120
    for name in ("a1", "a2", "a3"):
        assert [message for message in b.seen if isinstance(message, tuple) and message[0] == name] == [
            (name, n) for n in range(40)
        ]
    assert (stats.accepted, stats.depth) == (120, 0)
    assert 0 < stats.peak <= capacity
    assert stats.waits > 0


@pytest.mark.spec("RT-1")
async def test_a_post_into_a_full_lane_is_refused_and_not_half_taken() -> None:
    system = RealTimeSystem()
    a = system.add("a", playing(), MailboxSizes(data=2))
    with bounded():
        async with system:
            assert [system.post("a", n) for n in range(4)] == [True, True, False, False]
            await system.wait_idle()
            assert system.post("a", 4)
            await system.wait_idle()
    assert a.seen == [0, 1, 4]


async def test_one_data_message_at_a_time_also_where_replies_come_in_between() -> None:
    marks: list[str] = []
    gate = anyio.Event()

    async def slow(ctx: Context, message: object, _: ReplyTo | None) -> None:
        marks.append(f"begin {message}")
        if message == 1:
            await gate.wait()
        marks.append(f"end {message}")

    system = RealTimeSystem()
    system.add("a", playing(slow))
    with bounded():
        async with system:
            system.post("a", 1)
            while not marks:
                await anyio.lowlevel.checkpoint()
            system.post("a", "reply", Lane.REPLY)
            system.post("a", 2)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert marks == ["begin 1"]
            gate.set()
            await system.wait_idle()
    assert marks[:2] == ["begin 1", "end 1"]
    assert sorted(marks[2:]) == ["begin 2", "begin reply", "end 2", "end reply"]
    assert [mark.split()[0] for mark in marks] == ["begin", "end"] * 3


@pytest.mark.spec("RT-2")
async def test_control_is_served_while_a_data_handler_waits() -> None:
    stopped = anyio.Event()

    async def wait(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await stopped.wait()

    async def stop(ctx: Context, message: object) -> None:
        stopped.set()

    system = RealTimeSystem()
    a = system.add("a", playing(wait, stop), MailboxSizes(data=1))
    with bounded():
        async with system:
            system.post("a", "work")
            while not a.seen:
                await anyio.lowlevel.checkpoint()
            system.post("a", "more work")
            system.post("a", "stop", Lane.CONTROL)
            await system.wait_idle()
    assert (a.commands, a.seen) == (["stop"], ["work", "more work"])


# -- time ---------------------------------------------------------------------------------------------------


async def test_a_request_without_an_answer_ends_at_its_deadline() -> None:
    system = RealTimeSystem()
    system.add("a", playing())
    with bounded():
        async with system:
            with pytest.raises(DeadlineExceeded, match=r"within 0\.01 s"):
                await system.ask("a", "hello", 0.01)


async def test_an_answer_after_the_deadline_is_dropped_and_counted() -> None:
    tickets: list[ReplyTo] = []
    system = RealTimeSystem()

    async def keep(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        if reply_to is not None:
            tickets.append(reply_to)
        else:
            ctx.reply(tickets[0], "too late")

    system.add("a", playing(keep))
    with bounded():
        async with system:
            with pytest.raises(DeadlineExceeded):
                await system.ask("a", "hello", 0.01)
            system.post("a", "answer now")
            await system.wait_idle()
            assert system.late_replies == 1


async def test_the_second_answer_to_a_request_is_dropped_and_counted() -> None:
    async def twice(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        assert reply_to is not None
        ctx.reply(reply_to, "first")
        ctx.reply(reply_to, "second")

    system = RealTimeSystem()
    system.add("a", playing(twice))
    with bounded():
        async with system:
            assert await system.ask("a", "hello") == "first"
            assert system.late_replies == 1


async def test_a_deadline_bounds_the_waits_of_its_block() -> None:
    marks: list[str] = []

    async def wait(ctx: Context, message: object, _: ReplyTo | None) -> None:
        try:
            with ctx.deadline(0.01):
                await ctx.sleep(100)
        except DeadlineExceeded:
            marks.append("given up")

    system = RealTimeSystem()
    system.add("a", playing(wait))
    with bounded():
        async with system:
            system.post("a", "go")
            while not marks:
                await anyio.lowlevel.checkpoint()
            await system.wait_idle()
    assert marks == ["given up"]


async def test_a_deadline_that_was_kept_is_forgotten_and_cancels_nobody_when_its_time_comes() -> None:
    system = RealTimeSystem()

    async def quick(ctx: Context, _: object, __: ReplyTo | None) -> None:
        with ctx.deadline(0.01):
            pass
        while system.asks.pending:  # until its time has come and gone
            await anyio.lowlevel.checkpoint()
        done.append("went on")

    done: list[str] = []
    system.add("a", playing(quick))
    with bounded():
        async with system:
            system.post("a", "begin")
            await system.wait_idle()
    assert done == ["went on"]


async def test_a_call_that_cannot_be_cancelled_is_bounded_by_its_deadline_while_the_system_ends() -> None:
    late: list[type[Exception]] = []

    async def stubborn(ctx: Context, _: object, __: ReplyTo | None) -> None:
        try:
            with ctx.deadline(0.05), anyio.CancelScope(shield=True):
                began.set()
                await anyio.Event().wait()
        except DeadlineExceeded as error:
            late.append(type(error))

    system, began = RealTimeSystem(), anyio.Event()
    system.add("a", playing(stubborn))
    with bounded():
        async with system:
            system.post("a", "begin")
            await began.wait()
    assert late == [DeadlineExceeded]


async def test_deadlines_come_in_the_time_of_the_session_s_own_clock() -> None:
    """A minute of the session is a fraction of a second here: a timer of the loop's own would come much too late."""
    late: list[str] = []

    async def waits(ctx: Context, _: object, __: ReplyTo | None) -> None:
        try:
            with ctx.deadline(60):
                await anyio.Event().wait()
        except DeadlineExceeded:
            late.append("call")
        try:
            await ctx.ask("b", "never answered", 60)
        except DeadlineExceeded:
            late.append("request")

    system = RealTimeSystem(FastClock(10_000))
    system.add("a", playing(waits))
    system.add("b", playing())
    with bounded():
        async with system:
            system.post("a", "begin")
            while len(late) < 2:
                await anyio.lowlevel.checkpoint()
    assert late == ["call", "request"]


async def test_a_deadline_beyond_all_bounds_is_none() -> None:
    done: list[object] = []

    async def patient(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with ctx.deadline(float("inf")):
            done.append(message)

    system = RealTimeSystem()
    system.add("a", playing(patient))
    with bounded():
        async with system:
            system.post("a", "served")
            await system.wait_idle()
    assert (done, system.asks.pending) == (["served"], 0)


async def test_after_the_end_nothing_is_taken_and_nobody_waits() -> None:
    system = RealTimeSystem()
    system.add("a", playing(echo))
    with bounded():
        async with system:
            pass
        for lane in Lane:
            with pytest.raises(anyio.ClosedResourceError):
                system.post("a", "too late", lane)
        with pytest.raises(SessionOver):
            await system.ask("a", "too late")


async def test_a_send_that_waits_for_room_can_be_given_up_and_leaves_the_lane_sound() -> None:
    gate = anyio.Event()
    marks: list[str] = []

    async def block(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await gate.wait()

    async def send(ctx: Context, message: object, _: ReplyTo | None) -> None:
        try:
            with ctx.deadline(0.01):
                for n in range(9):
                    await ctx.send("b", n)
        except DeadlineExceeded:
            marks.append("given up")

    system = RealTimeSystem()
    system.add("a", playing(send))
    b = system.add("b", playing(block), MailboxSizes(data=1))
    with bounded():
        async with system:
            system.post("a", "go")
            while not marks:
                await anyio.lowlevel.checkpoint()
            gate.set()
            await system.wait_idle()
            stats = system.stats()["b"]["data"]
            assert (stats.depth, b.seen) == (0, [0, 1])
            system.post("b", "next")
            await system.wait_idle()
    assert b.seen == [0, 1, "next"]


async def test_sessions_time_is_real_and_never_goes_back() -> None:
    times: list[int] = []

    async def look(ctx: Context, message: object, _: ReplyTo | None) -> None:
        times.append(ctx.now_ns())
        await ctx.sleep(0.002)

    system = RealTimeSystem()
    system.add("a", playing(look))
    with bounded():
        async with system:
            for n in range(3):
                system.post("a", n)
            while len(times) < 3:
                await anyio.lowlevel.checkpoint()
    assert times == sorted(times)
    assert times[2] - times[0] >= 4_000_000
