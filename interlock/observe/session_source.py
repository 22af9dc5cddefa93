"""A live session as a source of views. It reads the session's parts where they are, on the loop they live in."""

from __future__ import annotations

from typing import Final

from interlock.domain.alerts import AlertName
from interlock.domain.findings import matters
from interlock.domain.health import HealthLimits
from interlock.domain.instants import rfc3339
from interlock.domain.order_states import OrderState
from interlock.domain.reconcile import ReconcileResult
from interlock.domain.session_states import SessionState, SessionStatus
from interlock.observe.figures import figures_of
from interlock.observe.labels import Labels
from interlock.observe.lines import (
    SHOWN_MAX,
    alert_lines,
    broker_limits_line,
    limit_lines,
    order_lines,
    position_lines,
    reconcile_line,
    summed,
)
from interlock.observe.metrics import exposition, samples_of
from interlock.observe.steps import next_steps
from interlock.observe.views import Health, NextStep, Readiness, Status, StoreLine, redacted
from interlock.runtime.damaged_store import DamagedStore
from interlock.runtime.store import Store
from interlock.sessions import Session, SessionResult

__all__ = ["SessionSource"]

_BAD: Final = (SessionStatus.REJECTED, SessionStatus.FAILED)


class SessionSource:
    """Views of one session of this process."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._labels = Labels(session.config)

    def health(self) -> Health:
        """Return whether the session is well."""
        session = self._session
        result, ok_ns = session.result(), session.orchestrator.watch.last_ok_ns
        reasons = self._reasons(result)
        view = Health(
            orchestrator_state=result.view.state,
            last_audit_event_ts=session.recorder.chain.last_ts or None,
            reconciler_last_ok_ts=None if ok_ns is None else rfc3339(ok_ns),
            safety_rail_trips_total=session.recorder.counters.get("safety_rail_trips_total", 0),
            kill_switch=result.view.kill_switch,
            ok=not reasons,
            reasons=reasons,
        )
        return redacted(view)

    def ready(self) -> Readiness:
        """Return whether intents are taken now: a session that trades, is well, and lets orders through."""
        session, result = self._session, self._session.result()
        reasons = list(self._reasons(result))
        if session.over:
            reasons.append(f"the session is over: {result.status}")
        elif result.view.state != SessionState.DRYRUN_ACTIVE:
            reasons.append(f"the session is {result.view.state}: no intent is let through")
        elif not session.orchestrator.desk.gate_open:
            reasons.append("the gate for orders is closed")
        return redacted(Readiness(ready=not reasons, reasons=tuple(reasons)))

    def status(self) -> Status:
        """Return what an operator has to know."""
        session, result = self._session, self._session.result()
        record, desk = session.orchestrator.record, session.orchestrator.desk
        book, counters, now_ns = desk.book, session.recorder.counters, session.now_ns()
        doubtful = (OrderState.UNKNOWN, *((OrderState.SENT,) if session.over else ()))
        live = list(book.live.values())
        in_doubt = [order for order in book.orders.values() if order.state is OrderState.QUARANTINED]
        in_doubt += [order for order in live if order.state in doubtful]
        open_orders = [order for order in live if order.state not in doubtful]
        ledger = book.exposure.ledger
        view = Status(
            run_id=session.config.run_id,
            session_id=session.config.session.session_id,
            strategy_id=session.config.session.strategy_id,
            as_of_ts=rfc3339(now_ns),
            state=result.view.state,
            status=result.status,
            reason=result.fail_reason or result.reject_reason,
            engine_restart_reason=record.restart,
            kill_switch=result.view.kill_switch,
            kill_switch_reason=result.view.reason,
            rejects=tuple(reject.code for reject in result.view.rejects),
            trips=tuple(dict.fromkeys(result.view.trips)),
            in_doubt=order_lines(in_doubt[:SHOWN_MAX]),
            in_doubt_left_out=max(len(in_doubt) - SHOWN_MAX, 0),
            open_orders=order_lines(open_orders[:SHOWN_MAX]),
            open_orders_left_out=max(len(open_orders) - SHOWN_MAX, 0),
            positions=position_lines(ledger),
            cash=ledger.cash,
            limits=limit_lines(desk.settings.limits, book.exposure, now_ns),
            broker_limits=broker_limits_line(desk.settings.limits, session.reconciler.mirror.offered),
            last_reconcile=reconcile_line(session.orchestrator.watch.last_report),
            observed_findings=len(session.reconciler.observed),
            alerts=alert_lines(counters),
            alerts_held_back=summed(counters, "alerts_held_back_total"),
            alerts_dropped=summed(counters, "alerts_dropped_total"),
            store=_store_line(session.store),
            next_steps=self._steps(result, [order.state for order in in_doubt]),
        )
        return redacted(view)

    def metrics(self, *, openmetrics: bool = False) -> bytes:
        """Return the metrics as text."""
        return exposition(figures_of(self._session.figures()), self._labels, openmetrics=openmetrics)

    def samples(self) -> dict[str, float]:
        """Return the metrics by name and labels."""
        return samples_of(figures_of(self._session.figures()), self._labels)

    def _reasons(self, result: SessionResult) -> tuple[str, ...]:
        """Return what is not well, the worst first."""
        session, reasons = self._session, []
        if result.view.kill_switch:
            reasons.append(f"the kill switch is set: {result.view.reason}")
        if result.status in _BAD:
            code = result.fail_code or result.reject_code
            reasons.append(f"the session is {result.status}: {code}")
        reasons += [f"the sink {name} takes nothing any more" for name in session.recorder.broken()]
        complaint = _complaint(session.store)
        reasons += [f"store: {complaint}"] if complaint else []
        if not session.over and result.view.state == SessionState.DRYRUN_ACTIVE:
            reasons += self._complaints()
        return tuple(reasons)

    def _complaints(self) -> list[str]:
        """Return what the session itself would trip for at its next check."""
        session, config = self._session, self._session.config
        limits = HealthLimits(config.reconcile.deadline_s, config.session.heartbeat_timeout_s)
        oldest_ns = session.orchestrator.desk.oldest_check_ns(session.now_ns())
        found = session.orchestrator.watch.complaints(limits, oldest_ns, config.session.check_every_s)
        return [f"{code}: {text}" for code, text in found]

    def _steps(self, result: SessionResult, in_doubt: list[OrderState]) -> tuple[NextStep, ...]:
        session, last = self._session, self._session.orchestrator.watch.last_report
        codes = [reject.code for reject in result.view.rejects]
        codes += [*result.view.trips, *([result.fail_code] if result.fail_code else [])]
        codes += ["ORDERS_QUARANTINED"] if OrderState.QUARANTINED in in_doubt else []
        if session.over:
            codes += ["ORDERS_IN_DOUBT"] if in_doubt.count(OrderState.QUARANTINED) < len(in_doubt) else []
            codes += ["ORDERS_LIVE"] if session.orchestrator.desk.book.live and not in_doubt else []
        if last is not None and last.result is ReconcileResult.UNAVAILABLE:
            codes.append("RECONCILE_UNAVAILABLE")
        elif (last is not None and matters(last.findings)) or session.reconciler.observed:
            codes.append("RECONCILE_FINDINGS")
        named = [line.name for line in alert_lines(session.recorder.counters)]
        codes += [name for name in named if name != AlertName.SAFETY_RAIL_TRIPPED]  # what tripped says what to do
        codes += ["KILL_SWITCH"] if result.view.kill_switch else []
        codes += ["ALERTS_DROPPED"] if summed(session.recorder.counters, "alerts_dropped_total") else []
        return next_steps(codes)


def _store_line(store: Store) -> StoreLine:
    return StoreLine(store.outlives, store.length(), _complaint(store), store.keys_held())


def _complaint(store: Store) -> str:
    """Return what is wrong with a store; one in memory is not asked: it would hash all that it holds."""
    return store.complaint() if store.outlives or isinstance(store, DamagedStore) else ""
