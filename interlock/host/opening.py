"""``open_session``: from a config to a session that runs in the host's event loop, and back to nothing.

The actors run in tasks of their own that the host's cancellation does not reach, so that a host that is cancelled, or
raises, still ends its session in good order and within a bound: the gate closes, open orders are cancelled as
configured, both sides are compared a last time. What does not end by then is abandoned with the kill switch set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from interlock.config.alert_sinks import local_sinks
from interlock.config.load import LoadedConfig, config_from_tree, load_config
from interlock.config.model import SessionConfig
from interlock.domain.errors import BadInput, StoreDamaged
from interlock.domain.ids import canonical_json
from interlock.host.broker import connect
from interlock.host.session import HostSession
from interlock.ports import BrokerReader, BrokerTrader
from interlock.runtime.clock import RealClock
from interlock.runtime.damaged_store import DamagedStore
from interlock.runtime.recorder import RunRecorder, RunSinks
from interlock.runtime.redaction import redact
from interlock.runtime.run_folder import ALERTS, RunFolder
from interlock.runtime.sinks import Sink
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import Store
from interlock.runtime.telemetry import session_logger
from interlock.sessions import LiveRequest, LiveTestOverride, RealTimeSession

__all__ = ["Sinks", "open_session"]

_BATCH_LINES: Final = 64


class Sinks(msgspec.Struct, frozen=True):
    """Where the records of a session go: list-like (``append``), file-like (``write``), or None each."""

    events: object | None = None
    states: object | None = None
    metrics: object | None = None
    audit: object | None = None


@asynccontextmanager
async def open_session(
    config: SessionConfig | dict[str, Any] | Path | str,
    *,
    broker: BrokerReader | BrokerTrader | None = None,
    store: Store | Path | str | None = None,
    out: Path | str | None = None,
    sinks: Sinks | None = None,
    clock: RealClock | None = None,
    test_override: LiveTestOverride | None = None,
) -> AsyncIterator[HostSession]:
    """Open one session for the length of an ``async with``; entering waits until intents are taken.

    ``config`` is a config, its tree, or a file. ``broker`` is any object with the methods of ``interlock.ports``;
    without one the mock broker of the config serves, and with a ``BrokerReader`` the session is a shadow: it reads,
    compares and alerts. ``store`` is a file, or what the config says, else memory. Records go to a run folder below
    ``out`` or into ``sinks``. ``clock`` and ``test_override`` are for tests.

    Raises:
        BadInput: the config, the broker or a sink cannot be used; nothing was opened.
        StorageError: the store or the run folder cannot be opened.
        SessionRejected: preflight, recovery or the start-up reconcile is against it; the error has every code.
    """
    loaded, real = _loaded(config), clock or RealClock()
    live = LiveRequest(loaded.live_enabled_by, test_override)
    connected = connect(broker, loaded.config, live=bool(live.enabled_by), override=test_override is not None)
    with ExitStack() as held:
        kept = held.enter_context(_store(store, loaded.config))
        folder = None if out is None else held.enter_context(_folder(Path(out), loaded.config, sinks))
        session = RealTimeSession(
            loaded.config,
            _recorder(loaded.config, real, folder, sinks or Sinks()),
            live=live,
            store=kept,
            clock=real,
            broker=connected.build,
            shadow=connected.shadow,
        )
        host = HostSession(session, loaded.config, shadow=connected.shadow)
        try:
            async with _running(session, host):
                yield host
        finally:
            if folder is not None:
                _keep(folder, session)


@asynccontextmanager
async def _running(session: RealTimeSession, host: HostSession) -> AsyncIterator[None]:
    """Run the actors apart from the host's scopes; the host's own error leaves as itself."""
    opened, leaving = anyio.Event(), anyio.Event()
    failed: Exception | None = None

    async def run() -> None:
        with anyio.CancelScope(shield=True):
            try:
                async with session:
                    opened.set()
                    await leaving.wait()
            finally:
                session.halt()  # whatever broke the tasks, nobody waits for them any more

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        try:
            await opened.wait()
            await host.begun()
            yield
        except Exception as error:  # noqa: BLE001 - the host's: raised again outside the group
            failed = error
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    await host.close(_why(failed))
            finally:
                leaving.set()
    if failed is not None:
        raise failed


def _why(failed: Exception | None) -> str:
    return "the host left" if failed is None else f"the host left with {type(failed).__name__}"


def _loaded(config: SessionConfig | dict[str, Any] | Path | str) -> LoadedConfig:
    if isinstance(config, SessionConfig):
        return LoadedConfig(config)
    if isinstance(config, dict):
        return LoadedConfig(config_from_tree(config, "config"))
    return load_config(Path(config))


@contextmanager
def _store(store: Store | Path | str | None, config: SessionConfig) -> Iterator[Store | None]:
    """Own the store for the length of the session, where it is a file; a damaged one rejects the session."""
    if store is None and config.store.path is not None:
        store = config.store.path
    if not isinstance(store, Path | str):
        yield store
        return
    try:
        opened = SqliteStore(Path(store), owner=f"interlock session {config.run_id}", ttl_s=config.store.ttl_s)
    except StoreDamaged as error:
        yield DamagedStore(error)
        return
    with opened:
        yield opened


def _folder(out: Path, config: SessionConfig, sinks: Sinks | None) -> RunFolder:
    if sinks is not None:
        raise BadInput("sinks", "stand beside a run folder", "one of out= and sinks=")
    return RunFolder(out, config.run_id)


def _recorder(config: SessionConfig, clock: RealClock, folder: RunFolder | None, sinks: Sinks) -> RunRecorder:
    if folder is not None:
        sinks = Sinks(*(folder.file(name) for name in _FILES))

    def sink(name: str, target: object | None) -> Sink:
        # A failing sink is tried again at once: in a loop that others live in, nothing may sleep.
        return Sink(
            name,
            target,
            max_retries=config.sinks.max_retries,
            sleep=lambda _: None,
            on_retry=retried,
            batch=_BATCH_LINES,
        )

    def retried(name: str, attempt: int, error: BaseException) -> None:
        recorder.retried(name, attempt, error)

    run = RunSinks(
        sink("events", sinks.events),
        sink("states", sinks.states),
        sink("metrics", sinks.metrics),
        sink("audit", sinks.audit),
    )
    section = config.session
    log = session_logger(config.run_id, section.session_id)
    recorder = RunRecorder(config.run_id, section.strategy_id, run, start_ns=clock.now_ns(), log=log)
    if folder is not None:
        recorder.alert_sinks = local_sinks(config, lambda: folder.file(ALERTS))
    return recorder


_FILES: Final = ("events.jsonl", "state_snapshots.jsonl", "metrics.json", "audit.jsonl")


def _keep(folder: RunFolder, session: RealTimeSession) -> None:
    """Give the run folder its name, with the last reconcile's report in it, whatever ended the session."""
    report = session.orchestrator.watch.last_report
    folder.write("reconcile-report.json", canonical_json(redact(msgspec.to_builtins(report))) + b"\n")
    folder.keep()
