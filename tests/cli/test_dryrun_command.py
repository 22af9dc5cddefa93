"""``interlock dryrun``: what it says at the end, its exit codes, and what it answers to bad input."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.cli import runs
from interlock.dryrun import Progress
from interlock.runtime.run_folder import ALERTS, ARTIFACTS
from tests.run_builders import (
    CONFIGS,
    ROOT,
    SmallDisk,
    a_config,
    a_process,
    a_tree,
    an_intent,
    contents,
    interlock,
    kept,
    runs_in,
)

SECTIONS = {name: a_tree()[name] for name in a_tree()}
INSTRUMENT = SECTIONS["instruments"][0]

NO_SOCKETS = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append((event, args[1:])) if event.startswith("socket.") else None)
from interlock.cli.main import run
code = run(["dryrun", "configs/cancel_race.yaml", "--out", sys.argv[1]])
print(code, opened)
"""


# -- what it says -------------------------------------------------------------------------------------------


@pytest.mark.spec("OBS-8", "DIF-10")
def test_the_summary_fits_into_80_columns_and_says_where_the_artifacts_are(tmp_path: Path) -> None:
    answer = interlock("dryrun", CONFIGS / "demo.yaml", "--seed", 7, "--out", tmp_path)
    rows = {line[:17].strip(): line[17:].strip() for line in answer.out.splitlines() if line[2:3].strip()}
    *table, last = answer.out.splitlines()
    assert (answer.code, answer.err) == (0, "")
    assert max(map(len, table)) <= 80
    assert rows["status"] == "COMPLETED"
    assert rows["orders"].startswith("441: CANCELLED ")
    assert rows["refused by us"].startswith("39: RAIL_ORDER_NOTIONAL 14, RAIL_ORDER_QUANTITY 11,")
    assert rows["rejected there"] == "7: INSUFFICIENT_MARGIN 7"
    assert (rows["trips"], rows["kill switch"]) == ("none", "off")
    assert rows["reconciled"] == "98 times, last: healthy"
    assert rows["simulated time"].startswith("8:00:")
    assert last == f"artifacts: {tmp_path / 'finish_c' / 'c2' / 'demo-seed7'}"


@pytest.mark.spec("DIF-10")
def test_a_tripped_session_says_why_and_exits_with_2(tmp_path: Path) -> None:
    answer = interlock("dryrun", CONFIGS / "trip.yaml", "--out", tmp_path)
    assert (answer.code, answer.err) == (2, "")
    assert "FAILED" in answer.out
    assert answer.out.count("fill_conflict") == 2
    assert sorted(contents(kept(tmp_path))) == sorted([*ARTIFACTS, ALERTS])


@pytest.mark.spec("REC-10", "DIF-10")
def test_the_finding_of_a_recording_is_shown_and_is_no_failure(tmp_path: Path, shared_samples: Path) -> None:
    sample = shared_samples / "hyperliquid_user_fills.jsonl"
    answer = interlock("dryrun", CONFIGS / "recording.yaml", "--recording", sample, "--out", tmp_path)
    assert answer.code == 0
    assert "SUI position_drift 104.4" in answer.out
    assert answer.out.count("finding ") == 1
    assert "424: FILLED 424" in answer.out


@pytest.mark.spec("DIF-10")
def test_a_step_limit_fails_the_run(tmp_path: Path) -> None:
    answer = interlock("dryrun", a_config(tmp_path), "--steps", 10, "--out", tmp_path / "out")
    assert answer.code == 2
    assert "step_limit: the session did not end within 10 steps" in answer.out


def test_quiet_leaves_one_line(tmp_path: Path) -> None:
    answer = interlock("dryrun", a_config(tmp_path), "--quiet", "--out", tmp_path / "out")
    assert answer.out == f"COMPLETED {kept(tmp_path / 'out')}\n"
    assert answer.err == ""


@pytest.mark.spec("RT-12")
def test_warnings_are_shown_only_when_asked_for(tmp_path: Path) -> None:
    quiet = interlock("dryrun", CONFIGS / "trip.yaml", "--out", tmp_path)
    loud = interlock("dryrun", CONFIGS / "trip.yaml", "--out", tmp_path, "--replace", "--verbose")
    assert quiet.err == ""
    assert "CRITICAL event='SAFETY_RAIL_TRIPPED'" in loud.err
    assert interlock("dryrun", CONFIGS / "trip.yaml", "--out", tmp_path, "--replace").err == ""


