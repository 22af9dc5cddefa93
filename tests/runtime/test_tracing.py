"""A tracer is told of every message at its delivery, by whom and on which way, and changes nothing."""

from __future__ import annotations

from typing import Any

from interlock.domain.errors import DeadlineExceeded
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import Lane, ReplyTo
from interlock.runtime.schedule import SeededSchedule
from interlock.runtime.stepped import SteppedSystem
from interlock.runtime.tracing import Way
from tests.runtime.kernel_builders import STEPS, playing


class Told:
    """Keeps what a tracer is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, Way, object]] = []
        self.places: list[tuple[int, int]] = []

    def delivered(self, step: int, now_ns: int, sender: str, to: str, way: Way, message: object) -> None:
        """Keep one delivery."""
        self.lines.append((sender, to, way, message))
        self.places.append((step, now_ns))


def run(system: SteppedSystem) -> Told:
    """Trace a system that was just given its first message, to its end."""
    system.tracer = told = Told()
    assert system.run_n_steps(STEPS).reason == "quiescent"
    return told


def test_each_lane_tells_who_sent_what_to_whom() -> None:
    async def speak(ctx: Context, message: Any, _: ReplyTo | None) -> None:
        await ctx.send("b", "data")
        await ctx.send("b", "reply", Lane.REPLY)
        await ctx.send("b", "control", Lane.CONTROL)

    with SteppedSystem() as system:
        system.add("a", playing(speak))
        system.add("b", playing())
        system.post("a", "begin")
        assert run(system).lines == [
            ("", "a", "data", "begin"),
            ("a", "b", "control", "control"),
            ("a", "b", "reply", "reply"),
            ("a", "b", "data", "data"),
        ]


def test_a_question_and_its_answer_are_both_told_with_step_and_time() -> None:
    async def ask(ctx: Context, message: Any, _: ReplyTo | None) -> None:
        await ctx.ask("b", "how many?")

    async def think(ctx: Context, message: Any, reply_to: ReplyTo | None) -> None:
        await ctx.sleep(2)
        assert reply_to is not None
        ctx.reply(reply_to, 42)

    with SteppedSystem() as system:
        system.add("a", playing(ask))
        system.add("b", playing(think))
        system.post("a", "begin")
        told = run(system)
        assert told.lines[1:] == [("a", "b", "data", "how many?"), ("b", "a", "answer", 42)]
        begun, asked, answered = told.places
        assert begun[0] < asked[0] < answered[0]
        assert answered[1] - asked[1] == 2_000_000_000


def test_an_answer_that_nobody_waits_for_any_more_is_told_as_late() -> None:
    async def give_up(ctx: Context, message: Any, _: ReplyTo | None) -> None:
        try:
            await ctx.ask("b", "quick?", timeout_s=1)
        except DeadlineExceeded:
            ctx.count("gave_up")

    async def dawdle(ctx: Context, message: Any, reply_to: ReplyTo | None) -> None:
        await ctx.sleep(2)
        assert reply_to is not None
        ctx.reply(reply_to, "slow")

    with SteppedSystem() as system:
        system.add("a", playing(give_up))
        system.add("b", playing(dawdle))
        system.post("a", "begin")
        assert run(system).lines[-1] == ("b", "a", "late", "slow")
        assert system.late_replies == 1


def test_a_traced_run_is_the_run() -> None:
    """The same seed makes the same choices, whether somebody watches or not."""

    async def gossip(ctx: Context, message: Any, _: ReplyTo | None) -> None:
        for hearer in ("a", "b", "c"):
            if hearer != ctx.name and message < 3:
                await ctx.send(hearer, message + 1)

    def seen(*, traced: bool) -> tuple[int, list[list[object]]]:
        with SteppedSystem(schedule=SeededSchedule(5, "random")) as system:
            players = [system.add(name, playing(gossip)) for name in ("a", "b", "c")]
            system.post("a", 0)
            system.tracer = Told() if traced else None
            system.run_n_steps(STEPS)
            return system.steps, [player.seen for player in players]

    assert seen(traced=True) == seen(traced=False)
