"""Every schedule of a small case, up to a bound on deviations, with equivalent orders left out.

A run is a sequence of choices: who is served next, whether a fault strikes, whether the process is killed. Choice 0 is
the ordinary course and any other a deviation. The search walks the tree of choices depth first, by running again with
another last choice; it is over when every sequence with at most ``bound`` deviations was run, or shown to be like one.

Two steps of different actors that reach into no common mailbox commute: both orders lead to the same state. A step that
was explored first at some point *sleeps* while only such steps run (Godefroid's sleep sets), and a run in which nothing
but sleepers could go on is cut off. The one that stands for it puts the sleeper first. That needs no more deviations:
who is taken out of turn costs one wherever that happens, and whoever stood behind the sleeper moves up by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

import msgspec

from interlock.domain.errors import Nondeterminism
from interlock.explore.failure import Failure
from interlock.explore.plan import RunPlan
from interlock.explore.run import CRASH_LABEL, Run, RunOutcome, outcome_of
from interlock.runtime.schedule import ORDER_LABEL, Schedule, Tape

__all__ = ["Enumerated", "explore_all"]

_EVERYTHING: Final = frozenset({"*"})
"""What a step has touched after which the process was killed."""

Footprint = frozenset[str]


class Enumerated(msgspec.Struct, frozen=True):
    """What an exhaustive search has seen; ``complete`` where no run was left out for ``runs_max``.

    ``runs`` went to their end, ``cut`` were found to be like one of them; ``choices`` were made at most in one run.
    """

    runs: int
    cut: int
    complete: bool
    choices: int
    outcomes: dict[str, int]
    failure: Failure | None
    tape: Tape


class _Node(msgspec.Struct):
    """One choice of the run that is on its way, and what was tried there before."""

    names: tuple[str, ...]
    """Who could be served; empty for a choice that is not about that, of which there are ``options``."""
    options: int
    chosen: int
    spent: int
    """Deviations before this choice."""
    sleep: dict[str, Footprint]
    touched: set[str]
    """What the chosen step has reached into, over everything that was tried below it."""


class _Cut(BaseException):
    """Nothing but sleepers can run: a run like this one was seen."""


class _Walk(Schedule):
    """Plays the choices of the stack, and the ordinary course past its end, adding to it."""

    named: ClassVar[bool] = True

    def __init__(self, stack: list[_Node], bound: int, labels: tuple[str, ...], *, reduce: bool) -> None:
        super().__init__("random")
        self.touched: list[str] = []
        self.depth = 0
        self._stack = stack
        self._bound = bound
        self._labels = labels
        self._reduce = reduce
        self._last: _Node | None = None
        self._next = 0

    def pick(self, names: list[str]) -> int:
        """Choose who is served next: by the stack, else the first who does not sleep."""
        names = _told_apart(names)
        self._end_step()
        if self.depth < len(self._stack):
            node = self._stack[self.depth]
            if node.names != tuple(names):
                message = f"choice {self.depth} was among {node.names} before, and is among {names} now"
                raise Nondeterminism(message)
        else:
            node = _Node(tuple(names), len(names), 0, self._spent(), self._asleep(), set())
            awake = [index for index, name in enumerate(names) if name not in node.sleep]
            if not awake or (awake[0] > 0 and node.spent >= self._bound):
                raise _Cut
            node.chosen = awake[0]
            self._stack.append(node)
        self.depth += 1
        self._last = node
        self._next = node.chosen
        self.touched.append(names[node.chosen].partition("/")[0])
        return self.draw(len(names), ORDER_LABEL)

    def _choose(self, n: int, label: str) -> int:
        return self._next if label == ORDER_LABEL else self._option(n, label)

    def _strike(self, permille: int, label: str) -> int:  # noqa: ARG002 - both are tried, however rare
        struck = self._option(2, label)
        if struck and label == CRASH_LABEL and self._last is not None:
            self._last.touched |= _EVERYTHING
        return struck

    def _option(self, n: int, label: str) -> int:
        if not label.startswith(self._labels):
            return 0
        if self.depth == len(self._stack):
            self._stack.append(_Node((), n, 0, self._spent(), {}, set()))
        node = self._stack[self.depth]
        self.depth += 1
        return node.chosen

    def finish(self) -> None:
        """Note what the last step has reached into."""
        self._end_step()

    def _end_step(self) -> None:
        if self._last is not None:
            self._last.touched.update(self.touched)
        self.touched.clear()

    def _spent(self) -> int:
        if not self._stack:
            return 0
        last = self._stack[-1]
        return last.spent + (last.chosen > 0)

    def _asleep(self) -> dict[str, Footprint]:
        """Return who sleeps after the last choice: whoever slept or was tried there, and that step does not concern."""
        node = self._last
        if node is None or not self._reduce or "*" in node.touched:
            return {}
        return {
            name: touches for name, touches in node.sleep.items() if "*" not in touches and not touches & node.touched
        }


def _told_apart(names: list[str]) -> list[str]:
    """Return the names, those that stand there twice with their number."""
    seen: dict[str, int] = {}
    told: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return told


def explore_all(
    plan: RunPlan,
    bound: int,
    *,
    labels: tuple[str, ...] = ("fault.", CRASH_LABEL),
    runs_max: int = 200_000,
    reduce: bool = True,
    seen: Callable[[Run, RunOutcome], None] | None = None,
) -> Enumerated:
    """Run every schedule with at most ``bound`` deviations; stops at the first that breaks something.

    Choices under other labels than the order and ``labels`` (prefixes) take the ordinary course. ``seen`` is told each
    run with its outcome. ``reduce=False`` leaves equivalent orders in, to compare.
    """
    stack: list[_Node] = []
    outcomes: dict[str, int] = {}
    runs = cut = choices = 0

    def ended(*, complete: bool, failed: RunOutcome | None = None) -> Enumerated:
        failure, tape = (None, {}) if failed is None else (failed.failure, failed.tape)
        return Enumerated(runs, cut, complete, choices, dict(sorted(outcomes.items())), failure, tape)

    for _ in range(runs_max):
        walk = _Walk(stack, bound, labels, reduce=reduce)
        run = Run(plan, walk)
        try:
            run.go()
            outcome = outcome_of(run)
        except _Cut:
            cut += 1
        else:
            runs += 1
            outcomes[outcome.outcome] = outcomes.get(outcome.outcome, 0) + 1
            if seen is not None:
                seen(run, outcome)
            if outcome.failure is not None:
                return ended(complete=False, failed=outcome)
        finally:
            run.session.close()
        walk.finish()
        choices = max(choices, len(stack))
        if not _advance(stack, bound):
            return ended(complete=True)
    return ended(complete=False)


def _advance(stack: list[_Node], bound: int) -> bool:
    """Move to the next sequence of choices; False where there is none."""
    while stack:
        node = stack[-1]
        if node.names:
            node.sleep[node.names[node.chosen]] = frozenset(node.touched)
        for option in range(node.chosen + 1, node.options):
            if node.spent + 1 > bound:
                break
            if node.names and node.names[option] in node.sleep:
                continue
            node.chosen = option
            node.touched = set()
            return True
        del stack[-1]
    return False
