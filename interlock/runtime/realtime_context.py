"""The context of an actor in a host's loop: each operation is a call of the real-time driver."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from interlock.runtime.actor import Context, Job, Recorder
from interlock.runtime.clock import Deadline, RealClock
from interlock.runtime.mailbox import DATA, Envelope, Lane, LaneQueue, ReplyTo
from interlock.runtime.real_asks import RealAsks
from interlock.runtime.schedule import Schedule

__all__ = ["Driver", "RealContext"]


class Driver(Protocol):
    """The real-time driver, as its contexts see it."""

    clock: RealClock
    schedule: Schedule
    recorder: Recorder
    asks: RealAsks

    def post(self, to: str, message: object, lane: Lane = Lane.DATA) -> bool:
        """Deliver if there is room."""
        ...

    def direct(self, to: str, message: object) -> Awaitable[object] | None:
        """Return the work of a request that is served in its asker's own task."""
        ...

    def offer(self, to: str, envelope: Envelope, lane: Lane, *, outside: bool = False) -> LaneQueue | None:
        """Deliver; where the lane is full, return it."""

    async def sleep(self, seconds: float) -> None:
        """Sleep, which counts as idle."""

    def start_job(self, name: str, job: Job, label: str) -> None:
        """Start a job."""

    def halt(self) -> None:
        """Tell the host that the session is over."""


class RealContext(Context):
    """The context of one actor under the real-time driver."""

    def __init__(self, driver: Driver, name: str, *, outside: bool = False) -> None:
        """``outside``: it is that of the driver's host, who runs in tasks of its own."""
        super().__init__(name, driver.clock, driver.schedule, driver.recorder)
        self._driver = driver
        self._outside = outside

    async def send(self, to: str, message: object, lane: Lane = Lane.DATA) -> None:
        """Deliver ``message``; waits for room only."""
        envelope = Envelope(message, None, sent_ns=self.now_ns())
        full = self._driver.offer(to, envelope, lane, outside=self._outside)
        if full is not None:
            await full.wait_for_room(envelope)

    def offer(self, to: str, message: object) -> bool:
        """Deliver ``message`` if there is room."""
        return self._driver.post(to, message)

    async def ask(self, to: str, message: object, timeout_s: float | None = None) -> object:
        """Send, then wait for the answer; what is served directly bounds itself."""
        work = self._driver.direct(to, message)
        if work is not None:
            return await work
        asks = self._driver.asks
        asked = asks.open(self.name, timeout_s)
        try:
            envelope = Envelope(message, ReplyTo(self.name, asked.number), sent_ns=self.now_ns())
            full = self._driver.offer(to, envelope, DATA, outside=self._outside)
            if full is not None:
                with nullcontext() if timeout_s is None else self._driver.clock.deadline(timeout_s):
                    await full.wait_for_room(envelope)
            return await asked.result()
        finally:
            asks.close(asked)

    def reply(self, ticket: ReplyTo, answer: object) -> None:
        """Answer a request."""
        self._driver.asks.answer(ticket, answer)

    async def sleep(self, seconds: float) -> None:
        """Wait on the machine's clock."""
        await self._driver.sleep(seconds)

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Bound the waits of the block."""
        return Deadline(seconds, self._driver.asks)

    def spawn(self, job: Job, label: str) -> None:
        """Run a job beside the mailbox."""
        self._driver.start_job(self.name, job, label)

    def halt(self) -> None:
        """Tell the host that the session is over."""
        self._driver.halt()
