"""The host of a test's session, as an actor: it asks the orchestrator as any host would and keeps what it is told."""

from __future__ import annotations

from typing import Final

import msgspec

from interlock.domain.errors import DeadlineExceeded
from interlock.domain.ids import client_order_id
from interlock.domain.messages import CancelIntent, CancelOutcome, SubmitIntent, SubmitOutcome
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import ReplyTo

__all__ = ["HOST", "CancelThis", "Host", "SubmitThis"]

HOST: Final = "host"
_PATIENCE_S: Final = 120.0
"""How long the host waits for an answer; the process that owed it one may have been killed."""


class SubmitThis(msgspec.Struct, frozen=True):
    """Submit an intent."""

    asked: SubmitIntent


class CancelThis(msgspec.Struct, frozen=True):
    """Cancel a decision's order."""

    decision_id: str


class Host(Actor):
    """Asks, in jobs of its own, and remembers the last answer for each decision."""

    def __init__(self, ctx: Context, strategy_id: str) -> None:
        super().__init__(ctx)
        self.submitted: dict[str, SubmitOutcome] = {}
        self.cancelled: dict[str, CancelOutcome] = {}
        self._strategy_id = strategy_id

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:  # noqa: ARG002 - nobody asks this actor
        """Start a job for each request."""
        if isinstance(message, SubmitThis):
            self.ctx.spawn(self._submit(message.asked), "submit")
        elif isinstance(message, CancelThis):
            self.ctx.spawn(self._cancel(message.decision_id), "cancel")
        else:
            refuse(self, message)

    async def _submit(self, asked: SubmitIntent) -> None:
        answer = await self._answer(asked)
        if isinstance(answer, SubmitOutcome):
            self.submitted[asked.intent.decision_id] = answer

    async def _cancel(self, decision_id: str) -> None:
        answer = await self._answer(CancelIntent(client_order_id(self._strategy_id, decision_id)))
        if isinstance(answer, CancelOutcome):
            self.cancelled[decision_id] = answer

    async def _answer(self, asked: object) -> object:
        try:
            return await self.ctx.ask("orchestrator", asked, _PATIENCE_S)
        except DeadlineExceeded:
            return None
