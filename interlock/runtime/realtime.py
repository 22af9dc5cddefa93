"""The real-time driver: the same actors, as tasks of one anyio task group in the host's event loop.

Each lane of each mailbox has a task that awaits the same streams that the stepped driver uses; reply and data take
turns through a lock, so that a handler runs alone, and control runs beside them. A send that finds room does not
yield here either, so no interleaving exists that the simulation cannot explore. Idle means that no message waits or
is being handled and every job sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import setcontext
from types import TracebackType
from typing import Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from interlock.domain.errors import Broken, InvariantBroken
from interlock.domain.money import ARITHMETIC
from interlock.runtime.actor import Actor, Context, Crash, Job, Recorder, SilentRecorder
from interlock.runtime.clock import RealClock
from interlock.runtime.mailbox import Envelope, Lane, LaneQueue, LaneStats, Mailbox, MailboxSizes, ReplyTo
from interlock.runtime.schedule import FifoSchedule, Schedule
from interlock.runtime.work import Work

__all__ = ["RealTimeSystem"]

A = TypeVar("A", bound=Actor)

_HOST = "host"


class _Asked:
    """A request on its way: what wakes the asker, and the answer once it is there."""

    __slots__ = ("answer", "answered")

    def __init__(self) -> None:
        self.answered = anyio.Event()
        self.answer: object = None


class _Cell:
    """One actor with its mailbox; ``turn`` keeps its reply and data handlers apart."""

    __slots__ = ("actor", "job_limit", "jobs", "mailbox", "name", "turn")

    def __init__(self, name: str, mailbox: Mailbox, job_limit: int) -> None:
        self.name = name
        self.mailbox = mailbox
        self.actor: Actor | None = None
        self.turn = anyio.Lock()
        self.jobs = 0
        self.job_limit = job_limit


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
        self.late_replies = 0
        self.halted = anyio.Event()
        self.on_halt: Callable[[], None] | None = None
        """Called once when the session is over, before anybody who waits for that runs."""
        self._cells: dict[str, _Cell] = {}
        self._asks: dict[int, _Asked] = {}
        self._ask_count = 0
        self._busy = 0
        self._idle = anyio.Event()
        self._group: TaskGroup | None = None
        # A task that is cancelled before its first step never awaits its job: such a job is closed, not leaked.
        self._unstarted: dict[int, Job] = {}

    def add(self, name: str, build: Callable[[Context], A], sizes: MailboxSizes | None = None) -> A:
        """Make an actor, before the system runs.

        Raises:
            Broken: the name is taken, or the system runs already.
        """
        if name in self._cells or self._group is not None:
            message = f"{name} cannot be added: the name is taken or the system runs already"
            raise Broken(message)
        room = sizes or MailboxSizes()
        cell = self._cells[name] = _Cell(name, Mailbox(name, room), room.jobs)
        actor = build(RealContext(self, name))
        cell.actor = actor
        return actor

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        for cell in self._cells.values():
            box = cell.mailbox
            for queue, work in ((box.control, Work.CONTROL), (box.reply, Work.DATA), (box.data, Work.DATA)):
                self._group.start_soon(self._serve, cell, queue, work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        group, self._group = self._group, None
        if group is None:
            return None
        group.cancel_scope.cancel()
        try:
            if isinstance(error, Exception):  # the host's own: it leaves as itself, not inside a group
                await group.__aexit__(None, None, None)
                return None
            return await group.__aexit__(kind, error, trace)
        finally:
            for job in self._unstarted.values():
                job.close()
            for cell in self._cells.values():
                cell.mailbox.close()

    # -- the host's side ------------------------------------------------------------------------------------

    def post(self, to: str, message: object, lane: Lane = Lane.DATA) -> bool:
        """Put a message in without waiting; False when the lane is full and it was not taken."""
        taken = self._cell(to).mailbox.lane(lane).offer(Envelope(message, None))
        if taken:
            self._enter()
        return taken

    async def ask(self, to: str, message: object, timeout_s: float | None = None) -> object:
        """Send a request from outside the actors and wait for its answer; raises as ``Context.ask`` does."""
        return await RealContext(self, _HOST).ask(to, message, timeout_s)

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

    def stats(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor, by name and lane."""
        return {name: cell.mailbox.stats() for name, cell in self._cells.items()}

    # -- running --------------------------------------------------------------------------------------------

    async def _serve(self, cell: _Cell, queue: LaneQueue, work: Work) -> None:
        actor = cell.actor
        if actor is None:
            return
        setcontext(ARITHMETIC.copy())  # of this task alone: a context variable
        async for envelope in queue.outlet:
            queue.depth -= 1
            message = envelope.message
            try:
                if work is Work.CONTROL:
                    await actor.handle_control(message)
                else:
                    async with cell.turn:
                        await actor.handle(message, envelope.reply_to)
            except Exception as error:  # noqa: BLE001 - the supervisor: RT-8, every crash goes to the trip path
                self._crashed(cell.name, f"{work.value} {type(message).__name__}", error)
            finally:
                self._leave()

    async def _run_job(self, cell: _Cell, job: Job, label: str) -> None:
        self._unstarted.pop(id(job), None)
        setcontext(ARITHMETIC.copy())
        try:
            await job
        except Exception as error:  # noqa: BLE001 - the supervisor, as above
            self._crashed(cell.name, f"{Work.JOB.value} {label}", error)
        finally:
            cell.jobs -= 1
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

    async def deliver(self, to: str, envelope: Envelope, lane: Lane) -> None:
        """Put an envelope in, waiting only when the lane is full."""
        queue = self._cell(to).mailbox.lane(lane)
        if queue.offer(envelope):
            self._enter()
            return
        # Counted before it is in: once room is made, its receiver may be faster than we are.
        queue.note_accepted()
        self._enter()
        sent = False
        try:
            await queue.inlet.send(envelope)
            sent = True
        finally:
            if not sent:
                queue.depth -= 1
                self._leave()

    def open_ask(self) -> tuple[int, _Asked]:
        """Register a request."""
        self._ask_count += 1
        asked = self._asks[self._ask_count] = _Asked()
        return self._ask_count, asked

    def close_ask(self, ask_id: int) -> None:
        """Forget a request, answered or given up."""
        del self._asks[ask_id]

    def answer(self, ticket: ReplyTo, answer: object) -> None:
        """Hand an answer to its asker, or count it as late."""
        asked = self._asks.get(ticket.ask_id)
        if asked is None or asked.answered.is_set():
            self.late_replies += 1
            return
        asked.answer = answer
        asked.answered.set()

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
        self._group.start_soon(self._run_job, cell, job, label)

    async def sleep(self, seconds: float) -> None:
        """Sleep, which counts as idle."""
        self._leave()
        try:
            await self.clock.sleep(seconds)
        finally:
            self._enter()


