"""Alerts as pure rules: what an alert says, when two are the same, and which of them are told (ALT-1).

The audit log holds every alert that was raised. What is told to people goes through two sieves: the same alert is told
again only after the de-duplication window, and no more than so many are told in any window of time, the last place
being kept for a critical one. What is held back is counted, and the next alert that passes says how much it was.

"The same" means: what an alert is about, in words. When it was raised, under which ids and with what explanation does
not count; how much it is about counts where more of it is news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from interlock.domain.errors import Broken
from interlock.domain.findings import Finding, FindingKind, Severity
from interlock.domain.ids import canonical_json, stable_id
from interlock.domain.instants import to_ns
from interlock.domain.money import decimal_text
from interlock.domain.windows import SlidingWindow

__all__ = [
    "SEVERITY_OF",
    "Alert",
    "AlertLimits",
    "AlertName",
    "AlertSeverity",
    "AlertSieve",
    "FlushAlerts",
    "HeldBy",
    "Passage",
    "alert_of",
    "divergence_counts",
]


class AlertName(StrEnum):
    """Everything that an operator can be alerted of."""

    RECONCILE_DIVERGENCE = "ALERT_RECONCILE_DIVERGENCE"
    RECONCILE_FAILED = "ALERT_RECONCILE_FAILED"
    IDEMPOTENCY_PERSISTENCE_FAILED = "ALERT_IDEMPOTENCY_PERSISTENCE_FAILED"
    SLIPPAGE_PRESET_MISSING = "ALERT_SLIPPAGE_PRESET_MISSING"
    BROKER_LIMIT_MISMATCH = "ALERT_BROKER_LIMIT_MISMATCH"
    SAFETY_RAIL_TRIPPED = "ALERT_SAFETY_RAIL_TRIPPED"
    KEY_REUSED = "ALERT_KEY_REUSED"
    SINK_FAILED = "ALERT_SINK_FAILED"
    """A sink for alerts takes none: told to the others."""


class AlertSeverity(StrEnum):
    """How soon somebody has to look, in the words that pagers understand."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


SEVERITY_OF: Final = {
    AlertName.RECONCILE_DIVERGENCE: AlertSeverity.ERROR,
    AlertName.RECONCILE_FAILED: AlertSeverity.ERROR,
    AlertName.IDEMPOTENCY_PERSISTENCE_FAILED: AlertSeverity.CRITICAL,
    AlertName.SLIPPAGE_PRESET_MISSING: AlertSeverity.WARNING,
    AlertName.BROKER_LIMIT_MISMATCH: AlertSeverity.ERROR,
    AlertName.SAFETY_RAIL_TRIPPED: AlertSeverity.CRITICAL,
    AlertName.KEY_REUSED: AlertSeverity.ERROR,
    AlertName.SINK_FAILED: AlertSeverity.WARNING,
}

_COUNTS_ARE_NEWS: Final = (AlertName.RECONCILE_DIVERGENCE, AlertName.BROKER_LIMIT_MISMATCH)
"""Of these, more than before is another alert."""

_EXPLANATIONS: Final = ("reason", "detail", "message")
_IDS: Final = ("decision_id", "reconcile_id")
_NOT_IN_THE_KEY: Final = ("client_order_id",)
_KEYS_MAX: Final = 1_000


class Alert(msgspec.Struct, frozen=True, tag_field="schema", tag="Alert/1"):
    """One alert as it was raised. Ids are empty where there are none; the run's is always there."""

    name: AlertName
    at_ns: int
    run_id: str
    decision_id: str = ""
    reconcile_id: str = ""
    raised: int = 1
    """How often this session has raised alerts of this name by now."""
    counts: dict[str, int] = {}
    about: dict[str, str] = {}
    text: str = ""
    """An explanation for people."""

    @property
    def severity(self) -> AlertSeverity:
        """Return how soon somebody has to look."""
        return SEVERITY_OF[self.name]

    @property
    def key(self) -> str:
        """Return what it is about, hashed: equal for alerts that are the same."""
        about = sorted((name, value) for name, value in self.about.items() if name not in _NOT_IN_THE_KEY)
        counts = sorted(self.counts.items()) if self.name in _COUNTS_ARE_NEWS else []
        return stable_id("alert", self.name, about, counts)[:16]


class FlushAlerts(msgspec.Struct, frozen=True, gc=False, tag_field="schema", tag="FlushAlerts/1"):
    """Asked at the end of a session: answered when everything that was raised before is delivered or given up."""


