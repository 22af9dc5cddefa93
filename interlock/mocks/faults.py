"""Fault plans as data: what the mock broker does wrong, when, and how often.

A rule names a fault and strikes by chance (``permille``), at given opportunities (``nth``, counted from 1), or
both. Chances are draws of the session's schedule, so a plan with a seed is as reproducible as everything else, and
the schedule that always says 0 has no faults at all.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from interlock.domain.door_types import Seconds, Whole
from interlock.domain.intents import Symbol
from interlock.runtime.actor import Context

__all__ = ["Call", "Fault", "FaultPlan", "FaultRule", "Faults"]


class Fault(StrEnum):
    """What can go wrong at the broker (spec FLT-1 to FLT-6, and what must trip)."""

    RATE_LIMIT = "rate_limit"
    TIMEOUT_BEFORE = "timeout_before"
    """No answer, and nothing was done."""
    TIMEOUT_AFTER = "timeout_after"
    """No answer, but it was done."""
    PARTIAL_FILLS = "partial_fills"
    DUPLICATE_FILL = "duplicate_fill"
    DUPLICATE_ACK = "duplicate_ack"
    DUPLICATE_REJECT = "duplicate_reject"
    REJECT = "reject"
    FILL_BEFORE_ACK = "fill_before_ack"
    FILL_AFTER_CANCEL_ACK = "fill_after_cancel_ack"
    """Filled before the cancel, told after its answer."""
    FILL_DURING_CANCEL = "fill_during_cancel"
    """Part of the order fills while the cancel is on its way."""
    CANCEL_REJECTED_FILLED = "cancel_rejected_filled"
    """All of it fills while the cancel is on its way; the cancel is refused, then the fill is told."""
    LATE_PARTIAL_AFTER_CANCEL = "late_partial_after_cancel"
    """The cancel is acknowledged, and then a part fills all the same."""
    CONFLICTING_FILL = "conflicting_fill"
    """A known fill id comes again with another price: must trip."""
    OVERFILL = "overfill"
    """One more fill than was ordered, under a new id: must trip."""


class Call(StrEnum):
    """The calls that can be refused or lost."""

    PLACE = "place"
    CANCEL = "cancel"
    QUERY = "query"
    SNAPSHOT = "snapshot"


class FaultRule(BaseModel):
    """One fault and when it strikes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: Fault
    permille: Annotated[Whole, Field(ge=0, le=1000)] = 0
    nth: tuple[Annotated[Whole, Field(ge=1)], ...] = ()
    calls: tuple[Call, ...] = (Call.PLACE,)
    """For rate limits and time-outs: which calls."""
    symbol: Symbol | None = None
    burst: Annotated[Whole, Field(ge=1, le=1000)] = 1
    """How many opportunities in a row are struck: a storm."""
    retry_after_s: Annotated[Seconds, Field(ge=0, le=3600)] | None = None
    pieces_max: Annotated[Whole, Field(ge=2, le=50)] = 4
    delay_s: Annotated[Seconds, Field(ge=0, le=3600)] = 1.0
    """How late what comes late is."""


class FaultPlan(BaseModel):
    """All rules of a session; they stop striking ``until_s`` after its beginning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[FaultRule, ...] = Field(default=(), max_length=100)
    until_s: Annotated[Seconds, Field(gt=0)] | None = None


class Faults:
    """A plan on its way: counts opportunities and says which of them are struck."""

    def __init__(self, ctx: Context, plan: FaultPlan) -> None:
        self._ctx = ctx
        self._rules = tuple(plan.rules)
        self._until_ns = None if plan.until_s is None else ctx.now_ns() + round(plan.until_s * 1e9)
        self.none = not plan.rules
        """Whether the plan is empty, so that nothing has to be asked."""
        self._seen = [0] * len(self._rules)
        self._burst = [0] * len(self._rules)

    def strike(self, fault: Fault, symbol: str | None = None, call: Call | None = None) -> FaultRule | None:
        """Return the rule that strikes at this opportunity, if one does."""
        if not self._rules or (self._until_ns is not None and self._ctx.now_ns() >= self._until_ns):
            return None
        for index, rule in enumerate(self._rules):
            if rule.fault is not fault or (rule.symbol is not None and symbol is not None and rule.symbol != symbol):
                continue
            if call is not None and call not in rule.calls:
                continue
            if self._hit(index, rule):
                self._ctx.count(f"faults_total|{fault}")
                self._ctx.emit("FAULT", {"fault": fault, "symbol": symbol, "call": call})
                return rule
        return None

    def _hit(self, index: int, rule: FaultRule) -> bool:
        self._seen[index] += 1
        if self._burst[index]:
            self._burst[index] -= 1
            return True
        hit = self._seen[index] in rule.nth or self._ctx.chance(rule.permille, f"fault.{rule.fault}")
        if hit:
            self._burst[index] = rule.burst - 1
        return hit
