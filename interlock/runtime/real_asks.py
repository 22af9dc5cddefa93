"""Requests on their way in a host's loop: who asked, what wakes the asker, what was answered, and until when.

All deadlines share one timer and one heap, because a scope with a timer for each request costs more than the request. A
deadline is an entry of the heap; where an answer came in time it is passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from interlock.domain.errors import DeadlineExceeded, SessionOver
from interlock.domain.instants import NS_PER_S, to_ns
from interlock.runtime.clock import RealClock, Timer
from interlock.runtime.mailbox import ReplyTo

__all__ = ["Asked", "RealAsks"]

_NONE = object()
"""No answer yet."""

_OVER = object()
"""The answer of a session that will give none."""

_LATE = object()
"""The answer of nobody, at the deadline."""

_NEVER_S: Final = 1e9
"""Nobody waits for thirty years: a deadline beyond is none."""


class Asked:
    """One request; ``timeout_s`` is None where its asker waits for as long as it takes."""

    __slots__ = ("_waiter", "answer", "asker", "number", "timeout_s")

    def __init__(self, number: int, asker: str, timeout_s: float | None) -> None:
        self.number = number
        self.asker = asker
        self.timeout_s = timeout_s
        self.answer: object = _NONE
        self._waiter: asyncio.Future[None] | None = None

    def end(self, answer: object) -> bool:
        """Wake the asker with an answer; False where it has one."""
        if self.answer is not _NONE:
            return False
        self.answer = answer
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return True

    async def result(self) -> object:
        """Wait for the answer.

        Raises:
            DeadlineExceeded: none came in time.
            SessionOver: none will come.
        """
        if self.answer is _NONE:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.answer is _OVER:
            message = "the session was over before there was an answer"
            raise SessionOver(message)
        if self.answer is _LATE:
            message = f"no answer within {self.timeout_s} s"
            raise DeadlineExceeded(message)
        return self.answer


class _Alarm:
    """Something that is called at its deadline, unless it was cancelled before."""

    __slots__ = ("_call", "_number", "_open")

    asker = ""

    def __init__(self, number: int, call: Callable[[], None], among: dict[int, Asked | _Alarm]) -> None:
        self._number = number
        self._call = call
        self._open = among

    def end(self, answer: object) -> bool:
        """Call; nobody answers an alarm but the time."""
        if answer is _LATE:
            self._call()
        return answer is _LATE

    def cancel(self) -> None:
        """Let it not be called any more."""
        self._open.pop(self._number, None)


class RealAsks:
    """Every open request by its number, and one timer of the loop for the deadline that comes first.

    The timer belongs to nobody's task: a session that ends still bounds what it waits for.
    """

    def __init__(self, clock: RealClock) -> None:
        self.late = 0
        """Answers that came after their asker had given up, or a second time."""
        self._clock = clock
        self._open: dict[int, Asked | _Alarm] = {}
        self._count = 0
        self._heap: list[tuple[int, int]] = []
        self._timer: Timer | None = None
        self._closed = False

    @property
    def pending(self) -> int:
        """Return how many deadlines have not come yet, of answered requests too."""
        return len(self._heap)

    def open(self, asker: str, timeout_s: float | None) -> Asked:
        """Register a request.

        Raises:
            SessionOver: nobody will answer any more.
        """
        if self._closed:
            message = "the session is over"
            raise SessionOver(message)
        self._count = number = self._count + 1
        asked = self._open[number] = Asked(number, asker, timeout_s)
        if timeout_s is not None:
            self._put(timeout_s, number)
        return asked

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Have something called once, so many seconds from now; what lies beyond all bounds is never called."""
        self._count = number = self._count + 1
        alarm = self._open[number] = _Alarm(number, call, self._open)
        self._put(seconds, number)
        return alarm

    def close(self, asked: Asked) -> None:
        """Forget a request, answered or given up."""
        del self._open[asked.number]

    def answer(self, ticket: ReplyTo, answer: object) -> None:
        """Hand an answer to its asker, or count it as late."""
        asked = self._open.get(ticket.ask_id)
        if asked is None or not asked.end(answer):
            self.late += 1

    def let_go(self, asker: str) -> None:
        """Wake one asker from all its requests: what has not been answered by now will not be."""
        for asked in self._open.values():
            if asked.asker == asker:
                asked.end(_OVER)

    def stop(self) -> None:
        """Let nobody wait any more: every request is over, no deadline comes, and nothing new is taken."""
        self._closed = True
        for asked in self._open.values():
            asked.end(_OVER)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _put(self, seconds: float, number: int) -> None:
        """Put a deadline in; one beyond all bounds is none."""
        if seconds < _NEVER_S:
            heappush(self._heap, (self._clock.now_ns() + to_ns(seconds), number))
            if self._heap[0][1] == number:
                self._wind_up()

    def _wind_up(self) -> None:
        """Set the timer to the deadline that comes first."""
        if self._timer is not None:
            self._timer.cancel()
        left_ns = self._heap[0][0] - self._clock.now_ns()
        self._timer = self._clock.call_later(max(left_ns, 0) / NS_PER_S, self._ring)

    def _ring(self) -> None:
        """End the requests whose time has come."""
        self._timer, heap, now_ns = None, self._heap, self._clock.now_ns()
        while heap and heap[0][0] <= now_ns:
            asked = self._open.get(heappop(heap)[1])
            if asked is not None:
                asked.end(_LATE)
        if heap:
            self._wind_up()
