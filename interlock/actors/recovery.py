"""Recovery: what an earlier session left open is settled before anything new may leave (RST-2 to RST-4).

Orders that were on their way become orders in doubt, durably, before the first question. Then the executions from the
last matched one on are fetched and booked, and the broker is asked about every order that it may hold open, in the way
in which a running session asks. Nothing is ever sent here. Killed anywhere, recovery begins again and finds the rest.
"""

from __future__ import annotations

from interlock.actors.broker_link import BrokerLink
from interlock.actors.order_book import OrderBook
from interlock.actors.order_tracker import OrderTracker
from interlock.domain.errors import BrokerError
from interlock.domain.messages import ExecutionsFetched
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Context
from interlock.runtime.crash_points import CrashPoint
from interlock.runtime.mailbox import Lane

__all__ = ["Recovery"]

_WHY = "the engine restarted before the answer came"


class Recovery:
    """The way from the store's last state to one that both sides share."""

    def __init__(self, ctx: Context, book: OrderBook, tracker: OrderTracker, link: BrokerLink) -> None:
        self.running = False
        self._ctx = ctx
        self._book = book
        self._tracker = tracker
        self._link = link
        self._fills_before = 0
        self._counts: dict[str, object] = {}

    def begin(self) -> None:
        """Mark what was on its way as in doubt, then fetch what was executed meanwhile."""
        book, probe = self._book, self._book.store.probe
        self.running = True
        probe(CrashPoint.REC_START)
        live = tuple(book.live.values())
        in_doubt = [order for order in live if order.state in (OrderState.SENT, OrderState.UNKNOWN)]
        for order in in_doubt:
            if order.state is OrderState.SENT:
                book.step(order, OrderEvent.PLACE_UNKNOWN, reason=_WHY)
        book.store.commit()
        if in_doubt:
            self._ctx.sometimes(Sometimes.RECOVERED_IN_DOUBT)
        probe(CrashPoint.REC_MARKED)
        self._fills_before = book.exposure.fills.ever
        self._counts = {"orders": len(live), "in_doubt": len(in_doubt)}
        self._ctx.audit("RECOVERY_BEGUN", "orders of an earlier session are settled first", self._counts)
        self._ctx.spawn(self._fetch(), "recovery")

    async def _fetch(self) -> None:
        """Ask for the executions since the last one that both sides agreed on, that one included."""
        try:
            snapshot = await self._link.snapshot(max(self._book.exposure.fills.matched - 1, 0))
            fetched = ExecutionsFetched(snapshot.fills)
        except BrokerError as error:
            fetched = ExecutionsFetched((), str(error))
        self._book.store.probe(CrashPoint.REC_AFTER_QUERY)
        await self._ctx.send(self._ctx.name, fetched, Lane.REPLY)

    async def fetched(self, done: ExecutionsFetched) -> None:
        """Book what was executed, then ask about every order that may be open."""
        if done.error:
            self._ctx.audit("EXECUTIONS_NOT_FETCHED", done.error, level="WARN")
        for fill in done.fills:
            await self._tracker.believe(fill)
        for order in tuple(self._book.live.values()):
            self._tracker.ask_about(order)

    def finished(self) -> bool:
        """Return whether nothing is being asked any more; said once."""
        if not self.running or self._tracker.asking:
            return False
        self.running = False
        states: dict[str, int] = {}
        for order in self._book.orders.values():
            states[order.state] = states.get(order.state, 0) + 1
        left = {
            "fills": self._book.exposure.fills.ever - self._fills_before,
            "live": len(self._book.live),
            "states": dict(sorted(states.items())),
        }
        if left["fills"]:
            self._ctx.sometimes(Sometimes.RECOVERED_FILLS)
        self._ctx.emit("RECOVERED", {**self._counts, **left})
        self._ctx.audit("RECOVERED", "what an earlier session left is settled", {**self._counts, **left})
        return True
