"""Who is shown an explored run on its way: each session as it begins, and each step. It changes nothing."""

from __future__ import annotations

from collections import deque

from interlock.sessions import SteppedSession

__all__ = ["Follower"]


class Follower:
    """Wants to see nothing; those that do override what they want to see."""

    wants_steps = False
    """Whether ``stepped`` is called at all."""

    def begins(self, session: SteppedSession) -> None:
        """See a session that begins: the first one, and one after each crash."""

    def stepped(self, step: int, now_ns: int, said: deque[tuple[object, ...]]) -> None:
        """See one step, before it is judged; ``said`` are the last words of the whole run, oldest first."""
