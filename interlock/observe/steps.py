"""What an operator does about each code: one literal table from codes to one clear instruction.

Its keys are every code with which a session is rejected, trips, fails or alerts, and the conditions that a look at a
session or a store can find. A test holds them against the codes in the package.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from interlock.observe.views import NextStep

__all__ = ["REJECT_CODES", "STEPS", "TRIP_CODES", "next_steps"]

_RESET: Final = "then release the kill switch: interlock reset --store FILE --operator NAME --reason TEXT"
_COMPARE: Final = "compare orders, positions and cash with the broker's by hand"
_BUG: Final = "keep the run folder and report it, for this must not happen; settle what is open with the broker"
_NO_LIVE: Final = "take the request for live trading out of code, settings, flags and environment: only a mock trades"
_STORE: Final = "run interlock store verify FILE, keep the damaged copy, and restore the store or begin a new one"
_SINK: Final = "make room where the run folder is, or mend the sink, and run again"

_REJECTS: Final = {
    "C2_REJECT_LIVE_ENABLED": _NO_LIVE,
    "C2_REJECT_LIVE_ENABLED_FILE": _NO_LIVE,
    "C2_REJECT_LIVE_ENABLED_FLAG": _NO_LIVE,
    "C2_REJECT_LIVE_ENABLED_ENVIRONMENT": _NO_LIVE,
    "C2_REJECT_RUN_ID": "name the run with letters, digits and . _ : - (session.run_id or --run-id)",
    "C2_REJECT_STRATEGY_ID": "name the strategy with letters, digits and . _ : - (session.strategy_id)",
    "C2_REJECT_ALLOWLIST_MISSING": "name the strategies that may run (session.strategy_allowlist)",
    "C2_REJECT_ALLOWLIST_EMPTY": "put the strategies that may run into session.strategy_allowlist",
    "C2_REJECT_ALLOWLIST_BROKER_ID": "take what looks like a broker or an account out of session.strategy_allowlist",
    "C2_REJECT_ALLOWLIST_SYNTAX": "write session.strategy_allowlist with plain names alone",
    "C2_REJECT_STRATEGY_NOT_ALLOWED": "put the strategy into session.strategy_allowlist, or run another one",
    "C2_REJECT_BROKER_NOT_MOCK": "use the mock broker: no other may take orders",
    "C2_REJECT_KILL_SWITCH": "find out what set the kill switch (interlock status --store FILE)",
    "C2_REJECT_AUDIT_SINK": _SINK,
    "C2_REJECT_RETRY_CONFIG": "correct the section retry of the settings: attempts, duration and waits have limits",
    "C2_REJECT_STORE": _STORE,
    "C2_REJECT_EXPOSURE": "reduce the position or raise its cap, whichever is right",
    "C2_REJECT_RECONCILE": f"see interlock recon detailed; {_COMPARE}",
}

_TRIPS: Final = {
    "duplicate_order": _BUG,
    "fill_conflict": f"ask the broker which of the two contents of the fill is right; {_COMPARE}",
    "fill_mismatch": f"ask the broker which order the fill belongs to; {_COMPARE}",
    "fill_repeated": _BUG,
    "journal_order": _BUG,
    "mixed_transaction": f"ask the broker to correct the transaction; {_COMPARE}",
    "negative_cash": f"find out what was spent twice or charged; {_COMPARE}",
    "overfill": f"ask the broker why more was filled than ordered; {_COMPARE}",
    "short_position": f"buy back, or have the broker correct, what was sold and never held; {_COMPARE}",
    "two_broker_orders": f"cancel one of the two orders at the broker; {_COMPARE}",
    "unknown_order_fill": f"find out who sent the order: it was not sent here; {_COMPARE}",
    "unsettled_order": f"ask the broker what became of the order named in the audit; {_COMPARE}",
    "unsettled_end": f"close what is still open at the broker, see interlock recon detailed; {_COMPARE}",
    "reconcile_divergence": f"see interlock recon detailed; {_COMPARE}",
    "reconcile_overdue": f"find out why both sides were not compared in time: is the broker there?; {_COMPARE}",
    "broker_silent": f"find out whether the broker is reachable, and what it has open; {_COMPARE}",
    "rails_silent": _BUG,
    "illegal_transition": _BUG,
    "actor_crashed": _BUG,
    "job_limit": "find out why calls pile up, or allow fewer orders in flight",
    "broker_stream_lost": f"mend the way to the broker or its adapter; {_COMPARE}",
    "storage_failed": f"free the disk or replace it, run interlock store verify FILE; {_COMPARE}",
    "deadlock": _BUG,
    "quiescent": _BUG,
    "step_limit": "give the run more steps (session.max_steps or --steps), or shorten it",
    "host_left": "end sessions before the host does; restart it to settle orders in doubt by asking",
    "C2_ABORT_SINK_WRITE_FAILED": _SINK,
}

_ALERTS: Final = {
    "ALERT_RECONCILE_DIVERGENCE": "see interlock recon detailed, and compare with the broker's own pages",
    "ALERT_RECONCILE_FAILED": "find out whether the broker can be reached; nothing was concluded from its silence",
    "ALERT_IDEMPOTENCY_PERSISTENCE_FAILED": _STORE,
    "ALERT_KEY_REUSED": "find out why the host used one decision for two different orders; the second was not sent",
    "ALERT_SLIPPAGE_PRESET_MISSING": "add a preset for the symbol and session named in the alert (slippage.presets)",
    "ALERT_BROKER_LIMIT_MISMATCH": "bring the limits at the broker and those in rails and instruments together",
    "ALERT_SAFETY_RAIL_TRIPPED": "see what tripped, under its own code",
    "ALERT_SINK_FAILED": "mend the sink named in the alert: alerts do not get through",
}

_CONDITIONS: Final = {
    "KILL_SWITCH": f"nothing leaves while it is set: settle what set it, {_RESET}",
    "ORDERS_IN_DOUBT": "restart the engine on this store: it asks the broker about each and sends nothing again",
    "ORDERS_QUARANTINED": "settle each with the broker by hand: nobody can ask any more",
    "ORDERS_LIVE": "restart the engine on this store to take them in, or cancel them at the broker",
    "RECONCILE_FINDINGS": "see interlock recon detailed for what differs, and compare with the broker's own pages",
    "RECONCILE_UNAVAILABLE": "find out whether the broker can be reached: the last reconcile could not ask it",
    "SESSION_CRASHED": "restart the engine on this store: it loads the journal, asks the broker, and compares",
    "STORE_DAMAGED": _STORE,
    "startup_reconcile": f"see interlock recon detailed; {_COMPARE}",
    "startup_exposure": "reduce the position or raise its cap, whichever is right",
    "store_damaged": _STORE,
    "ALERTS_DROPPED": "mend the alert sinks: some alerts reached nobody; the audit log has all of them",
}

STEPS: Final[dict[str, str]] = {**_REJECTS, **_TRIPS, **_ALERTS, **_CONDITIONS}
"""One instruction for each code."""

REJECT_CODES: Final = tuple(_REJECTS)
TRIP_CODES: Final = tuple(_TRIPS)

_UNKNOWN: Final = "look for this code in audit.jsonl, and settle what it says"


def next_steps(codes: Iterable[str]) -> tuple[NextStep, ...]:
    """Return what to do about each code, in their order; what is said under one code is not said again."""
    found: dict[str, NextStep] = {}
    for code in codes:
        instruction = STEPS.get(code, _UNKNOWN)
        found.setdefault(instruction, NextStep(code, instruction))
    return tuple(found.values())
