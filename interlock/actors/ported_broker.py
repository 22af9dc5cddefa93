"""The broker behind a port, as an actor: it speaks to the session in messages and to an adapter in calls.

Each call is a job, so that no caller waits behind another. ``PortedReader`` can answer questions and has no way to
place or cancel anything: a shadow session holds this one, and no trader. ``PortedTrader`` adds the two calls, and
listens to what the broker tells of itself: a link that is lost is taken up again, bounded, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

import msgspec

from interlock.actors.port_door import REASON_MAX, PortDoor
from interlock.actors.port_snapshot import SnapshotReader
from interlock.domain.broker import (
    Accepted,
    BrokerMessage,
    Cancelled,
    CancelOrder,
    CancelRefused,
    Expired,
    Fill,
    GetSnapshot,
    PlaceOrder,
    QueryOrder,
    Reconnected,
    Rejected,
    Throttled,
    Unavailable,
    Undelivered,
    Unreadable,
)
from interlock.domain.errors import BrokerError, NotProcessed, OutcomeUnknown, RateLimited, Refused, Unreachable
from interlock.domain.messages import Trip
from interlock.ports import DUPLICATE_ID, BrokerReader, BrokerTrader
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import Lane, ReplyTo
from interlock.runtime.redaction import scrub
from interlock.runtime.retry import RetryPolicy

__all__ = ["Listen", "PortSettings", "PortedReader", "PortedTrader"]

_TOLD: Final = (Accepted, Rejected, Fill, Cancelled, CancelRefused, Expired, Reconnected, Unreadable)
"""What may come on a stream; the rest are answers to questions that nobody asked."""

M = TypeVar("M")

_CODE_MAX: Final = 64
_LINKS_MAX: Final = 100_000


class Listen(msgspec.Struct, frozen=True, tag_field="schema", tag="Listen/1"):
    """Begin to listen to what the broker tells of itself."""


class PortSettings(msgspec.Struct, frozen=True):
    """How long an answer may take, and how a lost stream is taken up again."""

    timeout_s: float = 5.0
    policy: RetryPolicy = RetryPolicy()
    """``attempts_max`` links in a row that bring nothing end the session; waits double up to ``wait_max_s``."""
    client: str = "orchestrator"


class PortedReader(Actor):
    """Answers questions from a broker that can be read."""

    is_mock = False
    serves: tuple[type, ...] = (QueryOrder, GetSnapshot)

    def __init__(self, ctx: Context, settings: PortSettings, reader: BrokerReader) -> None:
        super().__init__(ctx)
        self.door = PortDoor(ctx, scrub(str(reader.name))[:_CODE_MAX], settings.timeout_s)
        self._reader = reader
        self._snapshots = SnapshotReader(reader)

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Serve calls, each in a job of its own."""
        if reply_to is None or not isinstance(message, self.serves):
            refuse(self, message)
        self.ctx.spawn(self._reply(message, reply_to), type(message).__name__)

    def direct(self, message: object) -> Coroutine[object, object, object] | None:
        """Return the call of a question; the door bounds it."""
        if isinstance(message, QueryOrder):
            return self._told(self._query, message)
        if isinstance(message, GetSnapshot):
            return self._told(self._snapshot, message)
        return None

    async def _query(self, message: QueryOrder) -> BrokerMessage:
        return await self.door.ask("order", lambda: self._reader.order(message.client_order_id))

    async def _snapshot(self, message: GetSnapshot) -> BrokerMessage:
        return await self.door.ask("snapshot", lambda: self._snapshots.take(message.fills_after))

    async def _told(self, call: Callable[[M], Awaitable[BrokerMessage]], message: M) -> BrokerMessage:
        """Return the answer, or what stands in its place."""
        try:
            return await call(message)
        except RateLimited as error:
            return Throttled(retry_after_s=_advice(error.retry_after_s))
        except NotProcessed as error:
            return Undelivered(reason=_reason(error))
        except BrokerError as error:
            return Unavailable(reason=_reason(error))

    async def _reply(self, message: object, reply_to: ReplyTo) -> None:
        work = self.direct(message)
        if work is not None:
            self.ctx.reply(reply_to, await work)


class PortedTrader(PortedReader):
    """A reader that also hands orders on. Made only for a broker that may take them."""

    serves = (PlaceOrder, CancelOrder, *PortedReader.serves)

    def __init__(self, ctx: Context, settings: PortSettings, trader: BrokerTrader) -> None:
        super().__init__(ctx, settings, trader)
        self.is_mock = trader.is_mock is True
        self.is_paper = trader.is_paper is True
        self._trader = trader
        self._settings = settings

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Serve calls, and begin to listen."""
        if isinstance(message, Listen):
            self.ctx.spawn(self._listen(), "listen")
        else:
            await super().handle(message, reply_to)

    def direct(self, message: object) -> Coroutine[object, object, object] | None:
        """Return the call of an order, a cancel or a question; the door bounds it."""
        if isinstance(message, PlaceOrder):
            return self._told(self._place, message)
        if isinstance(message, CancelOrder):
            return self._told(self._cancel, message)
        return super().direct(message)

    async def _place(self, message: PlaceOrder) -> BrokerMessage:
        try:
            answer = await self.door.order("place", lambda: self._trader.place(message))
        except Refused as error:
            return Rejected(client_order_id=message.client_order_id, code=_code(error), reason=_reason(error))
        if isinstance(answer, Rejected) and answer.code == DUPLICATE_ID:
            taken = "the broker has an order under this id"
            raise OutcomeUnknown(taken)
        return answer

    async def _cancel(self, message: CancelOrder) -> BrokerMessage:
        try:
            return await self.door.order("cancel", lambda: self._trader.cancel(message.client_order_id))
        except Refused as error:
            return CancelRefused(client_order_id=message.client_order_id, code=_code(error), reason=_reason(error))

    # -- what the broker tells ------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Listen for as long as there is something to hear; give up when link after link brings nothing."""
        ctx, policy = self.ctx, self._settings.policy
        in_vain, why = 0, ""
        for link in range(_LINKS_MAX):
            if link:
                await ctx.send(self._settings.client, Reconnected(reason=why))
            try:
                async for statement in self._trader.statements():
                    in_vain = 0
                    await self._tell(statement)
            except Unreachable as error:
                why = _reason(error)
            except Exception as error:  # noqa: BLE001 - the door, as for calls
                why = self.door.broke("statements", error)
            else:
                return
            ctx.count("broker_links_lost_total")
            in_vain += 1
            if in_vain >= policy.attempts_max:
                break
            await ctx.sleep(min(policy.wait_initial_s * float(2 ** (in_vain - 1)), policy.wait_max_s))
        trip = Trip("broker_stream_lost", f"the broker cannot be listened to: {why}", {"adapter": self.door.adapter})
        await ctx.send(self._settings.client, trip, Lane.CONTROL)

    async def _tell(self, statement: object) -> None:
        if not isinstance(statement, _TOLD):
            statement = Unreadable(text=f"a {type(statement).__name__} on the stream of {self.door.adapter}")
        await self.ctx.send(self._settings.client, statement)


def _advice(seconds: float | None) -> float | None:
    """Return how long a broker says to wait, where that is a time."""
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None


def _reason(error: Exception) -> str:
    return scrub(str(error))[:REASON_MAX]


def _code(error: Refused) -> str:
    return scrub(str(error.code))[:_CODE_MAX] or "REFUSED"
