"""The real-time driver: the same actors, as tasks of one anyio task group in the host's event loop.

Messages come from the same streams that the stepped driver uses, and what is ready is served first come, first served:
of each actor one reply or data message at a time, control beside it and before. A send that finds room does not yield
here either, so no interleaving exists that the simulation cannot explore. Idle means that no message waits or is being
handled and every job sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from interlock.domain.errors import Broken, InvariantBroken
from interlock.runtime.actor import Actor, Context, Crash, Job, Recorder, SilentRecorder
from interlock.runtime.clock import RealClock
from interlock.runtime.hands import Hands, Piece
from interlock.runtime.mailbox import Envelope, Lane, LaneQueue, LaneStats, Mailbox, MailboxSizes
from interlock.runtime.real_asks import RealAsks
from interlock.runtime.realtime_context import RealContext
from interlock.runtime.schedule import FifoSchedule, Schedule
from interlock.runtime.work import Work

__all__ = ["RealTimeSystem"]

A = TypeVar("A", bound=Actor)

_HOST = "host"


class _Cell:
    """One actor with its mailbox, and what its two hands are at: one serves replies and data, the other control."""

    __slots__ = (
        "actor",
        "control_taken",
        "data_taken",
        "job_limit",
        "jobs",
        "mailbox",
        "name",
        "serve",
        "serve_control",
    )

    def __init__(self, name: str, mailbox: Mailbox, job_limit: int) -> None:
        self.name = name
        self.mailbox = mailbox
        self.actor: Actor | None = None
        self.data_taken = False
        """Whether its replies and data are being served, or stand in line for it."""
        self.control_taken = False
        self.jobs = 0
        self.job_limit = job_limit
        self.serve: Piece
        self.serve_control: Piece


class RealTimeSystem:
    """Actors on real time. ``async with`` runs them; leaving it, or cancelling its body, ends them all.

    Without ``on_crash`` an error that leaves an actor ends the whole group and is raised to the host.
    """

    def __init__(
        self,
        clock: RealClock | None = None,
        schedule: Schedule | None = None,
        recorder: Recorder | None = None,
        on_crash: Callable[[Crash], None] | None = None,
    ) -> None:
        self.clock = clock or RealClock()
        self.schedule = schedule or FifoSchedule()
        self.recorder: Recorder = recorder or SilentRecorder()
        self.on_crash = on_crash
        self.asks = RealAsks(self.clock)
        self.halted = anyio.Event()
        self.on_halt: Callable[[], None] | None = None
        """Called once when the session is over, before anybody who waits for that runs."""
        self._cells: dict[str, _Cell] = {}
        self._busy = 0
        self._unwritten = False
        self._idle = anyio.Event()
        self._group: TaskGroup | None = None
        self._hands = Hands()
        # A job that stands in line when everything ends is never awaited: it is closed, not leaked.
        self._unstarted: dict[int, Job] = {}
        self._host = RealContext(self, _HOST, outside=True)

    def add(
        self,
        name: str,
        build: Callable[[Context], A],
        sizes: MailboxSizes | None = None,
        *,
        aside: bool = False,  # noqa: ARG002 - the loop serves everybody; only a schedule has choices to keep apart
    ) -> A:
        """Make an actor, before the system runs.

        Raises:
            Broken: the name is taken, or the system runs already.
        """
        if name in self._cells or self._group is not None:
            message = f"{name} cannot be added: the name is taken or the system runs already"
            raise Broken(message)
        room = sizes or MailboxSizes()
        cell = self._cells[name] = _Cell(name, Mailbox(name, room), room.jobs)
        cell.serve, cell.serve_control = partial(self._serve, cell), partial(self._serve_control, cell)
        actor = build(RealContext(self, name))
        cell.actor = actor
        return actor

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        self._hands.start(self._group)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        group, self._group = self._group, None
        if group is None:
            return None
        self._hands.stop()
        group.cancel_scope.cancel()
        try:
            if isinstance(error, Exception):  # the host's own: it leaves as itself, not inside a group
                await group.__aexit__(None, None, None)
                return None
            return await group.__aexit__(kind, error, trace)
        finally:
            self.asks.stop()
            for job in self._unstarted.values():
                job.close()
            for cell in self._cells.values():
                cell.mailbox.close()

    # -- the host's side ------------------------------------------------------------------------------------

    def post(self, to: str, message: object, lane: Lane = Lane.DATA) -> bool:
        """Put a message in without waiting; False when the lane is full and it was not taken."""
        return self.offer(to, Envelope(message, None, sent_ns=self.clock.now_ns()), lane, outside=True) is None

    async def deliver(self, to: str, message: object, lane: Lane = Lane.DATA) -> None:
        """Put a message in from outside the actors, waiting where the lane is full."""
        await self._host.send(to, message, lane)

    def ask(self, to: str, message: object, timeout_s: float | None = None) -> Awaitable[object]:
        """Send a request from outside the actors and wait for its answer; raises as ``Context.ask`` does.

        Raises:
            SessionOver: the run was over before there was an answer. What was asked for may have been done.
        """
        return self._host.ask(to, message, timeout_s)

    def soon(self, work: Callable[[], None]) -> None:
        """Have the recorder do something right after what the loop is at; an error of it goes the way of a crash."""
        asyncio.get_running_loop().call_soon(self._write_down, work)

    async def wait_idle(self) -> None:
        """Wait until no message waits or is being handled and every job sleeps."""
        while self._busy:
            self._idle = anyio.Event()
            await self._idle.wait()

    def halt(self) -> None:
        """Tell the host that the session is over."""
        if not self.halted.is_set():
            self.halted.set()
            if self.on_halt is not None:
                self.on_halt()
            self.asks.let_go(_HOST)

    def stats(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor, by name and lane."""
        return {name: cell.mailbox.stats() for name, cell in self._cells.items()}

    def waiting(self, name: str, lane: Lane) -> int:
        """Return how many messages wait in one lane of an actor."""
        return self._cell(name).mailbox.lane(lane).depth

    @property
    def late_replies(self) -> int:
        """Return how many answers came after their asker had given up."""
        return self.asks.late

    # -- running --------------------------------------------------------------------------------------------

    async def _serve(self, cell: _Cell) -> None:
        """Serve one message of the reply lane or, where there is none, of the data lane."""
        box = cell.mailbox
        envelope = self._take(box.reply if box.reply.depth else box.data)
        try:
            if cell.actor is not None:
                await cell.actor.handle(envelope.message, envelope.reply_to)
        except Exception as error:  # noqa: BLE001 - the supervisor: RT-8, every crash goes to the trip path
            self._crashed(cell.name, f"{Work.DATA.value} {type(envelope.message).__name__}", error)
        finally:
            cell.data_taken = False
            self._leave()
            self._line_up(cell)

    async def _serve_control(self, cell: _Cell) -> None:
        """Serve one message of the control lane, whatever else the actor is at."""
        envelope = self._take(cell.mailbox.control)
        try:
            if cell.actor is not None:
                await cell.actor.handle_control(envelope.message)
        except Exception as error:  # noqa: BLE001 - the supervisor, as above
            self._crashed(cell.name, f"{Work.CONTROL.value} {type(envelope.message).__name__}", error)
        finally:
            cell.control_taken = False
            self._leave()
            self._line_up(cell)

    def _line_up(self, cell: _Cell, *, outside: bool = False) -> None:
        """Let what waits in a mailbox be served, one of its hands for control and one for the rest."""
        box = cell.mailbox
        if box.control.depth and not cell.control_taken:
            cell.control_taken = True
            self._hands.put(cell.serve_control, urgent=True, outside=outside)
        if not cell.data_taken and (box.data.depth or box.reply.depth):
            cell.data_taken = True
            self._hands.put(cell.serve, outside=outside)

    def _take(self, queue: LaneQueue) -> Envelope:
        """Take the oldest envelope out; the next one that waits in line goes in."""
        envelope = queue.receive()
        if queue.taken(self.clock.now_ns() - envelope.sent_ns):
            self._enter()
        return envelope

    async def _run_job(self, cell: _Cell, job: Job, label: str) -> None:
        self._unstarted.pop(id(job), None)
        try:
            await job
        except Exception as error:  # noqa: BLE001 - the supervisor, as above
            self._crashed(cell.name, f"{Work.JOB.value} {label}", error)
        finally:
            cell.jobs -= 1
            self._leave()

    def _write_down(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the supervisor, as above: what cannot be written down trips
            self.recorder.count("lines_unwritten_total")
            if not self._unwritten:  # told once: what is said of it may be the next line that cannot be made
                self._unwritten = True
                self._enter()
                self._hands.put(partial(self._tell_crash, error), outside=True)

    async def _tell_crash(self, error: Exception) -> None:
        """Take a line that could not be made for a crash, in a hand: where that fails as well, the driver ends."""
        try:
            self._crashed("recorder", "lines", error)
        finally:
            self._leave()

    def _crashed(self, actor: str, work: str, error: Exception) -> None:
        if self.on_crash is None:
            raise error
        self.on_crash(Crash(actor, work, error))

    def _enter(self) -> None:
        self._busy += 1

    def _leave(self) -> None:
        self._busy -= 1
        if self._busy == 0:
            self._idle.set()

    def _cell(self, name: str) -> _Cell:
        cell = self._cells.get(name)
        if cell is None:
            message = f"no actor is named {name}"
            raise Broken(message)
        return cell

    # -- what contexts call ---------------------------------------------------------------------------------

    def direct(self, to: str, message: object) -> Awaitable[object] | None:
        """Return the work of a request that ``to`` serves in its asker's own task, or None where it waits its turn."""
        actor = self._cell(to).actor
        return None if actor is None else actor.direct(message)

    def offer(self, to: str, envelope: Envelope, lane: Lane, *, outside: bool = False) -> LaneQueue | None:
        """Put an envelope in and wake who serves it; where the lane is full, return it: there the sender waits."""
        cell = self._cell(to)
        queue = cell.mailbox.lane(lane)
        if not queue.offer(envelope):
            return queue
        self._busy += 1
        self._line_up(cell, outside=outside)
        return None

    def start_job(self, name: str, job: Job, label: str) -> None:
        """Start a job in the task group."""
        cell = self._cell(name)
        if cell.jobs >= cell.job_limit or self._group is None:
            job.close()
            code = "job_limit"
            raise InvariantBroken(code, f"{name} has {cell.jobs} jobs running", {"limit": cell.job_limit})
        cell.jobs += 1
        self._enter()
        self._unstarted[id(job)] = job
        self._hands.put(partial(self._run_job, cell, job, label))

    async def sleep(self, seconds: float) -> None:
        """Sleep, which counts as idle."""
        self._leave()
        try:
            await self.clock.sleep(seconds)
        finally:
            self._enter()
