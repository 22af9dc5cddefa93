"""What goes out: answers of bounded size, with views as JSON that is redacted once more at this door.

An answer is made whole before its first byte leaves, so that nothing is ever sent half, and one that would be too
large is replaced by one line that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from interlock.domain.ids import canonical_json
from interlock.observe.views import as_json, redacted

__all__ = ["HTML", "JSON", "OPENMETRICS", "PLAIN", "Answer", "Problem", "problem", "view_answer", "wants_openmetrics"]

JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_OPENMETRICS_TYPE: Final = "application/openmetrics-text"
_ACCEPT_CHARS_MAX: Final = 1_024
_OK: Final = 200
_UNAVAILABLE: Final = 503


class Problem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="schema", tag="Problem/1"):
    """Why there is no answer: a word for programs and a line for people. Nothing of the request is repeated."""

    error: str
    detail: str


class Answer(msgspec.Struct, frozen=True):
    """One answer: status, media type, body, and the headers that not every answer has."""

    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str] = {}

    def within(self, bytes_max: int) -> Answer:
        """Return the answer, or a problem in its place where it is larger than that."""
        if len(self.body) <= bytes_max:
            return self
        return problem(_UNAVAILABLE, "too_large", "the answer would be larger than is sent")


def problem(status: int, error: str, detail: str) -> Answer:
    """Return a small answer that says what went wrong."""
    return Answer(status, JSON, canonical_json(Problem(error, detail)))


def view_answer(view: msgspec.Struct, *, well: bool = True) -> Answer:
    """Return a view as JSON; the status is 503 where not all is ``well``."""
    return Answer(_OK if well else _UNAVAILABLE, JSON, as_json(redacted(view)))


def wants_openmetrics(accept: str) -> bool:
    """Return whether an Accept header asks for OpenMetrics at least as much as for plain text; Prometheus does."""
    openmetrics = plain = 0.0
    for part in accept[:_ACCEPT_CHARS_MAX].lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = _weight(parameters)
        if name == _OPENMETRICS_TYPE:
            openmetrics = max(openmetrics, weight)
        elif name == "text/plain":
            plain = max(plain, weight)
    return 0 < openmetrics >= plain


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
