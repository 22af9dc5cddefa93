"""Rates and their medians."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import msgspec

__all__ = ["Rate", "median_rate"]


class Rate(msgspec.Struct, frozen=True):
    """Something per second, with its budget where it has one."""

    name: str
    per_s: float
    budget: int | None


def median_rate(rounds: int, measure: Callable[[], float]) -> float:
    """Return the median of ``rounds`` measurements."""
    return median(measure() for _ in range(rounds))
