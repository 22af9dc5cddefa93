"""A session in a host's event loop: the same parts on real time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from interlock.actors.ported_broker import Listen, PortedTrader
from interlock.config.alert_sinks import real_time_sinks
from interlock.config.model import SessionConfig
from interlock.domain.alerts import FlushAlerts
from interlock.domain.errors import DeadlineExceeded, SessionOver, UnknownMessage
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import StartSession, SubmitIntent, SubmitOutcome
from interlock.runtime.actor import Actor, Context
from interlock.runtime.clock import RealClock
from interlock.runtime.mailbox import LaneStats
from interlock.runtime.realtime import RealTimeSystem
from interlock.runtime.recorder import RunRecorder
from interlock.runtime.schedule import SeededSchedule
from interlock.runtime.store import Store
from interlock.sessions.session import LiveRequest, Session, SessionResult

__all__ = ["RealTimeSession"]


class RealTimeSession(Session):
    """The same session in a host's event loop: ``async with``, then ``await session.ended(...)``."""

    def __init__(
        self,
        config: SessionConfig,
        recorder: RunRecorder,
        *,
        live: LiveRequest | None = None,
        store: Store | None = None,
        clock: RealClock | None = None,
        broker: Callable[[Context], Actor] | None = None,
        shadow: bool = False,
    ) -> None:
        """Make a session that is not open yet; ``broker`` stands in the place of the mock broker.

        A ``shadow`` session only reads: its broker must be one that cannot place anything.
        """
        super().__init__(config, recorder, live=live, store=store, shadow=shadow)
        self.clock = clock or RealClock()
        self._brought = broker is not None
        schedule = SeededSchedule(config.session.seed, config.session.scheduler)
        self.system = RealTimeSystem(self.clock, schedule, recorder, self._crashed)
        self.bind(self.system, self.clock, broker, real_time_sinks(config, recorder.alert_sinks))
        self.system.on_halt = self.orchestrator.desk.dismiss

    def begin(self) -> None:
        """Start the session, and let its broker begin to tell: the mock its market, a port what it hears."""
        if not self._brought:
            super().begin()
            return
        if isinstance(self.broker, PortedTrader):
            self.system.post("broker", Listen())
        self.system.post("orchestrator", StartSession())

    async def __aenter__(self) -> Self:
        await self.system.__aenter__()
        self.recorder.later = self.system.soon
        self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """End the tasks; a session that its host leaves before its end is abandoned, and says so."""
        try:
            return await self.system.__aexit__(kind, error, trace)
        finally:
            left = not self.over
            if left:
                self.abandon("host_left", "the host left the session before it had ended")
            self._catch_up()
            if left:
                self.finish()

    async def submit(self, intent: OrderIntent, timeout_s: float | None = None) -> SubmitOutcome:
        """Ask for one intent to be sent; returns what became of it.

        Raises:
            DeadlineExceeded: no outcome within ``timeout_s``; ask again under the same decision to learn it.
        """
        outcome = await self.system.ask("orchestrator", SubmitIntent(intent), timeout_s)
        if not isinstance(outcome, SubmitOutcome):
            message = f"an intent was answered with {type(outcome).__name__}"
            raise UnknownMessage(message)
        return outcome

    async def ended(self) -> SessionResult:
        """Wait until the session is over and return how it ended."""
        await self.system.halted.wait()
        await self.flush_alerts()
        return self.finish()

    async def flush_alerts(self) -> None:
        """Wait until the last alerts are delivered, for as long as the config says."""
        with suppress(DeadlineExceeded, SessionOver):
            await self.system.ask("alerts", FlushAlerts(), self.config.alerts.flush_s)

    def _catch_up(self) -> None:
        """Make the lines that wait, and from now on all at once: the loop may be gone before the next one."""
        try:
            self.recorder.catch_up()
        finally:
            self.recorder.later = None

    def finish(self) -> SessionResult:
        """Write what is left to write and return how the session ended."""
        self._catch_up()
        self.late_replies = self.system.late_replies
        return super().finish()

    def abandon(self, code: str, reason: str) -> None:
        """Give the session up: nothing more is sent, and the kill switch is set. Once it is over nothing changes."""
        if not self.over:
            self._give_up(code, reason)

    def halt(self) -> None:
        """End the run at once."""
        self.system.halt()

    def mailboxes(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor."""
        return self.system.stats()
