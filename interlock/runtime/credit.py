"""Credit: how a request around a cycle of bounded mailboxes is admitted without ever locking the cycle up.

When A asks B by message and B answers by message, both mailboxes full means both wait for ever. The asker
therefore takes one credit per request and gives it back with the answer, and its mailbox keeps a reply lane
with room for exactly that many answers: an answer always finds room, so B never waits on A.
"""

from __future__ import annotations

from interlock.domain.errors import Broken

__all__ = ["Credit"]


class Credit:
    """At most ``limit`` requests in flight at once."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.in_flight = 0
        self.peak = 0

    def take(self) -> bool:
        """Take one credit; False when all are out, and then the request must not be made."""
        if self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        if self.in_flight > self.peak:
            self.peak = self.in_flight
        return True

    def give_back(self) -> None:
        """Return the credit of one answered request.

        Raises:
            Broken: more came back than went out; some answer was counted twice.
        """
        if self.in_flight == 0:
            message = f"credit {self.name}: an answer without a request"
            raise Broken(message)
        self.in_flight -= 1
