"""Commits: nothing gets out before the store holds what it stands on.

A change is taken by the store at once and durable with its commit. One by one, the commit follows each change. Grouped,
it waits for a few turns in which everything that can run at this instant does, so that orders that are in flight
together share one sync; what must not happen before (an order leaving, a host being told) waits with it, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from interlock.runtime.actor import Context
from interlock.runtime.store import Store

__all__ = ["Commits"]

Effect = Callable[[], None]

_TURNS: Final = 4
"""Turns of the loop in which others may join a commit: so many lie between a host that may go on and its next claim."""


class Commits:
    """When the store commits, and what happens then.

    ``done`` counts commits, ``ns_sum`` and ``ns_max`` say how long they took on the session's clock: always 0 on
    virtual time, which does not pass while a step runs.
    """

    def __init__(self, ctx: Context, store: Store, *, grouped: bool = False) -> None:
        self._ctx = ctx
        self._store = store
        self._grouped = grouped
        self._wanted = False
        self._broken = False
        self._effects: list[Effect] = []
        self.done = 0
        self.ns_sum = 0
        self.ns_max = 0

    def changed(self) -> None:
        """Take note that the store has taken a change.

        Raises:
            StoreRefused: it could not be made durable.
        """
        if not self._grouped:
            self._now()
        elif not self._wanted:
            self._wanted = True
            self._ctx.spawn(self._commit(), "commit")

    def then(self, effect: Effect) -> None:
        """Let ``effect`` happen once everything is durable that was taken so far; where that failed, never."""
        if self._wanted or self._broken:
            self._effects.append(effect)
        else:
            effect()

    async def _commit(self) -> None:
        """Commit all that has come together, then let out what waited for it."""
        for _ in range(_TURNS):
            await self._ctx.sleep(0)
        self._wanted = False
        effects, self._effects = self._effects, []
        self._now()
        for effect in effects:
            effect()

    def _now(self) -> None:
        begun_ns = self._ctx.now_ns()
        self._broken = True
        self._store.commit()
        self._broken = False
        took_ns = self._ctx.now_ns() - begun_ns
        self.done += 1
        self.ns_sum += took_ns
        if took_ns > self.ns_max:
            self.ns_max = took_ns
