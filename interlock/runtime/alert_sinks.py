"""Where alerts go: the log and a file of JSON lines by default (ALT-2); webhooks are in ``runtime/webhooks.py``.

A sink takes one note at a time and says with a typed error when it did not. Those that block, on a disk or in a host's
log handler, are called directly on virtual time, where waiting costs nothing, and in a thread of their own in a host's
loop, so that nobody waits for them. A note is delivered at least once.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import anyio
import structlog
from anyio import to_thread

from interlock.domain.alert_notes import AlertNote
from interlock.domain.alerts import AlertSeverity
from interlock.domain.errors import AlertNotTaken, StorageError
from interlock.domain.ids import canonical_json
from interlock.runtime.actor import Context
from interlock.runtime.redaction import redact_exception
from interlock.runtime.sinks import SINK_ERRORS

__all__ = ["AlertSink", "BlockingSink", "FileSink", "InThread", "LogSink", "TakesBytes", "appending", "off_loop"]

_LEVELS: Final = {
    AlertSeverity.WARNING: logging.WARNING,
    AlertSeverity.ERROR: logging.ERROR,
    AlertSeverity.CRITICAL: logging.CRITICAL,
}
_FAILURES: Final[tuple[type[Exception], ...]] = (*SINK_ERRORS, StorageError)


class AlertSink(Protocol):
    """One place that alerts are told to."""

    name: str
    """Short and without secrets: it stands in counters and audit records."""
    opens_sockets: bool
    timeout_s: float
    """How long one attempt may take."""

    async def deliver(self, note: AlertNote, ctx: Context) -> None:
        """Take one note.

        Raises:
            AlertNotTaken: not now; worth repeating.
            AlertRefused: never.
        """


class BlockingSink(ABC):
    """A sink that writes at once."""

    opens_sockets: bool = False

    def __init__(self, name: str, timeout_s: float = 5.0) -> None:
        self.name = name
        self.timeout_s = timeout_s

    async def deliver(self, note: AlertNote, ctx: Context) -> None:  # noqa: ARG002 - what writes at once asks nothing
        """Write the note."""
        self.write(note)

    def write(self, note: AlertNote) -> None:
        """Write the note; raises ``AlertNotTaken`` where that failed."""
        try:
            self.put(note)
        except _FAILURES as error:
            raise AlertNotTaken(redact_exception(error)) from error

    @abstractmethod
    def put(self, note: AlertNote) -> None:
        """Write the note; may raise what failing sinks raise."""


class LogSink(BlockingSink):
    """A structlog line for each alert; the host decides who sees it."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        super().__init__("log")
        self._log = log

    def put(self, note: AlertNote) -> None:
        """Write one line at the level of the alert's severity."""
        told = {"decision_id": note.decision_id, "reconcile_id": note.reconcile_id, "run_id": note.run_id}
        fields: dict[str, object] = {name: value for name, value in told.items() if value}
        fields |= {"alert_ts": note.ts_utc, "repeats": note.repeats, "held_back": note.held_back}
        fields |= {f"count_{name}": value for name, value in note.counts.items()}
        fields |= {f"about_{name}": value for name, value in note.about.items()}
        self._log.log(_LEVELS[note.severity], str(note.alert), actor="alerts", detail=note.text, **fields)


class TakesBytes(Protocol):
    """A file, as far as a sink needs one: each write is whole or raises."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""


class FileSink(BlockingSink):
    """A line of JSON for each alert. The file is made with the first one."""

    def __init__(self, make: Callable[[], TakesBytes]) -> None:
        super().__init__("file")
        self._make = make
        self._file: TakesBytes | None = None

    def put(self, note: AlertNote) -> None:
        """Write one line."""
        if self._file is None:
            self._file = self._make()
        self._file.write(canonical_json(note) + b"\n")


class _Appended:
    """Opens its file for each line, so that it can be rotated, and holds nothing open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, data: bytes, /) -> None:
        with self._path.open("ab") as file:
            file.write(data)


def appending(path: Path) -> Callable[[], TakesBytes]:
    """Return what makes a ``FileSink`` append to ``path``."""
    return lambda: _Appended(path)


class InThread:
    """A blocking sink for a host's loop: at most one write at a time, in a thread.

    A write that outlives its time-out is left behind in its thread; until it ends, further attempts wait for it, and
    time out as well.
    """

    opens_sockets = False

    def __init__(self, sink: BlockingSink) -> None:
        self.name = sink.name
        self.timeout_s = sink.timeout_s
        self._sink = sink
        self._one = anyio.CapacityLimiter(1)

    async def deliver(self, note: AlertNote, ctx: Context) -> None:  # noqa: ARG002 - the deadline is the caller's
        """Have the note written."""
        await to_thread.run_sync(self._sink.write, note, abandon_on_cancel=True, limiter=self._one)


def off_loop(sink: AlertSink) -> AlertSink:
    """Return the sink as it may be used in a host's loop."""
    return InThread(sink) if isinstance(sink, BlockingSink) else sink