def test_a_name_with_brackets_is_shown_as_it_is(tmp_path: Path) -> None:
    answer = interlock("dryrun", a_config(tmp_path), "--run-id", "[red]x[/red]x", "--out", tmp_path)
    assert answer.code == 1
    answer = interlock("dryrun", a_config(tmp_path), "--run-id", "[bold]x", "--out", tmp_path)
    assert (answer.code, "run [bold]x" in answer.out) == (2, True)
    assert "C2_REJECT_RUN_ID" in answer.out


# -- what may not be ----------------------------------------------------------------------------------------


@pytest.mark.spec("ORC-4", "DIF-10")
@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        (["file"], ["FILE"]),
        (["flag"], ["FLAG"]),
        (["environment"], ["ENVIRONMENT"]),
        (["file", "environment", "flag"], ["FILE", "ENVIRONMENT", "FLAG"]),
    ],
)
def test_live_trading_is_rejected_wherever_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str], codes: list[str]
) -> None:
    sections: dict[str, Any] = {"broker": {"live_enabled": "true"}} if "file" in asked else {}
    if "environment" in asked:
        monkeypatch.setenv("INTERLOCK_LIVE_ENABLED", "1")
    flag = ["--live-enabled"] if "flag" in asked else []
    answer = interlock("dryrun", a_config(tmp_path, **sections), "--out", tmp_path / "out", *flag)
    assert answer.code == 2
    assert "REJECTED" in answer.out
    told = [word.rstrip(":") for word in answer.out.split() if word.startswith("C2_REJECT_")]
    assert told == [f"C2_REJECT_LIVE_ENABLED_{code}" for code in codes]
    assert b'"RECONCILE"' not in contents(kept(tmp_path / "out"))["events.jsonl"]


@pytest.mark.spec("ORC-3", "DIF-10")
@pytest.mark.parametrize(
    ("section", "code"),
    [
        ({"strategy_allowlist": []}, "C2_REJECT_ALLOWLIST_EMPTY"),
        ({"strategy_allowlist": ["other"]}, "C2_REJECT_STRATEGY_NOT_ALLOWED"),
        ({"strategy_id": ""}, "C2_REJECT_STRATEGY_ID"),
    ],
)
def test_preflight_rejects_with_its_code_and_leaves_the_evidence(
    tmp_path: Path, section: dict[str, Any], code: str
) -> None:
    answer = interlock("dryrun", a_config(tmp_path, session=section), "--out", tmp_path / "out")
    assert answer.code == 2
    assert code in answer.out
    assert code.encode() in contents(kept(tmp_path / "out"))["audit.jsonl"]


@pytest.mark.spec("NFR-2")
def test_a_dry_run_opens_no_socket(tmp_path: Path) -> None:
    done = a_process("-c", NO_SOCKETS, tmp_path, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.spec("NFR-1", "DIF-10")
@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"sesion": {}}, "sesion: is not a known key (allowed: schema_version, description, session,"),
        ({"session": {"sede": 1}}, "session.sede: is not a known key"),
        ({"session": {"seed": "seven"}}, "session.seed: "),
        ({"session": {"seed": "1_000"}}, "session.seed: "),
        ({"session": {"duration_s": "-5"}}, "session.duration_s: "),
        ({"session": {"max_steps": 0}}, "session.max_steps: "),
        ({"session": {"scheduler": "lifo"}}, "session.scheduler: "),
        ({"sinks": {"mailbox_data": -1}}, "sinks.mailbox_data: "),
        ({"instruments": [INSTRUMENT, INSTRUMENT]}, "a symbol stands here twice"),
        ({"instruments": [{"symbol": "BTC/EUR"}]}, "instruments.0.price: Field required"),
        (
            {"strategy": {"script": [{"at_s": 1, "submit": an_intent("d", limit_price="1") | {"quantity": "-5"}}]}},
            "strategy.script.0.submit.quantity: ",
        ),
        ({"schema_version": "INTERLOCK_CONFIG_V2"}, "schema_version: "),
    ],
)
def test_a_bad_config_is_one_line_that_names_the_key(tmp_path: Path, sections: dict[str, Any], told: str) -> None:
    path = a_config(tmp_path, **sections)
    answer = interlock("dryrun", path, "--out", tmp_path / "out")
    assert answer.code == 1
    assert answer.complaint.startswith(f"{path}: ")
    assert told in answer.complaint
    assert answer.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("raw", [b"", b"- a\n- b\n", b"a: [", b"\xff\xfe", b"a: 1\na: 2\n", b"a: &x 1\nb: *x\n"])
