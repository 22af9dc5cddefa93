"""The context of an actor under the stepped driver: each operation is a call of the kernel, or a wait on it."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractContextManager
from typing import Protocol

from interlock.domain.instants import NS_PER_S
from interlock.runtime.actor import Context, Job, Recorder
from interlock.runtime.asks import Asks
from interlock.runtime.clock import VirtualClock
from interlock.runtime.mailbox import DATA, Envelope, Lane, ReplyTo
from interlock.runtime.schedule import Schedule
from interlock.runtime.work import AwaitReply, Cell, Deadline, SendWait, SleepUntil, Task, until

__all__ = ["Kernel", "SteppedContext"]


class Kernel(Protocol):
    """The stepped driver, as its contexts see it."""

    clock: VirtualClock
    schedule: Schedule
    recorder: Recorder
    asks: Asks

    def try_send(self, to: str, envelope: Envelope, lane: Lane) -> SendWait | None:
        """Deliver; where the lane is full, return what the sender has to wait on."""

    def answer(self, ticket: ReplyTo, answer: object) -> None:
        """Hand an answer to its asker."""

    def arm(self, deadline: Deadline) -> Task:
        """Start a deadline for the task that runs now."""
        ...

    def start_job(self, cell: Cell, job: Job, label: str) -> None:
        """Make a job runnable."""

    def halt(self) -> None:
        """Let no further step run."""


class SteppedContext(Context):
    """The context of one actor under the stepped driver."""

    def __init__(self, kernel: Kernel, cell: Cell) -> None:
        super().__init__(cell.name, kernel.clock, kernel.schedule, kernel.recorder)
        self._kernel = kernel
        self._cell = cell

    async def send(self, to: str, message: object, lane: Lane = Lane.DATA) -> None:
        """Deliver ``message``; waits for room only."""
        full = self._kernel.try_send(to, Envelope(message, None, self.name), lane)
        if full is not None:
            await until(full)

    def offer(self, to: str, message: object) -> bool:
        """Deliver ``message`` if there is room."""
        return self._kernel.try_send(to, Envelope(message, None, self.name), DATA) is None

    async def ask(self, to: str, message: object, timeout_s: float | None = None) -> object:
        """Send, then wait for the answer."""
        kernel, name = self._kernel, self.name
        ask_id = kernel.asks.open()
        deadline = None if timeout_s is None else Deadline(kernel, timeout_s)
        try:
            if deadline is not None:
                deadline.begin()
            full = kernel.try_send(to, Envelope(message, ReplyTo(name, ask_id), name), DATA)
            if full is not None:
                await until(full)
            return await until(AwaitReply(ask_id, to))
        finally:
            if deadline is not None:
                deadline.end()
            kernel.asks.close(ask_id)

    def reply(self, ticket: ReplyTo, answer: object) -> None:
        """Answer a request."""
        self._kernel.answer(ticket, answer)

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait on the virtual clock."""
        return until(SleepUntil(self.now_ns() + round(seconds * NS_PER_S)))  # as ``to_ns``, without the call

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Bound the waits of the block."""
        return Deadline(self._kernel, seconds)

    def spawn(self, job: Job, label: str) -> None:
        """Run a job beside the mailbox."""
        self._kernel.start_job(self._cell, job, label)

    def halt(self) -> None:
        """End the run."""
        self._kernel.halt()
