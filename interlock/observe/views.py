"""What is seen of a session from outside: three frozen views, one for each question (OBS-1, OBS-5).

``Health`` answers whether the session is well, ``Readiness`` whether it takes intents now, ``Status`` what an operator
has to know and do. Every text in them is redacted when they are made. Times are RFC 3339 in UTC, quantities and money
``Decimal``; None means that there is nothing to say.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

import msgspec

from interlock.domain.ids import canonical_json
from interlock.runtime.redaction import redact

__all__ = [
    "AlertLine",
    "BrokerLimitsLine",
    "CapLine",
    "FindingLine",
    "Health",
    "LimitLine",
    "MarkLine",
    "NextStep",
    "OrderLine",
    "PositionLine",
    "Readiness",
    "ReconcileLine",
    "ResetLine",
    "Status",
    "StoreLine",
    "StoreStatus",
    "as_json",
    "redacted",
]

V = TypeVar("V", bound=msgspec.Struct)


class _View(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="schema"):
    """What all views are: frozen, and marked with their schema when written."""


class Health(_View, frozen=True, tag="Health/1"):
    """Whether the session is well; ``reasons`` says why not, one line each, and is empty where it is."""

    orchestrator_state: str
    last_audit_event_ts: str | None
    reconciler_last_ok_ts: str | None
    """When both sides were last compared and agreed."""
    safety_rail_trips_total: int
    kill_switch: int
    ok: bool
    reasons: tuple[str, ...] = ()


class Readiness(_View, frozen=True, tag="Readiness/1"):
    """Whether intents are taken now, and why not."""

    ready: bool
    reasons: tuple[str, ...] = ()


class OrderLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order that has not ended."""

    client_order_id: str
    symbol: str
    side: str
    state: str
    quantity: Decimal
    filled: Decimal
    since_ts: str
    """When its state was last written."""
    reason: str = ""


class PositionLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One position; negative when short, the average price None where it is flat or was never told."""

    symbol: str
    quantity: Decimal
    average_price: Decimal | None = None


class LimitLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of one cap is used; ``symbol`` is empty for a cap on the whole session."""

    name: str
    symbol: str
    used: Decimal
    cap: Decimal


class FindingLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One finding of the last reconcile."""

    kind: str
    severity: str
    subject: str
    internal: str
    external: str
    description: str


class ReconcileLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last reconcile and what it found; ``findings_left_out`` says how many more there are."""

    reconcile_id: str
    ts: str
    reason: str
    result: str
    findings: tuple[FindingLine, ...] = ()
    findings_left_out: int = 0
    detail: str = ""


class AlertLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often alerts of one name were raised."""

    name: str
    raised: int


class NextStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do about one code."""

    code: str
    instruction: str


class StoreLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The store: whether it outlives its process, its records and keys, and why it cannot be trusted, or "".

    The snapshots of a run leave the first two open (None): a replay repeats the run on a store of another kind.
    """

    durable: bool | None
    records: int | None
    complaint: str = ""
    keys: int = 0


class CapLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The largest order of one symbol that the broker takes."""

    symbol: str
    cap: Decimal


class BrokerLimitsLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker's limits as it offered them last, and in what they differ from the engine's; "" where they agree."""

    daily_loss_cap: Decimal | None
    symbol_caps: tuple[CapLine, ...]
    differ: str
    engine_limits_hash: str


class Status(_View, frozen=True, kw_only=True, tag="Status/1"):
    """What an operator has to know. Long lists are cut; the ``*_left_out`` beside them say by how much."""

    run_id: str
    session_id: str
    strategy_id: str
    as_of_ts: str
    """The session's own time when the view was made."""
    state: str
    status: str
    """The word for the host: INIT, RUNNING, COMPLETED, REJECTED or FAILED."""
    reason: str
    """Why the session is rejected or failed, or ""."""
    engine_restart_reason: str
    kill_switch: int
    kill_switch_reason: str
    rejects: tuple[str, ...]
    trips: tuple[str, ...]
    in_doubt: tuple[OrderLine, ...]
    """Orders of which nobody knows whether the broker has them."""
    in_doubt_left_out: int
    open_orders: tuple[OrderLine, ...]
    """The other orders that have not ended."""
    open_orders_left_out: int
    positions: tuple[PositionLine, ...]
    cash: Decimal | None
    limits: tuple[LimitLine, ...]
    broker_limits: BrokerLimitsLine | None = None
    """None: the broker offers none."""
    last_reconcile: ReconcileLine | None
    observed_findings: int = 0
    """Findings of observe mode, which stop nothing."""
    alerts: tuple[AlertLine, ...]
    alerts_held_back: int
    alerts_dropped: int
    store: StoreLine
    next_steps: tuple[NextStep, ...]

    @property
    def operator_needed(self) -> bool:
        """Return whether somebody has to act before trading goes on: a kill switch, or orders in doubt at the end."""
        return bool(self.kill_switch) or (bool(self.in_doubt) and self.status not in ("INIT", "RUNNING"))


class MarkLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last session that began on a store; ``done_ts`` and ``status`` are None where it never ended."""

    run_id: str
    session_id: str
    version: str
    engine_restart_reason: str
    begun_ts: str
    done_ts: str | None
    status: str | None


class ResetLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who released the kill switch, why, when, and what had set it."""

    ts: str
    operator: str
    reason: str
    was_set_by: str
    rebased: bool


class StoreStatus(_View, frozen=True, tag="StoreStatus/1"):
    """What an operator has to know of a durable store that no engine runs on."""

    file: str
    damaged: str
    """What is wrong with it, or ""; of a damaged one nothing else is told."""
    records: int
    keys: int
    kill_switch: int
    kill_switch_reason: str
    in_doubt: tuple[OrderLine, ...]
    in_doubt_left_out: int
    quarantined: tuple[OrderLine, ...]
    """Orders that only an operator can settle; a reset says that it was done."""
    quarantined_left_out: int
    open_orders: tuple[OrderLine, ...]
    open_orders_left_out: int
    last_session: MarkLine | None
    resets: tuple[ResetLine, ...]
    """The last few, the newest first."""
    next_steps: tuple[NextStep, ...]

    @property
    def operator_needed(self) -> bool:
        """Return whether somebody has to act: damage, a kill switch, orders in doubt or in quarantine."""
        return bool(self.damaged or self.kill_switch or self.in_doubt or self.quarantined)


def redacted(view: V) -> V:
    """Return the view without secrets (ART-4)."""
    return msgspec.convert(redact(view), type=type(view))


def as_json(view: msgspec.Struct) -> bytes:
    """Return the view as one line of canonical JSON: sorted keys, decimals as text, with its schema."""
    return canonical_json(view) + b"\n"
