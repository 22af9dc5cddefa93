"""What a mutant is, and how a fault is planted and taken out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from tools.mutants.cases import Case

__all__ = ["Mutant", "Plant", "both", "swap", "swap_item"]

Plant = Callable[[], AbstractContextManager[Any]]
"""Plants a fault for the length of a ``with`` block."""


class Mutant(NamedTuple):
    """One planted fault: what it does wrong, where it is looked for, and the invariants it may break."""

    breaks: str
    plant: Plant
    case: Case
    invariants: tuple[str, ...]


def swap(owner: object, name: str, planted: object) -> Plant:
    """Return the plant that puts something else in place of an attribute of a class or module."""
    return lambda: patch.object(owner, name, planted)


def swap_item(table: dict[Any, Any], **planted: object) -> Plant:
    """Return the plant that changes rows of a table."""
    return lambda: patch.dict(table, planted)


def both(*plants: Plant) -> Plant:
    """Return the plant that takes several changes to be one fault."""

    @contextmanager
    def planted() -> Iterator[None]:
        with ExitStack() as stack:
            for plant in plants:
                stack.enter_context(plant())
            yield

    return planted
