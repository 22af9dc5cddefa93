"""The audit log of a host: records in a chain, exports that embed every diff, and what is refused when read."""

from __future__ import annotations

import errno
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock import AuditLog
from interlock.domain.errors import BadInput, StorageError
from interlock.domain.ids import canonical_json
from interlock.domain.recon_report import ReconSummary, diffs_of, summarize
from interlock.domain.reconcile import position_finding
from interlock.recon import read_history
from interlock.runtime.audit import verify_audit

pytestmark = pytest.mark.spec("DIF-8", "DIF-11")


def a_summary(count: int = 2, session_id: str = "s") -> ReconSummary:
    """Return the summary of a reconcile that found so many positions at the broker alone."""
    found = [position_finding(f"S{number:05}", Decimal(0), Decimal(1)) for number in range(count)]
    diffs = diffs_of([finding for finding in found if finding is not None], "rc-1", 0)
    return summarize(diffs, run_id="rc-1", now_ns=0, session_id=session_id, strategy_id="t")


def a_log(*summaries: ReconSummary) -> AuditLog:
    """Return a log of these reconciles."""
    log = AuditLog()
    for summary in summaries:
        log.append_recon_summary(summary)
    return log


def an_export(folder: Path, *summaries: ReconSummary) -> Path:
    """Return an export of these reconciles."""
    path = folder / "audit_export.json"
    a_log(*summaries).export_to_file(path)
    return path


@pytest.mark.spec("DIF-6")
def test_one_summary_and_the_top_diffs_are_written_in_a_chain() -> None:
    log = a_log(a_summary(12), a_summary(0))
    codes = [entry.event_type for entry in log.get_all_entries()]
    assert codes == ["RECON_SUMMARY", *["RECON_DIFF"] * 10, "RECON_SUMMARY"]
    assert len(log.get_entries_by_event_type("RECON_DIFF")) == 10
    assert log.get_entries_by_event_type("OTHER") == []
    assert verify_audit(canonical_json(entry) + b"\n" for entry in log.get_all_entries()).ok
    summary, diff = log.get_all_entries()[:2]
    assert (summary.details["run_id"], diff.details["run_id"], summary.ts) == ("rc-1", "rc-1", a_summary().timestamp)


def test_an_export_embeds_every_diff_and_comes_back_whole(tmp_path: Path) -> None:
    path = an_export(tmp_path, a_summary(1234), a_summary(0))
    whole = json.loads(path.read_bytes())
    assert whole["schema"] == "INTERLOCK_AUDIT_EXPORT_V1"
    assert (whole["count"], len(whole["entries"])) == (14, 14)
    back = AuditLog.load(path)
    assert back.get_all_entries() == a_log(a_summary(1234), a_summary(0)).get_all_entries()
    assert [len(summary.diffs) for summary in read_history(export=path).summaries] == [1234, 0]


def test_an_export_of_nothing_can_be_read(tmp_path: Path) -> None:
    assert AuditLog.load(an_export(tmp_path)).get_all_entries() == []


def test_a_loaded_log_can_be_continued(tmp_path: Path) -> None:
    log = AuditLog.load(an_export(tmp_path, a_summary()))
    log.append_recon_summary(a_summary(0))
    assert verify_audit(canonical_json(entry) + b"\n" for entry in log.get_all_entries()).ok


@pytest.mark.spec("NFR-1")
def test_an_export_is_never_overwritten_unless_it_is_told_to(tmp_path: Path) -> None:
    path = an_export(tmp_path, a_summary())
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"exists already \(allowed: another name, or replace=True\)$"):
        AuditLog().export_to_file(path)
    assert path.read_bytes() == before
    AuditLog().export_to_file(path, replace=True)
    assert AuditLog.load(path).get_all_entries() == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.spec("NFR-1")
def test_a_full_disk_leaves_the_older_export_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = an_export(tmp_path, a_summary())
    before = path.read_bytes()
    monkeypatch.setattr("interlock.recon.log.os.fsync", full)
    with pytest.raises(StorageError, match=r"audit_export\.json: cannot be written: No space left on device$"):
        AuditLog().export_to_file(path, replace=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(StorageError, match="cannot be written: No such file or directory"):
        AuditLog().export_to_file(tmp_path / "none" / "x.json")


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": "INTERLOCK_AUDIT_EXPORT_V9"}, "has the schema 'INTERLOCK_AUDIT_EXPORT_V9', not "),
        ({"schema": None}, "not an export of an audit log: Expected `str`"),
        ({"count": 2}, "holds 3 entries that are not the 2 it was written with"),
        ({"entries": []}, "holds 0 entries that are not the 3 it was written with"),
        ({"head": "0" * 64}, "holds 3 entries that are not the 3 it was written with"),
        ({"more": 1}, "unknown field `more`"),
        ({"entries": [{"code": "X"}]}, "missing required field"),
    ],
)
def test_a_changed_export_is_refused_with_what_is_wrong(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = an_export(tmp_path, a_summary())
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    with pytest.raises(BadInput) as caught:
        AuditLog.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)


@pytest.mark.spec("NFR-1")
def test_an_entry_that_was_edited_is_named(tmp_path: Path) -> None:
    path = an_export(tmp_path, a_summary())
    path.write_bytes(path.read_bytes().replace(b"we hold 0", b"we hold 9", 1))
    with pytest.raises(BadInput, match="entry 1: its hash does not fit its content"):
        AuditLog.load(path)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"schema":', b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(raw)
    with pytest.raises(BadInput, match=r"allowed: a file written by AuditLog\.export_to_file") as caught:
        AuditLog.load(path)
    assert "\n" not in str(caught.value)
    for other in (tmp_path, tmp_path / "none", tmp_path / ("n" * 300)):
        with pytest.raises(BadInput):
            AuditLog.load(other)


def test_a_diff_too_long_for_a_record_is_refused_and_nothing_is_written() -> None:
    summary = a_summary(1)
    long = msgspec.structs.replace(summary.diffs[0], description="x" * (1 << 20))
    log = a_log(a_summary())
    before = log.get_all_entries()
    with pytest.raises(BadInput, match=r"^summary rc-1: has diffs too long to be kept"):
        log.append_recon_summary(msgspec.structs.replace(summary, diffs=(long,)))
    assert log.get_all_entries() == before
    log.append_recon_summary(summary)
    assert verify_audit(canonical_json(entry) + b"\n" for entry in log.get_all_entries()).ok


@pytest.mark.spec("ART-4")
def test_secrets_do_not_get_into_the_log() -> None:
    secret = "sk-" + "9fQ2xLr7Vb3TzK8mWc4NdP6h"
    [entry, *_] = a_log(a_summary(session_id=secret)).get_all_entries()
    assert entry.details["session_id"] == "[redacted]"
