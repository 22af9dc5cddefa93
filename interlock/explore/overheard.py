"""A drawn day as a script: a run is made again, and what its strategy asked for is read from it, with its times."""

from __future__ import annotations

from interlock.config.work_model import StepConfig
from interlock.domain.instants import NS_PER_S
from interlock.explore.follower import Follower
from interlock.explore.plan import RunPlan
from interlock.explore.run import run_once
from interlock.mocks.strategy import ScriptStep, Strategy
from interlock.runtime.schedule import Schedule
from interlock.sessions import SteppedSession

__all__ = ["script_of"]


class _Strategies(Follower):
    """Remembers the strategy of each session of a run."""

    def __init__(self) -> None:
        self.seen: list[Strategy] = []

    def begins(self, session: SteppedSession) -> None:
        """Remember one."""
        self.seen.append(session.strategy)


def script_of(plan: RunPlan, schedule: Schedule) -> tuple[StepConfig, ...]:
    """Return what the strategy asks for in this run, each thing at the time of its first session that asked for it."""
    strategies = _Strategies()
    run_once(plan, schedule, follower=strategies)
    steps: dict[tuple[str, bool], ScriptStep] = {}
    for strategy in strategies.seen:
        for step in strategy.done:
            decision = step.cancel_decision if step.intent is None else step.intent.decision_id
            steps.setdefault((decision or "", step.intent is None), step)
    return tuple(
        StepConfig(at_s=step.at_ns / NS_PER_S, submit=step.intent, cancel=step.cancel_decision)
        for step in sorted(steps.values(), key=lambda step: step.at_ns)
    )
