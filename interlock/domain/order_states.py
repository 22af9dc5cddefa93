"""The order's state machine: one table with the real world in it.

The table knows a fill that comes before the ack, a fill that comes after the cancel was acknowledged, a cancel
refused because the order had filled, late and repeated answers. What it does not know is a contradiction, such
as a fill of a rejected order: that pair raises, and the session trips.

Two rules keep labels from lying. Quantities come from cumulative filled amounts and fill ids, never from a state,
and a time-out is never a refusal: ``PLACE_UNKNOWN`` leads to UNKNOWN, which only an answer of the broker, or a
settle time that passed without one, can leave.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from interlock.domain.tables import Table

__all__ = ["LIVE_STATES", "ORDER_TABLE", "TERMINAL_ORDER_STATES", "OrderEvent", "OrderState"]


class OrderState(StrEnum):
    """Where an order is, as far as we know."""

    NEW = "NEW"
    SENT = "SENT"
    ACK = "ACK"
    PARTIAL = "PARTIAL"
    CANCEL_PENDING = "CANCEL_PENDING"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    VOID = "VOID"
    QUARANTINED = "QUARANTINED"


class OrderEvent(StrEnum):
    """What can happen to an order."""

    SEND = "SEND"
    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    PARTIAL_FILL = "PARTIAL_FILL"
    """A fill that leaves something open."""
    FULL_FILL = "FULL_FILL"
    """The fill with which the cumulative quantity reaches the ordered one."""
    CANCEL_REQUEST = "CANCEL_REQUEST"
    CANCEL_ACK = "CANCEL_ACK"
    CANCEL_REFUSED = "CANCEL_REFUSED"
    """Refused while nothing is filled yet, as far as we know."""
    CANCEL_REFUSED_PARTIAL = "CANCEL_REFUSED_PARTIAL"
    """Refused while something is filled."""
    EXPIRE = "EXPIRE"
    PLACE_UNKNOWN = "PLACE_UNKNOWN"
    CANCEL_UNKNOWN = "CANCEL_UNKNOWN"
    NOT_FOUND = "NOT_FOUND"
    """The broker does not know the order, and said so after the settle time."""
    QUARANTINE = "QUARANTINE"


_S, _E = OrderState, OrderEvent

ORDER_TABLE: Final[Table[OrderState, OrderEvent]] = Table(
    "order",
    OrderState,
    OrderEvent,
    {
        (_S.NEW, _E.SEND): _S.SENT,
        # Sent, nothing heard yet. Anything may come first: the ack, a fill, even the end.
        (_S.SENT, _E.ACCEPT): _S.ACK,
        (_S.SENT, _E.REJECT): _S.REJECTED,
        (_S.SENT, _E.PARTIAL_FILL): _S.PARTIAL,
        (_S.SENT, _E.FULL_FILL): _S.FILLED,
        (_S.SENT, _E.CANCEL_ACK): _S.CANCELLED,
        (_S.SENT, _E.EXPIRE): _S.EXPIRED,
        (_S.SENT, _E.PLACE_UNKNOWN): _S.UNKNOWN,
        # Working, nothing filled. A reject of an acknowledged order is a contradiction: kept, and asked about.
        (_S.ACK, _E.ACCEPT): _S.ACK,
        (_S.ACK, _E.REJECT): _S.ACK,
        (_S.ACK, _E.PARTIAL_FILL): _S.PARTIAL,
        (_S.ACK, _E.FULL_FILL): _S.FILLED,
        (_S.ACK, _E.CANCEL_REQUEST): _S.CANCEL_PENDING,
        (_S.ACK, _E.CANCEL_ACK): _S.CANCELLED,
        (_S.ACK, _E.CANCEL_REFUSED): _S.ACK,
        (_S.ACK, _E.EXPIRE): _S.EXPIRED,
        (_S.ACK, _E.PLACE_UNKNOWN): _S.ACK,
        (_S.ACK, _E.CANCEL_UNKNOWN): _S.ACK,
        (_S.ACK, _E.QUARANTINE): _S.QUARANTINED,
        # Working, something filled. A reject is not believed over a fill that was seen.
        (_S.PARTIAL, _E.ACCEPT): _S.PARTIAL,
        (_S.PARTIAL, _E.REJECT): _S.PARTIAL,
        (_S.PARTIAL, _E.PARTIAL_FILL): _S.PARTIAL,
        (_S.PARTIAL, _E.FULL_FILL): _S.FILLED,
        (_S.PARTIAL, _E.CANCEL_REQUEST): _S.CANCEL_PENDING,
        (_S.PARTIAL, _E.CANCEL_ACK): _S.CANCELLED,
        (_S.PARTIAL, _E.CANCEL_REFUSED_PARTIAL): _S.PARTIAL,
        (_S.PARTIAL, _E.EXPIRE): _S.EXPIRED,
        (_S.PARTIAL, _E.PLACE_UNKNOWN): _S.PARTIAL,
        (_S.PARTIAL, _E.CANCEL_UNKNOWN): _S.PARTIAL,
        (_S.PARTIAL, _E.QUARANTINE): _S.QUARANTINED,
        # A cancel is on its way; fills may cross it.
        (_S.CANCEL_PENDING, _E.ACCEPT): _S.CANCEL_PENDING,
        (_S.CANCEL_PENDING, _E.REJECT): _S.CANCEL_PENDING,
        (_S.CANCEL_PENDING, _E.PARTIAL_FILL): _S.CANCEL_PENDING,
        (_S.CANCEL_PENDING, _E.FULL_FILL): _S.FILLED,
        (_S.CANCEL_PENDING, _E.CANCEL_ACK): _S.CANCELLED,
        (_S.CANCEL_PENDING, _E.CANCEL_REFUSED): _S.ACK,
        (_S.CANCEL_PENDING, _E.CANCEL_REFUSED_PARTIAL): _S.PARTIAL,
        (_S.CANCEL_PENDING, _E.EXPIRE): _S.EXPIRED,
        (_S.CANCEL_PENDING, _E.PLACE_UNKNOWN): _S.CANCEL_PENDING,
        (_S.CANCEL_PENDING, _E.CANCEL_UNKNOWN): _S.CANCEL_PENDING,
        (_S.CANCEL_PENDING, _E.QUARANTINE): _S.QUARANTINED,
        # In doubt: whatever the broker says settles it.
        (_S.UNKNOWN, _E.ACCEPT): _S.ACK,
        (_S.UNKNOWN, _E.REJECT): _S.REJECTED,
        (_S.UNKNOWN, _E.PARTIAL_FILL): _S.PARTIAL,
        (_S.UNKNOWN, _E.FULL_FILL): _S.FILLED,
        (_S.UNKNOWN, _E.CANCEL_ACK): _S.CANCELLED,
        (_S.UNKNOWN, _E.EXPIRE): _S.EXPIRED,
        (_S.UNKNOWN, _E.PLACE_UNKNOWN): _S.UNKNOWN,
        (_S.UNKNOWN, _E.NOT_FOUND): _S.VOID,
        (_S.UNKNOWN, _E.QUARANTINE): _S.QUARANTINED,
        # Filled is final; late answers change nothing. One more fill would be an overfill and is not here.
        (_S.FILLED, _E.ACCEPT): _S.FILLED,
        (_S.FILLED, _E.REJECT): _S.FILLED,
        (_S.FILLED, _E.CANCEL_ACK): _S.FILLED,
        (_S.FILLED, _E.CANCEL_REFUSED_PARTIAL): _S.FILLED,
        (_S.FILLED, _E.EXPIRE): _S.FILLED,
        (_S.FILLED, _E.PLACE_UNKNOWN): _S.FILLED,
        (_S.FILLED, _E.CANCEL_UNKNOWN): _S.FILLED,
        # Cancelled here can still be filled there: the fill was under way, and it counts.
        (_S.CANCELLED, _E.ACCEPT): _S.CANCELLED,
        (_S.CANCELLED, _E.REJECT): _S.CANCELLED,
        (_S.CANCELLED, _E.PARTIAL_FILL): _S.CANCELLED,
        (_S.CANCELLED, _E.FULL_FILL): _S.FILLED,
        (_S.CANCELLED, _E.CANCEL_ACK): _S.CANCELLED,
        (_S.CANCELLED, _E.CANCEL_REFUSED): _S.CANCELLED,
        (_S.CANCELLED, _E.CANCEL_REFUSED_PARTIAL): _S.CANCELLED,
        (_S.CANCELLED, _E.EXPIRE): _S.CANCELLED,
        (_S.CANCELLED, _E.PLACE_UNKNOWN): _S.CANCELLED,
        (_S.CANCELLED, _E.CANCEL_UNKNOWN): _S.CANCELLED,
        (_S.EXPIRED, _E.ACCEPT): _S.EXPIRED,
        (_S.EXPIRED, _E.REJECT): _S.EXPIRED,
        (_S.EXPIRED, _E.PARTIAL_FILL): _S.EXPIRED,
        (_S.EXPIRED, _E.FULL_FILL): _S.FILLED,
        (_S.EXPIRED, _E.CANCEL_ACK): _S.EXPIRED,
        (_S.EXPIRED, _E.CANCEL_REFUSED): _S.EXPIRED,
        (_S.EXPIRED, _E.CANCEL_REFUSED_PARTIAL): _S.EXPIRED,
        (_S.EXPIRED, _E.EXPIRE): _S.EXPIRED,
        (_S.EXPIRED, _E.PLACE_UNKNOWN): _S.EXPIRED,
        (_S.EXPIRED, _E.CANCEL_UNKNOWN): _S.EXPIRED,
        # Rejected by a definite code. An ack or a fill after that contradicts it: not here, so it trips.
        (_S.REJECTED, _E.REJECT): _S.REJECTED,
        (_S.REJECTED, _E.PLACE_UNKNOWN): _S.REJECTED,
        # Proven never accepted; the one exit is a broker that proves us wrong.
        (_S.VOID, _E.REJECT): _S.VOID,
        (_S.VOID, _E.PLACE_UNKNOWN): _S.VOID,
        (_S.VOID, _E.NOT_FOUND): _S.VOID,
        (_S.VOID, _E.ACCEPT): _S.QUARANTINED,
        (_S.VOID, _E.PARTIAL_FILL): _S.QUARANTINED,
        (_S.VOID, _E.FULL_FILL): _S.QUARANTINED,
        # For an operator. Repeating the verdict is allowed, so that a safe stop can say it again.
        (_S.QUARANTINED, _E.QUARANTINE): _S.QUARANTINED,
        (_S.QUARANTINED, _E.PLACE_UNKNOWN): _S.QUARANTINED,
        (_S.QUARANTINED, _E.CANCEL_UNKNOWN): _S.QUARANTINED,
        (_S.QUARANTINED, _E.NOT_FOUND): _S.QUARANTINED,
    },
)

LIVE_STATES: Final = (
    OrderState.SENT,
    OrderState.ACK,
    OrderState.PARTIAL,
    OrderState.CANCEL_PENDING,
    OrderState.UNKNOWN,
)
"""States in which the broker may hold the order open."""

TERMINAL_ORDER_STATES: Final = (
    OrderState.FILLED,
    OrderState.CANCELLED,
    OrderState.REJECTED,
    OrderState.EXPIRED,
    OrderState.VOID,
    OrderState.QUARANTINED,
)
