"""The reconciler actor: what we believe against what the broker says, at start-up, on a cadence, on demand.

One reconcile is one job: ask the broker for a snapshot, ask the orchestrator for its view, compare; and where
something differs, look a second time after a grace, because a message in flight is not a divergence. A broker that
cannot be asked is a result of its own: nothing is concluded from silence.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.domain.broker import BrokerSnapshot
from interlock.domain.errors import BrokerError
from interlock.domain.messages import GetLocalView, ObservePosition, ReconcileDone, ReconcileNow
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.reconcile import (
    Finding,
    LocalView,
    ReconcileReport,
    ReconcileResult,
    compare,
    position_finding,
    survivors,
)
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import Lane, ReplyTo

__all__ = ["Reconciler", "ReconcilerSettings"]


class ReconcilerSettings(msgspec.Struct, frozen=True):
    """Whom to ask, how long a difference may take to clear up, and whether positions are only observed."""

    orchestrator: str = "orchestrator"
    grace_s: float = 5.0
    observe: bool = False


class Reconciler(Actor):
    """Runs one reconcile at a time; requests that come meanwhile wait their turn in the mailbox."""

    def __init__(self, ctx: Context, settings: ReconcilerSettings, link: BrokerLink) -> None:
        super().__init__(ctx)
        self._settings = settings
        self._link = link
        self._matched_here = 0
        self._matched_there = 0
        self._rebased: dict[str, Decimal] = {}
        self.observed: list[Finding] = []

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:  # noqa: ARG002 - nobody asks this actor
        """Serve requests to reconcile, and the positions of a recording."""
        if isinstance(message, ReconcileNow):
            self.ctx.spawn(self._reconcile(message), "reconcile")
        elif isinstance(message, ObservePosition):
            self._observe(message)
        else:
            refuse(self, message)

    async def _reconcile(self, request: ReconcileNow) -> None:
        started_ns = self.ctx.now_ns()
        try:
            report = await self._compare(request, started_ns)
        except BrokerError as error:
            report = ReconcileReport(
                request.reconcile_id,
                request.reason,
                started_ns,
                self.ctx.now_ns(),
                ReconcileResult.UNAVAILABLE,
                detail=str(error),
            )
        self._publish(report)
        await self.ctx.send(self._settings.orchestrator, ReconcileDone(report), Lane.REPLY)

    async def _compare(self, request: ReconcileNow, started_ns: int) -> ReconcileReport:
        local, broker = await self._look()
        first = compare(local, broker)
        found: tuple[Finding, ...] = ()
        if first:
            await self.ctx.sleep(self._settings.grace_s)
            local, broker = await self._look()
            found = survivors(first, compare(local, broker))
        if not found and not first:
            self._matched_here, self._matched_there = local.fills_known, broker.cursor
        return ReconcileReport(
            request.reconcile_id,
            request.reason,
            started_ns,
            self.ctx.now_ns(),
            ReconcileResult.FINDINGS if found else ReconcileResult.HEALTHY,
            found,
            dismissed=len(first) - len(found),
            orders_compared=len(local.orders),
            fills_compared=len(local.fills),
        )

    async def _look(self) -> tuple[LocalView, BrokerSnapshot]:
        """Take the broker's side first, so that ours is asked about exactly the orders it names."""
        broker = await self._link.snapshot(self._matched_there)
        named = tuple(order.client_order_id for order in broker.open_orders)
        view = await self.ctx.ask(self._settings.orchestrator, GetLocalView(named, self._matched_here))
        if not isinstance(view, LocalView):
            refuse(self, view)
        return self._with_rebase(view), broker

    def _with_rebase(self, view: LocalView) -> LocalView:
        if not self._rebased:
            return view
        positions = tuple(
            msgspec.structs.replace(line, quantity=line.quantity + self._rebased.get(line.symbol, ZERO))
            for line in view.positions
        )
        return msgspec.structs.replace(view, positions=positions)

    def _observe(self, message: ObservePosition) -> None:
        """Compare one claimed position; after a finding go on from what the broker said (REC-10)."""
        claim = message.claim
        offset = self._rebased.get(claim.symbol, ZERO)
        finding = position_finding(claim.symbol, message.internal + offset, claim.quantity)
        if finding is not None:
            self._rebased[claim.symbol] = claim.quantity - message.internal
            self.observed.append(finding)
            self._tell(finding, claim.transaction_id)

    def _publish(self, report: ReconcileReport) -> None:
        ctx = self.ctx
        ctx.count("engine_reconcile_runs_total")
        ctx.count("reconcile_mismatches_total", len(report.findings))
        summary: dict[str, object] = {
            "reconcile_id": report.reconcile_id,
            "reason": report.reason,
            "result": report.result,
            "findings": len(report.findings),
            "dismissed": report.dismissed,
            "max_severity": report.worst,
            "detail": report.detail,
        }
        ctx.emit("RECONCILE", {**summary, "orders": report.orders_compared, "fills": report.fills_compared})
        ctx.audit("RECON_SUMMARY", f"reconcile {report.reason}: {report.result}", summary)
        for finding in report.findings:
            self._tell(finding, report.reconcile_id)

    def _tell(self, finding: Finding, reconcile_id: str) -> None:
        detail: dict[str, object] = {
            "reconcile_id": reconcile_id,
            "kind": finding.kind,
            "diff_type": finding.diff_type,
            "severity": finding.severity,
            "subject": finding.subject,
            "internal": finding.internal,
            "external": finding.external,
            "delta": None if finding.delta is None else decimal_text(finding.delta),
            "drift_pct": None if finding.drift_pct is None else f"{finding.drift_pct:.4f}",
        }
        self.ctx.emit("RECON_DIFF", detail)
        self.ctx.audit("RECON_DIFF", finding.description, detail, "WARN")
