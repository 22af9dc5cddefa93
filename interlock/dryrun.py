"""One dry run from a config to its folder of artifacts, and the replay of such a folder (OBS-8, ART-1, ART-6).

``run_dryrun_config`` wires recorder, sinks and session to a run folder and drives the session to its end;
``replay_run`` takes the folder of a run, runs it again from its manifest into a folder that is thrown away, and says
where the two part. Nothing in a folder depends on the machine, the time of day or where the folder is.
"""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

import msgspec

from interlock.config.alert_sinks import local_sinks, refuse_sockets
from interlock.config.load import LoadedConfig, config_from_tree
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.errors import BadInput, StorageError, StoreDamaged
from interlock.domain.findings import Finding
from interlock.domain.ids import canonical_json, sha256_hex
from interlock.domain.instants import NS_PER_S, to_ns
from interlock.domain.session_states import SessionStatus
from interlock.mocks.faults import STORE_FAULTS
from interlock.mocks.recording import Recording, load_recording
from interlock.observe.snapshots import publish_snapshots, write_snapshots
from interlock.runtime.clock import VirtualClock
from interlock.runtime.damaged_store import DamagedStore
from interlock.runtime.recorder import RunRecorder, RunSinks
from interlock.runtime.redaction import redact, scrub
from interlock.runtime.run_difference import Difference, first_difference
from interlock.runtime.run_folder import (
    ALERTS,
    RUN_SCHEMA,
    VERSION,
    RecordingRef,
    RunFolder,
    RunManifest,
    read_manifest,
)
from interlock.runtime.schedule import Schedule, SeededSchedule, TapeSchedule
from interlock.runtime.sinks import Sink
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import Store
from interlock.runtime.telemetry import session_logger
from interlock.sessions import LiveRequest, SessionResult, SteppedSession

__all__ = ["DryrunOutcome", "Progress", "ReplayOutcome", "Witness", "replay_run", "run_dryrun_config"]

Progress = Callable[[float, int], None]
"""Told between steps: how far the run is (0 to 1) and how many steps it took. A KeyboardInterrupt from it stops."""


class Witness(Protocol):
    """Watches a run from beside it, step by step; must not change anything."""

    def begins(self, session: SteppedSession) -> None:
        """Take note of the session before its first step."""

    def stepped(self) -> None:
        """Look again: a step has run, or the session was finished."""


_EXIT_FINDINGS: Final = 2
_EXIT_INTERRUPTED: Final = 130
_CHUNK_STEPS: Final = 2_000
_STOP_STEPS_MAX: Final = 200_000
"""Steps that an interrupted session may take to stop in good order."""
_BATCH_LINES: Final = 256


class DryrunOutcome(msgspec.Struct, frozen=True):
    """How a run ended, where its folder is, and its metrics as the folder has them, redacted."""

    result: SessionResult
    folder: Path
    metrics: dict[str, Any]
    findings: tuple[Finding, ...]
    """What the last reconcile and the observed positions of a recording left as findings."""
    interrupted_at_step: int | None = None

    @property
    def exit_code(self) -> int:
        """Return 0 for a session that completed, 2 for one that did not, 130 for one that was interrupted."""
        if self.interrupted_at_step is not None:
            return _EXIT_INTERRUPTED
        return 0 if self.result.status == SessionStatus.COMPLETED else _EXIT_FINDINGS


class ReplayOutcome(msgspec.Struct, frozen=True):
    """Where a replay parts from its original (None: nowhere), and which release wrote the original."""

    difference: Difference | None
    package_version: str
    newer: bool
    steps: int

    @property
    def exit_code(self) -> int:
        """Return 0 for the same bytes, 2 for others."""
        return 0 if self.difference is None else _EXIT_FINDINGS


class _Plan(msgspec.Struct, frozen=True):
    """All that a run depends on."""

    config: SessionConfig
    live_enabled_by: tuple[str, ...]
    recording: Recording | None
    recording_file: str
    schedule: Schedule
    steps_max: int
    interrupt_at_step: int | None = None


