"""One ``Clock`` port, two clocks. This file alone may read the machine's time.

Inside, an instant is a whole number of nanoseconds since 1970-01-01 UTC (``*_ns``) and a duration given by a
person is in seconds (``*_s``). The virtual clock moves only when the stepped driver moves it; the real clock
counts monotonic time from a start that was read once, so that it never goes back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Protocol

import anyio

from interlock.domain.errors import Broken, DeadlineExceeded

__all__ = ["NS_PER_S", "Clock", "RealClock", "VirtualClock", "from_datetime", "rfc3339", "to_ns"]

NS_PER_S: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once: the sleep of synchronous callers such as sink retries."""
        self.advance_to(self._now_ns + to_ns(seconds))


class RealClock:
    """The machine's time, for a session inside a host's event loop."""

    def __init__(self) -> None:
        self._wall_ns = time.time_ns()
        self._started_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """Return wall time as of construction plus the monotonic time since."""
        return self._wall_ns + time.monotonic_ns() - self._started_ns

    async def sleep(self, seconds: float) -> None:
        """Wait in the host's event loop."""
        await anyio.sleep(seconds)

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Bound the block; raises ``DeadlineExceeded`` when it takes longer than ``seconds``."""
        try:
            with anyio.fail_after(seconds):
                yield
        except TimeoutError as error:
            message = f"no answer within {seconds} s"
            raise DeadlineExceeded(message) from error


def to_ns(seconds: float) -> int:
    """Return a duration in whole nanoseconds."""
    return round(seconds * NS_PER_S)


def from_datetime(instant: datetime) -> int:
    """Return the nanoseconds since the epoch of a ``datetime`` that knows its zone.

    Raises:
        Broken: ``instant`` has no zone; guessing one would move every record by hours.
    """
    if instant.tzinfo is None:
        message = f"a time without a zone: {instant.isoformat()}"
        raise Broken(message)
    return ((instant - _EPOCH) // timedelta(microseconds=1)) * 1000


@lru_cache(maxsize=1024)
def _whole_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(instant_ns: int) -> str:
    """Return an instant as RFC 3339 UTC with nine digits after the second, so that texts sort as times do."""
    second, rest = divmod(instant_ns, NS_PER_S)
    return f"{_whole_second(second)}.{rest:09d}Z"
