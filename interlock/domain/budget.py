"""Budgets of attempts (SAF-3): per order, and per minute for the whole session. Every one is finite.

Retry storms are impossible because each attempt of a broker call, the first one and every repetition, takes one
from both budgets before it is made.
"""

from __future__ import annotations

from collections import deque

import msgspec

from interlock.domain.errors import Broken

__all__ = ["AttemptBudget", "AttemptLimits"]

_WINDOW_NS = 60_000_000_000


class AttemptLimits(msgspec.Struct, frozen=True):
    """How many attempts one order may take, and all of the session in any minute."""

    per_order: int
    per_minute: int

    def __post_init__(self) -> None:
        """Refuse budgets that are not finite and positive."""
        if self.per_order < 1 or self.per_minute < 1:
            message = f"an attempt budget must be at least 1: {self}"
            raise Broken(message)


class AttemptBudget:
    """What is left of both budgets."""

    def __init__(self, limits: AttemptLimits) -> None:
        self.limits = limits
        self._by_order: dict[str, int] = {}
        self._recent_ns: deque[int] = deque()

    def take(self, client_order_id: str, now_ns: int) -> str:
        """Take one attempt; return "" where it may be made, else the code of the budget that is used up."""
        recent = self._recent_ns
        while recent and recent[0] <= now_ns - _WINDOW_NS:
            recent.popleft()
        if len(recent) >= self.limits.per_minute:
            return "BUDGET_PER_MINUTE"
        used = self._by_order.get(client_order_id, 0)
        if used >= self.limits.per_order:
            return "BUDGET_PER_ORDER"
        self._by_order[client_order_id] = used + 1
        recent.append(now_ns)
        return ""
