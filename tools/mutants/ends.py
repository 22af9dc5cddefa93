"""Faults on the way to the end of a session: stops, trips, and the kernel that is to bring them in time."""

from __future__ import annotations

from typing import Final

from interlock.actors.cadence import cadence
from interlock.actors.ending import Ending
from interlock.actors.session_record import SessionRecord
from interlock.domain.messages import SessionEnded, Trip
from interlock.domain.reconcile import ReconcileReport, ReconcileResult
from interlock.domain.session_states import SessionEvent, SessionState
from interlock.runtime.actor import StopReason
from interlock.runtime.mailbox import Envelope, Lane
from interlock.runtime.stepped import SteppedSystem
from interlock.runtime.work import SendWait
from tools.mutants.cases import BURST, DAY, QUIET
from tools.mutants.mutant import Mutant, swap

__all__ = ["ENDS"]

_TRY_SEND: Final = SteppedSystem.try_send
_STEP: Final = SteppedSystem._step
_DRAIN: Final = Ending.drain


async def _leave_the_gate_open(self: Ending, event: SessionEvent, reason: str) -> None:
    ctx, settings = self._ctx, self._settings
    moved = self._record.move(event, reason)
    if not moved or self._record.state is not SessionState.STOPPING:
        return
    if settings.strategy is not None:
        await ctx.send(settings.strategy, SessionEnded(), Lane.CONTROL)
    ctx.spawn(cadence(ctx, "drain", settings.drain_every_s, settings.drains_max), "drain")


async def _compare_without_cancels(self: Ending, *, may_ask: bool) -> None:
    if not self._record.trips:
        await _DRAIN(self, may_ask=may_ask)
    elif self._record.state is SessionState.STOPPING and not self._final_asked:
        self._final_asked = True
        await self._watch.ask("shutdown")


async def _end_unseen(self: Ending, *, may_ask: bool) -> None:
    if self._record.state is not SessionState.STOPPING or self._desk.book.live:
        await _DRAIN(self, may_ask=may_ask)
        return
    self._final_asked = True
    now_ns = self._ctx.now_ns()
    self.conclude(ReconcileReport("rc-none", "shutdown", now_ns, now_ns, ReconcileResult.HEALTHY))


def _only_take_it_down(self: SessionRecord, trip: Trip) -> None:
    self.trips.append(trip.code)
    self.alert("ALERT_SAFETY_RAIL_TRIPPED", {"code": trip.code})


def _switch_and_say_nothing(self: SessionRecord, trip: Trip) -> None:
    self.engage_kill_switch(trip.code)
    self.trips.append(trip.code)


def _data_first(self: SteppedSystem) -> StopReason | None:
    """Take a step with the words to stop out of sight, as long as there is anything else to do."""
    if not self._urgent or not self._ready or self.halted:
        return _STEP(self)
    held = list(self._urgent)
    self._urgent.clear()
    reason = _STEP(self)
    self._urgent.extendleft(reversed(held))
    return reason


def _drop_when_full(self: SteppedSystem, to: str, envelope: Envelope, lane: Lane) -> SendWait | None:
    waits = _TRY_SEND(self, to, envelope, lane)
    return None if lane is Lane.DATA else waits


ENDS: Final = {
    "gate_left_open": Mutant(
        "no gate closes when the session stops", swap(Ending, "begin", _leave_the_gate_open), BURST, ("I12", "SAF-1")
    ),
    "no_cancel_on_trip": Mutant(
        "after a trip nothing is cancelled", swap(Ending, "drain", _compare_without_cancels), DAY, ("ORC-6",)
    ),
    "no_last_look": Mutant(
        "a session ends without comparing a last time", swap(Ending, "drain", _end_unseen), QUIET, ("agreement", "I2")
    ),
    "switch_not_set": Mutant(
        "a trip does not set the kill switch", swap(SessionRecord, "trip", _only_take_it_down), DAY, ("SAF-2",)
    ),
    "trip_without_alert": Mutant(
        "a trip is told to nobody", swap(SessionRecord, "trip", _switch_and_say_nothing), DAY, ("SAF-2",)
    ),
    "trip_behind_data": Mutant(
        "a trip waits until all data is served", swap(SteppedSystem, "_step", _data_first), BURST, ("SAF-2", "SAF-1")
    ),
    "full_mailbox_drops": Mutant(
        "a message that finds a mailbox full is lost",
        swap(SteppedSystem, "try_send", _drop_when_full),
        BURST,
        ("liveness", "I2"),
    ),
}
