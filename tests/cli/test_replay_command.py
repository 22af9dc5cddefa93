"""``interlock replay``: identical, different, or a clear word on why it could not be run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.domain.ids import canonical_json
from tests.run_builders import CONFIGS, a_config, contents, interlock, kept

pytestmark = pytest.mark.spec("ART-6", "DIF-10")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a short run."""
    interlock("dryrun", CONFIGS / "cancel_race.yaml", "--out", tmp_path / "out")
    return kept(tmp_path / "out")


def change(folder: Path, **fields: object) -> None:
    """Change fields of the manifest, canonically."""
    path = folder / "run.json"
    path.write_bytes(canonical_json({**json.loads(path.read_bytes()), **fields}) + b"\n")


def test_a_whole_run_is_identical_and_left_as_it_is(folder: Path) -> None:
    before = contents(folder)
    answer = interlock("replay", folder)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("identical after ")
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["events.jsonl", "audit.jsonl", "state_snapshots.jsonl", "metrics.json"])
def test_a_changed_file_is_named_with_its_line(folder: Path, name: str) -> None:
    path = folder / name
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b"2", b"3", 1)
    path.write_bytes(b"".join(lines))
    answer = interlock("replay", folder)
    assert (answer.code, answer.err) == (2, "")
    assert answer.out.startswith(f"different: {name}, line {len(lines)}: ")


def test_other_choices_give_another_run(folder: Path) -> None:
    change(folder, tape={"piece": [14]})
    assert interlock("replay", folder).code == 2


def test_a_newer_release_is_warned_of_and_replayed_all_the_same(folder: Path) -> None:
    change(folder, package_version="99.1.0")
    answer = interlock("replay", folder)
    assert answer.complaint == "warning: the run is of the newer release 99.1.0"
    assert answer.code == 2
    assert answer.out.startswith("different: run.json, line 1: ")


@pytest.mark.spec("NFR-1", "RT-11")
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"schema": "INTERLOCK_RUN_V2"}, "has the schema 'INTERLOCK_RUN_V2' (allowed: INTERLOCK_RUN_V1)"),
        ({"seed": "7"}, "is damaged: Expected `int`, got `str`"),
        ({"config_hash": "0" * 64}, "was changed after the run: the config does not have its hash"),
        ({"run_id": "other"}, "was changed after the run: run id and config do not agree"),
        ({"tape": {"piece": [-1]}}, "a choice is not a whole number from 0 on"),
        ({"extra": 1}, "is damaged: Object contains unknown field `extra`"),
    ],
)
def test_a_manifest_that_cannot_be_believed_is_one_line(folder: Path, fields: dict[str, object], told: str) -> None:
    change(folder, **fields)
    answer = interlock("replay", folder)
    assert (answer.code, answer.out) == (1, "")
    assert told in answer.complaint


@pytest.mark.spec("NFR-1")
def test_a_folder_that_is_no_whole_run_is_one_line(folder: Path, tmp_path: Path) -> None:
    (folder / "audit.jsonl").rename(folder / "audit.old")
    assert "audit.jsonl: is missing" in interlock("replay", folder).complaint
    (folder / "run.json").write_bytes((folder / "run.json").read_bytes()[:100])
    (folder / "audit.old").rename(folder / "audit.jsonl")
    assert "run.json: is damaged" in interlock("replay", folder).complaint
    partial = folder.rename(folder.with_name("x.partial"))
    assert "half-written" in interlock("replay", partial).complaint
    assert "is no folder" in interlock("replay", tmp_path / "none").complaint
    answer = interlock("replay", tmp_path)
    assert (answer.code, "is missing" in answer.complaint) == (1, True)


@pytest.mark.spec("NFR-1")
def test_no_room_for_a_second_copy_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    answer = interlock("replay", folder)
    assert (answer.code, answer.out) == (1, "")
    assert "no place for a replay: No such file or directory" in answer.complaint


def test_a_rejected_run_is_replayed_as_well(tmp_path: Path) -> None:
    interlock("dryrun", a_config(tmp_path), "--live-enabled", "--out", tmp_path / "out")
    assert interlock("replay", kept(tmp_path / "out")).code == 0
