"""Room for so many at once, and a line of bounded length for those who wait for it."""

from __future__ import annotations

from collections import deque

import anyio

__all__ = ["Room"]


class Room:
    """At most ``inside_max`` inside, at most ``waiting_max`` in line; first come, first in."""

    def __init__(self, inside_max: int, waiting_max: int) -> None:
        self.inside = 0
        self._inside_max = inside_max
        self._waiting_max = waiting_max
        self._line: deque[anyio.Event] = deque()

    @property
    def waiting(self) -> int:
        """Return how many stand in line."""
        return len(self._line)

    def has_let_in(self) -> bool:
        """Come in if that needs no waiting."""
        free = self.inside < self._inside_max
        if free:
            self.inside += 1
        return free

    async def enter(self) -> bool:
        """Come in, or wait in line for it; False where the line is full. Whoever is cancelled in line takes no room."""
        if self.has_let_in():
            return True
        if len(self._line) >= self._waiting_max:
            return False
        let_in = anyio.Event()
        self._line.append(let_in)
        entered = False
        try:
            await let_in.wait()
            entered = True
        finally:
            if not let_in.is_set():
                self._line.remove(let_in)
            elif not entered:  # let in and cancelled at once: the room goes to the next one
                self.leave()
        return True

    def leave(self) -> None:
        """Go out; who waits longest comes in."""
        if self._line:
            self._line.popleft().set()
        else:
            self.inside -= 1
