"""``interlock replay FILE``: a finding breaks its invariant again, or it does not any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.explore.finding_file import finding_bytes
from tests.finding_builders import PLANTED, a_finding
from tests.run_builders import interlock

pytestmark = pytest.mark.spec("DIF-10")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file of one finding."""
    path = tmp_path / "finding.json"
    path.write_bytes(finding_bytes(a_finding()))
    return path


def test_what_is_still_broken_is_a_finding(file: Path) -> None:
    with PLANTED.plant():
        answer = interlock("replay", file)
    assert (answer.code, answer.err) == (2, "")
    assert answer.out.startswith("still breaks I1 at step ")


def test_what_is_mended_is_none(file: Path) -> None:
    answer = interlock("replay", file)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("no longer breaks I1: ")


def test_every_step_is_shown_with_what_was_said_in_it(file: Path) -> None:
    answer = interlock("replay", file, "--step")
    lines = answer.out.splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    assert [int(line.split()[1].strip(",")) for line in steps] == list(range(1, len(steps) + 1))
    assert any("orchestrator: SESSION_STATE " in line for line in lines)
    assert "  counted: orders_place_total" in lines


def test_a_finding_of_another_release_is_warned_of_and_replayed(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"package_version": "', b'"package_version": "9'))
    answer = interlock("replay", file)
    assert answer.code == 0
    assert answer.complaint.startswith("warning: the finding is of release 9")


@pytest.mark.spec("NFR-1")
def test_a_bad_file_and_bad_usage_are_one_line(file: Path, tmp_path: Path) -> None:
    assert "--recording: belongs to the folder of a run" in interlock("replay", file, "--recording", file).complaint
    assert "--step: walks through a finding" in interlock("replay", tmp_path, "--step").complaint
    file.write_bytes(b"{}")
    answer = interlock("replay", file)
    assert (answer.code, answer.out) == (1, "")
    assert str(file) in answer.complaint
