"""What a report knows of a run: everything from a replay, or what the event log alone can tell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from interlock.domain.errors import BadInput, UnknownSchema
from interlock.dryrun import run_dryrun_config
from interlock.report.collect import collect
from interlock.report.model import Capped, ReportData, Row
from tests.report.report_builders import CASH, event_line, played
from tests.run_builders import a_loaded, loaded_file

RACE = "cancel_fill_unknown_order"

pytestmark = pytest.mark.spec("OBS-7")


def kinds(data: ReportData, order: str) -> list[str]:
    """Return the types of an order's rows between broker and orchestrator, faults and books, in their order."""
    return [row.kind for row in data.rows if row.order == order and "broker" in (row.sender, row.to)]


def events_alone(tmp_path: Path, *lines: str) -> ReportData:
    """Collect from a log made by hand."""
    (tmp_path / "events.jsonl").write_text("".join(lines), encoding="utf-8")
    return collect(tmp_path)


# -- from a replay ------------------------------------------------------------------------------------------


def test_the_cancel_race_has_the_fill_between_the_cancel_and_its_answer(tmp_path: Path) -> None:
    data = collect(played(RACE, tmp_path))
    [lane] = data.orders
    assert kinds(data, lane.key) == [
        "PlaceOrder",
        "Accepted",
        "CancelOrder",
        "FAULT",
        "FAULT",
        "Broker books a fill",
        "CancelRefused",
        "FAULT",
        "QueryOrder",
        "BrokerOrder",
    ]
    assert data.notes == []


def test_rows_rise_in_step_and_time_and_every_event_is_among_them(demo: Path, demo_data: ReportData) -> None:
    data = demo_data
    places = [(row.step, row.t_ns) for row in data.rows]
    assert places == sorted(places)
    events = len((demo / "events.jsonl").read_bytes().splitlines())
    assert [row.seq for row in data.rows if row.seq] == list(range(1, events + 1))
    assert sum(row.way == "fault" for row in data.rows) == int(dict(data.facts)["faults"]) > 100
    assert {row.way for row in data.rows} >= {"data", "reply", "control", "answer", "fault", "book", "event"}


def test_an_event_stands_with_the_step_whose_message_caused_it(tmp_path: Path) -> None:
    rows = collect(played(RACE, tmp_path)).rows
    for at, row in enumerate(rows):
        if row.kind == "ORDER_STATE" and "SENT → ACK" in row.text:
            assert (rows[at - 1].kind, rows[at - 1].step) == ("PlaceDone Accepted", row.step)


def test_most_faults_of_a_day_are_put_to_an_order(demo_data: ReportData) -> None:
    faults = [row for row in demo_data.rows if row.way == "fault"]
    struck = [row for row in faults if row.order]
    assert len(struck) > 0.9 * sum("symbol=" in row.text for row in faults)


def test_both_books_end_where_the_run_ended(demo: Path, demo_data: ReportData) -> None:
    metrics = json.loads((demo / "metrics.json").read_bytes())
    data = demo_data
    assert {name: points[-1][1] for name, points in data.ours.items()} == {
        **metrics["positions"],
        CASH: metrics["cash"],
    }
    assert {name: points[-1][1] for name, points in data.theirs.items()} == {
        name: points[-1][1] for name, points in data.ours.items()
    }
    assert data.ours != data.theirs, "ours is always a little later"


def test_a_book_that_changes_behind_our_back_parts_from_ours(tmp_path: Path) -> None:
    faults = {"rules": [{"fault": "cash_off", "nth": [1], "amount": "7"}]}
    folder = run_dryrun_config(a_loaded(broker={"faults": faults}, strategy={"linger_s": 30}), out=tmp_path).folder
    data = collect(folder)
    [changed] = [row for row in data.rows if row.kind == "Broker's book changes"]
    assert changed.text.startswith("cash=")
    assert float(data.ours[CASH][-1][1]) - float(data.theirs[CASH][-1][1]) == 7


def test_findings_alerts_and_trips_are_all_there_and_point_at_their_rows(tmp_path: Path) -> None:
    data = collect(played("same_fill_two_ids", tmp_path))
    assert sorted({finding.kind for finding in data.findings}) == ["cash_mismatch", "fill_duplicated", "position_drift"]
    assert len(data.findings) == 6
    assert [(alert.alert, alert.told) for alert in data.alerts] == [
        ("ALERT_RECONCILE_DIVERGENCE", True),
        ("ALERT_SAFETY_RAIL_TRIPPED", True),
        ("ALERT_RECONCILE_DIVERGENCE", False),
        ("ALERT_SAFETY_RAIL_TRIPPED", False),
    ]
    assert [trip.code for trip in data.trips] == ["reconcile_divergence"] * 2
    assert ("findings", "3") in data.trips[0].evidence
    by_seq = {row.seq: row for row in data.rows if row.seq}
    places = [(told.seq, told.t_ns) for told in data.findings]
    places += [(told.seq, told.t_ns) for told in data.alerts]
    places += [(told.seq, told.t_ns) for told in data.trips]
    assert all(by_seq[seq].t_ns == t_ns for seq, t_ns in places)


def test_a_rejected_session_has_a_report(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(session={"strategy_allowlist": []}), out=tmp_path).folder
    data = collect(folder)
    assert dict(data.facts)["status"] == "REJECTED"
    assert data.notes == []
    assert data.orders == []


