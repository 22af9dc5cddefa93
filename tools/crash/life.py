"""One life of a child: it opens the store, recovers, trades, and is killed, failed by its disk, or ends.

The child watches itself where nobody else can look: at every step its exposure must cover what the broker has open or
on its way (I11), and when recovery is over nothing of before may be in doubt or missing. What it finds it says at its
end; a kill comes from its own hand, at the n-th passing of a named point.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from unittest.mock import patch

import msgspec

from interlock.domain.errors import StoreRefused
from interlock.domain.intents import Side
from interlock.domain.order_states import OrderState
from interlock.domain.session_states import SessionState
from interlock.runtime import store_file
from interlock.runtime.clock import VirtualClock
from interlock.runtime.crash_points import CrashPoint
from interlock.runtime.recorder import RunRecorder, RunSinks
from interlock.runtime.sinks import Sink
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_export import export_journal
from interlock.sessions import SteppedSession
from tools.crash.disk import DiskFault, FailingDisk, failing_anchor
from tools.crash.forwarder import Forwarder
from tools.crash.planted import PLANTS
from tools.crash.wire import Line, Mark, Tick
from tools.crash.workload import StepConfig, config_of

__all__ = ["Life", "Report", "Target", "live"]


_STEPS_MAX: Final = 60_000
_COMPLAINTS_MAX: Final = 5
_RECOVERING: Final = {
    **dict.fromkeys((CrashPoint.IN_ACK_TXN, CrashPoint.IN_FILL_TXN, CrashPoint.IN_CLOSE_TXN), CrashPoint.REC_IN_TXN),
    **dict.fromkeys(
        (CrashPoint.AFTER_ACK_COMMIT, CrashPoint.AFTER_FILL_COMMIT, CrashPoint.AFTER_CLOSE_COMMIT),
        CrashPoint.REC_AFTER_COMMIT,
    ),
}
"""What a point of the store is called while the session recovers."""


class Target(msgspec.Struct, frozen=True):
    """Where a child is to die: at the ``nth`` passing of a point."""

    point: CrashPoint
    nth: int = 1


class Life(msgspec.Struct, frozen=True):
    """What one child is to do."""

    number: int
    store: Path
    broker: Path
    start_ns: int
    steps: tuple[StepConfig, ...]
    ttl_s: int
    grouped: bool
    pages: int
    target: Target | None = None
    disk: DiskFault | None = None
    plant: str = ""


class Report(msgspec.Struct, frozen=True):
    """What a child says at its end, where it comes to one.

    ``status`` is the session's, or ``REFUSED`` where the store could not be opened or closed; ``struck`` is the state
    of the session when the disk failed first, or "".
    """

    status: str
    reason: str = ""
    kill_switch: int = 0
    struck: str = ""
    recovered: bool = False
    complaints: tuple[str, ...] = ()
    passed: dict[str, int] = {}


class _Killer:
    """Counts the points that are passed, and kills at the one that was asked for."""

    def __init__(self, life: Life, line: Line) -> None:
        self.passed: Counter[CrashPoint] = Counter()
        self.session: SteppedSession | None = None
        self._target = life.target
        self._line = line

    def state(self) -> str:
        """Return the state of the session."""
        return "CLOSED" if self.session is None else self.session.orchestrator.record.state

    def __call__(self, point: CrashPoint) -> None:
        session = self.session
        if point is CrashPoint.KILL_SWITCH_SET and session is not None:
            self._line.call(Mark(session.system.clock.now_ns(), "switch"))
        recovering = session is not None and session.orchestrator.record.state is SessionState.INIT
        for name in (point, *((_RECOVERING[point],) if recovering and point in _RECOVERING else ())):
            self.passed[name] += 1
            if self._target == Target(name, self.passed[name]):
                os.kill(os.getpid(), signal.SIGKILL)


class _Watcher:
    """What must hold at every instant inside a child."""

    def __init__(self, session: SteppedSession, line: Line) -> None:
        self.complaints: list[str] = []
        self.recovered = False
        self._session = session
        self._line = line
        self._before = SessionState.INIT
        self._began_ns = session.system.clock.now_ns()

    def look(self) -> None:
        """Look at the exposure, and, once, at what recovery has left."""
        if len(self.complaints) >= _COMPLAINTS_MAX:
            return
        self._covers()
        state = self._session.orchestrator.record.state
        if self._before is SessionState.INIT and state is SessionState.DRYRUN_ACTIVE:
            self.recovered = self._session.past.used
            self._settled()
        self._before = state

    def _covers(self) -> None:
        exposure = self._session.orchestrator.desk.book.exposure
        for symbol, reach in self._line.reach.items():
            held = exposure.ledger.position(symbol).quantity
            long, short = (
                held + exposure.open_quantity(symbol, Side.BUY),
                held - exposure.open_quantity(symbol, Side.SELL),
            )
            if long < reach.long or short > reach.short:
                self.complaints.append(
                    f"I11: exposure in {symbol} is {short} to {long}, and the broker's {reach.short} to {reach.long}"
                )

    def _settled(self) -> None:
        for order in self._session.store.live_orders():
            if order.state in (OrderState.SENT, OrderState.UNKNOWN):
                self.complaints.append(f"I4: {order.client_order_id} is {order.state} after recovery")
        desk = self._session.orchestrator.desk.settings
        for fill in self._line.book().fills().values():
            known = self._session.store.execution_of(desk.venue, desk.account, fill.fill_id)
            if fill.ts_ns < self._began_ns and known != fill:
                self.complaints.append(f"I2: {fill.fill_id} of before is not here after recovery")


def live(life: Life) -> Report:
    """Live one life. Where it ends by a kill, nothing returns."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(store_file, "_CHECKPOINT_PAGES", life.pages))
        stack.enter_context(PLANTS[life.plant]())
        line = stack.enter_context(Line(life.broker))
        killer = _Killer(life, line)
        disk = FailingDisk(life.disk, killer.state) if life.disk is not None else None
        if disk is not None:
            stack.enter_context(failing_anchor(disk))
        try:
            return _live(life, line, killer, disk)
        except StoreRefused as refused:
            struck = "" if disk is None else disk.struck
            return Report("REFUSED", str(refused), struck=struck, passed=_told(killer.passed))


