"""The audit log of a host: reconciles as hash-chained records in memory, and exports of them.

The records are those of a run (one type, one chain). An export is one JSON file with a schema, how many records it
holds, the hash of the last one, and the records themselves, one a line; reading it checks all of that.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final, Self

import msgspec

from interlock.domain.errors import BadInput, StorageError
from interlock.domain.ids import canonical_json
from interlock.domain.recon_records import records_of
from interlock.domain.recon_report import ReconSummary
from interlock.runtime.audit import GENESIS_HASH, AuditChain, AuditRecord, verify_audit
from interlock.runtime.run_folder import VERSION

__all__ = ["EXPORT_SCHEMA", "AuditLog"]

EXPORT_SCHEMA: Final = "INTERLOCK_AUDIT_EXPORT_V1"

_EXPORT_BYTES_MAX: Final = 1 << 28
_ALLOWED: Final = "a file written by AuditLog.export_to_file; the folder of a run goes with --run"


class _Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    package_version: str
    count: int
    head: str
    entries: tuple[AuditRecord, ...]


class _SchemaOnly(msgspec.Struct):
    schema: str = ""


class AuditLog:
    """Records in the order in which they were made. Each carries ``event_type`` and ``details``."""

    def __init__(self) -> None:
        self._chain = AuditChain()
        self._entries: list[AuditRecord] = []

    def get_all_entries(self) -> list[AuditRecord]:
        """Return all records."""
        return list(self._entries)

    def get_entries_by_event_type(self, name: str) -> list[AuditRecord]:
        """Return the records of one type, such as ``RECON_SUMMARY``."""
        return [entry for entry in self._entries if entry.event_type == name]

    def append_recon_summary(self, summary: ReconSummary) -> None:
        """Write one ``RECON_SUMMARY`` with every diff, and a ``RECON_DIFF`` for each of its top diffs.

        Raises:
            BadInput: a diff is too long for a record; nothing was written.
        """
        before = self._chain.count, self._chain.head
        made: list[AuditRecord] = []
        for code, message, meta, level in records_of(summary, f"reconcile: {summary.total_diffs} differences"):
            line = self._chain.append(ts=summary.timestamp, code=code, message=message, meta=meta, level=level)
            made.append(msgspec.json.decode(line, type=AuditRecord))
            if "run_id" not in made[-1].meta:  # the chain leaves out what is too long for a line
                self._chain.count, self._chain.head = before
                raise BadInput(f"summary {summary.run_id}", "has diffs too long to be kept", "shorter descriptions")
        self._entries += made

    def export_to_file(self, path: str | Path, *, replace: bool = False) -> None:
        """Write all records to ``path``; ``replace`` permits to put them in the place of another file.

        Raises:
            BadInput: there is a file already.
            StorageError: the disk refused; what was there before is still there.
        """
        path = Path(path)
        if os.path.lexists(path) and not replace:
            raise BadInput(str(path), "exists already", "another name, or replace=True")
        content = self._exported()
        part = path.with_name(path.name + ".partial")
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            message = f"{path}: cannot be written: {error.strerror or error}"
            raise StorageError(message) from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the log that an export holds; it can be continued.

        Raises:
            BadInput: the file cannot be read, is no export, or was changed.
        """
        path = Path(path)
        export = _decoded(path, _content(path))
        count, head = 0, GENESIS_HASH
        if export.entries:
            verdict = verify_audit(canonical_json(entry) + b"\n" for entry in export.entries)
            if not verdict.ok:
                raise BadInput(str(path), f"entry {verdict.first_bad_line}: {verdict.reason}", "an unchanged export")
            count, head = verdict.count, verdict.head
        if (count, head) != (export.count, export.head):
            what = f"holds {count} entries that are not the {export.count} it was written with"
            raise BadInput(str(path), what, "an unchanged export")
        log = cls()
        log._chain.count, log._chain.head = count, head
        log._entries = list(export.entries)
        return log

    def _exported(self) -> bytes:
        head = {
            "count": self._chain.count,
            "head": self._chain.head,
            "package_version": VERSION,
            "schema": EXPORT_SCHEMA,
        }
        entries = b",\n".join(canonical_json(entry) for entry in self._entries)
        return b'{"entries":[\n' + entries + b"\n]," + canonical_json(head)[1:] + b"\n"


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():  # opening a pipe would wait for its other end
            raise BadInput(str(path), "not a regular file" if path.exists() else "is missing", _ALLOWED)
        with path.open("rb") as file:
            content = file.read(_EXPORT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(str(path), f"cannot be read: {why}", _ALLOWED) from error
    if len(content) > _EXPORT_BYTES_MAX:
        raise BadInput(str(path), f"is longer than {_EXPORT_BYTES_MAX} bytes", _ALLOWED)
    return content


def _decoded(path: Path, content: bytes) -> _Export:
    try:
        # Looked at first: an export of another release is called that, whatever its fields are.
        schema = msgspec.json.decode(content, type=_SchemaOnly).schema
        if schema != EXPORT_SCHEMA:
            raise BadInput(str(path), f"has the schema {schema[:80]!r}, not {EXPORT_SCHEMA}", _ALLOWED)
        return msgspec.json.decode(content, type=_Export)
    except UnicodeDecodeError as error:
        raise BadInput(str(path), "not UTF-8", _ALLOWED) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInput(str(path), f"not an export of an audit log: {error}", _ALLOWED) from error
