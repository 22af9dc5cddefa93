"""The stream of order events that a host follows: bounded, and never in trading's way.

Each consumer has a buffer of its own. One that is slower than trading loses its oldest events and is told how many,
in their place; nobody waits for it. The last event of an order is the truth about it: ``order`` is the whole record.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Final, Self

import anyio
import msgspec

from interlock.domain.broker import Fill
from interlock.domain.errors import BadInput
from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import Order

__all__ = ["EventFeed", "EventsMissed", "OrderUpdate", "OrderUpdates"]

_CONSUMERS_MAX: Final = 64


class OrderUpdate(msgspec.Struct, frozen=True, tag_field="schema", tag="OrderUpdate/1"):
    """One change of one order, durable by now: what happened, the order after it, and the fill, if it was one."""

    event: OrderEvent
    order: Order
    fill: Fill | None = None


class EventsMissed(msgspec.Struct, frozen=True, tag_field="schema", tag="EventsMissed/1"):
    """So many events stood here and were dropped, because their consumer was too slow."""

    count: int


class OrderUpdates:
    """An async iterator over order events; ends when the session has ended and everything kept was taken."""

    def __init__(self, events_max: int) -> None:
        self.missed = 0
        """Events dropped so far."""
        self._kept: deque[OrderUpdate] = deque()
        self._events_max = events_max
        self._untold = 0
        self._over = False
        self._some = anyio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> OrderUpdate | EventsMissed:
        while not self._kept and not self._over:
            self._some = anyio.Event()
            await self._some.wait()
        if self._untold:
            untold, self._untold = self._untold, 0
            return EventsMissed(untold)
        if self._kept:
            return self._kept.popleft()
        raise StopAsyncIteration

    def put(self, update: OrderUpdate) -> None:
        """Keep one event, in the place of the oldest where there is no room."""
        if len(self._kept) >= self._events_max:
            self._kept.popleft()
            self._untold += 1
            self.missed += 1
        self._kept.append(update)
        self._some.set()

    def end(self) -> None:
        """Let the iterator end once everything was taken."""
        self._over = True
        self._some.set()


class EventFeed:
    """Tells every consumer of one session; one that was dropped by its host is forgotten."""

    def __init__(self, events_max: int) -> None:
        self._events_max = events_max
        self._consumers: list[weakref.ref[OrderUpdates]] = []
        self._over = False

    def follow(self) -> OrderUpdates:
        """Return a new consumer, who is told what happens from now on.

        Raises:
            BadInput: there are as many consumers as there may be.
        """
        self._consumers = [known for known in self._consumers if known() is not None]
        if len(self._consumers) >= _CONSUMERS_MAX:
            raise BadInput("events", f"has {_CONSUMERS_MAX} consumers already", "fewer at once")
        updates = OrderUpdates(self._events_max)
        if self._over:
            updates.end()
        else:
            self._consumers.append(weakref.ref(updates))
        return updates

    def changed(self, order: Order, event: OrderEvent, fill: Fill | None) -> None:
        """Tell one change."""
        if self._consumers:
            update = OrderUpdate(event, order, fill)
            for known in self._consumers:
                updates = known()
                if updates is not None:
                    updates.put(update)

    def end(self) -> None:
        """Tell that nothing more will come."""
        self._over = True
        for known in self._consumers:
            updates = known()
            if updates is not None:
                updates.end()
