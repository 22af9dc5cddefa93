"""The timers of the stepped driver: who is to be woken when, the earliest first, equal ones in order of setting.

Timers are never cancelled, they go stale: a sleeper that was woken otherwise, a deadline whose block was left. Stale
ones are skipped without moving the clock, so that time passes only for someone who still waits.
"""

from __future__ import annotations

from heapq import heappop, heappush

from interlock.runtime.clock import VirtualClock
from interlock.runtime.work import Deadline, Task

__all__ = ["Timers"]

Entry = tuple[int, int, Task, int, Deadline | None]


class Timers:
    """A heap of sleepers and deadlines."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._sequence = 0

    def add(self, due_ns: int, task: Task, deadline: Deadline | None) -> None:
        """Set a timer: a sleeper's, or with ``deadline`` the end of what the task may wait."""
        self._sequence += 1
        heappush(self._heap, (due_ns, self._sequence, task, task.token, deadline))

    def take_due(self, clock: VirtualClock) -> list[tuple[Task, Deadline | None]]:
        """Move ``clock`` to the earliest live timer and return all that are due then; empty when none is left."""
        heap, now_ns = self._heap, 0
        due: list[tuple[Task, Deadline | None]] = []
        while heap:
            due_ns, _, task, token, deadline = heap[0]
            if due and due_ns > now_ns:
                break
            heappop(heap)
            if task.token == token if deadline is None else deadline.open:
                if not due:
                    now_ns = clock.reach(due_ns)
                due.append((task, deadline))
        return due

    def live(self) -> list[tuple[int, Task, Deadline | None]]:
        """Return the timers that somebody still waits for: when, who, and what it bounds."""
        return [(entry[0], entry[2], entry[4]) for entry in self._heap if _live(entry)]


def _live(entry: Entry) -> bool:
    _, _, task, token, deadline = entry
    return task.token == token if deadline is None else deadline.open
