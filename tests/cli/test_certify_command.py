"""``interlock certify``: what it shows, what it writes, how it exits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from interlock.certify import RULES
from tests.run_builders import ROOT, interlock

RIGHT = "examples.custom_broker:target"


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table, a list a row."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]


@pytest.mark.spec("DIF-10")
def test_a_right_adapter_is_certified_rule_by_rule(tmp_path: Path) -> None:
    answer = interlock("certify", RIGHT, "--report", tmp_path / "report.json")
    assert (answer.code, answer.err) == (0, "")
    assert [row[0] for row in rows(answer.out)] == [rule.id for rule in RULES if rule.whom != "readers"]
    assert {row[2] for row in rows(answer.out)} == {"passed"}
    assert answer.out.splitlines()[-1] == f"{RIGHT}: trader 'venue' is certified: 41 passed, 0 failed, 0 skipped"
    assert json.loads((tmp_path / "report.json").read_bytes())["verdict"] == "certified"


@pytest.mark.spec("DIF-10")
def test_a_rule_that_fails_makes_it_2_and_shows_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from tests.certify.wrong_adapters import WRONG\nbench = WRONG['CRT-3']\n", encoding="utf-8"
    )
    sys.path.insert(0, str(tmp_path))
    report = tmp_path / "report.json"
    answer = interlock("certify", "mine:bench", "--rule", "CRT-3", "--rule", "CRT-8", "--report", report)
    assert (answer.code, answer.err) == (2, "")
    assert [row[2:] for row in rows(answer.out)] == [["failed", "is_mock is 1, a int"], ["passed", ""]]
    assert [result["outcome"] for result in json.loads(report.read_bytes())["results"]] == ["failed", "passed"]


@pytest.mark.spec("DIF-10")
def test_what_was_skipped_is_no_finding_unless_it_is_asked_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hookless.py").write_text(
        "from examples.custom_broker.double import Double\ndef alone():\n    return Double().broker\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    answer = interlock("certify", "hookless:alone", "--rule", "CRT-8", "--rule", "CRT-31")
    assert (answer.code, answer.out.splitlines()[-1].split(" is ")[1]) == (
        0,
        "incomplete: 1 passed, 0 failed, 1 skipped",
    )
    assert ["skipped", "the bench has no lose_after, lose_before"] in [row[2:] for row in rows(answer.out)]
    assert interlock("certify", "hookless:alone", "--rule", "CRT-31", "--no-skips").code == 2


def test_the_rules_are_listed_with_what_they_need() -> None:
    answer = interlock("certify", "--list")
    assert (answer.code, answer.err) == (0, "")
    listed = rows(answer.out)
    assert [row[0] for row in listed] == [rule.id for rule in RULES]
    assert [row[5] for row in listed if row[0] == "CRT-31"] == ["lose_after, lose_before"]
    assert len(rows(interlock("certify", "--list", "--rule", "CRT-2").out)) == 1


def test_what_an_adapter_says_is_shown_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "from examples.custom_broker.double import Double\n"
        "def bench():\n    double = Double()\n    double.broker.is_mock = '[red]\\x1b[2J'\n    return double\n",
        encoding="utf-8",
    )
    sys.path.insert(0, str(tmp_path))
    answer = interlock("certify", "odd:bench", "--rule", "CRT-3")
    assert "[red]" in answer.out
    assert "\x1b" not in answer.out


@pytest.mark.spec("NFR-1", "DIF-10")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is nothing to certify"),
        (("nonsense",), "nonsense: names no object"),
        (("no_such_module:x",), "cannot be imported: ModuleNotFoundError"),
        ((f"{RIGHT}s",), "has no targets"),
        ((RIGHT, "--rule", "CRT-99"), "--rule: 'CRT-99' is no rule (allowed: CRT-1 to CRT-42"),
        ((RIGHT, "--report", "no/such/folder/report.json"), "cannot be written (allowed: a file in a folder"),
        ((RIGHT, "--report", "docs"), "cannot be written"),
        (("examples.custom_broker.double:Double.listened",), "cannot be made: it raised TypeError"),
    ],
)
def test_what_cannot_be_certified_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    answer = interlock("certify", *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.complaint
