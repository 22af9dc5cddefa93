"""Reconciliation as pure functions: what we believe against what the broker says.

``compare`` gives findings in an order that never changes: positions by symbol, then cash, orders, fills by id.
``survivors`` is the second look: only what both looks found, by the same amount, is a divergence; a message in
flight is not. Nothing here knows how the two sides were obtained, and silence is not a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from interlock.domain.broker import BrokerOrder, BrokerSnapshot, Fill
from interlock.domain.ledgers import Position
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order

__all__ = [
    "DiffType",
    "Finding",
    "FindingKind",
    "LocalView",
    "ReconcileReport",
    "ReconcileResult",
    "Severity",
    "cash_severity",
    "compare",
    "drift_pct",
    "drift_severity",
    "position_finding",
    "survivors",
]


class Severity(StrEnum):
    """How bad, from the least on."""

    INFO = "INFO"
    WARN = "WARN"
    FAIL = "FAIL"
    CRITICAL = "CRITICAL"


class DiffType(StrEnum):
    """What kind of thing differs."""

    POSITION = "POSITION"
    CASH = "CASH"
    ORDER = "ORDER"
    FILL = "FILL"


class FindingKind(StrEnum):
    """The findings, in the words of the runbooks."""

    POSITION_DRIFT = "position_drift"
    CASH_MISMATCH = "cash_mismatch"
    STALE_LOCAL_ORDER = "stale_local_order"
    ORPHAN_BROKER_ORDER = "orphan_broker_order"
    STATUS_MISMATCH = "status_mismatch"
    PARTIAL_FILL_MISMATCH = "partial_fill_mismatch"
    CANCEL_RACE = "cancel_race"
    FILL_MISSING_LOCALLY = "fill_missing_locally"
    FILL_ORPHANED = "fill_orphaned"
    FILL_CONFLICTING = "fill_conflicting"


class Finding(msgspec.Struct, frozen=True, tag_field="schema", tag="Finding/1"):
    """One difference: what we have, what they have, and how far apart it is (internal less external)."""

    kind: FindingKind
    diff_type: DiffType
    severity: Severity
    subject: str
    internal: str
    external: str
    description: str
    delta: Decimal | None = None
    drift_pct: Decimal | None = None
    client_order_id: str | None = None


class LocalView(msgspec.Struct, frozen=True, tag_field="schema", tag="LocalView/1"):
    """What we believe at one instant: live orders and those asked for, fills from an index on, the ledgers."""

    as_of_ns: int
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    fills_known: int
    positions: tuple[Position, ...]
    cash: Decimal | None


class ReconcileResult(StrEnum):
    """How a reconcile ended. UNAVAILABLE concludes nothing."""

    HEALTHY = "healthy"
    FINDINGS = "findings"
    UNAVAILABLE = "unavailable"


class ReconcileReport(msgspec.Struct, frozen=True, tag_field="schema", tag="ReconcileReport/1"):
    """One reconcile: what was looked at, what was found, and how many first-look findings did not last."""

    reconcile_id: str
    reason: str
    started_ns: int
    finished_ns: int
    result: ReconcileResult
    findings: tuple[Finding, ...] = ()
    dismissed: int = 0
    orders_compared: int = 0
    fills_compared: int = 0
    detail: str = ""

    @property
    def worst(self) -> Severity | None:
        """Return the highest severity found."""
        ranks = list(Severity)
        return max((finding.severity for finding in self.findings), key=ranks.index, default=None)


_DRIFT_WARN_PCT: Final = Decimal("0.1")
_DRIFT_FAIL_PCT: Final = Decimal(1)
_CASH_FAIL_DELTA: Final = Decimal(1)
_CASH_FAIL_PCT: Final = Decimal("0.5")
_HUNDRED: Final = Decimal(100)


def drift_pct(internal: Decimal, external: Decimal) -> Decimal:
    """Return the drift in percent of internal; of external where internal is 0 (so 100)."""
    if internal == external:
        return ZERO
    base = abs(internal) or abs(external)
    return abs(internal - external) / base * _HUNDRED


def drift_severity(pct: Decimal) -> Severity:
    """Return the severity of a drift: WARN from 0.1 % to 1 %, both included (DIF-2)."""
    if pct > _DRIFT_FAIL_PCT:
        return Severity.FAIL
    return Severity.WARN if pct >= _DRIFT_WARN_PCT else Severity.INFO


def cash_severity(internal: Decimal, external: Decimal) -> Severity:
    """Return the severity of a cash difference: FAIL above 1 unit or above 0.5 %, either is enough (DIF-3)."""
    delta = abs(internal - external)
    failed = delta > _CASH_FAIL_DELTA or drift_pct(internal, external) > _CASH_FAIL_PCT
    return Severity.FAIL if failed else Severity.INFO


def position_finding(symbol: str, internal: Decimal, external: Decimal) -> Finding | None:
    """Return the difference of one position, or None where both agree."""
    if internal == external:
        return None
    pct = drift_pct(internal, external)
    ours, theirs = decimal_text(internal), decimal_text(external)
    return Finding(
        FindingKind.POSITION_DRIFT,
        DiffType.POSITION,
        drift_severity(pct),
        symbol,
        ours,
        theirs,
        f"position {symbol}: we hold {ours}, the broker says {theirs}",
        delta=internal - external,
        drift_pct=pct,
    )


def compare(local: LocalView, broker: BrokerSnapshot) -> tuple[Finding, ...]:
    """Return every difference between the two sides, in fixed order."""
    return (
        *_positions(local.positions, broker),
        *_cash(local.cash, broker.cash),
        *_orders(local.orders, broker.open_orders),
        *_fills(local.fills, broker.fills),
    )


def survivors(first: Iterable[Finding], second: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings of the second look that the first look had as well, by the same amount.

    What both sides hold may have moved in between; a real divergence keeps its distance.
    """
    before = {_identity(finding) for finding in first}
    return tuple(finding for finding in second if _identity(finding) in before)


