"""Jobs, crashes, and coming and going in a host's event loop: nothing is left behind, whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from interlock.domain.errors import Broken, InvariantBroken
from interlock.runtime.actor import Context, Crash
from interlock.runtime.mailbox import Lane, MailboxSizes, ReplyTo
from interlock.runtime.realtime import RealTimeSystem
from tests.runtime.kernel_builders import Notes, playing

pytestmark = pytest.mark.spec("RT-3")

BOUND_S = 5
"""No test here waits for the clock; this only keeps a broken one from hanging."""


@contextmanager
def bounded() -> Iterator[None]:
    """Bound a test."""
    with anyio.fail_after(BOUND_S):  # noqa: TID251 - a bound on the test, not on an actor
        yield


# -- jobs ---------------------------------------------------------------------------------------------------


async def test_a_job_runs_beside_the_mailbox_and_reports_by_message() -> None:
    gate = anyio.Event()

    async def call(ctx: Context) -> None:
        await gate.wait()
        await ctx.send(ctx.name, "done", Lane.REPLY)

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        if message == "go":
            ctx.spawn(call(ctx), "call")
        elif message == "other work":
            gate.set()

    system = RealTimeSystem()
    a = system.add("a", playing(start))
    with bounded():
        async with system:
            system.post("a", "go")
            system.post("a", "other work")
            await system.wait_idle()
    assert a.seen == ["go", "other work", "done"]


async def test_more_jobs_than_the_sizes_allow_are_refused_and_closed() -> None:
    crashes: list[Crash] = []
    gate = anyio.Event()

    async def job() -> None:
        await gate.wait()

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.spawn(job(), "call")

    system = RealTimeSystem(on_crash=crashes.append)
    system.add("a", playing(start), MailboxSizes(jobs=2))
    with bounded():
        async with system:
            for n in range(3):
                system.post("a", n)
            while not crashes:
                await anyio.lowlevel.checkpoint()
            gate.set()
            await system.wait_idle()
            system.post("a", "again")
            await system.wait_idle()
    error = crashes[0].error
    assert isinstance(error, InvariantBroken)
    assert (len(crashes), error.code, error.evidence) == (1, "job_limit", {"limit": 2})


async def test_idle_is_when_every_job_sleeps() -> None:
    async def nap(ctx: Context) -> None:
        await ctx.sleep(1000)

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.spawn(nap(ctx), "nap")

    system = RealTimeSystem()
    a = system.add("a", playing(start))
    with bounded():
        async with system:
            await system.wait_idle()
            system.post("a", "go")
            await system.wait_idle()
            assert a.seen == ["go"]


# -- crashes ------------------------------------------------------------------------------------------------


@pytest.mark.spec("RT-8")
@pytest.mark.parametrize("where", ["handler", "control handler", "job"])
async def test_an_error_that_leaves_an_actor_goes_to_the_supervisor_and_the_actor_goes_on(where: str) -> None:
    crashes: list[Crash] = []

    async def job() -> None:
        message = "oh no"
        raise KeyError(message)

    async def work(ctx: Context, message: object, _: ReplyTo | None = None) -> None:
        if message == "break":
            if where == "job":
                ctx.spawn(job(), "call")
            else:
                await job()

    system = RealTimeSystem(on_crash=crashes.append)
    a = system.add("a", playing(work, work))
    with bounded():
        async with system:
            lane = Lane.CONTROL if where == "control handler" else Lane.DATA
            system.post("a", "break", lane)
            system.post("a", "next", lane)
            await system.wait_idle()
    [crash] = crashes
    assert (crash.actor, type(crash.error)) == ("a", KeyError)
    assert crash.work == ("job call" if where == "job" else f"{where} str")
    assert "next" in a.seen + a.commands


@pytest.mark.spec("RT-8")
async def test_without_a_supervisor_the_error_reaches_the_host() -> None:
    async def work(ctx: Context, message: object, _: ReplyTo | None) -> None:
        raise KeyError(message)

    async def host() -> None:
        system = RealTimeSystem()
        system.add("a", playing(work))
        async with system:
            system.post("a", "break")
            await anyio.sleep_forever()  # noqa: TID251 - a host with nothing else to do

    with bounded(), pytest.raises(BaseExceptionGroup) as caught:
        await host()
    assert caught.group_contains(KeyError)


# -- coming and going ---------------------------------------------------------------------------------------


async def test_a_host_that_cancels_leaves_no_task_and_runs_every_clean_up() -> None:
    cleaned: list[str] = []
    started = anyio.Event()

    async def forever(ctx: Context, name: str) -> None:
        try:
            await ctx.sleep(1000)
        finally:
            cleaned.append(name)

    async def work(ctx: Context, message: object, _: ReplyTo | None = None) -> None:
        ctx.spawn(forever(ctx, "job"), "job")
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        started.set()
        await forever(ctx, "handler")

    async def host() -> None:
        system = RealTimeSystem()
        system.add("a", playing(work))
        async with system:
            system.post("a", "go")
            await anyio.sleep_forever()  # noqa: TID251 - a host with nothing else to do

    before = asyncio.all_tasks()
    task = asyncio.create_task(host())
    with bounded():
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sorted(cleaned) == ["handler", "job"]
    assert asyncio.all_tasks() == before


async def test_leaving_ends_everything_whatever_still_waits() -> None:
    cleaned: list[object] = []

    async def wait(ctx: Context, message: object, _: ReplyTo | None) -> None:
        try:
            if message == "ask":
                await ctx.ask("mute", "hello")
            elif message == "send":
                for n in range(9):
                    await ctx.send("mute", n)
            else:
                await ctx.sleep(1000)
        finally:
            cleaned.append(message)

    system = RealTimeSystem()
    for name in ("ask", "send", "sleep"):
        system.add(name, playing(wait))

    async def deaf(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await ctx.sleep(1000)

    system.add("mute", playing(deaf), MailboxSizes(data=1))
    before = asyncio.all_tasks()
    with bounded():
        async with system:
            for name in ("ask", "send", "sleep"):
                system.post(name, name)
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
    assert sorted(str(name) for name in cleaned) == ["ask", "send", "sleep"]
    assert asyncio.all_tasks() == before


async def test_an_error_of_the_host_leaves_as_itself() -> None:
    """A host that catches its own error outside finds it there, not a group around it."""
    system = RealTimeSystem()
    system.add("a", playing())
    error = ZeroDivisionError("the host's own")

    async def host() -> None:
        async with system:
            raise error

    with bounded(), pytest.raises(ZeroDivisionError) as caught:
        await host()
    assert caught.value is error


async def test_names_are_taken_once_and_before_the_start() -> None:
    system = RealTimeSystem()
    system.add("a", playing())
    with pytest.raises(Broken, match="a cannot be added"):
        system.add("a", playing())
    async with system:
        with pytest.raises(Broken, match="runs already"):
            system.add("b", playing())
        with pytest.raises(Broken, match="no actor is named nobody"):
            system.post("nobody", "hello")


async def test_halt_tells_the_host() -> None:
    async def end(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.halt()

    system = RealTimeSystem()
    system.add("a", playing(end))
    with bounded():
        async with system:
            system.post("a", "go")
            await system.halted.wait()


async def test_events_counters_and_draws_go_the_same_ways_as_in_a_stepped_run() -> None:
    notes = Notes()
    drawn: list[int] = []

    async def work(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.emit("HELLO", {})
        ctx.count("hellos")
        ctx.audit("HELLO", "said")
        drawn.append(ctx.draw(6, "die"))

    system = RealTimeSystem(recorder=notes)
    system.add("a", playing(work))
    with bounded():
        async with system:
            system.post("a", "go")
            await system.wait_idle()
    assert [event for _, _, event in notes.events] == ["HELLO"]
    assert (notes.counters, notes.audits, drawn) == ({"hellos": 1}, [("HELLO", "INFO")], [0])


async def test_two_systems_in_one_loop_do_not_see_each_other() -> None:
    one, two = RealTimeSystem(), RealTimeSystem()
    a, b = one.add("a", playing()), two.add("a", playing())
    with bounded():
        async with one, two:
            one.post("a", "hello")
            await one.wait_idle()
            await two.wait_idle()
    assert (a.seen, b.seen) == (["hello"], [])


async def test_what_is_ready_when_a_host_leaves_is_left_undone() -> None:
    """A task that has not begun cannot be cancelled: it would serve what waits in a system that has no room for it."""
    crashes: list[Crash] = []

    async def job() -> None:
        await anyio.lowlevel.checkpoint()

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.spawn(job(), "call")

    system = RealTimeSystem(on_crash=crashes.append)
    a = system.add("a", playing(start))
    with bounded():
        async with system:
            system.post("a", "go")
    assert (a.seen, crashes) == ([], [])
