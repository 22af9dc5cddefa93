"""Mailboxes: three bounded lanes over anyio memory object streams.

* **control**: stop and trip. Served before anything else, whatever the backlog.
* **reply**: answers that were admitted by credit, so there is always room for them.
* **data**: everything else. Full means the sender waits; nothing is ever dropped.

The logic sits in the synchronous half (``offer``, ``take``); the real-time driver awaits the same streams.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeVar

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from interlock.domain.errors import Broken

__all__ = [
    "CONTROL",
    "DATA",
    "REPLY",
    "Envelope",
    "Lane",
    "LaneQueue",
    "LaneStats",
    "Mailbox",
    "MailboxSizes",
    "ReplyTo",
]

T = TypeVar("T")


class ReplyTo(msgspec.Struct, frozen=True, gc=False):
    """Where the answer to a request goes: an immutable ticket, good for one answer."""

    asker: str
    ask_id: int


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A message on its way, with the ticket for its answer where one is wanted.

    ``sent_ns`` is set in a host's loop alone: in stepped mode nothing is measured, since time passes in a mailbox only
    while its actor waits for something else. No ``sender``: put in from outside.
    """

    message: object
    reply_to: ReplyTo | None
    sender: str = ""
    sent_ns: int = 0


class Lane(IntEnum):
    """The lanes in the order in which they are served."""

    CONTROL = 0
    REPLY = 1
    DATA = 2


CONTROL: Final = Lane.CONTROL
REPLY: Final = Lane.REPLY
DATA: Final = Lane.DATA
"""The lanes, for code that runs with each message: looking up a member of an enum costs Python 3.11 ten times more."""


class MailboxSizes(msgspec.Struct, frozen=True):
    """Room in each lane, in messages, and the number of jobs the actor may have running."""

    control: int = 16
    reply: int = 64
    data: int = 64
    jobs: int = 256

    def __post_init__(self) -> None:
        """Refuse sizes that would make a lane useless or unbounded."""
        if min(self.control, self.reply, self.data, self.jobs) < 1:
            message = f"a mailbox needs room for at least one message in each lane: {self}"
            raise Broken(message)


class LaneStats(msgspec.Struct, frozen=True):
    """What went through one lane: now waiting, most ever waiting, taken in, and how often a sender had to wait.

    How long messages waited, together and at most, is measured in a host's loop alone.
    """

    capacity: int
    depth: int
    peak: int
    accepted: int
    waits: int
    wait_ns_sum: int = 0
    wait_ns_max: int = 0


class LaneQueue:
    """One bounded first-in-first-out lane."""

    __slots__ = (
        "_closed",
        "_inlet",
        "_outlet",
        "accepted",
        "capacity",
        "depth",
        "line",
        "peak",
        "wait_ns_max",
        "wait_ns_sum",
        "waits",
    )

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        # Most lanes of a short session never carry anything, so the stream is made for the first message.
        self._inlet: MemoryObjectSendStream[Envelope] | None = None
        self._outlet: MemoryObjectReceiveStream[Envelope] | None = None
        self._closed = False
        self.depth = 0
        self.peak = 0
        self.accepted = 0
        self.waits = 0
        self.wait_ns_sum = 0
        self.wait_ns_max = 0
        self.line: list[tuple[anyio.Event, Envelope]] = []
        """Senders of the real-time driver that wait for room, the oldest first, with what they bring."""

    def offer(self, envelope: Envelope) -> bool:
        """Put ``envelope`` in if there is room; False means full, and the sender has to wait."""
        depth = self.depth
        if depth >= self.capacity:
            self.waits += 1
            return False
        (self._inlet or self._open()).send_nowait(envelope)
        self.accepted += 1
        self.depth = depth = depth + 1
        if depth > self.peak:
            self.peak = depth
        return True

    def _open(self) -> MemoryObjectSendStream[Envelope]:
        if self._closed:
            raise anyio.ClosedResourceError
        self._inlet, self._outlet = anyio.create_memory_object_stream(self.capacity)
        return self._inlet

    def take(self) -> Envelope:
        """Take the oldest one out; the caller has looked at ``depth`` before."""
        self.depth -= 1
        return self.receive() if self._outlet is None else self._outlet.receive_nowait()

    def receive(self) -> Envelope:
        """Receive the oldest one, which still counts until it is ``taken``.

        Raises:
            Broken: nothing was ever put in.
        """
        if self._outlet is None:
            message = "a lane that was never used holds nothing"
            raise Broken(message)
        return self._outlet.receive_nowait()

    async def wait_for_room(self, envelope: Envelope) -> None:
        """Stand in line until the envelope is in. Whoever is cancelled before has brought nothing, and after it all."""
        waiting = anyio.Event(), envelope
        self.line.append(waiting)
        self.depth += 1
        try:
            await waiting[0].wait()
        finally:
            if not waiting[0].is_set():
                self.line.remove(waiting)
                self.depth -= 1

    def taken(self, wait_ns: int) -> bool:
        """Count one out that the real-time driver received, after a wait; True where one from the line went in."""
        self.depth -= 1
        self.wait_ns_sum += wait_ns
        self.wait_ns_max = max(self.wait_ns_max, wait_ns)
        if not self.line:
            return False
        made_room, envelope = self.line.pop(0)
        (self._inlet or self._open()).send_nowait(envelope)
        self.accepted += 1
        made_room.set()
        return True

    def stats(self) -> LaneStats:
        """Return the figures so far."""
        totals = (self.capacity, self.depth, self.peak, self.accepted, self.waits)
        return LaneStats(*totals, self.wait_ns_sum, self.wait_ns_max)

    def close(self) -> None:
        """Release both ends of the stream; nothing is taken any more."""
        self._closed = True
        if self._inlet is not None and self._outlet is not None:
            self._inlet.close()
            self._outlet.close()


class Mailbox:
    """The three lanes of one actor."""

    __slots__ = ("control", "data", "owner", "reply")

    def __init__(self, owner: str, sizes: MailboxSizes) -> None:
        self.owner = owner
        self.control = LaneQueue(sizes.control)
        self.reply = LaneQueue(sizes.reply)
        self.data = LaneQueue(sizes.data)

    def lane(self, lane: Lane) -> LaneQueue:
        """Return the queue of one lane."""
        if lane is DATA:
            return self.data
        return self.reply if lane is REPLY else self.control

    def stats(self) -> dict[str, LaneStats]:
        """Return the figures of each lane, by its name."""
        return {"control": self.control.stats(), "reply": self.reply.stats(), "data": self.data.stats()}

    def close(self) -> None:
        """Release the streams of all lanes."""
        for queue in (self.control, self.reply, self.data):
            queue.close()
