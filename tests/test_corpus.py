"""Every tape on which the code ever failed: it was mended, and does not break again."""

from __future__ import annotations

from pathlib import Path

from interlock.explore import run_once
from interlock.explore.finding_file import finding_bytes, read_finding
from tools.mutants import MUTANTS
from tools.mutants.search import FOUND

CORPUS = Path(__file__).resolve().parent / "corpus"


def broken(paths: list[Path]) -> dict[str, str]:
    """Return what breaks in which of these findings."""
    found: dict[str, str] = {}
    for path in paths:
        finding = read_finding(path)
        failure = run_once(finding.plan, finding.schedule()).failure
        if failure is not None:
            found[path.stem] = failure.invariant
    return found


def test_no_tape_that_ever_failed_fails_again() -> None:
    assert not broken(sorted(CORPUS.glob("*.json")))


def test_a_tape_that_fails_again_is_named() -> None:
    name = "void_too_early"
    with MUTANTS[name].plant():
        assert broken([FOUND / f"{name}.json"]) == {name: "I3"}


def test_the_tapes_stand_in_the_corpus_as_they_are_written() -> None:
    for path in sorted(CORPUS.rglob("*.json")):
        assert path.read_bytes() == finding_bytes(read_finding(path)), path
