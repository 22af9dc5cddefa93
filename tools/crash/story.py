"""A story as data, and as it is run: one broker, one store, children one after the other, and what they left.

Between two children time passes, and the market moves on while nobody listens. Where the kill switch is set, the
harness is the operator: it looks whether that stop was legitimate, leaves the switch for the next child to find every
other time, and then releases it. Legitimate are the trip that the plan asks for (``fill_conflict``), a disk that
failed, and a broker that, by the plan, could not be asked at the start or the end. Everything else is a complaint.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.instants import to_ns
from interlock.domain.session_states import SessionState
from interlock.runtime.seeds import SeededStreams
from interlock.runtime.sqlite_store import SqliteStore
from tools.crash.broker import BrokerBook, serve
from tools.crash.disk import DiskFault
from tools.crash.evidence import Evidence, gathered
from tools.crash.invariants import broken
from tools.crash.life import Life, Report, Target
from tools.crash.plan import ROUGH, Plan
from tools.crash.processes import KILLED, forked, lived
from tools.crash.wire import Calm, Line, Mark, Stop, Tick
from tools.crash.workload import PRICES, START_NS, opening, script

__all__ = ["Story", "Tally", "run_story"]

_ORDERS: Final = 10
_GAP_MAX_S: Final = 200
_TICKS_MAX: Final = 20
_COMPLAINTS_MAX: Final = 12
_FAILED: Final = ("storage_failed", "store_failed", "actor_crashed")
_PLANNED: Final = ("fill_conflict", "C2_REJECT_KILL_SWITCH")


class Story(msgspec.Struct, frozen=True):
    """What happens in one story: how each child but the last is to die, and what goes wrong besides.

    A child with neither target nor disk fault lives to its end. The last child, after them, runs in calm.
    """

    seed: int
    ends: tuple[Target | DiskFault | None, ...]
    plan: Plan = ROUGH
    grouped: bool = False
    ttl_s: int = 120
    pages: int = 60
    orders: int = _ORDERS
    gap_s: int = 0
    """How long nobody lives between two children; 0: drawn."""
    resting: bool = False
    """Whether its orders stay open until somebody cancels them."""
    plant: str = ""


class Tally(msgspec.Struct):
    """What came of stories: deaths by place, what was checked, and what was broken."""

    kills: Counter[str] = msgspec.field(default_factory=Counter)
    failures: Counter[str] = msgspec.field(default_factory=Counter)
    """Disks that failed, by call."""
    missed: Counter[str] = msgspec.field(default_factory=Counter)
    """Places that a child did not come by as often as it would have had to."""
    stops: Counter[str] = msgspec.field(default_factory=Counter)
    """Legitimate stops, by reason."""
    children: int = 0
    recoveries: int = 0
    orders: int = 0
    fills: int = 0
    checks: int = 0
    complaints: list[str] = msgspec.field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take another one in."""
        for mine, theirs in ((self.kills, other.kills), (self.failures, other.failures), (self.missed, other.missed)):
            mine.update(theirs)
        self.stops.update(other.stops)
        self.children += other.children
        self.recoveries += other.recoveries
        self.orders += other.orders
        self.fills += other.fills
        self.checks += other.checks
        self.complaints += other.complaints


def run_story(story: Story, folder: Path) -> Tally:
    """Run one story in an empty folder of its own and return what came of it."""
    return _Told(story, folder).run()


