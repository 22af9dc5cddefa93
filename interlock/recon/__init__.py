"""Reconciliation for hosts with ledgers of their own (DIF-8), without a session and without a loop.

Fills go into a ``PositionLedger``, orders into an ``OrderLedger``; a ``ReconciliationEngine`` compares both with an
``ExternalSnapshot`` by the same rules as a session, and an ``AuditLog`` keeps the summaries. Nothing here reads a
clock: times are those of the snapshots. ``read_history`` tells what any audit log says of reconciles.
"""

from interlock.recon.books import Fill, LedgerOrder, OrderLedger, PositionLedger
from interlock.recon.engine import ExternalSnapshot, ReconciliationEngine, SnapshotSource
from interlock.recon.history import History, read_history
from interlock.recon.log import AuditLog
from interlock.recon.port import Asked, read_snapshot

__all__ = [
    "Asked",
    "AuditLog",
    "ExternalSnapshot",
    "Fill",
    "History",
    "LedgerOrder",
    "OrderLedger",
    "PositionLedger",
    "ReconciliationEngine",
    "SnapshotSource",
    "read_history",
    "read_snapshot",
]
