"""Several processes and one store: kills lose nothing that was acknowledged, and a key is won once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from interlock.domain.errors import StoreRefused
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult
from interlock.runtime.store_verify import verify_store
from tests.domain_builders import an_order
from tests.run_builders import ROOT, a_process

pytestmark = pytest.mark.usefixtures("plain_disk")

HOLDER = """
import sys
from pathlib import Path
from interlock.runtime import store_place
from interlock.runtime.sqlite_store import SqliteStore
store_place.MOUNTS = Path("/nowhere")
store = SqliteStore(Path(sys.argv[1]), owner="night shift")
print("owned", flush=True)
sys.stdin.read()
"""


def driven(task: str, path: Path, rounds: int = 0, seed: int = 0) -> dict[str, Any]:
    """Return what the driver found out."""
    done = a_process("-m", "tests.store_driver", task, path, rounds, seed, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.spec("IDM-1", "IDM-2")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_sigkill_at_any_time_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "s.sqlite3"
    found = driven("kills", path, rounds=40, seed=seed)
    assert found["acknowledged"] > 100
    assert verify_store(path).orders >= found["acknowledged"]


@pytest.mark.spec("IDM-6", "IDM-2")
def test_two_processes_that_race_for_the_same_keys_win_each_once(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    found = driven("race", path)
    assert found["codes"] == [0, 0]
    lines = [line for told in found["told"] for line in told]
    results = Counter((key, result.strip()) for key, result in lines if key != "refused")
    keys = {key for key, _ in results}
    assert len(keys) == 400
    assert all(results[key, ClaimResult.CLAIMED] == 1 for key in keys)
    assert all(results[key, ClaimResult.KNOWN] == 1 for key in keys)
    refusals = [result for key, result in lines if key == "refused"]
    strange = [text for text in refusals if "a racer (pid" not in text and "has not said who" not in text]
    assert not strange


@pytest.mark.spec("IDM-6")
def test_a_second_owner_is_refused_by_name_and_pid_and_let_in_after_a_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    with subprocess.Popen(  # noqa: S603 - the command is the test's own
        [sys.executable, "-c", HOLDER, path],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "owned\n"
        for _ in range(2):
            with pytest.raises(StoreRefused, match=rf"s\.sqlite3: is owned by night shift \(pid {holder.pid}\)"):
                SqliteStore(path)
        with pytest.raises(StoreRefused, match="night shift"):
            verify_store(path)
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
    with SqliteStore(path) as store:
        assert store.claim(an_order()) is ClaimResult.CLAIMED


@pytest.mark.spec("IDM-6")
def test_an_owner_whose_lock_file_was_taken_away_still_keeps_others_out(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    with SqliteStore(path) as store:
        (tmp_path / "s.sqlite3.lock").unlink()
        done = a_process("-c", HOLDER, path, cwd=ROOT)
        assert "another process has the database open" in done.stderr
        assert store.claim(an_order()) is ClaimResult.CLAIMED
