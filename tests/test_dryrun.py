"""A whole dry run: from a config to a folder that says how it ended, and back again by replay."""

from __future__ import annotations

import itertools
import json
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from interlock.domain.errors import BadInput, StorageError
from interlock.domain.findings import Severity
from interlock.dryrun import DryrunOutcome, Progress, replay_run, run_dryrun_config
from interlock.runtime.audit import verify_audit_file
from interlock.runtime.run_folder import ARTIFACTS, read_manifest
from interlock.runtime.schedule import FifoSchedule
from tests.run_builders import SmallDisk, a_loaded, an_intent, contents, loaded_file, runs_in

OPEN_RAW = "interlock.runtime.run_folder._open_raw"


def events(folder: Path, event_type: str = "") -> list[dict[str, Any]]:
    """Return the events of a run, all or those of one type."""
    lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event_type in ("", event["event_type"])]


def audit_codes(folder: Path) -> list[str]:
    """Return the codes of the audit log."""
    lines = (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["code"] for line in lines]


# -- how sessions end ---------------------------------------------------------------------------------------


@pytest.mark.spec("OBS-8", "ART-1", "ART-6")
def test_preflight_run_snapshots_and_stop_are_one_call(tmp_path: Path) -> None:
    outcome = run_dryrun_config(a_loaded(), out=tmp_path)
    folder = tmp_path / "finish_c" / "c2" / "short-seed0"
    assert (outcome.result.status, outcome.exit_code, outcome.folder) == ("COMPLETED", 0, folder)
    assert sorted(contents(folder)) == sorted(ARTIFACTS)
    snapshots = [json.loads(line) for line in (folder / "state_snapshots.jsonl").read_text().splitlines()]
    assert [snapshot["status"] for snapshot in snapshots][:: len(snapshots) - 1] == ["INIT", "COMPLETED"]
    codes = audit_codes(folder)
    assert (codes[0], codes[-1]) == ("ENGINE_RESTART", "C2_DRYRUN_STOP")
    assert verify_audit_file(folder / "audit.jsonl").anchored
    assert outcome.metrics["orders_by_state"] == {"CANCELLED": 1, "FILLED": 1}


@pytest.mark.spec("ART-1", "ART-2")
def test_events_carry_the_fields_of_their_schema_and_time_never_goes_back(tmp_path: Path) -> None:
    found = events(run_dryrun_config(a_loaded(), out=tmp_path).folder)
    fields = {"event_id", "run_id", "strategy_id", "event_type", "ts_sim", "ts_utc", "payload", "schema"}
    assert all(fields <= event.keys() for event in found)
    assert all(before["ts_sim"] <= after["ts_sim"] for before, after in itertools.pairwise(found))
    assert len({event["event_id"] for event in found}) == len(found)


def test_the_demo_completes_with_refusals_and_faults_of_many_kinds(tmp_path: Path) -> None:
    outcome = run_dryrun_config(loaded_file("demo.yaml", seed=7), out=tmp_path)
    counters = outcome.metrics["counters"]
    assert (outcome.result.status, outcome.exit_code) == ("COMPLETED", 0)
    # Fills are late and twice all day long: in another order, but all there.
    assert [finding.kind for finding in outcome.findings if finding.severity is not Severity.INFO] == []
    assert counters["intents_refused_total|RAIL_SHORT"] > 1
    assert len([name for name in counters if name.startswith("faults_total|")]) >= 10
    assert len([name for name in counters if name.startswith("intents_refused_total|")]) >= 3


@pytest.mark.spec("FLT-6")
def test_every_fill_that_crosses_its_cancel_is_counted(tmp_path: Path) -> None:
    outcome = run_dryrun_config(loaded_file("cancel_race.yaml"), out=tmp_path)
    filled = {line["payload"]["client_order_id"]: line["payload"] for line in events(outcome.folder, "ORDER_STATE")}
    ends = [(payload["to"], Decimal(payload["filled"]) > 0) for payload in filled.values()]
    assert ends == [("CANCELLED", True)] * 2 + [("FILLED", True), ("CANCELLED", True), ("CANCELLED", False)]
    bought = sum(Decimal(payload["filled"]) for payload in filled.values())
    assert outcome.metrics["positions"] == {"BTC/EUR": str(bought)}
    assert (outcome.result.status, outcome.metrics["last_reconcile"]) == ("COMPLETED", "healthy")


