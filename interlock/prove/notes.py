"""What comes up while the logs are read: contradictions, which are findings, and oddities, which are counted.

Findings made here are about one side contradicting itself; differences between the sides are found when both have been
read (``interlock.prove.forced``). Only so many are kept, all are counted.
"""

from __future__ import annotations

from typing import Final

from interlock.domain.findings import DiffType, Finding, FindingKind, Severity, severity_of
from interlock.domain.money import decimal_text
from interlock.prove.executions import Execution

__all__ = ["KEPT_MAX", "Notes"]

KEPT_MAX: Final = 10_000
"""Findings kept in full; more would make a report that nobody reads, and memory that grows with a bad log."""


class Notes:
    """Findings in the order in which they were made, and counts by name."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.counts: dict[str, int] = {}
        self.left_out = 0

    def count(self, name: str) -> None:
        """Count something that is odd but changes nothing."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def order(self, kind: FindingKind, key: str, what: str, symbol: str | None = None) -> None:
        """Note that the broker's log contradicts itself about an order: nothing it says of it can be relied on."""
        severity = Severity.CRITICAL if kind is FindingKind.STATUS_MISMATCH else severity_of(kind)
        description = f"order {key}: {what}"
        self._keep(
            Finding(kind, DiffType.ORDER, severity, key, "-", what, description, symbol=symbol, client_order_id=key)
        )

    def execution(self, kind: FindingKind, execution: Execution, what: str) -> None:
        """Note an execution that cannot be what it says."""
        told = f"{execution.side} {decimal_text(execution.quantity)} {execution.symbol}"
        self._keep(
            Finding(
                kind,
                DiffType.FILL,
                Severity.CRITICAL if kind is FindingKind.FILL_CONFLICTING else severity_of(kind),
                execution.execution_id,
                "-",
                f"{told} at {decimal_text(execution.price)}",
                f"fill {execution.execution_id} of {execution.client_order_id}: {what}",
                symbol=execution.symbol,
                client_order_id=execution.client_order_id,
            )
        )

    def _keep(self, finding: Finding) -> None:
        if len(self.findings) < KEPT_MAX:
            self.findings.append(finding)
        else:
            self.left_out += 1
