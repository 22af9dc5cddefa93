"""The recorder: everything actors say, made into the artifacts of a run (ART-1 to ART-4).

Events get their stable id, audit records their place in the hash chain, both are redacted on the way. A sink that
stays broken after its retries does not stop anything here: the recorder says so once, to whoever asked to be told,
and drops what that sink can no longer take.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import ClassVar, Final, Protocol

import msgspec
import structlog

from interlock.domain.errors import SinkBroken, StorageError
from interlock.domain.ids import canonical_json
from interlock.domain.instants import rfc3339
from interlock.runtime.actor import AuditLevel
from interlock.runtime.alert_sinks import AlertSink
from interlock.runtime.audit import AuditChain
from interlock.runtime.redaction import redact, redact_flat, scrub
from interlock.runtime.sinks import Sink

__all__ = ["EVENT_SCHEMA", "METRICS_SCHEMA", "STATE_SCHEMA", "AuditKeeper", "RunRecorder", "RunSinks"]

EVENT_SCHEMA = "C2_DRYRUN_V1"
METRICS_SCHEMA = "C2_DRYRUN_METRICS_V1"
STATE_SCHEMA = "SessionStateSnapshot/1"

_ID_LENGTH = 32
_HELD_MAX: Final = 256
"""Audit lines that wait for a change; more are made durable on their own."""
_LOG_LEVELS = {"INFO": 20, "WARN": 30, "ERROR": 40, "CRITICAL": 50}


class _EventBody(msgspec.Struct):
    """An event before it has its id; ``event_id`` sorts first, so it can be put in front of the encoded rest."""

    actor: str
    event_type: str
    payload: dict[str, object]
    run_id: str
    schema: str
    seq: int
    strategy_id: str
    ts_sim: int
    ts_utc: str


class RunSinks(msgspec.Struct, frozen=True):
    """The four sinks of a run."""

    events: Sink
    states: Sink
    metrics: Sink
    audit: Sink

    def all(self) -> tuple[Sink, ...]:
        """Return them, the audit last, so that it can still tell of the others."""
        return (self.events, self.states, self.metrics, self.audit)


class AuditKeeper(Protocol):
    """What makes audit lines durable, together with the changes that they tell: the store."""

    outlives: bool
    on_commit: Callable[[], None]

    @property
    def taking(self) -> bool:
        """Whether a change is being taken right now: until it is, nothing may be committed."""
        ...

    def note(self, line: bytes) -> None:
        """Keep a line with the change that is taken next, or with the commit."""

    def commit(self) -> None:
        """Make it durable; raises StorageError."""


def _nothing() -> None:
    """Do nothing."""


class RunRecorder:
    """Writes the artifacts of one run. ``wall`` turns session time into the time that records carry."""

    wants_metrics: ClassVar[bool] = True
    """Whether it does anything with metrics, so that they are worth making."""

    def __init__(
        self,
        run_id: str,
        strategy_id: str,
        sinks: RunSinks,
        wall: Callable[[int], int] = lambda now_ns: now_ns,
        start_ns: int = 0,
        log: structlog.typing.FilteringBoundLogger | None = None,
    ) -> None:
        self.run_id = scrub(run_id)
        self.strategy_id = scrub(strategy_id)
        self.chain = AuditChain()
        self.counters: dict[str, int] = {}
        self.events = 0
        self.sink_retries = 0
        self.on_broken: Callable[[str, str], None] | None = None
        self.on_event: Callable[[int, str, Mapping[str, object]], None] | None = None
        """Shown each event as it is made, with its time, redacted; it changes nothing and must not raise."""
        self.alert_sinks: tuple[AlertSink, ...] | None = None
        """Where alerts are told; None: where sessions of their kind tell them by default."""
        self.later: Callable[[Callable[[], None]], object] | None = None
        """How a host's loop does something after what it is at; None: lines are made at once (see ``event``)."""
        self._sinks = sinks
        self._waiting: deque[Callable[[], None]] = deque()
        self._asked = False
        """Whether a catching up was asked for that has not come yet."""
        self._keeper: AuditKeeper | None = None
        self._holds = False
        self._held: list[bytes] = []
        self._durable: deque[bytes] = deque()
        self._wall = wall
        self._log = log
        self._start_ns = start_ns
        self._now_ns = start_ns
        self._stamp_ns = -1
        self._stamp = ""
        self._encode = msgspec.json.Encoder(order="sorted", decimal_format="string").encode

    def keep_with(self, keeper: AuditKeeper) -> None:
        """Let ``keeper`` have every audit line; of one that outlives the process the audit log is never ahead."""
        self._keeper = keeper
        self._holds = keeper.outlives
        keeper.on_commit = self._release if self._holds else _nothing

    def event(self, now_ns: int, actor: str, event_type: str, payload: Mapping[str, object]) -> None:
        """Write one event; its id is the hash of everything else in it.

        In a host's loop the line is made right after what the loop is at, so that no order on its way waits for it. So
        are audit records, but for those of a session whose store is to hold them.
        """
        self._now_ns = now_ns
        if self.later is None:
            if self._waiting:
                self.catch_up()
            self._event(now_ns, actor, event_type, payload)
        else:
            self._put(partial(self._event, now_ns, actor, event_type, dict(payload)), self.later)

    def _event(self, now_ns: int, actor: str, event_type: str, payload: Mapping[str, object]) -> None:
        self.events += 1
        clean = redact_flat(payload)
        if self.on_event is not None:
            self.on_event(self._wall(now_ns), event_type, clean)
        body = self._encode(
            _EventBody(
                actor,
                event_type,
                clean,
                self.run_id,
                EVENT_SCHEMA,
                self.events,
                self.strategy_id,
                now_ns - self._start_ns,
                self._time(now_ns),
            )
        )
        event_id = hashlib.sha256(body).hexdigest()[:_ID_LENGTH]
        at = body.index(b',"event_type"') + 1
        self._write(self._sinks.events, body[:at] + b'"event_id":"' + event_id.encode() + b'",' + body[at:])

    def audit(
        self, now_ns: int, actor: str, code: str, message: str, meta: Mapping[str, object], level: AuditLevel
    ) -> None:
        """Write one audit record; what is more than information goes to the log as well, at once."""
        self._now_ns = now_ns
        if self.later is None or self._holds:
            if self._waiting and not self._holds:
                self.catch_up()
            self._audit(now_ns, code, message, meta, level)
        else:
            self._put(partial(self._audit, now_ns, code, message, dict(meta), level), self.later)
        if level != "INFO" and self._log is not None:
            self._log.log(
                _LOG_LEVELS[level], code, actor=actor, detail=message, **{f"meta_{k}": v for k, v in meta.items()}
            )

    def _put(self, line: Callable[[], None], later: Callable[[Callable[[], None]], object]) -> None:
        self._waiting.append(line)
        if not self._asked:
            self._asked = True
            later(self.catch_up)

    def catch_up(self) -> None:
        """Make every line that waits, in order; one that cannot be made is left out, and its error raised."""
        self._asked = False
        try:
            while self._waiting:
                self._waiting.popleft()()
        finally:
            if self._waiting and self.later is not None:  # what stood behind one that could not be made
                self._asked = True
                self.later(self.catch_up)

    def _audit(self, now_ns: int, code: str, message: str, meta: Mapping[str, object], level: AuditLevel) -> None:
        line = self.chain.append(ts=self._time(now_ns), code=code, message=message, meta=dict(meta), level=level)
        if self._keeper is not None:
            self._keeper.note(line + b"\n")
        if self._holds:
            self._held.append(line)
            # The line of a change that is being taken waits for it: a commit now would tear the two apart.
            if len(self._held) >= _HELD_MAX and self._keeper is not None and not self._keeper.taking:
                self._settle()
        else:
            self._write(self._sinks.audit, line)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        counters = self.counters
        counters[name] = counters.get(name, 0) + by

    def state(self, now_ns: int, view: Mapping[str, object]) -> None:
        """Write one snapshot of the session's state."""
        stamp = {
            "run_id": self.run_id,
            "schema": STATE_SCHEMA,
            "strategy_id": self.strategy_id,
            "ts_sim": now_ns - self._start_ns,
            "ts_utc": self._time(now_ns),
        }
        self._write(self._sinks.states, canonical_json(redact({**view, **stamp})))

    def metrics(self, figures: Mapping[str, object]) -> None:
        """Write the metrics snapshot, with the audit's length and head as its anchor: the last thing a run does."""
        self._write(self._sinks.metrics, canonical_json(redact({**figures, **self.own_figures()})))

    def own_figures(self) -> dict[str, object]:
        """Return what the recorder itself adds to the metrics."""
        return {
            "schema": METRICS_SCHEMA,
            "run_id": self.run_id,
            "events_emitted": self.events,
            "sink_retries": self.sink_retries,
            "audit_events": self.chain.count,
            "audit_head": self.chain.head,
        }

    def _release(self) -> None:
        """Write the audit lines that are durable now."""
        self._durable.extend(self._held)
        self._held.clear()
        while self._durable:  # a sink that fails on the way says so, and may come by here again: nobody overtakes
            self._write(self._sinks.audit, self._durable.popleft())

    def _settle(self) -> None:
        """Write every audit line, durable or not: what a store refuses has to be read somewhere."""
        if self._keeper is not None and self._held:
            with suppress(StorageError):  # said by whoever wrote to the store; here only the lines must come out
                self._keeper.commit()
            self._release()

    def probe(self) -> str:
        """Write and flush an audit record; return what went wrong, or ""."""
        self.catch_up()
        self.audit(self._now_ns, "recorder", "AUDIT_SINK_PROBE", "the audit sink takes records", {}, "INFO")
        self.catch_up()
        self._settle()
        self._flush(self._sinks.audit)
        return "the audit sink cannot be written" if self._sinks.audit.broken else ""

    def flush(self) -> None:
        """Hand everything that is buffered to the sinks."""
        self.catch_up()
        self._settle()
        for sink in self._sinks.all():
            self._flush(sink)

    def broken(self) -> tuple[str, ...]:
        """Return the names of the sinks that gave up."""
        return tuple(sink.name for sink in self._sinks.all() if sink.broken)

    def retried(self, sink: str, attempt: int, error: BaseException) -> None:
        """Take note that a sink is tried again; the sinks call this."""
        self.sink_retries += 1
        text = f"sink {sink}: attempt {attempt} failed, trying again"
        self.audit(
            self._now_ns, "recorder", "C2_SINK_WRITE_RETRY", text, {"sink": sink, "error": scrub(str(error))}, "WARN"
        )

    def _write(self, sink: Sink, line: bytes) -> None:
        try:
            sink.write(line)
        except SinkBroken as error:
            self._gave_up(sink, error)

    def _flush(self, sink: Sink) -> None:
        try:
            sink.flush()
        except SinkBroken as error:
            self._gave_up(sink, error)

    def _gave_up(self, sink: Sink, error: SinkBroken) -> None:
        text = scrub(str(error))
        self.audit(self._now_ns, "recorder", "C2_SINK_WRITE_FAILED", text, {"sink": sink.name}, "ERROR")
        if self.on_broken is not None:
            self.on_broken(sink.name, text)

    def _time(self, now_ns: int) -> str:
        if now_ns != self._stamp_ns:
            self._stamp_ns = now_ns
            self._stamp = rfc3339(self._wall(now_ns))
        return self._stamp
