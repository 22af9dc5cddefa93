"""Whether a proof ended as expected: every difference is one line that says what was found and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from interlock.domain.findings import Finding, FindingKind
from interlock.domain.money import decimal_text
from interlock.prove.figures import SUMMARY_TOKENS, Figures, drift_text
from interlock.prove.model import Expectation

__all__ = ["RUNS_METRIC", "differences", "missing_texts"]

RUNS_METRIC: Final = "engine_reconcile_runs_total"
_NAMED_MAX: Final = 3
"""How many findings a reason describes; the report has all."""


def differences(
    figures: Figures, expect: Expectation, findings: tuple[Finding, ...], breaches: list[str], complaint: str
) -> tuple[str, ...]:
    """Return a line for each thing that is not as expected; ``complaint`` is what is wrong with the cache."""
    stale = _of(findings, FindingKind.STALE_LOCAL_ORDER)
    orphan = _of(findings, FindingKind.ORPHAN_BROKER_ORDER)
    lines = [
        _count("stale", figures.stale, expect.stale, stale),
        _count("orphan", figures.orphan, expect.orphan, orphan),
        *_drifts(figures, {line.symbol: line.drift for line in expect.drift}),
        _count("duplicates", figures.duplicates, expect.duplicates, ()),
        _count("caught", figures.caught, expect.caught, ()),
        _count("slippage", figures.slippage, expect.slippage, breaches),
    ]
    expected = {str(kind): count for kind, count in expect.findings.items()}
    lines += [
        _count(kind, figures.others.get(kind, 0), expected.get(kind, 0), _of(findings, FindingKind(kind)))
        for kind in sorted({**figures.others, **expected})
    ]
    if figures.cache_ok is not expect.cache_ok:
        told = (str(figures.cache_ok).lower(), str(expect.cache_ok).lower())
        lines.append(f"cache_ok={told[0]}, expected {told[1]}{': ' + complaint if complaint else ''}")
    return tuple(line for line in lines if line)


def missing_texts(summary: str, metrics: str, expect: Expectation) -> tuple[str, ...]:
    """Return a line for each text that the written artifacts have to hold and do not."""
    tokens = (*SUMMARY_TOKENS, *expect.summary_tokens)
    lines = [f"summary.txt lacks {token!r}" for token in tokens if token not in summary]
    if not any(line.startswith(f"{RUNS_METRIC} ") for line in metrics.splitlines()):
        lines.append(f"metrics.txt lacks {RUNS_METRIC}")
    return tuple(lines)


def _of(findings: Iterable[Finding], kind: FindingKind) -> list[str]:
    return [finding.description for finding in findings if finding.kind is kind]


def _count(name: str, found: int, expected: int, which: Iterable[str]) -> str:
    if found == expected:
        return ""
    named = list(which)
    more = f"; and {len(named) - _NAMED_MAX} more" if len(named) > _NAMED_MAX else ""
    detail = ": " + "; ".join(named[:_NAMED_MAX]) + more if named else ""
    return f"{name}={found}, expected {expected}{detail}"


def _drifts(figures: Figures, expected: dict[str, Decimal]) -> Iterator[str]:
    """Compare drifts one by one: what is above tolerance has to be expected, and what is expected has to be there."""
    found = {line.symbol: line for line in figures.drifts}
    for symbol in sorted({**found, **expected}):
        line, wanted = found.get(symbol), expected.get(symbol)
        if line is None and wanted is not None:
            yield f"drift of {symbol}: none, expected {drift_text(wanted)}"
        elif line is not None and wanted is None and not line.within_tolerance:
            yield f"drift of {symbol}: {drift_text(line.drift)} {line.unit}, above tolerance and not expected"
        elif line is not None and wanted is not None and line.drift != wanted:
            yield f"drift of {symbol}: {drift_text(line.drift)} {line.unit}, expected {decimal_text(wanted)}"