@pytest.mark.spec("SAF-5")
def test_a_trip_leaves_the_session_to_an_operator(tmp_path: Path) -> None:
    outcome = run_dryrun_config(loaded_file("trip.yaml"), out=tmp_path)
    view = outcome.result.view
    assert (view.state, outcome.result.status, outcome.exit_code) == ("ERROR_REQUIRES_OPERATOR", "FAILED", 2)
    assert (outcome.result.fail_code, view.kill_switch) == ("fill_conflict", 1)
    tripped_at = events(outcome.folder, "TRIP")[0]["seq"]
    after = [event["payload"]["to"] for event in events(outcome.folder, "ORDER_STATE") if event["seq"] > tripped_at]
    assert after == ["CANCEL_PENDING", "CANCELLED"]
    assert "too-late" not in (outcome.folder / "events.jsonl").read_text()


def test_a_step_limit_fails_the_session_and_keeps_what_it_did(tmp_path: Path) -> None:
    outcome = run_dryrun_config(a_loaded(), out=tmp_path, steps=20)
    assert (outcome.result.status, outcome.result.fail_code, outcome.exit_code) == ("FAILED", "step_limit", 2)
    assert outcome.result.steps == 20
    assert replay_run(outcome.folder).difference is None


def test_the_config_limits_the_steps_as_well(tmp_path: Path) -> None:
    section = a_loaded().config.session.model_dump(mode="json") | {"max_steps": 15}
    assert run_dryrun_config(a_loaded(session=section), out=tmp_path, steps=20).result.steps == 15
    with pytest.raises(BadInput, match="steps: is 0"):
        run_dryrun_config(a_loaded(), out=tmp_path, steps=0)


# -- the broker's own book ----------------------------------------------------------------------------------


@pytest.mark.spec("ORC-3", "REC-5")
@pytest.mark.parametrize(
    ("book", "word"),
    [
        ({"positions": {"BTC/EUR": "2"}}, "position BTC/EUR: we hold 1, the broker says 2"),
        ({"cash": "9000"}, "cash: we have 10000, the broker says 9000"),
        ({"orders": [an_intent("stranger", limit_price="90")]}, "order stranger: open there, not known here"),
    ],
)
def test_a_book_that_differs_at_the_broker_alone_is_found_before_anything_is_sent(
    tmp_path: Path, book: dict[str, Any], word: str
) -> None:
    outcome = run_dryrun_config(a_loaded(broker={"book": book}), out=tmp_path)
    assert (outcome.result.status, outcome.exit_code) == ("REJECTED", 2)
    assert {reject.code for reject in outcome.result.view.rejects} == {"C2_REJECT_RECONCILE"}
    assert word in outcome.result.reject_reason
    assert outcome.result.view.kill_switch == 1
    assert outcome.metrics["orders_total"] == 0
    assert "C2_REJECT_RECONCILE" in audit_codes(outcome.folder)


