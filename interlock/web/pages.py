"""The pages: one table of what can be asked, how it is answered, and what its answers look like.

The routes and the schema are both made from this table, so that neither can say what the other does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from interlock.observe import Health, Readiness, Source, Status
from interlock.report import report_html
from interlock.web.answers import HTML, JSON, OPENMETRICS, PLAIN, Answer, Problem, problem, view_answer
from interlock.web.policy import POLICY, page_policy

__all__ = ["PAGES", "Page", "Sight"]

_MIB: Final = 1 << 20
_NO_REPORT: Final = (
    "a session that runs has none, since drawing it would hold up its loop; "
    "once it has ended: interlock report DIR, or this page of an app on that folder"
)


class Sight(msgspec.Struct, frozen=True):
    """What a page looks at: a source, and the folder behind it where there is one."""

    source: Source
    folder: Path | None = None


class Page(msgspec.Struct, frozen=True):
    """One page. ``render`` is told whether OpenMetrics is asked for; ``answers`` has, by status, what may come."""

    path: str
    name: str
    summary: str
    render: Callable[[Sight, bool], Answer]
    answers: Mapping[int, Mapping[str, type[msgspec.Struct] | None]]
    """By status: the media types, each with the type of its JSON, or None for text."""
    bytes_max: int = _MIB


def _health(sight: Sight, _: bool) -> Answer:  # noqa: FBT001 - the shape of every page
    view = sight.source.health()
    return view_answer(view, well=view.ok)


def _ready(sight: Sight, _: bool) -> Answer:  # noqa: FBT001 - as above
    view = sight.source.ready()
    return view_answer(view, well=view.ready)


def _status(sight: Sight, _: bool) -> Answer:  # noqa: FBT001 - as above
    return view_answer(sight.source.status())


def _metrics(sight: Sight, openmetrics: bool) -> Answer:  # noqa: FBT001 - as above
    text = sight.source.metrics(openmetrics=openmetrics)
    return Answer(200, OPENMETRICS if openmetrics else PLAIN, text, {"vary": "accept"})


def _report(sight: Sight, _: bool) -> Answer:  # noqa: FBT001 - as above
    if sight.folder is None:
        return problem(404, "no_report", _NO_REPORT)
    html = report_html(sight.folder)
    return Answer(200, HTML, html, {POLICY: page_policy(html)})


_TROUBLE: Final = {JSON: Problem}

PAGES: Final = (
    Page("/health", "health", "Whether the session is well", _health, {200: {JSON: Health}, 503: {JSON: Health}}),
    Page("/ready", "ready", "Whether it takes intents now", _ready, {200: {JSON: Readiness}, 503: {JSON: Readiness}}),
    Page("/status", "status", "What an operator has to know", _status, {200: {JSON: Status}}),
    Page(
        "/metrics",
        "metrics",
        "The metrics, as text for Prometheus; as OpenMetrics where the Accept header asks for it",
        _metrics,
        {200: {PLAIN: None, OPENMETRICS: None}},
        4 * _MIB,
    ),
    Page(
        "/report",
        "report",
        "The report of a run, one page of HTML; a session that runs has none",
        _report,
        {200: {HTML: None}, 404: _TROUBLE},
        64 * _MIB,
    ),
)
