"""State machines as literal tables: ``(state, event) -> state``, and nothing else decides.

A pair that is not in the table raises ``IllegalTransition`` and changes nothing. Tests walk every pair, and the
diagrams in ARCHITECTURE.md are drawn from the tables themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from interlock.domain.errors import IllegalTransition

__all__ = ["Table"]

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class Table(Generic[S, E]):
    """One state machine: its name, its states, its events and the literal mapping."""

    def __init__(self, name: str, states: type[S], events: type[E], rows: Mapping[tuple[S, E], S]) -> None:
        self.name = name
        self.states = states
        self.events = events
        self.rows = dict(rows)

    def next(self, state: S, event: E) -> S:
        """Return the state after ``event``.

        Raises:
            IllegalTransition: the pair is not in the table.
        """
        try:
            return self.rows[state, event]
        except KeyError:
            raise IllegalTransition(self.name, state.value, event.value) from None

    def allows(self, state: S, event: E) -> bool:
        """Return whether the pair is in the table."""
        return (state, event) in self.rows

    def mermaid(self) -> str:
        """Return the table as a Mermaid state diagram, one arrow for all events between two states."""
        arrows: dict[tuple[str, str], list[str]] = {}
        for (state, event), after in self.rows.items():
            arrows.setdefault((state.value, after.value), []).append(event.value)
        lines = [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
        return "\n".join(["stateDiagram-v2", f"    [*] --> {next(iter(self.states)).value}", *lines])
