"""Small actors for the tests of the kernel: each plays a script, so that a test reads from top to bottom.

``system.add("a", playing(script))`` adds an actor whose data handler is ``script(ctx, message, reply_to)`` and,
if given, whose control handler is ``control(ctx, message)``. Either notes what it was handed before it plays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

from interlock.runtime.actor import Actor, AuditLevel, Context, Crash, SilentRecorder
from interlock.runtime.mailbox import MailboxSizes, ReplyTo
from interlock.runtime.schedule import Schedule
from interlock.runtime.stepped import RunReport, SteppedSystem

__all__ = [
    "STEPS",
    "Control",
    "Foreign",
    "Notes",
    "Player",
    "Script",
    "asking",
    "pairs",
    "playing",
    "settle",
    "story",
    "supervised",
]

STEPS = 100_000
"""More than any of these small systems needs: who gets there runs for ever."""

Script = Callable[[Context, Any, ReplyTo | None], Awaitable[None]]
"""What a player does with a message of its reply or data lane."""

Control = Callable[[Context, Any], Awaitable[None]]
"""What a player does with a message of its control lane."""


class Player(Actor):
    """Notes every message it is handed, then does what its script says."""

    def __init__(self, ctx: Context, script: Script | None, control: Control | None) -> None:
        super().__init__(ctx)
        self.seen: list[object] = []
        self.commands: list[object] = []
        self._script = script
        self._control = control

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Play the data script."""
        self.seen.append(message)
        if self._script is not None:
            await self._script(self.ctx, message, reply_to)

    async def handle_control(self, message: object) -> None:
        """Play the control script."""
        self.commands.append(message)
        if self._control is not None:
            await self._control(self.ctx, message)


class Notes(SilentRecorder):
    """Keeps what actors emit, and their counters."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, str]] = []
        self.audits: list[tuple[str, AuditLevel]] = []
        self.counters: dict[str, int] = {}

    def event(self, now_ns: int, actor: str, event_type: str, payload: Mapping[str, object]) -> None:
        """Keep when, who and what."""
        self.events.append((now_ns, actor, event_type))

    def audit(
        self, now_ns: int, actor: str, code: str, message: str, meta: Mapping[str, object], level: AuditLevel
    ) -> None:
        """Keep the code and the level."""
        self.audits.append((code, level))

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        self.counters[name] = self.counters.get(name, 0) + by


class Foreign:
    """An awaitable that yields what an event loop would understand and the stepped driver must not."""

    def __await__(self) -> Generator[None, None, None]:
        """Yield like a bare sleep of zero seconds does."""
        yield


def playing(script: Script | None = None, control: Control | None = None) -> Callable[[Context], Player]:
    """Return what builds a player of these scripts."""
    return lambda ctx: Player(ctx, script, control)


def asking(to: str, answers: list[object], timeout_s: float | None = None) -> Script:
    """Return the script of an actor that passes each message on as a request and notes the answer."""

    async def ask(ctx: Context, message: object, _: ReplyTo | None) -> None:
        answers.append(await ctx.ask(to, message, timeout_s))

    return ask


def settle(system: SteppedSystem) -> RunReport:
    """Run until the system comes to rest, which it must."""
    report = system.run_n_steps(STEPS)
    assert report.reason != "limit", "it never came to rest"
    return report


def supervised() -> tuple[SteppedSystem, list[Crash]]:
    """Return a system and the list of the crashes its supervisor was told of."""
    crashes: list[Crash] = []
    return SteppedSystem(on_crash=crashes.append), crashes


def pairs(report: RunReport) -> list[tuple[str, str]]:
    """Return who waits on whom in a report's chain, by the first and the last word of each link."""
    return [(link.split()[0], link.split()[-1]) for link in report.chain]


def story(schedule: Schedule, *, planted: bool = False) -> list[str]:
    """Return what a system full of choices wrote: four workers that pause, fail by chance and share one narrow door.

    ``planted`` makes the workers iterate a set of texts, whose order changes with PYTHONHASHSEED.
    """
    lines: list[str] = []
    names = ("ann", "bob", "cid", "dot")

    async def work(ctx: Context, message: str, _: ReplyTo | None) -> None:
        await ctx.sleep(ctx.draw(4, f"pause.{ctx.name}"))
        if ctx.chance(300, "fault.slow"):
            await ctx.sleep(2.5)
        for name in {*names, message} if planted else (message,):
            await ctx.send("door", f"{ctx.name} {name}")

    async def note(ctx: Context, message: str, _: ReplyTo | None) -> None:
        lines.append(f"{ctx.now_ns()} {message}")

    with SteppedSystem(schedule=schedule) as system:
        system.add("door", playing(note), MailboxSizes(data=1))
        for name in names:
            system.add(name, playing(work), MailboxSizes(data=8))
        for number in range(8):
            assert all(system.post(name, f"m{number}") for name in names)
        assert settle(system).reason == "quiescent"
    return lines
