"""What a search has passed on its way, and what it has never seen: a search that misses half has proved half.

What can be hit is read from the tables and enums themselves, so that a new row or a new fault is missing until
something hits it. ``NEVER`` names what no run can hit, with the reason; a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final

from interlock.domain.findings import FindingKind
from interlock.domain.order_states import LIVE_STATES, ORDER_TABLE, OrderState
from interlock.domain.session_states import SESSION_TABLE
from interlock.domain.sometimes import Sometimes
from interlock.explore.never import NEVER
from interlock.mocks.faults import STORE_FAULTS, Fault

__all__ = ["FAULT_STATES", "Coverage", "Group", "KeyState", "labels"]

FAULT_STATES: Final = "fault_states_total"
"""The counter of a fault that struck while an order was live in a state; the explorer's recorder keeps it."""


class Group(StrEnum):
    """The kinds of things that can be hit; for most, the name of the counter."""

    ORDER_EVENTS = "order_events_total"
    SESSION_EVENTS = "session_events_total"
    KEY_STATES = "key_states"
    FAULTS = "faults_total"
    FAULT_STATES = FAULT_STATES
    FINDINGS = "findings_total"
    SOMETIMES = "sometimes_total"


class KeyState(StrEnum):
    """The states of a key in the store, as durability is judged by them."""

    NONE = "none"
    SENDING = "SENDING"
    IN_DOUBT = "IN_DOUBT"
    WORKING = "WORKING"
    CLOSED = "CLOSED"
    REJECTED = "REJECTED"
    VOID = "VOID"
    QUARANTINED = "QUARANTINED"


_KEY_STATE: Final = {
    OrderState.NEW: KeyState.NONE,
    OrderState.SENT: KeyState.SENDING,
    OrderState.UNKNOWN: KeyState.IN_DOUBT,
    OrderState.ACK: KeyState.WORKING,
    OrderState.PARTIAL: KeyState.WORKING,
    OrderState.CANCEL_PENDING: KeyState.WORKING,
    OrderState.FILLED: KeyState.CLOSED,
    OrderState.CANCELLED: KeyState.CLOSED,
    OrderState.EXPIRED: KeyState.CLOSED,
    OrderState.REJECTED: KeyState.REJECTED,
    OrderState.VOID: KeyState.VOID,
    OrderState.QUARANTINED: KeyState.QUARANTINED,
}
_TRANSITIONS: Final = "order_state_transitions_total"
_NAMES_KEPT: Final = 4096
_COUNTED: Final = tuple(f"{group}|" for group in Group if group is not Group.KEY_STATES)


@cache
def labels() -> dict[Group, tuple[str, ...]]:
    """Return everything that can be hit, by group, in the order of the tables."""
    keys = {(_KEY_STATE[before], _KEY_STATE[after]): None for (before, _), after in ORDER_TABLE.rows.items()}
    return {
        Group.ORDER_EVENTS: tuple(f"{state}|{event}" for state, event in ORDER_TABLE.rows),
        Group.SESSION_EVENTS: tuple(f"{state}|{event}" for state, event in SESSION_TABLE.rows),
        Group.KEY_STATES: tuple(f"{before}|{after}" for before, after in keys if before is not after),
        Group.FAULTS: tuple(Fault),
        Group.FAULT_STATES: tuple(
            f"{fault}|{state}" for fault in Fault if fault not in STORE_FAULTS for state in LIVE_STATES
        ),
        Group.FINDINGS: tuple(FindingKind),
        Group.SOMETIMES: tuple(Sometimes),
    }


class Coverage:
    """How often each thing was hit, over any number of runs."""

    def __init__(self, hits: Mapping[str, int] | None = None) -> None:
        """Begin with ``hits``, such as those of another process: counts by group and label, ``GROUP|LABEL``."""
        self.hits: dict[str, int] = dict(hits or {})

    def add(self, counters: Mapping[str, int]) -> None:
        """Take in the counters of one run; those that tell nothing here are passed over."""
        hits = self.hits
        for name, count in counters.items():
            label = _label_of(name)
            if label:
                hits[label] = hits.get(label, 0) + count

    def merge(self, hits: Mapping[str, int]) -> None:
        """Take in what another search has hit."""
        for name, count in hits.items():
            self.hits[name] = self.hits.get(name, 0) + count

    def of(self, group: Group) -> dict[str, int]:
        """Return how often each thing of a group was hit, zeros included."""
        return {label: self.hits.get(f"{group}|{label}", 0) for label in labels()[group]}

    def missing(self) -> tuple[str, ...]:
        """Return what was never hit and should have been, ``GROUP|LABEL``."""
        return tuple(name for name in _all() if not self.hits.get(name) and name not in NEVER)

    def contradicted(self) -> tuple[str, ...]:
        """Return what was hit although it is said that nothing can hit it."""
        return tuple(name for name in NEVER if self.hits.get(name))

    def rows(self) -> Iterable[tuple[Group, int, int, int, int]]:
        """Yield for each group: hit, possible, said never to be hit, and the fewest hits of what was hit."""
        for group in Group:
            hits = self.of(group)
            never = sum(f"{group}|{label}" in NEVER for label in hits)
            struck = [count for count in hits.values() if count]
            yield group, len(struck), len(hits) - never, never, min(struck, default=0)

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON: counts by group and label, in the order of the tables, and what is missing."""
        return {
            "hits": {group.value: self.of(group) for group in Group},
            "missing": list(self.missing()),
            "never": dict(NEVER),
        }


@cache
def _all() -> tuple[str, ...]:
    return tuple(f"{group}|{label}" for group, names in labels().items() for label in names)


@lru_cache(maxsize=_NAMES_KEPT)
def _label_of(counter: str) -> str:
    """Return the label that a counter hits, or "": for a move of an order that of its key, if the key moves."""
    if counter.startswith(_COUNTED):
        return counter
    if not counter.startswith(_TRANSITIONS):
        return ""
    _, before, after = counter.split("|")
    ours, theirs = _KEY_STATE[OrderState(before)], _KEY_STATE[OrderState(after)]
    return "" if ours is theirs else f"{Group.KEY_STATES}|{ours}|{theirs}"
