"""What an end must show beyond the agreement of both sides: that nothing was forgotten on the way to it.

A stop has a fault that explains it, an alert, and a cancel for each order that is left open; a session that ended in
good order holds nothing back for orders that are over; and a host that was told that an order is being cancelled was
told the truth.
"""

from __future__ import annotations

from collections.abc import Iterator

from interlock.domain.exposure import Exposure
from interlock.domain.instants import to_ns
from interlock.domain.money import decimal_text
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order
from interlock.domain.session_states import SessionState, SessionStatus
from interlock.explore.explained import unexplained
from interlock.explore.failure import Broken
from interlock.explore.judge import hides_orders
from interlock.mocks.exchange import Exchange
from interlock.runtime.mailbox import Lane
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store_changes import ended
from interlock.sessions import SessionResult, SteppedSession

__all__ = ["looked_back"]

_TRIP_ALERT = "alerts_total|ALERT_SAFETY_RAIL_TRIPPED"


def looked_back(
    session: SteppedSession, result: SessionResult, store: MemoryStore, exchange: Exchange, counters: dict[str, int]
) -> Broken | None:
    """Return the first thing that was forgotten on the way to this end."""
    settled = result.status == SessionStatus.COMPLETED
    checks = (
        _kept_promises(session, store),
        _freed(session, store) if settled else _accounted_for(session, result, store, exchange, counters),
    )
    for check in checks:
        for invariant, text in check:
            return Broken(invariant, text)
    return None


def _kept_promises(session: SteppedSession, store: MemoryStore) -> Iterator[tuple[str, str]]:
    """A cancel that was promised leaves, or its order ends, as soon as the order's outcome can be known."""
    promised = session.strategy.promised
    config, now_ns = session.config, session.system.clock.now_ns()
    patience_s = config.settle.deadline_s + config.settle.settle_after_s + config.session.check_every_s
    wait_ns = to_ns(config.retry.duration_max_s + patience_s)
    for at_ns, key in promised:
        if now_ns < at_ns + wait_ns:
            continue
        versions = (order for order in store.records() if order.client_order_id == key)
        if not any(order.updated_ns <= at_ns + wait_ns and _being_ended(order) for order in versions):
            yield "promise", f"the host was told that {key} is being cancelled, and nothing was done about it"


def _being_ended(order: Order) -> bool:
    return order.state is OrderState.CANCEL_PENDING or ended(order)


def _freed(session: SteppedSession, store: MemoryStore) -> Iterator[tuple[str, str]]:
    """When all is over and agreed, both books hold the same, nothing for orders that are over, and no open question."""
    for order in {order.client_order_id: order for order in store.records()}.values():
        if order.state is OrderState.QUARANTINED:
            yield "I4", f"{order.client_order_id} is left to an operator, and nobody was told"
    desk, rails = session.orchestrator.desk.book.exposure, session.rails.exposure
    # What still waits at the rails when the session ends, a release perhaps, is no leak: only a served mailbox counts.
    served = not session.system.waiting("rails", Lane.DATA)
    for name, exposure in (("desk", desk), ("rails", rails))[: 2 if served else 1]:
        if exposure.live_orders or exposure.reserved_cash:
            cash = decimal_text(exposure.reserved_cash)
            yield "leak", f"the {name} hold {exposure.live_orders} orders and {cash} back for nothing"
    if served and (desk.ledger.cash, desk.ledger.positions()) != (rails.ledger.cash, rails.ledger.positions()):
        yield "agreement", f"the rails' cash is {_cash(rails)}, the desk's {_cash(desk)}"


def _cash(exposure: Exposure) -> str:
    cash = exposure.ledger.cash
    return "not told" if cash is None else decimal_text(cash)


def _accounted_for(
    session: SteppedSession,
    result: SessionResult,
    store: MemoryStore,
    exchange: Exchange,
    counters: dict[str, int],
) -> Iterator[tuple[str, str]]:
    """A stop has its reason, its alert, and a cancel for whatever of ours is still open there."""
    config = session.config
    faults = [rule.fault for rule in config.broker.faults.rules]
    # What was given up for void and comes to life contradicts the table in its own ways; there any stop will do.
    hidden = hides_orders(config)
    code = store.kill_switch() or result.fail_code  # a switch that could not be stored says nothing
    wrong = "" if hidden else unexplained(code, faults, repairs=config.reconcile.auto_repair)
    if wrong:
        yield "liveness", wrong
    if result.view.trips and not counters.get(_TRIP_ALERT):
        yield "SAF-2", "it tripped, and no alert was raised"
    if result.view.state is not SessionState.ERROR_REQUIRES_OPERATOR:
        return
    if any(name.startswith("cancels_refused_total|") for name in counters):
        return
    here = session.orchestrator.desk.book.orders
    tried = {order.client_order_id: None for order in store.records() if order.state is OrderState.CANCEL_PENDING}
    for key in exchange.open_keys():
        if key in here and here[key].state in (OrderState.ACK, OrderState.PARTIAL) and key not in tried:
            yield "ORC-6", f"{key} is open there, and nobody tried to cancel it"
