"""The sessions in which planted faults are looked for: small ones, each with one thing that the others do not have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.explore import Swarm
from interlock.mocks.fault_rows import ROWS
from interlock.runtime.schedule import OrderPolicy

__all__ = [
    "BASE_FEES",
    "BURST",
    "CASES",
    "DAY",
    "DOUBT",
    "GROUPED",
    "LONG",
    "POOR",
    "QUIET",
    "RESTARTS",
    "STRANGERS",
    "TIGHT",
    "TWICE",
    "WATCHED",
    "Case",
]


class Case(NamedTuple):
    """A session to explore, the faults that may come in it, and whether it may crash."""

    name: str
    changes: dict[str, dict[str, Any]]
    kinds: tuple[str, ...] = tuple(ROWS)
    crashes: bool = True
    order: OrderPolicy = "random"

    def swarm(self) -> Swarm:
        """Return what makes the plans of this case."""
        return Swarm(self.config(), kinds=self.kinds, crashes=self.crashes)

    def config(self) -> SessionConfig:
        """Return the session, without faults."""
        changes = dict(self.changes)
        tree: dict[str, Any] = {**_SESSION, "instruments": [{**_INSTRUMENT, **changes.pop("instruments", {})}]}
        for section, values in changes.items():
            tree[section] = {**tree.get(section, {}), **values}
        return config_from_tree(tree, f"case {self.name}")


_DAY: Final = {
    "orders": 4,
    "every_s": 2,
    "lot": "0.01",
    "lots_max": 16,
    "tick_size": "1",
    "market_permille": 300,
    "cancel_permille": 600,
    "cancel_after_s": 4,
}
_SESSION: Final[dict[str, dict[str, Any]]] = {
    "session": {
        "session_id": "mutants",
        "strategy_id": "strat_demo",
        "scheduler": "random",
        "duration_s": 300,
        "check_every_s": 10,
        "drain_every_s": 1,
    },
    "opening": {"cash": "10000", "positions": {"BTC/EUR": "20"}},
    "broker": {"fee_bps": "5", "price_every_s": 5, "timeout_s": 2, "lot": "0.01"},
    "retry": {"attempts_max": 4, "duration_max_s": 15, "wait_initial_s": 0.25, "wait_max_s": 4},
    "settle": {"interval_s": 1, "settle_after_s": 12, "deadline_s": 60},
    "reconcile": {"every_s": 10, "grace_s": 1, "repair_wait_s": 20, "stuck_after_s": 30, "auto_repair": True},
    "strategy": {
        "linger_s": 30,
        "day": _DAY,
    },
}
_INSTRUMENT: Final = {
    "symbol": "BTC/EUR",
    "price": "100",
    "tick_size": "1",
    "max_order_quantity": "10",
    "max_order_notional": "2000",
    "allow_short": True,
}
_TOLD_AGAIN_S: Final = 1.08
"""After how long a fill at market is told once more by the faults that do so: a request, two reports, a second."""


def _intent(decision_id: str, side: str, quantity: str, limit_price: str | None) -> dict[str, Any]:
    """Return an intent as a config holds it; without a price it is one at market."""
    at_market = {"order_type": "MARKET"} if limit_price is None else {"limit_price": limit_price}
    known = {"symbol": "BTC/EUR", "side": side, "quantity": quantity, "reference_price": "100"}
    return {"decision_id": decision_id, **known, **at_market}


def _side(number: int) -> str:
    return "BUY" if number % 2 else "SELL"


def _submits(*steps: tuple[float, dict[str, Any]], cancels: Iterable[tuple[float, str]] = ()) -> dict[str, Any]:
    script: list[dict[str, Any]] = [{"at_s": at_s, "submit": intent} for at_s, intent in steps]
    script += [{"at_s": at_s, "cancel": decision} for at_s, decision in cancels]
    return {"day": None, "script": sorted(script, key=lambda step: float(step["at_s"]))}


DAY: Final = Case("day", {})
"""Four orders drawn in eight seconds, some of them cancelled, everything else up to the swarm."""

GROUPED: Final = Case("grouped", {"store": {"group_commit": True}})
"""The same with commits that wait for each other."""

TIGHT: Final = Case(
    "tight",
    {
        "instruments": {"max_position": "21"},
        "rails": {"max_live_orders": 3},
        "opening": {"cash": "600"},
        "strategy": _submits(
            *((1 + at / 4, _intent(f"buy-{at}", "BUY", "0.5", "99")) for at in range(6)),
            *((3 + at, _intent(f"more-{at}", "BUY", "0.5", "101")) for at in range(3)),
            *((6 + at, _intent(f"sell-{at}", "SELL", "1", "100")) for at in range(3)),
            cancels=((2 + at / 4, f"buy-{at}") for at in range(3)),
        ),
    },
)
"""More orders than the caps and the cash allow."""

BURST: Final = Case(
    "burst",
    {
        "sinks": {"mailbox_data": 2},
        "strategy": _submits(
            *((1 + at // 4 * _TOLD_AGAIN_S, _intent(f"burst-{at}", _side(at), "0.05", None)) for at in range(12))
        ),
    },
)
"""Orders at market, four at a time, just when what is wrong with the last four is told; hardly any room to wait."""

TWICE: Final = Case(
    "twice",
    {
        "strategy": _submits(
            *((1 + at // 2, _intent(f"twice-{at // 2}", "BUY", "0.1", "100")) for at in range(6)),
        )
    },
)
"""Every decision comes twice, at the same time."""

QUIET: Final = Case(
    "quiet", {"reconcile": {"every_s": 200, "deadline_s": 250, "auto_repair": False, "grace_s": 5}}, crashes=False
)
"""Hardly ever compared, and nothing repaired: what goes wrong is seen by the last look alone."""

LONG: Final = Case(
    "long",
    {
        "session": {"duration_s": 20_000, "check_every_s": 600, "heartbeat_timeout_s": 4000},
        "reconcile": {"every_s": 900, "deadline_s": 4000},
        "broker": {"price_every_s": 600},
        "store": {"ttl_s": 3600},
        "strategy": {
            "linger_s": 6000,
            **_submits(*((1 + at, _intent(f"long-{at}", "BUY", "0.1", None)) for at in range(3))),
        },
    },
)
"""Long enough for keys to outlive their time, and for a restart to meet them again."""

BASE_FEES: Final = Case("base fees", {"broker": {"fee_currency": "BASE"}})
"""Fees are taken in what was bought or sold."""

WATCHED: Final = Case(
    "watched",
    {"session": {"heartbeat_timeout_s": 25, "check_every_s": 5}, "reconcile": {"deadline_s": 25}},
    kinds=("partial_fills", "duplicate_fill", "fill_before_ack", "fill_during_cancel"),
)
"""Little patience with a broker that is not heard, or not agreed with."""

POOR: Final = Case(
    "poor",
    {
        "opening": {"cash": "110"},
        "strategy": _submits(*((1 + at / 2, _intent(f"buy-{at}", "BUY", "0.5", "99")) for at in range(6))),
    },
)
"""Cash for two of six orders."""

DOUBT: Final = Case(
    "doubt",
    {
        "session": {"check_every_s": 5},
        "broker": {"faults": {"after_s": 1, "until_s": 16}},
        "retry": {"duration_max_s": 4},
        "settle": {"interval_s": 2, "settle_after_s": 8, "deadline_s": 30},
        "strategy": {"linger_s": 80, "day": {**_DAY, "cancel_permille": 900, "cancel_after_s": 1}},
    },
    kinds=("timeout_before", "timeout_after", "not_visible", "error_after", "broker_down"),
    crashes=False,
)
"""Orders whose outcome is not known when they are to be cancelled."""

RESTARTS: Final = Case(
    "restarts",
    {"reconcile": {"every_s": 200, "deadline_s": 250, "auto_repair": False, "grace_s": 1}},
    kinds=tuple(name for name, row in ROWS.items() if row.spec == "FLT-6"),
)
"""Hardly ever compared, and at once where it is: what a restart does not find by itself stops it."""

STRANGERS: Final = Case("strangers", {}, kinds=("foreign_fill",))
"""Fills of nobody, and crashes: what calls for a stop must do so after a restart, too."""

CASES: Final = {
    case.name: case
    for case in (DAY, GROUPED, TIGHT, BURST, TWICE, QUIET, LONG, BASE_FEES, WATCHED, POOR, DOUBT, RESTARTS, STRANGERS)
}
"""Every case by its name."""
