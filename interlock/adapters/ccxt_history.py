"""The history of an account, read whole from an exchange that answers in pages.

Exchanges begin a page at its oldest or at its newest entry, count in seconds or milliseconds, and some leave out what
falls on an edge. So none of that is built on: a window of time is asked for, and an answer as long as a page may be is
not believed; its window is halved until every part fits. What is told twice must be told alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from interlock.adapters.ccxt_fields import Told, text_of, time_ms_of
from interlock.domain.errors import Unreachable

__all__ = ["EDGE_MS", "Pages", "Window", "one_each", "read_whole"]

EDGE_MS: Final = 1_000
"""How far a window reaches over its edges."""

_FINEST_MS: Final = 4 * EDGE_MS
_DAY_MS: Final = 86_400_000


class Window(NamedTuple):
    """A piece of time, in milliseconds; without an end it reaches to the newest entry."""

    since_ms: int
    until_ms: int | None = None


class Pages(NamedTuple):
    """How an exchange answers: entries of one page, the longest window, and how many pages one question may take."""

    entries_max: int
    days_max: int | None
    pages_max: int


async def read_whole(
    exchange: str,
    ask: Callable[[Window], Awaitable[list[Told]]],
    since_ms: int,
    pages: Pages,
    now_ms: Callable[[], Awaitable[int]],
) -> dict[str, Told]:
    """Return every entry from ``since_ms`` on, by its id.

    Raises:
        Unreachable: the history cannot be read whole: too many pages, more entries in a second than a page holds, or
            one entry told in two ways.
        BrokerError: as ``ask``.
    """
    todo, kept = [Window(since_ms - since_ms % EDGE_MS - EDGE_MS)], dict[str, Told]()
    for _ in range(pages.pages_max):
        window = todo.pop()
        if pages.days_max is not None and _length_ms(window, await now_ms()) > pages.days_max * _DAY_MS:
            todo += _halves(exchange, window, await now_ms())
        else:
            page = await ask(window)
            kept |= one_each(exchange, page, kept)
            if len(page) >= pages.entries_max:
                # Entries may be ahead of the clock that was asked.
                newest_ms = max(time_ms_of(exchange, "an entry", entry) for entry in page)
                todo += _halves(exchange, window, max(newest_ms, await now_ms()))
        if not todo:
            return kept
    text = f"{exchange}: the history from {since_ms} ms on takes more than {pages.pages_max} pages"
    raise Unreachable(text)


def one_each(exchange: str, page: Iterable[Told], known: Mapping[str, Told] | None = None) -> dict[str, Told]:
    """Return what is on a page by id.

    Raises:
        Unreachable: an id stands there, or in ``known``, with another content.
    """
    kept: dict[str, Told] = {}
    for entry in page:
        entry_id = text_of(exchange, "entry", entry, "id")
        before = kept.get(entry_id) or (known or {}).get(entry_id)
        if before is not None and _content(before) != _content(entry):
            text = f"{exchange}: {entry_id} is told in two ways"
            raise Unreachable(text)
        kept[entry_id] = entry
    return kept


def _content(entry: Told) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "info"}


def _length_ms(window: Window, now_ms: int) -> int:
    return max(now_ms if window.until_ms is None else window.until_ms, window.since_ms) - window.since_ms


def _halves(exchange: str, window: Window, now_ms: int) -> tuple[Window, Window]:
    """Return both halves, on whole seconds and over each other's edge, the older one last: it is read first."""
    length_ms = _length_ms(window, now_ms)
    if length_ms < _FINEST_MS:
        text = f"{exchange}: one page does not hold the entries of {_FINEST_MS} ms from {window.since_ms} on"
        raise Unreachable(text)
    half_ms = length_ms // 2
    middle = window.since_ms + half_ms - half_ms % EDGE_MS
    return Window(middle - EDGE_MS, window.until_ms), Window(window.since_ms, middle)
