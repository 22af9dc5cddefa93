"""The stepped driver: the scheduler that owns every runnable thing, on virtual time.

One step takes the next message of one mailbox, or resumes one waiting handler or job, or, when none can run,
moves the clock to the earliest timer; and runs it to its next wait. Control messages come first. Nothing else
advances anything, so quiescence is exact: nothing ready, no timer due. Someone still waiting then is a deadlock.

Actors that stand aside are only told things: served when nothing else can run, without a choice of the schedule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Final, TypeVar, get_args

from interlock.domain.errors import Broken, DeadlineExceeded, InvariantBroken, Nondeterminism
from interlock.domain.instants import to_ns
from interlock.runtime.actor import Actor, Context, Crash, Job, Recorder, RunReport, SilentRecorder, StopReason
from interlock.runtime.asks import UNANSWERED, Asks
from interlock.runtime.clock import VirtualClock
from interlock.runtime.mailbox import (
    CONTROL,
    DATA,
    Envelope,
    Lane,
    LaneQueue,
    LaneStats,
    Mailbox,
    MailboxSizes,
    ReplyTo,
)
from interlock.runtime.schedule import ORDER_LABEL, FifoSchedule, Schedule
from interlock.runtime.stepped_context import SteppedContext
from interlock.runtime.stepping import Stepping
from interlock.runtime.timers import Timers
from interlock.runtime.tracing import Tracer, Way
from interlock.runtime.work import AwaitReply, Cell, Deadline, Op, SendWait, SleepUntil, Task, Work, waiting_ring

__all__ = ["RunReport", "SteppedSystem"]

A = TypeVar("A", bound=Actor)

_DATA_WORK, _CONTROL_WORK, _JOB_WORK = Work.DATA, Work.CONTROL, Work.JOB
_WAITS: Final = frozenset(get_args(Op))
"""All that a coroutine may wait on."""


class SteppedSystem(Stepping):
    """Actors on virtual time, one step at a time. Use as a context manager, or call ``close``.

    Without ``on_crash`` an error that leaves an actor is raised by ``step``.
    """

    def __init__(
        self,
        clock: VirtualClock | None = None,
        schedule: Schedule | None = None,
        recorder: Recorder | None = None,
        on_crash: Callable[[Crash], None] | None = None,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.schedule = schedule or FifoSchedule()
        self.recorder: Recorder = recorder or SilentRecorder()
        self.on_crash = on_crash
        self.tracer: Tracer | None = None
        super().__init__()
        self._random_order = self.schedule.order == "random"
        self._named = self.schedule.named
        self._touched = self.schedule.touched
        self._cells: dict[str, Cell] = {}
        self._timers = Timers()
        self.asks = Asks()
        self._alive: dict[Task, None] = {}
        self._running: Task | None = None

    # -- setting up -----------------------------------------------------------------------------------------

    def add(
        self, name: str, build: Callable[[Context], A], sizes: MailboxSizes | None = None, *, aside: bool = False
    ) -> A:
        """Make an actor with a context of its own and a mailbox of the given sizes; ``aside``: see above.

        Raises:
            Broken: the name is taken.
        """
        if name in self._cells:
            message = f"two actors are named {name}"
            raise Broken(message)
        room = sizes or MailboxSizes()
        ready = self._aside if aside else self._ready
        cell = self._cells[name] = Cell(name, Mailbox(name, room), room.jobs, ready, self._urgent)
        actor = build(SteppedContext(self, cell))
        cell.actor = actor
        return actor

    def post(self, to: str, message: object, lane: Lane = Lane.DATA) -> bool:
        """Put a message in from outside the actors; False when the lane is full and it was not taken."""
        return self._offer(self._cell(to), lane, Envelope(message, None))

    def stats(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor, by name and lane."""
        return {name: cell.mailbox.stats() for name, cell in self._cells.items()}

    def waiting(self, name: str, lane: Lane) -> int:
        """Return how many messages wait in one lane of an actor."""
        return self._cell(name).mailbox.lane(lane).depth

    def state(self) -> Iterator[object]:
        """Yield all that decides how this driver goes on, as sets where the order makes no difference.

        What is ready is a set as long as the schedule draws who is next: then it is all one who waits longest.
        """
        yield from (self.clock.now_ns(), self.halted, self._deadlock, tuple(self._urgent), tuple(self._aside))
        yield frozenset(self._ready)
        yield frozenset(self._alive)
        yield self._timers
        for name in sorted(self._cells):
            cell = self._cells[name]
            yield cell
            for waiting in cell.waiting_senders.values():
                yield [(task, envelope) for task, token, envelope in waiting if task.token == token]
        yield self.asks

    def drop(self, names: Iterable[str]) -> None:
        """Take actors away as a crash does, with all they had to do; what others wanted to send them is lost."""
        self.halted = False
        gone = [self._cells.pop(name) for name in names]
        for task in [task for task in self._alive if task.cell in gone]:
            task.coro.close()
            task.token += 1  # its timers and its places in queues are stale now
            del self._alive[task]
        for line in (self._urgent, self._ready, self._aside):
            left = [item for item in line if (item.cell if type(item) is Task else item) not in gone]
            line.clear()
            line.extend(left)
        for cell in gone:
            for waiting in cell.waiting_senders.values():
                for task, token, _ in waiting:
                    if task.token == token and task in self._alive:
                        self._wake(task, None)
            cell.mailbox.close()

    def close(self) -> None:
        """Drop all work that still waits and release every mailbox."""
        self.halted = True
        for task in list(self._alive):
            task.coro.close()
        self._alive.clear()
        self._aside.clear()
        for cell in self._cells.values():
            cell.mailbox.close()

    @property
    def late_replies(self) -> int:
        """Return how many answers came after their asker had given up."""
        return self.asks.late

    # -- running --------------------------------------------------------------------------------------------

    def _step(self) -> StopReason | None:
        if self.halted:
            return "stopped"
        if self._urgent:
            self._run_urgent()
            return None
        if self._deadlock:
            return "deadlock"
        ready = self._ready
        if not ready:
            if not self._aside:
                return self._let_time_pass()
            item = self._aside.popleft()
        elif self._named or (self._random_order and len(ready) > 1):
            index = self._pick(ready)
            item = ready[index]
            del ready[index]
        else:
            item = ready.popleft()
        self.steps += 1
        if type(item) is Task:
            self._resume(item)
        else:
            self._serve(item)  # type: ignore[arg-type]  # a cell, where it is no task
        return None

    def _pick(self, ready: deque[Cell | Task]) -> int:
        if self._named:
            return self.schedule.pick([each.name for each in ready])
        return self.schedule.draw(len(ready), ORDER_LABEL)

    def _let_time_pass(self) -> StopReason | None:
        """Nothing can run now: go on with what the earliest timer wakes, which may be a control handler."""
        if self._fire_timers():
            return self._step()
        self._deadlock = tuple(task.waits() for task in self._alive)
        return "deadlock" if self._deadlock else "quiescent"

    def _run(self, item: Cell | Task) -> None:
        self.steps += 1
        if type(item) is Task:
            self._resume(item)
        elif type(item) is Cell:
            self._serve(item)

    def _run_urgent(self) -> None:
        self.steps += 1
        item = self._urgent.popleft()
        if type(item) is Task:
            self._resume(item)
        elif type(item) is Cell:
            self._serve_control(item)

    def _serve(self, cell: Cell) -> None:
        cell.queued = False
        box = cell.mailbox
        queue = box.reply if box.reply.depth else box.data
        envelope = queue.take()
        if cell.waiting_senders:
            self._admit_waiting(cell, queue)
        message = envelope.message
        if self.tracer is not None:
            way: Way = "reply" if queue is box.reply else "data"
            self.tracer.delivered(self.steps, self.clock.now_ns(), envelope.sender, cell.name, way, message)
        coro = cell.actor.handle(message, envelope.reply_to)  # type: ignore[union-attr]  # set by add()
        task = cell.busy = Task(cell, coro, _DATA_WORK, type(message).__name__)
        self._resume(task)

    def _serve_control(self, cell: Cell) -> None:
        cell.control_queued = False
        queue = cell.mailbox.control
        envelope = queue.take()
        if cell.waiting_senders:
            self._admit_waiting(cell, queue)
        message = envelope.message
        if self.tracer is not None:
            self.tracer.delivered(self.steps, self.clock.now_ns(), envelope.sender, cell.name, "control", message)
        coro = cell.actor.handle_control(message)  # type: ignore[union-attr]  # set by add()
        task = cell.control_busy = Task(cell, coro, _CONTROL_WORK, type(message).__name__)
        self._resume(task)

    def _resume(self, task: Task) -> None:
        self._running = task
        try:
            if task.error is None:
                op = task.coro.send(task.value)
            else:
                error, task.error = task.error, None
                op = task.coro.throw(error)
        except StopIteration:
            self._finish(task)
        except Exception as error:  # noqa: BLE001 - the supervisor: RT-8, every crash goes to the trip path
            self._finish(task)
            self._crashed(task, error)
        else:
            self._park(task, op)
        finally:
            self._running = None

    def _crashed(self, task: Task, error: Exception) -> None:
        if self.on_crash is None:
            raise error
        self.on_crash(Crash(task.cell.name, f"{task.work.value} {task.label}", error))

    def _finish(self, task: Task) -> None:
        self._alive.pop(task, None)
        cell = task.cell
        if cell.busy is task:
            cell.busy = None
            cell.queue_if_waiting()
        elif cell.control_busy is task:
            cell.control_busy = None
            cell.queue_if_urgent()
        else:
            cell.jobs -= 1

    # -- waiting --------------------------------------------------------------------------------------------

    def _park(self, task: Task, op: Any) -> None:
        if type(op) not in _WAITS:
            task.coro.close()
            self._finish(task)
            text = f"{task.cell.name} ({task.label}) awaited {op!r}, which is not an operation of its context"
            self._crashed(task, Nondeterminism(text))
            return
        task.op = op
        task.token += 1
        self._alive[task] = None
        for deadline in task.deadlines:
            if deadline.expired:
                self._expire(task, deadline)
                return
        if type(op) is SleepUntil:
            self._timers.add(op.due_ns, task, None)
        elif type(op) is AwaitReply:
            answer = self.asks.wait(op.ask_id, task)
            if answer is not UNANSWERED:
                self._wake(task, answer)
        elif type(op) is SendWait:
            queue = op.cell.mailbox.lane(op.lane)
            op.cell.waiting_senders.setdefault(queue, deque()).append((task, task.token, op.envelope))
            self._deadlock = self._deadlock or waiting_ring(task.cell)

    def _wake(self, task: Task, value: object) -> None:
        task.op = None
        task.token += 1
        task.value = value
        (self._urgent if task.work is _CONTROL_WORK else task.cell.ready).append(task)

    def _expire(self, task: Task, deadline: Deadline) -> None:
        task.error = DeadlineExceeded(f"{task.waits()} for more than {deadline.seconds} s")
        self._wake(task, None)

    def _admit_waiting(self, cell: Cell, queue: LaneQueue) -> None:
        waiting = cell.waiting_senders.get(queue)
        while waiting:
            task, token, envelope = waiting.popleft()
            if task.token == token:  # otherwise its deadline passed, and the message was never sent
                queue.offer(envelope)
                self._wake(task, None)
                break
        if not waiting:
            cell.waiting_senders.pop(queue, None)

    def _fire_timers(self) -> bool:
        """Move the clock to the earliest live timer and wake all that are due then; False when there is none."""
        due = self._timers.take_due(self.clock)
        for task, deadline in due:
            if deadline is None:
                self._wake(task, None)
            else:
                deadline.expired = True
                if task.op is not None:
                    self._expire(task, deadline)
        return bool(due)

    # -- what contexts call ---------------------------------------------------------------------------------

    def arm(self, deadline: Deadline) -> Task:
        """Start a deadline for the task that runs now."""
        task = self._running
        if task is None:
            message = "a deadline outside a handler or job"
            raise Broken(message)
        task.deadlines.append(deadline)
        self._timers.add(self.clock.now_ns() + to_ns(deadline.seconds), task, deadline)
        return task

    def try_send(self, to: str, envelope: Envelope, lane: Lane) -> SendWait | None:
        """Deliver; where the lane is full, return what the sender has to wait on."""
        cell = self._cells.get(to) or self._cell(to)
        return None if self._offer(cell, lane, envelope) else SendWait(cell, lane, envelope)

    def answer(self, ticket: ReplyTo, answer: object) -> None:
        """Hand an answer to its asker, or count it as late."""
        if self._touched is not None:
            self._touched.append(ticket.asker)
        late = self.asks.late
        asker = self.asks.answer(ticket.ask_id, answer)
        if asker is not None:
            self._wake(asker, answer)
        if self.tracer is not None:
            sender = "" if self._running is None else self._running.cell.name
            way: Way = "answer" if self.asks.late == late else "late"
            self.tracer.delivered(self.steps, self.clock.now_ns(), sender, ticket.asker, way, answer)

    def start_job(self, cell: Cell, job: Job, label: str) -> None:
        """Make a job runnable."""
        if cell.jobs >= cell.job_limit:
            job.close()
            code = "job_limit"
            raise InvariantBroken(code, f"{cell.name} has {cell.jobs} jobs running", {"limit": cell.job_limit})
        cell.jobs += 1
        coro: Coroutine[Any, Any, None] = job
        task = Task(cell, coro, _JOB_WORK, label)
        self._alive[task] = None
        cell.ready.append(task)

    def _cell(self, name: str) -> Cell:
        try:
            return self._cells[name]
        except KeyError:
            message = f"no actor is named {name}"
            raise Broken(message) from None

    def _offer(self, cell: Cell, lane: Lane, envelope: Envelope) -> bool:
        # Nobody overtakes senders that wait: room that is made goes to the first of them at once.
        queue = cell.mailbox.data if lane is DATA else cell.mailbox.lane(lane)
        if self._touched is not None:
            self._touched.append(cell.name)
        if not queue.offer(envelope):
            return False
        if lane is CONTROL:
            cell.queue_if_urgent()
        else:
            cell.queue_if_waiting()
        return True