def alert_of(name: str, about: Mapping[str, object], *, run_id: str, at_ns: int, raised: int = 1) -> Alert:
    """Return the alert ``name`` about these facts: ids, whole numbers (counts), an explanation, and all the rest.

    Raises:
        Broken: no alert has this name.
    """
    if name not in SEVERITY_OF:
        message = f"no alert is named {name}"
        raise Broken(message)
    ids = {key: str(about.get(key) or "") for key in _IDS}
    counts = {key: value for key, value in about.items() if type(value) is int}
    rest = {
        key: _text(value)
        for key, value in about.items()
        if value is not None and key not in (*_IDS, *_EXPLANATIONS, "run_id", *counts)
    }
    text = "; ".join(str(about[key]) for key in _EXPLANATIONS if about.get(key))
    return Alert(AlertName(name), at_ns, run_id, **ids, raised=raised, counts=counts, about=rest, text=text)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return decimal_text(value)
    return canonical_json(value).decode() if isinstance(value, (dict, list, tuple)) else str(value)


_DIVERGENCES: Final = {
    "stale": FindingKind.STALE_LOCAL_ORDER,
    "orphan": FindingKind.ORPHAN_BROKER_ORDER,
    "drift": FindingKind.POSITION_DRIFT,
}


def divergence_counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many orders only we have, how many only the broker has, and how many positions drifted too far."""
    kinds = [finding.kind for finding in findings if finding.severity is not Severity.INFO]
    return {name: kinds.count(kind) for name, kind in _DIVERGENCES.items()}


# -- what is told -------------------------------------------------------------------------------------------


class AlertLimits(msgspec.Struct, frozen=True):
    """How long the same alert is held back after it was told, and how many may be told in any window."""

    dedupe_window_s: float = 900.0
    rate_max: int = 20
    rate_window_s: float = 300.0


class HeldBy(StrEnum):
    """Why an alert is not told."""

    NOTHING = ""
    DUPLICATE = "duplicate"
    RATE = "rate"


class Passage(msgspec.Struct, frozen=True):
    """Whether an alert is told, and what it has to say of others that were not.

    ``repeats`` counts the same alert since it was told last, ``held_back`` whatever the rate cap has held since
    anything was told last.
    """

    key: str
    held_by: HeldBy = HeldBy.NOTHING
    repeats: int = 0
    held_back: int = 0

    @property
    def passes(self) -> bool:
        """Return whether it is told."""
        return self.held_by is HeldBy.NOTHING


class _Told(msgspec.Struct):
    """When an alert was told last, and how often it was held back since."""

    at_ns: int
    repeats: int = 0


class AlertSieve:
    """What was told lately. Its time is that of the alerts, which are judged in the order in which they were raised."""

    def __init__(self, limits: AlertLimits) -> None:
        self._limits = limits
        self._told: dict[str, _Told] = {}
        self._window = SlidingWindow(limits.rate_window_s)
        self._held_back = 0

    @property
    def remembered(self) -> int:
        """Return of how many different alerts it is known when they were told."""
        return len(self._told)

    def judge(self, alert: Alert) -> Passage:
        """Return whether ``alert`` is told, and take that down."""
        key, now_ns = alert.key, alert.at_ns
        before = self._told.get(key)
        if before is not None and self._recent(before, now_ns):
            before.repeats += 1
            return Passage(key, HeldBy.DUPLICATE)
        if self._window.count(now_ns) >= self._places(alert.severity):
            self._held_back += 1
            return Passage(key, HeldBy.RATE)
        self._window.note(now_ns)
        self._remember(key, now_ns)
        held_back, self._held_back = self._held_back, 0
        return Passage(key, repeats=0 if before is None else before.repeats, held_back=held_back)

    def _places(self, severity: AlertSeverity) -> int:
        most = self._limits.rate_max
        return most if severity is AlertSeverity.CRITICAL or most == 1 else most - 1

    def _recent(self, told: _Told, now_ns: int) -> bool:
        return now_ns - told.at_ns < to_ns(self._limits.dedupe_window_s)

    def _remember(self, key: str, now_ns: int) -> None:
        """Put the key last; where there are too many, those whose window is over go, else the one told first."""
        self._told.pop(key, None)
        if len(self._told) >= _KEYS_MAX:
            self._told = {known: told for known, told in self._told.items() if self._recent(told, now_ns)}
        if len(self._told) >= _KEYS_MAX:
            del self._told[next(iter(self._told))]
        self._told[key] = _Told(now_ns)
