"""Planted faults: what was found of each still catches it, the sound code passes, and three are searched for anew."""

from __future__ import annotations

import pytest

from interlock.explore import run_once
from interlock.explore.finding_file import finding_bytes
from tools.mutants import MUTANTS
from tools.mutants.__main__ import main
from tools.mutants.search import FOUND, PAGE, found_of, page_of, search

MUTANTS_MIN = 25
RUNS_MAX = 20_000
SEARCHED_ANEW = ("resend_on_timeout", "one_fill_id_forgotten", "cap_before_adding")
"""Cheap ones, of the desk, the ledgers and the rails."""


@pytest.mark.parametrize("name", MUTANTS)
def test_what_was_found_breaks_the_planted_fault_and_not_the_sound_code(name: str) -> None:
    finding, mutant = found_of(name), MUTANTS[name]
    assert finding.failure.invariant in mutant.invariants
    with mutant.plant():
        again = run_once(finding.plan, finding.schedule()).failure
        # What was said last may be worded anew; what broke, and where, may not.
        assert again is not None, "run make mutants"
        said = [(broke.invariant, broke.text, broke.step) for broke in (again, finding.failure)]
        assert said[0] == said[1], "run make mutants"
    sound = run_once(finding.plan, finding.schedule())
    assert sound.failure is None, "the sound code fails as well"


def test_every_planted_fault_was_found_in_time_and_written_down() -> None:
    assert len(MUTANTS) >= MUTANTS_MIN
    assert sorted(path.stem for path in FOUND.glob("*.json")) == sorted(MUTANTS)
    assert all((found_of(name).seed or 0) < RUNS_MAX for name in MUTANTS)
    assert len({mutant.breaks for mutant in MUTANTS.values()}) == len(MUTANTS)


def test_the_page_is_what_the_tool_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_of((name, found_of(name)) for name in MUTANTS), "run make mutants"


@pytest.mark.parametrize("name", SEARCHED_ANEW)
def test_a_planted_fault_is_found_anew(name: str) -> None:
    finding = search(MUTANTS[name], runs_max=1000)
    assert finding is not None
    assert finding.failure.invariant in MUTANTS[name].invariants
    assert finding.seed == found_of(name).seed, "what is written down is no longer true: run make mutants"
    again = search(MUTANTS[name], runs_max=1000)
    assert again is not None
    assert finding_bytes(finding) == finding_bytes(again)


def test_a_search_that_finds_nothing_says_so() -> None:
    assert search(MUTANTS["silence_taken_for_empty"], runs_max=1) is None


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nobody"]) == 1
    assert "no mutant is named nobody" in capsys.readouterr().err
