"""One step at a time: what a step is, why a run comes back, and that nothing is left behind."""

from __future__ import annotations

import pytest

from interlock.domain.errors import Broken, InvariantBroken, Nondeterminism
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import Lane, MailboxSizes, ReplyTo
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import Foreign, playing, settle, supervised


async def play_ping_pong(ctx: Context, message: object, _: ReplyTo | None) -> None:
    """Send what came back to the other one, for ever."""
    await ctx.send("b" if ctx.name == "a" else "a", message)


async def stop_at_three(ctx: Context, message: object, _: ReplyTo | None) -> None:
    """End the run at the message 3."""
    if message == 3:
        ctx.halt()


@pytest.mark.spec("RT-4")
@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_n_steps_are_exactly_n_steps(n: int) -> None:
    with SteppedSystem() as system:
        a, b = system.add("a", playing(play_ping_pong)), system.add("b", playing(play_ping_pong))
        system.post("a", "ball")
        report = system.run_n_steps(n)
        assert (report.steps, report.reason, report.chain) == (n, "limit", ())
        assert len(a.seen) + len(b.seen) == n == system.steps


@pytest.mark.spec("RT-4")
def test_a_run_in_pieces_is_the_same_run() -> None:
    def run(pieces: list[int]) -> tuple[list[object], int]:
        with SteppedSystem() as system:
            system.add("a", playing(play_ping_pong))
            b = system.add("b", playing(play_ping_pong))
            for ball in range(3):
                system.post("a", ball)
            return b.seen, sum(system.run_n_steps(n).steps for n in pieces)

    assert run([30]) == run([1] * 30) == run([7, 0, 20, 3])


@pytest.mark.spec("RT-4")
def test_a_run_with_nothing_left_to_do_is_quiescent() -> None:
    with SteppedSystem() as system:
        system.add("a", playing())
        assert (system.step(), system.run_n_steps(10).reason) == ("quiescent", "quiescent")
        for n in range(4):
            system.post("a", n)
        report = system.run_n_steps(10)
        assert (report.steps, report.reason) == (4, "quiescent")


@pytest.mark.spec("RT-4")
def test_a_quiescent_run_goes_on_with_the_next_message() -> None:
    with SteppedSystem() as system:
        a = system.add("a", playing())
        settle(system)
        system.post("a", "hello")
        assert (system.step(), a.seen) == (None, ["hello"])


@pytest.mark.spec("RT-4")
def test_halt_ends_the_run_after_this_step() -> None:
    with SteppedSystem() as system:
        a = system.add("a", playing(stop_at_three))
        for n in range(10):
            system.post("a", n)
        report = system.run_n_steps(100)
        assert (report.steps, report.reason, a.seen) == (4, "stopped", [0, 1, 2, 3])
        system.post("a", "trip", Lane.CONTROL)
        assert (system.step(), a.commands) == ("stopped", [])


@pytest.mark.spec("RT-4")
def test_a_step_serves_one_message() -> None:
    with SteppedSystem() as system:
        a = system.add("a", playing())
        for n in range(3):
            system.post("a", n)
        for n in range(3):
            assert (system.step(), a.seen) == (None, list(range(n + 1)))


@pytest.mark.spec("RT-4")
def test_an_actor_serves_one_data_message_at_a_time() -> None:
    marks: list[str] = []

    async def slow(ctx: Context, message: object, _: ReplyTo | None) -> None:
        marks.append(f"begin {message}")
        await ctx.sleep(1)
        marks.append(f"end {message}")

    with SteppedSystem() as system:
        system.add("a", playing(slow))
        system.post("a", 1)
        system.post("a", 2)
        settle(system)
    assert marks == ["begin 1", "end 1", "begin 2", "end 2"]


def test_actors_with_equal_claims_take_turns() -> None:
    served: list[str] = []

    async def note(ctx: Context, message: object, _: ReplyTo | None) -> None:
        served.append(ctx.name)

    with SteppedSystem() as system:
        for name in ("a", "b", "c"):
            system.add(name, playing(note))
            for n in range(3):
                system.post(name, n)
        settle(system)
    assert served == ["a", "b", "c"] * 3


def test_a_job_runs_beside_the_mailbox() -> None:
    async def call(ctx: Context) -> None:
        await ctx.sleep(5)
        await ctx.send(ctx.name, "done", Lane.REPLY)

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        if message == "go":
            ctx.spawn(call(ctx), "call")

    with SteppedSystem() as system:
        a = system.add("a", playing(start))
        system.post("a", "go")
        system.post("a", "other work")
        assert (system.run_n_steps(3).steps, system.clock.now_ns(), a.seen) == (3, 0, ["go", "other work"])
        settle(system)
        assert a.seen == ["go", "other work", "done"]


