"""The reconciliation engine for hosts: their ledgers against a snapshot of the outside, one call a reconcile.

It translates both sides into what ``domain.reconcile.compare`` takes, and makes its findings into diffs; no rule is
written here. The same ledgers and the same snapshots give the same ids and the same bytes.
"""

from __future__ import annotations

from datetime import datetime
from decimal import localcontext
from typing import Any, ClassVar, Final, Protocol

import msgspec
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from interlock.domain.broker import BrokerId, BrokerSnapshot, BrokerStatus, PositionLine
from interlock.domain.door_types import Instant
from interlock.domain.errors import BadInput
from interlock.domain.findings import Tolerances
from interlock.domain.ids import stable_id
from interlock.domain.instants import from_datetime
from interlock.domain.money import ARITHMETIC, Amount, SignedQuantity, decimal_text
from interlock.domain.recon_records import TOP_MAX
from interlock.domain.recon_report import ReconDiff, ReconSummary, diffs_of, escalation, summarize
from interlock.domain.reconcile import LocalView, compare
from interlock.recon.books import Fill, LedgerOrder, OrderLedger, PositionLedger

__all__ = ["REPORT_SCHEMA", "ExternalSnapshot", "ReconciliationEngine", "SnapshotSource"]

REPORT_SCHEMA: Final = "INTERLOCK_RECON_REPORT_V1"

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


class ExternalSnapshot(BaseModel):
    """What the outside says at one instant; ``timestamp`` has a zone, or is RFC 3339 text.

    A position that is not listed is flat there, an order that is not listed is not open there, and a cash balance of
    None is not told. Fills are listed all or not at all: an empty list tells nothing about fills.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    SCHEMA: ClassVar[str] = "ExternalSnapshot/1"

    timestamp: Instant
    positions: dict[BrokerId, SignedQuantity] = {}
    open_orders: tuple[LedgerOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    cash_balance: Amount | None = None

    @field_validator("open_orders")
    @classmethod
    def _open_indeed(cls, orders: tuple[LedgerOrder, ...]) -> tuple[LedgerOrder, ...]:
        for order in orders:
            if order.status is not BrokerStatus.OPEN:
                message = f"order {order.client_order_id} is {order.status} and stands among the open ones"
                raise ValueError(message)
        return orders

    def told(self) -> BrokerSnapshot:
        """Return the snapshot in the broker's vocabulary."""
        return BrokerSnapshot(
            as_of_ns=from_datetime(self.timestamp),
            cursor=0,
            open_orders=tuple(order.told() for order in self.open_orders),
            fills=tuple(fill.told() for fill in self.fills),
            positions=tuple(PositionLine(symbol=name, quantity=held) for name, held in sorted(self.positions.items())),
            cash=self.cash_balance,
        )


class SnapshotSource(Protocol):
    """The port to a broker: anything that can say how things stand."""

    def snapshot(self) -> ExternalSnapshot:
        """Return what the broker says now; raises BrokerError where it cannot be asked."""
        ...


class _Run(msgspec.Struct, frozen=True):
    """The last reconcile."""

    run_id: str
    as_of_ns: int
    diffs: tuple[ReconDiff, ...]
    snapshot: ExternalSnapshot