def run_dryrun_config(
    loaded: LoadedConfig,
    *,
    out: Path,
    replace: bool = False,
    recording_path: Path | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
    schedule: Schedule | None = None,
    store_path: Path | None = None,
) -> DryrunOutcome:
    """Run one session of at most ``steps`` steps and keep its artifacts under ``out``.

    With ``store_path`` its keys, journal and kill switch outlive it; a replay begins with nothing, so it repeats a run
    whose store was new.

    An interrupt (Ctrl-C) lets the running step end, stops the session in good order and keeps the folder; a second
    one ends at once and keeps nothing.

    Raises:
        BadInput: the recording cannot be read, or is given together with a store that was used before; the run exists
            already, or its folder cannot be made.
        StoreRefused: the store cannot be opened, or is owned by somebody else. A damaged one rejects the session.
        StorageError: the disk refused to take an artifact; nothing is kept.
    """
    config = loaded.config
    refuse_sockets(config.alerts)
    if store_path is None and config.store.path is not None:
        store_path = Path(config.store.path)
    if store_path is not None and any(rule.fault in STORE_FAULTS for rule in config.broker.faults.rules):
        raise BadInput("broker.faults", "has faults of a store in memory", "none of those together with --store")
    if config.broker.kind == "recording" and recording_path is None:
        raise BadInput("broker.kind", "says recording, but there is none", "--recording FILE")
    if steps is not None and steps < 1:
        raise BadInput("steps", f"is {steps}", "1 or more")
    plan = _Plan(
        config=config,
        live_enabled_by=loaded.live_enabled_by,
        recording=None if recording_path is None else load_recording(recording_path),
        recording_file=scrub(str(recording_path or "")),
        schedule=schedule or SeededSchedule(config.session.seed, config.session.scheduler),
        steps_max=min(steps or config.session.max_steps, config.session.max_steps),
    )
    with _store(store_path, plan) as store, RunFolder(out, config.run_id, replace=replace) as folder:
        outcome = _run(plan, folder, progress, store)
    publish_snapshots(outcome.folder)
    return outcome


def replay_run(
    folder: Path,
    *,
    recording_path: Path | None = None,
    progress: Progress | None = None,
    witness: Witness | None = None,
) -> ReplayOutcome:
    """Run the run in ``folder`` again and compare the artifacts byte by byte; ``folder`` is only read.

    With a ``witness`` it is told of each step. Interrupted then, nothing is compared: KeyboardInterrupt.

    Raises:
        BadInput: the folder is not that of a whole run, or its recording is missing or another one.
        StorageError: there is no room for a second copy.
    """
    manifest = read_manifest(folder)
    where = str(folder / "run.json")
    config = config_from_tree(manifest.config, where)
    if config.run_id != manifest.run_id:
        raise BadInput(where, "was changed after the run: run id and config do not agree")
    plan = _Plan(
        config=config,
        live_enabled_by=manifest.live_enabled_by,
        recording=_recording_of(manifest, recording_path, where),
        recording_file="" if manifest.recording is None else manifest.recording.file,
        schedule=TapeSchedule(manifest.tape, manifest.scheduler),
        steps_max=manifest.steps_max,
        interrupt_at_step=manifest.interrupted_at_step,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="interlock-replay-") as scratch:
            with RunFolder(Path(scratch), manifest.run_id) as copy:
                outcome = _run(plan, copy, progress, witness=witness)
            if witness is not None and outcome.interrupted_at_step != plan.interrupt_at_step:
                raise KeyboardInterrupt
            difference = first_difference(folder, outcome.folder)
    except OSError as error:
        message = f"{error.filename or tempfile.gettempdir()}: no place for a replay: {error.strerror or error}"
        raise StorageError(message) from error
    return ReplayOutcome(difference, manifest.package_version, manifest.newer, outcome.result.steps)


def _recording_of(manifest: RunManifest, given: Path | None, where: str) -> Recording | None:
    wanted = manifest.recording
    if wanted is None:
        if given is not None:
            raise BadInput(str(given), "the run has no recording", "no --recording")
        return None
    path = given or Path(wanted.file)
    if not path.exists():
        raise BadInput(str(path), f"the recording named in {where} is not there", "--recording FILE")
    recording = load_recording(path)
    if recording.sha256 != wanted.sha256:
        raise BadInput(str(path), "is not the recording that was played: its SHA-256 differs", wanted.sha256)
    return recording


# -- one run ------------------------------------------------------------------------------------------------


@contextmanager
def _store(path: Path | None, plan: _Plan) -> Iterator[Store | None]:
    """Own the store of a run for its length; None for one that is kept in memory."""
    if path is None:
        yield None
        return
    try:
        store = SqliteStore(path, owner=f"interlock dryrun {plan.config.run_id}", ttl_s=plan.config.store.ttl_s)
    except StoreDamaged as error:
        yield DamagedStore(error)
        return
    with store:
        if plan.recording is not None and store.length():
            raise BadInput(str(path), "was used before, and a recording plays from its beginning", "a new store")
        yield store


