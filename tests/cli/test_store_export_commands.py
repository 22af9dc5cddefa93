"""``interlock store export`` and ``interlock store import``: what they say and how they exit."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_audit import mend_audit
from tests.run_builders import CONFIGS, a_config, contents, interlock, kept

pytestmark = [pytest.mark.spec("RST-1", "DIF-10"), pytest.mark.usefixtures("plain_disk")]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store with two runs, the second of which trips."""
    store = tmp_path / "s.sqlite3"
    assert (
        interlock("dryrun", a_config(tmp_path), "--store", store, "--run-id", "r1", "--out", tmp_path / "1").code == 0
    )
    assert interlock("dryrun", CONFIGS / "trip.yaml", "--store", store, "--out", tmp_path / "2").code == 2
    return store


def test_the_logs_of_an_export_are_those_of_the_run_folders(tmp_path: Path, store: Path) -> None:
    out = tmp_path / "export"
    answer = interlock("store", "export", store, "--out", out)
    assert (answer.code, answer.err) == (0, "")
    folders = [contents(kept(tmp_path / name)) for name in ("1", "2")]
    written = dict(contents(out))
    journal = written.pop("journal.jsonl")
    assert list(written.values()) == [folder["audit.jsonl"] for folder in folders]
    records, lines = journal.count(b"\n") - 1, sum(log.count(b"\n") for log in written.values())
    assert answer.out == f"{out}: {records:,} records, {lines:,} audit lines in 2 logs\n"
    for name in written:
        assert interlock("audit", "verify", out / name).code == 0


def test_an_imported_store_verifies_and_keeps_the_kill_switch(tmp_path: Path, store: Path) -> None:
    out, new = tmp_path / "export", tmp_path / "new.sqlite3"
    interlock("store", "export", store, "--out", out)
    answer = interlock("store", "import", out / "journal.jsonl", "--store", new)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"{new}: ")
    assert answer.out.endswith(" made anew\n")
    old, made = (interlock("store", "verify", file).out.partition(": ")[2] for file in (store, new))
    assert made == old
    assert "kill switch on" in made


def test_a_killed_runs_log_is_mended_from_the_store(tmp_path: Path, store: Path) -> None:
    log = kept(tmp_path / "1") / "audit.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[:-100])
    mended = mend_audit(store, "r1", log)
    assert (log.read_bytes(), mended.torn_bytes > 0) == (whole, True)
    assert interlock("audit", "verify", log).code == 0


@pytest.mark.spec("NFR-1")
def test_what_cannot_be_exported_or_imported_is_one_line(tmp_path: Path, store: Path) -> None:
    out = tmp_path / "export"
    for arguments, told in (
        (("export", tmp_path / "none", "--out", out), "none: there is no store"),
        (("export", store, "--out", tmp_path), "is there already and is no empty folder"),
        (("export", store), "--out"),
        (("import", tmp_path / "none", "--store", tmp_path / "new"), "none: cannot be read: No such file"),
        (("import", store, "--store", tmp_path / "new"), "s.sqlite3:1: is not the header of a journal"),
        (("import", store), "--store"),
    ):
        answer = interlock("store", *arguments)
        assert answer.code == 1
        assert told in answer.complaint
    assert not out.exists()
    assert not (tmp_path / "new").exists()


@pytest.mark.spec("IDM-6")
def test_a_store_that_is_owned_is_not_exported(tmp_path: Path, store: Path) -> None:
    with SqliteStore(store, owner="the night shift"):
        answer = interlock("store", "export", store, "--out", tmp_path / "export")
    assert (answer.code, "is owned by the night shift (pid " in answer.complaint) == (1, True)
