"""Requests on their way in a stepped run: who asked, and what was answered."""

from __future__ import annotations

from interlock.runtime.work import AwaitReply, Task

__all__ = ["UNANSWERED", "Asks"]

UNANSWERED = object()


class Asks:
    """Every open request by its number: unanswered, answered, or with the task that waits for it."""

    def __init__(self) -> None:
        self.late = 0
        """Answers that came after their asker had given up."""
        self._asks: dict[int, object] = {}
        self._sequence = 0

    def open(self) -> int:
        """Register a request and return its number."""
        self._sequence += 1
        self._asks[self._sequence] = UNANSWERED
        return self._sequence

    def close(self, ask_id: int) -> None:
        """Forget a request, answered or given up."""
        del self._asks[ask_id]

    def wait(self, ask_id: int, task: Task) -> object:
        """Return the answer if it is there, else ``UNANSWERED``, and the task will be told."""
        answer = self._asks[ask_id]
        if answer is UNANSWERED:
            self._asks[ask_id] = task
        return answer

    def answer(self, ask_id: int, answer: object) -> Task | None:
        """Take an answer; return the task that waits for it, if one does by now. Counts what comes too late."""
        asker = self._asks.get(ask_id)
        if isinstance(asker, Task) and type(asker.op) is AwaitReply and asker.op.ask_id == ask_id:
            return asker
        if asker is UNANSWERED:
            self._asks[ask_id] = answer
        else:
            self.late += 1
        return None

    def answered(self) -> tuple[tuple[int, object], ...]:
        """Return the answers that are there before their asker has begun to wait, by the number of the request."""
        return tuple((ask_id, it) for ask_id, it in self._asks.items() if it is not UNANSWERED and type(it) is not Task)
