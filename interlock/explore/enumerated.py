"""Exhaustive search as a hunt: every schedule of each case, or those up to a number of deviations, with one report."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from interlock.explore.chunk import Found, Tally
from interlock.explore.coverage import Coverage
from interlock.explore.every import explore_every
from interlock.explore.exhaustive import explore_all
from interlock.explore.failure import Failure
from interlock.explore.hunt import Hunted, Quarry
from interlock.explore.plan import RunPlan
from interlock.explore.run import Run, RunOutcome
from interlock.mocks.faults import FaultPlan
from interlock.runtime.clock import RealClock
from interlock.runtime.schedule import Tape

__all__ = ["EVERY_DEPTH", "Enumeration", "enumerate_all"]

EVERY_DEPTH = -1
"""The depth of a search that has no bound on deviations."""

_CRASH_PERMILLE = 500
"""Above nought: an exhaustive search tries both answers, however likely."""

_STEPS_MAX = 2_000


class Enumeration(msgspec.Struct, frozen=True):
    """How many schedules one case has, and what it took to see them; ``complete`` where all were seen.

    ``runs`` went to their end. ``alike`` were left where they became like one of them. ``states`` are those that were
    remembered, in a search without a bound.
    """

    case: str
    schedules: int
    runs: int
    alike: int
    states: int
    complete: bool


class _Sum:
    """What all runs have shown so far."""

    def __init__(self, progress: Callable[[Hunted], None] | None) -> None:
        self._progress = progress
        self._clock = RealClock()
        self._began_ns = self._clock.now_ns()
        self.coverage = Coverage()
        self.tally = Tally()

    def seen(self, outcome: RunOutcome) -> None:
        """Add one run that went to its end."""
        tally = self.tally
        self.coverage.add(outcome.counters)
        self.tally = msgspec.structs.replace(
            tally,
            runs=tally.runs + 1,
            steps=tally.steps + outcome.steps,
            simulated_ns=tally.simulated_ns + outcome.simulated_ns,
            crashes=tally.crashes + outcome.crashes,
            outcomes={**tally.outcomes, outcome.outcome: tally.outcomes.get(outcome.outcome, 0) + 1},
            hits=self.coverage.hits,
        )
        self._tell()

    def seen_or_left(self, run: Run, outcome: RunOutcome | None) -> None:
        """Add one run that may have been left at a known state."""
        if outcome is not None:
            self.seen(outcome)
            return
        self.coverage.add(run.counters)
        self.tally = msgspec.structs.replace(
            self.tally, steps=self.tally.steps + run.session.system.steps, hits=self.coverage.hits
        )
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self.hunted())

    def hunted(self, *, interrupted: bool = False) -> Hunted:
        """Return all of it."""
        return Hunted(self.tally, self._clock.now_ns() - self._began_ns, interrupted)


def enumerate_all(
    quarry: Quarry, progress: Callable[[Hunted], None] | None = None
) -> tuple[Hunted, tuple[Enumeration, ...]]:
    """Run every schedule of every case, or with ``depth`` those with so many deviations at most, in this process.

    Returns what was seen, and how many schedules each case has. A case is not complete where it takes more than
    ``runs`` runs, something broke, or the search was interrupted.
    """
    total = _Sum(progress)
    searched: list[Enumeration] = []
    crash = _CRASH_PERMILLE if quarry.crashes else 0
    for name, settings in quarry.cases.items():
        config = settings if quarry.faults else settings.under(FaultPlan())
        plan = RunPlan(config, must_settle=False, crash_permille=crash, crashes_max=1, steps_max=_STEPS_MAX)
        try:
            one, failure, tape = _searched(name, plan, quarry, total)
        except KeyboardInterrupt:
            return total.hunted(interrupted=True), (*searched, Enumeration(name, 0, 0, 0, 0, complete=False))
        searched.append(one)
        if failure is not None:
            found = (*total.tally.found, Found(name, quarry.seed, plan, tape, failure))
            total.tally = msgspec.structs.replace(total.tally, found=found)
        if len(total.tally.found) >= quarry.failures_max:
            break
    return total.hunted(), tuple(searched)


def _searched(name: str, plan: RunPlan, quarry: Quarry, total: _Sum) -> tuple[Enumeration, Failure | None, Tape]:
    if quarry.depth == EVERY_DEPTH:
        every = explore_every(plan, runs_max=quarry.runs, seen=total.seen_or_left)
        one = Enumeration(name, every.schedules, every.runs, every.merged, every.states, every.complete)
        return one, every.failure, every.tape
    some = explore_all(plan, quarry.depth, runs_max=quarry.runs, seen=total.seen_or_left)
    return Enumeration(name, some.runs, some.runs, some.cut, 0, some.complete), some.failure, some.tape
