"""The mirror of the broker's risk limits (BRK-1): what it last offered, and whether that is what we hold.

The reconciler shows it the snapshot that each reconcile ended on. Only a change is told: the first time, when the
broker's limits become other ones, and when it stops offering any. Nothing here stops trading; see ``broker_limits``.
"""

from __future__ import annotations

import msgspec

from interlock.domain.broker import BrokerLimits, BrokerSnapshot
from interlock.domain.broker_limits import LimitsAlarm, limits_alarm, told
from interlock.domain.limits import RailLimits
from interlock.runtime.actor import Context

__all__ = ["LimitsMirror"]


class LimitsMirror:
    """Keeps the broker's limits beside the engine's."""

    def __init__(self, ctx: Context, limits: RailLimits, limits_hash: str) -> None:
        self.offered: BrokerLimits | None = None
        """What the broker said last; None: nothing."""
        self._ctx = ctx
        self._limits = limits
        self._hash = limits_hash
        self._as_of_ns = -1

    def note(self, reconcile_id: str, snapshot: BrokerSnapshot) -> LimitsAlarm | None:
        """Take the limits of a snapshot in; return what differs from ours if they are new and do not agree."""
        first, changed = self._as_of_ns < 0, snapshot.limits != self.offered
        if snapshot.as_of_ns < self._as_of_ns:
            return None  # an old snapshot served again: it must not bring old limits back
        self._as_of_ns = snapshot.as_of_ns
        if not (first or changed):
            return None
        self.offered = snapshot.limits
        alarm = None if snapshot.limits is None else limits_alarm(self._limits, snapshot.limits)
        mismatches = () if alarm is None else alarm.mismatches
        about = {"reconcile_id": reconcile_id, "offered": snapshot.limits is not None, **self.figures()}
        self._ctx.emit("BROKER_LIMITS", {**about, "mismatches": msgspec.to_builtins(mismatches)})
        return alarm

    def figures(self) -> dict[str, object]:
        """Return the mirror as metrics tell it; ``broker_limits`` is None where the broker offers none."""
        mirror = None if self.offered is None else told(self.offered)
        return {"broker_limits": mirror, "engine_limits_hash": self._hash}
