"""Instants and durations: whole nanoseconds since 1970-01-01 UTC inside, RFC 3339 and seconds outside. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from interlock.domain.errors import Broken

__all__ = ["NS_PER_S", "from_datetime", "rfc3339", "to_ns"]

NS_PER_S: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_ns(seconds: float) -> int:
    """Return a duration in whole nanoseconds."""
    return round(seconds * NS_PER_S)


def from_datetime(instant: datetime) -> int:
    """Return the nanoseconds since the epoch of a ``datetime`` that knows its zone.

    Raises:
        Broken: ``instant`` has no zone; guessing one would move every record by hours.
    """
    if instant.tzinfo is None:
        message = f"a time without a zone: {instant.isoformat()}"
        raise Broken(message)
    return ((instant - _EPOCH) // timedelta(microseconds=1)) * 1000


@lru_cache(maxsize=1024)
def _whole_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(instant_ns: int) -> str:
    """Return an instant as RFC 3339 UTC with nine digits after the second, so that texts sort as times do."""
    second, rest = divmod(instant_ns, NS_PER_S)
    return f"{_whole_second(second)}.{rest:09d}Z"
