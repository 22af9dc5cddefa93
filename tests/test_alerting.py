"""Whole sessions that raise alerts: each with its ids, time and counts, told to people, never in the way."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Literal

import pytest

from interlock.actors.reconciler import Reconciler
from interlock.config.parts import Parts
from interlock.domain.alert_notes import AlertNote
from interlock.domain.alerts import AlertSieve
from interlock.domain.errors import AlertNotTaken, StoreRefused
from interlock.domain.messages import RequestReconcile
from interlock.dryrun import replay_run, run_dryrun_config
from interlock.runtime.actor import Context
from interlock.runtime.alert_sinks import AlertSink
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.run_folder import ALERTS, ARTIFACTS
from interlock.sessions import SteppedSession
from tests.actors.stage import Stage, behaves, key_of, stays_silent
from tests.run_builders import SmallDisk, a_loaded, contents, loaded_file
from tests.session_builders import (
    BTC,
    STEPS,
    Kept,
    Ran,
    a_config,
    a_day,
    a_recorder,
    at,
    intent_fields,
    run,
)

pytestmark = pytest.mark.spec("ALT-1")

Scheduler = Literal["fifo", "random"]
PATH = "/services/T0/B0/" + "Zk3wQ9xLr7Vb3TzK8mWc4NdP"
WORK = {"script": [at(1, "d1", limit_price="101"), at(2, "d2")], "linger_s": 20}


def alerts_of(kept: Kept, name: str) -> list[AlertNote]:
    """Return what was told under one name."""
    return [note for note in kept.alerts if note.alert == name]


def the_alert(kept: Kept, name: str) -> AlertNote:
    """Return the only alert of a name; hold that event and audit record have the same ids and counts."""
    [note] = alerts_of(kept, name)
    [event] = [event for event in kept.events if event["payload"].get("alert") == name]
    [record] = kept.audited(name)
    assert (event["ts_utc"], record["ts"]) == (note.ts_utc, note.ts_utc)
    assert event["payload"]["run_id"] == note.run_id == "small-seed0"
    for written in (event["payload"], record["meta"]):
        assert (written.get("reconcile_id") or "", written.get("decision_id") or "") == (
            note.reconcile_id,
            note.decision_id,
        )
        assert {key: written[key] for key in note.counts} == note.counts
    return note


# -- each alert by a run ----------------------------------------------------------------------------------------


def diverge(stage: Stage, what: str) -> None:
    """Let the two sides part, behind our back."""
    if what == "stale":
        stage.exchange.cancel(key_of("d1"))
    elif what == "orphan":
        [stranger] = Parts(a_config(broker={"book": {"orders": [intent_fields("stranger")]}})).unknown_orders()
        stage.exchange.place(stranger)
    else:
        stage.exchange.positions[BTC] -= 2


@pytest.mark.parametrize(
    ("what", "counts"),
    [
        ("stale", {"stale": 1, "orphan": 0, "drift": 0}),
        ("orphan", {"stale": 0, "orphan": 1, "drift": 0}),
        ("drift", {"stale": 0, "orphan": 0, "drift": 1}),
    ],
)
def test_a_divergence_counts_stale_orphan_and_drift(what: str, counts: dict[str, int]) -> None:
    with Stage() as stage:
        stage.submit("d1")
        stage.wait(1)
        diverge(stage, what)
        stage.start(RequestReconcile())
        stage.until(lambda: bool(stage.trips))
        stage.tell()
        report = stage.session.orchestrator.watch.last_report
        assert report is not None
        note = the_alert(stage.kept, "ALERT_RECONCILE_DIVERGENCE")
        [trip] = alerts_of(stage.kept, "ALERT_SAFETY_RAIL_TRIPPED")
    assert (note.reconcile_id, note.severity) == (report.reconcile_id, "error")
    assert note.counts == {"findings": len(report.findings), **counts}
    assert (trip.reconcile_id, trip.about, trip.counts) == (
        report.reconcile_id,
        {"code": "reconcile_divergence"},
        {"trips": 1},
    )


def test_a_divergence_before_the_session_began_is_told_although_nothing_ran() -> None:
    ran = run(broker={"book": {"positions": {BTC: "19"}}})
    assert ran.result.status == "REJECTED"
    assert the_alert(ran.kept, "ALERT_RECONCILE_DIVERGENCE").counts["drift"] == 1


def test_a_drift_within_its_threshold_is_no_alert() -> None:
    ran = run(broker={"book": {"positions": {BTC: "19.99999"}}})
    assert ran.result.status == "COMPLETED"
    assert ran.kept.alerts == []


def test_a_broker_that_cannot_be_reached_is_told_with_the_reconcile_s_id() -> None:
    with Stage(snapshot=[behaves, *[stays_silent] * 4]) as stage:
        stage.wait(500)
        note = the_alert(stage.kept, "ALERT_RECONCILE_FAILED")
        assert note.reconcile_id == stage.kept.payloads("RECONCILE")[1]["reconcile_id"]
        assert note.about == {"code": "broker_unavailable"}
        assert "for more than 5.0 s" in note.text
        assert stage.stop().status == "COMPLETED"


def test_a_reconcile_that_crashes_is_told_with_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = Reconciler._compare  # noqa: SLF001 - the first one is left as it is

    async def breaks(self: Reconciler, request: Any, started_ns: int) -> Any:
        if request.reason == "startup":
            return await compare(self, request, started_ns)
        message = "no way, token=abc"
        raise KeyError(message)

    monkeypatch.setattr(Reconciler, "_compare", breaks)
    with Stage(reconcile={"deadline_s": 60, "every_s": 30}) as stage:
        stage.until(lambda: stage.session.over)
        [note] = alerts_of(stage.kept, "ALERT_RECONCILE_FAILED")
        crash = stage.kept.audited("ACTOR_CRASHED")[0]
    assert (note.about, note.text) == ({"code": "actor_crashed"}, "KeyError")
    assert crash["meta"]["work"] == f"job reconcile {note.reconcile_id}"
    assert note.reconcile_id.startswith("rc-")


class LockedStore(MemoryStore):
    """A store that takes nothing any more."""

    def journal(self, *_: Any) -> None:
        """Refuse."""
        message = "the store is locked"
        raise StoreRefused(message)


def test_a_store_that_cannot_be_written_is_told() -> None:
    ran = run(store=LockedStore(), strategy=WORK)
    note = alerts_of(ran.kept, "ALERT_IDEMPOTENCY_PERSISTENCE_FAILED")[0]
    assert (note.severity, note.text, note.raised) == ("critical", "the store is locked", 1)
    assert (note.run_id, ran.result.fail_code) == ("small-seed0", "storage_failed")
    raised = len(ran.kept.audited("ALERT_IDEMPOTENCY_PERSISTENCE_FAILED"))
    told = len(alerts_of(ran.kept, "ALERT_IDEMPOTENCY_PERSISTENCE_FAILED"))
    assert raised >= told == 1, "the audit has every one, people get one"


def test_a_trip_is_told_even_when_it_is_the_last_word_of_the_session() -> None:
    """An order that nobody could cancel: the trip comes with the session's end, after which no step runs."""
    with Stage(cancel=[stays_silent] * 200, query=[stays_silent] * 200) as stage:
        stage.submit("d1")
        result = stage.stop()
        note = the_alert(stage.kept, "ALERT_SAFETY_RAIL_TRIPPED")
    assert result.status == "FAILED"
    assert note.about == {"code": result.fail_code}
    assert note.counts == {"trips": 1}


