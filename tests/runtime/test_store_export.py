"""The journal as a file: written whole or not at all, read back into the same store, and logs mended from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from interlock.domain.errors import BadInput, StoreDamaged, StoreRefused
from interlock.domain.ids import canonical_json
from interlock.runtime.crash_points import CrashPoint
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_anchor import GENESIS, Counts, Head, Record, text_of
from interlock.runtime.store_changes import Told
from interlock.runtime.store_export import Exported, export_journal
from interlock.runtime.store_import import import_journal
from interlock.runtime.store_verify import verify_store
from tests.store_builders import Runs, contents_of, fill_store, rows_of, three_runs

pytestmark = [pytest.mark.spec("RST-1"), pytest.mark.usefixtures("plain_disk")]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Return a store on which three runs were made."""
    return three_runs(tmp_path / "s.sqlite3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a store with something of everything in it."""
    path = tmp_path / "s.sqlite3"
    with SqliteStore(path) as store:
        fill_store(store)
    return path


# -- out ----------------------------------------------------------------------------------------------------


def test_every_record_is_a_line_after_a_header_that_says_how_far_it_goes(path: Path, tmp_path: Path) -> None:
    done = export_journal(path, tmp_path / "out")
    first, *lines = (tmp_path / "out" / "journal.jsonl").read_bytes().splitlines()
    with SqliteStore(path) as store:
        assert (len(lines), done.records) == (store.length(), store.length())
    assert first.startswith(b'{"head":{"at_ns":4,"chain":"')
    assert first.endswith(b',"kill_file":"","schema":"InterlockJournal/1"}')
    for line, row in zip(lines, rows_of(path)["journal"], strict=True):
        names = ("sequence", "at_ns", "kind", "key", "version", "content", "fill", "audit", "counts", "chain")
        assert line == canonical_json(dict(zip(names, row, strict=True)))


def test_the_audit_log_of_each_run_has_the_bytes_that_the_run_wrote(runs: Runs, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = export_journal(runs.path, out)
    assert [file.name for file in done.files] == [
        "journal.jsonl",
        *(f"audit-00{number}-r{number}.jsonl" for number in (1, 2, 3)),
    ]
    assert sorted(out.iterdir()) == sorted(done.files)
    assert [file.read_bytes() for file in done.files[1:]] == list(runs.logs.values())
    assert done.audit_lines == sum(log.count(b"\n") for log in runs.logs.values())


def test_lines_of_no_run_and_a_run_id_that_is_no_file_name_have_logs_too(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "s.sqlite3")
    with SqliteStore(runs.path) as store:
        store.note(b'{"code":"LOOKED"}\n')
    runs.run("../up\n")
    done = export_journal(runs.path, tmp_path / "out")
    assert [file.name for file in done.files[1:]] == ["audit-000.jsonl", "audit-001-.._up_.jsonl"]


def test_an_export_changes_nothing_and_needs_the_store_for_itself(path: Path, tmp_path: Path) -> None:
    before = contents_of(path)
    export_journal(path, tmp_path / "out")
    assert contents_of(path) == before
    with SqliteStore(path, owner="night shift"), pytest.raises(StoreRefused, match="night shift"):
        export_journal(path, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_an_export_that_is_killed_before_it_is_named_leaves_nothing_under_the_name(path: Path, tmp_path: Path) -> None:
    class Killed(BaseException):
        """The process is gone."""

    passed: list[CrashPoint] = []

    def kill(point: CrashPoint) -> None:
        passed.append(point)
        assert (tmp_path / "out.partial" / "journal.jsonl").stat().st_size
        raise Killed

    with pytest.raises(Killed):
        export_journal(path, tmp_path / "out", probe=kill)
    assert passed == [CrashPoint.DURING_EXPORT]
    assert not (tmp_path / "out").exists()
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "left").touch()  # as a SIGKILL leaves it, which lets nobody clean up
    assert export_journal(path, tmp_path / "out").records
    assert not (tmp_path / "out.partial").exists()
    assert not (tmp_path / "out" / "left").exists()


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("there", ["file", "full folder", "link"])
def test_a_place_that_is_taken_is_left_alone(path: Path, tmp_path: Path, there: str) -> None:
    out = tmp_path / "out"
    if there == "file":
        out.write_text("mine")
    elif there == "full folder":
        out.mkdir()
        (out / "mine").touch()
    else:
        out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"out: is there already and is no empty folder \(allowed: a new or empty"):
        export_journal(path, out)
    assert not (tmp_path / "out.partial").exists()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("name", ["/", "a\0b"])
def test_an_export_to_no_name_is_one_line(path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="names no folder"):
        export_journal(path, Path(name))


def test_a_full_disk_ends_an_export_in_one_line_and_leaves_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match="out: cannot be written: No space left on device"):
        export_journal(path, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("out")] == []


