"""Alerts as rules: what makes two of them the same, how many are told, and what is said of those that are not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from interlock.domain.alerts import (
    SEVERITY_OF,
    Alert,
    AlertLimits,
    AlertName,
    AlertSeverity,
    AlertSieve,
    HeldBy,
    alert_of,
    divergence_counts,
)
from interlock.domain.errors import Broken
from interlock.domain.findings import DiffType, Finding, FindingKind, Severity
from interlock.domain.instants import NS_PER_S

pytestmark = pytest.mark.spec("ALT-1")

LIMITS = AlertLimits(dedupe_window_s=100, rate_max=3, rate_window_s=50)


def an_alert(name: str = "ALERT_BROKER_LIMIT_MISMATCH", at_s: float = 0, **about: Any) -> Alert:
    """Return an alert of a run."""
    return alert_of(name, about, run_id="run-1", at_ns=round(at_s * NS_PER_S))


def a_trip(code: str, at_s: float = 0) -> Alert:
    """Return a critical alert."""
    return an_alert("ALERT_SAFETY_RAIL_TRIPPED", at_s, code=code)


def a_finding(kind: FindingKind, severity: Severity = Severity.FAIL) -> Finding:
    """Return a finding of a kind."""
    return Finding(kind, DiffType.ORDER, severity, "subject", "1", "2", "they differ")


# -- what an alert says -----------------------------------------------------------------------------------------


def test_facts_are_sorted_into_ids_counts_words_and_an_explanation() -> None:
    alert = an_alert(
        "ALERT_RECONCILE_DIVERGENCE",
        7,
        reconcile_id="rc-1",
        decision_id="d-1",
        findings=2,
        reason="they differ",
        detail="by much",
        price=Decimal("1.50"),
        open=True,
        nothing=None,
        run_id="of somebody else",
    )
    assert (alert.run_id, alert.reconcile_id, alert.decision_id) == ("run-1", "rc-1", "d-1")
    assert (alert.at_ns, alert.counts) == (7 * NS_PER_S, {"findings": 2})
    assert alert.about == {"price": "1.5", "open": "True"}
    assert alert.text == "they differ; by much"


def test_a_name_that_is_not_on_the_list_is_one_of_our_own_mistakes() -> None:
    with pytest.raises(Broken, match="no alert is named ALERT_OF_NOTHING"):
        an_alert("ALERT_OF_NOTHING")


def test_every_name_has_a_severity() -> None:
    assert list(SEVERITY_OF) == list(AlertName)
    critical = [name for name, severity in SEVERITY_OF.items() if severity is AlertSeverity.CRITICAL]
    assert critical == [AlertName.IDEMPOTENCY_PERSISTENCE_FAILED, AlertName.SAFETY_RAIL_TRIPPED]
    assert a_trip("overfill").severity is AlertSeverity.CRITICAL


def test_a_divergence_counts_stale_and_orphan_orders_and_positions_that_drifted_too_far() -> None:
    findings = [
        a_finding(FindingKind.STALE_LOCAL_ORDER),
        a_finding(FindingKind.STALE_LOCAL_ORDER),
        a_finding(FindingKind.ORPHAN_BROKER_ORDER),
        a_finding(FindingKind.POSITION_DRIFT, Severity.WARN),
        a_finding(FindingKind.POSITION_DRIFT, Severity.INFO),
        a_finding(FindingKind.CASH_MISMATCH),
    ]
    assert divergence_counts(findings) == {"stale": 2, "orphan": 1, "drift": 1}
    assert divergence_counts(()) == {"stale": 0, "orphan": 0, "drift": 0}


# -- when two are the same --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"symbol": "BTC/EUR", "decision_id": "d1"}, {"symbol": "BTC/EUR", "decision_id": "d2"}),
        ({"symbol": "BTC/EUR", "reconcile_id": "rc-1"}, {"symbol": "BTC/EUR", "reconcile_id": "rc-2"}),
        ({"symbol": "BTC/EUR", "reason": "so"}, {"symbol": "BTC/EUR", "reason": "or so"}),
        ({"symbol": "BTC/EUR", "client_order_id": "il-1"}, {"symbol": "BTC/EUR", "client_order_id": "il-2"}),
        ({"symbol": "BTC/EUR", "hits": 1}, {"symbol": "BTC/EUR", "hits": 2}),
    ],
)
def test_ids_explanations_and_counts_do_not_make_another_alert(one: dict[str, Any], other: dict[str, Any]) -> None:
    name = "ALERT_SLIPPAGE_PRESET_MISSING"
    assert an_alert(name, **one).key == an_alert(name, 5, **other).key


def test_what_it_is_about_makes_another_alert() -> None:
    name = "ALERT_SLIPPAGE_PRESET_MISSING"
    alerts = [an_alert(name, symbol=symbol, session=session) for symbol in "ab" for session in "cd"]
    alerts += [an_alert("ALERT_BROKER_LIMIT_MISMATCH", symbol="a", session="c"), an_alert(name)]
    assert len({alert.key for alert in alerts}) == 6


def test_a_divergence_that_grew_is_another_alert() -> None:
    name = "ALERT_RECONCILE_DIVERGENCE"
    before, same, more = (
        an_alert(name, reconcile_id=f"rc-{at_s}", orphan=orphan, stale=0) for at_s, orphan in enumerate((1, 1, 2))
    )
    assert before.key == same.key != more.key


# -- what is told -----------------------------------------------------------------------------------------------


def test_the_same_alert_is_held_back_for_the_window_and_counted() -> None:
    sieve = AlertSieve(LIMITS)
    judged = [sieve.judge(an_alert(at_s=at_s, limit="size")) for at_s in (0, 1, 99.999, 100, 101, 200)]
    assert [passage.held_by for passage in judged] == ["", "duplicate", "duplicate", "", "duplicate", ""]
    assert [passage.repeats for passage in judged] == [0, 0, 0, 2, 0, 1]
    assert judged[0].passes
    assert not judged[1].passes


def test_an_alert_that_goes_on_is_told_again_once_a_window_however_often_it_is_raised() -> None:
    sieve = AlertSieve(LIMITS)
    told = [at_s for at_s in range(1000) if sieve.judge(an_alert(at_s=at_s)).passes]
    assert told == list(range(0, 1000, 100))


def test_without_a_window_nothing_is_a_duplicate() -> None:
    sieve = AlertSieve(AlertLimits(dedupe_window_s=0, rate_max=100))
    assert all(sieve.judge(an_alert()).passes for _ in range(50))


def test_the_rate_is_capped_whatever_the_alerts_are_about_and_the_next_says_what_was_held() -> None:
    sieve = AlertSieve(LIMITS)
    flood = [sieve.judge(an_alert(at_s=1, limit=str(number))) for number in range(10)]
    assert [passage.passes for passage in flood] == [True] * 2 + [False] * 8
    assert {passage.held_by for passage in flood[2:]} == {HeldBy.RATE}
    later = sieve.judge(an_alert(at_s=51, limit="other"))
    assert (later.passes, later.held_back) == (True, 8)
    assert sieve.judge(an_alert(at_s=52, limit="another")).held_back == 0


def test_the_last_place_is_kept_for_a_critical_alert_and_even_those_are_capped() -> None:
    sieve = AlertSieve(LIMITS)
    for number in range(10):
        sieve.judge(an_alert(limit=str(number)))
    first, second = sieve.judge(a_trip("overfill", 1)), sieve.judge(a_trip("fill_conflict", 2))
    assert (first.passes, first.held_back) == (True, 8)
    assert second.held_by is HeldBy.RATE


def test_one_place_is_for_everybody() -> None:
    assert AlertSieve(AlertLimits(rate_max=1)).judge(an_alert()).passes


def test_what_the_cap_held_back_was_not_told_and_may_pass_within_its_window() -> None:
    sieve = AlertSieve(LIMITS)
    for number in range(3):
        sieve.judge(an_alert(limit=str(number)))
    assert sieve.judge(an_alert(at_s=60, limit="2")).passes


def test_the_keys_that_are_remembered_are_bounded() -> None:
    sieve = AlertSieve(AlertLimits(dedupe_window_s=1e6, rate_max=10_000, rate_window_s=1))
    for number in range(2_500):
        assert sieve.judge(an_alert(at_s=number, limit=str(number))).passes
    assert sieve.remembered == 1_000
    assert sieve.judge(an_alert(at_s=2_500, limit="2499")).held_by is HeldBy.DUPLICATE
    assert sieve.judge(an_alert(at_s=2_500, limit="0")).passes, "the oldest was forgotten, and is told again"


def test_keys_whose_window_is_over_make_room_first() -> None:
    sieve = AlertSieve(AlertLimits(dedupe_window_s=10, rate_max=10_000))
    for number in range(1_001):
        sieve.judge(an_alert(at_s=0 if number < 500 else 20, limit=str(number)))
    assert sieve.remembered == 501