@pytest.mark.parametrize(
    ("name", "about", "severity"),
    [
        (
            "ALERT_SLIPPAGE_PRESET_MISSING",
            {"decision_id": "d-1", "symbol": BTC, "session": "london", "missing": 1},
            "warning",
        ),
        (
            "ALERT_BROKER_LIMIT_MISMATCH",
            {"reconcile_id": "rc-1", "limit": "max_order_quantity", "ours": "10", "theirs": "5", "mismatches": 1},
            "error",
        ),
    ],
)
def test_what_other_parts_raise_goes_the_same_way(name: str, about: dict[str, object], severity: str) -> None:
    with Stage() as stage:
        stage.session.orchestrator.record.alert(name, about)
        stage.tell()
        note = the_alert(stage.kept, name)
    assert (note.decision_id or note.reconcile_id) in ("d-1", "rc-1")
    assert (note.severity, sum(note.counts.values())) == (severity, 1)
    assert note.about == {
        key: value for key, value in about.items() if key in ("symbol", "session", "limit", "ours", "theirs")
    }


def test_an_alert_that_goes_on_is_written_down_each_time_and_told_once_a_window() -> None:
    with Stage(alerts={"dedupe_window_s": 900}) as stage:
        for _ in range(10):
            stage.session.orchestrator.record.alert("ALERT_SLIPPAGE_PRESET_MISSING", {"symbol": BTC})
            stage.wait(100)
        [first, second] = alerts_of(stage.kept, "ALERT_SLIPPAGE_PRESET_MISSING")
    assert len(stage.kept.audited("ALERT_SLIPPAGE_PRESET_MISSING")) == 10
    assert (first.raised, second.raised, second.repeats) == (1, 10, 8)