class ReconciliationEngine:
    """Compares two ledgers with snapshots. Keeps the last run, and how many there were."""

    def __init__(
        self,
        position_ledger: PositionLedger,
        order_ledger: OrderLedger,
        broker: SnapshotSource | None = None,
        tolerances: Tolerances | None = None,
    ) -> None:
        self._positions = position_ledger
        self._orders = order_ledger
        self._broker = broker
        self._tolerances = tolerances or Tolerances()
        self._runs = 0
        self._last: _Run | None = None

    def reconcile(
        self, external_snapshot: ExternalSnapshot | None = None, as_of_time: datetime | str | None = None
    ) -> list[ReconDiff]:
        """Return every difference: positions by symbol, then cash, orders, fills.

        Without a snapshot the broker is asked for one; without a time the snapshot's counts.

        Raises:
            BadInput: no snapshot and no broker to ask, or a time without a zone.
            BrokerError: the broker could not be asked. Nothing was concluded.
        """
        snapshot = external_snapshot
        if snapshot is None:
            if self._broker is None:
                allowed = "an ExternalSnapshot, or an engine made with broker="
                raise BadInput("external_snapshot", "is missing, and there is no broker to ask for one", allowed)
            snapshot = self._broker.snapshot()
        told = snapshot.told()
        now_ns = told.as_of_ns if as_of_time is None else _instant_ns(as_of_time)
        self._runs += 1
        run_id = "rc-" + stable_id("host reconcile", self._runs, snapshot.model_dump(mode="json"))[:16]
        with localcontext(ARITHMETIC):
            findings = compare(self._view(now_ns, with_fills=bool(told.fills)), told, self._tolerances, now_ns)
            self._last = _Run(run_id, now_ns, diffs_of(findings, run_id, now_ns), snapshot)
        return list(self._last.diffs)

    def create_summary(
        self, diffs: list[ReconDiff] | None = None, session_id: str = "", strategy_id: str = "", top_n: int = 10
    ) -> ReconSummary:
        """Return the summary of the last run, or of some diffs; ``top_diffs`` has the ``top_n`` worst of them.

        Raises:
            BadInput: nothing was reconciled and no diffs are given, or a ``top_n`` out of range.
        """
        if not 0 <= top_n <= TOP_MAX:
            raise BadInput("top_n", f"is {top_n}", f"0 to {TOP_MAX}")
        chosen, run_id, now_ns = self._chosen(diffs)
        return summarize(
            chosen, run_id=run_id, now_ns=now_ns, session_id=session_id, strategy_id=strategy_id, top_n=top_n
        )

    def export_reconciliation_report(
        self, diffs: list[ReconDiff] | None = None, as_of_time: datetime | str | None = None
    ) -> dict[str, Any]:
        """Return all an operator wants to see at once, as JSON values: diffs, both sides, and what is to be done.

        Raises:
            BadInput: nothing was reconciled and no diffs are given, or a time without a zone.
        """
        chosen, run_id, now_ns = self._chosen(diffs)
        if as_of_time is not None:
            now_ns = _instant_ns(as_of_time)
        summary = summarize(chosen, run_id=run_id, now_ns=now_ns, session_id="", strategy_id="", top_n=0)
        row = escalation(summary)
        return {
            "schema": REPORT_SCHEMA,
            "run_id": run_id,
            "as_of_time": summary.timestamp,
            "total_diffs": summary.total_diffs,
            "counts_by_severity": summary.counts_by_severity,
            "counts_by_type": summary.counts_by_type,
            "max_severity": None if summary.max_severity is None else str(summary.max_severity),
            "escalation": None if row is None else {"now": row.now, "follow_up": row.follow_up},
            "diffs": msgspec.to_builtins(chosen),
            "internal": {
                "cash_balance": decimal_text(self._positions.get_cash_balance()),
                "positions": {
                    symbol: decimal_text(position.quantity)
                    for symbol, position in self._positions.get_all_positions().items()
                },
                "open_orders": [order.model_dump(mode="json") for order in self._orders.get_open_orders()],
            },
            "external": None if self._last is None else self._last.snapshot.model_dump(mode="json"),
        }

    def _view(self, now_ns: int, *, with_fills: bool) -> LocalView:
        fills = self._positions.get_fills() if with_fills else ()
        return LocalView(
            as_of_ns=now_ns,
            orders=tuple(order.believed(now_ns) for order in self._orders.get_all_orders()),
            fills=fills,
            fills_known=len(fills),
            cursor=0,
            positions=tuple(self._positions.get_all_positions().values()),
            cash=self._positions.get_cash_balance(),
        )

    def _chosen(self, diffs: list[ReconDiff] | None) -> tuple[tuple[ReconDiff, ...], str, int]:
        """Return the diffs that are meant, with the id and the time of their run."""
        last = self._last
        if last is not None:
            return last.diffs if diffs is None else tuple(diffs), last.run_id, last.as_of_ns
        if not diffs:
            raise BadInput("diffs", "are not given, and nothing was reconciled yet", "reconcile() first")
        run_id = "rc-" + stable_id("host diffs", [diff.diff_id for diff in diffs])[:16]
        return tuple(diffs), run_id, max(_instant_ns(diff.timestamp) for diff in diffs)


def _instant_ns(value: datetime | str) -> int:
    try:
        return from_datetime(_INSTANT.validate_python(value))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise BadInput("time", fault.removeprefix("Value error, ")) from error
