"""The snapshots at the end of a run: whole, the same from the same run, beside the runs as well; and the evidence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from interlock.domain.errors import BadInput, StorageError
from interlock.dryrun import replay_run, run_dryrun_config
from interlock.observe.evidence import evidence_page
from interlock.observe.source import source_of
from interlock.runtime.run_folder import ARTIFACTS, SNAPSHOTS
from tests.run_builders import CONFIGS, a_config, a_loaded, contents, interlock, kept, runs_in

pytestmark = pytest.mark.spec("OBS-5")


@pytest.mark.spec("OBS-8")
def test_one_command_checks_runs_and_leaves_the_snapshots(tmp_path: Path) -> None:
    answer = interlock("dryrun", CONFIGS / "cancel_race.yaml", "--out", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    there, folder = tmp_path / "out" / "finish_c", kept(tmp_path / "out")
    assert sorted(path.name for path in there.iterdir()) == sorted(["c2", *SNAPSHOTS])
    assert {name: (there / name).read_bytes() for name in SNAPSHOTS} == {
        name: contents(folder)[name] for name in SNAPSHOTS
    }


@pytest.mark.spec("OBS-1")
def test_the_snapshots_say_what_the_log_says(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    health, status, metrics = (json.loads(contents(folder)[name]) for name in SNAPSHOTS if name.endswith(".json"))
    audit = [json.loads(line) for line in contents(folder)["audit.jsonl"].splitlines()]
    assert health["last_audit_event_ts"] == audit[-1]["ts"]
    assert health["reconciler_last_ok_ts"] == [r["ts"] for r in audit if r["code"] == "RECON_SUMMARY"][-1]
    assert (health["orchestrator_state"], health["kill_switch"], health["safety_rail_trips_total"]) == ("STOPPED", 0, 0)
    assert (status["status"], status["store"]["keys"]) == ("COMPLETED", 2)
    assert metrics["samples"]["orders_place_total"] == 2
    assert metrics["samples"]['order_state_transitions_total{from="NEW",to="SENT"}'] == 2
    assert b"| state | STOPPED, seen as COMPLETED |" in contents(folder)["dryrun_status_snapshot.md"]


@pytest.mark.spec("ART-6")
def test_snapshots_are_artifacts_that_replay_compares(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    assert replay_run(folder).difference is None
    for name in SNAPSHOTS:
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw.replace(b"STOPPED", b"STARTED") + b" ")
        difference = replay_run(folder).difference
        assert difference is not None
        assert difference.file == name
        (folder / name).write_bytes(raw)


def test_the_newest_run_is_the_one_beside_the_runs(tmp_path: Path) -> None:
    run_dryrun_config(a_loaded(), out=tmp_path)
    run_dryrun_config(a_loaded(session={"run_id": "second"}), out=tmp_path)
    there = json.loads((tmp_path / "finish_c" / "dryrun_status_snapshot.json").read_bytes())
    assert there["run_id"] == "second"


@pytest.mark.spec("NFR-1")
def test_a_copy_that_cannot_be_made_leaves_the_old_one_and_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dryrun_config(a_loaded(), out=tmp_path)
    before = (tmp_path / "finish_c" / "dryrun_health_snapshot.json").read_bytes()

    def full(_: object, to: Path) -> None:
        Path(to).write_bytes(b"{")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageError, match=r"cannot be written: No space left on device; the run is kept: "):
        run_dryrun_config(a_loaded(session={"run_id": "second"}), out=tmp_path)
    assert runs_in(tmp_path) == ["second", "short-seed0"]
    there = tmp_path / "finish_c"
    assert (there / "dryrun_health_snapshot.json").read_bytes() == before
    assert sorted(path.name for path in there.iterdir()) == sorted(["c2", *SNAPSHOTS])


def test_a_folder_shows_what_its_session_showed(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    source = source_of(folder)
    samples = json.loads(contents(folder)["dryrun_metrics_snapshot.json"])["samples"]
    lines = [line.rpartition(" ") for line in source.metrics().decode().splitlines() if not line.startswith("#")]
    assert {name: float(value) for name, _, value in lines} == samples
    assert source.metrics(openmetrics=True).endswith(b"# EOF\n")
    assert source.health().ok
    assert source.ready().reasons == ("the session is over: COMPLETED",)
    assert source.status().status == "COMPLETED"


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("name", ["dryrun_health_snapshot.json", "dryrun_status_snapshot.json", "metrics.json"])
@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema":"Health/9"}', b"[]", b"\xff"])
def test_a_damaged_snapshot_is_one_clear_line(tmp_path: Path, name: str, damage: bytes) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    (folder / name).write_bytes(damage)
    with pytest.raises(BadInput, match=name):
        source_of(folder).metrics()


@pytest.mark.spec("NFR-1")
def test_a_folder_without_snapshots_is_no_whole_run(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    (folder / SNAPSHOTS[0]).unlink()
    with pytest.raises(BadInput, match=r"dryrun_health_snapshot.json: is missing"):
        source_of(folder)


# -- evidence -----------------------------------------------------------------------------------------------


def test_the_evidence_names_what_ran_and_hashes_what_it_left(tmp_path: Path) -> None:
    place = tmp_path / "evidence.md"
    answer = interlock("dryrun", a_config(tmp_path), "--out", tmp_path / "out", "--evidence", place)
    assert answer.code == 0
    assert f"evidence: {place}" in answer.out
    folder, text = kept(tmp_path / "out"), place.read_text()
    manifest = json.loads(contents(folder)["run.json"])
    assert manifest["config_hash"] in text
    assert "| seed | 0 |" in text
    assert "| Python | 3." in text
    assert "| SQLite | 3." in text
    assert "records, sound |" in text
    for name in ARTIFACTS:
        assert f"| {name} | `{hashlib.sha256(contents(folder)[name]).hexdigest()}` |" in text
    assert text == evidence_page(folder), "and it can be made again"


@pytest.mark.spec("NFR-1", "ART-5")
def test_evidence_is_not_overwritten_and_refused_before_anything_runs(tmp_path: Path) -> None:
    place = tmp_path / "evidence.md"
    place.write_text("mine")
    config = a_config(tmp_path)
    for where, said in ((place, "exists already"), (tmp_path, "exists already"), (tmp_path / "no" / "x.md", "folder")):
        answer = interlock("dryrun", config, "--out", tmp_path / "out", "--evidence", where)
        assert (answer.code, said in answer.complaint) == (1, True)
    assert (runs_in(tmp_path / "out"), place.read_text()) == ([], "mine")
    assert interlock("dryrun", config, "--out", tmp_path / "out", "--evidence", place, "--replace").code == 0
    assert place.read_text() != "mine"


def test_a_run_that_failed_has_evidence_as_well(tmp_path: Path) -> None:
    place = tmp_path / "evidence.md"
    assert interlock("dryrun", CONFIGS / "trip.yaml", "--out", tmp_path / "out", "--evidence", place).code == 2
    assert "| kill switch | on: fill_conflict |" in place.read_text()
