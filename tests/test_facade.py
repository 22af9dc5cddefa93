"""The synchronous facade: one call, a whole session of the real actors, on a host's clock and sinks."""

from __future__ import annotations

import asyncio
import io
import json
import runpy
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from interlock import DryrunResult, LiveSessionOrchestrator, LiveTestOverride
from interlock.actors.safety_rails import SafetyRails
from interlock.domain.errors import BadInput, Broken
from interlock.domain.ids import canonical_json, sha256_hex
from interlock.domain.messages import CheckIntent, Verdict
from interlock.runtime.mailbox import Lane
from tests.facade_builders import NEW_YEAR, SINKS, FixedClock, Outcome, a_config

FILES = ("events.jsonl", "state_snapshots.jsonl", "metrics.json", "audit.jsonl")


# -- the runbook --------------------------------------------------------------------------------------------


@pytest.mark.spec("ORC-7", "ART-1")
def test_the_operator_s_snippet_runs_with_only_its_import_line_changed(
    shared_samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice, in two folders: equal bytes."""
    runbook = shared_samples.parent / "seeds" / "runbook_c2_orchestrator_dryrun.txt"
    if not runbook.is_file():
        pytest.skip("the runbook is not beside this clone (../shared/seeds)")
    snippet = runbook.read_text(encoding="utf-8").split("python - <<'PY'\n")[1].split("\nPY\n")[0]
    lines = snippet.splitlines()
    [at] = [number for number, line in enumerate(lines) if line.startswith("from src.")]
    lines[at] = "from interlock import DryrunConfig, LiveSessionOrchestrator"
    folders = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "snippet.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
        monkeypatch.chdir(folder)
        runpy.run_path(str(folder / "snippet.py"), run_name="__main__")
        told = json.loads(capsys.readouterr().out)
        assert told == {"accepted": True, "status": "COMPLETED", "run_id": "run_demo_001"}
        folders.append(folder / "out" / "finish_c" / "c2" / "run_demo_001")
    for name in FILES:
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second
        assert first.endswith(b"}\n")
    assert sorted(path.name for path in folders[0].iterdir()) == sorted(FILES)


@pytest.mark.spec("ORC-7", "ART-1", "RT-5")
def test_a_run_into_files_twice_gives_equal_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        paths = [tmp_path / name / file for file in FILES]
        files = [path.open("w", encoding="utf-8") for path in paths]
        try:
            result = Outcome(sinks=dict(zip(SINKS, files, strict=True))).result
        finally:
            for file in files:
                file.close()
        assert (result.accepted, result.status.value, result.run_id) == (True, "COMPLETED", "run_demo_001")
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
    assert all(written[0])


# -- the result and the sinks -------------------------------------------------------------------------------


@pytest.mark.spec("ORC-7", "ORC-2")
def test_a_good_run_is_accepted_and_completed_and_has_no_codes() -> None:
    outcome = Outcome()
    assert outcome.result == DryrunResult(accepted=True, status=outcome.result.status, run_id="run_demo_001")
    assert outcome.result.status.value == "COMPLETED"
    assert [state["status"] for state in outcome["state_sink"]] == ["INIT", *["RUNNING"] * 3, "COMPLETED"]
    assert (outcome.codes[0], outcome.codes[-1]) == ("ENGINE_RESTART", "C2_DRYRUN_STOP")


@pytest.mark.spec("ORC-7")
def test_lists_text_files_and_binary_files_get_the_same_lines() -> None:
    lists = Outcome()
    text = Outcome(sinks={name: io.StringIO() for name in SINKS})
    binary = Outcome(sinks={name: io.BytesIO() for name in SINKS})
    for name in SINKS:
        records = lists[name]
        assert [json.loads(line) for line in text.sinks[name].getvalue().splitlines()] == records
        assert binary.sinks[name].getvalue() == text.sinks[name].getvalue().encode()
        assert records


@pytest.mark.spec("ORC-7")
def test_sinks_that_are_not_given_are_dropped_lines_and_no_error() -> None:
    assert LiveSessionOrchestrator().run_dryrun(a_config()).status.value == "COMPLETED"


@pytest.mark.spec("ORC-7", "NFR-1")
@pytest.mark.parametrize("sink", SINKS)
def test_what_is_neither_a_list_nor_a_file_is_refused(sink: str) -> None:
    with pytest.raises(BadInput, match="a list, a text file"):
        Outcome(sinks={sink: object()})


@pytest.mark.spec("ART-2")
def test_an_event_s_id_is_the_hash_of_everything_else_in_it_and_time_never_goes_back() -> None:
    events = Outcome()["event_sink"]
    for event in events:
        rest = {name: value for name, value in event.items() if name != "event_id"}
        assert event["event_id"] == sha256_hex(canonical_json(rest))[:32]
    assert len({event["event_id"] for event in events}) == len(events)
    times = [event["ts_sim"] for event in events]
    assert times == sorted(times)
    assert times[-1] > 3_000_000_000
    wanted = {"event_id", "run_id", "strategy_id", "event_type", "ts_sim", "ts_utc", "payload"}
    assert all(wanted <= {*event} for event in events)


@pytest.mark.spec("ART-1", "ART-3")
def test_metrics_and_audit_have_what_the_runbook_asks_for() -> None:
    outcome = Outcome()
    [metrics] = outcome["metrics_sink"]
    assert metrics["schema"] == "C2_DRYRUN_METRICS_V1"
    assert (metrics["events_emitted"], metrics["audit_events"]) == (
        len(outcome["event_sink"]),
        len(outcome["audit_sink"]),
    )
    assert (metrics["sink_retries"], metrics["status"]) == (0, "COMPLETED")
    assert [record["seq"] for record in outcome["audit_sink"]] == list(range(1, len(outcome.codes) + 1))
    hashes = [record["hash"] for record in outcome["audit_sink"]]
    assert [record["prev_hash"] for record in outcome["audit_sink"]][1:] == hashes[:-1]
    assert {*outcome["audit_sink"][0]} >= {"seq", "ts", "level", "code", "message", "meta"}


# -- the clock ----------------------------------------------------------------------------------------------


@pytest.mark.spec("ART-3")
def test_with_a_fixed_clock_every_record_carries_its_time() -> None:
    outcome = Outcome(clock=FixedClock(datetime(2027, 5, 4, 3, 2, 1, tzinfo=UTC)))
    stamp = "2027-05-04T03:02:01.000000000Z"
    assert {record["ts"] for record in outcome["audit_sink"]} == {stamp}
    assert {event["ts_utc"] for event in outcome["event_sink"]} == {stamp}
    assert {state["ts_utc"] for state in outcome["state_sink"]} == {stamp}


@pytest.mark.spec("ART-3")
def test_in_sim_mode_records_carry_the_clock_s_first_word_plus_simulated_time() -> None:
    outcome = Outcome(a_config(clock_mode="sim"))
    for event in outcome["event_sink"]:
        seconds, nanoseconds = divmod(event["ts_sim"], 1_000_000_000)
        expected = (NEW_YEAR + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
        assert event["ts_utc"] == f"{expected}.{nanoseconds:09d}Z"
    assert outcome["audit_sink"][0]["ts"] < outcome["audit_sink"][-1]["ts"]


def test_without_a_clock_the_packaged_start_and_simulated_time_are_used() -> None:
    audit: list[dict[str, Any]] = []
    LiveSessionOrchestrator().run_dryrun(a_config(), audit_sink=audit)
    assert audit[0]["ts"].startswith("2026-01-05T08:00:00")
    assert audit[0]["ts"] < audit[-1]["ts"]


def test_a_clock_in_another_zone_is_the_same_instant() -> None:
    berlin = FixedClock(NEW_YEAR.astimezone(timezone(timedelta(hours=1))))
    assert Outcome(clock=berlin)["event_sink"] == Outcome()["event_sink"]


def test_a_clock_without_a_zone_is_an_error() -> None:
    with pytest.raises(Broken, match="without a zone"):
        Outcome(clock=FixedClock(datetime(2026, 1, 1)))  # noqa: DTZ001 - the point


@pytest.mark.spec("RT-5")
def test_other_names_and_other_seeds_give_other_runs() -> None:
    base = Outcome()["event_sink"]
    assert Outcome(a_config(run_id="run_demo_002"))["event_sink"] != base
    assert Outcome()["event_sink"] == base


# -- preflight ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"strategy_allowlist": []}, "C2_REJECT_ALLOWLIST_EMPTY"),
        ({"strategy_allowlist": ["strat_other"]}, "C2_REJECT_STRATEGY_NOT_ALLOWED"),
        ({"strategy_id": "strat_other"}, "C2_REJECT_STRATEGY_NOT_ALLOWED"),
        ({"strategy_allowlist": ["strat_demo", "binance"]}, "C2_REJECT_ALLOWLIST_BROKER_ID"),
        ({"run_id": ""}, "C2_REJECT_RUN_ID"),
        ({"run_id": "../escape"}, "C2_REJECT_RUN_ID"),
        ({"strategy_id": ""}, "C2_REJECT_STRATEGY_ID"),
        ({"live_enabled": True}, "C2_REJECT_LIVE_ENABLED"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
@pytest.mark.spec("ORC-3", "ORC-4", "ORC-7")
def test_a_run_that_must_not_begin_is_rejected_with_its_code(wanted: dict[str, Any], code: str) -> None:
    outcome = Outcome(a_config(**wanted))
    result = outcome.result
    assert (result.accepted, result.status.value, result.fail_code) == (False, "REJECTED", None)
    assert result.reject_code == code
    assert result.reject_reason
    assert code in outcome.codes
    assert not [event for event in outcome["event_sink"] if event["event_type"] == "ORDER_STATE"]


@pytest.mark.parametrize("allowlist", [None, ["strat_demo"], ["strat_other", "strat_demo"]])
@pytest.mark.spec("ORC-7")
def test_no_allowlist_is_the_packaged_one_and_a_list_that_holds_the_strategy_will_do(
    allowlist: list[str] | None,
) -> None:
    assert Outcome(a_config(strategy_allowlist=allowlist)).result.status.value == "COMPLETED"


@pytest.mark.spec("ORC-4")
def test_live_passes_only_with_a_test_override_passed_in_code() -> None:
    override = LiveTestOverride("a test of the test override")
    assert Outcome(a_config(live_enabled=True), override=override).result.status.value == "COMPLETED"
    assert Outcome(override=override).result.status.value == "COMPLETED"


@pytest.mark.spec("ORC-4")
def test_an_environment_variable_turns_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INTERLOCK_LIVE_ENABLED", "INTERLOCK_SESSION__LIVE_ENABLED", "LIVE_ENABLED"):
        monkeypatch.setenv(name, "true")
    assert Outcome().result.status.value == "COMPLETED"


@pytest.mark.parametrize(
    "wanted", [{"seed": -1}, {"max_sink_retries": -1}, {"max_sink_retries": 21}, {"clock_mode": "wall"}, {"speed": 2}]
)
@pytest.mark.spec("NFR-1")
def test_a_config_that_makes_no_sense_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_config(**wanted)


# -- the real actors, and nothing left between runs ---------------------------------------------------------


@pytest.mark.spec("ORC-7")
def test_it_drives_the_real_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rails that refuse everything change what the facade does."""

    async def refuse(self: SafetyRails, message: CheckIntent) -> None:
        verdict = Verdict(message.order.client_order_id, "RAIL_TEST", "the test says no")
        await self.ctx.send("orchestrator", verdict, Lane.REPLY)

    monkeypatch.setattr(SafetyRails, "_check", refuse)
    outcome = Outcome()
    refused = [event["payload"]["code"] for event in outcome["event_sink"] if event["event_type"] == "INTENT_REFUSED"]
    assert refused == ["RAIL_TEST"] * 3
    assert outcome["metrics_sink"][0]["orders_total"] == 0


@pytest.mark.spec("ORC-7")
def test_the_packaged_session_trades_and_ends_flat() -> None:
    [metrics] = Outcome()["metrics_sink"]
    assert metrics["orders_by_state"] == {"FILLED": 3}
    assert metrics["positions"] == {"DEMO/EUR": "0"}
    assert metrics["last_reconcile"] == "healthy"


def test_runs_one_after_the_other_do_not_see_each_other() -> None:
    """The same decisions are used in each; nobody is told that they were used before."""
    orchestrator = LiveSessionOrchestrator()
    runs: list[list[Any]] = []
    for run_id in ("run_a", "run_b", "run_a"):
        events: list[Any] = []
        assert orchestrator.run_dryrun(a_config(run_id=run_id), clock=FixedClock(), event_sink=events).accepted
        runs.append(events)
    assert runs[0] == runs[2] != runs[1]


def test_a_run_inside_a_run_does_not_see_the_other() -> None:
    """A host's sink that starts a dry run of its own, while ours is on its way."""
    inner: list[list[Any]] = []

    class Nesting(list[Any]):
        def append(self, record: Any) -> None:
            super().append(record)
            if len(self) == 5:
                inner.append(Outcome()["event_sink"])

    plain = Outcome()["event_sink"]
    assert Outcome(sinks={"event_sink": Nesting()})["event_sink"] == plain
    assert inner == [plain]


def test_a_run_inside_an_event_loop_needs_nothing_of_it() -> None:
    async def host() -> str:
        return Outcome().result.status.value

    assert asyncio.run(host()) == "COMPLETED"