def test_a_job_is_a_step_of_its_own() -> None:
    ran: list[str] = []

    async def job(name: str) -> None:
        ran.append(name)

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.spawn(job("one"), "one")
        ctx.spawn(job("two"), "two")

    with SteppedSystem() as system:
        system.add("a", playing(start))
        system.post("a", "go")
        counts = []
        while system.step() is None:
            counts.append(len(ran))
    assert counts == [0, 1, 2]


def test_more_jobs_than_the_mailbox_sizes_allow_are_refused_and_closed() -> None:
    """The refused coroutine leaves no warning behind; warnings are errors here."""

    async def job(ctx: Context) -> None:
        await ctx.sleep(1)

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.spawn(job(ctx), "call")

    system, crashes = supervised()
    with system:
        system.add("a", playing(start), MailboxSizes(jobs=2))
        for n in range(3):
            system.post("a", n)
        settle(system)
        error = crashes[0].error
        assert isinstance(error, InvariantBroken)
        assert (len(crashes), error.code, error.evidence) == (1, "job_limit", {"limit": 2})
        for n in range(2):
            system.post("a", n)
        settle(system)
        assert len(crashes) == 1, "jobs that ended make room for others"


@pytest.mark.spec("RT-3", "RT-5")
@pytest.mark.parametrize("where", ["handler", "control handler", "job"])
def test_a_foreign_await_is_an_error_wherever_it_happens(where: str) -> None:
    cleaned: list[str] = []

    async def stray(ctx: Context, message: object = None, _: ReplyTo | None = None) -> None:
        try:
            await Foreign()
        finally:
            cleaned.append(where)

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        if message == "go":
            ctx.spawn(stray(ctx), "stray")

    system, crashes = supervised()
    with system:
        a = system.add("a", playing(start if where == "job" else stray if where == "handler" else None, stray))
        system.post("a", "go", Lane.CONTROL if where == "control handler" else Lane.DATA)
        settle(system)
        assert [type(crash.error) for crash in crashes] == [Nondeterminism]
        assert crashes[0].work.startswith(where)
        assert cleaned == [where], "its coroutine was closed at once"
        system.post("a", "again", Lane.CONTROL if where == "control handler" else Lane.DATA)
        settle(system)
        assert (a.seen + a.commands)[-1] == "again", "the actor still serves"


def test_closing_runs_the_clean_up_of_all_that_waits() -> None:
    """Nothing that was suspended, or spawned and never begun, leaves a warning behind."""
    cleaned: list[str] = []

    async def wait(ctx: Context, message: str, _: ReplyTo | None) -> None:
        try:
            if message == "sleep":
                await ctx.sleep(1)
            elif message == "ask":
                await ctx.ask("mute", "hello")
            elif message == "send":
                await ctx.send("mute", 1)
                await ctx.send("mute", 2)
        finally:
            cleaned.append(message)

    async def job() -> None:
        cleaned.append("never begun")  # pragma: no cover

    async def busy(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.spawn(job(), "job")
        ctx.halt()

    with SteppedSystem() as system:
        system.add("mute", playing(busy), MailboxSizes(data=1))
        for name in ("sleep", "ask", "send"):
            system.add(name, playing(wait))
            system.post(name, name)
        assert settle(system).reason == "stopped"
    assert sorted(cleaned) == ["ask", "send", "sleep"]
    assert system.step() == "stopped"


def test_closing_twice_is_closing_once() -> None:
    with SteppedSystem() as system:
        system.add("a", playing())
        system.close()


def test_two_actors_cannot_have_one_name() -> None:
    with SteppedSystem() as system:
        system.add("a", playing())
        with pytest.raises(Broken, match="two actors are named a"):
            system.add("a", playing())


def test_a_message_to_nobody_is_an_error() -> None:
    async def lost(ctx: Context, message: object, _: ReplyTo | None) -> None:
        await ctx.send("nobody", message)

    with SteppedSystem() as system:
        system.add("a", playing(lost))
        with pytest.raises(Broken, match="no actor is named nobody"):
            system.post("nobody", "hello")
        system.post("a", "hello")
        with pytest.raises(Broken, match="no actor is named nobody"):
            system.step()


def test_two_systems_in_one_process_do_not_see_each_other() -> None:
    with SteppedSystem() as one, SteppedSystem() as two:
        a, b = one.add("a", playing()), two.add("a", playing())
        one.post("a", "hello")
        settle(one)
        settle(two)
        assert (a.seen, b.seen, one.steps, two.steps) == (["hello"], [], 1, 0)
