"""A finding run again: whether it still breaks what it broke, and, where that is wanted, every step on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from interlock.domain.ids import canonical_json
from interlock.domain.instants import NS_PER_S
from interlock.explore.finding_file import Finding
from interlock.explore.follower import Follower
from interlock.explore.quiet import Log
from interlock.explore.run import RunOutcome, run_once
from interlock.runtime.tracing import Way
from interlock.sessions import SteppedSession

__all__ = ["RanAgain", "StepWords", "run_again"]

Tell = Callable[[str], None]


class RanAgain(msgspec.Struct, frozen=True):
    """How a finding went this time."""

    outcome: RunOutcome
    text: str
    """In one line: what it breaks, or that it breaks nothing any more."""

    @property
    def broken(self) -> bool:
        """Return whether an invariant broke, be it another one."""
        return self.outcome.failure is not None


def run_again(finding: Finding, follower: Follower | None = None, log: Log | None = None) -> RanAgain:
    """Run a finding and say how it went; ``follower`` is shown the run, ``log`` takes all that is said in it."""
    outcome = run_once(finding.plan, finding.schedule(), log, follower)
    was, now = finding.failure, outcome.failure
    if now is None:
        return RanAgain(outcome, f"no longer breaks {was.invariant}: {outcome.outcome} after {outcome.steps:,} steps")
    how = "still breaks" if now.invariant == was.invariant else f"no longer breaks {was.invariant}, but"
    return RanAgain(outcome, f"{how} {now.invariant} at step {now.step:,}: {now.text}")


class StepWords(Follower):
    """Tells each step: its number, the time since the beginning, what was delivered, said and counted in it."""

    wants_steps = True

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._start_ns = 0
        self._sessions = 0
        self._heard: tuple[object, ...] | None = None
        self._delivered: list[str] = []
        self._counters: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    def begins(self, session: SteppedSession) -> None:
        """Tell that a session begins; after the first one, where a crash has ended the last."""
        if not self._sessions:
            self._start_ns = session.start_ns
        else:
            self._tell("-- the process is killed here, and the next one begins --")
        self._sessions += 1
        self._counters = session.recorder.counters
        session.system.tracer = self

    def delivered(self, step: int, now_ns: int, sender: str, to: str, way: Way, message: object) -> None:  # noqa: ARG002 - told with its step
        """Take note of one message of the step that runs now."""
        key = getattr(message, "client_order_id", "")
        self._delivered.append(
            f"  {sender or 'outside'} -> {to}: {type(message).__name__} {key}".rstrip() + f" ({way})"
        )

    def stepped(self, step: int, now_ns: int, said: deque[tuple[object, ...]]) -> None:
        """Tell one step."""
        new: list[tuple[object, ...]] = []
        for words in reversed(said):
            if words is self._heard:
                break
            new.append(words)
        self._heard = said[-1] if said else None
        lines, self._delivered = self._delivered, []
        lines += [f"  {actor}: {what} {canonical_json(about).decode()}" for _, actor, what, about in reversed(new)]
        lines += [f"  counted: {name}" for name in self._newly_counted()]
        after_s = (now_ns - self._start_ns) / NS_PER_S
        self._tell("\n".join([f"step {step:,}, {after_s:.6f} s{':' if lines else ''}", *lines]))

    def _newly_counted(self) -> list[str]:
        """Return the counters that this step has raised."""
        before, self._counted = self._counted, dict(self._counters)
        return [name for name, count in self._counted.items() if count != before.get(name)]
