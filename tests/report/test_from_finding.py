"""The report of a finding: the run is made again and watched, through every kill, to what broke in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.explore.again import run_again
from interlock.explore.finding_file import read_finding
from interlock.report import report_html, report_path
from interlock.report.from_finding import collect_finding
from interlock.report.model import ReportData, Row
from tests.run_builders import interlock
from tools.mutants import MUTANTS
from tools.mutants.search import FOUND

CORPUS = FOUND.parent
BROKEN, MENDED = "void_too_early", CORPUS / "stopped_before_recovery.json"

pytestmark = pytest.mark.spec("OBS-7")


def broken() -> ReportData:
    """Collect from a finding that breaks what it broke: its fault is planted."""
    with MUTANTS[BROKEN].plant():
        return collect_finding(read_finding(FOUND / f"{BROKEN}.json"))


def kinds(rows: list[Row], way: str) -> list[str]:
    return [row.kind for row in rows if row.way == way]


def test_the_last_row_is_what_broke() -> None:
    data = broken()
    finding = read_finding(FOUND / f"{BROKEN}.json")
    assert (data.rows[-1].kind, data.rows[-1].step) == (f"BROKEN {finding.failure.invariant}", finding.failure.step)
    assert data.rows[-1].text == finding.failure.text
    assert dict(data.facts)["status"].startswith(f"still breaks {finding.failure.invariant}")
    assert data.notes == []


def test_messages_and_events_of_the_sessions_before_and_after_a_kill_are_in_one_page() -> None:
    data, finding = collect_finding(read_finding(MENDED)), read_finding(MENDED)
    assert kinds(data.rows, "fault").count("KILLED") == run_again(finding).outcome.crashes > 0
    starts = [row for row in data.rows if row.kind == "ENGINE_RESTART"]
    assert len(starts) == 1 + kinds(data.rows, "fault").count("KILLED")
    assert [row.t_ns for row in data.rows] == sorted(row.t_ns for row in data.rows)
    numbers = [row.seq for row in data.rows if row.seq]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {"PlaceOrder", "CancelOrder"} <= set(kinds(data.rows, "data"))
    assert {lane.spans[-1].state for lane in data.orders} <= {"FILLED", "CANCELLED", "VOID"}


def test_what_breaks_no_more_is_said_first() -> None:
    data = collect_finding(read_finding(MENDED))
    assert data.notes == ["Nothing breaks any more: this is how the run goes now."]
    assert not [kind for kind in kinds(data.rows, "fault") if kind.startswith("BROKEN")]


def test_both_sides_books_go_on_over_a_kill() -> None:
    data = collect_finding(read_finding(MENDED))
    assert data.ours.keys() == data.theirs.keys()
    assert {name: points[-1][1] for name, points in data.ours.items()} == {
        name: points[-1][1] for name, points in data.theirs.items()
    }


def test_the_same_finding_makes_the_same_bytes() -> None:
    assert report_html(MENDED) == report_html(MENDED)


def test_the_command_takes_a_file_and_puts_the_page_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "finding.json"
    path.write_bytes(MENDED.read_bytes())
    answer = interlock("report", path)
    assert (answer.code, answer.err) == (0, "")
    assert Path(answer.out.strip()) == report_path(path) == tmp_path / "finding.report.html"
    assert b"KILLED" in report_path(path).read_bytes()


def test_a_file_that_is_no_finding_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}\n", encoding="utf-8")
    answer = interlock("report", path)
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert "other.json" in answer.err
