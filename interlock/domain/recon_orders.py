"""Order findings: our orders against those that the broker lists, one by one, in time that grows with their number.

Both sides mostly list orders as they were placed, so ours are read only as far as the next one of theirs, and what
was passed over waits in a dict. Two equal lists then need no dict at all, and two lists in any order need one: the
cost of an order stays nearly the same from a thousand to a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from interlock.domain.broker import BrokerOrder, BrokerStatus
from interlock.domain.findings import DiffType, Finding, FindingKind, Severity, Tolerances, severity_of
from interlock.domain.instants import to_ns
from interlock.domain.money import decimal_text
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order

__all__ = ["order_findings"]

_WAITING: Final = (OrderState.SENT, OrderState.CANCEL_PENDING, OrderState.UNKNOWN)
"""States in which an order waits for an answer."""

_ENDED_AS: Final = {
    BrokerStatus.FILLED: OrderState.FILLED,
    BrokerStatus.CANCELLED: OrderState.CANCELLED,
    BrokerStatus.REJECTED: OrderState.REJECTED,
    BrokerStatus.EXPIRED: OrderState.EXPIRED,
}

_WORDS: Final = {
    FindingKind.STALE_LOCAL_ORDER: "open here, not open there",
    FindingKind.ORPHAN_BROKER_ORDER: "open there, not known here",
    FindingKind.STUCK_ORDER: "no progress past its deadline",
    FindingKind.STATUS_MISMATCH: "state or content differs",
    FindingKind.PARTIAL_FILL_MISMATCH: "filled quantity differs",
    FindingKind.CANCEL_RACE: "cancelled on one side only",
    FindingKind.UNKNOWN_OUTCOME: "placed, no answer yet",
}
_SECOND: Final = "a second one open there under one key"


def order_findings(
    ours: tuple[Order, ...], theirs: tuple[BrokerOrder, ...], limits: Tolerances, now_ns: int
) -> list[Finding]:
    """Return what differs between our orders and the broker's list, by key and kind; only that is sorted."""
    late_ns = now_ns - to_ns(limits.stuck_after_s)
    old_ns = None if limits.order_ttl_s is None else now_ns - to_ns(limits.order_ttl_s)
    found: list[Finding] = []
    unmatched: list[BrokerOrder] = []
    unread = iter(ours)
    passed: dict[str, Order] = {}
    for there in theirs:
        order = passed.pop(there.client_order_id, None) or _read_on(unread, there.client_order_id, passed)
        if order is None:
            unmatched.append(there)
            continue
        kind = _difference(order, there)
        if kind is not None:
            found.append(_finding(kind, order, there))
        elif order.state in _WAITING and order.updated_ns <= late_ns:
            found.append(_finding(FindingKind.STUCK_ORDER, order, there))
        elif old_ns is not None and order.created_ns <= old_ns and order.live:
            found.append(_finding(FindingKind.STUCK_ORDER, order, there, Severity.WARN))
    for order in (*passed.values(), *unread):
        found += _only_here(order, late_ns)
    found += _only_there(unmatched, ours, theirs)
    found.sort(key=lambda finding: (finding.subject, finding.kind, finding.external))
    return found


def _read_on(unread: Iterator[Order], key: str, passed: dict[str, Order]) -> Order | None:
    """Read our orders up to the one under ``key``; those before it are kept in ``passed``."""
    for order in unread:
        if order.client_order_id == key:
            return order
        passed[order.client_order_id] = order
    return None


def _only_here(order: Order, late_ns: int) -> list[Finding]:
    """Judge an order that the broker does not list. Absence alone proves nothing about one in flight."""
    if order.state is OrderState.UNKNOWN:
        return [_finding(FindingKind.UNKNOWN_OUTCOME, order, None)]
    if order.state in (OrderState.SENT, OrderState.CANCEL_PENDING):
        return [_finding(FindingKind.STUCK_ORDER, order, None)] if order.updated_ns <= late_ns else []
    return [_finding(FindingKind.STALE_LOCAL_ORDER, order, None)] if order.live else []


def _only_there(
    unmatched: list[BrokerOrder], ours: tuple[Order, ...], theirs: tuple[BrokerOrder, ...]
) -> Iterator[Finding]:
    """Judge open orders that none of ours is left for: nobody's, or a second one under a key, which breaks SAF-1."""
    listed: dict[str, dict[str, BrokerOrder]] = {there.client_order_id: {} for there in unmatched}
    if not listed:
        return
    for there in theirs:
        if there.client_order_id in listed and there.status is BrokerStatus.OPEN:
            listed[there.client_order_id][there.broker_order_id] = there
    known = {order.client_order_id: order.broker_order_id for order in ours if order.client_order_id in listed}
    for key, by_id in listed.items():
        if key in known and by_id:  # one of them is ours, and may merely be listed twice
            own = known[key]
            del by_id[own if own in by_id else min(by_id)]
        severity = Severity.CRITICAL if key in known else None
        for there in by_id.values():
            yield _finding(FindingKind.ORPHAN_BROKER_ORDER, None, there, severity)


def _difference(order: Order, there: BrokerOrder) -> FindingKind | None:
    """Return how an order on the broker's list differs from ours; some brokers list the ended ones for a while."""
    agreed = order.live if there.status is BrokerStatus.OPEN else order.state is _ENDED_AS[there.status]
    if not agreed:
        raced = order.state is OrderState.CANCELLED or there.status is BrokerStatus.CANCELLED
        return FindingKind.CANCEL_RACE if raced else FindingKind.STATUS_MISMATCH
    if order.filled != there.filled:
        return FindingKind.PARTIAL_FILL_MISMATCH
    same = (
        order.quantity == there.quantity
        and order.limit_price == there.limit_price
        and order.side is there.side
        and order.symbol == there.symbol
    )
    return None if same else FindingKind.STATUS_MISMATCH


def _finding(
    kind: FindingKind, ours: Order | None, theirs: BrokerOrder | None, severity: Severity | None = None
) -> Finding:
    internal = "none" if ours is None else _text(ours.state, ours)
    external = "none" if theirs is None else _text(theirs.status, theirs)
    known = ours or theirs
    key = "" if known is None else known.client_order_id
    words = _SECOND if severity is Severity.CRITICAL else _WORDS[kind]
    return Finding(
        kind,
        DiffType.ORDER,
        severity or severity_of(kind),
        key,
        internal,
        external,
        f"order {key}: {words} ({internal} against {external})",
        symbol=None if known is None else known.symbol,
        client_order_id=key,
        version=None if ours is None else ours.version,
    )


def _text(state: str, order: Order | BrokerOrder) -> str:
    price = "market" if order.limit_price is None else decimal_text(order.limit_price)
    return f"{state} {decimal_text(order.filled)}/{decimal_text(order.quantity)} at {price}"
