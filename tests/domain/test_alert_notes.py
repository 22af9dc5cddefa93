"""What is told of an alert: short whatever it was, and in the shapes that hooks take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interlock.domain.alert_notes import AlertNote, body_of, note_of
from interlock.domain.alerts import Passage, alert_of

pytestmark = pytest.mark.spec("ALT-2")


def a_note(name: str = "ALERT_RECONCILE_DIVERGENCE", passage: Passage | None = None, **about: Any) -> AlertNote:
    """Return what is told of an alert."""
    facts: dict[str, Any] = about or {
        "reconcile_id": "rc-1",
        "stale": 1,
        "orphan": 0,
        "drift": 2,
        "detail": "they differ",
    }
    return note_of(alert_of(name, facts, run_id="run-1", at_ns=1_700_000_000_000_000_000), passage or Passage("k1"))


def test_a_note_reads_as_one_line() -> None:
    line = "ALERT_RECONCILE_DIVERGENCE: reconcile rc-1, run run-1, stale 1, orphan 0, drift 2: they differ"
    assert a_note().summary == line
    told = a_note(passage=Passage("k1", repeats=3, held_back=4)).summary
    assert told == f"{line} (3 times more before, 4 other alerts held back)"


def test_a_note_is_short_whatever_the_alert_was() -> None:
    facts: dict[str, Any] = {f"field-{number}": "x" * 10_000 for number in range(1_000)}
    facts |= {f"n{number}": number for number in range(1_000)}
    note = a_note(**facts, reason="y" * 100_000, decision_id="z" * 10_000)
    assert max(len(body_of(note, kind)) for kind in ("generic", "slack", "pagerduty")) < 16_000
    assert len(note.summary) == 1_000
    assert note.text.endswith("y...")


def test_a_note_with_line_breaks_is_one_line_all_the_same() -> None:
    assert "\n" not in a_note(reason="one\ntwo\r\nthree").summary


def test_the_generic_body_is_the_note() -> None:
    body = json.loads(body_of(a_note(), "generic"))
    assert body == {
        "schema": "INTERLOCK_ALERT_V1",
        "alert": "ALERT_RECONCILE_DIVERGENCE",
        "severity": "error",
        "ts_utc": "2023-11-14T22:13:20.000000000Z",
        "run_id": "run-1",
        "decision_id": "",
        "reconcile_id": "rc-1",
        "counts": {"stale": 1, "orphan": 0, "drift": 2},
        "about": {},
        "text": "they differ",
        "raised": 1,
        "repeats": 0,
        "held_back": 0,
        "key": "k1",
    }


def test_slack_gets_a_text_that_mentions_nobody() -> None:
    body = json.loads(body_of(a_note(reason="<!channel> & <https://x.example|look>"), "slack"))
    assert list(body) == ["text"]
    assert body["text"].startswith("[error] ALERT_RECONCILE_DIVERGENCE: ")
    assert body["text"].endswith("&lt;!channel&gt; &amp; &lt;https://x.example|look&gt;")


def test_pagerduty_gets_an_event_that_it_can_group() -> None:
    body = json.loads(body_of(a_note("ALERT_SAFETY_RAIL_TRIPPED", code="overfill"), "pagerduty", "r" * 32))
    assert (body["routing_key"], body["event_action"], body["dedup_key"]) == ("r" * 32, "trigger", "interlock-run-1-k1")
    payload = body["payload"]
    assert payload["severity"] == "critical"
    assert payload["source"] == "run-1"
    assert payload["timestamp"] == "2023-11-14T22:13:20.000000000Z"
    assert payload["summary"] == "ALERT_SAFETY_RAIL_TRIPPED: run run-1, code overfill"
    assert payload["custom_details"]["about"] == {"code": "overfill"}


def test_pagerduty_s_own_bounds_are_kept() -> None:
    note = a_note("ALERT_SAFETY_RAIL_TRIPPED", code="x" * 10_000, reason="y" * 10_000)
    alert = alert_of("ALERT_SAFETY_RAIL_TRIPPED", {}, run_id="r" * 1_000, at_ns=0)
    assert len(json.loads(body_of(note, "pagerduty"))["payload"]["summary"]) <= 1024
    assert len(json.loads(body_of(note_of(alert, Passage("k" * 16)), "pagerduty"))["dedup_key"]) <= 255
