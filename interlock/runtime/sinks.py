"""Writes lines into what a host gave us: a list, a file, or nothing (ORC-7), with bounded retries (ORC-8).

A sink is foreign code, so this is a door: what it raises is caught here, tried again after a pause on the
injected sleep, and, when that was of no use, turned into ``SinkBroken``. The first attempt is a direct call;
tenacity is entered only after it failed.

A line is delivered *at least once*. A sink that took half a line and then raised cannot be asked to give it
back: it gets the whole line again, and the broken half stays in front of it for every reader to see.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import msgspec
from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type, wait_exponential

from interlock.domain.errors import BadInput, SinkBroken
from interlock.runtime.redaction import redact_exception

__all__ = ["RETRY_PAUSE_MAX_S", "RETRY_PAUSE_MIN_S", "SINK_ERRORS", "Sink"]

SINK_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # the disk, a pipe, a socket
    ValueError,  # a closed file says so with this one; encodings too
    RuntimeError,
    LookupError,
    TypeError,  # the next two: a duck that is no file after all
    AttributeError,
)
"""What a failing sink is expected to raise. A host whose sinks raise errors of their own passes those as well."""

RETRY_PAUSE_MIN_S = 0.05
"""The pause before the first retry; it doubles from one retry to the next."""
RETRY_PAUSE_MAX_S = 2.0


Deliver = Callable[[bytes], object]
OnRetry = Callable[[str, int, BaseException], None]


class Sink:
    """One sink and its retries.

    ``target`` is list-like (``append`` gets each record as a dict), file-like (``write`` gets text, or bytes if
    the file is binary) or None, which drops every line. ``batch`` lines are joined into one write; lists take
    their records one by one at once, whatever it says. The owner of a file closes it.

    ``on_retry(name, retry, error)`` is called before each pause, ``retry`` counting from 1. It may write into
    this very sink (an audit log that tells of its own trouble): such lines wait for the one that is being tried,
    so that no line overtakes another, and their own retries are only counted.

    Raises:
        BadInput: the target is none of these, or a number makes no sense.
    """

    __slots__ = (
        "_batch",
        "_buffer",
        "_deliver",
        "_errors",
        "_flush_target",
        "_max_retries",
        "_on_retry",
        "_sleep",
        "_trying",
        "_waiting",
        "broken",
        "dropped",
        "name",
        "retries",
        "written",
    )

    def __init__(
        self,
        name: str,
        target: object | None,
        *,
        max_retries: int,
        sleep: Callable[[float], None],
        on_retry: OnRetry | None = None,
        batch: int = 1,
        errors: tuple[type[Exception], ...] = SINK_ERRORS,
    ) -> None:
        if max_retries < 0:
            raise BadInput("max_sink_retries", f"is {max_retries}", "0 or more")
        if batch < 1:
            raise BadInput(f"batch of {name}", f"is {batch}", "1 or more")
        self.name = name
        self.broken = False
        """True once all retries failed; from then on every line is dropped."""
        self.written = 0
        """Lines delivered."""
        self.retries = 0
        """Attempts after a failed one, over all lines."""
        self.dropped = 0
        """Lines lost because the sink broke, or given to no sink at all."""
        self._max_retries = max_retries
        self._sleep = sleep
        self._on_retry = on_retry
        self._errors = errors
        # Half a batch in a list could be told from no batch at all only by looking; one by one needs no looking.
        self._batch = 1 if hasattr(target, "append") else batch
        self._buffer: list[bytes] = []
        self._waiting: list[bytes] = []
        self._trying = False
        self._deliver, self._flush_target = _open(name, target)

    def write(self, line: bytes) -> None:
        """Deliver one line of JSON (without its newline), now or with its batch.

        Raises:
            SinkBroken: all retries failed; this line and those that went with it are counted as dropped.
        """
        if self.broken or self._deliver is None:
            self.dropped += 1
        elif self._trying:
            self._waiting.append(line)
        elif self._batch == 1:
            self._put(self._deliver, line, 1)
        else:
            self._buffer.append(line)
            if len(self._buffer) >= self._batch:
                self._put_buffer(self._deliver)

    def flush(self) -> None:
        """Deliver what is left of a batch, then flush the file if it can be flushed.

        Raises:
            SinkBroken: as in ``write``.
        """
        if self.broken or self._trying or self._deliver is None:
            return
        if self._buffer:
            self._put_buffer(self._deliver)
        if self._flush_target is not None:
            try:
                self._flush_target()
            except self._errors as error:
                self._try_again(self._flush_target, error, 0)

    def _put_buffer(self, deliver: Deliver) -> None:
        lines, self._buffer = self._buffer, []
        self._put(deliver, b"\n".join(lines), len(lines))

    def _put(self, deliver: Deliver, data: bytes, lines: int) -> None:
        try:
            deliver(data)
        except self._errors as error:
            self._try_again(partial(deliver, data), error, lines)
        else:
            self.written += lines

    def _try_again(self, call: Callable[[], object], error: Exception, lines: int) -> None:
        """Repeat the call for ``lines`` lines that failed with ``error``, then deliver what came in meanwhile."""
        self._trying = True
        done = False
        try:
            self._repeat(call, error, self._on_retry)
            self.written += lines
            lines = 0
            self._deliver_waiting()
            done = True
        except RetryError as failed:
            last = failed.last_attempt.exception() or failed
            attempts = self._max_retries + 1
            raise SinkBroken(f"sink {self.name}: {attempts} attempts failed: {redact_exception(last)}") from last
        finally:
            self._trying = False
            if not done:
                self.broken = True
                self.dropped += lines + len(self._waiting) + len(self._buffer)
                self._waiting, self._buffer = [], []

    def _deliver_waiting(self) -> None:
        while self._waiting and self._deliver is not None:
            line = self._waiting[0]
            try:
                self._deliver(line)
            except self._errors as error:
                # Not told: telling would make one more line to deliver, and with a flaky sink one more for ever.
                self._repeat(partial(self._deliver, line), error, None)
            del self._waiting[0]
            self.written += 1

    def _repeat(self, call: Callable[[], object], error: Exception, tell: OnRetry | None) -> None:
        """Repeat a call that failed with ``error``; raise RetryError when no attempt is left."""
        failed_already: list[Exception] = [error]

        def attempt() -> None:
            # The first attempt was made before tenacity was asked; it is handed its outcome.
            if failed_already:
                raise failed_already.pop()
            call()

        def before_sleep(state: RetryCallState) -> None:
            self.retries += 1
            last = state.outcome.exception() if state.outcome else None
            if tell is not None and last is not None:
                tell(self.name, state.attempt_number, last)

        # tenacity's own limits in seconds count wall time, so the only limit is the number of attempts.
        Retrying(
            sleep=self._sleep,
            stop=lambda state: state.attempt_number > self._max_retries,
            wait=wait_exponential(multiplier=RETRY_PAUSE_MIN_S, max=RETRY_PAUSE_MAX_S),
            retry=retry_if_exception_type(self._errors),
            before_sleep=before_sleep,
        )(attempt)


def _open(name: str, target: object | None) -> tuple[Deliver | None, Callable[[], object] | None]:
    """Return how to deliver lines to ``target`` (joined by newlines, one line if it is a list) and how to flush it."""
    if target is None:
        return None, None
    append, write = getattr(target, "append", None), getattr(target, "write", None)
    if callable(append):
        return lambda data: append(msgspec.json.decode(data)), None
    if not callable(write) or isinstance(target, io.RawIOBase):
        kind = "a raw, unbuffered file" if callable(write) else f"a {type(target).__name__}"
        raise BadInput(f"sink {name}", f"is {kind}", "a list, a text file, a buffered binary file, None")
    flush = getattr(target, "flush", None)
    mode = getattr(target, "mode", None)
    if isinstance(target, io.BufferedIOBase) or (isinstance(mode, str) and "b" in mode):
        return lambda data: write(data + b"\n"), flush if callable(flush) else None
    return lambda data: write(data.decode() + "\n"), flush if callable(flush) else None
