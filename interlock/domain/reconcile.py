"""Reconciliation as pure functions: what we believe against what the broker says.

``compare`` gives findings in an order that never changes: positions by symbol, then cash, orders by key, fills by
id. ``survivors`` is the second look: only what both looks found, by the same amount, is a divergence; a message in
flight is not. Nothing here knows how the two sides were obtained, and silence is not a snapshot; a snapshot that is
older than what we have seen already (``is_stale``) is not compared at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from interlock.domain.broker import BrokerSnapshot, Fill, PositionLine
from interlock.domain.broker_limits import LimitsAlarm
from interlock.domain.explanations import explained, one_sided
from interlock.domain.findings import (
    DiffType,
    Finding,
    FindingKind,
    Severity,
    Tolerances,
    cash_severity,
    drift_pct,
    drift_severity,
    severity_of,
    worst,
)
from interlock.domain.ledgers import Position
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.orders import Order
from interlock.domain.recon_orders import order_findings

__all__ = [
    "LocalView",
    "ReconcileReport",
    "ReconcileResult",
    "Repair",
    "compare",
    "is_stale",
    "position_finding",
    "survivors",
]


class LocalView(msgspec.Struct, frozen=True, tag_field="schema", tag="LocalView/2"):
    """What we believe at one instant: live orders and those asked for, fills from an index on, the ledgers.

    ``fills_known`` counts all fills, ``cursor`` is the highest place in the broker's own sequence that we have seen.
    """

    as_of_ns: int
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    fills_known: int
    cursor: int
    positions: tuple[Position, ...]
    cash: Decimal | None


class ReconcileResult(StrEnum):
    """How a reconcile ended. UNAVAILABLE concludes nothing."""

    HEALTHY = "healthy"
    FINDINGS = "findings"
    UNAVAILABLE = "unavailable"


class Repair(msgspec.Struct, frozen=True, tag_field="schema", tag="Repair/1"):
    """A finding that was repaired: what was done, and what we believed before and after."""

    finding: Finding
    action: str
    after: str


class ReconcileReport(msgspec.Struct, frozen=True, tag_field="schema", tag="ReconcileReport/3"):
    """One reconcile: what was looked at, what was found and stayed, what was repaired, what did not last."""

    reconcile_id: str
    reason: str
    started_ns: int
    finished_ns: int
    result: ReconcileResult
    findings: tuple[Finding, ...] = ()
    repairs: tuple[Repair, ...] = ()
    dismissed: int = 0
    orders_compared: int = 0
    fills_compared: int = 0
    open_there: tuple[str, ...] = ()
    """The keys of all orders that the broker held open at the last look."""
    limits_alarm: LimitsAlarm | None = None
    """What differs between the broker's limits and ours, where either side was seen to change."""
    detail: str = ""
    matched: int = 0
    """The place in the broker's sequence of fills up to which both sides agree; 0 where they do not."""

    @property
    def worst(self) -> Severity | None:
        """Return the highest severity found."""
        return worst(self.findings)


def is_stale(local: LocalView, broker: BrokerSnapshot) -> bool:
    """Return whether the snapshot is older than events we have seen already (FLT-7)."""
    return broker.cursor < local.cursor


def compare(local: LocalView, broker: BrokerSnapshot, tolerances: Tolerances, now_ns: int) -> tuple[Finding, ...]:
    """Return every difference between the two sides, in fixed order."""
    fills = one_sided(local.fills, broker.fills)
    return (
        *(explained(finding, fills) for finding in _positions(local.positions, broker.positions, tolerances)),
        *(explained(finding, fills) for finding in _cash(local.cash, broker.cash, tolerances)),
        *order_findings(local.orders, broker.open_orders, tolerances, now_ns),
        *_fills(local.fills, broker.fills),
    )


