"""The Python API of reconciliation: the runbook's four scenarios and snippets, ledgers, snapshots, reports."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from interlock import (
    AuditLog,
    ExternalSnapshot,
    Fill,
    LedgerOrder,
    OrderLedger,
    PositionLedger,
    ReconciliationEngine,
    ReconDiff,
    Tolerances,
)
from interlock.domain.broker import BrokerStatus, FeeCurrency
from interlock.domain.errors import BadInput, InvariantBroken, OutcomeUnknown
from interlock.domain.ids import canonical_json
from interlock.domain.intents import Side

pytestmark = pytest.mark.spec("DIF-8")

NOON = "2026-01-01T12:00:00Z"


def a_fill(fill_id: str = "f1", symbol: str = "BTC/EUR", quantity: str = "0.1", **wanted: Any) -> Fill:
    """Return a buy at 100 without a fee."""
    content = {
        "fill_id": fill_id,
        "client_order_id": f"o-{fill_id}",
        "exchange_order_id": f"x-{fill_id}",
        "symbol": symbol,
        "side": "BUY",
        "quantity": Decimal(quantity),
        "price": Decimal(100),
        "fee": Decimal(0),
    }
    return Fill.model_validate(content | wanted)


def an_order(key: str = "o1", **wanted: Any) -> LedgerOrder:
    """Return an open order to buy 2 BTC/EUR at 100."""
    content = {"client_order_id": key, "symbol": "BTC/EUR", "side": "BUY", "quantity": "2", "limit_price": "100"}
    return LedgerOrder.model_validate(content | wanted)


def a_ledger(**held: str) -> PositionLedger:
    """Return a ledger with 10,000 before it bought ``BTC="0.1"`` and the like, each against EUR at 100."""
    ledger = PositionLedger(initial_cash=Decimal(10_000))
    for name, quantity in held.items():
        ledger.apply_fill(a_fill(name, f"{name}/EUR", quantity))
    return ledger


def a_snapshot(positions: dict[str, str] | None = None, cash: str | None = None, **wanted: Any) -> ExternalSnapshot:
    """Return what the outside says at noon."""
    content = {"timestamp": NOON, "positions": positions or {}, "cash_balance": cash}
    return ExternalSnapshot.model_validate(content | wanted)


def an_engine(ledger: PositionLedger | None = None, *orders: LedgerOrder, **more: Any) -> ReconciliationEngine:
    """Return an engine over a ledger and orders."""
    book = OrderLedger()
    for order in orders:
        book.add_order(order)
    return ReconciliationEngine(ledger or a_ledger(), book, **more)


# -- the runbook --------------------------------------------------------------------------------------------


@pytest.mark.spec("DIF-2")
@pytest.mark.parametrize(
    ("name", "internal", "external", "severity", "delta", "percent"),
    [
        ("BTC", "0.1", "0.0995", "WARN", "0.0005", "0.5"),
        ("ETH", "1.0", "0.95", "FAIL", "0.05", "5"),
    ],
)
def test_scenarios_1_and_2_a_position_differs(
    name: str, internal: str, external: str, severity: str, delta: str, percent: str
) -> None:
    engine = an_engine(a_ledger(**{name: internal}))
    [diff] = engine.reconcile(a_snapshot({f"{name}/EUR": external}))
    assert (diff.diff_type, diff.severity, diff.symbol) == ("POSITION", severity, f"{name}/EUR")
    assert (diff.internal, diff.external) == (Decimal(internal), Decimal(external))
    assert (diff.delta, diff.drift_pct) == (Decimal(delta), Decimal(percent))


@pytest.mark.spec("DIF-3")
def test_scenario_3_cash_differs_by_5() -> None:
    engine = an_engine(PositionLedger(initial_cash=Decimal("5000.00")))
    [diff] = engine.reconcile(a_snapshot(cash="4995.00"))
    assert (diff.diff_type, diff.severity, diff.delta, diff.symbol) == ("CASH", "FAIL", Decimal(5), None)


@pytest.mark.spec("DIF-2", "DIF-5")
def test_scenario_4_many_small_differences_are_info() -> None:
    names = [f"C{number:02}" for number in range(15)]
    engine = an_engine(a_ledger(**dict.fromkeys(names, "1")))
    diffs = engine.reconcile(a_snapshot({f"{name}/EUR": "1.0005" for name in names}))
    summary = engine.create_summary(diffs=diffs, session_id="s", strategy_id="t", top_n=10)
    assert (summary.total_diffs, summary.counts_by_severity) == (15, {"INFO": 15})
    assert (summary.max_severity, summary.has_fail, summary.has_critical) == ("INFO", False, False)
    assert (len(summary.top_diffs), len(summary.diffs)) == (10, 15)


@pytest.mark.spec("DIF-5", "DIF-6")
def test_the_snippets_of_the_runbook_work_as_they_stand() -> None:
    position_ledger, order_ledger = a_ledger(BTC="0.1", ETH="1"), OrderLedger()
    told = a_snapshot({"BTC/EUR": "0.0995", "ETH/EUR": "0.95"})

    class Broker:
        def snapshot(self) -> ExternalSnapshot:
            return told

    recon_engine = ReconciliationEngine(position_ledger, order_ledger, Broker())
    audit_log = AuditLog()
    diffs = recon_engine.reconcile()
    summary = recon_engine.create_summary(diffs=diffs, session_id="manual_check_01", strategy_id="debug", top_n=10)
    audit_log.append_recon_summary(summary)
    assert '"total_diffs":2' in summary.to_json()

    told_summaries = [
        f"Run: {entry.details['run_id']}, "
        f"Max Severity: {entry.details['max_severity']}, "
        f"Total Diffs: {entry.details['total_diffs']}"
        for entry in audit_log.get_entries_by_event_type("RECON_SUMMARY")
    ]
    assert told_summaries == [f"Run: {summary.run_id}, Max Severity: FAIL, Total Diffs: 2"]
    told_diffs = [
        (entry.details["diff_type"], entry.details["severity"], entry.details["description"])
        for entry in audit_log.get_all_entries()
        if entry.event_type == "RECON_DIFF" and entry.details.get("run_id") == summary.run_id
    ]
    assert told_diffs == [
        ("POSITION", "FAIL", "position ETH/EUR: we hold 1, the broker says 0.95"),
        ("POSITION", "WARN", "position BTC/EUR: we hold 0.1, the broker says 0.0995"),
    ]


# -- reconciling --------------------------------------------------------------------------------------------


def test_diffs_come_by_symbol_then_cash_orders_and_fills() -> None:
    engine = an_engine(a_ledger(ETH="1", BTC="1"), an_order("mine"))
    snapshot = a_snapshot(
        {"ADA/EUR": "3"},
        "1",
        open_orders=[an_order("theirs")],
        fills=[a_fill("new"), a_fill("ETH", "ETH/EUR", "1"), a_fill("BTC", "BTC/EUR", "1")],
    )
    told = [(diff.diff_type, diff.details["subject"]) for diff in engine.reconcile(snapshot)]
    assert told == [
        ("POSITION", "ADA/EUR"),
        ("POSITION", "BTC/EUR"),
        ("POSITION", "ETH/EUR"),
        ("CASH", "cash"),
        ("ORDER", "mine"),
        ("ORDER", "theirs"),
        ("FILL", "new"),
    ]


def test_equal_sides_differ_in_nothing() -> None:
    order = an_order(filled="1", exchange_order_id="x1")
    engine = an_engine(a_ledger(BTC="1"), order, an_order("done", status="FILLED", filled="2"))
    snapshot = a_snapshot({"BTC/EUR": "1"}, "9900", open_orders=[order], fills=[a_fill("BTC", "BTC/EUR", "1")])
    assert engine.reconcile(snapshot) == []
    summary = engine.create_summary(session_id="s", strategy_id="t")
    assert (summary.total_diffs, summary.max_severity, summary.diffs) == (0, None, ())


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        ([an_order()], [], "stale_local_order"),
        ([], [an_order()], "orphan_broker_order"),
        ([an_order(status="CANCELLED")], [an_order()], "cancel_race"),
        ([an_order(status="FILLED", filled="2")], [an_order(filled="1")], "status_mismatch"),
        ([an_order(status="EXPIRED")], [an_order()], "status_mismatch"),
        ([an_order(status="REJECTED")], [an_order()], "status_mismatch"),
        ([an_order()], [an_order(limit_price="101")], "status_mismatch"),
        ([an_order()], [an_order(limit_price=None)], "status_mismatch"),
        ([an_order(filled="1")], [an_order(filled="1.5")], "partial_fill_mismatch"),
    ],
)
def test_orders_are_judged_as_in_a_session(here: list[LedgerOrder], there: list[LedgerOrder], kind: str) -> None:
    [diff] = an_engine(None, *here).reconcile(a_snapshot(open_orders=there))
    assert (diff.diff_type, diff.severity, diff.details["kind"]) == ("ORDER", "FAIL", kind)
    assert diff.client_order_id == "o1"


def test_fills_are_listed_all_or_not_at_all() -> None:
    ledger = a_ledger(BTC="1", ETH="1")
    positions = {"BTC/EUR": "1", "ETH/EUR": "1"}
    assert an_engine(ledger).reconcile(a_snapshot(positions, fills=[])) == []
    [orphan] = an_engine(ledger).reconcile(a_snapshot(positions, fills=[a_fill("BTC", "BTC/EUR", "1")]))
    assert (orphan.details["kind"], orphan.details["subject"]) == ("fill_orphaned", "ETH")
    other = a_fill("BTC", "BTC/EUR", "1", price="99")
    [conflict] = an_engine(a_ledger(BTC="1")).reconcile(a_snapshot({"BTC/EUR": "1"}, fills=[other]))
    assert conflict.details["kind"] == "fill_conflicting"


def test_without_a_snapshot_the_broker_is_asked_and_without_one_that_is_said() -> None:
    with pytest.raises(BadInput, match=r"^external_snapshot: is missing, and there is no broker to ask for one"):
        an_engine().reconcile()

    class Away:
        def snapshot(self) -> ExternalSnapshot:
            message = "no answer"
            raise OutcomeUnknown(message)

    engine = an_engine(broker=Away())
    with pytest.raises(OutcomeUnknown):
        engine.reconcile(None)
    with pytest.raises(BadInput, match="nothing was reconciled yet"):
        engine.create_summary()


def test_the_time_is_that_of_the_snapshot_unless_another_is_given() -> None:
    engine = an_engine(a_ledger(BTC="1"))
    later = datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert engine.reconcile(a_snapshot())[0].timestamp == "2026-01-01T12:00:00.000000000Z"
    assert engine.reconcile(a_snapshot(), as_of_time=later)[0].timestamp == "2026-01-01T13:00:00.000000000Z"
    assert engine.create_summary().timestamp == "2026-01-01T13:00:00.000000000Z"
    assert engine.reconcile(a_snapshot(), "2026-01-01T15:00:00+01:00")[0].timestamp.startswith("2026-01-01T14:")
    with pytest.raises(BadInput, match=r"^time: must name its zone"):
        engine.reconcile(a_snapshot(), as_of_time=later.replace(tzinfo=None))


def test_the_same_sides_give_the_same_bytes_and_two_runs_have_two_ids() -> None:
    def told() -> list[bytes]:
        engine = an_engine(a_ledger(BTC="1"), an_order())
        runs = []
        for _ in range(2):
            engine.reconcile(a_snapshot())
            runs.append(canonical_json(engine.create_summary()))
        return runs

    first, second = told()
    assert told() == [first, second] != [first, first]


@pytest.mark.spec("DIF-2")
def test_tolerances_can_be_set() -> None:
    strict = Tolerances(drift_fail_pct=Decimal("0.2"))
    [diff] = an_engine(a_ledger(BTC="0.1"), tolerances=strict).reconcile(a_snapshot({"BTC/EUR": "0.0995"}))
    assert diff.severity == "FAIL"


# -- summaries and reports ----------------------------------------------------------------------------------


@pytest.mark.spec("DIF-5")
def test_a_summary_can_be_made_of_some_diffs_and_of_those_of_another_engine() -> None:
    engine = an_engine(a_ledger(BTC="1", ETH="1"))
    diffs = engine.reconcile(a_snapshot({"ETH/EUR": "0.995"}))
    some = engine.create_summary(diffs=diffs[:1])
    assert (some.total_diffs, some.run_id) == (1, engine.create_summary().run_id)
    elsewhere = an_engine().create_summary(diffs=diffs)
    assert (elsewhere.total_diffs, elsewhere.timestamp) == (2, diffs[0].timestamp)
    assert engine.create_summary(diffs=[]).total_diffs == 0


@pytest.mark.parametrize("top_n", [-1, 101])
def test_a_top_out_of_range_is_refused(top_n: int) -> None:
    engine = an_engine()
    engine.reconcile(a_snapshot())
    with pytest.raises(BadInput, match=rf"^top_n: is {top_n} \(allowed: 0 to 100\)$"):
        engine.create_summary(top_n=top_n)


def test_a_report_shows_both_sides_and_what_is_to_be_done() -> None:
    engine = an_engine(a_ledger(BTC="1"), an_order())
    with pytest.raises(BadInput, match="nothing was reconciled yet"):
        engine.export_reconciliation_report()
    engine.reconcile(a_snapshot({"BTC/EUR": "0.9"}, "9900", open_orders=[an_order()]))
    report = engine.export_reconciliation_report()
    assert report["escalation"] == {"now": "stop trading", "follow_up": "immediate incident response"}
    assert (report["total_diffs"], report["max_severity"]) == (1, "FAIL")
    assert [diff["delta"] for diff in report["diffs"]] == ["0.1"]
    assert report["internal"]["positions"] == {"BTC/EUR": "1"}
    assert [order["client_order_id"] for order in report["internal"]["open_orders"]] == ["o1"]
    assert report["external"]["cash_balance"] == "9900"
    assert canonical_json(report)
    assert engine.export_reconciliation_report(diffs=[], as_of_time=NOON)["escalation"] is None


# -- ledgers ------------------------------------------------------------------------------------------------


def test_a_ledger_adds_up_fills_and_takes_each_once() -> None:
    ledger = PositionLedger(initial_cash=Decimal(1000))
    buy = a_fill("f1", quantity="2", fee="1")
    assert ledger.apply_fill(buy)
    assert not ledger.apply_fill(buy)
    assert ledger.apply_fill(a_fill("f2", quantity="1", side=Side.SELL, price="110", fee="1"))
    position = ledger.get_position("BTC/EUR")
    assert (position.quantity, position.average_price, position.realised) == (Decimal(1), Decimal(100), Decimal(10))
    assert ledger.get_cash_balance() == Decimal(1000 - 201 + 109)
    assert ledger.apply_fill(a_fill("f3", quantity="1", fee="0.01", fee_currency=FeeCurrency.BASE))
    assert ledger.get_position("BTC/EUR").quantity == Decimal("1.99")
    assert ledger.get_cash_balance() == Decimal(1000 - 201 + 109 - 100)
    assert ledger.get_position("never").quantity == 0
    assert list(a_ledger(ETH="1", ADA="2").get_all_positions()) == ["ADA/EUR", "ETH/EUR"]


def test_a_known_fill_with_other_content_is_refused_and_changes_nothing() -> None:
    ledger = a_ledger(BTC="1")
    before = ledger.get_all_positions(), ledger.get_cash_balance()
    with pytest.raises(InvariantBroken, match="fill_conflict"):
        ledger.apply_fill(a_fill("BTC", "BTC/EUR", "2"))
    assert (ledger.get_all_positions(), ledger.get_cash_balance()) == before


def test_an_order_is_added_once_and_followed_to_its_end() -> None:
    book = OrderLedger()
    assert book.add_order(an_order("b"))
    assert not book.add_order(an_order("b"))
    assert book.add_order(an_order("a"))
    with pytest.raises(InvariantBroken, match="order_conflict"):
        book.add_order(an_order("b", quantity="3"))
    assert [order.client_order_id for order in book.get_open_orders()] == ["a", "b"]
    assert book.update_order("a", filled=Decimal(1)).filled == 1
    book.update_order("b", status=BrokerStatus.CANCELLED)
    assert [order.client_order_id for order in book.get_open_orders()] == ["a"]
    assert [order.status for order in book.get_all_orders()] == ["OPEN", "CANCELLED"]
    with pytest.raises(BadInput, match="no order 'c' in this ledger"):
        book.update_order("c", status="CANCELLED")
    with pytest.raises(ValidationError, match="above the quantity"):
        book.update_order("a", filled=Decimal(3))


# -- doors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 0.1},
        {"quantity": "0"},
        {"quantity": "-1"},
        {"price": Decimal("NaN")},
        {"fee": 0.5},
        {"side": "HOLD"},
        {"fill_id": ""},
        {"symbol": "x" * 65},
        {"colour": "red"},
    ],
)
def test_a_fill_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_fill(**{"fill_id": "f", **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"timestamp": "2026-01-01T12:00:00"},
        {"timestamp": "noon"},
        {"positions": {"BTC/EUR": 0.1}},
        {"cash_balance": "1e3"},
        {"open_orders": [an_order(status="CANCELLED")]},
        {"fills": ["f1"]},
    ],
)
def test_a_snapshot_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_snapshot(**wrong)


def test_lists_and_times_of_any_zone_are_taken() -> None:
    when = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert ExternalSnapshot(timestamp=when, positions={}, open_orders=(), fills=(), cash_balance=None) == a_snapshot()
    assert a_snapshot(timestamp="2026-01-01T13:00:00+01:00").timestamp - when == timedelta(0)


@pytest.mark.parametrize("wrong", [0.5, "NaN", "1_000", None])
def test_cash_that_is_no_number_is_refused_in_one_line(wrong: Any) -> None:
    with pytest.raises(BadInput, match=r"^initial_cash: ") as caught:
        PositionLedger(initial_cash=wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.spec("DIF-1")
def test_a_diff_has_every_field_of_the_runbook() -> None:
    [diff] = an_engine(a_ledger(BTC="1")).reconcile(a_snapshot())
    assert isinstance(diff, ReconDiff)
    assert re.fullmatch(r"rd-[0-9a-f]{16}", diff.diff_id)
    assert (diff.resolved, diff.resolution_action, diff.client_order_id) == (False, None, None)
    assert diff.drift_pct == Decimal(100)
