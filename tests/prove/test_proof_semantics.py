"""What each thing that a broker's log can hold does to a proof: applied, ignored, noted, or a finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from interlock.domain.broker import FeeCurrency
from interlock.domain.findings import FindingKind
from interlock.domain.intents import Side
from interlock.prove.notes import Notes
from interlock.prove.records import BrokerAccepted, BrokerCancelled, BrokerExpired, BrokerFill, BrokerRejected
from tests.proof_builders import proved, ran, report_of
from tools.proofs import healthy_day
from tools.stories import Story, key_of

Tell = Callable[[Story], object]

KEY = key_of("resting")
STRANGER = "somebody-else-1"


def fill_of(key: str, execution_id: str = "x-9", quantity: str = "1", price: str = "1.1") -> Tell:
    """Let the broker alone tell an execution of an order."""
    return lambda story: story.tell(
        BrokerFill,
        execution_id=execution_id,
        client_order_id=key,
        broker_order_id="b-9",
        symbol="EURUSD",
        side=Side.BUY,
        quantity=quantity,
        price=price,
        fee="0",
    )


def both(*tells: Tell) -> Tell:
    """Tell one thing after the other."""
    return lambda story: [tell(story) for tell in tells]


def accepted(key: str, quantity: str = "100000", symbol: str = "EURUSD", price: str | None = "1.095") -> Tell:
    """Let the broker accept an order."""
    return lambda story: story.tell(
        BrokerAccepted,
        client_order_id=key,
        broker_order_id="b-resting",
        symbol=symbol,
        side=Side.BUY,
        quantity=quantity,
        limit_price=price,
    )


def rejected(key: str) -> Tell:
    """Let the broker refuse an order."""
    return lambda story: story.tell(BrokerRejected, client_order_id=key, code="late", reason="")


@pytest.mark.parametrize(
    ("tell", "reasons"),
    [
        # an event for an order that never was
        (
            fill_of(STRANGER, quantity="1000"),
            ["orphan=1", "drift of EURUSD: 1000.0 units", "fill_missing_locally=1"],
        ),
        (lambda story: story.tell(BrokerCancelled, client_order_id=STRANGER, filled="0"), ["orphan=1"]),
        (rejected(STRANGER), ["orphan=1"]),
        (accepted(STRANGER), ["orphan=1"]),
        # contradictions of the broker's own log
        (accepted(KEY, quantity="7"), ["status_mismatch=1"]),
        (accepted(KEY, symbol="GBPUSD"), ["status_mismatch=1"]),
        (both(rejected(STRANGER), accepted(STRANGER)), ["orphan=1", "status_mismatch=1"]),
        (fill_of(KEY, "x-2"), ["fill_conflicting=1"]),
        (fill_of(key_of("buy"), "x-9"), ["fill_conflicting=1"]),
        (fill_of(KEY, quantity="100000.1"), ["fill_conflicting=1"]),
        (fill_of(key_of("sell")), ["fill_conflicting=1"]),
        (
            lambda story: [story.state_order(KEY, "50", limit_price="1.095"), story.state_order(KEY, "40")],
            ["partial_fill_mismatch=2", "status_mismatch=1"],
        ),
        (lambda story: story.end("resting", BrokerCancelled, "30"), ["partial_fill_mismatch=1"]),
        (lambda story: story.state_order(key_of("buy")), ["status_mismatch=1"]),
        # ends that only one side knows
        (lambda story: story.end("resting", BrokerExpired, "0", here=False), ["stale=1"]),
        (lambda story: story.end("resting", BrokerExpired, "0", there=False), ["status_mismatch=1"]),
        (lambda story: story.send("lost"), []),
        (lambda story: (story.send("lost"), story.reject("lost", here=False)), ["stale=1"]),
        (
            lambda story: (story.send("lost"), story.reject("lost", there=False), accepted(key_of("lost"))(story)),
            ["status_mismatch=1"],
        ),
        # fills that only one side knows
        (
            lambda story: story.fill("resting", "x-9", "5000", "1.095", there=False),
            ["drift of EURUSD: 5000.0 units", "fill_orphaned=1", "partial_fill_mismatch=1"],
        ),
        (
            both(
                lambda s: s.fill("resting", "x-9", "5", "1.09", here=False),
                lambda s: s.fill("resting", "x-9", "5", "1.08", there=False),
            ),
            ["fill_conflicting=1"],
        ),
        (
            lambda story: [story.fill("resting", "x-2", "5000", "1.095", there=False)],
            ["drift of EURUSD: 5000.0 units", "fill_conflicting=1", "partial_fill_mismatch=1"],
        ),
        (lambda story: story.state_position("1", symbol="GBPUSD"), ["drift of GBPUSD: 1.0 units"]),
    ],
)
def test_each_contradiction_is_its_own_finding(tell: Tell, reasons: list[str], tmp_path: Path) -> None:
    outcome = proved(tmp_path / "p", tell)
    assert [reason.partition(",")[0] for reason in outcome.reasons] == reasons


@pytest.mark.parametrize(
    ("tell", "noted"),
    [
        (lambda story: story.repeat(next(e for e in story.events if isinstance(e, BrokerAccepted))), {}),
        (lambda story: story.repeat(next(e for e in story.events if isinstance(e, BrokerCancelled))), {}),
        (rejected(KEY), {"reject_after_ack": 1}),
        (
            lambda story: [
                story.send("fast"),
                story.fill("fast", "x-9", "100000"),
                story.tell(
                    BrokerAccepted,
                    client_order_id=key_of("fast"),
                    broker_order_id="b-fast",
                    symbol="EURUSD",
                    side=Side.BUY,
                    quantity="100000",
                    limit_price="1.1001",
                ),
            ],
            {"fill_before_ack": 1},
        ),
        (
            lambda story: [story.end("resting", BrokerCancelled, "0"), story.fill("resting", "x-9", "100000", "1.09")],
            {"fill_after_end": 1},
        ),
        (
            lambda story: [
                story.state_order(KEY, "30", limit_price="1.095"),
                story.fill("resting", "x-9", "30", "1.09"),
            ],
            {},
        ),
    ],
)
def test_what_is_odd_and_changes_nothing_is_noted(tell: Tell, noted: dict[str, int], tmp_path: Path) -> None:
    outcome = proved(tmp_path / "p", tell)
    assert outcome.reasons == ()
    assert report_of(outcome)["noted"] == noted


def test_a_log_may_begin_in_the_middle_of_an_orders_life(tmp_path: Path) -> None:
    """Both sides state what was filled before, and go on from there."""
    story = Story()
    story.send("old", quantity="10")
    story.accept("old", there=False)
    story.fill("old", "x-0", "4", there=False)
    story.versions = [replace(story.versions[-1], seq=1, fill=None)]
    story.state_order(key_of("old"), "4", quantity="10")
    story.fill("old", "x-1", "6")
    outcome = ran(tmp_path / "p", story, more='opening: {positions: {EURUSD: "4"}}\n')
    assert outcome.reasons == ()
    assert report_of(outcome)["counts"]["executions_reconciled"] == 1


def test_the_broker_may_be_ahead_of_our_clock(tmp_path: Path) -> None:
    """Clocks differ: what the broker says of an order may carry a time before that of its sending."""
    story = healthy_day()
    story.events = [replace(event, ts=story.versions[0].ts) for event in story.events]
    assert ran(tmp_path / "p", story).reasons == ()


@pytest.mark.parametrize(("cash", "reasons"), [("945005", 0), ("945004.5", 0), ("945003.9", 1)])
def test_cash_is_compared_within_one_unit_where_both_sides_know_it(cash: str, reasons: int, tmp_path: Path) -> None:
    opening = 'opening: {cash: "1000000"}\n'
    outcome = proved(tmp_path / "p", lambda story: story.state_cash(cash), more=opening)
    assert [reason.partition(",")[0] for reason in outcome.reasons] == ["cash_mismatch=1"][:reasons]


def test_a_fee_in_the_base_currency_is_taken_from_the_position(tmp_path: Path) -> None:
    story = Story()
    story.send("buy", quantity="10")
    story.accept("buy")
    story.fill("buy", "x-1", "10", fee="1")
    fill, version = story.events[-1], story.versions[-1]
    assert version.fill is not None
    story.events[-1] = replace(fill, fee_currency=FeeCurrency.BASE)
    story.versions[-1] = replace(version, fill=replace(version.fill, fee_currency=FeeCurrency.BASE))
    story.state_position("9")
    assert ran(tmp_path / "p", story).summary == "reconcile_summary stale=0 orphan=0 drift=0.0 cache_ok=true"


def test_a_fill_without_a_preset_is_a_breach_where_there_are_presets(tmp_path: Path) -> None:
    presets = 'slippage_presets:\n  - {symbol: EURUSD, session: asia, max_slippage_pips: "1"}\n'
    outcome = proved(tmp_path / "p", lambda _: None, more=presets)
    [reason] = outcome.reasons
    assert reason.startswith("slippage=3, expected 0: fill x-1: no preset for EURUSD in session eu; ")


def test_more_findings_than_are_kept_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.prove.notes.KEPT_MAX", 2)
    monkeypatch.setattr("interlock.prove.report.KEPT_MAX", 2)
    outcome = proved(tmp_path / "p", lambda story: [fill_of(KEY, "x-2")(story) for _ in range(5)])
    assert report_of(outcome)["counts"]["findings_not_listed"] == 3
    assert len(outcome.reasons) == 1


def test_an_execution_that_was_refused_is_known_when_it_is_told_again(tmp_path: Path) -> None:
    too_large = fill_of(KEY, "x-9", "100001")
    outcome = proved(tmp_path / "p", both(too_large, too_large), "  duplicates: 1\n  findings: {fill_conflicting: 1}")
    assert outcome.as_expected


@pytest.mark.spec("PRF-2")
@pytest.mark.parametrize(
    ("tell", "tolerance"),
    [
        (lambda story: story.state_position("49000"), 'quantity_pct: "2.1"'),
        (lambda story: story.state_position("50000", "1.1001"), 'price_pips: "1.1"'),
    ],
)
def test_a_drift_counts_from_its_tolerance_on(tell: Tell, tolerance: str, tmp_path: Path) -> None:
    assert len(proved(tmp_path / "p", tell).reasons) == 1
    assert proved(tmp_path / "q", tell, more=f"tolerances: {{{tolerance}}}\n").as_expected


def test_contradictions_beyond_those_kept_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.prove.notes.KEPT_MAX", 2)
    notes = Notes()
    for number in range(5):
        notes.order(FindingKind.STATUS_MISMATCH, f"o-{number}", "told in two ways")
    assert (len(notes.findings), notes.left_out) == (2, 3)
