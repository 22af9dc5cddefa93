"""A session on virtual time: a step at a time, bounded by its caller, and able to crash and begin again.

After ``crash`` everything is lost that a killed process loses; ``RestartedSession`` is the next process, which finds
the broker as it is by then, the same clock, and what the store had committed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, cast

from interlock.config.alert_sinks import stepped_sinks
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.messages import StartSession
from interlock.mocks.recording import Recording
from interlock.runtime.actor import Actor, Context
from interlock.runtime.clock import VirtualClock
from interlock.runtime.closing import Closing
from interlock.runtime.mailbox import LaneStats, MailboxSizes
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.recorder import RunRecorder
from interlock.runtime.schedule import Schedule, SeededSchedule
from interlock.runtime.stepped import RunReport, SteppedSystem
from interlock.runtime.store import Store
from interlock.sessions.session import LiveRequest, Session

__all__ = ["RestartedSession", "SteppedSession"]

A = TypeVar("A", bound=Actor)

_OURS = ("rails", "reconciler", "orchestrator", "strategy", "alerts")
"""The actors that live in our process; the broker does not."""

_ALERT_STEPS_MAX: Final = 10_000


class SteppedSession(Session, Closing):
    """One session on virtual time, a step at a time."""

    def __init__(
        self,
        config: SessionConfig | Parts,
        recorder: RunRecorder,
        *,
        clock: VirtualClock | None = None,
        schedule: Schedule | None = None,
        recording: Recording | None = None,
        live: LiveRequest | None = None,
        broker: Callable[[Context], Actor] | None = None,
        store: Store | None = None,
    ) -> None:
        super().__init__(config, recorder, recording=recording, live=live, store=store)
        self.schedule = schedule or SeededSchedule(self.config.session.seed, self.config.session.scheduler)
        virtual = clock or VirtualClock(self.parts.start_ns)
        self.system = SteppedSystem(virtual, self.schedule, recorder, self._crashed)
        self.bind(self.system, virtual, broker, stepped_sinks(self.config, recorder.alert_sinks))
        self.begin()

    def crash(self) -> None:
        """Lose our process, as a kill does, between two steps: all but the broker and what the store has committed."""
        self.system.drop(_OURS)
        if isinstance(self.store, MemoryStore):
            self.store.crash()

    def run_n_steps(self, n: int) -> RunReport:
        """Run at most ``n`` steps; a deadlock is recorded and ends the session."""
        return self._stopped(self.system.run_n_steps(n))

    def run_watched(self, n: int, watch: Callable[[], bool]) -> RunReport:
        """Run at most ``n`` steps, as long as ``watch``, asked after each, wants to go on."""
        return self._stopped(self.system.run_watched(n, watch))

    def _stopped(self, report: RunReport) -> RunReport:
        self.steps, self.late_replies = self.system.steps, self.system.late_replies
        if report.reason in ("deadlock", "quiescent") and not self.over:
            self._give_up(report.reason, "; ".join(report.chain) or "nothing left to do before the session ended")
        return report

    def deliver_alerts(self) -> None:
        """Deliver without letting time pass."""
        self.system.run_aside(_ALERT_STEPS_MAX)

    def halt(self) -> None:
        """Let no further step run."""
        self.system.halt()

    def mailboxes(self) -> dict[str, dict[str, LaneStats]]:
        """Return the mailbox figures of every actor."""
        return self.system.stats()

    def close(self) -> None:
        """Release every mailbox."""
        self.system.close()


class _Rejoined:
    """A driver on which the broker lives already."""

    def __init__(self, system: SteppedSystem, broker: Actor) -> None:
        self._system = system
        self._broker = broker
        self.post = system.post
        self.waiting = system.waiting

    def add(
        self, name: str, build: Callable[[Context], A], sizes: MailboxSizes | None = None, *, aside: bool = False
    ) -> A:
        """Make an actor, or return the broker."""
        return cast("A", self._broker) if name == "broker" else self._system.add(name, build, sizes, aside=aside)


class RestartedSession(SteppedSession):
    """The session that begins where the process of ``crashed`` was killed; on its store, unless another is given."""

    def __init__(
        self,
        crashed: SteppedSession,
        recorder: RunRecorder,
        *,
        config: SessionConfig | None = None,
        store: Store | None = None,
    ) -> None:
        Session.__init__(self, config or crashed.parts, recorder, store=store or crashed.store)
        self.schedule, self.system = crashed.schedule, crashed.system
        self.system.recorder, self.system.on_crash = recorder, self._crashed
        joined = _Rejoined(self.system, crashed.broker)
        self.bind(joined, self.system.clock, None, stepped_sinks(self.config, recorder.alert_sinks))
        self.system.post("orchestrator", StartSession())
