"""What audit logs tell of reconciles: the log of a run, or an export, read whole and checked before it is believed.

Without a source it is the newest run below ``out``, and where there is none, nothing was ever reconciled.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from interlock.domain.errors import BadInput
from interlock.domain.findings import Severity
from interlock.domain.recon_records import ToldDiff, ToldSummary, read_summaries
from interlock.recon.log import AuditLog
from interlock.runtime.audit import AuditRecord, read_audit_file

__all__ = ["History", "newest_run", "read_history"]

_CODES = "RECON_"


class History(msgspec.Struct, frozen=True):
    """Reconciles in the order of their log; ``source`` is None where there was nothing to read."""

    source: Path | None = None
    summaries: tuple[ToldSummary, ...] = ()

    def of(self, *, run_id: str | None = None, session_id: str | None = None) -> History:
        """Return the reconciles of one id, and of one session."""
        return msgspec.structs.replace(
            self,
            summaries=tuple(
                summary
                for summary in self.summaries
                if run_id in (None, summary.run_id) and session_id in (None, summary.session_id)
            ),
        )

    def with_severity(self, severity: Severity | None) -> History:
        """Return the reconciles that found something so severe, each with those diffs alone; None changes nothing."""
        if severity is None:
            return self
        kept = (
            msgspec.structs.replace(summary, diffs=tuple(diff for diff in summary.diffs if diff.severity is severity))
            for summary in self.summaries
        )
        return msgspec.structs.replace(self, summaries=tuple(summary for summary in kept if summary.diffs))

    def last(self) -> History:
        """Return the last reconcile that found something, or the last one if none did."""
        found = [summary for summary in self.summaries if summary.diffs]
        return msgspec.structs.replace(self, summaries=tuple((found or list(self.summaries))[-1:]))

    @property
    def diffs(self) -> list[tuple[ToldSummary, ToldDiff]]:
        """Return every diff with the summary that it belongs to."""
        return [(summary, diff) for summary in self.summaries for diff in summary.diffs]


def read_history(*, export: Path | None = None, run: Path | None = None, out: Path = Path("out")) -> History:
    """Return the reconciles of an export, of the folder of a run, or of the newest run below ``out``.

    Raises:
        BadInput: two sources at once; a source that is missing, damaged or of another release.
    """
    if export is not None and run is not None:
        raise BadInput("--json and --run", "were given together", "one of them, or none for the newest run")
    if export is not None:
        told = [(f"{export}: entry {entry.seq}", entry) for entry in AuditLog.load(export).get_all_entries()]
        return History(export, _summaries(told))
    folder = run or newest_run(out)
    if folder is None:
        return History()
    path = folder / "audit.jsonl"
    return History(folder, _summaries([(f"{path}:{entry.seq}", entry) for entry in read_audit_file(path, _CODES)]))


def newest_run(out: Path) -> Path | None:
    """Return the folder of the run that was written last, by the time of its folder; None where there is none."""
    try:
        runs = [(run.stat().st_mtime_ns, run.name, run) for run in (out / "finish_c" / "c2").iterdir() if _whole(run)]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadInput(str(error.filename or out), f"cannot be read: {error.strerror}", "--run DIR") from error
    return max(runs)[-1] if runs else None


def _whole(run: Path) -> bool:
    """Return whether this is the folder of a run that has ended, not one that is being written or replaced."""
    return run.suffix not in (".partial", ".old") and run.is_dir()


def _summaries(entries: list[tuple[str, AuditRecord]]) -> tuple[ToldSummary, ...]:
    return tuple(read_summaries((place, entry.code, entry.meta) for place, entry in entries))
