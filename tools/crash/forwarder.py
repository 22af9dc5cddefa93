"""The broker actor of a child: every call goes over the line to the broker process and back.

A call is one blocking exchange within one step, so that a lost answer costs no real time: there is simply no reply, and
the caller's own deadline passes on the virtual clock. What the broker tells goes to the orchestrator when it is due.
"""

from __future__ import annotations

from typing import Final

from interlock.domain.broker import BrokerMessage, CancelOrder, Fill, GetSnapshot, PlaceOrder, QueryOrder
from interlock.mocks.broker import StartMarket
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.crash_points import CrashPoint, Probe
from interlock.runtime.mailbox import ReplyTo
from tools.crash.wire import Cancel, Line, Place, Query, Reply, Request, Snapshot, Tick, unpack

__all__ = ["Forwarder"]

_TICK_S: Final = 2.0
_TICKS_MAX: Final = 2_000


class Forwarder(Actor):
    """Pretends to be the broker, as far as its own process goes."""

    is_mock: Final = True

    def __init__(self, ctx: Context, line: Line, probe: Probe) -> None:
        super().__init__(ctx)
        self._line = line
        self._probe = probe

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Forward a call and pass on what comes back."""
        now_ns = self.ctx.now_ns()
        if isinstance(message, StartMarket):
            self.ctx.spawn(self._market(), "market")
        elif isinstance(message, PlaceOrder):
            self._pass_on(self._sent(Place(now_ns, message)), reply_to)
        elif isinstance(message, CancelOrder):
            self._pass_on(self._sent(Cancel(now_ns, message.client_order_id)), reply_to)
        elif isinstance(message, QueryOrder):
            self._pass_on(self._line.call(Query(now_ns, message.client_order_id)), reply_to)
        elif isinstance(message, GetSnapshot):
            self._pass_on(self._line.call(Snapshot(now_ns, message.fills_after)), reply_to)
        else:
            refuse(self, message)

    def _sent(self, request: Request) -> Reply:
        """Make a call that changes something: the places of the protocol that lie here are before and after it."""
        reply = self._line.call(request, lambda: self._probe(CrashPoint.AFTER_SEND))
        self._probe(CrashPoint.AFTER_REPLY)
        return reply

    def _pass_on(self, reply: Reply, reply_to: ReplyTo | None) -> None:
        if reply.answer is not None and reply_to is not None:
            self.ctx.reply(reply_to, unpack(reply.answer))
        for said in reply.told:
            self.ctx.spawn(self._tell(unpack(said), said.late_s), "report")

    async def _tell(self, statement: BrokerMessage, late_s: float) -> None:
        await self.ctx.sleep(late_s)
        if isinstance(statement, Fill):
            self._probe(CrashPoint.FILL_RECEIVED)
        await self.ctx.send("orchestrator", statement)

    async def _market(self) -> None:
        for _ in range(_TICKS_MAX):
            await self.ctx.sleep(_TICK_S)
            self._pass_on(self._line.call(Tick(self.ctx.now_ns())), None)
