"""``reconcile-report.json``: everything a proof found, with what it was made of. Same inputs, same bytes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from interlock.domain.findings import Finding
from interlock.domain.ids import canonical_json
from interlock.domain.instants import rfc3339
from interlock.domain.recon_report import diffs_of, summarize
from interlock.prove.figures import Figures, drift_text
from interlock.prove.forced import CAUGHT
from interlock.prove.notes import KEPT_MAX
from interlock.runtime.run_folder import VERSION

__all__ = ["REPORT_SCHEMA", "InputSeen", "Report", "report_bytes"]

REPORT_SCHEMA: Final = "INTERLOCK_PROOF_REPORT_V1"


class InputSeen(msgspec.Struct, frozen=True):
    """One input file: its name, its content's SHA-256, and how many records it holds."""

    file: str
    sha256: str
    records: int


class Report(msgspec.Struct, frozen=True):
    """What goes into the report. ``differences`` are the reasons for which a proof is not as expected."""

    name: str
    reconcile_id: str
    now_ns: int
    inputs: dict[str, InputSeen]
    figures: Figures
    stays: tuple[Finding, ...]
    resolved: tuple[Finding, ...]
    findings_left_out: int
    orders_compared: int
    executions_reconciled: int
    noted: dict[str, int]
    slippage: tuple[str, ...]
    cache_complaint: str
    differences: tuple[str, ...]


def report_bytes(report: Report) -> bytes:
    """Return the file: canonical JSON and a newline. At most ``KEPT_MAX`` findings are listed, all are counted."""
    listed = report.stays[:KEPT_MAX]
    diffs = diffs_of(
        (*listed, *report.resolved[:KEPT_MAX]),
        report.reconcile_id,
        report.now_ns,
        dict.fromkeys(report.resolved, CAUGHT),
    )
    summary = summarize(
        diffs, run_id=report.reconcile_id, now_ns=report.now_ns, session_id="proof", strategy_id=report.name
    )
    figures = report.figures
    tree: dict[str, Any] = {
        "schema": REPORT_SCHEMA,
        "package_version": VERSION,
        "name": report.name,
        "reconcile_id": report.reconcile_id,
        "as_of": rfc3339(report.now_ns),
        "inputs": report.inputs,
        "as_expected": not report.differences,
        "differences": report.differences,
        "counts": {
            "stale": figures.stale,
            "orphan": figures.orphan,
            "drift": drift_text(figures.drift),
            "duplicates": figures.duplicates,
            "caught": figures.caught,
            "slippage": figures.slippage,
            "other_findings": figures.others,
            "findings_not_listed": report.findings_left_out + len(report.stays) - len(listed),
            "orders_compared": report.orders_compared,
            "executions_reconciled": report.executions_reconciled,
        },
        "drifts": figures.drifts,
        "noted": dict(sorted(report.noted.items())),
        "slippage": report.slippage,
        "cache": {"ok": figures.cache_ok, "complaint": report.cache_complaint},
        "summary": summary,
    }
    return canonical_json(tree) + b"\n"
