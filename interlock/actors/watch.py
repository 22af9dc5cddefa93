"""The orchestrator's watch over the broker: when both sides were last compared, and what that said.

Asks the reconciler, takes its reports down, raises the alerts they call for, and judges at every check whether the
session still knows enough to go on (ORC-5).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.actors.session_record import SessionRecord
from interlock.domain.alerts import divergence_counts
from interlock.domain.findings import matters
from interlock.domain.health import HealthFacts, HealthLimits, health_complaints
from interlock.domain.ids import stable_id
from interlock.domain.instants import to_ns
from interlock.domain.messages import ReconcileNow
from interlock.domain.reconcile import ReconcileReport, ReconcileResult
from interlock.runtime.actor import Context

__all__ = ["Watch"]


_AT_ANY_TIME = ("demand", "reconnect")


class Watch:
    """Reconciles asked for and taken down."""

    def __init__(self, ctx: Context, record: SessionRecord, link: BrokerLink, *, run_id: str, reconciler: str) -> None:
        self.last_report: ReconcileReport | None = None
        self.last_ok_ns: int | None = None
        """When both sides were last compared and agreed."""
        self.on_report: Callable[[ReconcileReport], None] | None = None
        """Told each report: a host that waits for one."""
        self._ctx = ctx
        self._record = record
        self._link = link
        self._run_id = run_id
        self._reconciler = reconciler
        self._asked = 0
        self._running = 0
        self._again = ""
        self._last_compared_ns = ctx.now_ns()

    async def ask(self, reason: str) -> None:
        """Ask for a reconcile; its report comes as a message.

        Of those that anybody may ask for at any time, one runs and one more is remembered: what happened meanwhile is
        seen by the next one, however often it was asked for.
        """
        if self._running and reason in _AT_ANY_TIME:
            self._again = reason
            return
        self._running += 1
        self._asked += 1
        reconcile_id = "rc-" + stable_id("reconcile", self._run_id, self._asked)[:16]
        await self._ctx.send(self._reconciler, ReconcileNow(reconcile_id, reason))

    async def ask_again(self) -> None:
        """Ask for the reconcile that was remembered, if one was."""
        reason, self._again = self._again, ""
        if reason:
            await self.ask(reason)

    def note(self, report: ReconcileReport) -> dict[str, object]:
        """Take a report down, alert where it calls for it, and return what a trip would have to tell of it."""
        self.last_report = report
        self._running -= 1
        if self.on_report is not None:
            self.on_report(report)
        about: dict[str, object] = {"reconcile_id": report.reconcile_id, "findings": len(report.findings)}
        if report.result is ReconcileResult.UNAVAILABLE:
            failed = {**about, "code": "broker_unavailable", "detail": report.detail}
            self._record.alert("ALERT_RECONCILE_FAILED", failed)
            return about
        self._link.last_answer_ns = max(self._link.last_answer_ns, report.finished_ns)
        self._last_compared_ns = report.finished_ns
        if report.result is ReconcileResult.HEALTHY:
            self.last_ok_ns = report.finished_ns
        if matters(report.findings):
            self._record.alert("ALERT_RECONCILE_DIVERGENCE", {**about, **divergence_counts(report.findings)})
        alarm = report.limits_alarm
        if alarm is not None:
            counted = {"reconcile_id": report.reconcile_id, "limits": len(alarm.mismatches), "reason": alarm.text}
            self._record.alert("ALERT_BROKER_LIMIT_MISMATCH", {**counted, **msgspec.to_builtins(alarm)})
        return about

    def complaints(
        self, limits: HealthLimits, oldest_check_ns: int, check_every_s: float
    ) -> tuple[tuple[str, str], ...]:
        """Return (code, text) of everything that is not well now."""
        now_ns = self._ctx.now_ns()
        rails_answered = now_ns - oldest_check_ns <= to_ns(check_every_s)
        facts = HealthFacts(self._last_compared_ns, self._link.last_answer_ns, rails_answered)
        return health_complaints(facts, limits, now_ns)