# -- a recording --------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-10")
def test_a_recording_plays_to_its_end_and_its_one_break_is_found_once(tmp_path: Path, shared_samples: Path) -> None:
    path = shared_samples / "hyperliquid_user_fills.jsonl"
    outcome = run_dryrun_config(loaded_file("recording.yaml"), out=tmp_path, recording_path=path)
    fills = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    metrics = outcome.metrics
    assert (outcome.result.status, outcome.exit_code) == ("COMPLETED", 0)
    assert (metrics["fills_total"], len(fills)) == (500, 500)
    assert metrics["orders_by_state"] == {"FILLED": 424}
    pieces = Counter(
        event["payload"]["client_order_id"]
        for event in events(outcome.folder, "ORDER_STATE")
        if "fill_id" in event["payload"]
    )
    assert sorted(pieces.values()) == sorted(Counter(fill["oid"] for fill in fills).values())
    assert sum(count > 1 for count in pieces.values()) == 60
    held: dict[str, Decimal] = {}
    for fill in fills:
        change = Decimal(fill["sz"]) if fill["side"] == "B" else -Decimal(fill["sz"])
        held[fill["coin"]] = held.get(fill["coin"], Decimal(fill["startPosition"])) + change
    assert {symbol: Decimal(text) for symbol, text in metrics["positions"].items()} == held
    [finding] = outcome.findings
    assert (finding.subject, finding.kind, finding.delta) == ("SUI", "position_drift", Decimal("104.4"))
    assert [event["payload"]["symbol"] for event in events(outcome.folder, "RECON_DIFF")] == ["SUI"]


@pytest.mark.spec("ART-6", "NFR-1")
def test_a_recorded_run_is_replayed_with_the_same_recording_only(tmp_path: Path, shared_samples: Path) -> None:
    text = (shared_samples / "hyperliquid_user_fills.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    path, moved, other = tmp_path / "fills.jsonl", tmp_path / "moved.jsonl", tmp_path / "other.jsonl"
    path.write_text("".join(text[:20]), encoding="utf-8")
    other.write_text("".join(text[:21]), encoding="utf-8")
    folder = run_dryrun_config(loaded_file("recording.yaml"), out=tmp_path, recording_path=path).folder
    assert replay_run(folder).difference is None
    path.rename(moved)
    with pytest.raises(BadInput, match=r"fills\.jsonl: the recording named in .*run\.json is not there"):
        replay_run(folder)
    assert replay_run(folder, recording_path=moved).difference is None
    with pytest.raises(BadInput, match=r"other\.jsonl: is not the recording that was played"):
        replay_run(folder, recording_path=other)


def test_a_config_for_recordings_needs_one_and_a_run_without_one_takes_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"broker\.kind: says recording.*--recording FILE"):
        run_dryrun_config(a_loaded(broker={"kind": "recording"}), out=tmp_path)
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    with pytest.raises(BadInput, match="the run has no recording"):
        replay_run(folder, recording_path=tmp_path / "fills.jsonl")


# -- replay -------------------------------------------------------------------------------------------------


@pytest.mark.spec("ART-6")
@pytest.mark.parametrize("name", ["cancel_race.yaml", "trip.yaml"])
@pytest.mark.parametrize("scheduler", ["fifo", "random"])
def test_a_replay_gives_the_same_bytes(tmp_path: Path, name: str, scheduler: str) -> None:
    outcome = run_dryrun_config(loaded_file(name, scheduler=scheduler), out=tmp_path)
    replayed = replay_run(outcome.folder)
    assert (replayed.difference, replayed.exit_code, replayed.steps) == (None, 0, outcome.result.steps)


@pytest.mark.spec("ART-6")
def test_a_replay_needs_the_choices_not_the_seed(tmp_path: Path) -> None:
    loaded = loaded_file("demo.yaml", seed=7)
    outcome = run_dryrun_config(loaded, out=tmp_path, schedule=FifoSchedule(), steps=3000)
    assert read_manifest(outcome.folder).tape == {}
    assert replay_run(outcome.folder).difference is None