def test_a_damaged_store_is_not_exported(path: Path, tmp_path: Path) -> None:
    db = apsw.Connection(str(path))
    db.execute("UPDATE journal SET content = replace(content, '\"10\"', '\"11\"') WHERE sequence = 5")
    db.close()
    with pytest.raises(StoreDamaged, match=r"journal record 5 is not what was written.*the kill switch is set"):
        export_journal(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


# -- and in again -------------------------------------------------------------------------------------------


def imported(path: Path, folder: Path) -> Path:
    """Export a store, import that, and return the new store."""
    export_journal(path, folder / "out")
    import_journal(folder / "out" / "journal.jsonl", folder / "new.sqlite3")
    return folder / "new.sqlite3"


def test_an_imported_store_has_every_row_and_the_same_end_and_is_sound(path: Path, tmp_path: Path) -> None:
    new = imported(path, tmp_path)
    assert rows_of(new) == rows_of(path)
    assert verify_store(new) == verify_store(path)
    assert new.with_name("new.sqlite3.anchor").read_bytes() == path.with_name("s.sqlite3.anchor").read_bytes()
    again = export_journal(new, tmp_path / "again")
    assert again.files[0].read_bytes() == (tmp_path / "out" / "journal.jsonl").read_bytes()
    assert not (tmp_path / "new.sqlite3.importing").exists()


def test_a_session_goes_on_where_the_first_store_was(runs: Runs, tmp_path: Path) -> None:
    moved = Runs(imported(runs.path, tmp_path))
    moved.logs, moved.orders = runs.logs, runs.orders
    moved.run("r4")
    done = export_journal(moved.path, tmp_path / "again")
    assert [file.read_bytes() for file in done.files[1:]] == list(moved.logs.values())


@pytest.mark.spec("SAF-2")
def test_a_kill_switch_that_is_set_is_set_in_the_new_store(path: Path, tmp_path: Path) -> None:
    with SqliteStore(path) as store:
        store.engage_kill_switch("loss limit")
    with SqliteStore(imported(path, tmp_path)) as store:
        assert store.kill_switch() == "loss limit"


@pytest.mark.spec("SAF-2")
def test_a_kill_file_that_was_made_by_hand_comes_along(path: Path, tmp_path: Path) -> None:
    path.with_name("s.sqlite3.kill").write_text("pulled by hand")
    with SqliteStore(imported(path, tmp_path)) as store:
        assert store.kill_switch() == "pulled by hand"


def test_an_empty_store_is_exported_and_imported(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    SqliteStore(path).close()
    assert verify_store(imported(path, tmp_path)).records == 0


def test_a_place_that_has_a_store_is_left_alone(path: Path, tmp_path: Path) -> None:
    export_journal(path, tmp_path / "out")
    before = contents_of(path)
    with pytest.raises(BadInput, match=r"s\.sqlite3: is there already"):
        import_journal(tmp_path / "out" / "journal.jsonl", path)
    assert contents_of(path) == before


Damage = Callable[[list[bytes]], Any]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "an edited record": (lambda lines: lines.__setitem__(5, lines[5].replace(b"BTC", b"BTX")), ":6: record 5 is not"),
    "white space": (lambda lines: lines.__setitem__(5, lines[5].replace(b'","', b'", "', 1)), ":6: record 5 is not"),
    "an added key": (lambda lines: lines.__setitem__(5, b'{"a":1,' + lines[5][1:]), ":6: record 5 is not what was"),
    "a dropped record": (lambda lines: lines.pop(7), ":8: has record 8, and record 7 belongs there"),
    "swapped records": (lambda lines: lines.insert(3, lines.pop(4)), ":4: has record 4, and record 3 belongs there"),
    "a repeated record": (lambda lines: lines.insert(3, lines[3]), ":5: has record 3, and record 4 belongs there"),
    "a torn end": (lambda lines: lines.append(lines.pop()[:-20]), ": is cut short"),
    "a lost end": (lambda lines: lines.pop(), "ends with record 79, and its header says 80"),
    "no JSON": (lambda lines: lines.__setitem__(4, b"hello\n"), ":5: is not a record: "),
    "not UTF-8": (lambda lines: lines.__setitem__(4, lines[4].replace(b"BTC", b"B\xff\xfe")), ":5: is not a record: "),
    "an empty line": (lambda lines: lines.insert(4, b"\n"), ":5: is not a record: "),
    "no header": (lambda lines: lines.pop(0), ":1: is not the header of a journal: "),
    "an edited header": (lambda lines: lines.__setitem__(0, lines[0].replace(b'"schema"', b' "schema"')), ":1: is not"),
    "nothing": (lambda lines: lines.clear(), ":1: is not the header of a journal: "),
    "a later schema": (lambda lines: lines.__setitem__(0, lines[0].replace(b"nal/1", b"nal/2")), "is of schema"),
}


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_journal_is_named_by_its_line_and_no_store_is_made(
    path: Path, tmp_path: Path, damage: Damage, told: str
) -> None:
    journal = export_journal(path, tmp_path / "out").files[0]
    lines = journal.read_bytes().splitlines(keepends=True)
    damage(lines)
    journal.write_bytes(b"".join(lines))
    with pytest.raises(BadInput) as refused:
        import_journal(journal, tmp_path / "new.sqlite3")
    assert told in str(refused.value)
    assert str(refused.value).startswith(str(journal))
    assert len(str(refused.value).splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("new")] == ["new.sqlite3.lock"]


def test_a_record_that_this_release_cannot_make_again_is_refused(path: Path, tmp_path: Path) -> None:
    """Somebody wrote a journal with a chain that holds, of records that no store makes."""
    journal, counts = tmp_path / "journal.jsonl", Counts(orders=1)
    record = Record(1, 0, "told", "", 0, canonical_json(Told()).decode(), "", "", text_of(counts))
    record = msgspec.structs.replace(record, chain=record.chained(GENESIS.chain))
    header = {"head": Head(1, 0, counts, record.chain), "kill_file": "", "schema": "InterlockJournal/1"}
    journal.write_bytes(canonical_json(header) + b"\n" + canonical_json(record) + b"\n")
    with pytest.raises(BadInput, match=r"journal\.jsonl:2: record 1 cannot be made again by this release"):
        import_journal(journal, tmp_path / "new.sqlite3")


@pytest.mark.spec("NFR-1")
def test_a_journal_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, told in (("none", "cannot be read: No such file"), (".", "no plain file"), ("pipe", "no plain file")):
        with pytest.raises(BadInput, match=told):
            import_journal(tmp_path / name, tmp_path / "new.sqlite3")
    with pytest.raises(BadInput, match="it is no name"):
        import_journal(Path("a\0b"), tmp_path / "new.sqlite3")


def test_an_import_that_is_killed_leaves_no_store_and_the_next_one_clears_up(path: Path, tmp_path: Path) -> None:
    export_journal(path, tmp_path / "out")
    left = tmp_path / "new.sqlite3.importing"
    left.mkdir()
    (left / "new.sqlite3").write_bytes(b"half of it")
    import_journal(tmp_path / "out" / "journal.jsonl", tmp_path / "new.sqlite3")
    assert verify_store(tmp_path / "new.sqlite3") == verify_store(path)
    assert not left.exists()


def test_what_an_export_tells(runs: Runs, tmp_path: Path) -> None:
    done = export_journal(runs.path, tmp_path / "out")
    assert done == Exported(27, 27, done.files)
