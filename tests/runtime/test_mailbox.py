"""Lanes are bounded and lose nothing; the control lane is served first, whatever the backlog."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import Broken
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import Envelope, Lane, LaneQueue, Mailbox, MailboxSizes, ReplyTo
from interlock.runtime.schedule import SeededSchedule
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import Player, Script, playing, settle

BACKLOG = 10_000


def sending(to: str, numbers: range, lane: Lane = Lane.DATA) -> Script:
    """Return the script of an actor that sends all the numbers, whatever it is handed."""

    async def send_all(ctx: Context, message: object, _: ReplyTo | None) -> None:
        for number in numbers:
            await ctx.send(to, number, lane)

    return send_all


@pytest.fixture
def narrow() -> Iterator[LaneQueue]:
    """Lend a lane with room for two."""
    queue = LaneQueue(2)
    yield queue
    queue.close()


@pytest.mark.parametrize("lane", ["control", "reply", "data", "jobs"])
@pytest.mark.spec("RT-1")
def test_every_capacity_is_at_least_one(lane: str) -> None:
    with pytest.raises(Broken, match="room for at least one message"):
        MailboxSizes(**{lane: 0})


@pytest.mark.spec("RT-1")
def test_a_full_lane_refuses_and_keeps_what_it_has(narrow: LaneQueue) -> None:
    assert [narrow.offer(Envelope(n, None)) for n in range(3)] == [True, True, False]
    assert [narrow.take().message, narrow.take().message] == [0, 1]
    assert narrow.offer(Envelope(3, None)), "there is room again"


@pytest.mark.spec("RT-1")
def test_the_figures_of_a_lane_are_exact(narrow: LaneQueue) -> None:
    for n in range(4):
        narrow.offer(Envelope(n, None))
    narrow.take()
    narrow.take()
    narrow.offer(Envelope(4, None))
    stats = narrow.stats()
    assert (stats.capacity, stats.depth, stats.peak, stats.accepted, stats.waits) == (2, 1, 2, 3, 2)


def test_each_lane_is_a_queue_of_its_own() -> None:
    box = Mailbox("a", MailboxSizes(control=1, reply=2, data=3))
    assert [box.lane(lane).capacity for lane in Lane] == [1, 2, 3]
    box.lane(Lane.REPLY).offer(Envelope("answer", None))
    assert {name: figures.depth for name, figures in box.stats().items()} == {"control": 0, "reply": 1, "data": 0}
    box.close()


@pytest.mark.spec("RT-1")
def test_a_sender_waits_for_room_and_nothing_is_dropped() -> None:
    with SteppedSystem() as system:
        system.add("a", playing(sending("b", range(100))))
        b = system.add("b", playing(), MailboxSizes(data=3))
        system.post("a", "go")
        assert settle(system).reason == "quiescent"
        assert b.seen == list(range(100))
        figures = system.stats()["b"]["data"]
        assert (figures.accepted, figures.peak, figures.depth, figures.waits) == (100, 3, 0, 97)


@pytest.mark.spec("RT-1")
def test_a_waiting_sender_does_nothing_else_until_there_is_room() -> None:
    sent: list[int] = []

    async def send_all(ctx: Context, message: object, _: ReplyTo | None) -> None:
        for number in range(5):
            await ctx.send("b", number)
            sent.append(number)

    with SteppedSystem() as system:
        system.add("a", playing(send_all))
        system.add("b", playing(), MailboxSizes(data=2))
        system.post("a", "go")
        system.step()
        assert sent == [0, 1], "two found room; the third waits"
        system.step()
        assert sent == [0, 1], "b took one, so a may go on, but has not been resumed yet"
        system.step()
        assert sent == [0, 1, 2]


@pytest.mark.spec("RT-1")
def test_a_send_that_finds_room_does_not_give_way() -> None:
    with SteppedSystem() as system:
        system.add("a", playing(sending("b", range(50))))
        b = system.add("b", playing(), MailboxSizes(data=50))
        system.post("a", "go")
        assert system.run_n_steps(1).steps == 1
        assert (system.stats()["b"]["data"].depth, b.seen) == (50, [])


@pytest.mark.spec("RT-1")
def test_every_sender_that_had_to_wait_is_counted() -> None:
    with SteppedSystem() as system:
        system.add("door", playing(), MailboxSizes(data=1))
        for name in ("finds room", "waits", "waits behind it", "waits last"):
            system.add(name, playing(sending("door", range(1))))
            system.post(name, "go")
        settle(system)
        assert system.stats()["door"]["data"].waits == 3


@pytest.mark.spec("RT-1")
def test_waiting_senders_get_room_in_the_order_in_which_they_came() -> None:
    with SteppedSystem() as system:
        for name, number in (("late", 3), ("mid", 2), ("early", 1)):
            system.add(name, playing(sending("door", range(number, number + 1))))
        door = system.add("door", playing(), MailboxSizes(data=1))
        system.post("door", 0)
        for name in ("early", "mid", "late"):
            system.post(name, "go")
        settle(system)
        assert door.seen == [0, 1, 2, 3]


@pytest.mark.spec("RT-1")
def test_a_message_from_outside_is_refused_aloud_when_the_lane_is_full() -> None:
    with SteppedSystem() as system:
        a = system.add("a", playing(), MailboxSizes(data=2))
        assert [system.post("a", n) for n in range(3)] == [True, True, False]
        settle(system)
        assert (a.seen, system.post("a", 3)) == ([0, 1], True)


@pytest.mark.spec("RT-1")
@given(
    sizes=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_whatever_the_sizes_and_the_order_each_sender_arrives_whole_and_in_order(
    sizes: list[int], counts: list[int], seed: int
) -> None:
    async def pass_on(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await ctx.send("end", message)

    def source(name: str, count: int) -> Script:
        async def send_all(ctx: Context, message: object, _: ReplyTo | None) -> None:
            for n in range(count):
                await ctx.send("middle", (name, n))

        return send_all

    with SteppedSystem(schedule=SeededSchedule(seed, "random")) as system:
        system.add("middle", playing(pass_on), MailboxSizes(data=sizes[0]))
        end = system.add("end", playing(), MailboxSizes(data=sizes[1]))
        for at, count in enumerate(counts):
            system.add(f"source{at}", playing(source(f"source{at}", count)), MailboxSizes(data=sizes[2]))
            system.post(f"source{at}", "go")
        assert settle(system).reason == "quiescent"
        for at, count in enumerate(counts):
            name = f"source{at}"
            assert [m for m in end.seen if isinstance(m, tuple) and m[0] == name] == [(name, n) for n in range(count)]
        assert all(lane.peak <= lane.capacity for box in system.stats().values() for lane in box.values())


@pytest.mark.spec("RT-2")
@pytest.mark.parametrize("order", ["fifo", "random"])
def test_ten_thousand_waiting_messages_do_not_delay_a_trip_by_one_step(order: str) -> None:
    with SteppedSystem(schedule=SeededSchedule(7, "random" if order == "random" else "fifo")) as system:
        a = system.add("a", playing(), MailboxSizes(data=BACKLOG))
        system.add("b", playing())
        assert all(system.post("a", n) for n in range(BACKLOG))
        system.post("b", "also waiting")
        system.run_n_steps(3)
        before = system.stats()["a"]["data"].depth
        assert system.post("a", "trip", Lane.CONTROL), "the control lane has room of its own"
        assert system.run_n_steps(1).steps == 1
        assert (a.commands, system.stats()["a"]["data"].depth) == (["trip"], before)


@pytest.mark.spec("RT-2")
def test_a_trip_sent_by_an_actor_overtakes_all_data_it_sent_before() -> None:
    served: list[object] = []

    async def note(ctx: Context, message: object, _: ReplyTo | None) -> None:
        served.append(message)

    async def trip(ctx: Context, message: object) -> None:
        served.append(message)

    async def alarm(ctx: Context, message: object, _: ReplyTo | None) -> None:
        for n in range(20):
            await ctx.send("b", n)
        await ctx.send("b", "trip", Lane.CONTROL)

    with SteppedSystem() as system:
        system.add("a", playing(alarm))
        system.add("b", playing(note, trip))
        system.post("a", "go")
        settle(system)
    assert served == ["trip", *range(20)]


@pytest.mark.spec("RT-2")
@pytest.mark.parametrize("wait", ["ask", "sleep", "send", "send_control"])
def test_a_trip_is_served_while_the_data_handler_waits(wait: str) -> None:
    async def busy(ctx: Context, message: object, _: ReplyTo | None) -> None:
        if wait == "ask":
            await ctx.ask("mute", "hello")
        elif wait == "sleep":
            await ctx.sleep(3600)
        else:
            await ctx.send("mute", "fills the lane", Lane.CONTROL if wait == "send_control" else Lane.DATA)
            await ctx.send("mute", "finds no room", Lane.CONTROL if wait == "send_control" else Lane.DATA)

    async def never(ctx: Context, message: object, _: ReplyTo | None = None) -> None:
        await ctx.sleep(10_000)

    with SteppedSystem() as system:
        a = system.add("a", playing(busy))
        system.add("mute", playing(never, never), MailboxSizes(data=1, control=1))
        system.post("mute", "be busy")
        system.post("mute", "be busy", Lane.CONTROL)
        system.post("a", "go")
        system.run_n_steps(3)
        assert a.seen == ["go"]
        system.post("a", "trip", Lane.CONTROL)
        assert (system.run_n_steps(1).steps, a.commands, system.clock.now_ns()) == (1, ["trip"], 0)


@pytest.mark.spec("RT-2")
def test_a_control_handler_that_waits_goes_on_before_any_data() -> None:
    """The trip's own sends and sleeps are not put behind the backlog either."""
    served: list[object] = []

    async def note(ctx: Context, message: object, _: ReplyTo | None) -> None:
        served.append(message)

    async def trip(ctx: Context, message: object) -> None:
        served.append(await ctx.ask("helper", "what now?"))

    async def answer(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        assert reply_to is not None
        ctx.reply(reply_to, "stop")

    with SteppedSystem() as system:
        system.add("helper", playing(answer))
        system.add("a", playing(note, trip))
        system.post("a", "trip", Lane.CONTROL)
        system.run_n_steps(1)
        for n in range(10):
            system.post("a", n)
        settle(system)
    assert served == ["stop", *range(10)]


def test_control_messages_are_served_one_after_the_other() -> None:
    async def slow(ctx: Context, message: object) -> None:
        await ctx.sleep(1)

    with SteppedSystem() as system:
        a = system.add("a", playing(None, slow))
        for n in range(3):
            system.post("a", n, Lane.CONTROL)
        system.run_n_steps(1)
        assert a.commands == [0]
        settle(system)
        assert (a.commands, system.clock.now_ns()) == ([0, 1, 2], 3_000_000_000)


@pytest.mark.spec("RT-1")
def test_answers_are_served_before_new_work() -> None:
    with SteppedSystem() as system:
        a: Player = system.add("a", playing())
        for n in range(5):
            system.post("a", n)
        system.post("a", "answer", Lane.REPLY)
        settle(system)
        assert a.seen == ["answer", *range(5)]
