"""An actor that stands aside: told without waiting, served when nothing else can run, never a choice."""

from __future__ import annotations

import pytest

from interlock.domain.errors import Broken
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import MailboxSizes, ReplyTo
from interlock.runtime.realtime import RealTimeSystem
from interlock.runtime.schedule import Schedule, SeededSchedule
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import playing, settle

pytestmark = pytest.mark.spec("RT-5")


def a_story(schedule: Schedule, *, tells: bool) -> tuple[list[str], list[str], dict[str, list[int]]]:
    """Return what three workers did and what somebody aside heard of it, who pauses over each word."""
    done: list[str] = []
    heard: list[str] = []

    async def work(ctx: Context, message: str, _: ReplyTo | None) -> None:
        await ctx.sleep(ctx.draw(3, f"pause.{ctx.name}"))
        done.append(f"{ctx.now_ns()} {ctx.name} {message}")
        if tells:
            assert ctx.offer("aside", f"{ctx.name} {message}")

    async def listen(ctx: Context, message: str, _: ReplyTo | None) -> None:
        async def ponder() -> None:
            await ctx.sleep(0.5)
            heard.append(message)

        ctx.spawn(ponder(), "ponder")

    with SteppedSystem(schedule=schedule) as system:
        system.add("aside", playing(listen), aside=True)
        for name in ("ann", "bob", "cid"):
            system.add(name, playing(work))
        for number in range(8):
            assert all(system.post(name, f"m{number}") for name in ("ann", "bob", "cid"))
        assert settle(system).reason == "quiescent"
    return done, heard, schedule.tape()


@pytest.mark.parametrize("seed", range(20))
def test_whoever_stands_aside_shifts_no_choice_and_no_work_of_the_others(seed: int) -> None:
    silent, nothing, tape = a_story(SeededSchedule(seed, "random"), tells=False)
    told, heard, same_tape = a_story(SeededSchedule(seed, "random"), tells=True)
    assert told == silent
    assert same_tape == tape
    assert (nothing, len(heard)) == ([], 24)


def test_it_is_served_when_nothing_else_can_run_and_before_time_passes() -> None:
    served: list[str] = []

    async def note(ctx: Context, message: str, _: ReplyTo | None) -> None:
        served.append(f"{ctx.name} {message} {ctx.now_ns()}")
        if message == "sleep":
            await ctx.sleep(1)
            served.append(f"{ctx.name} woke {ctx.now_ns()}")

    with SteppedSystem() as system:
        system.add("aside", playing(note), aside=True)
        system.add("main", playing(note))
        for to, message in (("aside", "one"), ("main", "two"), ("main", "sleep")):
            system.post(to, message)
        assert system.runnable
        settle(system)
    assert served == ["main two 0", "main sleep 0", "aside one 0", "main woke 1000000000"]


def test_after_the_end_it_can_still_be_served_without_time() -> None:
    async def listen(ctx: Context, message: str, _: ReplyTo | None) -> None:
        if message == "wait":
            await ctx.sleep(1)

    with SteppedSystem() as system:
        aside = system.add("aside", playing(listen), aside=True)
        main = system.add("main", playing())
        for message in ("a", "wait", "b"):
            system.post("aside", message)
        system.post("main", "too late")
        system.halt()
        assert system.run_n_steps(10).reason == "stopped"
        system.run_aside(1)
        assert aside.seen == ["a"]
        system.run_aside(100)
        assert (aside.seen, main.seen) == (["a", "wait"], [])
        assert system.clock.now_ns() == 0


def test_a_full_mailbox_takes_no_offer_and_keeps_nobody_waiting() -> None:
    taken: list[bool] = []

    async def tell(ctx: Context, _: str, __: ReplyTo | None) -> None:
        taken.extend(ctx.offer("aside", number) for number in range(3))

    with SteppedSystem() as system:
        aside = system.add("aside", playing(), MailboxSizes(data=2), aside=True)
        system.add("main", playing(tell))
        system.post("main", "go")
        settle(system)
    assert (taken, aside.seen) == ([True, True, False], [0, 1])


def test_nobody_can_be_told_who_is_not_there() -> None:
    async def tell(ctx: Context, _: str, __: ReplyTo | None) -> None:
        ctx.offer("nobody", "hello")

    with SteppedSystem() as system:
        system.add("main", playing(tell))
        system.post("main", "go")
        with pytest.raises(Broken, match="no actor is named nobody"):
            settle(system)


async def test_an_offer_in_a_host_s_loop_does_not_wait_either() -> None:
    taken: list[bool] = []

    async def tell(ctx: Context, _: str, __: ReplyTo | None) -> None:
        taken.extend(ctx.offer("aside", number) for number in range(3))

    system = RealTimeSystem()
    aside = system.add("aside", playing(), MailboxSizes(data=2), aside=True)
    system.add("main", playing(tell))
    async with system:
        system.post("main", "go")
        await system.wait_idle()
    assert (taken, aside.seen) == ([True, True, False], [0, 1])