def _run(
    plan: _Plan,
    folder: RunFolder,
    progress: Progress | None,
    store: Store | None = None,
    witness: Witness | None = None,
) -> DryrunOutcome:
    config = plan.config
    start_ns = Parts(config, plan.recording).start_ns
    if store is not None and store.length():  # simulated time goes on where an earlier session left it
        start_ns = max(start_ns, store.latest_ns() + NS_PER_S)
    clock = VirtualClock(start_ns)

    def sink(name: str, file: str) -> Sink:
        target, retries = folder.file(file), config.sinks.max_retries
        return Sink(name, target, max_retries=retries, sleep=clock.advance, on_retry=retried, batch=_BATCH_LINES)

    def retried(name: str, attempt: int, error: BaseException) -> None:
        recorder.retried(name, attempt, error)

    sinks = RunSinks(
        sink("events", "events.jsonl"),
        sink("states", "state_snapshots.jsonl"),
        sink("metrics", "metrics.json"),
        sink("audit", "audit.jsonl"),
    )
    log = session_logger(config.run_id, config.session.session_id)
    recorder = RunRecorder(config.run_id, config.session.strategy_id, sinks, start_ns=start_ns, log=log)
    recorder.alert_sinks = local_sinks(config, lambda: folder.file(ALERTS))
    live, schedule = LiveRequest(plan.live_enabled_by), plan.schedule
    with SteppedSession(
        config, recorder, clock=clock, schedule=schedule, recording=plan.recording, live=live, store=store
    ) as session:
        interrupted_at = _drive(session, plan, progress, witness)
        result = session.finish()
        if witness is not None:
            witness.stepped()
        findings = _findings(session)
        startup = session.orchestrator.startup
        write_snapshots(session, folder)
    if recorder.broken():
        folder.complain()
    # null where the broker was not asked, such as after a rejected config
    folder.write("reconcile-report.json", canonical_json(redact(msgspec.to_builtins(startup))) + b"\n")
    folder.write("run.json", canonical_json(_manifest(plan, interrupted_at)) + b"\n")
    kept = folder.keep()
    metrics = msgspec.json.decode((kept / "metrics.json").read_bytes(), type=dict[str, Any])
    return DryrunOutcome(result, kept, metrics, findings, interrupted_at)


def _drive(
    session: SteppedSession, plan: _Plan, progress: Progress | None, witness: Witness | None = None
) -> int | None:
    """Step the session to its end or limit; return the step at which it was interrupted, if it was."""
    system, limit = session.system, plan.steps_max
    interrupted_at: int | None = None
    fraction = _fraction(session, plan)
    if witness is not None:
        witness.begins(session)
    with _held_interrupts() as asked:
        while system.steps < limit:
            until = min(system.steps + (_CHUNK_STEPS if witness is None else 1), limit)
            if plan.interrupt_at_step is not None and interrupted_at is None:
                until = min(until, plan.interrupt_at_step)
            if session.run_n_steps(until - system.steps).reason != "limit":
                break
            if witness is not None:
                witness.stepped()
            told = _told(progress, fraction(limit), system.steps)
            if interrupted_at is None and (told or asked() or system.steps == plan.interrupt_at_step):
                interrupted_at = system.steps
                session.stop("interrupted")
                limit = min(limit, interrupted_at + _STOP_STEPS_MAX)
            elif told:
                raise KeyboardInterrupt
    return interrupted_at


def _told(progress: Progress | None, fraction: float, steps: int) -> bool:
    """Tell how far the run is; True where the answer is to stop."""
    try:
        if progress is not None:
            progress(fraction, steps)
    except KeyboardInterrupt:
        return True
    return False


def _fraction(session: SteppedSession, plan: _Plan) -> Callable[[int], float]:
    """Return how far the session is: in its time or in its steps, whichever is further."""
    clock, system, begin_ns = session.system.clock, session.system, session.start_ns
    if plan.recording is not None:
        length_ns = plan.recording.fills[-1].time_ns - begin_ns
    else:
        length_ns = to_ns(plan.config.session.duration_s)

    def fraction(limit: int) -> float:
        return min(1.0, max((clock.now_ns() - begin_ns) / max(length_ns, 1), system.steps / limit))

    return fraction


@contextmanager
def _held_interrupts() -> Iterator[Callable[[], bool]]:
    """Hold the first interrupt back, because a step that is torn apart leaves its actor busy for ever."""
    before = signal.getsignal(signal.SIGINT)
    asked = False

    def note(_: int, __: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    held = callable(before) and threading.current_thread() is threading.main_thread()
    if held:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        if held:
            signal.signal(signal.SIGINT, before)


def _findings(session: SteppedSession) -> tuple[Finding, ...]:
    last = session.orchestrator.watch.last_report
    return (*session.reconciler.observed, *(() if last is None else last.findings))


def _manifest(plan: _Plan, interrupted_at: int | None) -> RunManifest:
    config, recording = redact(plan.config.model_dump(mode="json")), plan.recording
    return RunManifest(
        config=config if isinstance(config, dict) else {},
        config_hash=sha256_hex(canonical_json(config)),
        interrupted_at_step=interrupted_at,
        live_enabled_by=plan.live_enabled_by,
        package_version=VERSION,
        recording=None if recording is None else RecordingRef(plan.recording_file, recording.sha256),
        run_id=plan.config.run_id,
        scheduler=plan.schedule.order,
        schema=RUN_SCHEMA,
        seed=plan.config.session.seed,
        steps_max=plan.steps_max,
        tape={scrub(label): choices for label, choices in plan.schedule.tape().items()},
    )
