"""The rare branches that matter: each is marked where it is taken, and a search that never takes one has not looked.

A mark is a counter, ``sometimes_total|LABEL``; the explorer prints how often each was hit, and CI fails on one that
never was within its budget.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["SOMETIMES_COUNTERS", "Sometimes"]


class Sometimes(StrEnum):
    """What happens sometimes."""

    WITHHELD = "withheld_at_the_last_line"
    """Cleared by the rails, and held back right before the send."""
    HALTED_CLAIM = "claim_refused_by_the_kill_switch"
    DUPLICATE_INTENT = "decision_submitted_again"
    KEY_REUSED = "key_used_for_other_content"
    NOT_FOUND_YET = "not_found_before_the_settle_time"
    VOIDED = "void_after_the_settle_time"
    ADOPTED = "order_in_doubt_found_at_the_broker"
    QUARANTINED = "order_left_to_an_operator"
    FILL_BEFORE_ACK = "fill_before_the_ack"
    FILL_AFTER_END = "fill_after_the_order_ended"
    FILL_WHILE_CANCELLING = "fill_while_a_cancel_is_on_its_way"
    CANCEL_REFUSED_FILLED = "cancel_refused_because_filled"
    CANCEL_WAITED = "cancel_waited_for_a_sign_of_its_order"
    END_WITH_FILLS_MISSING = "ended_there_with_fills_missing_here"
    ORPHAN_KEPT = "fill_of_nobody_kept"
    STALE_SNAPSHOT = "snapshot_older_than_what_was_seen"
    SECOND_LOOK_DISMISSED = "divergence_gone_at_the_second_look"
    REPAIRED = "finding_repaired_by_asking"
    RECOVERED_IN_DOUBT = "restart_found_an_order_on_its_way"
    RECOVERED_FILLS = "restart_found_fills_of_the_meantime"
    BOOKED_BEFORE = "fill_of_an_earlier_session_told_again"
    TRIP_WHILE_PLACING = "trip_while_an_order_is_on_its_way"
    DRAINED_AGAIN = "drained_again_after_a_late_trip"


SOMETIMES_COUNTERS: Final = {what: f"sometimes_total|{what}" for what in Sometimes}
"""The counter of each mark, made once."""
