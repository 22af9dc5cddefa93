"""A host that is cancelled at whatever await leaves nothing behind: no order doubled or lost, no task, no room."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any

import anyio
import pytest

from interlock.domain.messages import SubmitStatus
from interlock.domain.reconcile import ReconcileResult
from interlock.host import HostSession, open_session
from interlock.host.room import Room
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import Lane, MailboxSizes
from interlock.runtime.realtime import RealTimeSystem
from tests.host_builders import LOOPS, TraderOf, an_exchange, an_intent, host_config, in_loop, sinks_of
from tests.runtime.kernel_builders import playing
from tests.session_builders import Kept

pytestmark = pytest.mark.spec("RT-10")

AWAITS_MAX = 400
"""More awaits than any of these stories has."""

Work = Callable[[], Coroutine[Any, Any, object]]


@types.coroutine
def stepped(work: Coroutine[Any, Any, object], at: int, cancel: Callable[[], object]) -> Generator[Any, Any, bool]:
    """Await ``work`` and cancel at its await number ``at``; return whether it came to its end before."""
    send: Callable[[Any], Any] = work.send
    given: Any = None
    for number in range(AWAITS_MAX):
        try:
            waits_for = send(given)
        except StopIteration:
            return True
        if number == at:
            cancel()
        try:
            given, send = (yield waits_for), work.send
        except BaseException as error:  # noqa: BLE001 - thrown into the work, whatever it is
            given, send = error, work.throw
    pytest.fail("it has more awaits than that")


async def cancelled_at(at: int, work: Work) -> bool:
    """Run work in a task of its own, cancelled at one of its awaits; True where it has fewer of them."""

    async def run() -> bool:
        task = asyncio.current_task()
        assert task is not None
        return await stepped(work(), at, task.cancel)

    try:
        return await asyncio.ensure_future(run())
    except asyncio.CancelledError:
        return False


async def left_at(at: int, work: Work) -> bool:
    """Run work in a scope that is cancelled at one of its awaits; True where it has fewer of them."""
    with anyio.CancelScope() as scope:
        return await stepped(work(), at, scope.cancel)
    return False


@pytest.mark.parametrize("loop", LOOPS)
def test_a_submit_may_be_cancelled_at_every_await(loop: str) -> None:
    """Afterwards the same decision is asked for again, and every order is at the broker exactly once."""
    trader = TraderOf(an_exchange())

    async def story() -> int:
        config = host_config(rails={"repeats_max": 100_000})
        async with open_session(config, broker=trader) as session:
            awaits = 0
            while not await cancelled_at(awaits, partial(session.submit, an_intent(f"d{awaits}"))):
                awaits += 1
            for asked in range(awaits):
                outcome = await session.submit(an_intent(f"d{asked}"))
                assert outcome.status in (SubmitStatus.ACCEPTED, SubmitStatus.DUPLICATE)
            assert session.status().submits_in_flight == 0
            assert (await session.reconcile()).result is ReconcileResult.HEALTHY
            return awaits

    awaits = in_loop(loop, story)
    assert awaits > 0
    assert len(trader.placed) == awaits + 1
    assert len({*trader.placed}) == awaits + 1


@pytest.mark.parametrize("call", ["cancel", "reconcile", "stop", "events"])
def test_every_other_call_may_be_cancelled_at_every_await_too(call: str) -> None:
    async def called(session: HostSession, key: str) -> object:
        if call == "cancel":
            return await session.cancel(key)
        if call == "events":
            return await anext(session.events())
        return await (session.reconcile() if call == "reconcile" else session.stop("done"))

    async def once(at: int) -> bool:
        async with open_session(host_config(), broker=TraderOf(an_exchange())) as session:
            key = (await session.submit(an_intent("d1"))).client_order_id
            done = await cancelled_at(at, partial(called, session, key))
            if call != "stop":
                assert (await session.submit(an_intent("d1"))).status is SubmitStatus.DUPLICATE
            assert (await session.stop("done")).status == "COMPLETED"
            return done

    async def story() -> None:
        at = 0
        while not await once(at) and call != "events":  # of which nothing comes: it has one await
            at += 1

    in_loop("asyncio", story)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("cancelled", [cancelled_at, left_at])
def test_opening_and_leaving_may_be_cancelled_at_every_await(
    loop: str, cancelled: Callable[[int, Work], Awaitable[bool]]
) -> None:
    """By ``task.cancel()`` or by a scope around it; wherever the session had begun, it ends and says so."""
    ends: list[str] = []

    async def host(kept: Kept) -> None:
        async with open_session(host_config(), sinks=sinks_of(kept)) as session:
            await session.submit(an_intent("d1"))

    async def story() -> None:
        done, at = False, 0
        while not done:
            kept = Kept()
            done = await cancelled(at, partial(host, kept))
            assert asyncio.all_tasks() == {asyncio.current_task()}
            ends.extend(figures["status"] for figures in kept.metrics)
            at += 1

    in_loop(loop, story)
    assert ends.count("COMPLETED") > 3
    assert ends[-1] == "COMPLETED"
    if cancelled is left_at:
        assert {*ends} == {"COMPLETED"}, "the scope does not reach the session's own tasks"


def test_a_host_that_is_cancelled_twice_while_leaving_is_let_go_at_once_with_the_kill_switch() -> None:
    kept, trader = Kept(), TraderOf(an_exchange())

    async def host(ready: anyio.Event) -> None:
        config = host_config(broker={"timeout_s": "30"})
        async with open_session(config, broker=trader, sinks=sinks_of(kept)) as session:
            await session.submit(an_intent("d1"))
            trader.first["cancel"] = iter([anyio.Event()])
            ready.set()
            await session.ended()

    async def story() -> None:
        ready = anyio.Event()
        task = asyncio.ensure_future(host(ready))
        await ready.wait()
        task.cancel()
        while "cancel" not in trader.calls:
            await anyio.lowlevel.checkpoint()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_loop("asyncio", story)
    assert kept.codes[-1] == "SESSION_ABANDONED"
    assert kept.metrics[0]["kill_switch"] == 1


# -- the parts that wait ------------------------------------------------------------------------------------


def test_a_sender_that_is_cancelled_as_it_is_let_in_has_sent_and_the_lane_stays_sound() -> None:
    """Room is made and the sender cancelled in the same turn of the loop: what it brought is in, and counted once."""
    senders: list[asyncio.Task[None]] = []

    async def control(_: Context, message: object) -> None:
        if message == "first":
            while not (senders and system.stats()["a"]["control"].depth > 1):
                await anyio.lowlevel.checkpoint()
        elif message == "second":  # taken just now, so that the one in line is in
            senders[0].cancel()

    system = RealTimeSystem()
    actor = system.add("a", playing(control=control), MailboxSizes(control=1))

    async def story() -> None:
        async with system:
            assert system.post("a", "first", Lane.CONTROL)
            while not actor.commands:
                await anyio.lowlevel.checkpoint()
            assert system.post("a", "second", Lane.CONTROL)
            sending = system.deliver("a", "third", Lane.CONTROL)
            senders.append(asyncio.ensure_future(sending))
            with pytest.raises(asyncio.CancelledError):
                await senders[0]
            await system.wait_idle()
            stats = system.stats()["a"]["control"]
            assert (actor.commands, stats.accepted, stats.depth) == (["first", "second", "third"], 3, 0)
            assert system.post("a", "fourth", Lane.CONTROL)
            await system.wait_idle()

    in_loop("asyncio", story)


def test_room_is_first_come_first_in_and_bounded() -> None:
    async def story() -> None:
        room, came = Room(2, 2), []

        async def visit(name: int) -> None:
            came.append((name, await room.enter()))

        async with anyio.create_task_group() as group:
            for name in range(6):
                group.start_soon(visit, name)
                await anyio.lowlevel.checkpoint()
            assert (room.inside, room.waiting) == (2, 2)
            assert came == [(0, True), (1, True), (4, False), (5, False)]
            room.leave()
            room.leave()
        assert came[4:] == [(2, True), (3, True)]
        assert (room.inside, room.waiting) == (2, 0)
        room.leave()
        room.leave()
        assert room.inside == 0

    in_loop("asyncio", story)


def test_whoever_is_cancelled_in_line_takes_no_room() -> None:
    async def story() -> None:
        room = Room(1, 2)
        assert await room.enter()
        first, second = (asyncio.ensure_future(room.enter()) for _ in range(2))
        await asyncio.sleep(0)  # noqa: TID251 - now both stand in line
        room.leave()
        first.cancel()  # let in already, and not yet there
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second
        assert (room.inside, room.waiting) == (1, 0)

    in_loop("asyncio", story)