def test_the_folder_is_only_read(tmp_path: Path) -> None:
    folder = played(RACE, tmp_path)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    collect(folder)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


# -- from the events alone ----------------------------------------------------------------------------------


def test_a_run_on_a_used_store_is_drawn_from_its_events_and_says_so(tmp_path: Path) -> None:
    store = tmp_path / "demo.sqlite3"
    for name in ("one", "two"):
        loaded = loaded_file("demo.yaml", seed=7, run_id=name, duration_s=600)
        folder = run_dryrun_config(loaded, out=tmp_path, store_path=store).folder
    data = collect(folder)
    assert data.notes[0].startswith("Drawn from the event log alone: messages, steps and the broker's own book are not")
    assert "A replay differs" in data.notes[0]
    assert data.theirs == {}
    assert {row.way for row in data.rows} <= {"event", "fault"}


def test_a_recording_that_is_gone_is_said_without_the_way_to_the_folder(tmp_path: Path, shared_samples: Path) -> None:
    recording = tmp_path / "fills.jsonl"
    shutil.copy(shared_samples / "hyperliquid_user_fills.jsonl", recording)
    folder = run_dryrun_config(loaded_file("recording.yaml"), out=tmp_path, recording_path=recording).folder
    whole = collect(folder)
    assert (whole.notes, len(whole.findings)) == ([], 1)
    moved = recording.rename(tmp_path / "elsewhere.jsonl")
    alone = collect(folder)
    assert "is not there" in alone.notes[0]
    assert str(folder.parent) not in alone.notes[0].replace(str(recording), "")
    assert alone.orders == whole.orders
    assert [finding.kind for finding in alone.findings] == [finding.kind for finding in whole.findings]
    assert collect(folder, recording_path=moved) == whole


def test_a_manifest_of_another_release_is_no_obstacle(tmp_path: Path) -> None:
    folder = played("same_fill_two_ids", tmp_path)
    manifest = folder / "run.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"INTERLOCK_RUN_V1", b"INTERLOCK_RUN_V9"))
    data = collect(folder)
    assert "INTERLOCK_RUN_V9" in data.notes[0]
    assert len(data.findings) == 6
    assert [point[1] for point in data.ours["BTC/EUR"]] == ["0", "0.5", "1"]


def test_a_log_without_anything_else_is_enough(tmp_path: Path) -> None:
    data = events_alone(
        tmp_path,
        event_line(1, "ORDER_STATE", client_order_id="k", symbol="X", side="BUY", quantity="2", to="SENT", filled="0"),
        event_line(2, "FAULT", actor="broker", fault="timeout_after", symbol="X", call="place"),
        event_line(3, "NEW_KIND", actor="somebody", colour="blue"),
    )
    assert [(row.kind, row.sender, row.text) for row in data.rows][1:] == [
        ("FAULT", "broker", "timeout_after symbol=X call=place"),
        ("NEW_KIND", "somebody", "colour=blue"),
    ]
    assert data.orders[0].spans[0].state == "SENT"


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"{\n", r"events\.jsonl:1: is damaged"),
        (event_line(1, "ALERT").encode() + b'{"actor": 1}\n', r"events\.jsonl:2: is damaged"),
        (event_line(1, "ALERT").encode()[:-1], r"events\.jsonl:1: .*half-written"),
        (b"[" * 200_000 + b"\n", r"events\.jsonl:1: is damaged"),
    ],
)
def test_a_damaged_log_is_named_by_its_line(tmp_path: Path, raw: bytes, complaint: str) -> None:
    (tmp_path / "events.jsonl").write_bytes(raw)
    with pytest.raises(BadInput, match=complaint):
        collect(tmp_path)


def test_a_log_of_another_release_is_refused(tmp_path: Path) -> None:
    line = event_line(1, "ALERT").replace("C2_DRYRUN_V1", "C2_DRYRUN_V7")
    with pytest.raises(UnknownSchema, match="C2_DRYRUN_V7"):
        events_alone(tmp_path, line)


@pytest.mark.parametrize("payload", [{"fault": None}, {}, {"fault": ["x"], "symbol": {"a": 1}}])
def test_a_strange_payload_is_shown_as_it_is(tmp_path: Path, payload: dict[str, Any]) -> None:
    data = events_alone(tmp_path, event_line(1, "FAULT", **payload), event_line(2, "ORDER_STATE", **payload))
    assert [row.kind for row in data.rows] == ["FAULT", "ORDER_STATE"]


# -- limits -------------------------------------------------------------------------------------------------


def test_a_capped_list_keeps_its_beginning_and_its_end() -> None:
    kept: Capped[int] = Capped(5)
    for number in range(20):
        kept.append(number)
    assert kept.all() == [0, 1, 17, 18, 19]
    assert kept.dropped == 15


def test_a_run_with_too_many_messages_says_how_many_rows_are_missing(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.report.trace.ROWS_MAX", 100)
    data = collect(demo)
    index, dropped = data.gap
    assert (len(data.rows), index) == (100, 50)
    assert data.notes == [f"The chart leaves out {dropped:,} rows in the middle; tables and orders are whole."]
    assert isinstance(data.rows[index], Row)
    assert data.rows[-1].t_ns == data.end_ns
    assert len(data.orders) == int(dict(data.facts)["orders"]) == 441
