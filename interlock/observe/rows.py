"""Views as rows of words for people: (what, text), shared by the terminal and the page in a run folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from interlock.domain.money import ZERO, decimal_text
from interlock.observe.views import FindingLine, Health, LimitLine, NextStep, OrderLine, Status, StoreStatus

__all__ = ["Row", "health_rows", "page", "status_rows", "store_rows"]

Row = tuple[str, str]

_PERCENT: Final = Decimal(100)
_NONE: Final = "none"
_SECONDS: Final = len("2026-01-05T08:00:00")


def status_rows(status: Status, most: int) -> Iterator[Row]:
    """Return a status, with at most ``most`` of the things that there may be many of."""
    yield "session", f"{status.session_id}, strategy {status.strategy_id}, at {_clock(status.as_of_ts)}"
    yield "state", f"{status.state}, seen as {status.status}"
    if status.reason and status.reason not in (*status.rejects, *status.trips):
        yield "reason", status.reason
    if status.rejects or status.trips:
        yield "codes", _more((*status.rejects, *status.trips), most)
    yield "kill switch", _switch(status.kill_switch, status.kill_switch_reason)
    yield from _order_rows("in doubt", status.in_doubt, status.in_doubt_left_out, most)
    yield from _order_rows("open orders", status.open_orders, status.open_orders_left_out, most)
    held = [f"{line.symbol} {decimal_text(line.quantity)}" for line in status.positions]
    cash = "" if status.cash is None else f"; cash {decimal_text(status.cash)}"
    yield "positions", (_more(held, most) or _NONE) + cash
    yield "limits", _more([_used(line) for line in sorted(status.limits, key=_share, reverse=True)], most)
    if status.broker_limits is not None:
        yield "broker's", _more(status.broker_limits.differ.split("; "), most) or "limits as ours"
    yield from _reconcile_rows(status, most)
    alerts = _more([f"{line.name} {line.raised}" for line in status.alerts], most) or _NONE
    yield "alerts", alerts + f"; held back {status.alerts_held_back}, dropped {status.alerts_dropped}"
    store, kept = status.store, ""
    if store.durable is not None and store.records is not None:
        kept = f", {store.records:,} records {'on disk' if store.durable else 'in memory'}"
    wrong = f": {store.complaint}" if store.complaint else ""
    yield "store", f"{store.keys:,} keys{kept}, started {status.engine_restart_reason}{wrong}"
    yield from _step_rows(status.next_steps, most)


def health_rows(health: Health) -> Iterator[Row]:
    """Return whether a session is well."""
    yield "health", "well" if health.ok else "; ".join(health.reasons)
    yield "last", f"audited {_clock(health.last_audit_event_ts)}, agreed {_clock(health.reconciler_last_ok_ts)}"


def store_rows(store: StoreStatus, most: int) -> Iterator[Row]:
    """Return how a store stands."""
    if store.damaged:
        yield "damaged", store.damaged
        yield from _step_rows(store.next_steps, most)
        return
    yield "holds", f"{store.records:,} records, {store.keys:,} keys"
    yield "kill switch", _switch(store.kill_switch, store.kill_switch_reason)
    yield from _order_rows("in doubt", store.in_doubt, store.in_doubt_left_out, most)
    yield from _order_rows("quarantined", store.quarantined, store.quarantined_left_out, most)
    yield from _order_rows("open orders", store.open_orders, store.open_orders_left_out, most)
    last = store.last_session
    if last is None:
        yield "last session", "there was none"
    else:
        yield "last session", f"{last.session_id}, run {last.run_id}, release {last.version}"
        yield "", f"began {_clock(last.begun_ts)}, started {last.engine_restart_reason}"
        yield (
            "",
            "never ended: it crashed, or was killed"
            if last.done_ts is None
            else f"ended {last.status} {_clock(last.done_ts)}",
        )
    for number, reset in enumerate(store.resets):
        yield (
            "" if number else "last resets",
            f"{_clock(reset.ts)} by {reset.operator}: {reset.reason} (was {reset.was_set_by})",
        )
    yield from _step_rows(store.next_steps, most)


def _order_rows(what: str, orders: Sequence[OrderLine], left_out: int, most: int) -> Iterator[Row]:
    """Return how many orders there are, and the first of them."""
    total = len(orders) + left_out
    yield what, f"{total:,}" if total else _NONE
    for order in orders[:most]:
        of = f"{decimal_text(order.filled)} of {decimal_text(order.quantity)}"
        yield "", f"{order.client_order_id} {order.state} {order.side} {of} {order.symbol}"
    if total > most:
        yield "", f"and {total - min(most, len(orders)):,} more"


def _step_rows(steps: Sequence[NextStep], most: int) -> Iterator[Row]:
    """Return what to do next."""
    if not steps:
        yield "do next", "nothing"
    for number, step in enumerate(steps[:most]):
        yield "" if number else "do next", f"{step.code}: {step.instruction}"
    if len(steps) > most:
        yield "", f"and {len(steps) - most:,} more, with --format json"


def _more(texts: Iterable[str], most: int) -> str:
    """Return the first texts in a row, and how many more there are."""
    said = list(texts)
    tail = [f"and {len(said) - most:,} more"] if len(said) > most else []
    return ", ".join([*said[:most], *tail])


def page(title: str, rows: Iterable[Row]) -> str:
    """Return rows as one page of Markdown."""
    lines = [f"# {title}", "", "| what | |", "| --- | --- |"]
    lines += [f"| {what} | {_cell(text)} |" for what, text in rows]
    return "\n".join(lines) + "\n"


def _reconcile_rows(status: Status, most: int) -> Iterator[Row]:
    last = status.last_reconcile
    if last is None:
        yield "reconciled", "never"
        return
    total = len(last.findings) + last.findings_left_out
    detail = f": {last.detail}" if last.detail else ""
    observed = f", {status.observed_findings:,} observed" if status.observed_findings else ""
    yield "reconciled", f"{last.result} ({last.reason}), findings: {total:,}{observed}, at {_clock(last.ts)}{detail}"
    for finding in last.findings[:most]:
        yield "", _finding(finding)
    if total > most:
        yield "", f"and {total - min(most, len(last.findings)):,} more, in audit.jsonl"


def _finding(finding: FindingLine) -> str:
    return f"{finding.severity} {finding.kind} of {finding.subject}: {finding.description}"


def _clock(ts: str | None) -> str:
    """Return a time to the second: what is finer stands in the JSON."""
    return "never" if ts is None else ts[:_SECONDS] + "Z"


def _switch(is_on: int, reason: str) -> str:
    return f"on: {reason}" if is_on else "off"


def _share(line: LimitLine) -> Decimal:
    return line.used / line.cap if line.cap else ZERO


def _used(line: LimitLine) -> str:
    name = f"{line.name} {line.symbol}".strip()
    return f"{name} {int(_share(line) * _PERCENT)} % of {decimal_text(line.cap)}"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
