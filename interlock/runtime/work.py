"""The stepped driver's own bookkeeping: cells, tasks, and the operations a coroutine may wait on.

A coroutine of an actor is driven by hand. Whatever it yields must be one of the operations here; anything else
comes from a foreign await and would make the run depend on something the schedule does not decide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Generator
from enum import Enum
from types import TracebackType, coroutine
from typing import Any, Protocol

import msgspec

from interlock.runtime.actor import Actor
from interlock.runtime.mailbox import Envelope, Lane, LaneQueue, Mailbox

__all__ = ["AwaitReply", "Cell", "Deadline", "Op", "SendWait", "SleepUntil", "Task", "Work", "until", "waiting_ring"]


class Work(Enum):
    """What a task is for: which of an actor's hands is busy with it."""

    DATA = "handler"
    CONTROL = "control handler"
    JOB = "job"


class SleepUntil(msgspec.Struct, frozen=True, gc=False):
    """Wait for an instant."""

    due_ns: int

    def says(self) -> str:
        """Return the wait in words, for the deadlock report."""
        return "sleeps"


class SendWait(msgspec.Struct, frozen=True):
    """Wait for room in a lane."""

    cell: Cell
    lane: Lane
    envelope: Envelope

    def says(self) -> str:
        """Return the wait in words."""
        return f"waits for room in the {self.lane.name.lower()} lane of {self.cell.name}"


class AwaitReply(msgspec.Struct, frozen=True, gc=False):
    """Wait for the answer to a request."""

    ask_id: int
    asked: str

    def says(self) -> str:
        """Return the wait in words."""
        return f"waits for an answer of {self.asked}"


Op = SleepUntil | SendWait | AwaitReply
"""Something a coroutine waits on."""


@coroutine
def until(op: Op) -> Generator[Op, Any, Any]:
    """Hand an operation to the driver, and return what the driver sends back. For ``await``."""
    return (yield op)


class Task:
    """One coroutine of an actor, with what it waits on and what it will be resumed with."""

    __slots__ = ("cell", "coro", "deadlines", "error", "label", "op", "token", "value", "work")

    def __init__(self, cell: Cell, coro: Coroutine[Any, Any, None], work: Work, label: str) -> None:
        self.cell = cell
        self.coro = coro
        self.work = work
        self.label = label
        self.op: Op | None = None
        self.token = 0
        self.value: object = None
        self.error: Exception | None = None
        self.deadlines: list[Deadline] = []

    @property
    def name(self) -> str:
        """Return whose it is, and what it does."""
        return f"{self.cell.name}/{self.label}"

    def waits(self) -> str:
        """Return who waits on what, in words."""
        doing = self.op.says() if self.op is not None else "is ready"
        return f"{self.cell.name} ({self.work.value} {self.label}) {doing}"


class ArmsDeadlines(Protocol):
    """The driver, as a deadline sees it."""

    def arm(self, deadline: Deadline) -> Task:
        """Start the deadline for the task that runs now, and return that task."""


class Deadline:
    """A bound on the waits of one task; registered with the driver from its beginning to its end."""

    __slots__ = ("expired", "open", "seconds", "system", "task")

    def __init__(self, system: ArmsDeadlines, seconds: float) -> None:
        self.system = system
        self.seconds = seconds
        self.task: Task | None = None
        self.open = True
        self.expired = False

    def begin(self) -> None:
        """Let it count from now on."""
        self.task = self.system.arm(self)

    def end(self) -> None:
        """Let it count no more."""
        self.open = False
        if self.task is not None:
            self.task.deadlines.remove(self)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class Cell:
    """One actor with its mailbox, its hands and the senders that wait for room."""

    __slots__ = (
        "actor",
        "busy",
        "control_busy",
        "control_queued",
        "job_limit",
        "jobs",
        "mailbox",
        "name",
        "queued",
        "ready",
        "urgent",
        "waiting_senders",
    )

    def __init__(
        self, name: str, mailbox: Mailbox, job_limit: int, ready: deque[Cell | Task], urgent: deque[Cell | Task]
    ) -> None:
        self.name = name
        self.mailbox = mailbox
        self.actor: Actor | None = None
        self.busy: Task | None = None
        self.control_busy: Task | None = None
        self.queued = False
        self.control_queued = False
        self.ready = ready
        """The driver's line in which its work waits to be served."""
        self.urgent = urgent
        """The same for its control lane."""
        self.jobs = 0
        self.job_limit = job_limit
        self.waiting_senders: dict[LaneQueue, deque[tuple[Task, int, Envelope]]] = {}

    def queue_if_waiting(self) -> None:
        """Stand in line if there is a message to serve and a hand free for it."""
        box = self.mailbox
        if self.busy is None and not self.queued and (box.data.depth or box.reply.depth):
            self.queued = True
            self.ready.append(self)

    def queue_if_urgent(self) -> None:
        """Stand in the line that is served first if there is a control message to serve."""
        if self.control_busy is None and not self.control_queued and self.mailbox.control.depth:
            self.control_queued = True
            self.urgent.append(self)

    def blocked_on(self) -> Cell | None:
        """Return whose mailbox this cell's data handler waits for room in, if that is what it waits on."""
        busy = self.busy
        if busy is None or busy.deadlines or not isinstance(busy.op, SendWait) or busy.op.lane is Lane.CONTROL:
            return None
        return busy.op.cell


def waiting_ring(start: Cell) -> tuple[str, ...]:
    """Return who waits on whom where data handlers wait for room in each other's mailboxes, beginning at ``start``.

    Empty where there is no such ring. Nothing can ever free one: each mailbox is emptied only by its own handler.
    """
    chain: list[Cell] = []
    cell: Cell | None = start
    while cell is not None and cell not in chain:
        chain.append(cell)
        cell = cell.blocked_on()
    if cell is None:
        return ()
    return tuple(member.busy.waits() for member in chain[chain.index(cell) :] if member.busy is not None)
