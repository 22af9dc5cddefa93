"""The table at the end of a run: what happened, in the words and codes of its artifacts.

It reads the metrics as the folder has them and the result of the session; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from interlock.domain.findings import Finding
from interlock.domain.instants import NS_PER_S
from interlock.domain.money import decimal_text
from interlock.dryrun import DryrunOutcome
from interlock.runtime.redaction import scrub

__all__ = ["summary_table"]

_LINES_MAX = 10
_GOOD = ("COMPLETED",)


def summary_table(outcome: DryrunOutcome) -> Table:
    """Return the summary of one run, readable in 80 columns."""
    # Texts, not strings, wherever a value is shown: square brackets in it are no markup.
    title = Text(scrub(f"run {outcome.result.run_id}"))
    table = Table(title=title, box=box.SIMPLE, show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    status = outcome.result.status
    table.add_row("status", Text(status, style="green" if status in _GOOD else "red"))
    for name, value in _rows(outcome):
        table.add_row(name, Text(scrub(value)))
    return table


def _rows(outcome: DryrunOutcome) -> Iterator[tuple[str, str]]:
    result, metrics = outcome.result, outcome.metrics
    counters = metrics.get("counters", {})
    if outcome.interrupted_at_step is not None:
        yield "interrupted", f"at step {outcome.interrupted_at_step:,}, then stopped in good order"
    if result.fail_code:
        yield "failed", _with_reason(result.fail_code, result.fail_reason)
    for reject in result.view.rejects[:_LINES_MAX]:
        yield "rejected", _with_reason(reject.code, reject.reason)
    yield "orders", _total(metrics.get("orders_total", 0), metrics.get("orders_by_state", {}))
    repeated = counters.get("duplicate_fills_total", 0)
    yield "fills", f"{metrics.get('fills_total', 0):,}" + (f" ({repeated:,} repetitions ignored)" if repeated else "")
    yield "refused by us", _by_code(counters, "intents_refused_total")
    yield "rejected there", _by_code(counters, "orders_rejected_total")
    # Rails and desk check the same invariants, each from its own books, so one cause can trip twice.
    yield "trips", ", ".join(dict.fromkeys(result.view.trips)) or "none"
    yield "kill switch", "on" if result.view.kill_switch else "off"
    yield "reconciled", f"{counters.get('engine_reconcile_runs_total', 0):,} times, last: {_last(metrics)}"
    for finding in outcome.findings[:_LINES_MAX]:
        yield "finding", _finding(finding)
    if len(outcome.findings) > _LINES_MAX:
        yield "", f"and {len(outcome.findings) - _LINES_MAX:,} findings more, in audit.jsonl"
    yield "faults struck", _by_code(counters, "faults_total")
    yield "steps", f"{result.steps:,}"
    yield "simulated time", str(timedelta(seconds=result.simulated_ns // NS_PER_S))


def _with_reason(code: str, reason: str) -> str:
    return f"{code}: {reason}" if reason and reason != code else code


def _total(total: int, parts: Mapping[str, int]) -> str:
    named = ", ".join(f"{name} {count:,}" for name, count in sorted(parts.items()))
    return f"{total:,}" + (f": {named}" if named else "")


def _by_code(counters: Mapping[str, int], name: str) -> str:
    found = {key.partition("|")[2]: count for key, count in counters.items() if key.startswith(name + "|")}
    return _total(sum(found.values()), found)


def _last(metrics: Mapping[str, Any]) -> str:
    return str(metrics.get("last_reconcile") or "never")


def _finding(finding: Finding) -> str:
    delta = "" if finding.delta is None else f" {decimal_text(finding.delta)}"
    return f"{finding.subject} {finding.kind}{delta} ({finding.severity}: {finding.description})"
