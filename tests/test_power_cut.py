"""Power cuts, replayed: nothing that was acknowledged is lost, and where the store is content with less it is seen."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from interlock.runtime import store_file, store_opening
from interlock.runtime.store_anchor import GENESIS, Anchor, sync_folder
from tools.disk_trace import SECTOR, Op, Recorder, Replay
from tools.power_cut import Outcome, anywhere, cut_everywhere, main, quick_folder, traced

COMMITS = 24


def cut(synchronous: str, commits: int = COMMITS) -> Outcome:
    """Let a store work, cut at every sync, and return what came of it."""
    with quick_folder() as folder, anywhere():
        return cut_everywhere(traced(folder, commits, synchronous), folder, writes=False)


@pytest.mark.spec("IDM-1", "IDM-2", "IDM-4")
def test_no_power_cut_loses_what_was_acknowledged_or_makes_the_store_refuse() -> None:
    outcome = cut("FULL")
    assert (outcome.lost, outcome.refused, outcome.unsound, outcome.example) == (0, 0, 0, "")
    assert outcome.cuts > 80
    assert outcome.disks > 250


def test_the_same_cuts_show_the_losses_of_a_store_that_does_not_wait_for_its_log() -> None:
    outcome = cut("NORMAL")
    assert outcome.lost > 0, "lost without a word"
    assert outcome.refused > 0, "lost, and found by the anchor"
    assert "was acknowledged" in outcome.example or "commits are lost" in outcome.example


def test_an_anchor_that_is_written_before_its_commit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def early(file: store_file.StoreFile) -> bool:
        head = file.taken
        file._anchor.write(head)  # noqa: SLF001 - the planted fault
        return commit(file)

    commit = store_file.StoreFile.commit
    monkeypatch.setattr(store_file.StoreFile, "commit", early)
    outcome = cut("FULL", 8)
    assert outcome.refused > 0
    assert "commits are lost" in outcome.example


def test_an_anchor_that_is_named_before_it_is_synced_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(Anchor):
        """The planted fault."""

        def __init__(self, path: Path, *, make: bool) -> None:
            if make:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
                sync_folder(path.parent)
            super().__init__(path, make=False)
            if make:
                self.write(GENESIS)

    monkeypatch.setattr(store_opening, "Anchor", Hasty)
    outcome = cut("FULL", 8)
    assert outcome.refused > 0
    assert "the anchor is damaged" in outcome.example


def test_the_store_is_as_it_was_after_it_was_recorded(tmp_path: Path) -> None:
    with anywhere():
        traced(tmp_path, 8, "FULL")
    assert os.pwrite.__module__ == "posix"
    assert vars(store_file)["_CHECKPOINT_PAGES"] == 1_000


def test_the_table_is_printed_and_the_answer_is_whether_all_is_as_it_should_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--commits", "16", "--syncs-only"]) == 0
    head, full, normal, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["synchronous", "commits", "cuts", "disks", "lost", "refused", "unsound"]
    assert full.split()[0] == "FULL"
    assert full.split()[-3:] == ["0", "0", "0"]
    assert int(normal.split()[4]) > 0


# -- the trace, and what a cut leaves of it -----------------------------------------------------------------


def made(*ops: Op) -> Replay:
    """Return a replay that has taken some operations."""
    replay = Replay()
    for op in ops:
        replay.step(op)
    return replay


BEGUN = (Op("make", 1, "f"), Op("folder"), Op("write", 1, "", 0, b"a" * 1024), Op("sync", 1))


def test_where_all_was_synced_there_is_one_disk() -> None:
    assert list(made(*BEGUN).disks(0)) == [{"f": b"a" * 1024}]


def test_what_was_not_synced_is_there_or_not_or_there_in_sectors() -> None:
    replay = made(*BEGUN, Op("write", 1, "", 256, b"b" * 1024), Op("write", 1, "", 100))
    found = {disk["f"] for seed in range(60) for disk in replay.disks(seed)}
    written = b"a" * 256 + b"b" * 1024
    assert next(iter(replay.disks(0))) == {"f": b"a" * 1024}
    assert {b"a" * 1024, b"a" * 100, written} <= found
    assert any(each.startswith(b"a" * SECTOR + b"b" * SECTOR) for each in found), "its first sector is not there"
    for each in found:
        assert each[:100] == b"a" * 100
        for before, after in pairwise(each):
            assert (before, after) != (0, ord("b")) or len(each) == 1280


def test_a_file_that_grew_has_zeros_where_a_write_is_missing() -> None:
    replay = made(*BEGUN, Op("write", 1, "", 1024, b"b" * 512), Op("write", 1, "", 1536, b"c" * 512))
    found = {disk["f"][1024:] for seed in range(40) for disk in replay.disks(seed)}
    assert found >= {b"", b"b" * 512, bytes(512) + b"c" * 512, b"b" * 512 + b"c" * 512}


def test_names_come_and_go_in_order_until_the_folder_is_synced() -> None:
    ops = (*BEGUN, Op("make", 2, "g"), Op("remove", 1, "f"), Op("make", 3, "h"))
    found = {tuple(disk) for seed in range(40) for disk in made(*ops).disks(seed)}
    assert found == {("f",), ("f", "g"), ("g",), ("g", "h")}
    assert {tuple(disk) for disk in made(*ops, Op("folder")).disks(0)} == {("g", "h")}


def test_a_name_that_is_given_again_is_another_file() -> None:
    replay = made(*BEGUN, Op("remove", 1, "f"), Op("make", 2, "f"), Op("write", 2, "", 0, b"new"))
    found = {disk.get("f") for seed in range(40) for disk in replay.disks(seed)}
    assert found == {b"a" * 1024, None, b"", b"new"} | {b for b in found if b and set(b) <= {0}}


def test_the_recorder_takes_down_writes_syncs_and_the_end_of_a_log(tmp_path: Path) -> None:
    with anywhere():
        ops = traced(tmp_path, 8, "FULL").ops
    kinds = [(op.kind, op.name) for op in ops]
    for expected in (
        ("rename", "s.sqlite3.anchor"),
        ("make", "s.sqlite3-wal"),
        ("remove", "s.sqlite3-wal"),
        ("make", "s.sqlite3.kill"),
        ("remove", "s.sqlite3.kill"),
        ("folder", ""),
    ):
        assert expected in kinds
    assert kinds.count(("make", "s.sqlite3-wal")) == 2, "one for each session"
    assert isinstance(Recorder("another", tmp_path).ops, list)
