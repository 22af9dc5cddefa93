"""Small cases that are worth looking at from every side: settings of sessions, as a config file would have them.

In the micro cases nothing takes time that does not have to, so that whatever can happen at one instant does, in any
order. They are what exhaustive search is for; ``small`` and ``busy`` are for random and priority schedules.
"""

from __future__ import annotations

from typing import Any, Final

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.domain.errors import BadInput
from interlock.explore.swarm_cases import SWARM_CASES

__all__ = ["CASES", "case_config"]

Tree = dict[str, Any]

_SYMBOL: Final = "BTC/EUR"
_INSTRUMENT: Final[Tree] = {
    "symbol": _SYMBOL,
    "price": "100",
    "tick_size": "1",
    "max_order_quantity": "10",
    "max_order_notional": "2000",
    "allow_short": True,
}
_QUIET: Final[Tree] = {
    "session": {
        "strategy_id": "strat_demo",
        "scheduler": "random",
        "duration_s": 60,
        "check_every_s": 50,
        "drain_every_s": 1,
    },
    "opening": {"cash": "100000", "positions": {_SYMBOL: "20"}},
    "retry": {"attempts_max": 2, "duration_max_s": 5, "wait_initial_s": 0.5, "wait_max_s": 1, "jitter_s": 0},
    "settle": {"interval_s": 1, "settle_after_s": 4, "deadline_s": 20},
    "reconcile": {"every_s": 55, "grace_s": 1, "repair_wait_s": 3, "auto_repair": True},
}


def _intent(decision_id: str, limit_price: str = "90", **others: Any) -> Tree:
    return {
        "decision_id": decision_id,
        "symbol": _SYMBOL,
        "side": "BUY",
        "quantity": "1",
        "limit_price": limit_price,
        **others,
    }


def _micro(points: tuple[str, ...], script: list[Tree], rules: list[Tree], **sections: Tree) -> Tree:
    """Return a session in which everything is immediate, and the price moves once a second along ``points``."""
    tree = {
        **_QUIET,
        "instruments": [{**_INSTRUMENT, "points": points}],
        "broker": {
            "request_latency_s": 0,
            "report_latency_s": 0,
            "price_every_s": 1,
            "timeout_s": 2,
            "lot": "0.5",
            "faults": {"rules": rules, "after_s": 0.5, "until_s": 6},
        },
        "strategy": {"script": script, "linger_s": 3},
    }
    return {**tree, **sections}


def _still(tree: Tree) -> Tree:
    """Return the same while the price stands still."""
    return {**tree, "broker": {**tree["broker"], "price_every_s": 30}}


_CANCEL_RACE: Final = _micro(
    ("100", "89"),
    [{"at_s": 1, "submit": _intent("race")}, {"at_s": 2, "cancel": "race"}],
    [
        {"fault": "duplicate_fill", "permille": 500, "delay_s": 0},
        {"fault": "fill_after_cancel_ack", "permille": 500, "delay_s": 0},
        {"fault": "late_event", "permille": 500, "delay_s": 1},
        {"fault": "timeout_after", "permille": 500, "calls": ["cancel"]},
    ],
)
"""One order, one cancel and one fill at the same instant; answers are doubled, late or lost."""

_TRIP_UNDER_BACKLOG: Final = _micro(
    ("100",),
    [
        {"at_s": 1, "submit": _intent("fills", "101")},
        *({"at_s": 1, "submit": _intent(f"rests{number}", str(80 + number))} for number in range(3)),
    ],
    [{"fault": "conflicting_fill", "nth": [1], "delay_s": 0}],
    sinks={"mailbox_data": 4},
)
"""A fill that comes again with another price, while orders are on their way through small mailboxes."""

_TRIP_BESIDE_AN_ORDER: Final = _still(
    {
        **_TRIP_UNDER_BACKLOG,
        "strategy": {**_TRIP_UNDER_BACKLOG["strategy"], "script": _TRIP_UNDER_BACKLOG["strategy"]["script"][:2]},
    }
)
"""The same with one other order: so few steps that every schedule can be seen."""

_TRIP_IN_A_BACKLOG: Final = _still(
    _micro(
        ("100",),
        [{"at_s": 1, "submit": _intent(f"waits{number}", str(80 + number))} for number in range(3)],
        [{"fault": "store_locked", "nth": [1]}],
        sinks={"mailbox_data": 1},
    )
)
"""A claim that the store refuses, while other orders wait for room in full mailboxes: none of them may leave."""

_RESTART_AT_THE_CLAIM: Final = _micro(
    ("100",),
    [{"at_s": 1, "submit": _intent("killed", "101")}],
    [{"fault": "timeout_after", "permille": 500, "calls": ["place"]}],
)
"""One order that fills at once; the process may be killed after any step, between claim and ack too."""

_DAY: Final[Tree] = {
    "every_s": 2,
    "lot": "0.01",
    "lots_max": 16,
    "tick_size": "1",
    "market_permille": 300,
    "cancel_permille": 600,
    "cancel_after_s": 4,
}


def _day(orders: int) -> Tree:
    return {
        **_QUIET,
        "session": {**_QUIET["session"], "duration_s": 300},
        "instruments": [_INSTRUMENT],
        # So little that one lot is more than what two sides may differ by.
        "opening": {"cash": "100000", "positions": {_SYMBOL: "2"}},
        "broker": {"fee_bps": "5", "price_every_s": 5, "timeout_s": 2, "lot": "0.01"},
        "settle": {"interval_s": 1, "settle_after_s": 12, "deadline_s": 60},
        "reconcile": {"every_s": 10, "grace_s": 1, "repair_wait_s": 10, "stuck_after_s": 30, "auto_repair": True},
        "strategy": {"linger_s": 30, "day": {**_DAY, "orders": orders}},
    }


CASES: Final[dict[str, Tree]] = {
    "cancel-race": _CANCEL_RACE,
    "trip-under-backlog": _TRIP_UNDER_BACKLOG,
    "trip-beside-an-order": _TRIP_BESIDE_AN_ORDER,
    "trip-in-a-backlog": _TRIP_IN_A_BACKLOG,
    "restart-at-the-claim": _RESTART_AT_THE_CLAIM,
    "small": _day(3),
    "busy": _day(10),
    **SWARM_CASES,
}
"""Every case by its name."""


def case_config(name: str) -> SessionConfig:
    """Return the settings of a case.

    Raises:
        BadInput: there is no such case.
    """
    if name not in CASES:
        raise BadInput("case", f"there is no case {name!r}", ", ".join(CASES))
    tree = CASES[name]
    return config_from_tree({**tree, "session": {**tree["session"], "session_id": name}}, name)
