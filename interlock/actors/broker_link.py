"""The link to the broker: one call, one answer, one deadline; its errors are translated here and nowhere else.

For a call that changes something, silence or a transient error means *unknown* and is never repeated; a typed
answer that proves nothing happened may be, within its budgets. For a question, everything but an answer may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from interlock.domain.broker import (
    Accepted,
    BrokerOrder,
    BrokerSnapshot,
    Cancelled,
    CancelOrder,
    CancelRefused,
    GetSnapshot,
    OrderNotFound,
    QueryOrder,
    Rejected,
    Throttled,
    Unavailable,
    Undelivered,
)
from interlock.domain.budget import AttemptBudget
from interlock.domain.errors import (
    DeadlineExceeded,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Withheld,
)
from interlock.domain.orders import Order, place_request
from interlock.runtime.actor import Context
from interlock.runtime.retry import RetryPolicy, retrying

__all__ = ["BrokerLink", "LinkSettings"]

T = TypeVar("T")

_SNAPSHOT: Final = (BrokerSnapshot,)
_KEY: Final = "client_order_id"
"""What every answer about one order has."""

_REPEAT_WRITES: Final = (RateLimited, NotSent)
_REPEAT_READS: Final = (RateLimited, NotSent, OutcomeUnknown)


class LinkSettings(msgspec.Struct, frozen=True):
    """Who the broker is, how long an answer may take, and how calls are repeated."""

    broker: str = "broker"
    timeout_s: float = 5.0
    policy: RetryPolicy = RetryPolicy()


class BrokerLink:
    """Broker calls of one actor."""

    def __init__(self, ctx: Context, settings: LinkSettings, budget: AttemptBudget) -> None:
        self._ctx = ctx
        self._settings = settings
        self._budget = budget
        self.last_answer_ns = ctx.now_ns()

    async def place(self, order: Order, last_line: Callable[[Order], None]) -> Accepted | Rejected:
        """Place one order; ``last_line`` is called before every attempt and raises ``Withheld`` to stop it.

        Raises:
            NotProcessed: proven to have had no effect, and not to be tried any more.
            OutcomeUnknown: the order may be live.
        """
        request = place_request(order)

        async def attempt() -> Accepted | Rejected:
            last_line(order)
            return await self._call(order.client_order_id, request, (Accepted, Rejected), "orders_place_total")

        return await retrying(self._ctx, self._settings.policy, "place", attempt, _REPEAT_WRITES)

    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        """Cancel what is left of one order; raises as ``place`` does."""

        async def attempt() -> Cancelled | CancelRefused:
            request, expected = CancelOrder(client_order_id), (Cancelled, CancelRefused)
            return await self._call(client_order_id, request, expected, "orders_cancel_total")

        return await retrying(self._ctx, self._settings.policy, "cancel", attempt, _REPEAT_WRITES)

    async def query(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        """Ask what became of one order.

        Raises:
            BrokerError: no answer within the budgets; nothing can be concluded.
        """

        async def attempt() -> BrokerOrder | OrderNotFound:
            request, expected = QueryOrder(client_order_id), (BrokerOrder, OrderNotFound)
            return await self._call(client_order_id, request, expected, "orders_query_total")

        return await retrying(self._ctx, self._settings.policy, "query", attempt, _REPEAT_READS)

    async def snapshot(self, fills_after: int) -> BrokerSnapshot:
        """Ask for the account; raises as ``query`` does. An empty snapshot is never made up."""

        async def attempt() -> BrokerSnapshot:
            return await self._call("snapshot", GetSnapshot(fills_after), _SNAPSHOT, "broker_snapshots_total")

        return await retrying(self._ctx, self._settings.policy, "snapshot", attempt, _REPEAT_READS)

    async def _call(self, key: str, request: object, expected: tuple[type[T], ...], counter: str) -> T:
        """Make one attempt, counted where the budget lets it leave."""
        spent = self._budget.take(key, self._ctx.now_ns())
        if spent:
            self._ctx.count("attempts_withheld_total")
            raise Withheld(spent, "the budget of attempts is used up")
        self._ctx.count(counter)
        try:
            answer = await self._ctx.ask(self._settings.broker, request, self._settings.timeout_s)
        except DeadlineExceeded as error:
            raise OutcomeUnknown(str(error)) from error
        self.last_answer_ns = self._ctx.now_ns()
        if isinstance(answer, expected) and (expected is _SNAPSHOT or getattr(answer, _KEY) == key):
            return answer
        if isinstance(answer, Throttled):
            raise RateLimited(answer.retry_after_s)
        if isinstance(answer, Undelivered):
            raise NotSent(answer.reason or "the request never left")
        if isinstance(answer, Unavailable):
            raise OutcomeUnknown(answer.reason or "the broker is unavailable")
        # An answer to something else says nothing about this: recorded, and the outcome is unknown (FLT-10).
        message = f"the broker answered {type(request).__name__} with {type(answer).__name__} of something else"
        self._ctx.count("malformed_messages_total")
        self._ctx.audit("MALFORMED_MESSAGE", message, {"asked_about": key}, "WARN")
        raise OutcomeUnknown(message)
