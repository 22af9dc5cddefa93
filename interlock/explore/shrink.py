"""Shrinking: the smallest run that one can find which still breaks the same invariant.

Nothing clever is known about a run; parts of it are left out, largest first, and it is run again. What still breaks the
same invariant and has become smaller is gone on with, tape and all: its tape is what it really drew. Where a part
cannot go because all choices after it would fall to others, the rest is drawn anew a few times. The order in which
parts are tried is fixed and the number of runs bounded, so equal findings shrink to equal findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from interlock.config.model import SessionConfig
from interlock.config.work_model import StepConfig, StrategyConfig
from interlock.explore.failure import Failure
from interlock.explore.overheard import script_of
from interlock.explore.plan import RunPlan
from interlock.explore.run import CRASH_LABEL, run_once
from interlock.explore.size import size_of
from interlock.mocks.faults import FaultRule
from interlock.runtime.schedule import OrderPolicy, Schedule, SeededSchedule, Tape, TapeSchedule

__all__ = ["RUNS_MAX", "Shrunk", "shrink"]

T = TypeVar("T")

RUNS_MAX: Final = 1500
"""Runs that a shrinking takes at most, unless it is told otherwise."""

_ROUNDS_MAX: Final = 8
_DRAWN_ANEW: Final = 24
_STEPS_SOONER: Final = 80

Progress = Callable[[int, int], None]
"""Told after each run: how many there were, and the size by then."""


class Shrunk(msgspec.Struct, frozen=True):
    """A failing run, what it breaks, and how many runs it took to get there."""

    plan: RunPlan
    tape: Tape
    order: OrderPolicy
    failure: Failure
    runs: int


def shrink(
    plan: RunPlan, tape: Tape, order: OrderPolicy, *, limit: int = RUNS_MAX, progress: Progress | None = None
) -> Shrunk | None:
    """Return a smaller run that breaks the same invariant, the run itself at worst; None where it breaks none."""
    first = run_once(plan, TapeSchedule(tape, order))
    if first.failure is None:
        return None
    search = _Search(Shrunk(plan, first.tape, order, first.failure, 1), limit, progress)
    search.best = _settled(search)
    for _ in range(_ROUNDS_MAX):
        before = search.best
        _killed_sooner(search)
        _drawn_anew(search)
        if search.spent or search.best is before:
            break
    return msgspec.structs.replace(search.best, runs=search.runs)


def _settled(search: _Search) -> Shrunk:
    """Leave out and lower until nothing more can go, and return what is left."""
    for _ in range(_ROUNDS_MAX):
        before = search.best
        for part in (_in_order, _without_faults, _without_chances, _scripted, _shorter, _zeroed, _lowered):
            part(search)
        if search.spent or _weight(search.best) == _weight(before):
            break
    return search.best


class _Search:
    """The smallest failing run so far."""

    def __init__(self, first: Shrunk, limit: int, progress: Progress | None) -> None:
        self.best = first
        self.runs = 1
        self._limit = limit
        self._progress = progress

    @property
    def spent(self) -> bool:
        """Return whether no further run is allowed."""
        return self.runs >= self._limit

    def take(
        self,
        *,
        plan: RunPlan | None = None,
        tape: Tape | None = None,
        order: OrderPolicy | None = None,
        larger: bool = False,
    ) -> bool:
        """Run with these parts in place of what there is; go on with it if it still fails and is not ``larger``."""
        best = self.best
        plan, order = plan or best.plan, order or best.order
        found = self.run(plan, TapeSchedule(best.tape if tape is None else tape, order))
        taken = found is not None and (larger or _weight(found) < _weight(best))
        self.best = found if taken and found is not None else best
        return taken

    def run(self, plan: RunPlan, schedule: Schedule) -> Shrunk | None:
        """Run once; return what is found if it breaks the same invariant, None also where no run is left."""
        if self.spent:
            return None
        self.runs += 1
        outcome = run_once(plan, schedule)
        if self._progress is not None:
            self._progress(self.runs, size_of(self.best.plan, self.best.tape).total)
        failure = outcome.failure
        if failure is None or failure.invariant != self.best.failure.invariant:
            return None
        return Shrunk(plan, outcome.tape, schedule.order, failure, self.runs)


def _weight(run: Shrunk) -> tuple[int, ...]:
    """Return what is to become less, the most important first."""
    size, values = size_of(run.plan, run.tape), sum(map(sum, run.tape.values()))
    loose = sum(1 for name, value in _permilles(run.plan) if value) + (run.order != "fifo")
    drawn = run.plan.config.strategy.day is not None
    return size.total, values + loose + drawn, sum(map(len, run.tape.values())), run.failure.step


def _permilles(plan: RunPlan) -> Iterator[tuple[str, int]]:
    """Return what a plan lets happen by chance from outside: crashes, and whatever else there is."""
    names = (field.name for field in msgspec.structs.fields(RunPlan) if field.name.endswith("_permille"))
    return ((name, getattr(plan, name)) for name in names)


def _blocks(items: Sequence[T]) -> Iterator[tuple[int, int]]:
    """Return the ranges to try to leave out: all, halves, quarters, down to one by one; the last ones first."""
    width = len(items)
    while width >= 1:
        end = len(items)
        while end > 0:
            yield max(0, end - width), end
            end -= width
        width = width // 2


def _dropped(items: Sequence[T], take: Callable[[list[T]], bool]) -> None:
    """Leave out blocks of ``items`` as long as ``take`` agrees with what is left."""
    left = list(items)
    width = len(left)
    while width >= 1:
        end = len(left)
        while end > 0:
            begin = max(0, end - width)
            if take(left[:begin] + left[end:]):
                left = left[:begin] + left[end:]
            end = begin
        width //= 2


# -- the parts ----------------------------------------------------------------------------------------------


def _in_order(search: _Search) -> None:
    """Serve first in, first out."""
    if search.best.order != "fifo":
        search.take(order="fifo", tape=_without(search.best.tape, "next"))


def _without_faults(search: _Search) -> None:
    """Leave rules of the fault plan out."""

    def take(rules: list[FaultRule]) -> bool:
        config = search.best.plan.config
        fewer = config.under(config.broker.faults.model_copy(update={"rules": tuple(rules)}))
        return search.take(plan=msgspec.structs.replace(search.best.plan, config=fewer))

    _dropped(search.best.plan.config.broker.faults.rules, take)


def _without_chances(search: _Search) -> None:
    """Let nothing come from outside: no crash, no stop."""
    for name, value in tuple(_permilles(search.best.plan)):
        if value:
            label = name.removesuffix("_permille")
            plan = msgspec.structs.replace(search.best.plan, **{name: 0})
            search.take(plan=plan, tape=_without(search.best.tape, label))


def _scripted(search: _Search) -> None:
    """Write a drawn day down as a script, whose steps can then be left out one by one."""
    strategy = search.best.plan.config.strategy
    if strategy.day is None:
        return
    for orders in _fewer(strategy.day.orders):
        day = strategy.day.model_copy(update={"orders": orders})
        if search.take(plan=_working(search.best.plan, strategy.model_copy(update={"day": day}))):
            strategy = search.best.plan.config.strategy
            break
    best = search.best
    script = script_of(best.plan, TapeSchedule(best.tape, best.order))
    written = strategy.model_copy(update={"day": None, "script": (*strategy.script, *script)})
    # It may be more steps than orders were drawn, but each of them can go.
    if search.take(plan=_working(best.plan, written), larger=True):
        _shorter(search)
        if _weight(search.best) > _weight(best):
            search.best = best


def _fewer(orders: int) -> Iterator[int]:
    return iter(sorted({1, 2, 3, orders // 2, orders - 1} & set(range(1, orders))))


def _shorter(search: _Search) -> None:
    """Leave steps of the script out."""
    strategy = search.best.plan.config.strategy

    def take(steps: list[StepConfig]) -> bool:
        return search.take(plan=_working(search.best.plan, strategy.model_copy(update={"script": tuple(steps)})))

    _dropped(strategy.script, take)


def _zeroed(search: _Search) -> None:
    """Set choices to the ordinary course: whole labels, then blocks of what is left, largest first."""
    for label in sorted(search.best.tape):
        search.take(tape=_without(search.best.tape, label))
    places = [(label, at) for label, values in search.best.tape.items() for at, value in enumerate(values) if value]
    for begin, end in _blocks(places):
        tape = _set(search.best.tape, places[begin:end], 0)
        if tape != search.best.tape:
            search.take(tape=tape)


def _lowered(search: _Search) -> None:
    """Lower the choices that have to stay."""
    places = [(label, at) for label, values in search.best.tape.items() for at, value in enumerate(values) if value > 1]
    for label, at in places:
        for less in (1, 2, 3):
            values = search.best.tape.get(label, [])
            if at >= len(values) or values[at] <= less:
                break
            if search.take(tape=_set(search.best.tape, [(label, at)], less)):
                break


def _killed_sooner(search: _Search) -> None:
    """Leave parts of the workload out, and kill the process as many steps sooner as that part took."""
    crashes = search.best.tape.get(CRASH_LABEL)
    if not crashes:
        return
    for plan in _with_less_to_do(search):
        for sooner in range(min(_STEPS_SOONER, crashes.index(1) + 1)):
            if search.take(plan=plan, tape={**search.best.tape, CRASH_LABEL: crashes[sooner:]}):
                _settled(search)
                return


def _drawn_anew(search: _Search) -> None:
    """Leave parts of the workload out, and draw all choices anew: those of the tape belong to what is gone."""
    best = search.best
    for plan in _with_less_to_do(search):
        for seed in range(_DRAWN_ANEW):
            found = search.run(plan, SeededSchedule(seed, best.order))
            if found is not None:
                search.best = found
                if _weight(_settled(search)) < _weight(best):
                    return
                search.best = best
                break


def _with_less_to_do(search: _Search) -> Iterator[RunPlan]:
    """Return the plans with half of the workload or a step of it less, the smallest first."""
    best = search.best
    strategy = best.plan.config.strategy
    if strategy.day is not None:
        for orders in _fewer(strategy.day.orders):
            day = strategy.day.model_copy(update={"orders": orders})
            yield _working(best.plan, strategy.model_copy(update={"day": day}))
        script = script_of(best.plan, TapeSchedule(best.tape, best.order))
        yield _working(best.plan, strategy.model_copy(update={"day": None, "script": (*strategy.script, *script)}))
    steps = strategy.script
    for begin, end in _blocks(steps):
        yield _working(best.plan, strategy.model_copy(update={"script": steps[:begin] + steps[end:]}))


# -- small changes ------------------------------------------------------------------------------------------


def _without(tape: Tape, label: str) -> Tape:
    return {name: values for name, values in tape.items() if name != label}


def _set(tape: Tape, places: Sequence[tuple[str, int]], value: int) -> Tape:
    changed = {label: list(values) for label, values in tape.items()}
    for label, at in places:
        if at < len(changed.get(label, ())):
            changed[label][at] = value
    return changed


def _working(plan: RunPlan, strategy: StrategyConfig) -> RunPlan:
    config: SessionConfig = plan.config.model_copy(update={"strategy": strategy})
    return msgspec.structs.replace(plan, config=config)
