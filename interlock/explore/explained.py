"""Which faults can stop a session, by the code of the trip: a stop that none of the plan's faults explains is a bug.

An actor that crashed, an illegal transition, a journal that refuses a record: no broker, however it lies, may lead to
one of those unless it stands here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from interlock.mocks.faults import Fault

__all__ = ["EXPLAINS", "UNHEARD", "unexplained"]

_UNANSWERED: Final = (
    Fault.RATE_LIMIT,
    Fault.TIMEOUT_BEFORE,
    Fault.TIMEOUT_AFTER,
    Fault.ERROR_BEFORE,
    Fault.ERROR_AFTER,
    Fault.BROKER_DOWN,
    Fault.STALE_SNAPSHOT,
)
"""The broker could not be asked, or what it said was too old to be of use."""

UNHEARD: Final = (Fault.LOST_EVENT, Fault.LATE_EVENT, Fault.CONNECTION_LOST, Fault.MALFORMED_MESSAGE)
"""Something that the broker told did not get through, or not before what contradicts it."""

_TOO_LATE: Final = (*UNHEARD, Fault.FILL_AFTER_CANCEL_ACK, Fault.LATE_PARTIAL_AFTER_CANCEL)
"""Something that the broker told did not get through, or long after both looks: where it may be asked about, it is."""

_ANOTHER_BOOK: Final = (
    Fault.ORPHAN_ORDER,
    Fault.PHANTOM_POSITION,
    Fault.CASH_OFF,
    Fault.CONFLICTING_FILL,
    Fault.REPLAYED_UNDER_NEW_ID,
    Fault.OVERFILL,
    Fault.FOREIGN_FILL,
    Fault.CANCEL_NOT_DONE,
)
"""The broker's book is not ours any more, and no asking changes that."""

_DIVERGED: Final = ("reconcile_divergence", "startup_reconcile")

EXPLAINS: Final[dict[str, tuple[Fault, ...]]] = {
    "overfill": (Fault.OVERFILL, Fault.REPLAYED_UNDER_NEW_ID),
    "fill_conflict": (Fault.CONFLICTING_FILL,),
    "two_broker_orders": (Fault.BROKER_RESTART,),
    "unknown_order_fill": (Fault.FOREIGN_FILL,),
    "reconcile_divergence": _ANOTHER_BOOK,
    "startup_reconcile": (*_ANOTHER_BOOK, *_UNANSWERED),
    "startup_exposure": (Fault.LATE_PARTIAL_AFTER_CANCEL,),
    "unsettled_end": _UNANSWERED,
    "broker_silent": _UNANSWERED,
    "reconcile_overdue": _UNANSWERED,
    "unsettled_order": _UNANSWERED,
    "illegal_transition": (Fault.REJECT_AFTER_FILL,),
    "storage_failed": (Fault.STORE_LOCKED,),
    "actor_crashed": (Fault.KILL_SWITCH_THROWS,),
}
"""By the code that set the kill switch: the faults of which at least one must have been in the plan."""


def unexplained(code: str, faults: Iterable[str], *, repairs: bool) -> str:
    """Return what is wrong with a stop under ``code`` in a plan with these faults, or ""; ``repairs``: by asking."""
    explaining, known = EXPLAINS.get(code, ()), tuple(faults)
    # What was not heard is asked about, where that is wanted and the broker can be asked.
    if code in _DIVERGED and (not repairs or any(fault in _UNANSWERED for fault in known)):
        explaining += _TOO_LATE
    if any(fault in explaining for fault in known):
        return ""
    return f"it stopped with {code}, which no fault of the plan explains"
