"""The lines of a status, each made from the part of a session or store that knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from interlock.domain.broker import BrokerLimits
from interlock.domain.broker_limits import limits_alarm, limits_hash
from interlock.domain.exposure import Exposure
from interlock.domain.instants import rfc3339
from interlock.domain.intents import Side
from interlock.domain.ledgers import AccountLedger, signed
from interlock.domain.limits import RailLimits
from interlock.domain.money import ZERO
from interlock.domain.orders import Order
from interlock.domain.reconcile import ReconcileReport
from interlock.observe.views import (
    AlertLine,
    BrokerLimitsLine,
    CapLine,
    FindingLine,
    LimitLine,
    OrderLine,
    PositionLine,
    ReconcileLine,
)

__all__ = [
    "SHOWN_MAX",
    "alert_lines",
    "broker_limits_line",
    "limit_lines",
    "order_lines",
    "position_lines",
    "reconcile_line",
    "summed",
]

SHOWN_MAX: Final = 100
"""Orders and findings that one view holds at most, the first of them."""


def order_lines(orders: Iterable[Order]) -> tuple[OrderLine, ...]:
    """Return a line for each order."""
    return tuple(
        OrderLine(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            state=order.state,
            quantity=order.quantity,
            filled=order.filled,
            since_ts=rfc3339(order.updated_ns),
            reason=order.reason,
        )
        for order in orders
    )


def position_lines(ledger: AccountLedger) -> tuple[PositionLine, ...]:
    """Return every position that is not flat."""
    return tuple(
        PositionLine(line.symbol, line.quantity, line.average_price) for line in ledger.positions() if line.quantity
    )


def limit_lines(limits: RailLimits, exposure: Exposure, now_ns: int) -> tuple[LimitLine, ...]:
    """Return how much of each cap is used: of the session first, then of each symbol's position."""
    count, loss = exposure.messages.count(now_ns), exposure.loss_of_day(now_ns)
    lines = [
        LimitLine("live_orders", "", ZERO + exposure.live_orders, ZERO + limits.max_live_orders),
        LimitLine("messages", "", ZERO + count, ZERO + limits.messages_max),
        LimitLine("daily_loss", "", max(loss, ZERO), limits.daily_loss_cap),
    ]
    for symbol, caps in limits.symbols.items():
        held = exposure.ledger.position(symbol).quantity
        ends = (abs(held + signed(side, exposure.open_quantity(symbol, side))) for side in Side)
        lines.append(LimitLine("position", symbol, max(abs(held), *ends), caps.position_cap))
    return tuple(lines)


def broker_limits_line(limits: RailLimits, offered: BrokerLimits | None) -> BrokerLimitsLine | None:
    """Return the broker's limits beside the engine's; None where it offers none."""
    if offered is None:
        return None
    alarm = limits_alarm(limits, offered)
    caps = tuple(CapLine(symbol, cap) for symbol, cap in sorted(offered.symbol_caps.items()))
    differ = "" if alarm is None else alarm.text
    return BrokerLimitsLine(offered.daily_loss_cap, caps, differ, limits_hash(limits))


def reconcile_line(report: ReconcileReport | None) -> ReconcileLine | None:
    """Return the last reconcile; None where there was none."""
    if report is None:
        return None
    findings = tuple(
        FindingLine(
            kind=finding.kind,
            severity=finding.severity,
            subject=finding.subject,
            internal=finding.internal,
            external=finding.external,
            description=finding.description,
        )
        for finding in report.findings[:SHOWN_MAX]
    )
    return ReconcileLine(
        reconcile_id=report.reconcile_id,
        ts=rfc3339(report.finished_ns),
        reason=report.reason,
        result=report.result,
        findings=findings,
        findings_left_out=len(report.findings) - len(findings),
        detail=report.detail,
    )


def alert_lines(counters: Mapping[str, int]) -> tuple[AlertLine, ...]:
    """Return how often alerts of each name were raised."""
    named = {key.partition("|")[2]: count for key, count in counters.items() if key.startswith("alerts_total|")}
    return tuple(AlertLine(name, count) for name, count in sorted(named.items()))


def summed(counters: Mapping[str, int], name: str) -> int:
    """Return the sum of one counter over all its labels."""
    return sum(count for key, count in counters.items() if key == name or key.startswith(name + "|"))
