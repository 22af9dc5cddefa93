"""The messages that actors of one session exchange: immutable structs, each with its schema and version.

Grouped by who says them. What a broker says is in ``domain/broker.py``.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from interlock.domain.broker import (
    Accepted,
    BrokerMessage,
    BrokerOrder,
    Cancelled,
    CancelRefused,
    Fill,
    OrderNotFound,
    PlaceOrder,
    PositionClaim,
    Rejected,
)
from interlock.domain.intents import OrderIntent
from interlock.domain.orders import Order
from interlock.domain.reconcile import ReconcileReport
from interlock.domain.repair import PlannedAction

__all__ = [
    "CallOutcome",
    "CancelDone",
    "CancelIntent",
    "CancelOutcome",
    "CheckIntent",
    "ExecutionsFetched",
    "GetLocalView",
    "HostSaw",
    "Observe",
    "ObservePosition",
    "OrderAdopted",
    "OrderClosed",
    "PlaceDone",
    "QueryDone",
    "ReconcileDone",
    "ReconcileNow",
    "RepairNow",
    "RequestReconcile",
    "SessionEnded",
    "SessionStarted",
    "SetGate",
    "SinkFailed",
    "StartSession",
    "StopSession",
    "SubmitIntent",
    "SubmitOutcome",
    "SubmitStatus",
    "Tick",
    "Trip",
    "Verdict",
]


class Message(msgspec.Struct, frozen=True, gc=False, tag_field="schema"):
    """What all messages are: frozen, and marked with their schema when written."""


# -- host -> orchestrator -----------------------------------------------------------------------------------


class SubmitIntent(Message, frozen=True, tag="SubmitIntent/1"):
    """Send this, if everything allows it. Asked; the answer is a ``SubmitOutcome``."""

    intent: OrderIntent


class HostSaw(Message, frozen=True, tag="HostSaw/1"):
    """Shadow session: what its host placed, or heard of it. Asked; the answer is "" or why it was not taken."""

    what: PlaceOrder | BrokerMessage


class SubmitStatus(StrEnum):
    """What became of a submitted intent. UNKNOWN is not a refusal: the order may be live."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    """Refused by the broker by a definite code."""
    REFUSED = "REFUSED"
    """Refused by us; nothing was sent."""
    DUPLICATE = "DUPLICATE"
    """The decision is known already; nothing was sent again."""
    UNKNOWN = "UNKNOWN"


class SubmitOutcome(Message, frozen=True, tag="SubmitOutcome/1"):
    """The answer to a submitted intent; ``code`` says why where it was not accepted."""

    client_order_id: str
    status: SubmitStatus
    code: str = ""
    reason: str = ""


class CancelIntent(Message, frozen=True, tag="CancelIntent/1"):
    """Cancel what is left. Asked; the answer is a ``CancelOutcome``."""

    client_order_id: str


class CancelOutcome(Message, frozen=True, tag="CancelOutcome/1"):
    """Whether a cancel is on its way; what it led to is told by the order's events."""

    client_order_id: str
    requested: bool
    code: str = ""


class RequestReconcile(Message, frozen=True, tag="RequestReconcile/1"):
    """Compare with the broker now."""


class StartSession(Message, frozen=True, tag="StartSession/1"):
    """Run preflight and, if it passes, begin."""


class StopSession(Message, frozen=True, tag="StopSession/1"):
    """Stop in good order (control lane)."""

    reason: str


class SessionStarted(Message, frozen=True, tag="SessionStarted/1"):
    """Told to the strategy: preflight passed, intents are taken now."""


class SessionEnded(Message, frozen=True, tag="SessionEnded/1"):
    """Told to the strategy: no further intent will be taken."""


# -- orchestrator <-> safety rails --------------------------------------------------------------------------


class CheckIntent(Message, frozen=True, tag="CheckIntent/1"):
    """May this order leave? Admitted by credit; answered by a ``Verdict`` on the reply lane."""

    order: Order


