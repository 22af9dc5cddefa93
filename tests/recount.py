"""Counters made a second time: from what a session wrote, and from what its mock broker saw and booked.

Nothing here asks the session. ``NOT_RECOUNTED`` names the counters that neither side tells, each with the reason.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from interlock.domain.broker import CancelOrder, GetSnapshot, PlaceOrder, QueryOrder
from interlock.domain.recon_records import ToldSummary, read_summaries
from interlock.runtime.mailbox import ReplyTo
from interlock.sessions import SteppedSession
from tests.session_builders import Kept

__all__ = ["BY_EVENTS", "BY_THE_BROKER", "NOT_RECOUNTED", "Tap", "from_events", "summaries_of"]

BY_EVENTS: Final = (
    "order_state_transitions_total",
    "fills_total",
    "intents_refused_total",
    "reconcile_mismatches_total",
    "engine_reconcile_runs_total",
    "engine_reconcile_stale_orders_total",
    "engine_reconcile_orphan_orders_total",
    "reconcile_repairs_total",
    "safety_rail_trips_total",
    "preflight_rejects_total",
    "kill_switch_failures_total",
    "alerts_total",
    "malformed_messages_total",
    "reconnects_total",
    "orphan_statements_total",
    "faults_total",
)
"""Told by events and audit, label by label."""

BY_THE_BROKER: Final = ("orders_place_total", "orders_cancel_total", "orders_query_total", "broker_snapshots_total")
"""Seen by whoever stands at the broker's door."""

NOT_RECOUNTED: Final = {
    "order_events_total": "facts that change nothing are among them, and leave no event; the others are transitions",
    "session_events_total": "as above",
    "sometimes_total": "marks of branches, for the explorer",
    "adapter_errors_total": "of a host's own adapter; the mock broker has none",
    "broker_links_lost_total": "as above",
    "findings_total": "by kind what reconcile_mismatches_total is as a sum, which is recounted",
    "retry_attempts_total": "recounted where only places and cancels are repeated: reads leave no trace of their calls",
    "attempts_withheld_total": "what was not sent leaves no trace but the reason of its order",
    "duplicate_fills_total": "a repetition changes nothing, so it leaves no event",
    "repeated_statements_total": "as above",
    "duplicate_intents_total": "as above; recounted together with the outcomes",
    "orders_rejected_total": "counted as the host is told; recounted as a sum where the session completed",
    "cancels_refused_total": "the host is told, nothing is written",
    "submit_outcomes_total": "kept by the mock strategy alone; recounted as a sum where the session completed",
    "stale_snapshots_total": "a snapshot that is not compared leaves no event",
    "keys_purged_total": "keys are dropped from a store that is older than two days; see the tests of stores",
    "engine_slippage_preset_hits_total": "recounted for the config that has presets",
    "alerts_held_back_total": "recounted as a sum with the next three: every alert raised is in one of them",
    "alerts_delivered_total": "as above, and in the sink's own list",
    "alerts_dropped_total": "as above",
    "alerts_not_delivered_total": "as above",
    "alert_retry_attempts_total": "deliveries are not told by events",
    "lines_unwritten_total": "what no line can be made of stands nowhere",
    "statements_lost_total": "what the mock broker lost in a gap is nobody's event",
}


class Tap:
    """Stands at the broker's door and counts what comes in; for places it keeps the keys."""

    def __init__(self, session: SteppedSession) -> None:
        self.seen: Counter[type] = Counter()
        self.placed: list[str] = []
        broker = session.broker
        handle = broker.handle

        async def tapped(message: object, reply_to: ReplyTo | None) -> None:
            self.seen[type(message)] += 1
            if isinstance(message, PlaceOrder):
                self.placed.append(message.client_order_id)
            await handle(message, reply_to)

        setattr(broker, "handle", tapped)  # noqa: B010 - a method is replaced on purpose

    def counters(self) -> dict[str, int]:
        """Return what our own counters should say."""
        kinds = (PlaceOrder, CancelOrder, QueryOrder, GetSnapshot)
        return {name: self.seen[kind] for name, kind in zip(BY_THE_BROKER, kinds, strict=True) if self.seen[kind]}


def from_events(kept: Kept) -> dict[str, int]:
    """Return the counters of ``BY_EVENTS``, as the recorder names them."""
    found: Counter[str] = Counter()
    for event in kept.events:
        found.update(_told_by(event["event_type"], event["payload"]))
    for record in kept.audit:
        code = record["code"]
        if code.startswith("C2_REJECT_"):
            found[f"preflight_rejects_total|{code}"] += 1
        elif code in _AUDITED:
            found[_AUDITED[code]] += 1
    for summary in summaries_of(kept):
        kinds = [diff.details["kind"] for diff in summary.diffs if diff.severity != "INFO" and not diff.resolved]
        found["engine_reconcile_stale_orders_total"] += kinds.count("stale_local_order")
        found["engine_reconcile_orphan_orders_total"] += kinds.count("orphan_broker_order")
        found["reconcile_mismatches_total"] += len(summary.diffs)
    return {name: count for name, count in found.items() if count}


def summaries_of(kept: Kept) -> list[ToldSummary]:
    """Return every reconcile as the audit tells it, without those of observe mode."""
    told = (("audit", record["code"], record["meta"]) for record in kept.audit if record["code"].startswith("RECON_"))
    return [summary for summary in read_summaries(told) if summary.reason != "observed"]


_AUDITED: Final = {
    "MALFORMED_MESSAGE": "malformed_messages_total",
    "BROKER_RECONNECTED": "reconnects_total",
    "ORPHAN_STATEMENT": "orphan_statements_total",
    "KILL_SWITCH_NOT_STORED": "kill_switch_failures_total",
}


def _told_by(event_type: str, told: dict[str, Any]) -> list[str]:
    found = _TOLD.get(event_type)
    names = [] if found is None else [found.format(**{**told, "since": told.get("from")})]
    return [*names, "fills_total"] if "fill_id" in told else names


_TOLD: Final = {
    "ORDER_STATE": "order_state_transitions_total|{since}|{to}",
    "INTENT_REFUSED": "intents_refused_total|{code}",
    "RECONCILE": "engine_reconcile_runs_total",
    "RECON_REPAIR": "reconcile_repairs_total|{action}",
    "TRIP": "safety_rail_trips_total",
    "ALERT": "alerts_total|{alert}",
    "FAULT": "faults_total|{fault}",
}
