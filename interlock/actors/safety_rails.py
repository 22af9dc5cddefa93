"""The safety rails actor: checks every intent before it leaves and every statement of the broker as it comes.

It keeps a book of its own and never sees the order desk's. When an invariant breaks it says so on the control
lane of the orchestrator, where nothing queues in front of it.
"""

from __future__ import annotations

from interlock.actors.slippage_watch import SlippageMeter
from interlock.domain.broker import Accepted, Fill
from interlock.domain.errors import InvariantBroken
from interlock.domain.exposure import Exposure
from interlock.domain.limits import RailLimits
from interlock.domain.messages import CheckIntent, Observe, OrderAdopted, OrderClosed, SetGate, Trip, Verdict
from interlock.domain.rails import check_order
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import Lane, ReplyTo

__all__ = ["SafetyRails"]


class SafetyRails(Actor):
    """Decides with ``check_order``; trips on ``InvariantBroken``. Closed until the gate is opened."""

    def __init__(self, ctx: Context, orchestrator: str, limits: RailLimits, exposure: Exposure) -> None:
        super().__init__(ctx)
        self.slippage = SlippageMeter(ctx, limits)
        self._orchestrator = orchestrator
        self._limits = limits
        self.exposure = exposure
        self._gate_open = False

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:  # noqa: ARG002 - nobody asks this actor
        """Serve checks and observations in the order in which the orchestrator made them."""
        if isinstance(message, CheckIntent):
            await self._check(message)
        elif isinstance(message, Observe):
            await self._observe(message)
        elif isinstance(message, OrderAdopted):
            self.exposure.adopt(message.order)
        elif isinstance(message, OrderClosed):
            self.exposure.release(message.client_order_id)
            if not message.left:
                self.exposure.forget(message.client_order_id)
        else:
            refuse(self, message)

    async def handle_control(self, message: object) -> None:
        """Open or close the gate; what is closed refuses everything."""
        if isinstance(message, SetGate):
            self._gate_open = message.open
        else:
            refuse(self, message)

    async def _check(self, message: CheckIntent) -> None:
        order = message.order
        now_ns = self.ctx.now_ns()
        refusal = check_order(order, self._limits, self.exposure, now_ns, gate_open=self._gate_open)
        if refusal is None:
            self.exposure.reserve(order, now_ns)
            verdict = Verdict(order.client_order_id)
        else:
            verdict = Verdict(order.client_order_id, refusal.code, refusal.reason)
        self.slippage.judged(order, verdict.code, now_ns)
        await self.ctx.send(self._orchestrator, verdict, Lane.REPLY)

    async def _observe(self, message: Observe) -> None:
        statement = message.statement
        try:
            if isinstance(statement, Fill):
                self.exposure.begin_day(self.ctx.now_ns())
                if self.exposure.book(statement):
                    self.slippage.filled(statement)
                self.exposure.verify(statement)
            elif isinstance(statement, Accepted):
                self.exposure.accepted(statement)
        except InvariantBroken as broken:
            self._gate_open = False
            trip = Trip(broken.code, str(broken), broken.evidence)
            await self.ctx.send(self._orchestrator, trip, Lane.CONTROL)
