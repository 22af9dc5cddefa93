"""An actor that raises is never lost in silence, and the others go on (RT-8)."""

from __future__ import annotations

import pytest

from interlock.domain.errors import Broken, UnknownMessage
from interlock.runtime.actor import Actor, Context, SilentRecorder, refuse
from interlock.runtime.mailbox import Lane, ReplyTo
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import Control, Notes, Script, playing, settle, supervised


class Planted(Broken):
    """What the tests raise."""


async def fail(ctx: Context, message: object = "job", _: ReplyTo | None = None) -> None:
    """Serve ``fine``; raise at anything else."""
    if message != "fine":
        raise Planted(f"at {message}")


async def fail_later(ctx: Context, message: object = "job", _: ReplyTo | None = None) -> None:
    """The same, after a wait."""
    await ctx.sleep(1)
    await fail(ctx, message)


async def fail_in_a_job(ctx: Context, message: object, _: ReplyTo | None) -> None:
    """The same, in a job."""
    ctx.spawn(fail(ctx, message), "call")


CRASHES = [
    pytest.param(fail, None, Lane.DATA, "handler str", id="handler"),
    pytest.param(fail_later, None, Lane.DATA, "handler str", id="handler that waited"),
    pytest.param(fail, None, Lane.REPLY, "handler str", id="handler of an answer"),
    pytest.param(None, fail, Lane.CONTROL, "control handler str", id="control handler"),
    pytest.param(None, fail_later, Lane.CONTROL, "control handler str", id="control handler that waited"),
    pytest.param(fail_in_a_job, None, Lane.DATA, "job call", id="job"),
]


@pytest.mark.spec("RT-8")
@pytest.mark.parametrize(("script", "control", "lane", "work"), CRASHES)
def test_a_crash_reaches_the_supervisor_with_who_and_in_what(
    script: Script | None, control: Control | None, lane: Lane, work: str
) -> None:
    system, crashes = supervised()
    with system:
        a = system.add("a", playing(script, control))
        other = system.add("other", playing())
        system.post("a", "bad", lane)
        system.post("a", "fine", lane)
        system.post("other", "hello")
        assert settle(system).reason == "quiescent"
        assert [(crash.actor, crash.work, str(crash.error)) for crash in crashes] == [("a", work, "at bad")]
        assert type(crashes[0].error) is Planted
        assert crashes[0].error.__traceback__ is not None, "the log needs to say where"
        assert (a.seen + a.commands, other.seen) == (["bad", "fine"], ["hello"]), "both go on serving"


@pytest.mark.spec("RT-8")
@pytest.mark.parametrize(("script", "control", "lane", "work"), CRASHES)
def test_without_a_supervisor_the_step_raises(
    script: Script | None, control: Control | None, lane: Lane, work: str
) -> None:
    with SteppedSystem() as system:
        a = system.add("a", playing(script, control))
        system.post("a", "bad", lane)
        with pytest.raises(Planted, match="at bad"):
            system.run_n_steps(10)
        system.post("a", "fine", lane)
        settle(system)
        assert (a.seen + a.commands)[-1] == "fine"


@pytest.mark.spec("RT-8")
def test_the_asker_of_an_actor_that_crashed_does_not_wait_in_silence() -> None:
    async def ask(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await ctx.ask("b", "bad")

    system, crashes = supervised()
    with system:
        system.add("a", playing(ask))
        system.add("b", playing(fail))
        system.post("a", "go")
        report = settle(system)
        assert (report.reason, report.chain) == ("deadlock", ("a (handler str) waits for an answer of b",))
        assert [crash.actor for crash in crashes] == ["b"]


@pytest.mark.spec("RT-8")
def test_a_supervisor_may_trip_the_system_it_supervises() -> None:
    system = SteppedSystem(on_crash=lambda crash: noted(system.post("safe", crash.work, Lane.CONTROL)))
    with system:
        system.add("a", playing(fail))
        safe = system.add("safe", playing())
        system.post("safe", "backlog")
        system.post("a", "bad")
        settle(system)
        assert safe.commands == ["handler str"]


def noted(taken: bool) -> None:  # noqa: FBT001 - what post() returns
    """Make sure that the message was taken."""
    assert taken


def test_a_message_without_a_handler_is_refused_by_name() -> None:
    class Narrow(Actor):
        async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
            refuse(self, message)

    with SteppedSystem() as system:
        system.add("a", Narrow)
        for lane in (Lane.DATA, Lane.CONTROL):
            system.post("a", 1.5, lane)
            with pytest.raises(UnknownMessage, match="a has no handler for float"):
                system.step()


def test_what_an_actor_says_carries_its_name_and_its_time() -> None:
    notes = Notes()

    async def speak(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await ctx.sleep(2)
        ctx.emit("SPOKE", {})
        ctx.audit("C2_TEST", "spoken", level="WARN")
        ctx.count("spoken_total")
        ctx.count("spoken_total", 4)

    with SteppedSystem(recorder=notes) as system:
        system.add("a", playing(speak))
        system.post("a", "go")
        settle(system)
    assert notes.events == [(2_000_000_000, "a", "SPOKE")]
    assert (notes.audits, notes.counters) == ([("C2_TEST", "WARN")], {"spoken_total": 5})


def test_a_kernel_without_a_recorder_keeps_nothing() -> None:
    async def speak(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.emit("SPOKE", {})
        ctx.audit("C2_TEST", "spoken")
        ctx.snapshot({"state": "RUNNING"})
        ctx.count("spoken_total")

    with SteppedSystem() as system:
        system.add("a", playing(speak))
        system.post("a", "go")
        assert (settle(system).reason, type(system.recorder)) == ("quiescent", SilentRecorder)
