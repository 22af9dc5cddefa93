"""What ``metrics.json`` holds, as far as metrics are made of it; the rest of the file is for people.

A live session's figures and those read from a folder pass the same door.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

__all__ = [
    "CommitFigures",
    "Figures",
    "LaneFigures",
    "ReconcileFigures",
    "SlippageFigures",
    "StoreFigures",
    "figures_of",
]


class ReconcileFigures(msgspec.Struct, frozen=True):
    """The last reconcile; drift in pips or units, whichever is the larger."""

    duration_ns: int = 0
    stale: int = 0
    orphan: int = 0
    drift: Decimal = Decimal(0)


class CommitFigures(msgspec.Struct, frozen=True):
    """Commits of the store, and how long they took."""

    count: int
    ns_sum: int
    ns_max: int


class StoreFigures(msgspec.Struct, frozen=True):
    """Keys that are held whole."""

    keys: int


class SlippageFigures(msgspec.Struct, frozen=True):
    """The worst slippage of one symbol, in pips."""

    max: Decimal


class LaneFigures(msgspec.Struct, frozen=True):
    """One lane of one mailbox."""

    depth: int
    peak: int
    accepted: int
    waits: int
    wait_ns_sum: int
    wait_ns_max: int


class Figures(msgspec.Struct, frozen=True):
    """One session. ``counters`` are named as actors count: name, then the values of its labels, parted by ``|``."""

    counters: dict[str, int]
    trips: tuple[str, ...]
    kill_switch: int
    steps: int
    events_emitted: int
    audit_events: int
    sink_retries: int
    late_replies: int
    reconcile: ReconcileFigures | None
    store: StoreFigures
    engine_slippage_pips: dict[str, SlippageFigures]
    mailboxes: dict[str, dict[str, LaneFigures]]
    commits: CommitFigures


def figures_of(said: Mapping[str, object]) -> Figures:
    """Return the figures of a session that says them itself."""
    return msgspec.convert(said, type=Figures)
