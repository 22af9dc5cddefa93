"""The session's own record: its state, what was said against it, and how it is seen from outside.

The orchestrator decides; this keeps what was decided and tells it: state snapshots, audit records, alerts, and the
kill switch in the store.
"""

from __future__ import annotations

import msgspec

from interlock.domain.errors import StorageError
from interlock.domain.messages import Trip
from interlock.domain.preflight import Reject
from interlock.domain.session_states import SESSION_TABLE, STATUS_OF, SessionEvent, SessionState
from interlock.runtime.actor import Context
from interlock.runtime.store import Store

__all__ = ["SessionRecord", "SessionView"]


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

    def __init__(self, ctx: Context, store: Store, session_id: str, run_id: str) -> None:
        self.state = SessionState.INIT
        self.rejects: tuple[Reject, ...] = ()
        self.trips: list[str] = []
        self.fail_code = ""
        self._ctx = ctx
        self._store = store
        self._session_id = session_id
        self._run_id = run_id
        self._switched_off = ""

    def move(self, event: SessionEvent, reason: str) -> bool:
        """Move the session by one event; returns whether that led to another state.

        Raises:
            IllegalTransition: the table does not hold the pair; nothing changed.
        """
        before, self.state = self.state, SESSION_TABLE.next(self.state, event)
        moved = before is not self.state
        if moved:
            self._ctx.emit("SESSION_STATE", {"from": before, "to": self.state, "event": event, "reason": reason})
            self.tell(reason)
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
        """Take down why the session may not begin; a broker that disagrees sets the kill switch as well."""
        self.rejects = rejects
        for reject in rejects:
            self._ctx.count(f"preflight_rejects_total|{reject.code}")
            self._ctx.audit(reject.code, reject.reason, level="ERROR")
        if any(reject.code == "C2_REJECT_RECONCILE" for reject in rejects):
            self.engage_kill_switch("startup_reconcile")
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
        self.alert("ALERT_SAFETY_RAIL_TRIPPED", {"code": trip.code, "trips": len(self.trips)})

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch; a store that cannot hold it keeps nobody from stopping, and is tried again."""
        self._switched_off = self._switched_off or reason
        try:
            self._store.engage_kill_switch(reason)
        except StorageError as error:
            self._ctx.count("kill_switch_failures_total")
            self._ctx.audit("KILL_SWITCH_NOT_STORED", str(error), {"reason": reason}, "CRITICAL")

    def alert(self, name: str, about: dict[str, object]) -> None:
        """Raise an alert."""
        self._ctx.count(f"alerts_total|{name}")
        self._ctx.emit("ALERT", {"alert": name, "run_id": self._run_id, **about})
        self._ctx.audit(name, "an operator should look at this", about, "ERROR")

    def end(self) -> None:
        """Say how the session ended, and end the run."""
        if self._switched_off and not self._store.kill_switch():
            self.engage_kill_switch(self._switched_off)
        view = self.view()
        meta = {"state": view.state, "status": view.status}
        self._ctx.audit("C2_DRYRUN_STOP", f"session ends {view.status}", meta)
        self._ctx.halt()

    def view(self) -> SessionView:
        """Return how the session stands."""
        kill_switch = self._store.kill_switch() or self._switched_off
        status = "FAILED" if self.fail_code else str(STATUS_OF[self.state])
        fail_code = self.fail_code or (self.trips[0] if self.trips else "")
        return SessionView(
            self.state, status, kill_switch, int(bool(kill_switch)), self.rejects, fail_code, tuple(self.trips)
        )
