"""Virtual time passes only when nothing can run, goes to the earliest timer, and only for someone who still waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import DeadlineExceeded
from interlock.domain.instants import NS_PER_S
from interlock.runtime.actor import Context
from interlock.runtime.clock import VirtualClock
from interlock.runtime.mailbox import Lane, ReplyTo
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import Script, asking, playing, settle

pytestmark = pytest.mark.spec("RT-3", "RT-4")


def sleeping(woken: list[tuple[str, float]]) -> Script:
    """Return the script of an actor that sleeps for as long as its message says and notes when it woke."""

    async def sleep(ctx: Context, seconds: float, _: ReplyTo | None) -> None:
        await ctx.sleep(seconds)
        woken.append((ctx.name, ctx.now_ns() / NS_PER_S))

    return sleep


def test_time_stands_still_while_anything_can_run() -> None:
    woken: list[tuple[str, float]] = []
    with SteppedSystem() as system:
        system.add("sleeper", playing(sleeping(woken)))
        busy = system.add("busy", playing())
        system.post("sleeper", 1.0)
        for n in range(40):
            system.post("busy", n)
        assert (system.run_n_steps(41).steps, len(busy.seen), system.clock.now_ns(), woken) == (41, 40, 0, [])
        system.step()
        assert woken == [("sleeper", 1.0)]


def test_time_moves_to_the_earliest_timer() -> None:
    woken: list[tuple[str, float]] = []
    with SteppedSystem(VirtualClock(0)) as system:
        for name, seconds in (("late", 3.0), ("early", 0.5), ("mid", 2.0)):
            system.add(name, playing(sleeping(woken)))
            system.post(name, seconds)
        settle(system)
        assert woken == [("early", 0.5), ("mid", 2.0), ("late", 3.0)]
        assert system.clock.now_ns() == 3 * NS_PER_S


def test_equal_timers_wake_in_the_order_in_which_they_were_set() -> None:
    woken: list[tuple[str, float]] = []
    names = ("dot", "ann", "cid", "bob")
    with SteppedSystem() as system:
        for name in names:
            system.add(name, playing(sleeping(woken)))
        for name in names:
            system.post(name, 1.0)
        settle(system)
    assert woken == [(name, 1.0) for name in names]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=12))
def test_whatever_the_sleeps_they_end_in_order_and_on_time(sleeps: list[float]) -> None:
    woken: list[tuple[str, float]] = []
    with SteppedSystem() as system:
        for at, seconds in enumerate(sleeps):
            system.add(f"s{at}", playing(sleeping(woken)))
            system.post(f"s{at}", seconds)
        settle(system)
    times = [time for _, time in woken]
    assert times == sorted(times)
    assert dict(woken) == {f"s{at}": round(seconds * NS_PER_S) / NS_PER_S for at, seconds in enumerate(sleeps)}


def test_a_sleep_of_nothing_still_gives_way() -> None:
    """It is a step of its own, at the same instant, after all that is ready."""
    woken: list[tuple[str, float]] = []
    with SteppedSystem() as system:
        system.add("sleeper", playing(sleeping(woken)))
        other = system.add("other", playing())
        system.post("sleeper", 0.0)
        system.post("other", "hello")
        assert (system.run_n_steps(2).steps, other.seen, woken) == (2, ["hello"], [])
        system.step()
        assert woken == [("sleeper", 0.0)]


def test_a_sleep_into_the_past_does_not_take_time_back() -> None:
    woken: list[tuple[str, float]] = []
    with SteppedSystem(VirtualClock(5 * NS_PER_S)) as system:
        system.add("sleeper", playing(sleeping(woken)))
        system.post("sleeper", -3.0)
        settle(system)
    assert woken == [("sleeper", 5.0)]


def test_a_deadline_that_was_met_does_not_move_the_clock() -> None:
    answers: list[object] = []

    async def answer(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        assert reply_to is not None
        ctx.reply(reply_to, "yes")

    with SteppedSystem() as system:
        system.add("a", playing(asking("b", answers, timeout_s=60)))
        system.add("b", playing(answer))
        system.post("a", "really?")
        report = settle(system)
        assert (report.reason, answers, system.clock.now_ns()) == ("quiescent", ["yes"], 0)


def test_a_sleep_cut_short_by_its_deadline_does_not_move_the_clock_later() -> None:
    async def cut_short(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with pytest.raises(DeadlineExceeded), ctx.deadline(1):
            await ctx.sleep(3600)

    with SteppedSystem() as system:
        system.add("a", playing(cut_short))
        system.post("a", "go")
        assert (settle(system).reason, system.clock.now_ns()) == ("quiescent", NS_PER_S)


def test_a_stale_timer_wakes_no_later_wait() -> None:
    """The end of the first sleep, long cut short, is not the end of the second."""
    woken: list[float] = []

    async def sleep_twice(ctx: Context, message: object, _: ReplyTo | None) -> None:
        with pytest.raises(DeadlineExceeded), ctx.deadline(1):
            await ctx.sleep(5)
        await ctx.sleep(100)
        woken.append(ctx.now_ns() / NS_PER_S)

    with SteppedSystem() as system:
        system.add("a", playing(sleep_twice))
        system.post("a", "go")
        settle(system)
    assert woken == [101.0]


def test_timers_overtaken_by_a_pause_of_a_sink_fire_without_time_going_back() -> None:
    """A synchronous pause moves the clock in the middle of a step, past timers that are due by then."""
    woken: list[tuple[str, float]] = []
    with SteppedSystem() as system:
        for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 9.0)):
            system.add(name, playing(sleeping(woken)))
            system.post(name, seconds)
        system.run_n_steps(3)
        system.clock.advance(4)
        settle(system)
    assert woken == [("a", 4.0), ("b", 4.0), ("c", 9.0)]


def test_a_control_handler_woken_by_a_timer_goes_before_data_woken_by_the_same() -> None:
    woken: list[str] = []

    async def sleep(ctx: Context, message: str, _: ReplyTo | None = None) -> None:
        await ctx.sleep(1)
        woken.append(message)

    with SteppedSystem() as system:
        system.add("a", playing(sleep))
        system.add("b", playing(sleep, sleep))
        system.post("a", "data")
        system.step()
        system.post("b", "trip", Lane.CONTROL)
        settle(system)
    assert woken == ["trip", "data"]
