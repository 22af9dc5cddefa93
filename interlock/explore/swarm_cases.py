"""Sessions to search in: small days and scripts that bring orders into every state, each in a hurry of its own.

A case is the settings of one session, as a config file would hold them. Faults and crashes come on top, drawn for each
seed; a case that has faults of its own keeps them in every run, and may then end stopped.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["SWARM_CASES"]

Tree = dict[str, Any]

_BASE: Final[Tree] = {
    "session": {
        "session_id": "explored",
        "strategy_id": "strat_demo",
        "scheduler": "random",
        "duration_s": 200,
        "check_every_s": 30,
        "drain_every_s": 1,
    },
    "instruments": [
        {
            "symbol": "BTC/EUR",
            "price": "100",
            "tick_size": "1",
            "max_order_quantity": "10",
            "max_order_notional": "2000",
            "allow_short": True,
        }
    ],
    # So little that one lot is more than what two sides may differ by.
    "opening": {"cash": "10000", "positions": {"BTC/EUR": "2"}},
    "broker": {"fee_bps": "5", "price_every_s": 5, "timeout_s": 2, "lot": "0.01"},
    "retry": {"attempts_max": 4, "duration_max_s": 15, "wait_initial_s": 0.25, "wait_max_s": 4},
    "settle": {"interval_s": 1, "settle_after_s": 12, "deadline_s": 60},
    "reconcile": {"every_s": 10, "grace_s": 1, "repair_wait_s": 20, "stuck_after_s": 30, "auto_repair": True},
}
_DAY: Final[Tree] = {
    "orders": 3,
    "every_s": 2,
    "lot": "0.01",
    "lots_max": 16,
    "tick_size": "1",
    "market_permille": 300,
    "cancel_permille": 600,
    "cancel_after_s": 4,
}
_SLOW_PIECES: Final[Tree] = {"fault": "partial_fills", "permille": 700, "pieces_max": 4, "delay_s": 3}


def _case(strategy: Tree, **sections: Tree) -> Tree:
    """Return the base with sections on top, setting by setting."""
    tree = {name: dict(value) if isinstance(value, dict) else value for name, value in _BASE.items()}
    for name, section in sections.items():
        tree[name] = {**tree.get(name, {}), **section}
    return {**tree, "strategy": strategy}


def _submit(at_s: float, name: str, limit: str | None, **fields: object) -> Tree:
    kind: Tree = {"order_type": "MARKET"} if limit is None else {"limit_price": limit}
    return {
        "at_s": at_s,
        "submit": {"decision_id": name, "symbol": "BTC/EUR", "side": "BUY", "quantity": "1", **kind, **fields},
    }


def _cancel(at_s: float, name: str) -> Tree:
    return {"at_s": at_s, "cancel": name}


_CROWD: Final = [
    _submit(1, f"d{number}", limit) for number, limit in enumerate(("100", "100", "99", "90", "101", None))
]
_FLEETING: Final = [
    step
    for number in range(8)
    for step in (
        _submit(
            1 + number, f"i{number}", ("100", "101", "99", "102")[number % 4], quantity="0.02", time_in_force="IOC"
        ),
        _cancel(1 + number + (2.5, 3, 3.5)[number % 3], f"i{number}"),
    )
]

SWARM_CASES: Final[dict[str, Tree]] = {
    # Three orders of a drawn day: what most runs are spent on.
    "day": _case({"linger_s": 14, "day": _DAY}),
    # Many orders at once, filled in slow pieces: every fault meets orders in every state.
    "crowd": _case(
        {"linger_s": 15, "day": {**_DAY, "orders": 5, "every_s": 0.5, "cancel_after_s": 3}},
        broker={"price_every_s": 2, "faults": {"rules": [_SLOW_PIECES], "after_s": 1, "until_s": 8}},
    ),
    # All at the same instant, so that a trip or a stop meets orders that are being checked, claimed and sent.
    "at_once": _case(
        {"linger_s": 6, "script": [*_CROWD, _submit(1, "d0", "100"), _submit(1, "d1", "101"), _cancel(1.1, "d3")]}
    ),
    # Every order leaves in the instant in which a reconcile ends: a trip comes while its claim is due.
    "in_step": _case(
        {"linger_s": 6, "day": {**_DAY, "orders": 4, "every_s": 1}},
        broker={
            "request_latency_s": 0.05,
            "report_latency_s": 0.05,
            "faults": {
                "rules": [{**_SLOW_PIECES, "permille": 200}, {"fault": "cash_off", "permille": 100}],
                "after_s": 0.15,
                "until_s": 6,
            },
        },
        reconcile={"every_s": 1, "grace_s": 0.8, "auto_repair": False},
    ),
    # Cancels that take their time, while the order is asked about, ends by itself, or is cancelled once more.
    "overtaken": _case(
        {"linger_s": 15, "day": {**_DAY, "orders": 3, "every_s": 1, "cancel_permille": 900, "cancel_after_s": 2}},
        broker={
            "price_every_s": 2,
            "timeout_s": 4,
            "faults": {
                "after_s": 1,
                "until_s": 12,
                "rules": [
                    {**_SLOW_PIECES, "delay_s": 4},
                    {"fault": "timeout_before", "permille": 300, "calls": ["cancel"]},
                    {"fault": "rate_limit", "permille": 300, "calls": ["cancel"], "retry_after_s": 3},
                    {"fault": "ended_there", "permille": 150},
                ],
            },
        },
        settle={"interval_s": 0.3},
        reconcile={"every_s": 1, "grace_s": 0.2, "repair_wait_s": 12, "stuck_after_s": 1},
    ),
    # Short patience, and commits that are put off: answers come when nobody waits for them any more.
    "impatient": _case(
        {
            "linger_s": 20,
            "script": [
                _submit(1, "a", "100", time_in_force="IOC"),
                _submit(1.5, "b", "97", time_in_force="IOC"),
                _submit(2, "c", "99"),
                _submit(2.5, "d", "101", side="SELL"),
                _cancel(4, "c"),
                _cancel(4.5, "d"),
            ],
        },
        broker={
            "price_every_s": 2,
            "timeout_s": 1,
            "faults": {"rules": [{**_SLOW_PIECES, "permille": 50}], "after_s": 1, "until_s": 14},
        },
        settle={"settle_after_s": 8, "deadline_s": 4},
        reconcile={"every_s": 4, "grace_s": 0.5, "repair_wait_s": 12, "stuck_after_s": 2},
        store={"group_commit": True},
    ),
    # Orders of two lots that may not rest and fill in slow pieces while the price runs away.
    "fleeting": _case(
        {"linger_s": 15, "script": _FLEETING},
        broker={
            "price_every_s": 1,
            "request_latency_s": 0.2,
            "report_latency_s": 0.4,
            "faults": {
                "after_s": 1,
                "until_s": 12,
                "rules": [
                    {**_SLOW_PIECES, "permille": 900},
                    {"fault": "late_partial_after_cancel", "permille": 300, "delay_s": 0},
                    {"fault": "late_event", "permille": 150, "delay_s": 3},
                    {"fault": "reject_after_fill", "permille": 120, "delay_s": 4},
                    {"fault": "overfill", "permille": 30},
                    {"fault": "cancel_not_done", "permille": 150},
                    {"fault": "timeout_after", "permille": 100, "calls": ["cancel"]},
                ],
            },
        },
    ),
    # A broker that hides an order for longer than it says it can: what was given up for void comes to life.
    "hidden": _case(
        {
            "linger_s": 40,
            "script": [
                _submit(1, "a", "100"),
                _submit(1.5, "b", "98"),
                _submit(2, "c", "97"),
                _cancel(5, "b"),
                _cancel(7, "c"),
            ],
        },
        broker={
            "price_every_s": 2,
            "timeout_s": 1,
            "faults": {
                "after_s": 1,
                "until_s": 30,
                "rules": [
                    {**_SLOW_PIECES, "delay_s": 6},
                    {"fault": "not_visible", "permille": 900, "delay_s": 25},
                    {"fault": "timeout_after", "permille": 500},
                    {"fault": "lost_event", "permille": 500},
                    {"fault": "late_event", "permille": 300, "delay_s": 12},
                    {"fault": "broker_restart", "permille": 300},
                    {"fault": "reject", "permille": 150},
                    {"fault": "duplicate_ack", "permille": 200},
                    {"fault": "duplicate_reject", "permille": 500},
                ],
            },
        },
        settle={"settle_after_s": 4, "deadline_s": 20},
    ),
    # A store that refuses a record, and one that cannot hold the kill switch.
    "store_locked": _case(
        {"linger_s": 10, "script": [_submit(1, "a", "100"), _submit(2, "b", "95"), _cancel(4, "b")]},
        broker={"faults": {"rules": [{"fault": "store_locked", "nth": [2]}], "until_s": 8}},
    ),
    "switch_stuck": _case(
        {"linger_s": 10, "script": [_submit(1, "a", "100"), _submit(2, "b", "95")]},
        broker={
            "faults": {
                "rules": [
                    {"fault": "conflicting_fill", "nth": [1]},
                    {"fault": "kill_switch_throws", "nth": [1], "burst": 2},
                ],
                "until_s": 8,
            }
        },
    ),
}
