"""Every schedule of a small case, without a bound: a state that was seen before is not gone on from again.

A run is a sequence of choices (who is served next, whether a fault strikes, whether the process is killed), and the
search walks the tree of them depth first, by running again with another last choice. Before each choice of who is next
the state of the run is looked at. Where it was seen, all that can follow was seen from there, and is counted from
memory: so the tree folds into a graph of states, and the number of schedules in it is exact, equivalent orders counted.

Time only moves forward and every step changes something, so the graph has no ring; should one be met, the search fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import ClassVar, Final

import msgspec

from interlock.domain.errors import Broken, Nondeterminism
from interlock.explore.failure import Failure
from interlock.explore.fingerprint import fingerprint
from interlock.explore.plan import RunPlan
from interlock.explore.run import CRASH_LABEL, Run, RunOutcome, outcome_of
from interlock.runtime.schedule import ORDER_LABEL, Schedule, Tape

__all__ = ["Every", "explore_every"]

_TOLD: Final = ("alerts_total|", "cancels_refused_total|", "faults_total|kill_switch_throws")
"""Counters that watcher and judge ask for: not how high they are, but whether they are there."""


class Every(msgspec.Struct, frozen=True):
    """What a search without a bound has seen; ``complete`` where nothing was left out for ``runs_max``.

    ``schedules`` were seen, by how they end in ``outcomes``. That took ``runs`` to the end, and ``merged`` ones that
    came to one of the ``states`` that were known. ``choices`` were made at most in one run.
    """

    schedules: int
    outcomes: dict[str, int]
    runs: int
    merged: int
    states: int
    choices: int
    complete: bool
    failure: Failure | None
    tape: Tape


class _Node:
    """One choice of the run that is on its way, and how the schedules end that were seen behind it."""

    __slots__ = ("chosen", "ends", "options", "state")

    def __init__(self, options: int, state: bytes) -> None:
        self.options = options
        self.state = state
        self.chosen = 0
        self.ends: Counter[str] = Counter()


class _Known(BaseException):
    """A run came to a state that was seen; all that can follow is known."""

    def __init__(self, ends: Counter[str]) -> None:
        super().__init__()
        self.ends = ends


class _Walk(Schedule):
    """Plays the choices of the stack, and the first ones past its end, adding to it."""

    named: ClassVar[bool] = True

    def __init__(self, search: _Search) -> None:
        super().__init__("random")
        self.run: Run | None = None
        self._search = search
        self._depth = 0
        self._next = 0

    def pick(self, names: list[str]) -> int:
        """Choose who is served next; where the state is known, the run is over."""
        if len(names) > 1:
            self._next = self._option(len(names), between_steps=True)
        return self.draw(len(names), ORDER_LABEL)

    def _choose(self, n: int, label: str) -> int:
        if label == ORDER_LABEL:
            return self._next
        return self._option(n) if label.startswith(self._search.labels) else 0

    def _strike(self, permille: int, label: str) -> int:  # noqa: ARG002 - both are tried, however rare
        return self._option(2) if label.startswith(self._search.labels) else 0

    def _option(self, n: int, *, between_steps: bool = False) -> int:
        stack = self._search.stack
        if self._depth == len(stack):
            # In the midst of a step there is no state that could be looked at; the next choice is soon enough.
            stack.append(_Node(n, self._new_state() if between_steps else b""))
        node = stack[self._depth]
        if node.options != n:
            message = f"choice {self._depth} was among {node.options} before, and is among {n} now"
            raise Nondeterminism(message)
        self._depth += 1
        return node.chosen

    def _new_state(self) -> bytes:
        run, known = self.run, self._search.known
        if run is None:
            message = "choices without a run"
            raise Broken(message)
        told = sorted(name for name in run.counters if name.startswith(_TOLD))
        state = fingerprint(run.session.system, run.session, run.store, run.exchange, run.watch, run.crashes, told)
        if state in known:
            ends = known[state]
            if ends is None:
                message = f"after {self._depth} choices a run came back to where it was: it may go round for ever"
                raise Broken(message)
            raise _Known(ends)
        known[state] = None
        return state


class _Search:
    """The tree as far as it is on its way, and the states behind which everything was seen."""

    def __init__(self, plan: RunPlan, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.stack: list[_Node] = []
        self.known: dict[bytes, Counter[str] | None] = {}
        """How the schedules behind each state end; None for those that the run on its way has passed."""
        self.ends: Counter[str] = Counter()
        self.choices = 0
        self._plan = plan

    def run(self) -> tuple[Run, RunOutcome | None]:
        """Run once, by the stack; without an outcome where it came to a known state."""
        walk = _Walk(self)
        walk.run = run = Run(self._plan, walk)
        outcome = None
        try:
            run.go()
            outcome = outcome_of(run)
            ends = Counter((outcome.outcome,))
        except _Known as known:
            ends = known.ends
        finally:
            run.session.close()
        self.choices = max(self.choices, len(self.stack))
        self._behind_last().update(ends)
        return run, outcome

    def advance(self) -> bool:
        """Move to the next sequence of choices, remembering what is behind each state; False where there is none."""
        while self.stack:
            node = self.stack[-1]
            if node.chosen + 1 < node.options:
                node.chosen += 1
                return True
            if node.state:
                self.known[node.state] = node.ends
            del self.stack[-1]
            self._behind_last().update(node.ends)
        return False

    def _behind_last(self) -> Counter[str]:
        return self.stack[-1].ends if self.stack else self.ends


def explore_every(
    plan: RunPlan,
    *,
    labels: tuple[str, ...] = ("fault.", CRASH_LABEL),
    runs_max: int = 1_000_000,
    seen: Callable[[Run, RunOutcome | None], None] | None = None,
) -> Every:
    """Run every schedule there is, those alike from some state on once; stops at the first that breaks something.

    Choices under other labels than the order and ``labels`` (prefixes) take the ordinary course. ``seen`` is told each
    run, with its outcome if it went to its end.
    """
    search = _Search(plan, labels)
    runs = merged = 0
    complete, failed = False, None
    for _ in range(runs_max):
        run, outcome = search.run()
        runs += outcome is not None
        merged += outcome is None
        if seen is not None:
            seen(run, outcome)
        if outcome is not None and outcome.failure is not None:
            failed = outcome
            break
        if not search.advance():
            complete = True
            break
    return Every(
        schedules=search.ends.total(),
        outcomes=dict(sorted(search.ends.items())),
        runs=runs,
        merged=merged,
        states=len(search.known),
        choices=search.choices,
        complete=complete,
        failure=None if failed is None else failed.failure,
        tape={} if failed is None else failed.tape,
    )
