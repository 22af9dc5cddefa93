"""Who waits for ever is reported with the chain of who waits on whom (RT-9); nothing ever hangs."""

from __future__ import annotations

import pytest

from interlock.domain.errors import DeadlineExceeded
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import Lane, MailboxSizes, ReplyTo
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import STEPS, Script, asking, pairs, playing, settle

pytestmark = pytest.mark.spec("RT-9")


async def stay_mute(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
    """Take a request and never answer."""


def sending_two(to: str) -> Script:
    """Return the script of an actor that answers each message with two to another."""

    async def send_two(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await ctx.send(to, "one")
        await ctx.send(to, "two")

    return send_two


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c"], list("abcdefgh")])
def test_a_ring_of_full_mailboxes_is_reported_with_its_chain(names: list[str]) -> None:
    ring = list(zip(names, [*names[1:], names[0]], strict=True))
    with SteppedSystem() as system:
        for name, following in ring:
            system.add(name, playing(sending_two(following)), MailboxSizes(data=1))
        for name in names:
            system.post(name, "go")
        report = settle(system)
        assert report.reason == "deadlock"
        assert sorted(pairs(report)) == sorted(ring)
        assert all("waits for room in the data lane of" in link for link in report.chain)
        assert (system.step(), system.run_n_steps(5)) == ("deadlock", type(report)(0, "deadlock", report.chain))


def test_a_ring_is_reported_though_others_still_run() -> None:
    """Nothing can free it, so nobody waits until the rest has come to rest: that may be never."""

    async def tick(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await ctx.sleep(1)
        await ctx.send(ctx.name, message)

    with SteppedSystem() as system:
        system.add("ticker", playing(tick))
        system.add("a", playing(sending_two("b")), MailboxSizes(data=1))
        system.add("b", playing(sending_two("a")), MailboxSizes(data=1))
        for name in ("ticker", "a", "b"):
            system.post(name, "go")
        report = system.run_n_steps(STEPS)
        assert (report.reason, sorted(pairs(report))) == ("deadlock", [("a", "b"), ("b", "a")])


def test_the_chain_names_the_ring_and_not_those_that_queue_behind_it() -> None:
    with SteppedSystem() as system:
        for name, to in (("outside", "a"), ("a", "b"), ("b", "a")):
            system.add(name, playing(sending_two(to)), MailboxSizes(data=1))
        for name in ("a", "outside", "b"):
            system.post(name, "go")
        report = settle(system)
        assert (report.reason, sorted(pairs(report))) == ("deadlock", [("a", "b"), ("b", "a")])


@pytest.mark.spec("RT-2")
def test_a_trip_still_gets_through_a_deadlock() -> None:
    with SteppedSystem() as system:
        a = system.add("a", playing(sending_two("b")), MailboxSizes(data=1))
        system.add("b", playing(sending_two("a")), MailboxSizes(data=1))
        system.post("a", "go")
        system.post("b", "go")
        settle(system)
        system.post("a", "trip", Lane.CONTROL)
        assert (system.step(), a.commands, system.step()) == (None, ["trip"], "deadlock")


def test_a_ring_with_a_deadline_in_it_frees_itself() -> None:
    async def give_up(ctx: Context, message: object, _: ReplyTo | None) -> None:
        if message == "go":
            await ctx.send("b", "one")
            with pytest.raises(DeadlineExceeded), ctx.deadline(1):
                await ctx.send("b", "two")

    with SteppedSystem() as system:
        system.add("a", playing(give_up), MailboxSizes(data=1))
        b = system.add("b", playing(sending_two("a")), MailboxSizes(data=1))
        system.post("a", "go")
        system.post("b", "go")
        assert (settle(system).reason, b.seen) == ("quiescent", ["go", "one"])


def test_a_request_that_nobody_ever_answers_is_a_deadlock() -> None:
    with SteppedSystem() as system:
        system.add("a", playing(asking("b", [])))
        system.add("b", playing(stay_mute))
        system.post("a", "hello")
        report = settle(system)
        assert (report.reason, report.chain) == ("deadlock", ("a (handler str) waits for an answer of b",))


def test_two_actors_that_ask_each_other_are_a_deadlock() -> None:
    with SteppedSystem() as system:
        system.add("a", playing(asking("b", [])))
        system.add("b", playing(asking("a", [])))
        system.post("a", "hello")
        system.post("b", "hello")
        report = settle(system)
        assert (report.reason, pairs(report)) == ("deadlock", [("a", "b"), ("b", "a")])


def test_a_job_left_waiting_is_a_deadlock_with_its_name() -> None:
    async def call(ctx: Context) -> None:
        await ctx.ask("b", "hello")

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.spawn(call(ctx), "call")

    with SteppedSystem() as system:
        system.add("a", playing(start))
        system.add("b", playing(stay_mute))
        system.post("a", "go")
        report = settle(system)
        assert (report.reason, report.chain) == ("deadlock", ("a (job call) waits for an answer of b",))


def test_waiting_for_an_actor_that_sleeps_is_no_deadlock() -> None:
    answers: list[object] = []

    async def take_an_hour(ctx: Context, message: object, reply_to: ReplyTo | None) -> None:
        assert reply_to is not None
        await ctx.sleep(3600)
        ctx.reply(reply_to, "at last")

    with SteppedSystem() as system:
        system.add("a", playing(asking("b", answers)))
        system.add("b", playing(take_an_hour))
        system.post("a", "hello")
        assert (settle(system).reason, answers) == ("quiescent", ["at last"])
