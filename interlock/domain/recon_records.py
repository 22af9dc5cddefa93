"""A reconcile as audit records: which records tell of it, and how they are read back (DIF-6, DIF-11).

One ``RECON_SUMMARY`` holds the summary with its diffs, then comes one ``RECON_DIFF`` for each of the top. A record has
room for so many diffs; the rest follow in ``RECON_DIFFS_MORE``, so that no diff is lost however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final, Literal, NamedTuple, TypeVar

import msgspec

from interlock.domain.errors import BadInput
from interlock.domain.recon_report import ReconDiff, ReconSummary

__all__ = [
    "DIFF_CODE",
    "SUMMARY_CODE",
    "TOP_MAX",
    "ReconRecord",
    "ToldDiff",
    "ToldSummary",
    "read_summaries",
    "records_of",
]

T = TypeVar("T")

SUMMARY_CODE: Final = "RECON_SUMMARY"
DIFF_CODE: Final = "RECON_DIFF"
_MORE_CODE: Final = "RECON_DIFFS_MORE"

TOP_MAX: Final = 100
"""How many top diffs a summary may name: they stand in one record together with the first of all diffs."""

_DIFFS_A_RECORD: Final = 500
"""A diff takes up to 1.2 kB, a record of the log 1 MiB."""


class ReconRecord(NamedTuple):
    """One audit record before it is written."""

    code: str
    message: str
    meta: dict[str, object]
    level: Literal["INFO", "WARN"]


class ToldDiff(ReconDiff, frozen=True, tag_field="schema", tag="ReconDiff/1"):
    """A diff as a log tells it: what was counted is text like everything else."""

    internal: str
    external: str
    delta: Decimal | None
    drift_pct: Decimal | None


class ToldSummary(ReconSummary, frozen=True, tag_field="schema", tag="ReconSummary/1"):
    """A summary as a log tells it, with every diff. A run says as well why it looked, and how that ended."""

    top_diffs: tuple[ToldDiff, ...]
    diffs: tuple[ToldDiff, ...] = ()
    reason: str = ""
    result: str = ""


class _More(msgspec.Struct, frozen=True):
    run_id: str
    diffs: tuple[ToldDiff, ...]


def records_of(summary: ReconSummary, message: str, **told: str) -> Iterator[ReconRecord]:
    """Return the records that tell of one reconcile; ``told`` is added to the meta of its summary."""
    first, rest = summary.diffs[:_DIFFS_A_RECORD], summary.diffs[_DIFFS_A_RECORD:]
    meta = msgspec.to_builtins(msgspec.structs.replace(summary, diffs=first) if rest else summary)
    yield ReconRecord(SUMMARY_CODE, message, {**meta, **told}, "INFO")
    for start in range(0, len(rest), _DIFFS_A_RECORD):
        part = msgspec.to_builtins(rest[start : start + _DIFFS_A_RECORD])
        yield ReconRecord(_MORE_CODE, "more of the same reconcile", {"run_id": summary.run_id, "diffs": part}, "INFO")
    for diff in summary.top_diffs:
        meta = {"run_id": summary.run_id, **msgspec.to_builtins(diff)}
        yield ReconRecord(DIFF_CODE, diff.description, meta, "WARN")


def read_summaries(records: Iterable[tuple[str, str, Mapping[str, object]]]) -> list[ToldSummary]:
    """Return all summaries, each whole, from the (place, code, meta) of a log's records in their order.

    Raises:
        BadInput: a record of a reconcile is not what this release writes, or diffs are missing.
    """
    found: list[ToldSummary] = []
    places: list[str] = []
    for place, code, meta in records:
        if code == SUMMARY_CODE:
            found.append(_read(place, meta, ToldSummary))
            places.append(place)
        elif code == _MORE_CODE:
            more = _read(place, meta, _More)
            if not found or found[-1].run_id != more.run_id:
                raise BadInput(place, f"{_MORE_CODE} does not follow the {SUMMARY_CODE} that it belongs to")
            found[-1] = msgspec.structs.replace(found[-1], diffs=found[-1].diffs + more.diffs)
    for place, summary in zip(places, found, strict=True):
        if summary.total_diffs != len(summary.diffs):
            what = f"says {summary.total_diffs} diffs and holds {len(summary.diffs)}"
            raise BadInput(place, what, f"a {SUMMARY_CODE} with all of its diffs")
    return found


def _read(place: str, meta: Mapping[str, object], kind: type[T]) -> T:
    try:
        return msgspec.convert(meta, kind)
    except msgspec.ValidationError as error:
        raise BadInput(place, f"not what a reconcile writes: {error}", "a record of this release") from error
