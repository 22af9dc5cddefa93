"""Slippage in a proof: the sessions and presets of the rails, at their boundaries, and those of the config."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from interlock.prove import Outcome
from tests.proof_builders import ran
from tools.stories import Story

pytestmark = pytest.mark.spec("SLP-1")

MICROSECOND = timedelta(microseconds=1)
NIGHT = "slippage_sessions: {night: 22-6, day: [6-12, 12-22]}\n"
DAYS = ((2026, 1, 5), (2028, 2, 29), (2026, 12, 31))


def filled_at(folder: Path, instant: datetime, monkeypatch: pytest.MonkeyPatch, more: str) -> Outcome:
    """Run the proof of one fill, one pip worse than decided, that the broker told at ``instant``."""
    probe = a_fill()
    shift = instant - probe.events[-1].ts
    monkeypatch.setattr("tools.stories._BEGIN", probe.versions[0].ts - timedelta(seconds=1) + shift)
    story = a_fill()
    assert story.events[-1].ts == instant
    return ran(folder, story, more=more)


def a_fill() -> Story:
    """Return an order that was decided at 1.1 and filled at 1.1001."""
    story = Story()
    story.send("buy", quantity="1000", limit_price="1.1001", reference_price="1.1")
    story.accept("buy")
    story.fill("buy", "x-1", "1000", "1.1001")
    return story


def presets(*sessions: str) -> str:
    """Return presets of so many sessions that allow one pip."""
    lines = (f'  - {{symbol: EURUSD, session: {session}, max_slippage_pips: "1"}}\n' for session in sessions)
    return "slippage_presets:\n" + "".join(lines)


def hits(outcome: Outcome) -> dict[str, float]:
    """Return how many fills met each preset, by its session."""
    text = (outcome.folder / "metrics.txt").read_text(encoding="utf-8")
    return {
        sample.labels["session"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "engine_slippage_preset_hits_total"
    }


@pytest.mark.parametrize("day", DAYS, ids=["an ordinary day", "a leap day", "the last of a year"])
@pytest.mark.parametrize(
    ("hour", "before", "after"),
    [(7, "asia", "eu"), (13, "eu", "us"), (21, "us", "overnight"), (24, "overnight", "asia")],
)
def test_a_fill_belongs_to_the_session_of_its_instant(
    day: tuple[int, int, int], hour: int, before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(*day, tzinfo=UTC) + timedelta(hours=hour)
    both = presets(before, after)
    early = filled_at(tmp_path / "before", at - MICROSECOND, monkeypatch, both)
    sharp = filled_at(tmp_path / "sharp", at, monkeypatch, both)
    assert (hits(early), hits(sharp)) == ({before: 1, after: 0}, {before: 0, after: 1})
    assert early.as_expected
    assert sharp.as_expected


@pytest.mark.parametrize(
    ("hour", "session"), [(22, "night"), (24, "night"), (29, "night"), (30, "day"), (36, "day"), (21, "day")]
)
def test_sessions_are_those_of_the_config_and_may_go_on_past_midnight(
    hour: int, session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = datetime(2028, 2, 28, tzinfo=UTC) + timedelta(hours=hour)
    assert hits(filled_at(tmp_path / "p", instant, monkeypatch, NIGHT + presets("day", "night")))[session] == 1


def test_sessions_that_are_named_belong_to_the_id_of_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instant = datetime(2026, 1, 5, 8, tzinfo=UTC)
    usual = "slippage_sessions: {asia: 0-7, eu: 7-13, us: 13-21, overnight: 21-24}\n"
    told = [
        (filled_at(tmp_path / f"p{n}", instant, monkeypatch, more + presets("eu")).folder / "reconcile-report.json")
        for n, more in enumerate(("", "", usual))
    ]
    first, again, named = (path.read_bytes() for path in told)
    assert first == again
    assert first != named
