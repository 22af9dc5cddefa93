"""From a finding of the explorer to what its report shows: the run is made again, and watched through every kill.

What was said is taken from the log that an explored run can be given; messages and both books come from the tracer, as
in the replay of a folder. The last row is the invariant that broke, if one still does.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from interlock.domain.instants import rfc3339
from interlock.explore.again import run_again
from interlock.explore.finding_file import Finding
from interlock.explore.follower import Follower
from interlock.report.collect import shown
from interlock.report.events import Event, alerts_of, findings_of, lanes_of, trips_of
from interlock.report.model import ReportData, Row
from interlock.report.trace import OUTSIDE, Trace
from interlock.runtime.recorder import EVENT_SCHEMA
from interlock.runtime.redaction import scrub
from interlock.sessions import SteppedSession

__all__ = ["collect_finding"]

_EVENT_FIELDS: Final = 4
"""What the log of an explored run says of an event: when, who, what, about what. Audit lines and states have others."""


class _Watch(Follower):
    """Shows each session of the run to the trace, and takes down every event."""

    wants_steps = True

    def __init__(self) -> None:
        self.trace = Trace()
        self.events: list[Event] = []
        self.start_ns = 0
        self.names = "", ""
        self._sessions = 0
        self._step = 0
        self._now_ns = 0

    def begins(self, session: SteppedSession) -> None:
        """Attach to a session; after the first one, where a kill has ended the last."""
        if not self._sessions:
            self.start_ns = session.start_ns
            self.names = session.config.run_id, session.config.session.strategy_id
        else:
            t_ns = self._now_ns - self.start_ns
            text = "the process is killed here, and the next one begins"
            self.trace.rows.append(Row(self._step, t_ns, "orchestrator", "", "fault", "KILLED", "", text))
        self._sessions += 1
        self.trace.begins(session)

    def stepped(self, step: int, now_ns: int, said: deque[tuple[object, ...]]) -> None:  # noqa: ARG002 - the log has it
        """Let the trace look at one step."""
        self._step, self._now_ns = step, now_ns
        self.trace.stepped()

    def update(self, data: bytes, /) -> None:
        """Take one entry of the log."""
        entry: list[Any] = msgspec.json.decode(data)
        if len(entry) != _EVENT_FIELDS:
            return
        now_ns, actor, event_type, payload = entry
        run_id, strategy_id = self.names
        number, ts_sim = len(self.events) + 1, now_ns - self.start_ns
        self.events.append(
            Event(actor, event_type, payload, run_id, EVENT_SCHEMA, number, strategy_id, ts_sim, rfc3339(now_ns))
        )


def collect_finding(finding: Finding) -> ReportData:
    """Return what the report of a finding shows."""
    watch = _Watch()
    again = run_again(finding, watch, watch)
    trace, events = watch.trace, watch.events
    trace.stepped()
    end_ns = again.outcome.simulated_ns
    failure = again.outcome.failure
    if failure is not None:
        text = scrub(failure.text)
        trace.rows.append(Row(failure.step, end_ns, OUTSIDE, "", "fault", f"BROKEN {failure.invariant}", "", text))
    lanes = lanes_of(events)
    facts = [
        ("run", scrub(watch.names[0])),
        ("status", scrub(again.text)),
        ("found", f"{finding.failure.invariant} at step {finding.failure.step:,}"),
        ("seed", "" if finding.seed is None else str(finding.seed)),
        ("began", rfc3339(watch.start_ns)),
        ("steps", str(again.outcome.steps)),
        ("kills", str(again.outcome.crashes)),
        ("orders", str(len(lanes))),
    ]
    notes = [] if again.broken else ["Nothing breaks any more: this is how the run goes now."]
    if trace.rows.dropped:
        notes.append(f"The chart leaves out {trace.rows.dropped:,} rows in the middle; tables and orders are whole.")
    told = frozenset((event.word("alert"), event.ts_utc) for event in events)
    return ReportData(
        facts=[(name, value) for name, value in facts if value],
        notes=notes,
        rows=shown(trace.rows, events, lanes),
        gap=(len(trace.rows.head), trace.rows.dropped),
        orders=lanes,
        ours=trace.ours.points,
        theirs=trace.theirs.points,
        findings=findings_of(events),
        alerts=alerts_of(events, told),
        trips=trips_of(events),
        end_ns=end_ns,
    )