class _Told:
    """One story on its way."""

    def __init__(self, story: Story, folder: Path) -> None:
        self._story = story
        self._store = folder / "s.sqlite3"
        self._aside = folder / "aside"
        self._address = folder / "broker"
        self._draws = SeededStreams(story.seed)
        self._now_ns = START_NS
        self._tally = Tally()
        self._head = 0, ""

    def run(self) -> Tally:
        """Run it to its end, or to the first thing that is broken."""
        book = BrokerBook(opening(), dict(PRICES), self._story.plan, self._story.seed)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(self._address))
            listener.listen()
            pid, _ = forked(lambda _: serve(listener, book))
        try:
            self._live_all()
        finally:
            with Line(self._address) as line:
                line.tell(Stop(0))
            os.waitpid(pid, 0)
        return self._tally

    def _live_all(self) -> None:
        for number, end in enumerate(self._story.ends):
            self._child(number, end)
            if self._tally.complaints:
                return
            self._meanwhile()
        with Line(self._address) as line:
            line.call(Calm(self._now_ns))
        self._child(len(self._story.ends), None, last=True)

    # -- one child ------------------------------------------------------------------------------------------

    def _child(self, number: int, end: Target | DiskFault | None, *, last: bool = False) -> None:
        story, tally = self._story, self._tally
        life = Life(
            number=number,
            store=self._store,
            broker=self._address,
            start_ns=self._now_ns,
            steps=script(story.seed, number, story.orders, resting=story.resting),
            ttl_s=story.ttl_s,
            grouped=story.grouped,
            pages=story.pages,
            target=end if isinstance(end, Target) else None,
            disk=end if isinstance(end, DiskFault) else None,
            plant=story.plant,
        )
        report, code = lived(life)
        tally.children += 1
        killed = code == KILLED
        if report is not None:
            tally.complaints += report.complaints
            tally.recoveries += report.recovered
        if isinstance(end, Target):
            (tally.kills if killed else tally.missed)[end.point.value] += 1
        evidence = self._look(at_rest=report is not None and report.status == "COMPLETED")
        if last:
            tally.orders, tally.fills = len(evidence.there.accepted), len(evidence.executions)
        if report is not None:
            tally.complaints += self._judged(report, evidence, end, last=last)
        elif not killed:
            tally.complaints.append(f"child {number} died of itself, with {code}")
        # A slow operator leaves it for the next child to find, unless that one has to trade.
        at_once = isinstance(end, DiskFault) or number + 1 >= len(story.ends)
        if evidence.switch and not self._may_be(evidence):
            tally.complaints.append(f"stop: the kill switch is set for {evidence.switch}")
        if evidence.switch and (at_once or self._draws.below(2, "operator")):
            self._reset()

    def _look(self, *, at_rest: bool) -> Evidence:
        with Line(self._address) as line:
            there = line.book(self._now_ns)
        self._now_ns = max(self._now_ns, there.now_ns)
        evidence = gathered(self._store, self._aside, there, at_rest=at_rest)
        self._tally.complaints += broken(evidence)[:_COMPLAINTS_MAX]
        self._tally.checks += 1
        sequence, chain = self._head
        if sequence and (len(evidence.entries) < sequence or evidence.entries[sequence - 1].record.chain != chain):
            self._tally.complaints.append(f"I9: the journal up to record {sequence} is not what it was")
        if evidence.entries:
            self._head = evidence.entries[-1].record.sequence, evidence.entries[-1].record.chain
        return evidence

    def _judged(self, report: Report, evidence: Evidence, end: Target | DiskFault | None, *, last: bool) -> list[str]:
        """Return what speaks against how a child ended that was not killed."""
        if isinstance(end, DiskFault):
            if report.struck:
                self._tally.failures[end.call.value] += 1
                # Failing in the very last commit, of the mark that the session has ended, it has nothing to stop.
                completed = report.status == "COMPLETED"
                stopped = report.struck == SessionState.STOPPED if completed else evidence.switch
                stopped = stopped or report.status == "REFUSED"
                return [] if stopped else [f"stop: the disk failed, and the session ended {report.status}"]
            self._tally.missed[end.call.value] += 1
        if report.status == "COMPLETED":
            return []
        if last or report.status == "REFUSED" or not (report.reason in _PLANNED or _unasked(evidence)):
            return [f"stop: a session ended {report.status} for {report.reason}"]
        self._tally.stops[report.reason] += 1
        return []

    def _may_be(self, evidence: Evidence) -> bool:
        """Return whether the kill switch is set for something that this story asks for."""
        failing = any(isinstance(end, DiskFault) for end in self._story.ends)
        wanted = (*_PLANNED, *(_FAILED if failing else ()))
        return evidence.switch in wanted or _unasked(evidence)

    # -- between two children -------------------------------------------------------------------------------

    def _reset(self) -> None:
        with SqliteStore(self._store, owner="the operator", ttl_s=self._story.ttl_s) as store:
            store.reset_kill_switch("the harness", "looked at it", self._now_ns)
        with Line(self._address) as line:
            line.call(Mark(self._now_ns, "reset"))

    def _meanwhile(self) -> None:
        """Let time pass and the market move while nobody lives."""
        gap_s = self._story.gap_s or 1 + self._draws.below(_GAP_MAX_S, "gap")
        self._now_ns += to_ns(gap_s)
        with Line(self._address) as line:
            line.call(Tick(self._now_ns, self._draws.below(_TICKS_MAX, "ticks")))


def _unasked(evidence: Evidence) -> bool:
    """Return whether the broker, by the plan, could not be asked in the last run: then a stop is what is wanted."""
    run = evidence.runs[-1] if evidence.runs else ()
    unavailable = any(told.code == "RECON_SUMMARY" and told.meta.get("result") == "unavailable" for told in run)
    return unavailable or any(told.code == "EXECUTIONS_NOT_FETCHED" for told in run)
