"""Audit logs that are behind their store, or torn: brought up to date from it, and left alone where damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.domain.errors import BadInput
from interlock.runtime.store_audit import Mended, bring_up_to_date, mend_audit
from tests.store_builders import Runs, three_runs

pytestmark = [pytest.mark.spec("RST-1"), pytest.mark.usefixtures("plain_disk")]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Return a store on which three runs were made."""
    return three_runs(tmp_path / "s.sqlite3")


@pytest.mark.parametrize("run_id", ["r1", "r2", "r3"])
def test_a_log_cut_anywhere_is_written_again_with_the_same_bytes(runs: Runs, tmp_path: Path, run_id: str) -> None:
    log, file = runs.logs[run_id], tmp_path / "audit.jsonl"
    lines = log.count(b"\n")
    for length in range(0, len(log) + 1, 211):
        file.write_bytes(log[:length])
        whole = log[:length].count(b"\n")
        torn = length - (log[:length].rfind(b"\n") + 1)
        assert mend_audit(runs.path, run_id, file) == Mended(lines, lines - whole, torn)
        assert file.read_bytes() == log


def test_a_log_that_is_gone_is_made_and_one_that_is_whole_is_left(runs: Runs, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    assert mend_audit(runs.path, "r2", file).added == runs.logs["r2"].count(b"\n")
    assert file.read_bytes() == runs.logs["r2"]
    assert mend_audit(runs.path, "r2", file).added == 0


def test_what_was_half_written_after_the_last_durable_line_is_cut(runs: Runs, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(runs.logs["r2"] + b'{"code":"NEVER_DUR')
    assert mend_audit(runs.path, "r2", file) == Mended(runs.logs["r2"].count(b"\n"), 0, 18)
    assert file.read_bytes() == runs.logs["r2"]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda log: log.replace(b'"seq":3', b'"seq":4'), 3),
        (lambda log: b"".join(log.splitlines(keepends=True)[1:]), 1),
        (lambda log: log.replace(b"\n", b"", 1), 1),
        (lambda log: log + b'{"code":"ADDED"}\n', 10),
        (lambda log: log + b'{"code":"ADDED"}\nand more', 10),
    ],
    ids=["edited", "dropped", "joined", "added", "added and torn"],
)
def test_damage_elsewhere_stops_the_mending_and_nothing_is_changed(
    runs: Runs, tmp_path: Path, damage: Callable[[bytes], bytes], line: int
) -> None:
    file = tmp_path / "audit.jsonl"
    damaged = damage(runs.logs["r1"])
    file.write_bytes(damaged)
    with pytest.raises(BadInput, match=rf"audit\.jsonl:{line}: is not what the store has there"):
        mend_audit(runs.path, "r1", file)
    assert file.read_bytes() == damaged


def test_a_run_that_never_was_on_the_store_has_no_log(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="r9: no run of this name began on the store"):
        mend_audit(runs.path, "r9", tmp_path / "audit.jsonl")
    assert not (tmp_path / "audit.jsonl").exists()


def test_of_two_runs_with_one_name_the_later_is_meant(runs: Runs, tmp_path: Path) -> None:
    runs.run("again", 1)
    runs.run("r1", 5)
    mend_audit(runs.path, "r1", tmp_path / "audit.jsonl")
    assert (tmp_path / "audit.jsonl").read_bytes() == runs.logs["r1"]


def test_a_log_that_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in (".", "link"):
        with pytest.raises(BadInput, match="is no plain file"):
            bring_up_to_date(tmp_path / name, [b"line\n"])
    assert not (tmp_path / "elsewhere").exists()
