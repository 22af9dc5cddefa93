"""Runtime checks of a session (ORC-5), as a pure function over what is known and what time it is."""

from __future__ import annotations

import msgspec

__all__ = ["HealthFacts", "HealthLimits", "health_complaints"]

_NS_PER_S = 1_000_000_000


class HealthLimits(msgspec.Struct, frozen=True):
    """How old the last good reconcile and the broker's last sign of life may be."""

    reconcile_deadline_s: float
    heartbeat_timeout_s: float


class HealthFacts(msgspec.Struct, frozen=True):
    """When the broker was last heard and last agreed with, and which channels are stuck."""

    last_reconcile_ns: int
    last_heard_ns: int
    rails_answered: bool


def health_complaints(facts: HealthFacts, limits: HealthLimits, now_ns: int) -> tuple[tuple[str, str], ...]:
    """Return (code, text) of everything that is not well, the worst first."""
    found: list[tuple[str, str]] = []
    if not facts.rails_answered:
        found.append(("rails_silent", "the safety rails have not answered since the last check"))
    since_reconcile_ns = now_ns - facts.last_reconcile_ns
    if since_reconcile_ns > limits.reconcile_deadline_s * _NS_PER_S:
        found.append(
            ("reconcile_overdue", f"the last reconcile that agreed is {since_reconcile_ns // _NS_PER_S} s old")
        )
    silent_ns = now_ns - facts.last_heard_ns
    if silent_ns > limits.heartbeat_timeout_s * _NS_PER_S:
        found.append(("broker_silent", f"the broker has not been heard for {silent_ns // _NS_PER_S} s"))
    return tuple(found)
