"""Values of labels come from closed lists (OBS-4): what is on none of them becomes ``other``.

So neither a secret nor an endless number of time series gets into metrics, whatever a broker or a host says. Symbols
are those of the config, or, where ``observe.symbol_labels`` is off, all of them together are ``all``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from interlock.config.model import SessionConfig
from interlock.domain.alerts import AlertName, HeldBy
from interlock.domain.findings import FindingKind
from interlock.domain.messages import SubmitStatus
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.domain.rails import RAIL_CODES
from interlock.domain.repair import Action
from interlock.domain.session_states import SessionEvent, SessionState
from interlock.domain.sometimes import Sometimes
from interlock.mocks.faults import Fault
from interlock.observe.steps import REJECT_CODES, TRIP_CODES
from interlock.runtime.redaction import scrub

__all__ = ["ALL", "OTHER", "Labels"]

OTHER: Final = "other"
"""What stands for a value that is on no list."""

ALL: Final = "all"
"""What stands for every symbol where symbols are not shown."""

_REFUSED_BY_US: Final = (*RAIL_CODES, "BUSY", "KEY_REUSED", "KEY_KNOWN", "KEY_SPENT", "KILL_SWITCH")
_REJECTED: Final = (
    *RAIL_CODES,
    *("ALREADY_THERE", "BUDGET_PER_MINUTE", "BUDGET_PER_ORDER", "RATE_LIMITED"),
    *("ABOVE_LIMIT", "BOOK_FULL", "DUPLICATE_ID", "UNKNOWN_SYMBOL", "INSUFFICIENT_MARGIN"),
)
"""Why an order ended rejected: our own last word, or a broker's code."""

_LISTS: Final[dict[str, tuple[str, ...]]] = {
    "from": tuple(OrderState),
    "to": tuple(OrderState),
    "event": tuple(OrderEvent),
    "session_state": tuple(SessionState),
    "session_event": tuple(SessionEvent),
    "finding": tuple(FindingKind),
    "branch": tuple(Sometimes),
    "refusal": _REFUSED_BY_US,
    "rejection": _REJECTED,
    "reject": REJECT_CODES,
    "trip": TRIP_CODES,
    "alert": tuple(AlertName),
    "held_by": tuple(by for by in HeldBy if by),
    "status": tuple(SubmitStatus),
    "action": tuple(Action),
    "fault": tuple(Fault),
    "actor": ("broker", "rails", "reconciler", "orchestrator", "strategy", "alerts"),
    "lane": ("control", "reply", "data"),
}


class Labels:
    """The closed lists of one session."""

    def __init__(self, config: SessionConfig) -> None:
        hooks = (f"{hook.kind}-{number}" for number, hook in enumerate(config.alerts.webhooks))
        sessions = () if config.slippage is None else tuple(config.slippage.sessions)
        self._lists: dict[str, frozenset[str]] = {name: frozenset(values) for name, values in _LISTS.items()}
        self._lists["sink"] = frozenset(("mailbox", "log", "file", *hooks))
        self._lists["slippage_session"] = frozenset(scrub(name) for name in sessions)
        self._symbols = frozenset(scrub(item.symbol) for item in config.instruments)
        self._symbols_shown = config.observe.symbol_labels

    def of(self, kinds: Iterable[str], values: Iterable[str]) -> tuple[str, ...]:
        """Return the values to show, each judged by the list of its kind."""
        return tuple(self._shown(kind, value) for kind, value in zip(kinds, values, strict=False))

    def _shown(self, kind: str, value: str) -> str:
        if kind == "symbol":
            if not self._symbols_shown:
                return ALL
            return scrub(value) if scrub(value) in self._symbols else OTHER
        return value if value in self._lists[kind] else OTHER
