"""Running steps: how many, in which arithmetic, and why no more ran. What a step is, the driver says.

Three queues hold what can run: what is urgent, what is ready, and what stands aside.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from decimal import localcontext

from interlock.domain.money import ARITHMETIC
from interlock.runtime.actor import RunReport, StopReason
from interlock.runtime.closing import Closing
from interlock.runtime.work import Cell, Task

__all__ = ["Stepping"]


class Stepping(Closing):
    """A driver that goes a step at a time."""

    def __init__(self) -> None:
        self.steps = 0
        self._urgent: deque[Cell | Task] = deque()
        self._ready: deque[Cell | Task] = deque()
        self._aside: deque[Cell | Task] = deque()
        self._deadlock: tuple[str, ...] = ()
        self.halted = False
        """Whether the run is over: no further step runs."""

    def halt(self) -> None:
        """Let no further step run."""
        self.halted = True

    @abstractmethod
    def _step(self) -> StopReason | None:
        """Run one step; return None when one ran, otherwise why none could."""

    @abstractmethod
    def _run(self, item: Cell | Task) -> None:
        """Run one thing to its next wait."""

    def run_n_steps(self, n: int) -> RunReport:
        """Run at most ``n`` steps and say how many ran and why no more did."""
        started, step = self.steps, self._step
        with localcontext(ARITHMETIC):
            for _ in range(n):
                reason = step()
                if reason is not None:
                    return RunReport(self.steps - started, reason, self._deadlock)
        return RunReport(self.steps - started, "limit")

    def run_watched(self, n: int, watch: Callable[[], bool]) -> RunReport:
        """Run as ``run_n_steps`` does, and ask after each step whether to go on: the reason is ``watch`` where not."""
        started, step = self.steps, self._step
        with localcontext(ARITHMETIC):
            for _ in range(n):
                reason = step()
                if reason is not None:
                    return RunReport(self.steps - started, reason, self._deadlock)
                if not watch():
                    return RunReport(self.steps - started, "watch")
        return RunReport(self.steps - started, "limit")

    @property
    def runnable(self) -> bool:
        """Return whether something can run at this instant, without time passing."""
        return bool(self._urgent or self._ready or self._aside)

    def run_ready(self, n: int) -> int:
        """Run at most ``n`` steps of what can run at this instant, without time passing; return how many ran."""
        started = self.steps
        with localcontext(ARITHMETIC):
            for _ in range(n):
                if not self.runnable or self._step() is not None:
                    break
        return self.steps - started

    def run_aside(self, n: int) -> None:
        """As ``run_ready``, but only what stands aside, and also after the end of the run."""
        until = self.steps + n
        with localcontext(ARITHMETIC):
            while self._aside and self.steps < until:
                self._run(self._aside.popleft())

    def step(self) -> StopReason | None:
        """Run one step; returns None when one ran, otherwise why none could."""
        with localcontext(ARITHMETIC):
            return self._step()
