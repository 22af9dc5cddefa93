"""``interlock explore``: what it says, what it leaves behind, and with which code it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.explore.hunt import Hunted
from interlock.runtime.clock import VirtualClock
from tests.explore.hunting import overfills_are_failures
from tests.run_builders import CONFIGS, Answer, interlock

pytestmark = pytest.mark.spec("DIF-10")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def explored(*arguments: object) -> Answer:
    return interlock("explore", *arguments)


def test_a_clean_search_says_how_far_it_came_and_what_was_never_hit() -> None:
    answer = explored("--scenario", "small", "--runs", 20)
    assert (answer.code, answer.err) == (0, "")
    assert "20 runs, " in answer.out
    assert "steps/s" in answer.out
    assert "times real time" in answer.out
    assert "fault while an order was" in answer.out
    assert "never hit:" in answer.out
    assert not Path("out").exists()


def test_a_config_file_is_explored_and_so_is_a_packaged_scenario() -> None:
    one = explored(CONFIGS / "cancel_race.yaml", "--runs", 5, "--quiet")
    other = explored("--scenario", "submit_timeout_was_live", "--runs", 5, "--quiet")
    assert (one.code, other.code) == (0, 0), one.err + other.err + one.out + other.out


def test_the_same_seeds_have_the_same_digest_and_the_same_file_with_any_number_of_jobs() -> None:
    said = [
        explored(
            "--scenario", "cancel-race", "--scenario", "day", "--runs", 120, "--jobs", jobs, "--json", f"{jobs}.json"
        )
        for jobs in (1, 2)
    ]
    digests = [line for answer in said for line in answer.out.splitlines() if line.startswith("digest")]
    assert digests[0] == digests[1]
    assert Path("1.json").read_bytes() == Path("2.json").read_bytes()
    tree = json.loads(Path("1.json").read_bytes())
    assert (tree["schema"], tree["runs"], tree["failures"]) == ("INTERLOCK_EXPLORED_V1", 120, [])
    assert tree["coverage"]["hits"]["order_events_total"]["NEW|SEND"] >= 120
    assert "order_events_total|EXPIRED|EXPIRE" in tree["coverage"]["missing"]


def test_what_breaks_is_told_shrunk_and_written_so_that_it_can_be_seen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    overfills_are_failures(monkeypatch)
    answer = explored("--scenario", "crowd", "--runs", 400, "--quiet")
    assert answer.code == 2
    [path] = Path("out/explored").iterdir()
    seed = path.stem.removeprefix("crowd-seed")
    assert f"crowd, seed {seed}: planted after " in answer.out
    assert "a fill beyond its order was told" in answer.out
    assert f"see it again: interlock replay {path}" in answer.out
    again = interlock("replay", path)
    assert again.code == 2
    assert "planted" in again.out


def test_it_goes_on_after_a_failure_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    overfills_are_failures(monkeypatch)
    answer = explored("--scenario", "crowd", "--runs", 600, "--quiet", "--failures", 3, "--no-shrink", "--out", "found")
    assert answer.code == 2
    assert len(list(Path("found").iterdir())) == 3


def test_every_schedule_of_a_small_case_is_run() -> None:
    answer = explored("--scenario", "cancel-race", "--strategy", "exhaustive", "--depth", 2, "--no-crashes")
    assert answer.code == 0
    assert "all schedules with up to 2 deviations were seen: 38 runs to the end" in answer.out


def test_without_a_bound_the_number_of_all_schedules_is_told() -> None:
    answer = explored(
        "--scenario", "cancel-race", "--strategy", "exhaustive", "--no-crashes", "--no-faults", "--json", "seen.json"
    )
    assert answer.code == 0
    (told,) = [line for line in answer.out.splitlines() if line.startswith("cancel-race")]
    (one,) = json.loads(Path("seen.json").read_bytes())["enumerated"]
    assert told.startswith(f"cancel-race: all {one['schedules']:,} schedules were seen, in {one['states']:,} states: ")
    assert one["complete"]


def test_an_exhaustive_search_says_what_it_left_out() -> None:
    answer = explored("--scenario", "cancel-race", "--strategy", "exhaustive", "--runs", 5, "--quiet")
    assert answer.code == 0
    assert "cancel-race: not every schedule was run: stopped after 5 runs" in answer.out


def test_schedules_by_priority_are_another_search() -> None:
    said = {explored("--scenario", "busy", "--runs", 5, "--quiet", "--strategy", how).out for how in ("random", "pct")}
    assert len(said) == 2


def test_without_faults_and_kills_every_run_settles() -> None:
    answer = explored("--scenario", "busy", "--runs", 10, "--no-faults", "--no-crashes", "--quiet")
    assert "10 runs" in answer.out
    assert " 0 kills" in answer.out
    assert "ended: settled 10" in answer.out


def test_a_search_that_has_to_hit_everything_fails_where_it_does_not() -> None:
    assert explored("--scenario", "small", "--runs", 5, "--quiet", "--all-hit").code == 2


class Hasty(VirtualClock):
    """Time of which a second is over whenever somebody looks."""

    def now_ns(self) -> int:
        self.advance(1)
        return super().now_ns()


def test_time_bounds_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.explore.hunt.RealClock", Hasty)
    answer = explored("--scenario", "cancel-race", "--minutes", 0.001, "--quiet")
    assert answer.code == 0
    assert "50 runs" in answer.out


def test_an_interrupt_tells_what_is_known_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Hunted:
        from interlock.explore.chunk import Tally  # noqa: PLC0415 - beside its use

        return Hunted(Tally(runs=7, digest="x"), 1, interrupted=True)

    monkeypatch.setattr("interlock.cli.explore.hunt", interrupted)
    answer = explored("--scenario", "small", "--quiet")
    assert answer.code == 130
    assert "7 runs" in answer.out


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "needs sessions to explore (allowed: CONFIG, or --scenario NAME once or more)"),
        ((CONFIGS / "demo.yaml", "--scenario", "small"), "needs sessions to explore"),
        (("--scenario", "nothing"), "there is no scenario or case 'nothing' (allowed: all, cancel-race"),
        ((CONFIGS / "recording.yaml",), "nothing can be explored in a recording"),
        (("--scenario", "small", "--runs", "0"), "--runs"),
        (("--scenario", "small", "--jobs", "0"), "--jobs"),
        (("--scenario", "small", "--strategy", "clever"), "'random', 'pct', 'exhaustive'"),
        (("--scenario", "small", "--json", "."), "--json: . is a folder"),
        (("--scenario", "small", "--out", "file"), "--out: file is no folder"),
        (("nowhere.yaml",), "nowhere.yaml"),
    ],
)
def test_wrong_arguments_are_one_clear_line(arguments: tuple[object, ...], said: str) -> None:
    Path("file").touch()
    answer = explored(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1
