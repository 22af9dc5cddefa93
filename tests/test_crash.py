"""Children killed everywhere lose nothing and double nothing, and the harness that says so can fail.

The harness forks, so it runs in a process of its own, as ``make crash-test`` does: here a short form of it.
"""

from __future__ import annotations

import re

import pytest

from interlock.runtime.crash_points import CrashPoint
from tests.run_builders import ROOT, a_process
from tools.crash.planted import PLANTS
from tools.crash.proof import CASES
from tools.crash.schedule import DISK_CALLS, POINTS, never_hit, story_of, systematic
from tools.crash.story import Tally

KILLS_MIN = 60


def harness(*arguments: str) -> str:
    """Return what the harness prints, once it has ended well."""
    done = a_process("-m", "tools.crash", *arguments, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.spec("IDM-2", "IDM-4", "RST-2")
def test_a_sigkill_at_any_point_of_the_protocol_loses_nothing_and_doubles_nothing() -> None:
    printed = harness("--short", "--kills", str(KILLS_MIN))
    kills = {name: int(times) for name, times in re.findall(r"│ (\w+) +│ +(\d+)", printed)}
    assert [point.value for point in POINTS if not kills[point.value]] == []
    assert sum(kills[point.value] for point in POINTS) >= KILLS_MIN
    assert [call.value for call in DISK_CALLS if not kills[call.value]] == []


@pytest.mark.spec("IDM-4")
def test_each_planted_fault_is_caught_and_without_it_the_same_stories_pass() -> None:
    printed = harness("--planted")
    rows = re.findall(r"│ (\w+) +│ ([\w, ]+?) +│ +\d+ +│ .*? │ (\w+) +│", printed)
    assert [row[0] for row in rows] == [*CASES]
    for plant, caught_by, without in rows:
        assert {*caught_by.split(", ")} & {*CASES[plant].caught_by}
        assert without == "sound"


def test_the_eight_faults_of_the_protocol_are_planted() -> None:
    assert len(CASES) == 8
    assert [*CASES] == [plant for plant in PLANTS if plant]


def test_a_point_that_was_never_hit_is_named() -> None:
    total = Tally()
    total.kills.update(point.value for point in POINTS if point is not CrashPoint.REC_MARKED)
    total.failures.update(call.value for call in DISK_CALLS)
    assert never_hit(total) == ["rec_marked"]


def test_a_story_is_known_by_its_seed_and_number() -> None:
    assert [story_of(3, number) for number in range(200)] == [story_of(3, number) for number in range(200)]
    assert story_of(3, 199) != story_of(4, 199)
    assert {name for name, _ in systematic(short=True)} == {*(p.value for p in POINTS), *(c.value for c in DISK_CALLS)}
