"""What must hold when a run is over, read from the store and from the broker's own book.

A run has two ways to end: *settled* (in good order, both sides agree, nothing is open), or *stopped* (a named trip or
reject, the kill switch on, an operator asked for, and what is still open of ours has been told). Faults of everyday
life may not stop it. There is no third way.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from interlock.config.model import SessionConfig
from interlock.domain.broker import BrokerStatus, Fill
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order
from interlock.domain.reconcile import ReconcileResult
from interlock.domain.session_states import SessionState, SessionStatus
from interlock.explore.explained import UNHEARD
from interlock.explore.failure import Broken
from interlock.mocks.exchange import Exchange
from interlock.mocks.faults import Fault
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store_changes import ended
from interlock.sessions import SessionResult, SteppedSession

__all__ = ["SETTLED", "hides_orders", "judged"]

SETTLED = "settled"

_UNFILLED_HERE: Final = (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.VOID)
_UNFILLED_THERE: Final = (BrokerStatus.CANCELLED, BrokerStatus.EXPIRED)
_LIES: Final = (Fault.CANCEL_NOT_DONE, Fault.OVERFILL, Fault.REPLAYED_UNDER_NEW_ID)
"""Faults that end an order here while it is open there: a cancel that was not done, fills that never were."""


def judged(
    session: SteppedSession, result: SessionResult, store: MemoryStore, exchange: Exchange, *, must_settle: bool
) -> tuple[str, Broken | None]:
    """Return how a run ended, and the first thing that is wrong with that."""
    orders = {order.client_order_id: order for order in store.records()}
    settled = result.status == SessionStatus.COMPLETED
    outcome = SETTLED if settled else f"stopped:{result.fail_code or result.reject_code}"
    untold = tuple(_untold(session, exchange))
    lied_to = _is_lied_to(session.config)
    deceived = not settled and (lied_to or _is_denied(session.config))
    checks = (
        _always(store, exchange, orders, untold if deceived else tuple(exchange.orders)),
        _agreed(store, exchange, orders, result, lied_to=lied_to) if settled else _stopped(result, orders, untold),
    )
    for check in checks:
        for invariant, text in check:
            return outcome, Broken(invariant, text)
    if must_settle and not settled:
        return outcome, Broken("liveness", f"a fault of everyday life stopped the session: {outcome}")
    return outcome, None


def hides_orders(config: SessionConfig) -> bool:
    """Return whether the broker may hide an order for longer than it says that it can."""
    bound_s = config.settle.settle_after_s
    return any(rule.fault is Fault.NOT_VISIBLE and rule.delay_s >= bound_s for rule in config.broker.faults.rules)


def _is_lied_to(config: SessionConfig) -> bool:
    """Return whether the broker may deny an order that it holds open: then an end here proves nothing there."""
    return hides_orders(config) or any(rule.fault in _LIES for rule in config.broker.faults.rules)


def _is_denied(config: SessionConfig) -> bool:
    """Return whether an order that works may be called rejected before the fill is heard that proves it false."""
    faults = [rule.fault for rule in config.broker.faults.rules]
    return Fault.REJECT_AFTER_FILL in faults and any(fault in UNHEARD for fault in faults)


def _untold(session: SteppedSession, exchange: Exchange) -> Iterator[str]:
    """Yield what is open there and in no last report; where the broker could not be asked, that was told instead."""
    report = session.orchestrator.watch.last_report
    if report is not None and report.result is ReconcileResult.UNAVAILABLE:
        return
    config = session.config
    if hides_orders(config) and any(rule.fault is Fault.STALE_SNAPSHOT for rule in config.broker.faults.rules):
        return  # a hidden order and a snapshot from before it are two lies that agree
    told = () if report is None else report.open_there
    for key in exchange.open_keys():
        if key not in told:
            yield key


def _always(
    store: MemoryStore, exchange: Exchange, orders: dict[str, Order], believed: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Say what may never be; ``believed`` are the orders of which the broker has to be believed that they are over."""
    filled: dict[str, Decimal] = {}
    for record in store.all_records():
        if record.execution is not None and isinstance(record.change, Order):
            fill = record.execution.fill
            filled[fill.client_order_id] = filled.get(fill.client_order_id, ZERO) + fill.quantity
    for key, order in orders.items():
        if order.filled != filled.get(key, ZERO):
            fills = decimal_text(filled.get(key, ZERO))
            yield "I6", f"{key} counts {decimal_text(order.filled)} as filled, its fills are {fills}"
    for key in believed:
        ours, there = orders.get(key), exchange.orders[key]
        if ours is not None and there.status is BrokerStatus.OPEN and ended(ours) and not _known_wrong(ours):
            yield "I3", f"{key} is {ours.state} here and open there"


