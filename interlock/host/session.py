"""A session as its host sees it: submit, cancel, reconcile, status, order events, stop.

Every method may be called by many tasks of the host at once and cancelled at any await. What was asked for by then may
have been done: asking again under the same decision says what became of it, and never does it twice.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final

import anyio
import msgspec

from interlock.config.model import SessionConfig
from interlock.domain.broker import Accepted, Cancelled, Expired, Fill, PlaceOrder, Rejected
from interlock.domain.errors import BadInput, DeadlineExceeded, SessionOver, SessionRejected, UnknownMessage
from interlock.domain.ids import client_order_id
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import (
    CancelIntent,
    CancelOutcome,
    HostSaw,
    RequestReconcile,
    StopSession,
    SubmitOutcome,
    SubmitStatus,
)
from interlock.domain.reconcile import ReconcileReport
from interlock.domain.session_states import SessionState
from interlock.host.feed import EventFeed, OrderUpdates
from interlock.host.room import Room
from interlock.runtime.mailbox import Lane
from interlock.sessions import RealTimeSession, SessionResult

__all__ = ["HostSession", "HostStatus"]

_DESK: Final = "orchestrator"
_UNBOUNDED: Final = nullcontext()
_BEGINNING: Final = (SessionState.INIT, SessionState.PREFLIGHT_OK)

Seen = PlaceOrder | Accepted | Rejected | Fill | Cancelled | Expired
"""What the host of a shadow session may report: an order of its own, or what it has heard of one."""


class HostStatus(msgspec.Struct, frozen=True, tag_field="schema", tag="HostStatus/1"):
    """How a session stands at one instant. ``last_reconcile`` is its result, or "" before the first one."""

    run_id: str
    session_id: str
    at_ns: int
    state: str
    status: str
    reason: str
    kill_switch: int
    trips: tuple[str, ...]
    shadow: bool
    live_orders: int
    submits_in_flight: int
    submits_waiting: int
    last_reconcile: str
    last_reconcile_ns: int


class HostSession:
    """One open session. Made by ``open_session``, which also ends it."""

    def __init__(self, session: RealTimeSession, config: SessionConfig, *, shadow: bool) -> None:
        host = config.host
        self.shadow = shadow
        self._session = session
        self._config = config
        self._room = Room(min(host.in_flight_max, config.rails.in_flight_max), host.waiting_max)
        self._feed = EventFeed(host.events_max)
        self._begun = anyio.Event()
        self._report: ReconcileReport | None = None
        self._reported = anyio.Event()
        self._result: SessionResult | None = None
        self._on_halt = session.system.on_halt
        session.system.on_halt = self._halted
        orchestrator = session.orchestrator
        orchestrator.record.on_state = self._moved
        orchestrator.desk.book.on_change = self._feed.changed
        orchestrator.watch.on_report = self._note

    @property
    def inner(self) -> RealTimeSession:
        """The session itself, for what looks at one, such as the pages of ``interlock.web``."""
        return self._session

    # -- orders ---------------------------------------------------------------------------------------------

    async def submit(self, intent: OrderIntent, timeout_s: float | None = None) -> SubmitOutcome:
        """Ask for one intent to be sent; return what became of it.

        So many submits may be under way at once, so many more wait for room; beyond that the answer is REFUSED with the
        code BUSY, and nothing was sent. After the end of the session it is REFUSED with SESSION_ENDED.

        Raises:
            DeadlineExceeded: no outcome within ``timeout_s``; ask again under the same decision to learn it.
        """
        if self._session.system.halted.is_set():
            return self._refused(intent, "SESSION_ENDED", "nothing was sent")
        asked = False
        try:
            with self._bounded(timeout_s):
                if not (self._room.has_let_in() or await self._room.enter()):
                    return self._refused(intent, "BUSY", "too many intents on their way; try again")
                try:
                    asked = True
                    return await self._session.submit(intent)
                finally:
                    self._room.leave()
        except DeadlineExceeded:
            if asked:
                raise
            return self._refused(intent, "BUSY", f"no room within {timeout_s} s; nothing was sent")
        except SessionOver:
            return self._outcome(intent, SubmitStatus.UNKNOWN, "SESSION_ENDED", "ask the broker")

    async def cancel(self, client_order_id: str, timeout_s: float | None = None) -> CancelOutcome:
        """Ask for what is left of an order to be cancelled; what comes of it is told by the order's events.

        Raises:
            DeadlineExceeded: no answer within ``timeout_s``; the cancel may be on its way.
            SessionOver: the session has ended.
        """
        answer = await self._ask(CancelIntent(client_order_id), timeout_s)
        if not isinstance(answer, CancelOutcome):
            message = f"a cancel was answered with {type(answer).__name__}"
            raise UnknownMessage(message)
        return answer

    def events(self) -> OrderUpdates:
        """Return an async iterator over what happens to orders from now on; it ends with the session.

        A consumer that is too slow finds ``EventsMissed`` in the place of what it missed.
        """
        return self._feed.follow()

    # -- comparing ------------------------------------------------------------------------------------------

    async def reconcile(self, timeout_s: float | None = None) -> ReconcileReport:
        """Compare with the broker now; return the report of a reconcile that began after this call.

        Raises:
            DeadlineExceeded: no report within ``timeout_s``; it still comes, and is recorded.
            SessionOver: the session ended first.
        """
        since_ns = self._session.clock.now_ns()
        with self._bounded(timeout_s):
            await self._tell(RequestReconcile(), Lane.DATA)
            while self._report is None or self._report.started_ns < since_ns:
                self._need_open()
                await self._reported.wait()
            return self._report

    async def observe(self, seen: Seen, timeout_s: float | None = None) -> None:
        """Shadow session: report an order that the host has placed by itself, or what it has heard of one.

        Orders are reported under the key that they have at the broker, fills exactly as the broker told them; what was
        reported before changes nothing. A report that contradicts an earlier one ends the session.

        Raises:
            BadInput: the session is none of that kind, the order was never reported, or its key stands for another one.
            DeadlineExceeded, SessionOver: as ``cancel``.
        """
        refusal = await self._ask(HostSaw(seen), timeout_s)
        if refusal:
            allowed = "in a shadow session: an order under a key of its own, then what is heard of it"
            raise BadInput(f"order {seen.client_order_id}", f"is not taken: {refusal}", allowed)

    # -- the session ----------------------------------------------------------------------------------------

    def status(self) -> HostStatus:
        """Return how the session stands."""
        session = self._session
        view, report = session.result().view, session.orchestrator.watch.last_report
        return HostStatus(
            run_id=self._config.run_id,
            session_id=self._config.session.session_id,
            at_ns=session.clock.now_ns(),
            state=view.state,
            status=view.status,
            reason=view.reason,
            kill_switch=view.kill_switch,
            trips=view.trips,
            shadow=self.shadow,
            live_orders=len(session.orchestrator.desk.book.live),
            submits_in_flight=self._room.inside,
            submits_waiting=self._room.waiting,
            last_reconcile="" if report is None else report.result,
            last_reconcile_ns=0 if report is None else report.finished_ns,
        )

    async def stop(self, reason: str) -> SessionResult:
        """End the session in good order: no new intent, open orders cancelled as configured, a last reconcile."""
        if not self._session.system.halted.is_set():
            await self._tell(StopSession(reason), Lane.CONTROL)
        return await self.ended()

    async def ended(self) -> SessionResult:
        """Wait until the session is over, by itself or because it was stopped; return how it ended."""
        await self._session.system.halted.wait()
        if self._result is None:
            await self._session.flush_alerts()
        return self.finish()

    def finish(self) -> SessionResult:
        """Write the last records, once, and return how the session ended."""
        if self._result is None:
            self._result = self._session.finish()
        return self._result

    # -- opening and closing --------------------------------------------------------------------------------

    async def begun(self) -> None:
        """Wait until intents are taken.

        Raises:
            SessionRejected: there is something against it; the error says all of it.
        """
        await self._begun.wait()
        if self._session.orchestrator.record.state is SessionState.DRYRUN_ACTIVE:
            return
        result = await self.ended()
        codes = tuple(reject.code for reject in result.view.rejects) or (result.fail_code or result.status,)
        raise SessionRejected(codes, result.reject_reason or result.fail_reason or result.view.reason)

    async def close(self, reason: str) -> None:
        """End the session within its bound, in good order or not; afterwards nothing of it runs on."""
        bound_s = self._config.host.shutdown_s
        try:
            with self._session.clock.deadline(bound_s):
                await self.stop(reason)
        except DeadlineExceeded:
            pass
        finally:
            self._session.abandon("shutdown_overdue", f"the session did not end within {bound_s} s of its host leaving")
            self.finish()

    # -- parts ----------------------------------------------------------------------------------------------

    def _refused(self, intent: OrderIntent, code: str, reason: str) -> SubmitOutcome:
        self._session.recorder.count(f"intents_refused_total|{code}")
        return self._outcome(intent, SubmitStatus.REFUSED, code, reason)

    def _outcome(self, intent: OrderIntent, status: SubmitStatus, code: str, reason: str) -> SubmitOutcome:
        key = client_order_id(self._config.session.strategy_id, intent.decision_id)
        return SubmitOutcome(key, status, code, reason)

    async def _ask(self, message: object, timeout_s: float | None) -> object:
        self._need_open()
        with self._bounded(timeout_s):
            return await self._session.system.ask(_DESK, message)

    async def _tell(self, message: object, lane: Lane) -> None:
        self._need_open()
        await self._session.system.deliver(_DESK, message, lane)

    def _need_open(self) -> None:
        if self._session.system.halted.is_set():
            text = "the session has ended"
            raise SessionOver(text)

    def _bounded(self, timeout_s: float | None) -> AbstractContextManager[None]:
        return _UNBOUNDED if timeout_s is None else self._session.clock.deadline(timeout_s)

    def _moved(self, state: SessionState) -> None:
        if state not in _BEGINNING:
            self._begun.set()

    def _note(self, report: ReconcileReport) -> None:
        self._report = report
        self._wake()

    def _halted(self) -> None:
        if self._on_halt is not None:
            self._on_halt()
        self._begun.set()
        self._feed.end()
        self._wake()

    def _wake(self) -> None:
        reported, self._reported = self._reported, anyio.Event()
        reported.set()
