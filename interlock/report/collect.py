"""From the folder of a run to what its report shows.

The run is replayed with a tracer attached, which tells what no artifact holds: the messages and the broker's own
book. Where that is not possible, or brings another run, the report is drawn from the events alone and says so first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from interlock.domain.errors import BadInput, StorageError
from interlock.dryrun import Progress, replay_run
from interlock.recon.history import read_history
from interlock.report.events import (
    Event,
    alerts_of,
    finding_of,
    findings_of,
    lanes_of,
    read_events,
    row_of,
    traded,
    trips_of,
)
from interlock.report.faults import with_orders
from interlock.report.model import Capped, Finding, OrderLane, ReportData, Row
from interlock.report.trace import ROWS_MAX, Trace
from interlock.runtime.redaction import scrub
from interlock.runtime.run_folder import ALERTS

__all__ = ["collect", "shown"]

_ALONE: Final = "Drawn from the event log alone: messages, steps and the broker's own book are not shown."
_TABLE_MAX: Final = 5_000
_FILE_BYTES_MAX: Final = 1 << 24


class _Figures(msgspec.Struct, frozen=True):
    """What a report takes from ``metrics.json``."""

    status: str = ""
    steps: int = 0
    simulated_ns: int = 0
    fail_code: str = ""
    fail_reason: str = ""


class _ToldAlert(msgspec.Struct, frozen=True):
    """What a report takes from a line of ``alerts.jsonl``."""

    alert: str = ""
    ts_utc: str = ""


def collect(folder: Path, *, recording_path: Path | None = None, progress: Progress | None = None) -> ReportData:
    """Return what the report of the run in ``folder`` shows; ``folder`` is only read.

    Raises:
        BadInput: there is no event log, or it is damaged.
    """
    events = read_events(folder)
    trace, why = _replayed(folder, recording_path, progress)
    if trace is None:
        rows: Capped[Row] = Capped(ROWS_MAX)
        for event in events:
            rows.append(row_of(event, 0))
        notes = [f"{_ALONE} {why}"]
        ours, theirs, findings = traded(events), {}, findings_of(events)
        if ours:
            notes.append("Positions are what was bought less what was sold since the beginning.")
    else:
        rows, notes = trace.rows, []
        ours, theirs, findings = trace.ours.points, trace.theirs.points, _findings(folder, events)
        if trace.ours.cut or trace.theirs.cut:
            notes.append("The books changed more often than the page can hold: their later changes are not shown.")
    if rows.dropped:
        notes.append(f"The chart leaves out {rows.dropped:,} rows in the middle; tables and orders are whole.")
    lanes, found = lanes_of(events), findings
    alerts, trips = alerts_of(events, _told(folder)), trips_of(events)
    for name, items in (("orders", lanes), ("findings", found), ("alerts", alerts), ("trips", trips)):
        if len(items) > _TABLE_MAX:
            notes.append(f"Of {len(items):,} {name} the first {_TABLE_MAX:,} are shown.")
    facts, end_ns = _facts(folder, events, lanes, whole=trace is not None)
    return ReportData(
        facts=facts,
        notes=notes,
        rows=shown(rows, events, lanes),
        gap=(len(rows.head), rows.dropped),
        orders=lanes[:_TABLE_MAX],
        ours=ours,
        theirs=theirs,
        findings=found[:_TABLE_MAX],
        alerts=alerts[:_TABLE_MAX],
        trips=trips[:_TABLE_MAX],
        end_ns=end_ns,
    )


def _replayed(folder: Path, recording_path: Path | None, progress: Progress | None) -> tuple[Trace | None, str]:
    """Return what a replay showed, or why there is none."""
    trace = Trace()
    try:
        outcome = replay_run(folder, recording_path=recording_path, progress=progress, witness=trace)
    except BadInput as error:
        # Without the way to the folder: the same run makes the same page wherever it is.
        return None, f"It cannot be replayed: {scrub(str(error).replace(str(folder), folder.name))}"
    except StorageError:
        return None, "It cannot be replayed: there is no room for a second copy."
    if outcome.difference is None:
        return trace, ""
    release = f" (written by release {outcome.package_version})" if outcome.newer else ""
    return None, f"A replay differs, as that of a run on a used store does{release}: {outcome.difference}"


def shown(rows: Capped[Row], events: Sequence[Event], lanes: Sequence[OrderLane]) -> list[Row]:
    """Return the rows, those of events with what the log says about them, those of faults with their order."""
    filled = (row_of(events[row.seq - 1], row.step) if row.seq and not row.kind else row for row in rows.all())
    faults = (event for event in events if event.event_type == "FAULT")
    struck = {event.seq: (event.word("symbol"), event.word("call")) for event in faults}
    return with_orders(filled, struck, {lane.key: lane.symbol for lane in lanes})


def _findings(folder: Path, events: Sequence[Event]) -> list[Finding]:
    """Return every finding of every reconcile, from the audit log: the events hold only the top ones."""
    places: dict[str, Event] = {}
    for event in events:
        if event.event_type in ("RECONCILE", "RECON_DIFF"):
            places.setdefault(event.word("reconcile_id") or event.word("run_id"), event)
    found: list[Finding] = []
    for summary, diff in read_history(run=folder).diffs:
        at = places.get(summary.run_id)
        told: dict[str, Any] = msgspec.to_builtins(diff)
        found.append(finding_of(told, 0 if at is None else at.ts_sim, 0 if at is None else at.seq))
    return found


def _told(folder: Path) -> frozenset[tuple[str, str]]:
    """Return the alerts that people were told, by name and time; nothing where the file cannot be read."""
    decode = msgspec.json.Decoder(_ToldAlert).decode
    try:
        lines = _bounded(folder / ALERTS).splitlines()
        return frozenset((told.alert, told.ts_utc) for told in map(decode, lines))
    except (OSError, msgspec.DecodeError):
        return frozenset()


def _facts(
    folder: Path, events: Sequence[Event], lanes: Sequence[OrderLane], *, whole: bool
) -> tuple[list[tuple[str, str]], int]:
    """Return the head of the page as (name, value), and when the run ended."""
    states = [event for event in events if event.event_type == "SESSION_STATE"]
    figures = _figures(folder) if whole else _Figures()
    end_ns = max(figures.simulated_ns, events[-1].ts_sim if events else 0)
    counted = {
        name: sum(event.event_type == kind for event in events)
        for name, kind in (("faults", "FAULT"), ("alerts", "ALERT"), ("trips", "TRIP"))
    }
    facts = [
        ("run", scrub(events[0].run_id) if events else ""),
        ("status", scrub(figures.status)),
        ("state", states[-1].word("to") if states else ""),
        ("why", scrub(figures.fail_reason or figures.fail_code)),
        ("began", scrub(events[0].ts_utc) if events else ""),
        ("strategy", scrub(events[0].strategy_id) if events else ""),
        ("steps", str(figures.steps or "")),
        ("orders", str(len(lanes))),
        *((name, str(count)) for name, count in counted.items()),
    ]
    return [(name, value) for name, value in facts if value], end_ns


def _figures(folder: Path) -> _Figures:
    try:
        return msgspec.json.decode(_bounded(folder / "metrics.json"), type=_Figures)
    except (OSError, msgspec.DecodeError):
        return _Figures()


def _bounded(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_FILE_BYTES_MAX)
