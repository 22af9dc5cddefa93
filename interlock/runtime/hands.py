"""The hands of the real-time driver: tasks that take up whatever is ready, first come, first served.

A hand runs a piece of work to its end. What that makes ready it takes up itself, in the same turn of the loop, so that
a message from actor to actor costs no turn. A piece that has to wait keeps its hand until it goes on; what is ready
then is taken up by another one, which is made where none rests. Control stands in a line of its own, and goes before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from decimal import setcontext
from typing import Final

import anyio
from anyio.abc import TaskGroup

from interlock.domain.money import ARITHMETIC

__all__ = ["Hands", "Piece"]

Piece = Callable[[], Coroutine[object, object, None]]
"""A piece of work. It handles its own errors: one that leaves it ends the driver."""

_TURNS: Final = 16
"""Pieces that a hand runs before others in the loop have their turn."""

_RESTING_MAX: Final = 256


class Hands:
    """As many tasks as there are pieces of work that wait at once, and one more."""

    def __init__(self) -> None:
        self._ready: deque[Piece] = deque()
        self._urgent: deque[Piece] = deque()
        self._resting: list[asyncio.Future[None]] = []
        self._group: TaskGroup | None = None
        self._over = False
        self._called = False
        """Whether a hand was called that has not come yet."""
        self._looking = False
        """Whether somebody will look, in the next turn of the loop, at what a hand has left."""

    def start(self, group: TaskGroup) -> None:
        """Begin to run what is ready."""
        self._group = group
        self._call()

    def stop(self) -> None:
        """Take up nothing any more: a hand that is cancelled before it began would still run all that is ready."""
        self._group, self._over = None, True
        self._ready.clear()
        self._urgent.clear()

    def put(self, piece: Piece, *, urgent: bool = False, outside: bool = False) -> None:
        """Make a piece of work ready; nobody takes it up once all is over.

        What comes from ``outside`` is taken up in the next turn of the loop. What comes from a piece is taken up by the
        same hand, and where that one has to wait a turn later.
        """
        if self._over:
            return
        (self._urgent if urgent else self._ready).append(piece)
        if self._group is None:
            return
        if outside:
            self._call()
        else:
            self._look_soon()

    def _look_soon(self) -> None:
        """Have somebody look at what is ready: this hand takes it up itself, unless it has to wait for something."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        if self._urgent or self._ready:
            self._call()

    def _call(self) -> None:
        if self._called or self._group is None:
            return
        self._called = True
        while self._resting:
            resting = self._resting.pop()
            if not resting.done():
                resting.set_result(None)
                return
        self._group.start_soon(self._hand)

    async def _hand(self) -> None:
        setcontext(ARITHMETIC.copy())  # of this task alone: a context variable
        served = 0
        while True:
            self._called = False
            while self._urgent or self._ready:
                piece = (self._urgent or self._ready).popleft()
                if self._urgent or self._ready:
                    self._look_soon()
                await piece()
                served += 1
                if served % _TURNS == 0:
                    await anyio.lowlevel.checkpoint()
            if len(self._resting) >= _RESTING_MAX:
                return
            resting = asyncio.get_running_loop().create_future()
            self._resting.append(resting)
            await resting
