"""The reconciler actor: what we believe against what the broker says, at start-up, on a cadence, on demand.

One reconcile is one job of up to three looks. A look asks the broker for a snapshot, then the orchestrator for its
view, and compares. What the first finds must survive a second after a grace, because a message in flight is not a
divergence. What has one explanation, and where it is switched on, is then repaired by asking the broker about the
order, and a last look says what stays. A broker that cannot be asked, or whose snapshot is older than what we have
seen, is a result of its own: nothing is concluded from silence.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.actors.limits_mirror import LimitsMirror
from interlock.actors.recon_teller import ReconTeller
from interlock.domain.broker import BrokerSnapshot
from interlock.domain.errors import BrokerError, OutcomeUnknown
from interlock.domain.findings import Finding, Tolerances, matters
from interlock.domain.limits import RailLimits
from interlock.domain.messages import GetLocalView, ObservePosition, ReconcileDone, ReconcileNow, RepairNow
from interlock.domain.money import ZERO
from interlock.domain.recon_report import (
    DEFAULT_ESCALATION,
    EscalationRow,
)
from interlock.domain.reconcile import (
    LocalView,
    ReconcileReport,
    ReconcileResult,
    Repair,
    compare,
    is_stale,
    position_finding,
    survivors,
)
from interlock.domain.repair import Action, PlannedAction, RepairPolicy, plan
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import Lane, ReplyTo

__all__ = ["Reconciler", "ReconcilerSettings"]


_REPAIR_LOOKS: Final = 3
"""How often a repair is looked after within its wait: what is cleared sooner is concluded sooner."""


class ReconcilerSettings(msgspec.Struct, frozen=True):
    """Whom to ask, how patient to be, what counts as a difference, and what may be repaired."""

    session_id: str
    strategy_id: str
    limits: RailLimits
    """The engine's own limits, to compare the broker's with; nothing is capped here."""
    limits_hash: str
    orchestrator: str = "orchestrator"
    grace_s: float = 5.0
    repair_wait_s: float = 15.0
    stale_looks_max: int = 3
    observe: bool = False
    top_n: int = 10
    tolerances: Tolerances = Tolerances()
    policy: RepairPolicy = RepairPolicy()
    escalation: tuple[EscalationRow, ...] = DEFAULT_ESCALATION
    pause_on_warn: bool = False
    """Whether the matrix's option to pause on many WARN is taken."""


