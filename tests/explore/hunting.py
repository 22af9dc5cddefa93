"""What tests of the explorer share: cases by name, a hunt over a few seeds, and the outcome of a single one."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.explore.cases import case_config
from interlock.explore.chunk import Chunk, plan_of
from interlock.explore.failure import Broken
from interlock.explore.hunt import Hunted, Quarry, hunt
from interlock.explore.plan import RunPlan
from interlock.explore.pool import here
from interlock.explore.run import Run, RunOutcome, outcome_of, run_once
from interlock.explore.watcher import Watcher
from interlock.runtime.schedule import Schedule


def a_chunk(case: str, first: int = 0, count: int = 5, **fields: Any) -> Chunk:
    """Return some seeds of a case."""
    return Chunk(case, case_config(case).model_dump_json(), first, count, **fields)


def a_quarry(*cases: str, **fields: Any) -> Quarry:
    """Return what to hunt for in cases."""
    return Quarry({name: case_config(name) for name in cases}, **fields)


def hunted(quarry: Quarry) -> Hunted:
    """Hunt in this process."""
    with here() as pool:
        return hunt(quarry, pool)


def overfills_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant an invariant that some runs break: no fill is told beyond its order."""
    honest = Watcher.holds

    def planted(watch: Watcher) -> bool:
        if watch._counters.get("faults_total|overfill"):  # noqa: SLF001 - a planted invariant looks where it can
            watch.broken = Broken("planted", "a fill beyond its order was told")
        return honest(watch)

    monkeypatch.setattr(Watcher, "holds", planted)


def ran(plan: RunPlan, schedule: Schedule) -> tuple[RunOutcome, str]:
    """Run once; return how it went, and where everything was left."""
    run = Run(plan, schedule)
    run.go()
    outcome, left = outcome_of(run), run.left()
    run.session.close()
    return outcome, left


def outcome_of_seed(case: str, seed: int, schedule: Schedule) -> RunOutcome:
    """Run one seed of a case."""
    return run_once(plan_of(a_chunk(case), seed), schedule)
