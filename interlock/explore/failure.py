"""What a search can find: an invariant that does not hold, where, and what was said last before it."""

from __future__ import annotations

import msgspec

__all__ = ["Broken", "Failure"]


class Broken(msgspec.Struct, frozen=True):
    """An invariant and how it is broken."""

    invariant: str
    text: str


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run that broke an invariant after ``step`` steps; ``last`` is what was said last, oldest first."""

    invariant: str
    text: str
    step: int
    last: tuple[str, ...] = ()
