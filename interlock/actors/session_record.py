"""The session's own record: its state, what was said against it, and how it is seen from outside.

The orchestrator decides; this keeps what was decided and tells it: state snapshots, audit records, alerts, and the
kill switch in the store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from interlock.domain.alerts import alert_of
from interlock.domain.errors import StorageError
from interlock.domain.instants import to_ns
from interlock.domain.messages import Trip
from interlock.domain.preflight import Reject
from interlock.domain.restart import RestartReason, SessionBegun, SessionDone, restart_reason
from interlock.domain.session_states import SESSION_TABLE, STATUS_OF, SessionEvent, SessionState
from interlock.runtime.actor import Context
from interlock.runtime.store import Store

__all__ = ["SessionRecord", "SessionView"]

_IDS = ("decision_id", "reconcile_id", "client_order_id")
"""What a trip was about, where its evidence says so."""


_SWITCHED_BY: Final = {
    "C2_REJECT_STORE": "store_failed",
    "C2_REJECT_RECONCILE": "startup_reconcile",
    "C2_REJECT_EXPOSURE": "startup_exposure",
}
"""Rejects after which only an operator lets a session begin, and what the kill switch says then."""


class SessionView(msgspec.Struct, frozen=True, tag_field="schema", tag="SessionView/1"):
    """What is seen of a session from outside."""

    state: SessionState
    status: str
    reason: str
    kill_switch: int
    rejects: tuple[Reject, ...]
    fail_code: str
    trips: tuple[str, ...]


class SessionRecord:
    """State, rejects, trips and failure of one session."""

    def __init__(self, ctx: Context, store: Store, session_id: str, run_id: str, version: str) -> None:
        self.state = SessionState.INIT
        self.restart = RestartReason.FIRST
        self.rejects: tuple[Reject, ...] = ()
        self.trips: list[str] = []
        self.fail_code = ""
        self.on_state: Callable[[SessionState], None] | None = None
        """Told each state that the session comes to: a host that waits for it."""
        self._ctx = ctx
        self._store = store
        self._session_id = session_id
        self._run_id = run_id
        self._version = version
        self._switched_off = ""
        self._raised: dict[str, int] = {}

    def begin(self) -> None:
        """Say why the engine starts, and leave a mark in the store that it did (RST-2)."""
        ctx, store, last = self._ctx, self._store, self._store.marks()
        switch = store.kill_switch()
        self.restart = restart_reason(last.begun, last.done, version=self._version, kill_switch=switch)
        about: dict[str, object] = {"engine_restart_reason": self.restart, "version": self._version}
        if last.begun is not None:
            about |= {"last_run_id": last.begun.run_id, "last_version": last.begun.version}
        ctx.emit("ENGINE_RESTART", about)
        ctx.audit("ENGINE_RESTART", f"engine_restart_reason={self.restart}", about)
        if ctx.now_ns() + to_ns(1) < store.latest_ns():
            late = {"now_ns": ctx.now_ns(), "latest_ns": store.latest_ns()}
            ctx.audit("CLOCK_WENT_BACK", "the store has seen a later time than it is now", late, "WARN")
        store.begin_session(SessionBegun(self._run_id, self._session_id, self._version, ctx.now_ns(), self.restart))

    def move(self, event: SessionEvent, reason: str) -> bool:
        """Move the session by one event; returns whether that led to another state.

        Raises:
            IllegalTransition: the table does not hold the pair; nothing changed.
        """
        before, self.state = self.state, SESSION_TABLE.next(self.state, event)
        self._ctx.count(f"session_events_total|{before}|{event}")
        moved = before is not self.state
        if moved:
            self._ctx.emit("SESSION_STATE", {"from": before, "to": self.state, "event": event, "reason": reason})
            self.tell(reason)
            if self.on_state is not None:
                self.on_state(self.state)
        return moved

    def tell(self, reason: str) -> None:
        """Write a snapshot of the session as it is now."""
        view = self.view()
        self._ctx.snapshot(
            {
                "session_id": self._session_id,
                "state": view.state,
                "status": view.status,
                "kill_switch": view.kill_switch,
                "reason": reason,
            }
        )

    def reject(self, rejects: tuple[Reject, ...]) -> None:
        """Take down why the session may not begin; a failed store, or a broker that disagrees, sets the kill switch."""
        self.rejects = rejects
        for reject in rejects:
            self._ctx.count(f"preflight_rejects_total|{reject.code}")
            self._ctx.audit(reject.code, reject.reason, level="ERROR")
        for code, reason in _SWITCHED_BY.items():
            if any(reject.code == code for reject in rejects):
                self.engage_kill_switch(reason)
        for reject in rejects:
            if reject.code == "C2_REJECT_STORE":
                self.alert("ALERT_IDEMPOTENCY_PERSISTENCE_FAILED", {"reason": reject.reason})

    def trip(self, trip: Trip) -> None:
        """Take down a trip with its evidence; the kill switch is set before anything is said."""
        self.engage_kill_switch(trip.code)
        self.trips.append(trip.code)
        ctx = self._ctx
        ctx.count("safety_rail_trips_total")
        ctx.emit("TRIP", {"code": trip.code, "message": trip.message, "evidence": trip.evidence})
        ctx.audit("SAFETY_RAIL_TRIPPED", trip.message, {"code": trip.code, **trip.evidence}, "CRITICAL")
        ids = {name: trip.evidence[name] for name in _IDS if name in trip.evidence}
        self.alert("ALERT_SAFETY_RAIL_TRIPPED", {"code": trip.code, "trips": len(self.trips), **ids})

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch; a store that cannot hold it keeps nobody from stopping, and is tried again."""
        self._switched_off = self._switched_off or reason
        try:
            self._store.engage_kill_switch(reason)
        except StorageError as error:
            self._ctx.count("kill_switch_failures_total")
            self._ctx.audit("KILL_SWITCH_NOT_STORED", str(error), {"reason": reason}, "CRITICAL")

    def alert(self, name: str, about: dict[str, object]) -> None:
        """Raise an alert: written down here and now, and told to people by the alert actor, for which nobody waits."""
        self._ctx.count(f"alerts_total|{name}")
        self._ctx.emit("ALERT", {"alert": name, "run_id": self._run_id, **about})
        self._ctx.audit(name, "an operator should look at this", about, "ERROR")
        raised = self._raised[name] = self._raised.get(name, 0) + 1
        alert = alert_of(name, about, run_id=self._run_id, at_ns=self._ctx.now_ns(), raised=raised)
        if not self._ctx.offer("alerts", alert):
            self._ctx.count("alerts_dropped_total|mailbox")

    def end(self) -> None:
        """Say how the session ended, and end the run."""
        if self._switched_off and not self._store.kill_switch():
            self.engage_kill_switch(self._switched_off)
        view = self.view()
        meta = {"state": view.state, "status": view.status}
        self._ctx.audit("C2_DRYRUN_STOP", f"session ends {view.status}", meta)
        switch = self._store.kill_switch() or self._switched_off
        try:
            self._store.end_session(SessionDone(self._run_id, view.status, self._ctx.now_ns(), switch))
            self._store.commit()
        except StorageError as error:  # the next start then comes after a crash, which is what this is
            self._ctx.audit("END_NOT_STORED", str(error), level="ERROR")
        self._ctx.halt()

    def view(self) -> SessionView:
        """Return how the session stands."""
        kill_switch = self._store.kill_switch() or self._switched_off
        status = "FAILED" if self.fail_code else str(STATUS_OF[self.state])
        fail_code = self.fail_code or (self.trips[0] if self.trips else "")
        return SessionView(
            self.state, status, kill_switch, int(bool(kill_switch)), self.rejects, fail_code, tuple(self.trips)
        )
