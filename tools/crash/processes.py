"""Processes of the harness: forked from a parent that has everything loaded, so that one costs a few milliseconds."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from typing import IO, Final

import msgspec

from tools.crash.life import Life, Report, live

__all__ = ["KILLED", "forked", "lived"]

KILLED: Final = -signal.SIGKILL


def lived(life: Life) -> tuple[Report | None, int]:
    """Let a child live; return what it said, if it came to that, and its exit code (``KILLED``: by its own hand)."""

    def work(out: IO[bytes]) -> None:
        out.write(msgspec.json.encode(live(life)))

    pid, stream = forked(work)
    with stream:
        said = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return (None if code else msgspec.json.decode(said, type=Report)), code


def forked(work: Callable[[IO[bytes]], None]) -> tuple[int, IO[bytes]]:
    """Do some work in a forked process and return its pid and what it says."""
    inlet, outlet = os.pipe()
    pid = os.fork()
    if pid:
        os.close(outlet)
        return pid, os.fdopen(inlet, "rb")
    code = 1
    try:
        os.close(inlet)
        with os.fdopen(outlet, "wb") as out:
            work(out)
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)
