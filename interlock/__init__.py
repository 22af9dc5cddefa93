"""Interlock: an execution-safety runtime for trading hosts.

It stands between a host that decides and a broker that executes: nothing moves before preflight, nothing is sent
twice, what the broker says is checked against what we believe, and when the two part ways trading stops.
"""

from interlock.domain.errors import InterlockError
from interlock.domain.findings import Tolerances
from interlock.domain.intents import OrderIntent
from interlock.domain.recon_report import ReconDiff, ReconSummary
from interlock.facade import DryrunConfig, DryrunResult, LiveSessionOrchestrator
from interlock.host import EventsMissed, HostSession, OrderUpdate, open_session
from interlock.ports import BrokerReader, BrokerTrader
from interlock.recon import (
    AuditLog,
    ExternalSnapshot,
    Fill,
    LedgerOrder,
    OrderLedger,
    PositionLedger,
    ReconciliationEngine,
    SnapshotSource,
)
from interlock.sessions import LiveTestOverride

__all__ = [
    "AuditLog",
    "BrokerReader",
    "BrokerTrader",
    "DryrunConfig",
    "DryrunResult",
    "EventsMissed",
    "ExternalSnapshot",
    "Fill",
    "HostSession",
    "InterlockError",
    "LedgerOrder",
    "LiveSessionOrchestrator",
    "LiveTestOverride",
    "OrderIntent",
    "OrderLedger",
    "OrderUpdate",
    "PositionLedger",
    "ReconDiff",
    "ReconSummary",
    "ReconciliationEngine",
    "SnapshotSource",
    "Tolerances",
    "open_session",
]
