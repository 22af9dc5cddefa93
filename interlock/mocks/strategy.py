"""Strategies for dry runs: a script of intents and cancels at given times, or a drawn trading day.

A mock host in actor form: it asks the orchestrator like any host would, waits for each outcome in a job of its own,
and stops the session when its work is done.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from interlock.domain.ids import client_order_id
from interlock.domain.instants import NS_PER_S
from interlock.domain.intents import BUY, SELL, OrderIntent, OrderType
from interlock.domain.messages import (
    CancelIntent,
    CancelOutcome,
    SessionEnded,
    SessionStarted,
    StopSession,
    SubmitIntent,
    SubmitOutcome,
    SubmitStatus,
)
from interlock.mocks.broker import GetQuote, Quote
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.credit import Credit
from interlock.runtime.mailbox import Lane, ReplyTo

__all__ = ["DayPlan", "ScriptStep", "Strategy", "StrategySettings"]

_POLL_S: Final = 0.01
_POLLS_MAX: Final = 1_000_000


class ScriptStep(msgspec.Struct, frozen=True):
    """One thing to do ``at_ns`` after the session became active: submit an intent, or cancel a decision's order."""

    at_ns: int
    intent: OrderIntent | None = None
    cancel_decision: str | None = None


class DayPlan(msgspec.Struct, frozen=True):
    """A drawn day: ``orders`` intents, one every ``every_s``, sizes in lots, some cancelled after a while."""

    symbols: tuple[str, ...]
    orders: int
    every_s: float
    lot: Decimal
    lots_max: int
    offset_ticks_max: int
    tick_size: Decimal
    market_permille: int = 200
    cancel_permille: int = 250
    cancel_after_s: float = 45.0


class StrategySettings(msgspec.Struct, frozen=True):
    """What to do, how much of it at once, and how long to linger before stopping the session (None: do not)."""

    strategy_id: str
    script: tuple[ScriptStep, ...] = ()
    day: DayPlan | None = None
    orchestrator: str = "orchestrator"
    broker: str = "broker"
    in_flight_max: int = 16
    linger_s: float | None = 30.0


class Strategy(Actor):
    """Submits what its settings say, once the session is active and until it ends."""

    def __init__(self, ctx: Context, settings: StrategySettings) -> None:
        super().__init__(ctx)
        self._settings = settings
        self._credit = Credit("submits", settings.in_flight_max)
        self._ended = False
        self.outcomes: list[SubmitOutcome] = []
        """What it was told of each intent, in the order of the answers."""
        self.promised: list[tuple[int, str]] = []
        """When it was told that an order is being cancelled, and which."""
        self.done: list[ScriptStep] = []
        """What it asked for, drawn or not, as the script that asks for it again."""
        self._started_ns = 0

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:  # noqa: ARG002 - nobody asks this actor
        """Begin when the session does."""
        if isinstance(message, SessionStarted):
            self.ctx.spawn(self._work(), "strategy")
        else:
            refuse(self, message)

    async def handle_control(self, message: object) -> None:
        """Submit nothing more once the session ends."""
        if isinstance(message, SessionEnded):
            self._ended = True
        else:
            refuse(self, message)

    async def _work(self) -> None:
        settings = self._settings
        self._started_ns = self.ctx.now_ns()
        for step in settings.script:
            wait_ns = self._started_ns + step.at_ns - self.ctx.now_ns()
            if wait_ns > 0:
                await self.ctx.sleep(wait_ns / NS_PER_S)
            if self._ended:
                return
            await self._do(step)
        if settings.day is not None:
            await self._trade_a_day(settings.day)
        if settings.linger_s is not None and not self._ended:
            await self.ctx.sleep(settings.linger_s)
            await self._until_idle()
            await self.ctx.send(settings.orchestrator, StopSession("the strategy is done"), Lane.CONTROL)

    async def _do(self, step: ScriptStep) -> None:
        if step.intent is not None:
            await self._start(step.intent, None)
        elif step.cancel_decision is not None:
            self.ctx.spawn(self._cancel(step.cancel_decision), "cancel")

    async def _trade_a_day(self, plan: DayPlan) -> None:
        for number in range(1, plan.orders + 1):
            await self.ctx.sleep(plan.every_s)
            if self._ended:
                return
            symbol = plan.symbols[self.ctx.draw(len(plan.symbols), "day.symbol")]
            quote = await self.ctx.ask(self._settings.broker, GetQuote(symbol))
            if isinstance(quote, Quote) and quote.price is not None:
                cancels = self.ctx.chance(plan.cancel_permille, "day.cancel")
                intent = self._intent(plan, number, symbol, quote.price)
                await self._start(intent, plan.cancel_after_s if cancels else None)

    def _intent(self, plan: DayPlan, number: int, symbol: str, price: Decimal) -> OrderIntent:
        ctx = self.ctx
        side = BUY if ctx.draw(2, "day.side") == 0 else SELL
        offset = plan.tick_size * ctx.draw(plan.offset_ticks_max + 1, "day.offset")
        at_market = ctx.chance(plan.market_permille, "day.market")
        limit = price - offset if side is BUY else price + offset
        return OrderIntent(
            decision_id=f"day-{number:05d}",
            symbol=symbol,
            side=side,
            quantity=plan.lot * (1 + ctx.draw(plan.lots_max, "day.lots")),
            order_type=OrderType.MARKET if at_market else OrderType.LIMIT,
            limit_price=None if at_market else max(limit, plan.tick_size),
            reference_price=price,
        )

    async def _start(self, intent: OrderIntent, cancel_after_s: float | None) -> None:
        for _ in range(_POLLS_MAX):
            if self._credit.take():
                self.ctx.spawn(self._submit(intent, cancel_after_s), "submit")
                return
            await self.ctx.sleep(_POLL_S)

    async def _submit(self, intent: OrderIntent, cancel_after_s: float | None) -> None:
        self._note(intent=intent)
        outcome = await self.ctx.ask(self._settings.orchestrator, SubmitIntent(intent))
        self._credit.give_back()
        if not isinstance(outcome, SubmitOutcome):
            refuse(self, outcome)
        self.outcomes.append(outcome)
        self.ctx.count(f"submit_outcomes_total|{outcome.status}")
        live = outcome.status in (SubmitStatus.ACCEPTED, SubmitStatus.UNKNOWN)
        if cancel_after_s is not None and live:
            await self.ctx.sleep(cancel_after_s)
            await self._cancel(intent.decision_id)

    async def _cancel(self, decision_id: str) -> None:
        if self._ended:
            return
        key = client_order_id(self._settings.strategy_id, decision_id)
        self._note(cancel_decision=decision_id)
        outcome = await self.ctx.ask(self._settings.orchestrator, CancelIntent(key))
        if isinstance(outcome, CancelOutcome) and outcome.requested:
            self.promised.append((self.ctx.now_ns(), key))

    def _note(self, intent: OrderIntent | None = None, cancel_decision: str | None = None) -> None:
        self.done.append(ScriptStep(self.ctx.now_ns() - self._started_ns, intent, cancel_decision))

    async def _until_idle(self) -> None:
        for _ in range(_POLLS_MAX):
            if self._credit.in_flight == 0:
                return
            await self.ctx.sleep(_POLL_S)