class Verdict(Message, frozen=True, tag="Verdict/1"):
    """``code`` is empty where the order is cleared, else the rail that refuses it."""

    client_order_id: str
    code: str = ""
    reason: str = ""


class Observe(Message, frozen=True, tag="Observe/1"):
    """A statement of the broker, shown to the rails before it is believed."""

    statement: BrokerMessage


class OrderClosed(Message, frozen=True, tag="OrderClosed/1"):
    """The order ended without filling up, or, not ``left``, never began: what was reserved for it is free again."""

    client_order_id: str
    left: bool = True


class OrderAdopted(Message, frozen=True, tag="OrderAdopted/1"):
    """An order of an earlier session is spoken of again: what it may still do counts from now on."""

    order: Order


class SetGate(Message, frozen=True, tag="SetGate/1"):
    """Whether orders may leave at all (control lane)."""

    open: bool
    reason: str


class Trip(Message, frozen=True, tag="Trip/1"):
    """A safety rail fired (control lane): stop, and ask for an operator."""

    code: str
    message: str
    evidence: dict[str, object]


class SinkFailed(Message, frozen=True, tag="SinkFailed/1"):
    """A sink stays broken after its retries (control lane)."""

    sink: str
    reason: str


# -- jobs of the order desk -> orchestrator -----------------------------------------------------------------


class CallOutcome(StrEnum):
    """How a broker call ended where it brought no answer."""

    ANSWERED = "ANSWERED"
    NOT_PROCESSED = "NOT_PROCESSED"
    """Proven to have had no effect, and the budget for repeating it is used up."""
    UNKNOWN = "UNKNOWN"


class PlaceDone(Message, frozen=True, tag="PlaceDone/1"):
    """A place call came to its end."""

    client_order_id: str
    outcome: CallOutcome
    answer: Accepted | Rejected | None = None
    reason: str = ""


class CancelDone(Message, frozen=True, tag="CancelDone/1"):
    """A cancel call came to its end."""

    client_order_id: str
    outcome: CallOutcome
    answer: Cancelled | CancelRefused | None = None
    reason: str = ""


class QueryDone(Message, frozen=True, tag="QueryDone/1"):
    """A question about one order came to its end. ``settled`` says that the settle time had passed."""

    client_order_id: str
    outcome: CallOutcome
    settled: bool
    answer: BrokerOrder | OrderNotFound | None = None
    reason: str = ""


class ExecutionsFetched(Message, frozen=True, tag="ExecutionsFetched/1"):
    """What was executed since the last fill that both sides knew; ``error`` where the broker did not say."""

    fills: tuple[Fill, ...]
    error: str = ""


class Tick(Message, frozen=True, tag="Tick/1"):
    """A cadence job says that its time has come."""

    what: str


# -- orchestrator <-> reconciler ----------------------------------------------------------------------------


class ReconcileNow(Message, frozen=True, tag="ReconcileNow/1"):
    """Compare with the broker; answered by a ``ReconcileDone`` on the reply lane."""

    reconcile_id: str
    reason: str


class ObservePosition(Message, frozen=True, tag="ObservePosition/1"):
    """Observe mode: what we hold just before a transaction, and what the broker says we hold."""

    claim: PositionClaim
    internal: Decimal


class RepairNow(Message, frozen=True, tag="RepairNow/1"):
    """Do what a reconcile has planned and may do. Asked; the answer is how many actions are under way."""

    reconcile_id: str
    actions: tuple[PlannedAction, ...]


class GetLocalView(Message, frozen=True, tag="GetLocalView/1"):
    """What do we believe? Live orders, the named ones, and fills from an index on. Asked."""

    client_order_ids: tuple[str, ...]
    fills_from: int


class ReconcileDone(Message, frozen=True, tag="ReconcileDone/1"):
    """The report of one reconcile, and whether the escalation matrix says to stop trading."""

    report: ReconcileReport
    stop_trading: bool = False