def survivors(first: Iterable[Finding], second: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings of the second look that the first look had as well, by the same amount.

    What both sides hold may have moved in between; a real divergence keeps its distance, and an order that is stuck
    at one has not moved on.
    """
    before = {_identity(finding) for finding in first}
    return tuple(finding for finding in second if _identity(finding) in before)


def _identity(finding: Finding) -> tuple[object, ...]:
    if finding.delta is None:
        return finding.kind, finding.subject, finding.internal, finding.external, finding.version
    # A difference that fills on their way explain is as old as those fills, whatever its size. Average prices move
    # with every trade, so how far they are apart tells no two differences from each other.
    distance = finding.explained_by or finding.residue or finding.delta or "prices"
    return finding.kind, finding.subject, distance


# -- positions and cash -----------------------------------------------------------------------------------------


def position_finding(
    symbol: str,
    internal: Decimal,
    external: Decimal,
    tolerances: Tolerances | None = None,
    pips: Decimal | None = None,
) -> Finding | None:
    """Return the difference of one position, or None where both agree; ``pips`` is how far average prices differ."""
    limits = tolerances or Tolerances()
    if internal == external and not pips:
        return None
    pct = drift_pct(internal, external)
    severity = drift_severity(pct, limits)
    far = pips is not None and pips >= limits.price_fail_pips
    ours, theirs = decimal_text(internal), decimal_text(external)
    prices = f", average prices {decimal_text(pips)} pips apart" if pips else ""
    return Finding(
        FindingKind.POSITION_DRIFT,
        DiffType.POSITION,
        Severity.FAIL if far else severity,
        symbol,
        ours,
        theirs,
        f"position {symbol}: we hold {ours}, the broker says {theirs}{prices}",
        delta=internal - external,
        drift_pct=pct,
        drift_pips=pips or None,
        symbol=symbol,
    )


def _positions(ours: tuple[Position, ...], theirs: tuple[PositionLine, ...], limits: Tolerances) -> list[Finding]:
    internal = {position.symbol: position for position in ours}
    external = {line.symbol: line for line in theirs}
    found: list[Finding] = []
    for symbol in sorted({**internal, **external}):
        here, there = internal.get(symbol), external.get(symbol)
        finding = position_finding(
            symbol,
            ZERO if here is None else here.quantity,
            ZERO if there is None else there.quantity,
            limits,
            _pips(here, there, limits.pip_sizes.get(symbol)),
        )
        if finding is not None:
            found.append(finding)
    return found


def _pips(here: Position | None, there: PositionLine | None, pip_size: Decimal | None) -> Decimal | None:
    """Return how far average prices differ, where the instrument has a pip size and the broker tells a price."""
    if here is None or there is None or pip_size is None:
        return None
    if here.average_price is None or there.average_price is None:
        return None
    return abs(here.average_price - there.average_price) / pip_size


def _cash(internal: Decimal | None, external: Decimal | None, limits: Tolerances) -> list[Finding]:
    if internal is None or external is None or internal == external:
        return []
    ours, theirs = decimal_text(internal), decimal_text(external)
    return [
        Finding(
            FindingKind.CASH_MISMATCH,
            DiffType.CASH,
            cash_severity(internal, external, limits),
            "cash",
            ours,
            theirs,
            f"cash: we have {ours}, the broker says {theirs}",
            delta=internal - external,
            drift_pct=drift_pct(internal, external),
        )
    ]


# -- fills ------------------------------------------------------------------------------------------------------


def _fills(ours: tuple[Fill, ...], theirs: tuple[Fill, ...]) -> list[Finding]:
    if not (ours or theirs):
        return []
    internal = {fill.fill_id: fill for fill in ours}
    external = {fill.fill_id: fill for fill in theirs}
    found = [
        _fill_finding(FindingKind.FILL_DUPLICATED, internal.get(fill_id), there)
        for fill_id, there in _repeated(theirs).items()
    ]
    twins = {_content(fill) for fill in theirs if fill.fill_id in internal}
    for fill_id, here in internal.items():
        there = external.get(fill_id)
        if there is None:
            twice = _content(here) in twins
            found.append(_fill_finding(FindingKind.FILL_DUPLICATED if twice else FindingKind.FILL_ORPHANED, here, None))
        elif here is not there and here != there:
            found.append(_fill_finding(FindingKind.FILL_CONFLICTING, here, there))
    missing = [there for fill_id, there in external.items() if fill_id not in internal]
    found += [_fill_finding(FindingKind.FILL_MISSING_LOCALLY, None, there) for there in missing]
    found.sort(key=lambda finding: (finding.subject, finding.kind))
    return found + _out_of_order(ours)


def _repeated(fills: tuple[Fill, ...]) -> dict[str, Fill]:
    """Return the fills that one side lists more than once."""
    seen: dict[str, None] = {}
    twice: dict[str, Fill] = {}
    for fill in fills:
        if fill.fill_id in seen:
            twice[fill.fill_id] = fill
        seen[fill.fill_id] = None
    return twice


def _out_of_order(fills: tuple[Fill, ...]) -> list[Finding]:
    """Return the first fill that arrived after a later one, by the broker's own sequence."""
    highest: Fill | None = None
    for fill in fills:
        if highest is not None and fill.cursor < highest.cursor:
            return [_fill_finding(FindingKind.FILL_OUT_OF_ORDER, fill, highest)]
        highest = fill
    return []


def _content(fill: Fill) -> tuple[object, ...]:
    return fill.client_order_id, fill.side, fill.quantity, fill.price


_FILL_WORDS: Final = {
    FindingKind.FILL_MISSING_LOCALLY: "the broker reports it, we have not booked it",
    FindingKind.FILL_ORPHANED: "booked here, unknown to the broker",
    FindingKind.FILL_DUPLICATED: "one execution under two entries",
    FindingKind.FILL_CONFLICTING: "one id, two contents",
    FindingKind.FILL_OUT_OF_ORDER: "it came after a later one",
}


def _fill_finding(kind: FindingKind, here: Fill | None, there: Fill | None) -> Finding:
    known = here or there
    fill_id = "" if known is None else known.fill_id
    return Finding(
        kind,
        DiffType.FILL,
        severity_of(kind),
        fill_id,
        _fill_text(here),
        _fill_text(there),
        f"fill {fill_id}: {_FILL_WORDS[kind]}",
        symbol=None if known is None else known.symbol,
        client_order_id=None if known is None else known.client_order_id,
    )


def _fill_text(fill: Fill | None) -> str:
    if fill is None:
        return "none"
    return f"{fill.side} {decimal_text(fill.quantity)} {fill.symbol} at {decimal_text(fill.price)}"