# -- never in the way -------------------------------------------------------------------------------------------


class Misbehaving:
    """A sink that is slow, fails, fails again and then raises what no sink should."""

    opens_sockets = False
    name = "misbehaving"
    timeout_s = 5.0

    def __init__(self) -> None:
        self.calls = 0

    async def deliver(self, note: AlertNote, ctx: Context) -> None:
        """Do worse each time."""
        self.calls += 1
        if self.calls % 4 == 1:
            await ctx.sleep(1e6)
        if self.calls % 4:
            raise AlertNotTaken("no")
        raise ZeroDivisionError


def a_rough_day(sinks: tuple[AlertSink, ...], scheduler: Scheduler, seed: int, raises: int = 1) -> Ran:
    """Run a day with alerts all along, told to these sinks."""
    rules = [
        {"fault": "timeout_after", "permille": 200, "calls": ["place"]},
        {"fault": "partial_fills", "permille": 500},
    ]
    config = a_config(
        session={"seed": seed, "scheduler": scheduler},
        strategy=a_day(),
        broker={"faults": {"rules": rules}},
        alerts={"dedupe_window_s": 0, "rate_max": 1000},
    )
    kept = Kept()
    recorder = a_recorder(kept, config, Parts(config).start_ns)
    recorder.alert_sinks = sinks
    with SteppedSession(config, recorder) as session:
        while session.run_n_steps(50).reason == "limit":
            for _ in range(raises):
                session.orchestrator.record.alert("ALERT_SLIPPAGE_PRESET_MISSING", {"symbol": BTC})
        return Ran(session, session.finish(), kept)


@pytest.mark.parametrize("scheduler", ["fifo", "random"])
@pytest.mark.parametrize("seed", range(3))
def test_no_sink_however_bad_changes_an_order_a_fill_or_a_choice(scheduler: Scheduler, seed: int) -> None:
    """Told at the same simulated instants, so that the sessions can be held against each other."""
    bad = Misbehaving()
    well, rough = a_rough_day((), scheduler, seed, 0), a_rough_day((bad,), scheduler, seed)
    assert bad.calls > 5
    assert (rough.result.status, rough.result.view.trips) == (well.result.status, ()) == ("COMPLETED", ())
    assert rough.counters["alerts_total|ALERT_SINK_FAILED"] >= 1
    ours = [name for name in rough.session.schedule.tape() if not name.startswith("jitter.alert.")]
    assert {name: rough.session.schedule.tape()[name] for name in ours} == well.session.schedule.tape()
    for event_type in ("ORDER_STATE", "FILL", "RECONCILE", "SESSION_STATE"):
        assert [
            (event["ts_sim"], event["payload"]) for event in rough.kept.events if event["event_type"] == event_type
        ] == [(event["ts_sim"], event["payload"]) for event in well.kept.events if event["event_type"] == event_type]


def test_a_full_mailbox_drops_and_counts_and_the_audit_has_everything() -> None:
    with Stage(sinks={"mailbox_data": 4}, alerts={"dedupe_window_s": 0, "rate_max": 1000}) as stage:
        for _ in range(10):
            stage.session.orchestrator.record.alert("ALERT_SLIPPAGE_PRESET_MISSING", {"symbol": BTC})
        stage.tell()
        assert len(stage.kept.audited("ALERT_SLIPPAGE_PRESET_MISSING")) == 10
        assert len(stage.kept.alerts) == 4
        assert stage.counters["alerts_dropped_total|mailbox"] == 6
        assert stage.stop().status == "COMPLETED"