def test_a_file_that_is_no_config_is_one_line(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(raw)
    answer = interlock("dryrun", path, "--out", tmp_path / "out")
    assert (answer.code, answer.out) == (1, "")
    assert answer.complaint.startswith(str(path))
    assert interlock("dryrun", tmp_path, "--out", tmp_path / "out").complaint.startswith(str(tmp_path))
    assert interlock("dryrun", tmp_path / "none", "--out", tmp_path / "out").complaint.endswith("a YAML file)")


@pytest.mark.spec("NFR-1", "ART-5")
def test_a_run_id_is_used_once(tmp_path: Path) -> None:
    config = a_config(tmp_path)
    assert interlock("dryrun", config, "--out", tmp_path / "out").code == 0
    before = contents(kept(tmp_path / "out"))
    answer = interlock("dryrun", config, "--out", tmp_path / "out", "--steps", 10)
    assert answer.code == 1
    assert answer.complaint == (
        f"{kept(tmp_path / 'out')}: this run exists already (allowed: another --run-id or --out, or --replace)"
    )
    assert contents(kept(tmp_path / "out")) == before
    assert interlock("dryrun", config, "--out", tmp_path / "out", "--steps", 10, "--replace").code == 2
    assert contents(kept(tmp_path / "out")) != before


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("run_id", ["../up", "a/b", "a..b", "", "."])
def test_a_run_id_that_leaves_its_folder_is_refused(tmp_path: Path, run_id: str) -> None:
    answer = interlock("dryrun", a_config(tmp_path), "--out", tmp_path / "out", "--run-id", run_id)
    assert (answer.code, answer.complaint[:7]) == (1, "run id:")
    assert not (tmp_path / "out").exists()


@pytest.mark.spec("NFR-1")
def test_a_recording_that_cannot_be_read_is_one_line_with_its_line(tmp_path: Path, shared_samples: Path) -> None:
    raw = (shared_samples / "hyperliquid_user_fills.jsonl").read_bytes()
    half = tmp_path / "half.jsonl"
    half.write_bytes(raw[:700])
    cases = {half: f"{half}:3: half-written", tmp_path / "none": f"{tmp_path / 'none'}: ", tmp_path: f"{tmp_path}: "}
    for path, told in cases.items():
        answer = interlock("dryrun", CONFIGS / "recording.yaml", "--recording", path, "--out", tmp_path / "out")
        assert answer.code == 1
        assert answer.complaint.startswith(told)
    assert runs_in(tmp_path / "out") == []


@pytest.mark.spec("NFR-1")
def test_an_output_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    config = a_config(tmp_path)
    answer = interlock("dryrun", config, "--out", config)
    assert answer.code == 1
    assert "cannot be made: Not a directory" in answer.complaint


@pytest.mark.spec("NFR-1")
def test_an_output_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    config = a_config(tmp_path)
    monkeypatch.setattr(Path, "mkdir", refuse)
    answer = interlock("dryrun", config, "--out", tmp_path / "out")
    assert answer.code == 1
    assert answer.complaint.startswith(f"{tmp_path / 'out'}")
    assert "cannot be made: Permission denied" in answer.complaint


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("room", [0, 100, 5000, 40_000])
def test_a_full_disk_is_one_line_and_no_folder_is_taken_for_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr("interlock.runtime.run_folder._open_raw", SmallDisk(room))
    answer = interlock("dryrun", CONFIGS / "demo.yaml", "--out", tmp_path)
    assert (answer.code, answer.out) == (1, "")
    assert "cannot be written: No space left on device" in answer.complaint
    assert runs_in(tmp_path) == []


# -- interrupted --------------------------------------------------------------------------------------------


@pytest.mark.spec("DIF-10")
def test_an_interrupt_exits_with_130_and_the_artifacts_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def bar(*_: object, **__: object) -> Iterator[Progress]:
        yield lambda _, steps: signal.raise_signal(signal.SIGINT) if steps == 2000 else None

    monkeypatch.setattr(runs, "progress_bar", bar)
    answer = interlock("dryrun", CONFIGS / "demo.yaml", "--seed", 7, "--out", tmp_path)
    assert (answer.code, answer.complaint) == (130, "interrupted")
    assert "at step 2,000, then stopped in good order" in answer.out
    audit = kept(tmp_path) / "audit.jsonl"
    assert interlock("audit", "verify", audit).code == 0
    assert interlock("replay", kept(tmp_path)).code == 0
