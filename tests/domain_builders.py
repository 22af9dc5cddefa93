"""Small builders for tests of the domain: everything has a plain default, and a test names what matters to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from interlock.domain.broker import BrokerOrder, BrokerSnapshot, BrokerStatus, Fill, PositionLine
from interlock.domain.exposure import Exposure
from interlock.domain.findings import Finding, Tolerances
from interlock.domain.intents import OrderIntent, Side
from interlock.domain.ledgers import Position
from interlock.domain.limits import RailLimits, SymbolLimits
from interlock.domain.orders import Order, new_order
from interlock.domain.reconcile import LocalView, compare

__all__ = [
    "BTC",
    "a_broker_order",
    "a_fill",
    "a_snapshot",
    "a_view",
    "an_exposure",
    "an_intent",
    "an_order",
    "differences",
    "drawn",
    "limits",
]

BTC = "BTC/EUR"


def an_intent(**wanted: Any) -> OrderIntent:
    """Return the intent to buy 10 BTC/EUR at 100 or less, except for what is wanted otherwise."""
    content = {"decision_id": "d1", "symbol": BTC, "side": "BUY", "quantity": "10", "limit_price": "100"}
    return OrderIntent.model_validate(content | wanted)


def an_order(key: str = "o1", /, **wanted: Any) -> Order:
    """Return the order of ``an_intent`` under a short key; any field of the order can be set."""
    order = new_order(an_intent(), "mock", "main", "strat_demo", 0)
    return msgspec.structs.replace(order, client_order_id=key, **wanted)


def a_fill(fill_id: str = "f1", quantity: str = "1", **wanted: Any) -> Fill:
    """Return a fill of ``an_order`` at 100, without a fee."""
    content: dict[str, Any] = {
        "fill_id": fill_id,
        "client_order_id": "o1",
        "broker_order_id": "b1",
        "symbol": BTC,
        "side": Side.BUY,
        "quantity": quantity,
        "price": "100",
        "fee": "0",
        "ts_ns": 1,
        "cursor": 1,
    }
    return Fill.model_validate(content | wanted)


def a_broker_order(key: str = "o1", **wanted: Any) -> BrokerOrder:
    """Return ``an_order`` as the broker tells it while nothing is filled."""
    content: dict[str, Any] = {
        "client_order_id": key,
        "broker_order_id": "b1",
        "symbol": BTC,
        "side": Side.BUY,
        "quantity": "10",
        "limit_price": "100",
        "filled": "0",
        "status": BrokerStatus.OPEN,
    }
    return BrokerOrder.model_validate(content | wanted)


def a_snapshot(
    positions: dict[str, str] | None = None,
    cash: str | None = None,
    orders: tuple[BrokerOrder, ...] = (),
    fills: tuple[Fill, ...] = (),
    *,
    prices: dict[str, str] | None = None,
    cursor: int = 0,
) -> BrokerSnapshot:
    """Return what the broker says; an empty account by default, and no average prices."""
    entries = {name: Decimal(price) for name, price in (prices or {}).items()}
    lines = tuple(
        PositionLine(symbol=name, quantity=Decimal(held), average_price=entries.get(name))
        for name, held in (positions or {}).items()
    )
    money = None if cash is None else Decimal(cash)
    return BrokerSnapshot(as_of_ns=1, cursor=cursor, open_orders=orders, fills=fills, positions=lines, cash=money)


def a_view(
    positions: dict[str, str] | None = None,
    cash: str | None = None,
    orders: tuple[Order, ...] = (),
    fills: tuple[Fill, ...] = (),
    *,
    prices: dict[str, str] | None = None,
    cursor: int = 0,
) -> LocalView:
    """Return what we believe; an empty account by default, and no average prices."""
    entries = {name: Decimal(price) for name, price in (prices or {}).items()}
    lines = tuple(Position(name, Decimal(held), entries.get(name)) for name, held in (positions or {}).items())
    return LocalView(1, orders, fills, len(fills), cursor, lines, None if cash is None else Decimal(cash))


def differences(
    ours: LocalView, theirs: BrokerSnapshot, tolerances: Tolerances | None = None, now_ns: int = 0
) -> tuple[Finding, ...]:
    """Return what a reconcile finds, by default with the usual tolerances and before anything is late."""
    return compare(ours, theirs, tolerances or Tolerances(), now_ns)


def limits(*, quantity: str = "10", notional: str = "1000", allow_short: bool = False, live: int = 3) -> RailLimits:
    """Return the caps of a session in BTC/EUR."""
    return RailLimits({BTC: SymbolLimits(Decimal(quantity), Decimal(notional), allow_short)}, live)


def an_exposure(caps: RailLimits | None = None, *, cash: str | None = "1000", held: str = "0") -> Exposure:
    """Return an account with some cash and some BTC/EUR."""
    return Exposure(caps or limits(), None if cash is None else Decimal(cash), {BTC: Decimal(held)})


def drawn(text: str, names: dict[str, str]) -> dict[tuple[str, str], str]:
    """Return ``{(state, event): next state}`` of a state machine drawn as plain text, ``-`` where it refuses.

    The first line has the states, each further line an event and a cell for every state; ``.`` is "stays".
    ``names`` holds the full names of states that are drawn short.
    """
    head, *rows = [line.split() for line in text.strip().splitlines()]
    assert all(len(row) == len(head) + 1 for row in rows), "the drawing has a hole"
    return {
        (names.get(state, state), row[0]): names.get(state if cell == "." else cell, state if cell == "." else cell)
        for row in rows
        for state, cell in zip(head, row[1:], strict=True)
    }
