"""Every counter of a session: its name, what it counts, its labels, and which closed list each label is held to.

The names are those under which actors count (``Context.count``); what stands behind a ``|`` there is a label here. A
test holds this table against the package, so that nothing is counted and not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final

import msgspec

from interlock.observe.engine import ENGINE
from interlock.observe.figures import Figures

__all__ = ["COUNTERS", "PLAIN", "Counted"]


class Counted(msgspec.Struct, frozen=True):
    """One counter. ``lists`` names the closed list of each label, where it is not the label's own name."""

    text: str
    labels: tuple[str, ...] = ()
    held_to: tuple[str, ...] = ()

    @property
    def lists(self) -> tuple[str, ...]:
        """Return the closed list of each label."""
        return self.held_to or self.labels


def _engine(name: str, *held_to: str) -> dict[str, Counted]:
    """Return a counter of the table that sessions share with proofs."""
    return {name: Counted(ENGINE[name].text, ENGINE[name].labels, held_to)}


COUNTERS: Final[dict[str, Counted]] = {
    "orders_place_total": Counted("Orders sent to the broker, each attempt for itself."),
    "orders_cancel_total": Counted("Cancels sent to the broker, each attempt for itself."),
    "orders_query_total": Counted("Questions about one order, each attempt for itself."),
    "order_state_transitions_total": Counted("Changes of an order's state.", ("from", "to")),
    "order_events_total": Counted(
        "What happened to orders, by the state it met.", ("state", "event"), ("from", "event")
    ),
    "session_events_total": Counted(
        "What moved the session, by the state it met.", ("state", "event"), ("session_state", "session_event")
    ),
    "findings_total": Counted("Findings of all reconciles, by kind.", ("kind",), ("finding",)),
    "sometimes_total": Counted("Rare branches that were taken.", ("branch",)),
    "reconcile_mismatches_total": Counted("Findings of all reconciles, repaired ones included."),
    "retry_attempts_total": Counted("Repetitions of broker calls."),
    "broker_snapshots_total": Counted("Snapshots asked for, each attempt for itself."),
    "attempts_withheld_total": Counted("Attempts that their budget did not let leave."),
    "fills_total": Counted("Executions booked, each once."),
    "duplicate_fills_total": Counted("Executions told again."),
    "repeated_statements_total": Counted("Statements that changed nothing."),
    "orphan_statements_total": Counted("Statements about orders that are not ours."),
    "malformed_messages_total": Counted("Messages of the broker that could not be read or were about something else."),
    "reconnects_total": Counted("Times the broker's stream came back."),
    "adapter_errors_total": Counted("Errors of the host's broker adapter that its port does not name."),
    "broker_links_lost_total": Counted("Times the stream of the host's broker adapter broke."),
    "duplicate_intents_total": Counted("Intents whose decision was known already."),
    "intents_refused_total": Counted("Intents refused by us, by code.", ("code",), ("refusal",)),
    "orders_rejected_total": Counted("Orders that ended rejected, by code.", ("code",), ("rejection",)),
    "cancels_refused_total": Counted("Cancels refused by us, by code.", ("code",), ("refusal",)),
    "submit_outcomes_total": Counted("What the strategy was told about its intents.", ("status",)),
    "preflight_rejects_total": Counted("Reasons not to begin, by code.", ("code",), ("reject",)),
    "safety_rail_trips_total": Counted("Trips of the safety rails."),
    "kill_switch_failures_total": Counted("Times the store could not hold the kill switch."),
    "keys_purged_total": Counted("Keys dropped, each but for its digest."),
    **_engine("engine_reconcile_runs_total"),
    **_engine("engine_reconcile_stale_orders_total"),
    **_engine("engine_reconcile_orphan_orders_total"),
    "reconcile_repairs_total": Counted("Findings cleared by asking the broker, by what was done.", ("action",)),
    "stale_snapshots_total": Counted("Snapshots older than what was known, not compared."),
    **_engine("engine_slippage_preset_hits_total", "symbol", "slippage_session"),
    "alerts_total": Counted("Alerts raised, by name.", ("alert",)),
    "alerts_held_back_total": Counted("Alerts not told, by why.", ("by",), ("held_by",)),
    "alerts_delivered_total": Counted("Alerts that a sink took.", ("sink",)),
    "alerts_dropped_total": Counted("Alerts that did not get through.", ("sink",)),
    "alerts_not_delivered_total": Counted("Alerts still on their way when the session ended."),
    "alert_retry_attempts_total": Counted("Repetitions of deliveries to alert sinks."),
    "faults_total": Counted("Faults that struck at the mock broker.", ("fault",)),
    "lines_unwritten_total": Counted("Events and audit records that no line could be made of."),
    "statements_lost_total": Counted("Statements that the mock broker lost on their way."),
}

PLAIN: Final[dict[str, tuple[Callable[[Figures], int], str]]] = {
    "session_steps_total": (attrgetter("steps"), "Steps taken; 0 in a host's loop."),
    "events_emitted_total": (attrgetter("events_emitted"), "Events written."),
    "audit_events_total": (attrgetter("audit_events"), "Audit records written."),
    "sink_retries_total": (attrgetter("sink_retries"), "Writes to a sink that were tried again."),
    "late_replies_total": (attrgetter("late_replies"), "Answers that came after their asker had given up."),
}
"""Counters that are figures of the session: the figure and what it counts."""
