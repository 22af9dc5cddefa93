"""What an actor is: an object with a handler, and a context that is its whole world.

An actor reads no clock, draws no random number and awaits nothing but the operations of its ``Context``. That
is what lets the same code run on real time in a host's loop and, step by step, in a simulation. Actors share
no mutable state; they know each other by name and talk through immutable messages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from typing import Literal, NoReturn, Protocol

import msgspec

from interlock.domain.errors import UnknownMessage
from interlock.domain.sometimes import SOMETIMES_COUNTERS, Sometimes
from interlock.runtime.clock import Clock
from interlock.runtime.mailbox import Lane, ReplyTo
from interlock.runtime.schedule import Schedule

__all__ = [
    "Actor",
    "AuditLevel",
    "Context",
    "Crash",
    "Job",
    "Recorder",
    "RunReport",
    "SilentRecorder",
    "StopReason",
    "refuse",
]

Job = Coroutine[object, object, None]
"""A piece of work of one actor that runs beside its mailbox, such as one broker call with its retries."""

AuditLevel = Literal["INFO", "WARN", "ERROR", "CRITICAL"]

StopReason = Literal["limit", "quiescent", "stopped", "deadlock", "watch"]
"""Why a stepped run came back: step limit, nothing left to do, session over, actors locked up, its watcher said so."""


class RunReport(msgspec.Struct, frozen=True):
    """How many steps a stepped run made, why it came back, and for a deadlock who waits on whom."""

    steps: int
    reason: StopReason
    chain: tuple[str, ...] = ()


class Recorder(Protocol):
    """Where what actors have to say goes: event log, audit log, counters. Must not raise for a bad sink."""

    def event(self, now_ns: int, actor: str, event_type: str, payload: Mapping[str, object]) -> None:
        """Take one event."""

    def audit(
        self, now_ns: int, actor: str, code: str, message: str, meta: Mapping[str, object], level: AuditLevel
    ) -> None:
        """Take one audit record."""

    def state(self, now_ns: int, view: Mapping[str, object]) -> None:
        """Take one snapshot of the session's state."""

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""


class SilentRecorder:
    """Keeps nothing; for kernels that are run on their own."""

    def event(self, now_ns: int, actor: str, event_type: str, payload: Mapping[str, object]) -> None:
        """Drop the event."""

    def audit(
        self, now_ns: int, actor: str, code: str, message: str, meta: Mapping[str, object], level: AuditLevel
    ) -> None:
        """Drop the record."""

    def state(self, now_ns: int, view: Mapping[str, object]) -> None:
        """Drop the snapshot."""

    def count(self, name: str, by: int = 1) -> None:
        """Drop the count."""


class Crash:
    """An error that left a handler or a job: who raised it, in which piece of work, and the error itself."""

    __slots__ = ("actor", "error", "work")

    def __init__(self, actor: str, work: str, error: Exception) -> None:
        self.actor = actor
        self.work = work
        self.error = error


class Context(ABC):
    """All that an actor may do. Waiting operations are coroutines; the others return at once."""

    def __init__(self, name: str, clock: Clock, schedule: Schedule, recorder: Recorder) -> None:
        self.name = name
        self._clock = clock
        self._schedule = schedule
        self._recorder = recorder
        # Asked several times for each message, so the two are handed on as they are.
        self.now_ns: Callable[[], int] = clock.now_ns
        """The session's time, nanoseconds since the epoch, UTC."""
        self.count: Callable[..., None] = recorder.count
        """Adds to one of the session's counters: ``count(name, by=1)``."""

    def draw(self, n: int, label: str) -> int:
        """Return a choice in ``0 .. n-1`` from the session's schedule; 0 is the ordinary course."""
        return self._schedule.draw(n, label)

    def chance(self, permille: int, label: str) -> bool:
        """Return whether something that happens ``permille`` times in a thousand happens now."""
        return self._schedule.chance(permille, label)

    def sometimes(self, what: Sometimes) -> None:
        """Mark a rare branch that matters: a search over many runs must come by here."""
        self.count(SOMETIMES_COUNTERS[what])

    def emit(self, event_type: str, payload: Mapping[str, object]) -> None:
        """Write one event to the session's event log."""
        self._recorder.event(self._clock.now_ns(), self.name, event_type, payload)

    def audit(
        self, code: str, message: str, meta: Mapping[str, object] | None = None, level: AuditLevel = "INFO"
    ) -> None:
        """Write one record to the session's audit log."""
        self._recorder.audit(self._clock.now_ns(), self.name, code, message, meta or {}, level)

    def snapshot(self, view: Mapping[str, object]) -> None:
        """Write one snapshot of the session's state."""
        self._recorder.state(self._clock.now_ns(), view)

    @abstractmethod
    async def send(self, to: str, message: object, lane: Lane = Lane.DATA) -> None:
        """Put ``message`` into a lane of ``to``; waits while that lane is full, does not yield otherwise."""

    @abstractmethod
    def offer(self, to: str, message: object) -> bool:
        """Put ``message`` into the data lane of ``to`` if there is room; never waits. False: it was not taken."""

    @abstractmethod
    async def ask(self, to: str, message: object, timeout_s: float | None = None) -> object:
        """Send ``message`` and wait for its answer.

        Raises:
            DeadlineExceeded: no answer within ``timeout_s``. What the other side did is unknown.
        """

    @abstractmethod
    def reply(self, ticket: ReplyTo, answer: object) -> None:
        """Answer a request. Never waits; an answer that comes after its asker gave up is dropped and counted."""

    @abstractmethod
    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let session time pass."""

    @abstractmethod
    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Bound the waits inside a ``with`` block; raises ``DeadlineExceeded`` at the one that outlives it."""

    @abstractmethod
    def spawn(self, job: Job, label: str) -> None:
        """Run ``job`` beside the mailbox, as a step of its own.

        Raises:
            InvariantBroken: the actor has as many jobs running as its mailbox sizes allow.
        """

    @abstractmethod
    def halt(self) -> None:
        """End the run after this step: the session is over."""


class Actor(ABC):
    """Receive, decide, persist, send. One data message at a time; control messages even in between."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    @abstractmethod
    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Serve one message of the reply or data lane; ``reply_to`` is set when the sender wants an answer."""

    def direct(self, message: object) -> Awaitable[object] | None:  # noqa: ARG002 - most serve nothing so
        """Return the work of a request that touches nothing of this actor, for its asker to run; None: wait a turn.

        On real time alone, and to spare a call to a broker two turns of the loop. The work bounds itself in time.
        """
        return None

    async def handle_control(self, message: object) -> None:
        """Serve one message of the control lane. Served first, also while ``handle`` waits for something."""
        refuse(self, message)


def refuse(actor: Actor, message: object) -> NoReturn:
    """Raise ``UnknownMessage``: the last line of every handler."""
    text = f"{actor.ctx.name} has no handler for {type(message).__name__}"
    raise UnknownMessage(text)
