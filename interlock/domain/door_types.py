"""Field types for doors where values arrive as text: whole numbers, seconds, flags and instants.

A model that reads YAML gets text, one that reads JSON gets numbers; these types take both and nothing in between:
no underscores, no octal, no "yes", no time without a zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

__all__ = ["Flag", "Instant", "Seconds", "Whole"]

_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,9})?")
_FLAGS: Final = {"true": True, "false": False}
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def _whole(value: object) -> object:
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            message = "must be a whole number in plain digits"
            raise ValueError(message)
        return int(value)
    return value


def _seconds(value: object) -> object:
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            message = "must be a number of seconds such as 30 or 0.25"
            raise ValueError(message)
        return float(value)
    return value


def _flag(value: object) -> object:
    if isinstance(value, str):
        if value not in _FLAGS:
            message = "must be true or false"
            raise ValueError(message)
        return _FLAGS[value]
    return value


def _instant(value: object) -> datetime:
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        message = "must be a time such as 2026-01-05T08:00:00Z"
        raise ValueError(message) from None
    if instant.tzinfo is None:
        message = "must name its zone, such as 2026-01-05T08:00:00Z"
        raise ValueError(message)
    if not _EARLIEST <= instant < _LATEST:
        message = "must lie from 1970 to 2199"
        raise ValueError(message)
    return instant.astimezone(UTC)


Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True)]
"""A whole number; true and 3.0 are none."""

Seconds = Annotated[float, BeforeValidator(_seconds), Field(allow_inf_nan=False)]
"""A duration in seconds."""

Flag = Annotated[bool, BeforeValidator(_flag), Field(strict=True)]
"""true or false, and no other word for them."""

Instant = Annotated[datetime, BeforeValidator(_instant)]
"""A time with its zone, kept in UTC, whose nanoseconds since the epoch fit into 64 bits."""
