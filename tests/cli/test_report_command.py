"""``interlock report``: where the page goes, and what is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.dryrun import run_dryrun_config
from interlock.recon.history import newest_run
from interlock.report import report_html
from interlock.runtime.run_folder import ARTIFACTS
from tests.run_builders import a_loaded, contents, interlock

pytestmark = pytest.mark.spec("OBS-7")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a short run."""
    return run_dryrun_config(a_loaded(), out=tmp_path / "out").folder


@pytest.mark.spec("ART-5")
def test_the_page_goes_beside_the_folder_and_nothing_into_it(run: Path) -> None:
    answer = interlock("report", run)
    page = run.with_name(f"{run.name}.report.html")
    assert (answer.code, answer.out, answer.err) == (0, f"{page}\n", "")
    assert page.read_bytes() == report_html(run)
    assert sorted(contents(run)) == sorted(ARTIFACTS)
    assert sorted(entry.name for entry in run.parent.iterdir()) == [run.name, page.name]
    assert newest_run(run.parents[2]) == run, "a page is not taken for a run"


def test_the_page_goes_where_it_is_wanted(run: Path, tmp_path: Path) -> None:
    answer = interlock("report", run, "--out", tmp_path / "page.html")
    assert answer.out == f"{tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_bytes() == report_html(run)


def test_a_folder_named_by_a_dot_has_its_page_beside_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    assert interlock("report", ".").code == 0
    assert run.with_name(f"{run.name}.report.html").is_file()


def test_an_older_page_is_replaced(run: Path) -> None:
    first = interlock("report", run)
    page = Path(first.out.strip())
    page.write_bytes(page.read_bytes()[:3000])
    assert interlock("report", run).code == 0
    assert page.read_bytes() == report_html(run)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("content", [b"", b"important"])
def test_what_is_no_report_is_left_alone(run: Path, tmp_path: Path, content: bytes) -> None:
    mine = tmp_path / "mine.html"
    mine.write_bytes(content)
    answer = interlock("report", run, "--out", mine)
    assert answer.code == 1
    assert "is no report and is not replaced" in answer.complaint
    assert mine.read_bytes() == content


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("out", "complaint"),
    [
        ("{run}/page.html", "lies inside the run folder"),
        ("{run}", "lies inside the run folder"),
        ("{here}", "is in the way"),
        ("{here}/none/page.html", "cannot be written: No such file or directory"),
    ],
)
def test_a_place_that_cannot_hold_a_page_is_named(run: Path, tmp_path: Path, out: str, complaint: str) -> None:
    answer = interlock("report", run, "--out", out.format(run=run, here=tmp_path))
    assert answer.code == 1
    assert complaint in answer.complaint
    assert sorted(contents(run)) == sorted(ARTIFACTS)


@pytest.mark.spec("NFR-1")
def test_a_disk_that_is_full_leaves_no_half_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr("interlock.report.report_html", lambda *_, **__: b"page")
    answer = interlock("report", run)
    assert answer.code == 1
    assert "No space left on device" in answer.complaint
    assert [entry.name for entry in run.parent.iterdir()] == [run.name]


@pytest.mark.spec("NFR-1")
def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    answer = interlock("report", tmp_path)
    assert answer.code == 1
    assert "events.jsonl: is missing" in answer.complaint
    assert list(tmp_path.iterdir()) == []


def test_the_help_has_an_example() -> None:
    assert "interlock report out/finish_c/c2/demo-seed7" in interlock("report", "--help").out
