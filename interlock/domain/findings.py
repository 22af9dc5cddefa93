"""Findings: what a reconcile can find, how bad it is, and within which tolerances two sides still agree.

Severity goes by drift (DIF-2), by amount for cash (DIF-3), and is FAIL for orders and fills (DIF-4) unless a rule
here says otherwise: something that is being settled anyway, or that is untidy but costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from interlock.domain.money import ZERO

__all__ = [
    "DiffType",
    "Finding",
    "FindingKind",
    "Severity",
    "Tolerances",
    "cash_severity",
    "drift_pct",
    "drift_severity",
    "matters",
    "severity_of",
    "worst",
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
    STUCK_ORDER = "stuck_order"
    STATUS_MISMATCH = "status_mismatch"
    PARTIAL_FILL_MISMATCH = "partial_fill_mismatch"
    CANCEL_RACE = "cancel_race"
    UNKNOWN_OUTCOME = "unknown_outcome"
    FILL_MISSING_LOCALLY = "fill_missing_locally"
    FILL_ORPHANED = "fill_orphaned"
    FILL_DUPLICATED = "fill_duplicated"
    FILL_CONFLICTING = "fill_conflicting"
    FILL_OUT_OF_ORDER = "fill_out_of_order"


class Tolerances(msgspec.Struct, frozen=True):
    """Within what two sides agree. Percentages as in DIF-2 and DIF-3; pips where an instrument has a pip size."""

    drift_warn_pct: Decimal = Decimal("0.1")
    drift_fail_pct: Decimal = Decimal(1)
    cash_fail_delta: Decimal = Decimal(1)
    cash_fail_pct: Decimal = Decimal("0.5")
    price_fail_pips: Decimal = Decimal("0.5")
    pip_sizes: dict[str, Decimal] = {}
    stuck_after_s: float = 120.0
    """How long an order may wait for an answer before it counts as stuck."""
    order_ttl_s: float | None = None
    """How long an order may stay open; None: as long as it likes."""


class Finding(msgspec.Struct, frozen=True, gc=False, tag_field="schema", tag="Finding/2"):
    """One difference: what we have, what they have, and how far apart it is (internal less external).

    ``drift_pips`` is set where average prices differ. ``version`` is the version of our order, so that a second look
    can tell an order that moved on from one that is stuck at a difference.
    """

    kind: FindingKind
    diff_type: DiffType
    severity: Severity
    subject: str
    internal: str
    external: str
    description: str
    delta: Decimal | None = None
    drift_pct: Decimal | None = None
    drift_pips: Decimal | None = None
    symbol: str | None = None
    client_order_id: str | None = None
    version: int | None = None
    residue: Decimal | None = None
    """What of ``delta`` is left when the fills that only one side knows are taken out."""
    explained_by: tuple[str, ...] = ()
    """The fills that only one side knows, where they explain the whole of ``delta``."""


_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}
_HARMLESS: Final = (None, Severity.INFO)
_HUNDRED: Final = Decimal(100)

_MILDER: Final = {
    FindingKind.UNKNOWN_OUTCOME: Severity.WARN,
    FindingKind.FILL_OUT_OF_ORDER: Severity.INFO,
}
"""The rules of DIF-4: an order in doubt is being settled already; fills in another order add up all the same."""


def severity_of(kind: FindingKind) -> Severity:
    """Return the severity of an order or fill finding."""
    return _MILDER.get(kind, Severity.FAIL)


def worst(findings: Iterable[Finding]) -> Severity | None:
    """Return the highest severity, or None where nothing was found."""
    found = [finding.severity for finding in findings]
    return max(found, key=_RANK.__getitem__) if found else None


def matters(findings: Iterable[Finding]) -> bool:
    """Return whether something was found that is more than information."""
    return worst(findings) not in _HARMLESS


def drift_pct(internal: Decimal, external: Decimal) -> Decimal:
    """Return the drift in percent of internal; of external where internal is 0 (so 100)."""
    if internal == external:
        return ZERO
    base = abs(internal) or abs(external)
    return abs(internal - external) / base * _HUNDRED


def drift_severity(pct: Decimal, tolerances: Tolerances | None = None) -> Severity:
    """Return the severity of a drift: WARN from 0.1 % to 1 %, both included (DIF-2)."""
    limits = tolerances or Tolerances()
    if pct > limits.drift_fail_pct:
        return Severity.FAIL
    return Severity.WARN if pct >= limits.drift_warn_pct else Severity.INFO


def cash_severity(internal: Decimal, external: Decimal, tolerances: Tolerances | None = None) -> Severity:
    """Return the severity of a cash difference: FAIL above 1 unit or above 0.5 %, either is enough (DIF-3)."""
    limits = tolerances or Tolerances()
    delta = abs(internal - external)
    failed = delta > limits.cash_fail_delta or drift_pct(internal, external) > limits.cash_fail_pct
    return Severity.FAIL if failed else Severity.INFO
