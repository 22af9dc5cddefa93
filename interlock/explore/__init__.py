"""The explorer: many seeded schedules and fault plans, every invariant after every step, and what they break."""

from interlock.explore.failure import Failure
from interlock.explore.plan import RunPlan, Swarm
from interlock.explore.run import RunOutcome, run_once

__all__ = ["Failure", "RunOutcome", "RunPlan", "Swarm", "run_once"]
