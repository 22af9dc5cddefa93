"""The synchronous facade (ORC-7): one call that runs a whole dry-run session on a host's clock and sinks.

It drives the real actors over a small packaged session: three orders against a mock market, reconciled at the
beginning and at the end. Nothing is configured, opened or left behind; what the session says goes to the sinks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.domain.instants import from_datetime
from interlock.domain.session_states import SessionStatus
from interlock.runtime.clock import VirtualClock
from interlock.runtime.recorder import RunRecorder, RunSinks
from interlock.runtime.sinks import Sink
from interlock.runtime.telemetry import session_logger
from interlock.sessions import LiveRequest, LiveTestOverride, SteppedSession

__all__ = ["DryrunConfig", "DryrunResult", "HostClock", "LiveSessionOrchestrator"]

_STEPS_MAX = 100_000
_PACKAGED = {
    "session": {"session_id": "dryrun", "duration_s": 900, "drain_every_s": 1},
    "instruments": [
        {"symbol": "DEMO/EUR", "price": "100", "max_order_quantity": "10", "max_order_notional": "1000"},
    ],
    "opening": {"cash": "10000"},
    "strategy": {
        "linger_s": 5,
        "script": [
            {"at_s": 1, "submit": {"decision_id": "buy-1", "symbol": "DEMO/EUR", "side": "BUY", "quantity": "2",
                                   "limit_price": "101"}},
            {"at_s": 2, "submit": {"decision_id": "buy-2", "symbol": "DEMO/EUR", "side": "BUY", "quantity": "1",
                                   "order_type": "MARKET", "reference_price": "100"}},
            {"at_s": 3, "submit": {"decision_id": "sell-1", "symbol": "DEMO/EUR", "side": "SELL", "quantity": "3",
                                   "limit_price": "99"}},
        ],
    },
}  # fmt: skip


class HostClock(Protocol):
    """A host's clock: anything with ``now``."""

    def now(self) -> datetime:
        """Return the current time, with its zone."""
        ...


class DryrunConfig(BaseModel):
    """What a dry run is told. Names are judged by preflight, which has a code for each fault.

    ``strategy_allowlist=None`` is the packaged allowlist; an empty one is rejected. ``clock_mode``: with ``fixed``
    every record carries what the host's clock says, with ``sim`` the clock's first word plus simulated time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy_id: str
    run_id: str
    seed: int = Field(default=0, ge=0)
    clock_mode: Literal["fixed", "sim"] = "fixed"
    max_sink_retries: int = Field(default=0, ge=0, le=20)
    strategy_allowlist: tuple[str, ...] | None = None
    live_enabled: bool = False


class DryrunResult(msgspec.Struct, frozen=True):
    """How a dry run ended; codes and reasons are None where they do not apply."""

    accepted: bool
    status: SessionStatus
    run_id: str
    reject_code: str | None = None
    reject_reason: str | None = None
    fail_code: str | None = None
    fail_reason: str | None = None


class LiveSessionOrchestrator:
    """Runs dry-run sessions, one a call. Keeps nothing between them."""

    def run_dryrun(
        self,
        cfg: DryrunConfig,
        *,
        clock: HostClock | None = None,
        event_sink: object | None = None,
        state_sink: object | None = None,
        metrics_sink: object | None = None,
        audit_sink: object | None = None,
        sleep_fn: Callable[[float], None] | None = None,
        test_override: LiveTestOverride | None = None,
    ) -> DryrunResult:
        """Run one session to its end.

        Sinks are list-like (``append`` gets each record as a dict), file-like (``write`` gets a line) or None. A
        failing sink is tried ``max_sink_retries`` times more, pausing through ``sleep_fn`` or else in simulated
        time. ``test_override`` lets a test see ``live_enabled`` pass; the broker is a mock even then.

        Raises:
            BadInput: a sink that is neither list-like nor file-like.
            Broken: the clock gives times without a zone.
        """
        config = _session_config(cfg)
        start_ns = from_datetime(config.session.start_utc if clock is None else clock.now())
        virtual = VirtualClock(start_ns)

        def wall(now_ns: int) -> int:
            return from_datetime(clock.now()) if clock is not None and cfg.clock_mode == "fixed" else now_ns

        def sink(name: str, target: object | None) -> Sink:
            return Sink(
                name, target, max_retries=cfg.max_sink_retries, sleep=sleep_fn or virtual.advance, on_retry=retried
            )

        def retried(name: str, attempt: int, error: BaseException) -> None:
            recorder.retried(name, attempt, error)

        sinks = RunSinks(
            sink("events", event_sink),
            sink("states", state_sink),
            sink("metrics", metrics_sink),
            sink("audit", audit_sink),
        )
        log = session_logger(cfg.run_id, config.session.session_id)
        recorder = RunRecorder(cfg.run_id, cfg.strategy_id, sinks, wall, start_ns, log)
        live = LiveRequest(("code",) if cfg.live_enabled else (), test_override)
        with SteppedSession(config, recorder, clock=virtual, live=live) as session:
            session.run_n_steps(_STEPS_MAX)
            result = session.finish()
        return DryrunResult(
            accepted=not result.reject_code,
            status=SessionStatus(result.status),
            run_id=cfg.run_id,
            reject_code=result.reject_code or None,
            reject_reason=result.reject_reason or None,
            fail_code=result.fail_code or None,
            fail_reason=result.fail_reason or None,
        )


def _session_config(cfg: DryrunConfig) -> SessionConfig:
    config = config_from_tree(_PACKAGED, "packaged session")
    section = config.session.model_copy(
        update={
            "strategy_id": cfg.strategy_id,
            "run_id": cfg.run_id,
            "seed": cfg.seed,
            "strategy_allowlist": cfg.strategy_allowlist,
        }
    )
    return config.model_copy(update={"session": section})
