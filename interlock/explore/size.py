"""How small a failing run is: what a person has to look at to understand it."""

from __future__ import annotations

import msgspec

from interlock.explore.plan import RunPlan
from interlock.explore.run import CRASH_LABEL
from interlock.runtime.schedule import Tape

__all__ = ["Size", "size_of"]


class Size(msgspec.Struct, frozen=True):
    """Choices that are not 0, fault rules, crashes, and steps of the workload."""

    choices: int
    rules: int
    crashes: int
    workload: int

    @property
    def total(self) -> int:
        """Return all of them together."""
        return self.choices + self.rules + self.crashes + self.workload


def size_of(plan: RunPlan, tape: Tape) -> Size:
    """Return the size of a run."""
    strategy = plan.config.strategy
    drawn = 0 if strategy.day is None else strategy.day.orders
    set_ = {label: sum(map(bool, values)) for label, values in tape.items()}
    crashes = set_.pop(CRASH_LABEL, 0)
    return Size(sum(set_.values()), len(plan.config.broker.faults.rules), crashes, len(strategy.script) + drawn)
