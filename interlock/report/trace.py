"""Watches a replay and writes down what no artifact holds: every message, both books, and the step of every event.

The tracer of the driver tells of deliveries. After each step, and before each delivery, the books of both sides are
looked at, and the number of events written so far says which of them belong to this step: so messages, faults and
changes of the books stand in the order in which they happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from interlock.domain.broker import Fill
from interlock.domain.money import decimal_text
from interlock.dryrun import Witness
from interlock.mocks.exchange import Exchange
from interlock.report.describe import described, line_of
from interlock.report.model import Capped, Point, Row
from interlock.runtime.redaction import scrub
from interlock.runtime.tracing import Way
from interlock.sessions import SteppedSession

__all__ = ["CASH", "OUTSIDE", "ROWS_MAX", "Books", "Trace"]

ROWS_MAX: Final = 40_000
POINTS_MAX: Final = 20_000
CASH: Final = ""
OUTSIDE: Final = "host"
"""Who puts messages in from outside the actors."""


class Books:
    """One side's positions and cash over time: a point for each change."""

    def __init__(self) -> None:
        self.points: dict[str, list[Point]] = {}
        self.cut = False
        self._last: dict[str, Decimal] = {}

    def note(self, t_ns: int, cash: Decimal | None, positions: Mapping[str, Decimal]) -> list[tuple[str, str]]:
        """Take the books as they are now; return what changed: (name, from and to)."""
        now = {
            symbol: positions[symbol] for symbol in sorted({*positions, *self._last} - {CASH}) if symbol in positions
        }
        if cash is not None:
            now[CASH] = cash
        if now == self._last:
            return []
        changed: list[tuple[str, str]] = []
        for name, value in now.items():
            before = self._last.get(name)
            if before == value:
                continue
            shown = decimal_text(value)
            if before is not None:
                changed.append((name, f"{decimal_text(before)} → {shown}"))
            points = self.points.setdefault(scrub(name), [])
            if len(points) < POINTS_MAX:
                points.append((t_ns, shown))
            else:
                self.cut = True
        self._last = now
        return changed


class Trace(Witness):
    """What one replay showed. Rows whose ``seq`` is set stand for events, which the log tells in full."""

    def __init__(self) -> None:
        self.rows: Capped[Row] = Capped(ROWS_MAX)
        self.ours, self.theirs = Books(), Books()
        self._events = 0
        self._recorded = 0
        self._executions = 0
        self._start_ns = -1

    def begins(self, session: SteppedSession) -> None:
        """Attach to a session that is about to run; to the next one of the same run, where a kill ended the last."""
        self._session, self._system = session, session.system
        self._recorded = 0
        if self._start_ns < 0:
            self._start_ns = session.start_ns
        self._strategy_id = session.config.session.strategy_id
        exchange = getattr(session.broker, "exchange", None)
        self._exchange = exchange if isinstance(exchange, Exchange) else None
        self._system.tracer = self
        self._look()

    def stepped(self) -> None:
        """Take note of what the step that ran has changed."""
        self._look()

    def delivered(self, step: int, now_ns: int, sender: str, to: str, way: Way, message: object) -> None:
        """Take note of one message."""
        self._look()
        said = described(message, self._strategy_id)
        t_ns = now_ns - self._start_ns
        self.rows.append(Row(step, t_ns, sender or OUTSIDE, to, way, said.kind, said.order, said.text))

    def _look(self) -> None:
        step, t_ns = self._system.steps, self._system.clock.now_ns() - self._start_ns
        while self._recorded < self._session.recorder.events:
            self._recorded += 1
            self._events += 1
            self.rows.append(Row(step, t_ns, "", "", "event", "", "", "", self._events))
        ledger = self._session.orchestrator.desk.book.exposure.ledger
        self.ours.note(t_ns, ledger.cash, {line.symbol: line.quantity for line in ledger.positions()})
        exchange = self._exchange
        if exchange is None:
            return
        changed = self.theirs.note(t_ns, exchange.cash, exchange.positions)
        if changed:
            for kind, order, text in self._why(exchange, changed):
                self.rows.append(Row(step, t_ns, "broker", "", "book", kind, order, text))

    def _why(self, exchange: Exchange, changed: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
        """Say what changed the broker's book: its executions, or, where there is none, what is different."""
        executions = exchange.executions[self._executions :]
        self._executions = len(exchange.executions)
        for fill in executions:
            yield "Broker books a fill", scrub(fill.client_order_id), _fill_text(fill)
        if not executions:
            yield "Broker's book changes", "", line_of({name or "cash": text for name, text in changed})


def _fill_text(fill: Fill) -> str:
    traded = f"{fill.side} {decimal_text(fill.quantity)} {fill.symbol} at {decimal_text(fill.price)}"
    return scrub(f"{traded}, fee {decimal_text(fill.fee)}, {fill.fill_id}")