def _identity(finding: Finding) -> tuple[object, ...]:
    if finding.delta is not None:
        return finding.kind, finding.subject, finding.delta
    return finding.kind, finding.subject, finding.internal, finding.external


def _positions(ours: tuple[Position, ...], broker: BrokerSnapshot) -> list[Finding]:
    internal = {position.symbol: position.quantity for position in ours}
    external = {line.symbol: line.quantity for line in broker.positions}
    found = (
        position_finding(symbol, internal.get(symbol, ZERO), external.get(symbol, ZERO))
        for symbol in sorted({**internal, **external})
    )
    return [finding for finding in found if finding is not None]


def _cash(internal: Decimal | None, external: Decimal | None) -> list[Finding]:
    if internal is None or external is None or internal == external:
        return []
    ours, theirs = decimal_text(internal), decimal_text(external)
    return [
        Finding(
            FindingKind.CASH_MISMATCH,
            DiffType.CASH,
            cash_severity(internal, external),
            "cash",
            ours,
            theirs,
            f"cash: we have {ours}, the broker says {theirs}",
            delta=internal - external,
            drift_pct=drift_pct(internal, external),
        )
    ]


def _orders(ours: tuple[Order, ...], theirs: tuple[BrokerOrder, ...]) -> list[Finding]:
    internal = {order.client_order_id: order for order in ours}
    external = {order.client_order_id: order for order in theirs}
    found: list[Finding] = []
    for key in sorted({**internal, **external}):
        order, there = internal.get(key), external.get(key)
        if there is None:
            # SENT and UNKNOWN are in flight or being settled: absence proves nothing about them.
            if order is not None and order.live and order.state not in (OrderState.SENT, OrderState.UNKNOWN):
                found.append(_order_finding(FindingKind.STALE_LOCAL_ORDER, key, order, None, "open here, not there"))
        elif order is None:
            found.append(
                _order_finding(FindingKind.ORPHAN_BROKER_ORDER, key, None, there, "open there, not known here")
            )
        elif not order.live:
            kind = FindingKind.CANCEL_RACE if order.state is OrderState.CANCELLED else FindingKind.STATUS_MISMATCH
            found.append(_order_finding(kind, key, order, there, f"{order.state} here, open there"))
        elif order.filled != there.filled:
            found.append(_order_finding(FindingKind.PARTIAL_FILL_MISMATCH, key, order, there, "filled differs"))
        elif (order.quantity, order.limit_price, order.side) != (there.quantity, there.limit_price, there.side):
            found.append(_order_finding(FindingKind.STATUS_MISMATCH, key, order, there, "content differs"))
    return found


def _order_finding(kind: FindingKind, key: str, ours: Order | None, theirs: BrokerOrder | None, what: str) -> Finding:
    internal = "none" if ours is None else f"{ours.state} {decimal_text(ours.filled)}/{decimal_text(ours.quantity)}"
    external = (
        "none" if theirs is None else f"{theirs.status} {decimal_text(theirs.filled)}/{decimal_text(theirs.quantity)}"
    )
    return Finding(
        kind,
        DiffType.ORDER,
        Severity.FAIL,
        key,
        internal,
        external,
        f"order {key}: {what} ({internal} against {external})",
        client_order_id=key,
    )


def _fills(ours: tuple[Fill, ...], theirs: tuple[Fill, ...]) -> list[Finding]:
    internal = {fill.fill_id: fill for fill in ours}
    external = {fill.fill_id: fill for fill in theirs}
    found: list[Finding] = []
    for key in sorted({**internal, **external}):
        here, there = internal.get(key), external.get(key)
        if here == there:
            continue
        known = here or there
        if here is None:
            kind, what = FindingKind.FILL_MISSING_LOCALLY, "the broker reports it, we have not booked it"
        elif there is None:
            kind, what = FindingKind.FILL_ORPHANED, "booked here, unknown to the broker"
        else:
            kind, what = FindingKind.FILL_CONFLICTING, "one id, two contents"
        found.append(
            Finding(
                kind,
                DiffType.FILL,
                Severity.FAIL,
                key,
                _fill_text(here),
                _fill_text(there),
                f"fill {key}: {what}",
                client_order_id=None if known is None else known.client_order_id,
            )
        )
    return found


def _fill_text(fill: Fill | None) -> str:
    if fill is None:
        return "none"
    return f"{fill.side} {decimal_text(fill.quantity)} {fill.symbol} at {decimal_text(fill.price)}"
