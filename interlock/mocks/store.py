"""A store that fails when the fault plan says so: records it refuses to write, a kill switch it refuses to set.

The store has no schedule to draw from, so its faults strike at counted opportunities (``nth``, ``burst``). The
writes of an order that fills at once are three: its claim, the ack, the fill.
"""

from __future__ import annotations

from collections.abc import Callable

from interlock.domain.errors import StoreRefused
from interlock.domain.orders import Order
from interlock.mocks.faults import STORE_FAULTS, Fault, FaultPlan
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store import TTL_S, ClaimResult, silent
from interlock.runtime.store_changes import Execution

__all__ = ["FaultyStore", "store_for"]


def store_for(plan: FaultPlan, ttl_s: int = TTL_S) -> MemoryStore:
    """Return a fresh store, with the faults that the plan has for it, if it has any."""
    faulty = any(rule.fault in STORE_FAULTS for rule in plan.rules)
    return FaultyStore(plan, ttl_s=ttl_s) if faulty else MemoryStore(ttl_s=ttl_s)


class FaultyStore(MemoryStore):
    """Refuses what the plan strikes."""

    def __init__(self, plan: FaultPlan, *, ttl_s: int = TTL_S) -> None:
        super().__init__(ttl_s=ttl_s)
        self._struck = {fault: _opportunities(plan, fault) for fault in STORE_FAULTS}
        self._seen = dict.fromkeys(STORE_FAULTS, 0)
        self.on_strike: Callable[[Fault], None] | None = None
        """Told of each fault that strikes; the store has no recorder."""

    def claim(self, order: Order, say: Callable[[], None] = silent) -> ClaimResult:
        """Take the key, as a store does.

        Raises:
            StoreRefused: the plan says so; nothing was taken.
        """
        if self.order_of(order.client_order_id) is None:
            self._strike(Fault.STORE_LOCKED, "the store is locked")
        return super().claim(order, say)

    def journal(self, order: Order, execution: Execution | None = None, say: Callable[[], None] = silent) -> None:
        """Take one record, as a store does.

        Raises:
            StoreRefused: the plan says so; nothing was taken.
        """
        self._strike(Fault.STORE_LOCKED, "the store is locked")
        super().journal(order, execution, say)

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch, as a store does.

        Raises:
            StoreRefused: the plan says so; it is not set.
        """
        self._strike(Fault.KILL_SWITCH_THROWS, "the kill switch cannot be set")
        super().engage_kill_switch(reason)

    def _strike(self, fault: Fault, message: str) -> None:
        self._seen[fault] += 1
        if self._seen[fault] in self._struck[fault]:
            if self.on_strike is not None:
                self.on_strike(fault)
            raise StoreRefused(message)


def _opportunities(plan: FaultPlan, fault: Fault) -> frozenset[int]:
    """Return the numbers of all opportunities that are struck."""
    rules = [rule for rule in plan.rules if rule.fault is fault]
    return frozenset(first + more for rule in rules for first in rule.nth for more in range(rule.burst))
