"""Reports on a reconcile: diffs and summaries as the runbook has them, and what a summary calls for.

A ``ReconDiff`` is one finding made presentable, a ``ReconSummary`` all of them with counts; both encode to the same
bytes wherever they are made. The escalation matrix (DIF-7) is data: rows of severity, how many, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import Final

import msgspec

from interlock.domain.findings import DiffType, Finding, Severity
from interlock.domain.ids import canonical_json, stable_id
from interlock.domain.instants import rfc3339
from interlock.domain.money import decimal_text

__all__ = [
    "DEFAULT_ESCALATION",
    "EscalationRow",
    "ReconDiff",
    "ReconSummary",
    "diffs_of",
    "escalation",
    "summarize",
]

_PERCENT_STEP: Final = Decimal("0.0001")
_WIDE: Final = Context(prec=100)
"""Room for any drift: dust against a whole position is more digits of percent than the usual context holds."""

_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}
_SEVERITIES: Final = tuple(str(severity) for severity in reversed(Severity))
_TYPES: Final = tuple(str(kind) for kind in DiffType)


class ReconDiff(msgspec.Struct, frozen=True, tag_field="schema", tag="ReconDiff/1"):
    """One difference (DIF-1). Positions and cash are decimals, orders and fills are told in words.

    ``delta`` is absolute, ``drift_pct`` in percent; both are None where nothing can be counted. In JSON decimals are
    strings.
    """

    diff_id: str
    timestamp: str
    diff_type: DiffType
    severity: Severity
    symbol: str | None
    internal: Decimal | str
    external: Decimal | str
    delta: Decimal | None
    drift_pct: Decimal | None
    client_order_id: str | None
    description: str
    details: dict[str, str] = {}
    resolved: bool = False
    resolution_action: str | None = None


class ReconSummary(msgspec.Struct, frozen=True, tag_field="schema", tag="ReconSummary/1"):
    """All diffs of one reconcile with their counts (DIF-5). ``run_id`` is the reconcile id (DIF-11)."""

    run_id: str
    timestamp: str
    session_id: str
    strategy_id: str
    total_diffs: int
    counts_by_severity: dict[str, int]
    counts_by_type: dict[str, int]
    top_diffs: tuple[ReconDiff, ...]
    has_critical: bool
    has_fail: bool
    max_severity: Severity | None
    diffs: tuple[ReconDiff, ...] = ()
    """Every diff, so that none is lost to the top list."""

    def to_json(self) -> str:
        """Return the summary as canonical JSON."""
        return canonical_json(self).decode()


def diffs_of(
    findings: Iterable[Finding], reconcile_id: str, now_ns: int, resolutions: dict[Finding, str] | None = None
) -> tuple[ReconDiff, ...]:
    """Return findings as diffs; ``resolutions`` names the action by which a finding was resolved."""
    done = resolutions or {}
    return tuple(_diff(finding, reconcile_id, rfc3339(now_ns), done.get(finding)) for finding in findings)


def _diff(finding: Finding, reconcile_id: str, timestamp: str, action: str | None) -> ReconDiff:
    counted = finding.diff_type in (DiffType.POSITION, DiffType.CASH)
    details = {"kind": str(finding.kind), "subject": finding.subject}
    if finding.drift_pips is not None:
        details["drift_pips"] = decimal_text(finding.drift_pips)
    return ReconDiff(
        diff_id="rd-" + stable_id(reconcile_id, finding.kind, finding.subject, finding.internal, finding.external)[:16],
        timestamp=timestamp,
        diff_type=finding.diff_type,
        severity=finding.severity,
        symbol=finding.symbol,
        internal=Decimal(finding.internal) if counted else finding.internal,
        external=Decimal(finding.external) if counted else finding.external,
        delta=None if finding.delta is None else _plain(abs(finding.delta)),
        drift_pct=None
        if finding.drift_pct is None
        else _plain(finding.drift_pct.quantize(_PERCENT_STEP, context=_WIDE)),
        client_order_id=finding.client_order_id,
        description=finding.description,
        details=details,
        resolved=action is not None,
        resolution_action=action,
    )


def _plain(number: Decimal) -> Decimal:
    """Return the number in its shortest form, so that equal numbers are equal texts as well."""
    return Decimal(decimal_text(number))


def summarize(
    diffs: Iterable[ReconDiff], *, run_id: str, now_ns: int, session_id: str, strategy_id: str, top_n: int = 10
) -> ReconSummary:
    """Return the summary of one reconcile; the top are the worst, then the earliest, then by id."""
    all_diffs = tuple(diffs)
    by_severity = _counted([diff.severity for diff in all_diffs], _SEVERITIES)
    top = sorted(all_diffs, key=lambda diff: (-_RANK[diff.severity], diff.timestamp, diff.diff_id))
    return ReconSummary(
        run_id=run_id,
        timestamp=rfc3339(now_ns),
        session_id=session_id,
        strategy_id=strategy_id,
        total_diffs=len(all_diffs),
        counts_by_severity=by_severity,
        counts_by_type=_counted([diff.diff_type for diff in all_diffs], _TYPES),
        top_diffs=tuple(top[:top_n]),
        has_critical=Severity.CRITICAL in by_severity,
        has_fail=Severity.FAIL in by_severity,
        max_severity=top[0].severity if top else None,
        diffs=all_diffs,
    )


def _counted(said: Sequence[str], names: tuple[str, ...]) -> dict[str, int]:
    """Return how often each name was said, in the order of ``names``, those that were not left out."""
    return {name: said.count(name) for name in names if name in said}


class EscalationRow(msgspec.Struct, frozen=True):
    """For a highest severity and at least so many diffs of it: what to do at once, and what after."""

    severity: Severity
    at_least: int
    now: str
    follow_up: str
    stop_trading: bool = False
    pause_trading: bool = False
    incident: bool = False


DEFAULT_ESCALATION: Final = (
    EscalationRow(
        Severity.CRITICAL, 1, "stop trading", "immediate incident response", stop_trading=True, incident=True
    ),
    EscalationRow(Severity.FAIL, 1, "stop trading", "immediate incident response", stop_trading=True, incident=True),
    EscalationRow(Severity.WARN, 6, "pause trading (option)", "incident report", pause_trading=True, incident=True),
    EscalationRow(Severity.WARN, 4, "log review", "incident if it repeats"),
    EscalationRow(Severity.WARN, 1, "log review", "incident if they pile up"),
    EscalationRow(Severity.INFO, 51, "trend review", "tolerance review"),
    EscalationRow(Severity.INFO, 10, "note", "monitoring"),
    EscalationRow(Severity.INFO, 1, "none", "monitoring"),
)
"""The runbook's matrix, worst first; a config may put another in its place."""


def escalation(summary: ReconSummary, matrix: tuple[EscalationRow, ...] = DEFAULT_ESCALATION) -> EscalationRow | None:
    """Return the first row that fits the summary; None where nothing was found.

    Rows are counted by diffs of their own severity, so two WARN beside sixty INFO are two WARN.
    """
    for row in matrix:
        if row.severity == summary.max_severity and summary.counts_by_severity.get(row.severity, 0) >= row.at_least:
            return row
    return None