@pytest.mark.spec("ART-6")
def test_a_replay_names_the_first_line_that_was_changed(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    path = folder / "events.jsonl"
    path.write_text(path.read_text().replace('"quantity":"1"', '"quantity":"2"', 1))
    replayed = replay_run(folder)
    assert replayed.exit_code == 2
    assert str(replayed.difference).startswith("events.jsonl, line ")


@pytest.mark.spec("RT-5", "ART-6")
def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    one, two = (
        contents(run_dryrun_config(loaded_file("demo.yaml", seed=seed, run_id="r"), out=tmp_path / str(seed)).folder)
        for seed in (7, 8)
    )
    assert [name for name in ARTIFACTS if one[name] == two[name]] == []


@pytest.mark.spec("ART-6")
def test_nothing_in_a_folder_depends_on_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = run_dryrun_config(a_loaded(), out=Path("here"))
    two = run_dryrun_config(a_loaded(), out=tmp_path / "there" / "far")
    assert contents(one.folder) == contents(two.folder)


# -- interrupts ---------------------------------------------------------------------------------------------


def after_steps(steps: int, *, raised: bool = False, again: bool = False) -> Progress:
    """Return a progress callback that interrupts once so many steps were made, or at each call from then on."""
    left = {"once": True}

    def tell(_: float, done: int) -> None:
        if done >= steps and (again or left.pop("once", False)):
            if raised:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)

    return tell


@pytest.mark.spec("DIF-10")
@pytest.mark.parametrize("raised", [False, True])
def test_an_interrupt_stops_in_good_order_and_the_folder_is_whole(tmp_path: Path, *, raised: bool) -> None:
    loaded = loaded_file("demo.yaml", seed=7)
    outcome = run_dryrun_config(loaded, out=tmp_path, progress=after_steps(4000, raised=raised))
    assert (outcome.exit_code, outcome.interrupted_at_step, outcome.result.status) == (130, 4000, "COMPLETED")
    assert outcome.result.steps < 10_000
    assert verify_audit_file(outcome.folder / "audit.jsonl").anchored
    assert audit_codes(outcome.folder)[-1] == "C2_DRYRUN_STOP"
    assert replay_run(outcome.folder).difference is None


@pytest.mark.spec("DIF-10")
@pytest.mark.parametrize("raised", [False, True])
def test_a_second_interrupt_ends_at_once_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, raised: bool
) -> None:
    monkeypatch.setattr("interlock.dryrun._CHUNK_STEPS", 5)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_dryrun_config(a_loaded(), out=tmp_path, progress=after_steps(20, raised=raised, again=True))
    assert runs_in(tmp_path) == []
    assert signal.getsignal(signal.SIGINT) is before


def test_progress_only_ever_rises_to_one(tmp_path: Path) -> None:
    told: list[tuple[float, int]] = []
    run_dryrun_config(loaded_file("demo.yaml", seed=7), out=tmp_path, progress=lambda *now: told.append(now))
    assert told == sorted(told)
    assert 0 < told[0][0] < told[-1][0] <= 1


# -- the disk -----------------------------------------------------------------------------------------------


@pytest.mark.spec("NFR-1", "ORC-8")
@pytest.mark.parametrize("only", ARTIFACTS)
@pytest.mark.parametrize("room", [0, 100])
def test_a_disk_that_fills_up_is_told_in_one_line_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: str, room: int
) -> None:
    monkeypatch.setattr(OPEN_RAW, SmallDisk(room, only))
    with pytest.raises(StorageError) as refused:
        run_dryrun_config(a_loaded(), out=tmp_path)
    told = str(refused.value)
    assert told.endswith(f"{only}: cannot be written: No space left on device; the run was not kept")
    assert "\n" not in told
    assert runs_in(tmp_path) == []


@pytest.mark.spec("ORC-8", "ART-3")
def test_a_disk_that_recovers_between_two_tries_leaves_a_whole_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, files = SmallDisk(300, "audit"), []

    def opened(path: Path) -> Any:
        files.append(disk(path))
        return files[-1]

    def more_room(outcome: DryrunOutcome | None = None) -> None:
        for file in files:
            file.room = 1 << 40

    monkeypatch.setattr(OPEN_RAW, opened)
    monkeypatch.setattr("interlock.runtime.clock.VirtualClock.advance", lambda _, __: more_room())
    outcome = run_dryrun_config(a_loaded(), out=tmp_path)
    assert outcome.metrics["sink_retries"] == 1
    assert verify_audit_file(outcome.folder / "audit.jsonl").ok
    assert "C2_SINK_WRITE_RETRY" in audit_codes(outcome.folder)
