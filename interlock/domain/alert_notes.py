"""What is written and sent of an alert: one record, and its shapes for those who take it over HTTP (ALT-2).

An ``AlertNote`` is made of an alert whose texts have been redacted already; it is short, whatever the alert was, so
that a line, a message or a request has a bound. The bodies are those of a plain JSON hook, of Slack's incoming
webhooks, and of version 2 of PagerDuty's events API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeVar

import msgspec

from interlock.domain.alerts import Alert, AlertName, AlertSeverity, Passage
from interlock.domain.ids import canonical_json
from interlock.domain.instants import rfc3339

__all__ = ["NOTE_SCHEMA", "AlertNote", "HookKind", "body_of", "note_of"]

NOTE_SCHEMA: Final = "INTERLOCK_ALERT_V1"

T = TypeVar("T")

HookKind = Literal["generic", "slack", "pagerduty"]

_FIELDS_MAX: Final = 20
_FIELD_CHARS: Final = 200
_TEXT_CHARS: Final = 500
_SUMMARY_CHARS: Final = 1_000


class AlertNote(msgspec.Struct, frozen=True, tag_field="schema", tag=NOTE_SCHEMA):
    """One alert as it is told, with what was held back before it."""

    alert: AlertName
    severity: AlertSeverity
    ts_utc: str
    run_id: str
    decision_id: str
    reconcile_id: str
    counts: dict[str, int]
    about: dict[str, str]
    text: str
    raised: int
    repeats: int
    held_back: int
    key: str

    @property
    def summary(self) -> str:
        """Return the alert on one line."""
        ids = {"decision": self.decision_id, "reconcile": self.reconcile_id, "run": self.run_id}
        facts = {**{name: value for name, value in ids.items() if value}, **self.counts, **self.about}
        line = f"{self.alert}: {', '.join(f'{name} {value}' for name, value in facts.items())}"
        if self.text:
            line += f": {self.text}"
        if self.repeats or self.held_back:
            line += f" ({self.repeats} times more before, {self.held_back} other alerts held back)"
        return _short(" ".join(line.split()), _SUMMARY_CHARS)


def note_of(alert: Alert, passage: Passage) -> AlertNote:
    """Return what is told of ``alert``, whose texts hold no secrets any more."""
    return AlertNote(
        alert.name,
        alert.severity,
        rfc3339(alert.at_ns),
        _short(alert.run_id, _FIELD_CHARS),
        _short(alert.decision_id, _FIELD_CHARS),
        _short(alert.reconcile_id, _FIELD_CHARS),
        _few(alert.counts),
        {name: _short(value, _FIELD_CHARS) for name, value in _few(alert.about).items()},
        _short(alert.text, _TEXT_CHARS),
        alert.raised,
        passage.repeats,
        passage.held_back,
        passage.key,
    )


def body_of(note: AlertNote, kind: HookKind, routing: str = "") -> bytes:
    """Return the JSON body that a hook of this kind takes; ``routing`` is PagerDuty's routing key."""
    if kind == "slack":
        return canonical_json({"text": _escaped(f"[{note.severity}] {note.summary}")})
    if kind == "pagerduty":
        return canonical_json(_page(note, routing))
    return canonical_json(note)


def _page(note: AlertNote, routing: str) -> dict[str, object]:
    details = msgspec.to_builtins(note)
    return {
        "routing_key": routing,
        "event_action": "trigger",
        "dedup_key": f"interlock-{note.run_id}-{note.key}",
        "payload": {
            "summary": note.summary,
            "source": note.run_id or "interlock",
            "severity": note.severity,
            "timestamp": note.ts_utc,
            "component": "interlock",
            "class": note.alert,
            "custom_details": details,
        },
    }


def _escaped(text: str) -> str:
    """Keep Slack from reading mentions, links and channels into a text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _few(fields: Mapping[str, T]) -> dict[str, T]:
    return {_short(name, _FIELD_CHARS): fields[name] for name in list(fields)[:_FIELDS_MAX]}


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
