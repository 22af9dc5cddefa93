"""One ``Clock`` port, two clocks. This file alone may read the machine's time.

Inside, an instant is a whole number of nanoseconds since 1970-01-01 UTC (``*_ns``) and a duration given by a
person is in seconds (``*_s``). The virtual clock moves only when the stepped driver moves it; the real clock
counts monotonic time from a start that was read once, so that it never goes back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

import anyio

from interlock.domain.errors import Broken, DeadlineExceeded
from interlock.domain.instants import to_ns

__all__ = ["Clock", "Deadline", "RealClock", "Timer", "Timers", "VirtualClock"]


class Clock(Protocol):
    """Where actors get the time from."""

    def now_ns(self) -> int:
        """Return the current instant in nanoseconds since the epoch, UTC; never less than before."""
        ...


class VirtualClock:
    """Time that passes only by stepping."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the simulated instant."""
        return self._now_ns

    def advance_to(self, due_ns: int) -> None:
        """Move to ``due_ns``.

        Raises:
            Broken: ``due_ns`` lies in the past.
        """
        if due_ns < self._now_ns:
            message = f"virtual clock asked to go back from {self._now_ns} to {due_ns}"
            raise Broken(message)
        self._now_ns = due_ns

    def reach(self, due_ns: int) -> int:
        """Move to ``due_ns`` unless it is later already; return the instant that it is then."""
        if due_ns > self._now_ns:
            self._now_ns = due_ns
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once: the sleep of synchronous callers such as sink retries."""
        self.advance_to(self._now_ns + to_ns(seconds))


class RealClock:
    """The machine's time, for a session inside a host's event loop."""

    def __init__(self) -> None:
        self._began_ns = time.time_ns() - time.monotonic_ns()
        """The wall time at which the monotonic one was 0."""

    def now_ns(self) -> int:
        """Return wall time as of construction plus the monotonic time since."""
        return self._began_ns + time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait in the host's event loop."""
        await anyio.sleep(seconds)

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Bound the block; raises ``DeadlineExceeded`` when it takes longer than ``seconds``."""
        return Deadline(seconds, self)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Have the host's event loop call something once, so many seconds from now."""
        return asyncio.get_running_loop().call_later(seconds, call)


class Timer(Protocol):
    """Something that is to be called at an instant."""

    def cancel(self) -> None:
        """Let it not be called any more."""


class Timers(Protocol):
    """What calls at an instant: a clock, or what keeps many instants cheaper than one."""

    def call_later(self, seconds: float, call: Callable[[], None], /) -> Timer:
        """Have something called once, so many seconds from now."""
        ...


class Deadline(AbstractContextManager[None]):
    """Cancels the task at the deadline, and takes that back; a scope of anyio costs three times as much."""

    __slots__ = ("_cancelling", "_late", "_seconds", "_task", "_timer", "_timers")

    def __init__(self, seconds: float, timers: Timers) -> None:
        self._seconds = seconds
        self._timers = timers
        self._late = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            message = "a deadline outside any task"
            raise Broken(message)
        self._task, self._cancelling = task, task.cancelling()
        self._timer = self._timers.call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._late = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # Where somebody else has cancelled the task as well, that goes before.
        late = self._late and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError
        if late or kind is TimeoutError:
            message = f"no answer within {self._seconds} s"
            raise DeadlineExceeded(message) from error
