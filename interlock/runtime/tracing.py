"""Who watches a stepped run from beside it: told of every message at its delivery, and able to change nothing.

A driver without a tracer pays one look at an attribute for each message. A tracer is told before the message is
served, so what its handler does comes later in the story.
"""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["Tracer", "Way"]

Way = Literal["control", "reply", "data", "answer", "late"]
"""How a message came: on one of the three lanes, as the answer to a request, or as an answer that came too late."""


class Tracer(Protocol):
    """Told of each delivery. Must not raise, and must not touch what it is shown."""

    def delivered(self, step: int, now_ns: int, sender: str, to: str, way: Way, message: object) -> None:
        """Take note of one message; ``sender`` is "" where it was put in from outside the actors."""
