"""The order desk's jobs: broker calls that run beside the mailbox and come back as messages.

Each job ends with exactly one ``…Done`` message on the reply lane of its own actor, whatever happened, so that the
desk decides on every outcome in one place and one at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.domain.broker import BrokerOrder, OrderNotFound
from interlock.domain.errors import BrokerError, NotProcessed
from interlock.domain.instants import to_ns
from interlock.domain.messages import CallOutcome, CancelDone, PlaceDone, QueryDone
from interlock.domain.orders import Order
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import Lane

__all__ = ["OrderCalls", "SettleSettings"]


class SettleSettings(msgspec.Struct, frozen=True):
    """How an order in doubt is settled: asked every ``interval_s``.

    "Not found" counts only ``settle_after_s`` after the order was sent: the broker's request validity plus its
    largest visibility lag plus a margin. After ``deadline_s`` without any answer the order is quarantined.
    """

    interval_s: float = 2.0
    settle_after_s: float = 30.0
    deadline_s: float = 120.0
    asks_max: int = 64


class OrderCalls:
    """Place, cancel and ask, as jobs."""

    def __init__(self, ctx: Context, link: BrokerLink, settle: SettleSettings) -> None:
        self._ctx = ctx
        self._link = link
        self._settle = settle

    async def place(self, order: Order, last_line: Callable[[Order], None]) -> None:
        """Place, with repetitions that are proven safe; ends in ``PlaceDone``."""
        key = order.client_order_id
        try:
            done = PlaceDone(key, CallOutcome.ANSWERED, await self._link.place(order, last_line))
        except NotProcessed as error:
            done = PlaceDone(key, CallOutcome.NOT_PROCESSED, reason=str(error))
        except BrokerError as error:
            done = PlaceDone(key, CallOutcome.UNKNOWN, reason=str(error))
        await self._ctx.send(self._ctx.name, done, Lane.REPLY)

    async def cancel(self, client_order_id: str) -> None:
        """Cancel what is left; ends in ``CancelDone``."""
        try:
            done = CancelDone(client_order_id, CallOutcome.ANSWERED, await self._link.cancel(client_order_id))
        except NotProcessed as error:
            done = CancelDone(client_order_id, CallOutcome.NOT_PROCESSED, reason=str(error))
        except BrokerError as error:
            done = CancelDone(client_order_id, CallOutcome.UNKNOWN, reason=str(error))
        await self._ctx.send(self._ctx.name, done, Lane.REPLY)

    async def settle(self, client_order_id: str, sent_ns: int) -> None:
        """Ask until the broker knows the order, or has not known it past the settle time; ends in ``QueryDone``."""
        ctx, settle = self._ctx, self._settle
        started_ns = ctx.now_ns()
        done = QueryDone(client_order_id, CallOutcome.UNKNOWN, settled=False, reason="asked as often as allowed")
        for _ in range(settle.asks_max):
            await ctx.sleep(settle.interval_s)
            try:
                answer: BrokerOrder | OrderNotFound | None = await self._link.query(client_order_id)
            except BrokerError as error:
                answer, reason = None, str(error)
            settled = ctx.now_ns() - sent_ns >= to_ns(settle.settle_after_s)
            if isinstance(answer, OrderNotFound) and not settled:
                ctx.sometimes(Sometimes.NOT_FOUND_YET)
            if isinstance(answer, BrokerOrder) or (answer is not None and settled):
                done = QueryDone(client_order_id, CallOutcome.ANSWERED, settled, answer)
                break
            if answer is None and ctx.now_ns() - started_ns >= to_ns(settle.deadline_s):
                done = QueryDone(client_order_id, CallOutcome.UNKNOWN, settled, reason=reason)
                break
        await ctx.send(ctx.name, done, Lane.REPLY)
