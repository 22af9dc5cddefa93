"""The rows of the failure matrix: every fault as it is tried, with a rate at which it matters in a short session.

The matrix runs each alone and in pairs; the explorer draws from them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from interlock.mocks.faults import Call, Fault

__all__ = ["MUST_SETTLE", "ROWS", "Row"]


class Row(msgspec.Struct, frozen=True):
    """One fault of the matrix: the row of the contract that asks for it, and its rules."""

    spec: str
    rules: tuple[dict[str, Any], ...]


def _row(spec: str, fault: Fault, permille: int, *others: dict[str, Any], **fields: Any) -> Row:
    return Row(spec, ({"fault": fault, "permille": permille, **fields}, *others))


def _with(fault: Fault, permille: int, **fields: Any) -> dict[str, Any]:
    return {"fault": fault, "permille": permille, **fields}


_ALL_CALLS: Final = [call.value for call in Call]

ROWS: Final[dict[str, Row]] = {
    "rate_limit": _row("FLT-1", Fault.RATE_LIMIT, 300, calls=_ALL_CALLS),
    "rate_limit_with_advice": _row("FLT-1", Fault.RATE_LIMIT, 300, calls=_ALL_CALLS, retry_after_s=2),
    "rate_limit_storm": _row("FLT-1", Fault.RATE_LIMIT, 60, calls=_ALL_CALLS, nth=[6], burst=12),
    "timeout_before": _row("FLT-2", Fault.TIMEOUT_BEFORE, 250, calls=_ALL_CALLS),
    "timeout_after": _row("FLT-2", Fault.TIMEOUT_AFTER, 250, calls=_ALL_CALLS),
    "not_visible": _row("FLT-2", Fault.NOT_VISIBLE, 700, _with(Fault.TIMEOUT_AFTER, 400), delay_s=6),
    "error_before": _row("FLT-3", Fault.ERROR_BEFORE, 250, calls=_ALL_CALLS),
    "error_after": _row("FLT-3", Fault.ERROR_AFTER, 250, calls=_ALL_CALLS),
    "broker_down": _row("FLT-3", Fault.BROKER_DOWN, 60, calls=_ALL_CALLS, nth=[7], delay_s=8),
    "connection_lost": _row("FLT-3", Fault.CONNECTION_LOST, 200, nth=[3], delay_s=6),
    "partial_fills": _row("FLT-4", Fault.PARTIAL_FILLS, 800, pieces_max=6, delay_s=0.5),
    "duplicate_fill": _row("FLT-5", Fault.DUPLICATE_FILL, 600),
    "duplicate_ack": _row("FLT-5", Fault.DUPLICATE_ACK, 600),
    "duplicate_reject": _row("FLT-5", Fault.DUPLICATE_REJECT, 800, _with(Fault.REJECT, 300)),
    "fill_before_ack": _row("FLT-6", Fault.FILL_BEFORE_ACK, 600),
    "fill_after_cancel_ack": _row("FLT-6", Fault.FILL_AFTER_CANCEL_ACK, 600, delay_s=2),
    "fill_during_cancel": _row("FLT-6", Fault.FILL_DURING_CANCEL, 600),
    "cancel_rejected_filled": _row("FLT-6", Fault.CANCEL_REJECTED_FILLED, 600),
    "cancel_unknown_order": _row("FLT-6", Fault.CANCEL_UNKNOWN_ORDER, 800, _with(Fault.CANCEL_REJECTED_FILLED, 600)),
    "late_partial_after_cancel": _row("FLT-6", Fault.LATE_PARTIAL_AFTER_CANCEL, 600, delay_s=3),
    "late_event": _row("FLT-7", Fault.LATE_EVENT, 400, delay_s=5),
    "lost_event": _row("FLT-7", Fault.LOST_EVENT, 300),
    "stale_snapshot": _row("FLT-7", Fault.STALE_SNAPSHOT, 500),
    "orphan_order": _row("FLT-8", Fault.ORPHAN_ORDER, 100, nth=[4], amount="0.05"),
    "phantom_position": _row("FLT-8", Fault.PHANTOM_POSITION, 100, nth=[4]),
    "cash_off": _row("FLT-8", Fault.CASH_OFF, 100, nth=[4]),
    "limits_changed": _row("FLT-8", Fault.LIMITS_CHANGED, 100, nth=[3], amount="0.08"),
    "ended_there": _row("FLT-8", Fault.ENDED_THERE, 200),
    "broker_restart": _row("FLT-9", Fault.BROKER_RESTART, 200, nth=[3]),
    "ids_reused": _row("FLT-9", Fault.IDS_REUSED, 200, nth=[3]),
    "replayed_events": _row("FLT-9", Fault.REPLAYED_EVENTS, 300, nth=[4]),
    "replayed_under_new_id": _row("FLT-9", Fault.REPLAYED_UNDER_NEW_ID, 100, nth=[4, 7]),
    "malformed_message": _row("FLT-10", Fault.MALFORMED_MESSAGE, 300),
    "foreign_statement": _row("FLT-10", Fault.FOREIGN_STATEMENT, 300),
    "foreign_fill": _row("FLT-10", Fault.FOREIGN_FILL, 100, nth=[3]),
    "reject_after_fill": _row("FLT-10", Fault.REJECT_AFTER_FILL, 400),
    "conflicting_fill": _row("FLT-10", Fault.CONFLICTING_FILL, 100, nth=[3]),
    "overfill": _row("FLT-10", Fault.OVERFILL, 100, nth=[3]),
    "cancel_not_done": _row("FLT-10", Fault.CANCEL_NOT_DONE, 400),
}

MUST_SETTLE: Final = ("FLT-1", "FLT-2", "FLT-4", "FLT-5", "FLT-6")
"""Rows whose faults are everyday life: no session may stop for one of them."""
