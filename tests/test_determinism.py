"""The same config and seed give the same bytes in any process; what would break that is caught by comparing two.

Two processes with different hash seeds and time zones run the same sessions. A third session has a set iterated inside
an actor, planted: there the two must differ, or the comparison would prove nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.dryrun import replay_run
from interlock.runtime.run_difference import first_difference
from interlock.runtime.run_folder import ARTIFACTS
from tests.run_builders import ROOT, a_process, contents, interlock

pytestmark = pytest.mark.spec("RT-5")

SESSIONS = """
import os, sys
from interlock.actors.ending import Ending
from interlock.cli.main import run

DEMO = ["dryrun", "configs/demo.yaml", "--seed", "7", "--quiet", "--out", sys.argv[1]]


honest = Ending.drain


async def drain(ending, *, may_ask):
    for key in {*ending._desk.book.live}:
        ending._desk.tracker.cancels.cancel(key)
    await honest(ending, may_ask=may_ask)


codes = [run(DEMO)]
os.environ["INTERLOCK_SESSION__SCHEDULER"] = "random"
codes.append(run([*DEMO, "--run-id", "random"]))
del os.environ["INTERLOCK_SESSION__SCHEDULER"]
Ending.drain = drain
codes.append(run(["dryrun", sys.argv[2], "--quiet", "--out", sys.argv[1]]))
print(codes)
"""

MANY_RESTING = """
session: {session_id: resting, strategy_id: strat_demo, duration_s: 60, drain_every_s: 1}
instruments: [{symbol: BTC/EUR, price: 100, points: [100], max_order_quantity: 10, max_order_notional: 1000}]
strategy:
  script: [%s]
"""
STEP = "{at_s: %d, submit: {decision_id: d%d, symbol: BTC/EUR, side: BUY, quantity: 1, limit_price: 90}}"


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Run all sessions twice, in processes that agree on nothing but the code; return where their folders are."""
    base = tmp_path_factory.mktemp("hash_seeds")
    config = base / "resting.yaml"
    config.write_text(MANY_RESTING % ", ".join(STEP % (at, at) for at in range(1, 13)))
    outs = []
    for seed, zone, locale in (("1", "UTC", "C"), ("2", "Pacific/Kiritimati", "C.UTF-8")):
        out = base / seed
        done = a_process(
            "-c", SESSIONS, out, config, cwd=ROOT, environment={"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        )
        assert done.stdout.splitlines()[-1:] == ["[0, 0, 0]"], done.stderr
        outs.append(out / "finish_c" / "c2")
    return outs[0], outs[1]


@pytest.mark.parametrize("run_id", ["demo-seed7", "random"])
def test_two_hash_seeds_give_identical_folders(two_processes: tuple[Path, Path], run_id: str) -> None:
    one, two = (out / run_id for out in two_processes)
    assert first_difference(one, two) is None
    assert contents(one) == contents(two)
    assert sorted(contents(one)) == sorted(ARTIFACTS)


@pytest.mark.spec("ART-6")
@pytest.mark.parametrize("run_id", ["demo-seed7", "random"])
def test_a_run_of_another_process_is_replayed_in_this_one(two_processes: tuple[Path, Path], run_id: str) -> None:
    assert replay_run(two_processes[0] / run_id).difference is None


def test_the_same_run_in_this_process_gives_the_same_bytes(two_processes: tuple[Path, Path], tmp_path: Path) -> None:
    interlock("dryrun", ROOT / "configs" / "demo.yaml", "--seed", 7, "--out", tmp_path)
    here = tmp_path / "finish_c" / "c2" / "demo-seed7"
    assert contents(here) == contents(two_processes[1] / "demo-seed7")


def test_the_random_scheduler_serves_in_another_order(two_processes: tuple[Path, Path]) -> None:
    fifo, drawn = (contents(two_processes[0] / run_id) for run_id in ("demo-seed7", "random"))
    assert fifo["events.jsonl"].replace(b"demo-seed7", b"random") != drawn["events.jsonl"]


def test_a_set_iterated_inside_an_actor_is_caught_and_its_first_line_named(two_processes: tuple[Path, Path]) -> None:
    one, two = (out / "resting-seed0" for out in two_processes)
    found = first_difference(one, two)
    assert found is not None
    assert found.file == "events.jsonl"
    ours, theirs = ((out / found.file).read_text().splitlines()[: found.line] for out in (one, two))
    assert ours[:-1] == theirs[:-1]
    assert ours[-1] != theirs[-1]
    assert '"event":"CANCEL_REQUEST"' in ours[-1]
