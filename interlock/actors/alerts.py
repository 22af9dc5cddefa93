"""The alert actor: takes alerts as messages, decides which are told, and has them delivered (ALT-1, ALT-2).

The audit log is the truth and has every alert before this actor hears of it; here they only find their way to people.
Nobody waits for it: an alert that finds its mailbox full is dropped and counted, a delivery is a job with a time-out
and a budget of attempts, and each sink has a short line of its own, so that a slow one delays no other. A sink that
gives up is reported once, to the log and to the other sinks, and tried again with the next alert.
"""

from __future__ import annotations

from collections import deque

import msgspec

from interlock.domain.alert_notes import AlertNote, note_of
from interlock.domain.alerts import Alert, AlertLimits, AlertName, AlertSieve, FlushAlerts, alert_of
from interlock.domain.errors import AlertNotTaken, AlertSinkError, DeadlineExceeded
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.alert_sinks import AlertSink
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.redaction import redact_flat, scrub
from interlock.runtime.retry import RetryPolicy, retrying

__all__ = ["AlertSettings", "Alerts"]


class AlertSettings(msgspec.Struct, frozen=True):
    """What is told, how deliveries are repeated, and how many notes may wait for one sink."""

    run_id: str
    limits: AlertLimits = AlertLimits()
    policy: RetryPolicy = RetryPolicy()
    backlog_max: int = 64


class _Outlet:
    """One sink, the notes that wait for it, and how it is doing."""

    __slots__ = ("busy", "failing", "sink", "waiting")

    def __init__(self, sink: AlertSink) -> None:
        self.sink = sink
        self.waiting: deque[AlertNote] = deque()
        self.busy = False
        self.failing = False

    @property
    def left(self) -> int:
        """Return how many notes are not delivered yet."""
        return len(self.waiting) + self.busy


class Alerts(Actor):
    """Delivers alerts."""

    def __init__(self, ctx: Context, settings: AlertSettings, sinks: tuple[AlertSink, ...]) -> None:
        super().__init__(ctx)
        self._settings = settings
        self._sieve = AlertSieve(settings.limits)
        self._outlets = [_Outlet(sink) for sink in sinks]
        self._sinks_failed = 0
        self._asked: list[ReplyTo] = []
        self._concluded = False

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Serve alerts, and the question whether all of them are out."""
        if isinstance(message, Alert):
            self._take(message)
        elif isinstance(message, FlushAlerts) and reply_to is not None:
            self._asked.append(reply_to)
            self._answer_if_done()
        else:
            refuse(self, message)

    def conclude(self, unread: int) -> None:
        """Say what was not delivered by the end of the session; ``unread`` alerts are still in the mailbox."""
        left = {"unread": unread, **{outlet.sink.name: outlet.left for outlet in self._outlets}}
        left = {name: count for name, count in left.items() if count}
        if left and not self._concluded:
            self.ctx.count("alerts_not_delivered_total", sum(left.values()))
            self.ctx.audit("ALERTS_NOT_DELIVERED", "the session ended before these were told", left, "WARN")
        self._concluded = True

    # -- deciding -------------------------------------------------------------------------------------------

    def _take(self, alert: Alert, but: _Outlet | None = None) -> None:
        """Judge an alert and put what passes into the line of every sink, but for one that it is about."""
        passage = self._sieve.judge(alert)
        if not passage.passes:
            self.ctx.count(f"alerts_held_back_total|{passage.held_by}")
            return
        note = note_of(_redacted(alert), passage)
        for outlet in self._outlets:
            if outlet is not but:
                self._line_up(outlet, note)

    def _line_up(self, outlet: _Outlet, note: AlertNote) -> None:
        name = outlet.sink.name
        if len(outlet.waiting) >= self._settings.backlog_max:
            self.ctx.count(f"alerts_dropped_total|{name}")
            return
        outlet.waiting.append(note)
        if not outlet.busy:
            outlet.busy = True
            self.ctx.spawn(self._serve(outlet), f"alert {name}")

    # -- delivering -----------------------------------------------------------------------------------------

    async def _serve(self, outlet: _Outlet) -> None:
        """Deliver what waits for one sink, in order; the line is bounded."""
        try:
            while outlet.waiting:
                await self._deliver(outlet, outlet.waiting.popleft())
        finally:
            outlet.busy = False
        self._answer_if_done()

    async def _deliver(self, outlet: _Outlet, note: AlertNote) -> None:
        ctx, sink = self.ctx, outlet.sink

        async def attempt() -> None:
            try:
                with ctx.deadline(sink.timeout_s):
                    await sink.deliver(note, ctx)
            except DeadlineExceeded as error:
                message = f"not taken within {sink.timeout_s} s"
                raise AlertNotTaken(message) from error

        try:
            label, counted = f"alert.{sink.name}", "alert_retry_attempts_total"
            await retrying(ctx, self._settings.policy, label, attempt, (AlertNotTaken,), counted)
        except AlertSinkError as error:
            ctx.count(f"alerts_dropped_total|{sink.name}")
            self._gave_up(outlet, scrub(str(error)))
        else:
            ctx.count(f"alerts_delivered_total|{sink.name}")
            if outlet.failing:
                outlet.failing = False
                ctx.audit("ALERT_SINK_RECOVERED", "takes alerts again", {"sink": sink.name})

    def _gave_up(self, outlet: _Outlet, reason: str) -> None:
        """Report a sink that takes nothing, once until it takes something again."""
        if outlet.failing:
            return
        outlet.failing = True
        self._sinks_failed += 1
        ctx, name = self.ctx, AlertName.SINK_FAILED
        about: dict[str, object] = {"sink": outlet.sink.name, "reason": reason}
        ctx.count(f"alerts_total|{name}")
        ctx.emit("ALERT", {"alert": name, "run_id": self._settings.run_id, **about})
        ctx.audit(name, "alerts do not get through; trading goes on", about, "WARN")
        alert = alert_of(name, about, run_id=self._settings.run_id, at_ns=ctx.now_ns(), raised=self._sinks_failed)
        self._take(alert, but=outlet)

    def _answer_if_done(self) -> None:
        if self._asked and not any(outlet.left for outlet in self._outlets):
            asked, self._asked = self._asked, []
            for reply_to in asked:
                self.ctx.reply(reply_to, self._sinks_failed)


def _redacted(alert: Alert) -> Alert:
    """Return the alert without secrets."""
    about = {name: str(value) for name, value in redact_flat(alert.about).items()}
    counts = {scrub(name): value for name, value in alert.counts.items()}
    return msgspec.structs.replace(
        alert,
        run_id=scrub(alert.run_id),
        decision_id=scrub(alert.decision_id),
        reconcile_id=scrub(alert.reconcile_id),
        counts=counts,
        about=about,
        text=scrub(alert.text),
    )
