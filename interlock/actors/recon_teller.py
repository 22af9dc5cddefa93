"""How the reconciler tells what it found: events, audit records, counters, and what the escalation matrix says.

One reconcile is one summary with every diff, the top diffs on their own, and an incident where the matrix opens one.
"""

from __future__ import annotations

from typing import Final

from interlock.domain.alerts import divergence_counts
from interlock.domain.findings import Finding, FindingKind
from interlock.domain.recon_records import DIFF_CODE, records_of
from interlock.domain.recon_report import EscalationRow, ReconDiff, ReconSummary, diffs_of, escalation, summarize
from interlock.domain.reconcile import ReconcileReport, ReconcileResult, Repair
from interlock.domain.repair import Action
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Context

__all__ = ["ReconTeller"]

_LOGGED_AS: Final = {
    FindingKind.PARTIAL_FILL_MISMATCH: "partial_fill_caught_by_reconcile",
    FindingKind.FILL_MISSING_LOCALLY: "partial_fill_caught_by_reconcile",
}


class ReconTeller:
    """Writes down reconciles of one session."""

    def __init__(
        self, ctx: Context, *, session_id: str, strategy_id: str, top_n: int, matrix: tuple[EscalationRow, ...]
    ) -> None:
        self._ctx = ctx
        self._session_id = session_id
        self._strategy_id = strategy_id
        self._top_n = top_n
        self._matrix = matrix

    def publish(self, report: ReconcileReport) -> EscalationRow | None:
        """Write the report and return what the escalation matrix says about what stays of it."""
        ctx, now_ns = self._ctx, report.finished_ns
        ctx.count("engine_reconcile_runs_total")
        ctx.count("reconcile_mismatches_total", len(report.findings) + len(report.repairs))
        for finding in (*report.findings, *(repair.finding for repair in report.repairs)):
            ctx.count(f"findings_total|{finding.kind}")
        counted = divergence_counts(report.findings)
        ctx.count("engine_reconcile_stale_orders_total", counted["stale"])
        ctx.count("engine_reconcile_orphan_orders_total", counted["orphan"])
        ctx.emit(
            "RECONCILE",
            {
                "reconcile_id": report.reconcile_id,
                "reason": report.reason,
                "result": report.result,
                "findings": len(report.findings),
                "repairs": len(report.repairs),
                "dismissed": report.dismissed,
                "max_severity": report.worst,
                "detail": report.detail,
                "orders": report.orders_compared,
                "fills": report.fills_compared,
            },
        )
        resolved = {repair.finding: repair.action for repair in report.repairs}
        diffs = diffs_of((*report.findings, *resolved), report.reconcile_id, now_ns, resolved)
        summary = self._summary(report.reconcile_id, diffs, now_ns)
        self._tell(summary, report.reason, report.result)
        if resolved:  # what was repaired is told, and calls for nothing more
            summary = self._summary(report.reconcile_id, diffs[: len(report.findings)], now_ns)
        return self._escalate(summary)

    def observed(self, transaction_id: str, finding: Finding) -> None:
        """Write one finding of observe mode, under the transaction before which it was made."""
        now_ns = self._ctx.now_ns()
        summary = self._summary(transaction_id, diffs_of((finding,), transaction_id, now_ns), now_ns)
        self._tell(summary, "observed", ReconcileResult.FINDINGS)

    def repaired(self, reconcile_id: str, repair: Repair) -> None:
        """Journal one repair, with what was believed before and what is believed now (REC-9)."""
        finding = repair.finding
        cancelled = repair.action == Action.CANCEL_ORDER
        code = "stale_order_cancelled" if cancelled else _LOGGED_AS.get(finding.kind, "RECON_REPAIRED")
        meta = {
            "reconcile_id": reconcile_id,
            "kind": finding.kind,
            "subject": finding.subject,
            "action": repair.action,
            "before": finding.internal,
            "after": repair.after,
        }
        self._ctx.emit("RECON_REPAIR", meta)
        self._ctx.sometimes(Sometimes.REPAIRED)
        self._ctx.audit(code, finding.description, meta, "WARN")
        self._ctx.count(f"reconcile_repairs_total|{repair.action}")

    def _escalate(self, stays: ReconSummary) -> EscalationRow | None:
        row = escalation(stays, self._matrix)
        if row is not None and row.incident:
            incident = {
                "incident_id": "in-" + stays.run_id.removeprefix("rc-"),
                "reconcile_id": stays.run_id,
                "max_severity": stays.max_severity,
                "counts_by_type": stays.counts_by_type,
                "now": row.now,
                "follow_up": row.follow_up,
            }
            self._ctx.emit("INCIDENT", incident)
            self._ctx.audit("INCIDENT_OPENED", row.follow_up, incident, "CRITICAL")
        return row

    def _summary(self, reconcile_id: str, diffs: tuple[ReconDiff, ...], now_ns: int) -> ReconSummary:
        return summarize(
            diffs,
            run_id=reconcile_id,
            now_ns=now_ns,
            session_id=self._session_id,
            strategy_id=self._strategy_id,
            top_n=self._top_n,
        )

    def _tell(self, summary: ReconSummary, reason: str, result: ReconcileResult) -> None:
        for record in records_of(summary, f"reconcile {reason}: {result}", reason=reason, result=str(result)):
            self._ctx.audit(record.code, record.message, record.meta, record.level)
            if record.code == DIFF_CODE:
                self._ctx.emit(DIFF_CODE, record.meta)
