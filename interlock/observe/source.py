"""Where views come from: a live session, or the folder of a run that has ended.

``Source`` is the one port that faces (the command line, a web app) are built on. It only reads: nothing that is asked
here changes a session, takes a step, or writes a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from interlock.observe.folder_source import FolderSource
from interlock.observe.session_source import SessionSource
from interlock.observe.views import Health, Readiness, Status
from interlock.sessions import Session

__all__ = ["Source", "source_of"]


class Source(Protocol):
    """One session, as it is at the moment of asking. Everything is redacted."""

    def health(self) -> Health:
        """Return whether the session is well."""
        ...

    def ready(self) -> Readiness:
        """Return whether it takes intents now."""
        ...

    def status(self) -> Status:
        """Return what an operator has to know."""
        ...

    def metrics(self, *, openmetrics: bool = False) -> bytes:
        """Return the metrics in the text format of Prometheus, or in that of OpenMetrics."""
        ...


def source_of(what: Session | Path) -> Source:
    """Return the source of a live session, or of a run folder.

    Raises:
        BadInput: the folder is not that of a whole run, or what it holds of its end was changed.
    """
    return FolderSource(what) if isinstance(what, Path) else SessionSource(what)
