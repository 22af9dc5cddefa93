"""``interlock prove``, ``interlock convert``, ``interlock schema``: what they say, what they write, how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.prove import SCHEMAS
from interlock.runtime import run_folder
from tests.proof_builders import a_proof, by_options, edited
from tests.run_builders import CONFIGS, SmallDisk, contents, interlock
from tools.proofs import PROOFS

ARTIFACTS = {"metrics.txt", "reconcile-report.json", "summary.txt", "trades.csv"}


@pytest.mark.spec("PRF-1", "DIF-10")
def test_a_folder_of_proofs_is_a_table_with_a_row_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    answer = interlock("prove", CONFIGS / "proofs", "--out", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in answer.out.splitlines() if "│" in line]
    assert [row[0] for row in rows] == sorted(PROOFS)
    assert [row[1] for row in rows] == [PROOFS[name].shows for name in sorted(PROOFS)]
    by_name = {row[0]: row[2:] for row in rows}
    assert by_name["stale_order"] == ["1", "0", "0.0", "ok", "as expected"]
    assert by_name["cache_damaged"] == ["0", "0", "0.0", "damaged", "as expected"]
    assert {path.name for path in tmp_path.iterdir()} == set(PROOFS)
    assert {path.name for path in (tmp_path / "healthy").iterdir()} == ARTIFACTS


def test_a_narrow_terminal_cuts_no_name_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = interlock("prove", CONFIGS / "proofs", "--out", tmp_path).out
    names = "".join(line.split("│")[1].strip() for line in told.splitlines() if "│" in line)
    assert names == "".join(sorted(PROOFS))
    assert "…" not in told
    assert told.count("as expected") == len(PROOFS)
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.spec("PRF-2", "DIF-10")
def test_one_proof_of_a_folder_that_differs_makes_it_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    a_proof(tmp_path / "in")
    stale = a_proof(tmp_path / "in", "stale_order")
    stale.write_text(stale.read_text(encoding="utf-8").replace("stale: 1", "stale: 0"), encoding="utf-8")
    answer = interlock("prove", tmp_path / "in", "--out", tmp_path / "out")
    assert (answer.code, answer.err) == (2, "")
    assert "stale=1, expected 0" in answer.out


@pytest.mark.spec("NFR-1")
def test_a_bad_config_in_a_folder_stops_it_before_anything_ran(tmp_path: Path) -> None:
    a_proof(tmp_path / "in")
    (tmp_path / "in" / "zebra.yaml").write_text("shows: nothing\n", encoding="utf-8")
    answer = interlock("prove", tmp_path / "in", "--out", tmp_path / "out")
    assert (answer.code, answer.out, (tmp_path / "out").exists()) == (1, "", False)
    assert answer.complaint.startswith(f"{tmp_path / 'in' / 'zebra.yaml'}: ")


@pytest.mark.spec("NFR-1")
def test_a_folder_without_proofs_and_two_proofs_of_one_name_are_named(tmp_path: Path) -> None:
    assert "holds 0 proofs" in interlock("prove", tmp_path).complaint
    config = a_proof(tmp_path)
    (tmp_path / "other.yaml").write_text(f"name: healthy\n{config.read_text(encoding='utf-8')}", encoding="utf-8")
    assert "other.yaml: has the name of healthy.yaml" in interlock("prove", tmp_path).complaint


def test_artifacts_go_to_out_proofs_and_the_name_unless_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert interlock("prove", a_proof(tmp_path / "in")).code == 0
    assert {path.name for path in (tmp_path / "out" / "proofs" / "healthy").iterdir()} == ARTIFACTS


@pytest.mark.spec("PRF-1")
def test_files_named_one_by_one_make_the_same_proof(tmp_path: Path) -> None:
    config = a_proof(tmp_path)
    assert interlock("prove", config, "--out", tmp_path / "one").code == 0
    answer = by_options(tmp_path, tmp_path / "two")
    assert (answer.code, answer.out) == (0, "reconcile_summary stale=0 orphan=0 drift=0.0 cache_ok=true\n")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.spec("NFR-1", "DIF-10")
@pytest.mark.parametrize(
    "arguments",
    [[], ["--events", "e"], ["x.yaml", "--cache", "c"], ["--events", "e", "--journal", "j", "--cache", "c"]],
)
def test_too_few_or_too_many_files_are_bad_usage(arguments: list[str]) -> None:
    answer = interlock("prove", *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert answer.complaint.startswith("prove: needs one proof to run (allowed: CONFIG, or all of --events")


@pytest.mark.spec("NFR-1")
def test_a_config_without_inputs_needs_the_options(tmp_path: Path) -> None:
    config = a_proof(tmp_path)
    text = config.read_text(encoding="utf-8")
    begin, end = text.index("inputs:"), text.index("instruments:")
    config.write_text(text[:begin] + text[end:], encoding="utf-8")
    assert "healthy.yaml: inputs: are missing" in interlock("prove", config).complaint
    assert by_options(tmp_path, tmp_path / "out").code == 0


@pytest.mark.spec("NFR-1")
def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path: Path) -> None:
    config = a_proof(tmp_path / "in")
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    answer = interlock("prove", config, "--out", out)
    assert (answer.code, [path.name for path in out.iterdir()]) == (1, ["notes.txt"])
    assert answer.complaint.startswith(f"{out}: holds 'notes.txt', which is not replaced")


@pytest.mark.spec("NFR-1")
def test_a_file_or_an_unfinished_proof_in_the_way_is_named(tmp_path: Path) -> None:
    config = a_proof(tmp_path / "in")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert "is no folder" in interlock("prove", config, "--out", tmp_path / "file").complaint
    assert "is in the way" in interlock("prove", config, "--out", tmp_path / "file" / "below").complaint
    (tmp_path / "out.partial").mkdir()
    assert "is in the way" in interlock("prove", config, "--out", tmp_path / "out").complaint
    assert (tmp_path / "out.partial").exists(), "it may be another process's"
    assert "cannot hold a proof" in interlock("prove", config, "--out", "/").complaint


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("only", sorted(ARTIFACTS))
def test_a_full_disk_leaves_the_older_proof_as_it_was(
    only: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_proof(tmp_path / "in")
    out = tmp_path / "out"
    assert interlock("prove", config, "--out", out).code == 0
    before = contents(out)
    monkeypatch.setattr(run_folder, "_open_raw", SmallDisk(10, only))
    answer = interlock("prove", config, "--out", out)
    assert (answer.code, answer.out) == (1, "")
    assert f"{only}: cannot be written: No space left on device; the proof was not kept" in answer.complaint
    assert contents(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_an_interrupt_leaves_nothing_and_is_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("interlock.prove.replay.in_order", interrupted)
    answer = interlock("prove", a_proof(tmp_path / "in"), "--out", tmp_path / "new" / "out")
    assert (answer.code, answer.complaint) == (130, "interrupted")
    assert not (tmp_path / "new").exists()


@pytest.mark.spec("PRF-2", "REC-10")
def test_a_recording_as_a_proof_has_its_one_drift(tmp_path: Path, shared_samples: Path) -> None:
    folder = tmp_path / "proof"
    made = interlock("convert", shared_samples / "hyperliquid_user_fills.jsonl", "--out", folder)
    config = folder / "proof.yaml"
    assert (made.code, made.out, made.err) == (0, f"{config}\n", "")
    answer = interlock("prove", config, "--out", tmp_path / "out")
    assert answer.code == 2
    assert answer.out.splitlines() == [
        "reconcile_summary stale=0 orphan=0 drift=104.4 cache_ok=true",
        "drift of SUI: 104.4 units, above tolerance and not expected",
    ]
    text = config.read_text(encoding="utf-8")
    expected = text.replace("drift: []", 'drift: [{symbol: SUI, drift: "104.4"}]')
    config.write_text(expected, encoding="utf-8")
    answer = interlock("prove", config, "--out", tmp_path / "out")
    assert (answer.code, len(answer.out.splitlines())) == (0, 1)
    assert len((tmp_path / "out" / "trades.csv").read_bytes().splitlines()) == 501


def test_a_conversion_replaces_nothing(tmp_path: Path, shared_samples: Path) -> None:
    sample = shared_samples / "hyperliquid_user_fills.jsonl"
    assert interlock("convert", sample, "--out", tmp_path / "p").code == 0
    edited(tmp_path / "p" / "proof.yaml", 1, lambda _: b"# mine\n")
    answer = interlock("convert", sample, "--out", tmp_path / "p")
    assert (answer.code, answer.out) == (1, "")
    assert (tmp_path / "p" / "proof.yaml").read_bytes().startswith(b"# mine")


@pytest.mark.spec("NFR-1")
def test_a_recording_that_is_none_makes_no_folder(tmp_path: Path) -> None:
    recording = tmp_path / "fills.jsonl"
    recording.write_text("{}\n", encoding="utf-8")
    answer = interlock("convert", recording, "--out", tmp_path / "new" / "proof")
    assert (answer.code, (tmp_path / "new").exists()) == (1, False)
    assert answer.complaint.startswith(f"{recording}:1: ")


def test_schemas_are_listed_and_printed_by_name() -> None:
    listed = interlock("schema")
    assert (listed.code, listed.err) == (0, "")
    assert [line.split()[0] for line in listed.out.splitlines()] == list(SCHEMAS)
    for name in SCHEMAS:
        answer = interlock("schema", name)
        assert answer.code == 0
        assert json.loads(answer.out)["$schema"].startswith("https://json-schema.org/")


def test_a_schema_says_what_its_reader_takes() -> None:
    schema = json.loads(interlock("schema", "broker-event").out)
    fill = schema["$defs"]["BrokerFill"]
    assert fill["properties"]["schema"] == {"enum": ["BrokerFill/1"]}
    assert fill["additionalProperties"] is False
    assert "execution_id" in fill["required"]
    assert "fee_currency" not in fill["required"]
    assert len(schema["anyOf"]) == 8
    header = json.loads(interlock("schema", "order-id-cache-header").out)
    assert "sha256" in json.dumps(header)


@pytest.mark.spec("NFR-1")
def test_a_schema_that_there_is_not_is_one_line() -> None:
    answer = interlock("schema", "brokr-event")
    assert (answer.code, answer.out) == (1, "")
    assert "schema 'brokr-event': is not known (allowed: broker-event, " in answer.complaint
