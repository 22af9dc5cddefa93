"""Where the command line talks: results to standard output, complaints to standard error, progress to a terminal.

What is shown is rendered to text first and written in one go, so that a reader that went away (``| head -1``) is
met in one place, quietly, and a full disk behind standard output is an error like any other. Colours and bars are
for terminals alone; characters that the locale cannot show are escaped.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from interlock.dryrun import Progress as Tell
from interlock.runtime.redaction import scrub
from interlock.runtime.telemetry import LOGGER_NAME

__all__ = ["complain", "logging_to_stderr", "progress_bar", "say", "show"]

_LINE_CHARS_MAX = 2000
_BAR_STEPS = 1000


def say(text: str) -> None:
    """Write one text and a newline to standard output."""
    _write(text + "\n")


def show(content: RenderableType) -> None:
    """Write something made by rich to standard output, as wide as the terminal, or 80 columns."""
    if sys.stdout is None:
        return
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(content)
    _write(captured.get())


def complain(text: str) -> None:
    """Write one line to standard error: scrubbed, and nothing in it that a terminal would obey."""
    line = "".join(char if char.isprintable() else " " for char in scrub(" ".join(text.split())))
    if sys.stderr is not None:
        with suppress(OSError):  # nowhere is left to complain about complaints
            sys.stderr.write(_shown(f"interlock: {line[:_LINE_CHARS_MAX]}\n", sys.stderr.encoding))
            sys.stderr.flush()


@contextmanager
def progress_bar(title: str, *, wanted: bool) -> Iterator[Tell | None]:
    """Show a bar while the block runs, if it is wanted and there is a terminal to show it on."""
    if not wanted or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[steps]:,} steps"))
    # Drawn only when told to: a thread of its own would go on drawing into what comes next.
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True, auto_refresh=False
    ) as bar:
        task = bar.add_task(title, total=1.0, steps=0)
        shown = -1

        def tell(fraction: float, steps: int) -> None:
            nonlocal shown
            if int(fraction * _BAR_STEPS) != shown:
                shown = int(fraction * _BAR_STEPS)
                bar.update(task, completed=fraction, steps=steps, refresh=True)

        yield tell


@contextmanager
def logging_to_stderr(*, wanted: bool) -> Iterator[None]:
    """Send the library's warnings to standard error, or nowhere."""
    handler = logging.StreamHandler(sys.stderr) if wanted and sys.stderr is not None else logging.NullHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger(LOGGER_NAME)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _write(text: str) -> None:
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(_shown(text, sys.stdout.encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has what it wanted. What is still buffered must not be complained about at exit either.
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def _shown(text: str, encoding: str | None) -> str:
    """Return the text with characters that the stream cannot carry escaped."""
    name = encoding or "ascii"
    return text.encode(name, "backslashreplace").decode(name)
