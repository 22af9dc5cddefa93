"""The named places of the persistence protocol where a process may die, and nothing may be lost or doubled for it.

The store and the recovery say when they pass one. In a host nobody listens; the crash harness kills there.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

__all__ = ["CrashPoint", "Probe", "unheard"]


class CrashPoint(StrEnum):
    """What is being done, or was just done, when a probe is called."""

    BEFORE_CLAIM = "before_claim"
    IN_CLAIM_TXN = "in_claim_txn"
    AFTER_CLAIM_COMMIT = "after_claim_commit"
    AFTER_SEND = "after_send"
    AFTER_REPLY = "after_reply"
    IN_ACK_TXN = "in_ack_txn"
    AFTER_ACK_COMMIT = "after_ack_commit"
    FILL_RECEIVED = "fill_received"
    IN_FILL_TXN = "in_fill_txn"
    AFTER_FILL_COMMIT = "after_fill_commit"
    IN_CLOSE_TXN = "in_close_txn"
    AFTER_CLOSE_COMMIT = "after_close_commit"
    BEFORE_CHECKPOINT = "before_checkpoint"
    AFTER_CHECKPOINT = "after_checkpoint"
    REC_START = "rec_start"
    REC_MARKED = "rec_marked"
    REC_AFTER_QUERY = "rec_after_query"
    REC_IN_TXN = "rec_in_txn"
    REC_AFTER_COMMIT = "rec_after_commit"
    IN_PURGE = "in_purge"
    IN_MIGRATION = "in_migration"
    DURING_EXPORT = "during_export_rotate"
    ANCHOR_WRITE = "anchor_write"
    KILL_SWITCH_SET = "killswitch_set"


Probe = Callable[[CrashPoint], None]
"""Called with each point that is passed."""


def unheard(_: CrashPoint) -> None:
    """Listen to nothing."""
