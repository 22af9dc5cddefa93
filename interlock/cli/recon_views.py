"""Summaries and diffs for people and for machines: labelled lines that fit into 80 columns, and stable JSON.

What is shown comes from files: what a terminal would obey is replaced, and long texts are wrapped.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec

from interlock.domain.findings import DiffType, Severity
from interlock.domain.money import DIGITS_MAX, decimal_text
from interlock.domain.recon_records import ToldDiff, ToldSummary
from interlock.runtime.redaction import scrub

__all__ = ["blocks_text", "diff_lines", "json_text", "plain_diff", "plain_summary", "summary_lines"]

_WIDTH: Final = 80
_CENTS: Final = 2

Lines = list[str]


# -- for people ---------------------------------------------------------------------------------------------


def blocks_text(event_type: str, blocks: Sequence[Lines], left_out: int, source: Path | None) -> str:
    """Return blocks of lines one below the other; ``source`` is named first where it is news."""
    if not blocks and not left_out:
        return f"No {event_type} events found."
    parts = [] if source is None else [[f"Source: {source}"]]
    parts += blocks
    if left_out:
        parts.append([_left_out(left_out)])
    return "\n\n".join("\n".join(part for line in lines for part in _wrapped(line)) for lines in parts)


def summary_lines(summary: ToldSummary) -> Lines:
    """Return one reconcile as lines."""
    counts = summary.counts_by_severity
    types = ", ".join(f"{name} {count}" for name, count in sorted(summary.counts_by_type.items()))
    lines = [
        "ReconSummary:",
        f"  Run ID: {summary.run_id}",
        f"  Timestamp: {summary.timestamp}",
        f"  Session: {summary.session_id or 'none'}",
        f"  Strategy: {summary.strategy_id or 'none'}",
    ]
    if summary.result:
        lines.append(f"  Result: {summary.result} ({summary.reason})")
    lines.append(f"  Total Diffs: {summary.total_diffs}")
    lines += [f"  {severity}: {counts.get(severity, 0)}" for severity in Severity]
    return [
        *lines,
        f"  Types: {types or 'none'}",
        f"  Has Critical: {_yes(summary.has_critical)}",
        f"  Has Fail: {_yes(summary.has_fail)}",
        f"  Max Severity: {summary.max_severity or 'none'}",
    ]


def diff_lines(diff: ToldDiff, run_id: str = "") -> Lines:
    """Return one diff as lines, with the reconcile that found it where that is not plain from what stands before."""
    unit = _unit(diff)
    lines = ["ReconDiff:", f"  Diff ID: {diff.diff_id}"]
    if run_id:
        lines.append(f"  Run ID: {run_id}")
    lines += [f"  Timestamp: {diff.timestamp}", f"  Severity: {diff.severity}", f"  Type: {diff.diff_type}"]
    if diff.symbol is not None:
        lines.append(f"  Symbol: {diff.symbol}")
    lines += [
        f"  Internal: {_amount(diff.internal, diff)}{unit}",
        f"  External: {_amount(diff.external, diff)}{unit}",
    ]
    if diff.delta is not None:
        lines.append(f"  Delta: {_amount(str(diff.delta), diff)}{_percentage(diff)}")
    return [
        *lines,
        f"  Description: {diff.description}",
        f"  Order ID: {diff.client_order_id or 'none'}",
        f"  Resolution: {diff.resolution_action or 'done' if diff.resolved else 'open'}",
    ]


def _wrapped(line: str) -> Lines:
    text = "".join(char if char.isprintable() else "?" for char in scrub(line))
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text, _WIDTH, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def _amount(text: str, diff: ToldDiff) -> str:
    """Return what was counted as a plain number, money with its cents, and anything else as it is."""
    if diff.diff_type not in (DiffType.POSITION, DiffType.CASH):
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    plain = _number(number)
    whole, _, digits = plain.partition(".")
    return f"{whole}.{digits:0<{_CENTS}}" if diff.diff_type is DiffType.CASH else plain


def _number(number: Decimal) -> str:
    """Return a number without an exponent, unless a file has planted one that is a megabyte of zeros."""
    tame = number.is_finite() and abs(number.adjusted()) <= DIGITS_MAX
    return decimal_text(number) if tame else str(number)


def _unit(diff: ToldDiff) -> str:
    """Return what a position is counted in, where its symbol says so (BTC/EUR)."""
    base, slash, _ = (diff.symbol or "").partition("/")
    return f" {base}" if slash and diff.diff_type is DiffType.POSITION else ""


def _percentage(diff: ToldDiff) -> str:
    if diff.diff_type is not DiffType.POSITION or diff.drift_pct is None:
        return ""
    return f" ({_number(diff.drift_pct)}%)"


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _left_out(count: int) -> str:
    return f"{count} more, left out by --limit"


# -- for machines -------------------------------------------------------------------------------------------


def json_text(event_type: str, items: list[dict[str, Any]], left_out: int) -> str:
    """Return the items as JSON, the same bytes for the same items."""
    notes = _left_out(left_out) if left_out else "" if items else f"No {event_type} events found"
    whole = {"count": len(items), "event_type": event_type, "items": items, "notes": notes}
    return json.dumps(whole, indent=2, sort_keys=True)


def plain_summary(summary: ToldSummary, diffs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a summary as JSON values: with the top diffs, or with all those that are given."""
    plain: dict[str, Any] = msgspec.to_builtins(summary)
    del plain["diffs"]
    return plain if diffs is None else {**plain, "diffs": diffs}


def plain_diff(diff: ToldDiff, run_id: str = "") -> dict[str, Any]:
    """Return a diff as JSON values."""
    plain: dict[str, Any] = msgspec.to_builtins(diff)
    return {**plain, "run_id": run_id} if run_id else plain