class Reconciler(Actor):
    """Runs reconciles as jobs; keeps only how far both sides' fills have been matched."""

    def __init__(self, ctx: Context, settings: ReconcilerSettings, link: BrokerLink, matched: int = 0) -> None:
        """Begin with fills above ``matched``: up to there both sides agreed in an earlier session."""
        super().__init__(ctx)
        self._settings = settings
        self._link = link
        self._teller = ReconTeller(
            ctx,
            session_id=settings.session_id,
            strategy_id=settings.strategy_id,
            top_n=settings.top_n,
            matrix=settings.escalation,
        )
        self.mirror = LimitsMirror(ctx, settings.limits, settings.limits_hash)
        self._matched_here = 0
        self._matched_there = matched
        self._rebased: dict[str, Decimal] = {}
        self.observed: list[Finding] = []

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:  # noqa: ARG002 - nobody asks this actor
        """Serve requests to reconcile, and the positions of a recording."""
        if isinstance(message, ReconcileNow):
            self.ctx.spawn(self._reconcile(message), f"reconcile {message.reconcile_id}")
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
        row = self._teller.publish(report)
        stop = row is not None and (row.stop_trading or (row.pause_trading and self._settings.pause_on_warn))
        await self.ctx.send(self._settings.orchestrator, ReconcileDone(report, stop), Lane.REPLY)

    async def _compare(self, request: ReconcileNow, started_ns: int) -> ReconcileReport:
        ctx, settings = self.ctx, self._settings
        local, broker = await self._look()
        first = self._differences(local, broker)
        found, dismissed = first, 0
        repairs: tuple[Repair, ...] = ()
        if matters(first):
            await ctx.sleep(settings.grace_s)
            local, broker = await self._look(after_ns=broker.as_of_ns)
            found = survivors(first, self._differences(local, broker))
            dismissed = len(first) - len(found)
            if dismissed:
                ctx.sometimes(Sometimes.SECOND_LOOK_DISMISSED)
            actions = self._planned(found, local)
            if actions:
                await ctx.ask(settings.orchestrator, RepairNow(request.reconcile_id, actions))
                stays = found
                for _ in range(_REPAIR_LOOKS):
                    await ctx.sleep(settings.repair_wait_s / _REPAIR_LOOKS)
                    local, broker = await self._look()
                    stays = survivors(found, self._differences(local, broker))
                    if not stays:
                        break
                repairs = self._repaired(request.reconcile_id, found, stays, actions)
                found = stays
        healthy = not matters(found)
        agreed = healthy and not dismissed and not repairs
        if agreed:
            self._matched_here, self._matched_there = local.fills_known, broker.cursor
        return ReconcileReport(
            request.reconcile_id,
            request.reason,
            started_ns,
            ctx.now_ns(),
            ReconcileResult.HEALTHY if healthy else ReconcileResult.FINDINGS,
            found,
            repairs,
            dismissed=dismissed,
            orders_compared=len(local.orders),
            fills_compared=len(local.fills),
            open_there=tuple(sorted(order.client_order_id for order in broker.open_orders)),
            matched=broker.cursor if agreed else 0,
            limits_alarm=self.mirror.note(request.reconcile_id, broker),
        )

    def _differences(self, local: LocalView, broker: BrokerSnapshot) -> tuple[Finding, ...]:
        return compare(local, broker, self._settings.tolerances, self.ctx.now_ns())

    def _planned(self, found: tuple[Finding, ...], local: LocalView) -> tuple[PlannedAction, ...]:
        """Plan, say what is planned, and return what may be done at once."""
        actions = plan(found, self._settings.policy, [order.client_order_id for order in local.orders])
        for action in actions:
            self.ctx.audit("RECON_PLAN", f"{action.action} for {action.kind}", msgspec.to_builtins(action), "WARN")
        return tuple(action for action in actions if action.automatic)

    def _repaired(
        self,
        reconcile_id: str,
        before: tuple[Finding, ...],
        after: tuple[Finding, ...],
        actions: tuple[PlannedAction, ...],
    ) -> tuple[Repair, ...]:
        """Journal every finding that an action has cleared, with what we believed before and believe now (REC-9)."""
        stays = {(finding.kind, finding.subject) for finding in after}
        by_order = {action.client_order_id: action for action in actions}
        repairs: list[Repair] = []
        for finding in before:
            if (finding.kind, finding.subject) in stays:
                continue
            action = by_order.get(finding.client_order_id)
            done = Action.ASK_ORDER if action is None else action.action
            repair = Repair(finding, done, finding.external)
            repairs.append(repair)
            self._teller.repaired(reconcile_id, repair)
        return tuple(repairs)

    async def _look(self, after_ns: int = -1) -> tuple[LocalView, BrokerSnapshot]:
        """Take the broker's side first, so that ours is asked about exactly the orders it names.

        A second look is fresh only if it was taken ``after_ns``, by the broker's own clock.

        Raises:
            BrokerError: no snapshot, or none that is as new as what we have seen.
        """
        for _ in range(self._settings.stale_looks_max):
            # Both taken before the first wait: another reconcile may end in between and move them.
            here, there = self._matched_here, self._matched_there
            broker = await self._link.snapshot(there)
            named = [order.client_order_id for order in broker.open_orders]
            named += [fill.client_order_id for fill in broker.fills]
            wanted = GetLocalView(tuple(dict.fromkeys(named)), here)
            view = await self.ctx.ask(self._settings.orchestrator, wanted)
            if not isinstance(view, LocalView):
                refuse(self, view)
            if not is_stale(view, broker) and broker.as_of_ns > after_ns:
                return self._with_rebase(view), broker
            self.ctx.count("stale_snapshots_total")
            self.ctx.sometimes(Sometimes.STALE_SNAPSHOT)
            await self.ctx.sleep(self._settings.grace_s)
        message = "every snapshot was older than fills we have booked"
        raise OutcomeUnknown(message)

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
        claim, settings = message.claim, self._settings
        offset = self._rebased.get(claim.symbol, ZERO)
        finding = position_finding(claim.symbol, message.internal + offset, claim.quantity, settings.tolerances)
        if finding is not None:
            self._rebased[claim.symbol] = claim.quantity - message.internal
            self.observed.append(finding)
            self._teller.observed(claim.transaction_id, finding)
