"""Fault plans as data: what the mock broker does wrong, when, and how often.

A rule names a fault and strikes by chance (``permille``), at given opportunities (``nth``, counted from 1), or
both. Rules compose: each counts its own opportunities. Chances are draws of the session's schedule, so a plan with
a seed is as reproducible as everything else, and the schedule that always says 0 has no faults at all.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from interlock.domain.door_types import Seconds, Whole
from interlock.domain.instants import to_ns
from interlock.domain.intents import Symbol
from interlock.domain.money import Quantity
from interlock.runtime.actor import Context

__all__ = ["STORE_FAULTS", "Call", "Fault", "FaultPlan", "FaultRule", "Faults"]


class Fault(StrEnum):
    """What can go wrong, by its row of the failure matrix."""

    RATE_LIMIT = "rate_limit"
    """FLT-1: the call is turned away for its rate, with advice or without; a storm of them by ``burst``."""
    TIMEOUT_BEFORE = "timeout_before"
    """FLT-2: no answer, and nothing was done."""
    TIMEOUT_AFTER = "timeout_after"
    """FLT-2: no answer, but it was done."""
    NOT_VISIBLE = "not_visible"
    """FLT-2: asked about an order younger than ``delay_s``, the broker says that it does not know it."""
    ERROR_BEFORE = "error_before"
    """FLT-3: a transient error for an answer, and nothing was done."""
    ERROR_AFTER = "error_after"
    """FLT-3: a transient error for an answer, but it was done."""
    BROKER_DOWN = "broker_down"
    """FLT-3: for ``delay_s`` no call gets through."""
    CONNECTION_LOST = "connection_lost"
    """FLT-3: for ``delay_s`` nothing that is told reaches us; then we are told that the link is back."""
    PARTIAL_FILLS = "partial_fills"
    """FLT-4: what would fill at once fills in up to ``pieces_max`` pieces."""
    DUPLICATE_FILL = "duplicate_fill"
    """FLT-5: a fill is told twice."""
    DUPLICATE_ACK = "duplicate_ack"
    """FLT-5: an accepted order is acknowledged once more on the stream."""
    DUPLICATE_REJECT = "duplicate_reject"
    """FLT-5: a rejected order is rejected once more on the stream."""
    REJECT = "reject"
    """FLT-5: the order is refused by a definite code."""
    FILL_BEFORE_ACK = "fill_before_ack"
    """FLT-6: the fill is told before the order is acknowledged."""
    FILL_AFTER_CANCEL_ACK = "fill_after_cancel_ack"
    """FLT-6: filled before the cancel, told after its answer."""
    FILL_DURING_CANCEL = "fill_during_cancel"
    """FLT-6: part of the order fills while the cancel is on its way."""
    CANCEL_REJECTED_FILLED = "cancel_rejected_filled"
    """FLT-6: all of it fills while the cancel is on its way; the cancel is refused, then the fill is told."""
    CANCEL_UNKNOWN_ORDER = "cancel_unknown_order"
    """FLT-6: the cancel of an order that has ended is answered with "unknown order"."""
    LATE_PARTIAL_AFTER_CANCEL = "late_partial_after_cancel"
    """FLT-6: the cancel is acknowledged, and then a part fills all the same."""
    LATE_EVENT = "late_event"
    """FLT-7: what is told is held back for ``delay_s``, and later events overtake it."""
    LOST_EVENT = "lost_event"
    """FLT-7: what is told never reaches us; only a snapshot or a question shows it."""
    STALE_SNAPSHOT = "stale_snapshot"
    """FLT-7: the snapshot that was served before is served again."""
    ORPHAN_ORDER = "orphan_order"
    """FLT-8: an order for ``amount`` is open there that nobody here has sent."""
    PHANTOM_POSITION = "phantom_position"
    """FLT-8: the position grows by ``amount`` without a fill."""
    CASH_OFF = "cash_off"
    """FLT-8: a fee of ``amount`` is taken that no fill explains."""
    LIMITS_CHANGED = "limits_changed"
    """FLT-8: from now on the broker refuses orders for more than ``amount``."""
    ENDED_THERE = "ended_there"
    """FLT-8: the broker cancels our oldest open order of its own accord, and tells it."""
    BROKER_RESTART = "broker_restart"
    """FLT-9: what is open there gets new broker order ids and is acknowledged under them."""
    IDS_REUSED = "ids_reused"
    """FLT-9: the broker counts from 1 again and gives new orders the broker order ids of old ones."""
    REPLAYED_EVENTS = "replayed_events"
    """FLT-9: the broker tells its last events again, as they were."""
    REPLAYED_UNDER_NEW_ID = "replayed_under_new_id"
    """FLT-9: the broker tells its last fill again under a new fill id: must stop."""
    MALFORMED_MESSAGE = "malformed_message"
    """FLT-10: what is told arrives as something that cannot be read."""
    FOREIGN_STATEMENT = "foreign_statement"
    """FLT-10: an acknowledgement comes for an order that is not ours."""
    FOREIGN_FILL = "foreign_fill"
    """FLT-10: a fill comes for an order that is not ours: must stop."""
    REJECT_AFTER_FILL = "reject_after_fill"
    """FLT-10: an order that has filled, whole or in part, is called rejected."""
    CONFLICTING_FILL = "conflicting_fill"
    """FLT-10: a known fill id comes again with another price: must stop."""
    OVERFILL = "overfill"
    """FLT-10: a fill comes again under a new id, beyond what was ordered: must stop."""
    CANCEL_NOT_DONE = "cancel_not_done"
    """FLT-10: the cancel is acknowledged, and the order stays open."""
    STORE_LOCKED = "store_locked"
    """Not the broker's: the store refuses to write an order's record. Opportunities are writes."""
    KILL_SWITCH_THROWS = "kill_switch_throws"
    """Not the broker's: the store refuses to set the kill switch. Opportunities are settings of it."""


