"""What tests of findings share: a small one that a planted fault has made."""

from __future__ import annotations

from interlock.explore import RunOutcome, RunPlan, run_once
from interlock.explore.finding_file import Finding
from interlock.runtime.schedule import SeededSchedule
from tools.mutants import MUTANTS

__all__ = ["PLANTED", "a_failing_run", "a_finding"]

PLANTED = MUTANTS["retry_unknown_outcome"]
"""Sends twice what got no answer: the first invariant."""

_SEED = 23
_SEEDS_MAX = 500


def a_failing_run() -> tuple[RunPlan, RunOutcome]:
    """Return the first run of the planted fault that breaks something; the fault has to be planted."""
    swarm = PLANTED.case.swarm()
    for seed in range(_SEED, _SEEDS_MAX):
        plan = swarm.plan(seed)
        outcome = run_once(plan, SeededSchedule(seed, "random"))
        if outcome.failure is not None:
            return plan, outcome
    message = "the planted fault is not found any more"
    raise AssertionError(message)


def a_finding() -> Finding:
    """Return a finding as a search makes it, before it is shrunk."""
    with PLANTED.plant():
        plan, outcome = a_failing_run()
    assert outcome.failure is not None
    return Finding(plan, "random", outcome.tape, outcome.failure, _SEED)