def _known_wrong(order: Order) -> bool:
    """Return whether a person has been asked to settle the order."""
    return order.state is OrderState.QUARANTINED


def _agreed(
    store: MemoryStore, exchange: Exchange, orders: dict[str, Order], result: SessionResult, *, lied_to: bool
) -> Iterator[tuple[str, str]]:
    """Say where a session that ended in good order is not where the broker is."""
    if result.view.kill_switch or result.view.trips:
        yield "agreement", f"it completed with trips {result.view.trips}"
    booked = [record.execution.fill for record in store.all_records() if record.execution is not None]
    here = {_name_of(fill, lied_to=lied_to) for fill in booked}
    there = {_name_of(fill, lied_to=lied_to) for fill in exchange.executions}
    yield from (("I2", f"fill {key} is on one side only") for key in sorted(here ^ there))
    for key, known in exchange.orders.items():
        order = orders.get(key)
        if order is None:
            yield "I8", f"{key} is at the broker and was never claimed"
        elif order.filled != known.filled or not _ended_alike(order, known.status, lied_to=lied_to):
            ours, theirs = decimal_text(order.filled), decimal_text(known.filled)
            yield "I3", f"{key} is {order.state} {ours} here, {known.status} {theirs} there"
    for key, order in orders.items():
        if not ended(order):
            yield "I4", f"{key} is left {order.state}"
    yield from _account(store, exchange)


def _name_of(fill: Fill, *, lied_to: bool) -> str:
    """Return how a fill is known; one told again under an id that it never had may stand here for the true one."""
    if not lied_to:
        return fill.fill_id
    quantity, price = decimal_text(fill.quantity), decimal_text(fill.price)
    return f"of {fill.client_order_id}, {quantity} at {price}, number {fill.cursor}"


def _ended_alike(order: Order, status: BrokerStatus, *, lied_to: bool) -> bool:
    """Return whether both call it the same; where a broker lied, how what was never filled ended is all one."""
    unfilled = lied_to and order.state in _UNFILLED_HERE and status in _UNFILLED_THERE
    return unfilled or str(order.state) == str(status)


def _account(store: MemoryStore, exchange: Exchange) -> Iterator[tuple[str, str]]:
    for lines in store.accounts():
        ledger = lines.ledger()
        held = {line.symbol: line.quantity for line in ledger.positions() if line.quantity}
        there = {symbol: quantity for symbol, quantity in exchange.positions.items() if quantity}
        if held != there or ledger.cash != exchange.cash:
            yield "agreement", f"{_told(held, ledger.cash)} here, {_told(there, exchange.cash)} there"


def _told(positions: dict[str, Decimal], cash: Decimal | None) -> str:
    held = {symbol: decimal_text(quantity) for symbol, quantity in sorted(positions.items())}
    return f"{held} and {'no cash' if cash is None else decimal_text(cash)}"


def _stopped(result: SessionResult, orders: dict[str, Order], untold: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Say what a session that stopped has left untold."""
    state = result.view.state
    if state not in (SessionState.ERROR_REQUIRES_OPERATOR, SessionState.PREFLIGHT_FAILED):
        yield "liveness", f"it ended {result.status} in {state}: {result.fail_code} {result.fail_reason}"
    if not result.view.kill_switch:
        yield "SAF-2", "it stopped and the kill switch is off"
    if state is SessionState.ERROR_REQUIRES_OPERATOR:
        if not result.fail_code or result.fail_code not in result.view.trips:
            yield "SAF-2", "it stopped without a named trip"
        yield from (("ORC-6", f"{key} is open there, and nobody was told") for key in untold if key in orders)
