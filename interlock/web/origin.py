"""Where answers come from: a session in this event loop, or the folder of a run.

*A session* is read between two steps of its actors, in one go and without an await, so that a view is of one moment
and nobody needs a lock. The app has to run in the event loop of its session.

*A folder* is read in threads, and an answer is kept until a file of the folder changes.
"""

from __future__ import annotations

from decimal import localcontext
from pathlib import Path
from typing import Final, Protocol

from anyio import CapacityLimiter, to_thread

from interlock.domain.money import ARITHMETIC
from interlock.observe import Source, source_of
from interlock.runtime.run_folder import ALERTS, ARTIFACTS
from interlock.web.answers import Answer, problem
from interlock.web.pages import PAGES, Page, Sight

__all__ = ["FolderOrigin", "LiveOrigin", "Origin"]

_UNAVAILABLE: Final = 503

Marks = tuple[tuple[int, int, int] | None, ...]
"""For the folder and each of its files: which it is, when it was written, and how long it is; None: not there."""


class Origin(Protocol):
    """Answers pages."""

    async def answer(self, page: Page, *, openmetrics: bool) -> Answer:
        """Return the answer of one page, within its size."""
        ...


class LiveOrigin:
    """A session, or any source that is cheap to ask."""

    def __init__(self, source: Source) -> None:
        self._sight = Sight(source)

    async def answer(self, page: Page, *, openmetrics: bool) -> Answer:
        """Return the answer of one page; there is no await in here."""
        return _rendered(page, self._sight, openmetrics=openmetrics)


class FolderOrigin:
    """The folder of a run.

    Raises:
        BadInput: it is not that of a whole run; when made, and when asked after it has changed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = (self._look(), Sight(source_of(folder), folder))
        self._kept: dict[tuple[str, bool], tuple[Marks, Answer]] = {}
        # Each page for itself: a report takes its time, and health is asked for meanwhile.
        self._turns = {page.path: CapacityLimiter(1) for page in PAGES}

    async def answer(self, page: Page, *, openmetrics: bool) -> Answer:
        """Return the answer of one page, read anew where the folder has changed."""

        def read() -> Answer:
            return self._read(page, openmetrics=openmetrics)

        return await to_thread.run_sync(read, limiter=self._turns[page.path])

    def _read(self, page: Page, *, openmetrics: bool) -> Answer:
        # Several threads may be here: what they share is replaced whole, and says which folder it is of.
        marks, asked = self._look(), (page.path, openmetrics)
        seen, answer = self._kept.get(asked, (None, None))
        if seen == marks and answer is not None:
            return answer
        known, sight = self._known
        if known != marks:
            sight = Sight(source_of(self._folder), self._folder)
            self._known = (marks, sight)
        answer = _rendered(page, sight, openmetrics=openmetrics)
        if self._look() != marks:
            return problem(_UNAVAILABLE, "changing", "the folder is being replaced; ask again")
        self._kept[asked] = (marks, answer)
        return answer

    def _look(self) -> Marks:
        return tuple(_mark(self._folder / name) for name in (".", *ARTIFACTS, ALERTS))


def _rendered(page: Page, sight: Sight, *, openmetrics: bool) -> Answer:
    # A host may have set its thread to any precision.
    with localcontext(ARITHMETIC):
        return page.render(sight, openmetrics).within(page.bytes_max)


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