class RealContext(Context):
    """The context of one actor under the real-time driver."""

    def __init__(self, system: RealTimeSystem, name: str) -> None:
        super().__init__(name, system.clock, system.schedule, system.recorder)
        self._system = system
        self._real = system.clock

    async def send(self, to: str, message: object, lane: Lane = Lane.DATA) -> None:
        """Deliver ``message``; waits for room only."""
        await self._system.deliver(to, Envelope(message, None), lane)

    async def ask(self, to: str, message: object, timeout_s: float | None = None) -> object:
        """Send, then wait for the answer."""
        if timeout_s is not None:
            with self._real.deadline(timeout_s):
                return await self.ask(to, message)
        ask_id, asked = self._system.open_ask()
        try:
            await self._system.deliver(to, Envelope(message, ReplyTo(self.name, ask_id)), Lane.DATA)
            await asked.answered.wait()
            return asked.answer
        finally:
            self._system.close_ask(ask_id)

    def reply(self, ticket: ReplyTo, answer: object) -> None:
        """Answer a request."""
        self._system.answer(ticket, answer)

    async def sleep(self, seconds: float) -> None:
        """Wait on the machine's clock."""
        await self._system.sleep(seconds)

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Bound the waits of the block."""
        return self._real.deadline(seconds)

    def spawn(self, job: Job, label: str) -> None:
        """Run a job beside the mailbox."""
        self._system.start_job(self.name, job, label)

    def halt(self) -> None:
        """Tell the host that the session is over."""
        self._system.halt()