def _live(life: Life, line: Line, killer: _Killer, disk: FailingDisk | None) -> Report:
    _export(life, killer)
    owner = f"child {life.number}"
    vfs = None if disk is None else disk.name
    with SqliteStore(life.store, owner=owner, ttl_s=life.ttl_s, vfs=vfs, probe=killer) as store:
        config = config_of(life.number, life.steps, grouped=life.grouped)
        line.call(Tick(life.start_ns, 0))
        recorder = RunRecorder(config.run_id, config.session.strategy_id, _deaf(), start_ns=life.start_ns)
        clock = VirtualClock(life.start_ns)
        session = SteppedSession(
            config, recorder, clock=clock, broker=lambda ctx: Forwarder(ctx, line, killer), store=store
        )
        killer.session = session
        with session:
            watcher = _Watcher(session, line)
            for _ in range(_STEPS_MAX):
                if session.run_n_steps(1).reason != "limit":
                    break
                watcher.look()
            result = session.finish()
    view = result.view
    return Report(
        result.status,
        result.fail_code or result.reject_code,
        view.kill_switch,
        "" if disk is None else disk.struck,
        watcher.recovered,
        tuple(watcher.complaints),
        _told(killer.passed),
    )


def _export(life: Life, killer: _Killer) -> None:
    """Export what the store holds so far, in place of what an earlier life has exported."""
    if life.store.exists() and life.store.stat().st_size:
        out = life.store.with_name("exported")
        shutil.rmtree(out, ignore_errors=True)
        export_journal(life.store, out, probe=killer)


def _deaf() -> RunSinks:
    sinks = [Sink(name, None, max_retries=0, sleep=lambda _: None) for name in ("events", "states", "metrics", "audit")]
    return RunSinks(*sinks)


def _told(passed: Counter[CrashPoint]) -> dict[str, int]:
    return {point.value: count for point, count in passed.items()}
