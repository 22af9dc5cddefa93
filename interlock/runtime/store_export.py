"""A store's journal as plain files: every record in order, and the audit log of each run as its folder has it.

``journal.jsonl`` begins with a header that says how far the journal goes, so that a file which lost its end is known
for it; ``store_import`` makes a store of it again. ``audit-001-<run>.jsonl`` and so on have the audit lines of the
first run on the store and of those after it, byte for byte as the runs wrote them. The folder appears whole or not at
all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from interlock.domain.errors import BadInput
from interlock.domain.ids import canonical_json
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.runtime.crash_points import CrashPoint, Probe, unheard
from interlock.runtime.kill_file import KillFile
from interlock.runtime.store_anchor import Head, Record, sync_folder
from interlock.runtime.store_reading import reading

__all__ = ["JOURNAL_FILE", "Exported", "JournalHeader", "export_journal", "run_begun"]

JOURNAL_FILE: Final = "journal.jsonl"
_PARTIAL: Final = ".partial"
_CHARS_MAX: Final = 100
_ALLOWED: Final = "a new or empty folder, in a place that can be written"


class JournalHeader(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="schema", tag="InterlockJournal/1"
):
    """The first line of an exported journal: its end, and why a kill file stood beside the store, or ""."""

    head: Head
    kill_file: str


class Exported(msgspec.Struct, frozen=True):
    """What was written: how many records with how many audit lines, and the files, the journal first."""

    records: int
    audit_lines: int
    files: tuple[Path, ...]


def export_journal(path: Path, out: Path, *, probe: Probe = unheard) -> Exported:
    """Write the journal of the store at ``path``, and the audit log of each of its runs, into the folder ``out``.

    Raises:
        BadInput: there is no store, or the folder holds something or cannot be written; nothing is left there.
        StoreDamaged: the store is not as it was written; the kill switch is set and a copy kept aside.
        StoreRefused: it cannot be opened, or somebody else owns it.
    """
    with reading(path, "interlock store export") as store, _folder(out, probe) as folder:
        logs = _AuditLogs(folder)
        with closing(logs), (folder / JOURNAL_FILE).open("xb") as journal:
            journal.write(canonical_json(JournalHeader(store.head, KillFile(store.place.kill).reason())) + b"\n")
            for record in store.records():
                journal.write(canonical_json(record) + b"\n")
                logs.take(record)
            _sync(journal)
    return Exported(store.head.sequence, logs.lines, tuple(out / name for name in (JOURNAL_FILE, *logs.names)))


def run_begun(record: Record) -> str | None:
    """Return the id of the run that begins with a record, or None; audit lines are that run's from this record on."""
    if record.kind != "mark":
        return None
    mark = msgspec.json.decode(record.content, type=SessionBegun | SessionDone)
    return mark.run_id if isinstance(mark, SessionBegun) else None


class _AuditLogs:
    """The audit logs of the runs in one journal, one open at a time."""

    def __init__(self, folder: Path) -> None:
        self.names: list[str] = []
        self.lines = 0
        self._folder = folder
        self._runs = 0
        self._log: BinaryIO | None = None

    def take(self, record: Record) -> None:
        """Write the audit lines of a record after those of its run."""
        run_id = run_begun(record)
        if run_id is not None:
            self._runs += 1
            self._begin(f"audit-{self._runs:03}-{_safe(run_id)}.jsonl")
        if record.audit:
            # What was noted before any session began on the store is no run's.
            log = self._log or self._begin("audit-000.jsonl")
            log.write(record.audit.encode())
            self.lines += record.audit.count("\n")

    def close(self) -> None:
        """Let the disk hold the last log."""
        if self._log is not None:
            log, self._log = self._log, None
            with log:
                _sync(log)

    def _begin(self, name: str) -> BinaryIO:
        self.close()
        self._log = (self._folder / name).open("xb")
        self.names.append(name)
        return self._log


def _safe(run_id: str) -> str:
    """Return a run id as part of a file name; a store may be anybody's."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in run_id)[
        :_CHARS_MAX
    ]


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


@contextmanager
def _folder(out: Path, probe: Probe) -> Iterator[Path]:
    """Let the block fill a folder beside ``out``, which then takes its place; nothing is left where it cannot."""
    final = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link to somewhere else
    if not final.name or "\0" in str(final):
        raise BadInput(str(out), "names no folder", _ALLOWED)
    partial = final.with_name(final.name + _PARTIAL)
    try:
        if os.path.lexists(final) and (not final.is_dir() or any(final.iterdir())):
            raise BadInput(str(out), "is there already and is no empty folder", _ALLOWED)
        shutil.rmtree(partial, ignore_errors=True)  # of an export that was killed
        partial.mkdir(parents=True)
        try:
            yield partial
            sync_folder(partial)
            probe(CrashPoint.DURING_EXPORT)
            partial.rename(final)
            sync_folder(final.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise BadInput(str(out), f"cannot be written: {error.strerror or error}", _ALLOWED) from error
