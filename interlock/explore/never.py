"""What no explored run can hit, and why: the tables are wider than what a mock broker says and the actors do.

A row that is hit all the same does not belong here, and a test says so.
"""

from __future__ import annotations

from typing import Final

__all__ = ["NEVER"]

_HALTED: Final = "the kernel halts with the end of the session; only in a host's loop a late word can still come"
_ONE_STEP: Final = "PREFLIGHT_OK lasts for a part of one step: the session is active before anything else is served"
_DOUBT_ONLY: Final = "today only an order in doubt is given up; a working one is asked about, or the session trips"
_ONE_CALL: Final = "an order has one place call, whose end is told once, before the doubt that leads here"
_ASKED_IN_DOUBT: Final = "not found is believed of an order in doubt alone"
_NO_CANCEL: Final = "nothing is cancelled whose outcome is unknown, and only the unknown is quarantined"

NEVER: Final[dict[str, str]] = {
    "order_events_total|ACK|QUARANTINE": _DOUBT_ONLY,
    "order_events_total|PARTIAL|QUARANTINE": _DOUBT_ONLY,
    "order_events_total|CANCEL_PENDING|QUARANTINE": _DOUBT_ONLY,
    "order_events_total|QUARANTINED|QUARANTINE": _DOUBT_ONLY,
    "order_events_total|UNKNOWN|PLACE_UNKNOWN": _ONE_CALL,
    "order_events_total|VOID|PLACE_UNKNOWN": _ONE_CALL,
    "order_events_total|QUARANTINED|PLACE_UNKNOWN": _ONE_CALL,
    "order_events_total|VOID|NOT_FOUND": _ASKED_IN_DOUBT,
    "order_events_total|QUARANTINED|NOT_FOUND": _ASKED_IN_DOUBT,
    "order_events_total|QUARANTINED|CANCEL_UNKNOWN": _NO_CANCEL,
    "session_events_total|PREFLIGHT_OK|STOP": _ONE_STEP,
    "session_events_total|PREFLIGHT_OK|TRIP": _ONE_STEP,
    "session_events_total|STOPPED|STOP": _HALTED,
    "session_events_total|STOPPED|TRIP": _HALTED,
    "session_events_total|PREFLIGHT_FAILED|STOP": _HALTED,
    "session_events_total|PREFLIGHT_FAILED|TRIP": _HALTED,
    "session_events_total|ERROR_REQUIRES_OPERATOR|STOP": _HALTED,
    "session_events_total|ERROR_REQUIRES_OPERATOR|TRIP": _HALTED,
    "key_states|WORKING|QUARANTINED": _DOUBT_ONLY,
}