def test_what_was_never_told_is_said_at_the_end() -> None:
    config = a_config(strategy=WORK)
    kept = Kept()
    recorder = a_recorder(kept, config, Parts(config).start_ns)
    recorder.alert_sinks = (Misbehaving(),)
    with SteppedSession(config, recorder) as session:
        assert session.run_n_steps(STEPS).reason == "stopped"
        session.orchestrator.record.alert("ALERT_SLIPPAGE_PRESET_MISSING", {"symbol": BTC})
        assert session.finish().status == "COMPLETED"
        session.finish()
    [record] = kept.audited("ALERTS_NOT_DELIVERED")
    assert record["meta"] == {"misbehaving": 1}


@pytest.mark.spec("RT-8")
def test_an_alert_actor_that_is_broken_itself_trips_once_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trip raises an alert, and each alert would be one more crash."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(AlertSieve, "judge", broken)
    with Stage() as stage:
        stage.session.orchestrator.record.alert("ALERT_SLIPPAGE_PRESET_MISSING", {"symbol": BTC})
        result = stage.end()
    assert (result.status, result.view.trips) == ("FAILED", ("actor_crashed",))
    assert [record["meta"]["actor"] for record in stage.kept.audited("ACTOR_CRASHED")] == ["alerts", "alerts"]


# -- the folder of a run ----------------------------------------------------------------------------------------


@pytest.mark.spec("ALT-2", "ART-6")
def test_a_run_with_alerts_has_them_in_its_folder_and_in_the_log_and_its_replay_agrees(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "interlock")
    outcome = run_dryrun_config(loaded_file("trip.yaml"), out=tmp_path)
    assert sorted(contents(outcome.folder)) == sorted([*ARTIFACTS, ALERTS])
    [line] = [json.loads(line) for line in (outcome.folder / ALERTS).read_text().splitlines()]
    assert (line["alert"], line["about"]["code"]) == ("ALERT_SAFETY_RAIL_TRIPPED", "fill_conflict")
    assert [record.levelname for record in caplog.records if "actor='alerts'" in record.message] == ["CRITICAL"]
    assert replay_run(outcome.folder).difference is None


@pytest.mark.spec("ART-6")
@pytest.mark.parametrize("edit", ["changed", "missing", "longer"])
def test_a_replay_finds_alerts_that_were_changed(tmp_path: Path, edit: str) -> None:
    folder = run_dryrun_config(loaded_file("trip.yaml"), out=tmp_path).folder
    text = (folder / ALERTS).read_text()
    (folder / ALERTS).unlink()
    if edit != "missing":
        (folder / ALERTS).write_text(text.replace("fill_conflict", "nothing") if edit == "changed" else text * 2)
    difference = replay_run(folder).difference
    assert difference is not None
    assert (difference.file, difference.line) == (ALERTS, 2 if edit == "longer" else 1)


def test_a_run_without_alerts_has_no_such_file(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    assert sorted(contents(folder)) == sorted(ARTIFACTS)


def test_a_run_with_alerts_can_be_replaced(tmp_path: Path) -> None:
    first = run_dryrun_config(loaded_file("trip.yaml"), out=tmp_path).folder
    before = contents(first)
    assert contents(run_dryrun_config(loaded_file("trip.yaml"), out=tmp_path, replace=True).folder) == before


def test_a_disk_that_takes_no_alerts_changes_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    well = run_dryrun_config(loaded_file("trip.yaml"), out=tmp_path / "well")
    monkeypatch.setattr("interlock.runtime.run_folder._open_raw", SmallDisk(10, ALERTS))
    full = run_dryrun_config(loaded_file("trip.yaml"), out=tmp_path / "full")
    assert (full.exit_code, full.result.view) == (well.exit_code, well.result.view)
    assert full.metrics["positions"] == well.metrics["positions"]
    audit = (full.folder / "audit.jsonl").read_text()
    assert audit.count('"code":"ALERT_SINK_FAILED"') == 1
    assert "No space left on device" in audit
    assert full.metrics["counters"]["alerts_delivered_total|log"] == 2
