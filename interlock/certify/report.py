"""What a certification found: one result for each rule, and the JSON of it."""

from __future__ import annotations

import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from interlock.domain.errors import StorageError
from interlock.domain.ids import canonical_json

__all__ = ["CertifyReport", "Outcome", "RuleResult", "Verdict", "write_report"]


class Outcome(StrEnum):
    """What became of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It was not tried, or not to its end: nothing is known."""


class Verdict(StrEnum):
    """What all of it comes to."""

    CERTIFIED = "certified"
    """Every rule was tried and holds."""
    INCOMPLETE = "incomplete"
    """No rule failed, but not every one could be tried."""
    FAILED = "failed"


class RuleResult(msgspec.Struct, frozen=True):
    """What became of one rule; ``evidence`` is what was seen, or why it was skipped, on one line."""

    rule: str
    name: str
    holds: str
    port: str
    outcome: Outcome
    evidence: str


class CertifyReport(msgspec.Struct, frozen=True, tag_field="schema", tag="CertifyReport/1"):
    """All results, in the order of the rules. ``kind`` is reader or trader, ``broker`` its name."""

    target: str
    broker: str
    kind: str
    results: tuple[RuleResult, ...]
    verdict: Verdict
    passed: int
    failed: int
    skipped: int


def write_report(report: CertifyReport, path: Path) -> None:
    """Write the report as canonical JSON, whole or not at all, in the place of an older one.

    Raises:
        StorageError: the disk refused; what was there before is still there.
    """
    part = path.with_name(path.name + ".partial")
    try:
        with part.open("wb") as file:
            file.write(canonical_json(report) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error
