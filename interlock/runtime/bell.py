"""A bell that wakes one task, again and again: the one wait that every message of the real-time driver goes through.

``anyio.Event`` is made anew for each wait and yields once more on its way; here a wait is one future of the event loop,
and none at all where the bell has rung meanwhile.
"""

from __future__ import annotations

import asyncio

__all__ = ["Bell"]


class Bell:
    """Rung by anybody, heard by one task at a time; rings in vain are remembered as one."""

    __slots__ = ("_rung", "_waiter")

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake the task that waits, or let the next wait return at once."""
        self._rung = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until it has rung."""
        if not self._rung:
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        self._rung = False
