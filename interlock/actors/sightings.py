"""Sightings: what the host of a shadow session did by itself, and what it heard of it.

A shadow session sends nothing, so its book is made of what it begins with and what its host reports: orders placed,
fills, cancels. That is the side which the broker is compared with; nothing is taken over from the broker in silence.
"""

from __future__ import annotations

from interlock.actors.order_desk import DeskSettings
from interlock.actors.order_tracker import OrderTracker
from interlock.domain.broker import BrokerMessage, PlaceOrder
from interlock.domain.messages import OrderAdopted
from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import seen_order
from interlock.runtime.actor import Context
from interlock.runtime.store import ClaimResult

__all__ = ["Sightings"]


class Sightings:
    """Takes in what was seen, in a shadow session and in no other."""

    def __init__(self, ctx: Context, settings: DeskSettings, tracker: OrderTracker) -> None:
        self._ctx = ctx
        self._settings = settings
        self._tracker = tracker

    async def saw(self, what: PlaceOrder | BrokerMessage) -> str:
        """Take one sighting; return "" or why it was not taken: NOT_SHADOW, UNKNOWN_ORDER, KEY_REUSED and the like.

        Raises:
            InvariantBroken, IllegalTransition: it contradicts what must always hold.
        """
        if not self._settings.shadow:
            return "NOT_SHADOW"
        if isinstance(what, PlaceOrder):
            return await self._placed(what)
        if getattr(what, "client_order_id", "") not in self._tracker.book.orders:
            return "UNKNOWN_ORDER"
        await self._tracker.believe(what)
        return ""

    async def _placed(self, seen: PlaceOrder) -> str:
        """Take in an order as one that works, and count it as fully open in both books."""
        settings, book = self._settings, self._tracker.book
        order = seen_order(seen, settings.venue, settings.account, self._ctx.now_ns())
        known = book.store.order_of(order.client_order_id)
        if known is not None:
            return "" if known.fingerprint == order.fingerprint else "KEY_REUSED"
        claim, sent = book.claim(order)
        if claim is not ClaimResult.CLAIMED:
            return f"KEY_{claim.name}"
        placed = book.step(sent, OrderEvent.ACCEPT)
        book.exposure.adopt(placed)
        await self._ctx.send(settings.rails, OrderAdopted(placed))
        return ""
