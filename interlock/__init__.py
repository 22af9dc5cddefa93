"""Interlock: an execution-safety runtime for trading hosts.

It stands between a host that decides and a broker that executes: nothing moves before preflight, nothing is sent
twice, what the broker says is checked against what we believe, and when the two part ways trading stops.
"""

from interlock.assembly import LiveTestOverride
from interlock.domain.errors import InterlockError
from interlock.domain.intents import OrderIntent
from interlock.facade import DryrunConfig, DryrunResult, LiveSessionOrchestrator

__all__ = [
    "DryrunConfig",
    "DryrunResult",
    "InterlockError",
    "LiveSessionOrchestrator",
    "LiveTestOverride",
    "OrderIntent",
]
