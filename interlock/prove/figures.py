"""What a proof found, in figures, and the one line that says it.

The drift of a proof is that of the position that drifted most: in units where quantities differ, in pips where they are
equal and average prices differ (the larger of the two where both do), so that neither hides the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import msgspec

from interlock.domain.findings import Finding, FindingKind, Severity
from interlock.domain.money import ZERO, decimal_text

__all__ = [
    "OWN_KINDS",
    "SUMMARY_TOKENS",
    "Drift",
    "Figures",
    "drift_text",
    "drifts_of",
    "other_kinds",
    "summary_line",
]

SUMMARY_TOKENS: Final = ("reconcile_summary", "stale=", "orphan=", "drift=", "cache_ok=")
"""What a summary always holds; scripts look for these."""

OWN_KINDS: Final = (FindingKind.STALE_LOCAL_ORDER, FindingKind.ORPHAN_BROKER_ORDER, FindingKind.POSITION_DRIFT)
"""The kinds of findings that have a figure of their own."""

_PIP_STEP: Final = Decimal("0.0001")
_WIDE: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)


class Drift(msgspec.Struct, frozen=True):
    """How far one position drifted, and in what: ``units`` or ``pips``."""

    symbol: str
    drift: Decimal
    unit: str
    within_tolerance: bool


class Figures(msgspec.Struct, frozen=True):
    """The counts of one proof. ``others`` holds the findings that have no figure of their own, by kind."""

    stale: int
    orphan: int
    drifts: tuple[Drift, ...]
    duplicates: int
    caught: int
    slippage: int
    cache_ok: bool
    others: dict[str, int]

    @property
    def drift(self) -> Decimal:
        """Return the largest drift."""
        return max((line.drift for line in self.drifts), default=ZERO)


def drifts_of(findings: Iterable[Finding]) -> tuple[Drift, ...]:
    """Return the drift of each position that drifted."""
    return tuple(_drift(finding) for finding in findings if finding.kind is FindingKind.POSITION_DRIFT)


def _drift(finding: Finding) -> Drift:
    units = ZERO if finding.delta is None else abs(finding.delta)
    pips = ZERO if finding.drift_pips is None else finding.drift_pips.quantize(_PIP_STEP, context=_WIDE)
    within = finding.severity is Severity.INFO
    if pips > units:
        return Drift(finding.subject, pips, "pips", within)
    return Drift(finding.subject, units, "units", within)


def other_kinds(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many findings there are of each kind that has no figure of its own; what is INFO is none."""
    counted = Counter(
        str(finding.kind)
        for finding in findings
        if finding.kind not in OWN_KINDS and finding.severity is not Severity.INFO
    )
    return dict(sorted(counted.items()))


def drift_text(number: Decimal) -> str:
    """Return a drift with at least one digit after the point: ``0.0``, ``104.4``."""
    text = decimal_text(number)
    return text if "." in text else f"{text}.0"


def summary_line(figures: Figures) -> str:
    """Return the line of ``summary.txt``."""
    cache = "true" if figures.cache_ok else "false"
    return (
        f"reconcile_summary stale={figures.stale} orphan={figures.orphan} "
        f"drift={drift_text(figures.drift)} cache_ok={cache}"
    )
