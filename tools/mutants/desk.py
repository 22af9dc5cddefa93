"""Faults of the order desk and of the order's way to the broker."""

from __future__ import annotations

from typing import Final

from interlock.actors import broker_link
from interlock.actors.commits import Commits, Effect
from interlock.actors.order_desk import OrderDesk
from interlock.domain.errors import NotSent, OutcomeUnknown, RateLimited
from interlock.domain.ids import client_order_id
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import CallOutcome, PlaceDone, SubmitOutcome, Verdict
from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import Order, advance
from interlock.runtime.mailbox import ReplyTo
from tools.mutants.cases import BURST, DAY, GROUPED, TWICE
from tools.mutants.mutant import Mutant, swap

__all__ = ["DESK", "anything_goes"]

_SUBMIT: Final = OrderDesk.submit
_TAKE: Final = OrderDesk._take


def anything_goes(order: Order) -> None:
    """Stand in for the last line before the send, and look at nothing."""


async def _send_then_claim(self: OrderDesk, verdict: Verdict, order: Order, reply_to: ReplyTo | None) -> None:
    if verdict.code:
        self._refuse(order, reply_to, verdict.code, verdict.reason)
        return
    sent = advance(order, OrderEvent.SEND, self.ctx.now_ns())
    self._placing[order.client_order_id] = reply_to
    self.ctx.spawn(self._calls.place(sent, anything_goes), "place")
    await self.ctx.sleep(0.03)
    self.book.claim(order)


async def _send_again(self: OrderDesk, done: PlaceDone) -> None:
    if done.answer is None and done.outcome is CallOutcome.UNKNOWN:
        order = self.book.orders[done.client_order_id]
        self.ctx.spawn(self._calls.place(order, anything_goes), "place")
    else:
        await _TAKE(self, done)


def _reserve_only(self: OrderDesk, order: Order) -> None:
    exposure = self.book.exposure
    if not exposure.holds(order.client_order_id):
        exposure.reserve(order, self.ctx.now_ns())


def _tell_at_once(self: OrderDesk, reply_to: ReplyTo | None, outcome: SubmitOutcome) -> None:
    if reply_to is not None:
        self.ctx.reply(reply_to, outcome)


async def _forget_who_waits(self: OrderDesk, intent: OrderIntent, reply_to: ReplyTo | None) -> None:
    self._waiting.pop(client_order_id(self.settings.strategy_id, intent.decision_id), None)
    await _SUBMIT(self, intent, reply_to)


def _effect_first(self: Commits, effect: Effect) -> None:
    effect()


DESK: Final = {
    "send_before_claim": Mutant(
        "the order leaves, then its key is claimed", swap(OrderDesk, "_let_out", _send_then_claim), DAY, ("I8",)
    ),
    "resend_on_timeout": Mutant(
        "a place call without an answer is made again", swap(OrderDesk, "_take", _send_again), DAY, ("I1",)
    ),
    "retry_unknown_outcome": Mutant(
        "the retry takes an unknown outcome for one that was not processed",
        swap(broker_link, "_REPEAT_WRITES", (RateLimited, NotSent, OutcomeUnknown)),
        DAY,
        ("I1",),
    ),
    "no_last_line": Mutant(
        "nothing is checked right before the send",
        swap(OrderDesk, "_last_line", _reserve_only),
        BURST,
        ("I12", "SAF-1"),
    ),
    "host_told_before_commit": Mutant(
        "the host hears of an outcome that is not durable yet",
        swap(OrderDesk, "answer", _tell_at_once),
        GROUPED,
        ("durability",),
    ),
    "effects_before_commit": Mutant(
        "what must wait for the commit does not", swap(Commits, "then", _effect_first), GROUPED, ("durability", "I8")
    ),
    "waiting_intents_forgotten": Mutant(
        "a decision that waits for its verdict is not recognised when it comes again",
        swap(OrderDesk, "submit", _forget_who_waits),
        TWICE,
        ("liveness",),
    ),
}