STORE_FAULTS: Final = (Fault.STORE_LOCKED, Fault.KILL_SWITCH_THROWS)
"""Faults of the store, which has no schedule to draw from: they strike at counted opportunities alone."""


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
    """For rate limits, time-outs, errors and outages: which calls."""
    symbol: Symbol | None = None
    burst: Annotated[Whole, Field(ge=1, le=1000)] = 1
    """How many opportunities in a row are struck: a storm."""
    retry_after_s: Annotated[Seconds, Field(ge=0, le=3600)] | None = None
    pieces_max: Annotated[Whole, Field(ge=2, le=50)] = 4
    delay_s: Annotated[Seconds, Field(ge=0, le=3600)] = 1.0
    """How late what comes late is, and how long what lasts a while lasts."""
    amount: Quantity = Decimal(5)
    """How much, where a position, a fee, an order or a limit comes out of nowhere."""

    @model_validator(mode="after")
    def _can_strike(self) -> Self:
        if self.fault in STORE_FAULTS and (self.permille or self.symbol is not None):
            message = f"{self.fault} strikes at counted opportunities alone: nth, burst"
            raise ValueError(message)
        return self


class FaultPlan(BaseModel):
    """All rules of a session; they strike from ``after_s`` after its beginning, and no more from ``until_s`` on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[FaultRule, ...] = Field(default=(), max_length=100)
    after_s: Annotated[Seconds, Field(ge=0)] = 0.0
    until_s: Annotated[Seconds, Field(gt=0)] | None = None


class Faults:
    """A plan on its way: counts opportunities and says which of them are struck."""

    def __init__(self, ctx: Context, plan: FaultPlan) -> None:
        self._ctx = ctx
        self._rules = tuple(rule for rule in plan.rules if rule.fault not in STORE_FAULTS)
        self._of: dict[Fault, list[tuple[int, FaultRule]]] = {}
        for index, rule in enumerate(self._rules):
            self._of.setdefault(rule.fault, []).append((index, rule))
        self._from_ns = ctx.now_ns() + to_ns(plan.after_s)
        self._until_ns = None if plan.until_s is None else ctx.now_ns() + to_ns(plan.until_s)
        self.none = not self._rules
        """Whether the plan is empty, so that nothing has to be asked."""
        self._seen = [0] * len(self._rules)
        self._burst = [0] * len(self._rules)

    def strike(self, fault: Fault, symbol: str | None = None, call: Call | None = None) -> FaultRule | None:
        """Return the rule that strikes at this opportunity, if one does."""
        rules = self._of.get(fault)
        if rules is None or not self._active():
            return None
        for index, rule in rules:
            if rule.symbol is not None and symbol is not None and rule.symbol != symbol:
                continue
            if call is not None and call not in rule.calls:
                continue
            if self._hit(index, rule):
                self._ctx.count(f"faults_total|{fault}")
                self._ctx.emit("FAULT", {"fault": fault, "symbol": symbol, "call": call})
                return rule
        return None

    def end_ns(self, rule: FaultRule) -> int:
        """Return until when something lasts that ``rule`` begins now: for its delay, and never past the plan's end."""
        end_ns = self._ctx.now_ns() + to_ns(rule.delay_s)
        return end_ns if self._until_ns is None else min(end_ns, self._until_ns)

    def _active(self) -> bool:
        now_ns = self._ctx.now_ns()
        return now_ns >= self._from_ns and (self._until_ns is None or now_ns < self._until_ns)

    def _hit(self, index: int, rule: FaultRule) -> bool:
        self._seen[index] += 1
        if self._burst[index]:
            self._burst[index] -= 1
            return True
        hit = self._seen[index] in rule.nth or self._ctx.chance(rule.permille, f"fault.{rule.fault}")
        if hit:
            self._burst[index] = rule.burst - 1
        return hit
