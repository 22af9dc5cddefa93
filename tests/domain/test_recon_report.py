"""Diffs and summaries say what the runbook prints, in the same bytes each time, and the matrix says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.findings import Finding, Severity
from interlock.domain.instants import rfc3339
from interlock.domain.recon_report import (
    DEFAULT_ESCALATION,
    EscalationRow,
    ReconDiff,
    ReconSummary,
    diffs_of,
    escalation,
    summarize,
)
from interlock.domain.reconcile import position_finding
from tests.domain_builders import a_broker_order, a_fill, a_snapshot, a_view, differences

NOW_NS = 1_767_268_800 * 10**9
"""Noon of the first of January 2026."""


def summary_of(diffs: Iterable[ReconDiff], top_n: int = 10) -> ReconSummary:
    """Return the summary of one reconcile."""
    return summarize(diffs, run_id="rc-1", now_ns=NOW_NS, session_id="s1", strategy_id="ma", top_n=top_n)


def drifts(**counts: int) -> tuple[ReconDiff, ...]:
    """Return so many position diffs of each severity."""
    there = {"INFO": "999.5", "WARN": "995", "FAIL": "900"}
    found: list[Finding] = []
    for severity, count in counts.items():
        for number in range(count):
            finding = position_finding(f"{severity}-{number}", Decimal(1000), Decimal(there.get(severity, "900")))
            assert finding is not None
            found.append(msgspec.structs.replace(finding, severity=Severity(severity)))
    return diffs_of(found, "rc-1", NOW_NS)


# -- the runbook ------------------------------------------------------------------------------------------------


@pytest.mark.spec("DIF-1", "DIF-2", "DIF-3")
@pytest.mark.parametrize(
    ("ours", "theirs", "printed"),
    [
        (({"BTC/EUR": "0.1"},), ({"BTC/EUR": "0.0995"},), ("WARN", "POSITION", "BTC/EUR", "0.0005", "0.5")),
        (({"ETH/EUR": "1.0"},), ({"ETH/EUR": "0.95"},), ("FAIL", "POSITION", "ETH/EUR", "0.05", "5")),
        (({}, "5000.00"), ({}, "4995.00"), ("FAIL", "CASH", None, "5", "0.1")),
    ],
    ids=["scenario 1", "scenario 2", "scenario 3"],
)
def test_the_scenarios_of_the_runbook_give_what_it_prints(
    ours: tuple[dict[str, str]], theirs: tuple[dict[str, str]], printed: tuple[str | None, ...]
) -> None:
    [diff] = diffs_of(differences(a_view(*ours), a_snapshot(*theirs)), "rc-1", NOW_NS)
    told = (diff.severity, diff.diff_type, diff.symbol, str(diff.delta), str(diff.drift_pct))
    assert told == printed


@pytest.mark.spec("DIF-2", "DIF-5", "DIF-7")
def test_many_small_drifts_are_fifteen_notes_and_no_stop() -> None:
    """The fourth scenario of the runbook."""
    ours, theirs = ({f"S{n}": quantity for n in range(15)} for quantity in ("1000", "999.5"))
    summary = summary_of(diffs_of(differences(a_view(ours), a_snapshot(theirs)), "rc-1", NOW_NS))
    assert (summary.total_diffs, summary.counts_by_severity, summary.max_severity) == (15, {"INFO": 15}, "INFO")
    assert (summary.has_fail, summary.has_critical, len(summary.top_diffs), len(summary.diffs)) == (
        False,
        False,
        10,
        15,
    )
    row = escalation(summary)
    assert row is not None
    assert not row.stop_trading


# -- diffs ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("DIF-1")
def test_a_diff_has_every_field_that_the_runbook_names() -> None:
    [finding] = differences(a_view({"ETH/EUR": "1.0"}), a_snapshot({"ETH/EUR": "0.95"}))
    [diff] = diffs_of((finding,), "rc-1", NOW_NS)
    assert msgspec.to_builtins(diff) == {
        "schema": "ReconDiff/1",
        "diff_id": diff.diff_id,
        "timestamp": "2026-01-01T12:00:00.000000000Z",
        "diff_type": "POSITION",
        "severity": "FAIL",
        "symbol": "ETH/EUR",
        "internal": "1",
        "external": "0.95",
        "delta": "0.05",
        "drift_pct": "5",
        "client_order_id": None,
        "description": "position ETH/EUR: we hold 1, the broker says 0.95",
        "details": {"kind": "position_drift", "subject": "ETH/EUR"},
        "resolved": False,
        "resolution_action": None,
    }
    assert isinstance(diff.internal, Decimal)


@pytest.mark.spec("DIF-1")
def test_orders_and_fills_are_told_in_words() -> None:
    theirs = a_snapshot(orders=(a_broker_order(),), fills=(a_fill(),))
    order, fill = diffs_of(differences(a_view(), theirs), "rc-1", NOW_NS)
    assert (order.diff_type, order.internal, order.external) == ("ORDER", "none", "OPEN 0/10 at 100")
    assert (fill.diff_type, fill.internal, fill.external) == ("FILL", "none", "BUY 1 BTC/EUR at 100")
    assert {(diff.client_order_id, diff.delta, diff.drift_pct) for diff in (order, fill)} == {("o1", None, None)}


@pytest.mark.spec("DIF-1")
def test_a_delta_is_absolute_and_a_drift_has_four_digits() -> None:
    found = differences(a_view({"A": "1", "B": "3"}), a_snapshot({"A": "3", "B": "1"}))
    first, second = diffs_of(found, "rc-1", NOW_NS)
    assert (str(first.delta), str(first.drift_pct)) == ("2", "200")
    assert (str(second.delta), str(second.drift_pct)) == ("2", "66.6667")


@pytest.mark.spec("DIF-1", "REC-4")
def test_dust_against_a_whole_position_is_told_like_any_drift() -> None:
    """The percentage has more digits than decimals usually carry."""
    dust, whole = Decimal("0.000000000000000001"), Decimal(9_999_999_999)
    finding = position_finding("A", dust, whole)
    assert finding is not None
    [diff] = diffs_of((finding,), "rc-1", NOW_NS)
    assert diff.drift_pct is not None
    assert diff.drift_pct > Decimal("9.99e29")


@pytest.mark.spec("DIF-1", "REC-4")
def test_average_prices_that_differ_are_told_in_pips() -> None:
    finding = position_finding("A", Decimal(1), Decimal(1), pips=Decimal("0.70"))
    assert finding is not None
    [diff] = diffs_of((finding,), "rc-1", NOW_NS)
    assert diff.details["drift_pips"] == "0.7"


@pytest.mark.spec("DIF-1", "REC-9")
def test_a_diff_that_was_resolved_names_the_action() -> None:
    found = differences(a_view({"A": "1", "B": "1"}), a_snapshot())
    first, second = diffs_of(found, "rc-1", NOW_NS, {found[1]: "ask_order"})
    assert (first.resolved, first.resolution_action) == (False, None)
    assert (second.resolved, second.resolution_action) == (True, "ask_order")


@pytest.mark.spec("DIF-1")
def test_diff_ids_depend_on_the_reconcile_and_on_what_was_found() -> None:
    """The same reconcile made again has the same ids; another one, or another amount, has others."""
    found = differences(a_view({"A": "1", "B": "1"}, "9"), a_snapshot({"A": "2"}, "8", fills=(a_fill(),)))
    ids = [diff.diff_id for diff in diffs_of(found, "rc-1", NOW_NS)]
    assert ids == [diff.diff_id for diff in diffs_of(found, "rc-1", NOW_NS + 1)]
    others = [diff.diff_id for diff in diffs_of(found, "rc-2", NOW_NS)]
    moved = [diff.diff_id for diff in diffs_of(differences(a_view({"A": "1"}), a_snapshot({"A": "3"})), "rc-1", NOW_NS)]
    assert len({*ids, *others, *moved}) == 2 * len(found) + 1


# -- summaries --------------------------------------------------------------------------------------------------


@pytest.mark.spec("DIF-5", "DIF-11")
def test_a_summary_counts_by_severity_and_by_type() -> None:
    found = differences(
        a_view({"A": "1000", "B": "1000", "C": "1000"}, "100"),
        a_snapshot({"A": "995", "B": "995", "C": "1000"}, "50", fills=(a_fill(),)),
    )
    summary = summary_of(diffs_of(found, "rc-1", NOW_NS))
    assert (summary.run_id, summary.session_id, summary.strategy_id) == ("rc-1", "s1", "ma")
    assert summary.timestamp == rfc3339(NOW_NS)
    assert (summary.total_diffs, len(summary.diffs)) == (4, 4)
    assert summary.counts_by_severity == {"WARN": 2, "FAIL": 2}
    assert summary.counts_by_type == {"POSITION": 2, "CASH": 1, "FILL": 1}
    assert (summary.has_critical, summary.has_fail, summary.max_severity) == (False, True, "FAIL")


@pytest.mark.spec("DIF-5")
def test_a_clean_reconcile_has_an_empty_summary() -> None:
    summary = summary_of(())
    assert (summary.total_diffs, summary.counts_by_severity, summary.counts_by_type) == (0, {}, {})
    assert (summary.top_diffs, summary.max_severity) == ((), None)
    assert not summary.has_fail
    assert not summary.has_critical


@pytest.mark.spec("DIF-5")
def test_a_critical_diff_is_flagged_apart_from_a_failure() -> None:
    summary = summary_of(drifts(CRITICAL=1))
    assert (summary.has_critical, summary.has_fail, summary.max_severity) == (True, False, "CRITICAL")


@pytest.mark.spec("DIF-5", "DIF-6")
def test_the_top_diffs_are_the_worst_then_the_earliest_then_by_id() -> None:
    first, second = drifts(WARN=2)
    early = msgspec.structs.replace(second, timestamp=rfc3339(NOW_NS - 1), diff_id="rd-z")
    fails = sorted(drifts(FAIL=3), key=lambda diff: diff.diff_id)
    [critical] = drifts(CRITICAL=1)
    summary = summary_of((*drifts(INFO=1), first, *fails[::-1], early, critical), top_n=6)
    assert summary.top_diffs == (critical, *fails, early, first)
    assert summary.total_diffs == 7


@pytest.mark.spec("DIF-6", "DIF-11")
@pytest.mark.parametrize(("top_n", "shown"), [(0, 0), (1, 1), (14, 14), (15, 15), (16, 15)])
def test_the_top_list_is_cut_and_every_diff_stays_readable(top_n: int, shown: int) -> None:
    diffs = drifts(WARN=15)
    summary = summary_of(diffs, top_n)
    assert len(summary.top_diffs) == shown
    assert summary.diffs == diffs
    assert len(json.loads(summary.to_json())["diffs"]) == 15


@pytest.mark.spec("DIF-5")
def test_equal_summaries_are_equal_bytes_however_their_numbers_were_written() -> None:
    """Made twice, from sides that list things in another order and write numbers in another way."""
    texts = [
        summary_of(diffs_of(differences(a_view(ours, cash), a_snapshot({"A": "0.5"})), "rc-1", NOW_NS)).to_json()
        for ours, cash in (({"A": "1.0", "B": "2"}, "7"), ({"B": "2.00", "A": "1"}, "7.0"))
    ]
    assert texts[0] == texts[1]
    read = json.loads(texts[0])
    assert (read["schema"], read["run_id"], read["diffs"][0]["delta"]) == ("ReconSummary/1", "rc-1", "0.5")
    assert json.dumps(read, sort_keys=True, separators=(",", ":")) == texts[0]


@given(st.permutations(drifts(INFO=2, WARN=2, FAIL=2)))
def test_counts_and_top_diffs_do_not_depend_on_the_order_of_the_diffs(diffs: list[ReconDiff]) -> None:
    here, there = summary_of(diffs), summary_of(drifts(INFO=2, WARN=2, FAIL=2))
    assert here.top_diffs == there.top_diffs
    assert here.counts_by_severity == there.counts_by_severity


# -- escalation -------------------------------------------------------------------------------------------------


@pytest.mark.spec("DIF-7")
@pytest.mark.parametrize(
    ("counts", "now", "follow_up"),
    [
        ({"INFO": 1}, "none", "monitoring"),
        ({"INFO": 9}, "none", "monitoring"),
        ({"INFO": 10}, "note", "monitoring"),
        ({"INFO": 11}, "note", "monitoring"),
        ({"INFO": 50}, "note", "monitoring"),
        ({"INFO": 51}, "trend review", "tolerance review"),
        ({"WARN": 1}, "log review", "incident if they pile up"),
        ({"WARN": 3}, "log review", "incident if they pile up"),
        ({"WARN": 4}, "log review", "incident if it repeats"),
        ({"WARN": 5}, "log review", "incident if it repeats"),
        ({"WARN": 6}, "pause trading (option)", "incident report"),
        ({"WARN": 2, "INFO": 60}, "log review", "incident if they pile up"),
        ({"FAIL": 1}, "stop trading", "immediate incident response"),
        ({"FAIL": 1, "WARN": 9}, "stop trading", "immediate incident response"),
        ({"CRITICAL": 1}, "stop trading", "immediate incident response"),
    ],
    ids=str,
)
def test_the_matrix_says_what_to_do_at_once_and_after(counts: dict[str, int], now: str, follow_up: str) -> None:
    row = escalation(summary_of(drifts(**counts)))
    assert row is not None
    assert (row.now, row.follow_up) == (now, follow_up)
    assert row.stop_trading == bool({"FAIL", "CRITICAL"} & {*counts})
    assert row.pause_trading == (counts.get("WARN", 0) > 5 and not row.stop_trading)
    assert row.incident == (row.stop_trading or row.pause_trading)


@pytest.mark.spec("DIF-7")
def test_nothing_found_calls_for_nothing() -> None:
    assert escalation(summary_of(())) is None


@pytest.mark.spec("DIF-7")
def test_the_matrix_is_data_and_another_may_take_its_place() -> None:
    strict = (EscalationRow(Severity.INFO, 1, "stop trading", "call", stop_trading=True),)
    assert escalation(summary_of(drifts(INFO=1)), strict) == strict[0]
    assert escalation(summary_of(drifts(WARN=1)), strict) is None
    read = msgspec.json.decode(msgspec.json.encode(DEFAULT_ESCALATION), type=tuple[EscalationRow, ...])
    assert read == DEFAULT_ESCALATION
