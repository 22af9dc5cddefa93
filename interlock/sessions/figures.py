"""What a session can say of itself in figures: the reconcile that was last, the store, and how long commits took.

They stand in ``metrics.json`` beside the counters; what is shown to others is made from there alone.
"""

from __future__ import annotations

from decimal import Decimal

from interlock.actors.commits import Commits
from interlock.domain.alerts import divergence_counts
from interlock.domain.findings import Finding, FindingKind
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.reconcile import ReconcileReport
from interlock.runtime.store import Store

__all__ = ["commit_figures", "reconcile_figures", "store_figures"]


def reconcile_figures(report: ReconcileReport | None) -> dict[str, object] | None:
    """Return the last reconcile: its duration on the session's clock, stale and orphan orders, the largest drift.

    The drift is that of the position that drifted most: in pips where average prices differ, in units where quantities
    do, the larger of both.
    """
    if report is None:
        return None
    counts = divergence_counts(report.findings)
    drifts = (_drift(finding) for finding in report.findings if finding.kind is FindingKind.POSITION_DRIFT)
    return {
        "duration_ns": report.finished_ns - report.started_ns,
        "stale": counts["stale"],
        "orphan": counts["orphan"],
        "drift": decimal_text(max(drifts, default=ZERO)),
    }


def _drift(finding: Finding) -> Decimal:
    return max(abs(finding.delta or ZERO), finding.drift_pips or ZERO)


def store_figures(store: Store) -> dict[str, object]:
    """Return how many keys are held whole; nothing that a replay, which has another store, would not repeat."""
    return {"keys": store.keys_held()}


def commit_figures(commits: Commits) -> dict[str, int]:
    """Return how many commits there were, and how long they took together and at most, on the session's clock."""
    return {"count": commits.done, "ns_sum": commits.ns_sum, "ns_max": commits.ns_max}
