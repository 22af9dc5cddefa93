"""What differs is found and listed in fixed order; only what stays the same for two looks is a divergence."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.domain.broker import PositionLine
from interlock.domain.findings import DiffType, Finding, FindingKind, Severity, Tolerances
from interlock.domain.ledgers import Position
from interlock.domain.order_states import OrderState
from interlock.domain.reconcile import (
    LocalView,
    ReconcileReport,
    ReconcileResult,
    is_stale,
    position_finding,
    survivors,
)
from tests.domain_builders import BTC, a_broker_order, a_fill, a_snapshot, a_view, an_order, differences

PIPS = Tolerances(pip_sizes={BTC: Decimal("0.01")})


def drift(internal: str, external: str, pips: str | None = None) -> Finding:
    """Return the finding of two positions that differ."""
    apart = None if pips is None else Decimal(pips)
    finding = position_finding(BTC, Decimal(internal), Decimal(external), pips=apart)
    assert finding is not None
    return finding


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    """Return kind and subject of each finding."""
    return [f"{finding.kind} {finding.subject}" for finding in findings]


# -- positions and cash -----------------------------------------------------------------------------------------


@pytest.mark.spec("REC-4", "DIF-2")
@pytest.mark.parametrize(
    ("internal", "external", "pct", "severity"),
    [
        ("0.1", "0.0995", "0.5", Severity.WARN),
        ("1.0", "0.95", "5", Severity.FAIL),
        ("1000", "999.001", "0.0999", Severity.INFO),
        ("1000", "999", "0.1", Severity.WARN),
        ("1000", "998.999", "0.1001", Severity.WARN),
        ("1000", "990.001", "0.9999", Severity.WARN),
        ("1000", "990", "1", Severity.WARN),
        ("1000", "1010", "1", Severity.WARN),
        ("1000", "989.999", "1.0001", Severity.FAIL),
        ("1000", "1010.001", "1.0001", Severity.FAIL),
        ("-1000", "-999", "0.1", Severity.WARN),
        ("-1", "1", "200", Severity.FAIL),
        ("0", "5", "100", Severity.FAIL),
        ("5", "0", "100", Severity.FAIL),
    ],
)
def test_a_position_drift_is_told_in_units_and_in_percent(
    internal: str, external: str, pct: str, severity: Severity
) -> None:
    finding = drift(internal, external)
    assert (finding.kind, finding.diff_type, finding.severity) == ("position_drift", DiffType.POSITION, severity)
    assert finding.drift_pct == Decimal(pct)
    assert finding.delta == Decimal(internal) - Decimal(external)
    assert finding.drift_pips is None
    assert (finding.subject, finding.symbol, finding.client_order_id) == (BTC, BTC, None)


@pytest.mark.spec("REC-4", "DIF-2")
def test_equal_positions_are_no_finding_however_they_are_written() -> None:
    assert position_finding(BTC, Decimal("1.0"), Decimal(1)) is None
    assert position_finding(BTC, Decimal(1), Decimal(1), pips=Decimal(0)) is None


@pytest.mark.spec("REC-4")
@pytest.mark.parametrize(
    ("there", "pips", "severity"),
    [
        ("100", None, None),
        ("100.0049", "0.49", Severity.INFO),
        ("99.9951", "0.49", Severity.INFO),
        ("100.005", "0.5", Severity.FAIL),
        ("99.995", "0.5", Severity.FAIL),
        ("100.0051", "0.51", Severity.FAIL),
        ("110", "1000", Severity.FAIL),
    ],
)
def test_average_prices_half_a_pip_apart_are_a_failure(there: str, pips: str | None, severity: Severity | None) -> None:
    """Below half a pip they are rounding, and worth a note; the quantities agree in all of these."""
    found = differences(a_view({BTC: "5"}, prices={BTC: "100"}), a_snapshot({BTC: "5.0"}, prices={BTC: there}), PIPS)
    if severity is None:
        assert found == ()
        return
    [finding] = found
    assert (finding.kind, finding.severity, finding.drift_pips) == ("position_drift", severity, Decimal(pips or 0))
    assert (finding.delta, finding.drift_pct) == (Decimal(0), Decimal(0))
    assert finding.description.endswith(f", average prices {pips} pips apart")


@pytest.mark.spec("REC-4")
@pytest.mark.parametrize("missing", ["pip size", "our price", "their price", "our line", "their line"])
def test_average_prices_that_cannot_be_compared_are_not(missing: str) -> None:
    limits = Tolerances() if missing == "pip size" else PIPS
    here = Position(BTC, Decimal(5), None if missing == "our price" else Decimal(100))
    there = PositionLine(
        symbol=BTC, quantity=Decimal(5), average_price=None if missing == "their price" else Decimal(7)
    )
    ours = LocalView(1, (), (), 0, 0, () if missing == "our line" else (here,), None)
    theirs = a_snapshot().model_copy(update={"positions": () if missing == "their line" else (there,)})
    assert [one.drift_pips for one in differences(ours, theirs, limits)] == [None] * ("line" in missing)


@pytest.mark.spec("REC-4")
def test_a_price_drift_never_makes_a_quantity_drift_milder() -> None:
    assert [
        drift(*case).severity for case in (("100", "90", "0.4"), ("1000", "995", "0.4"), ("1000", "995", "0.5"))
    ] == [
        Severity.FAIL,
        Severity.WARN,
        Severity.FAIL,
    ]


@pytest.mark.spec("REC-4")
@pytest.mark.parametrize(("ours", "theirs"), [(None, "5"), ("5", None), (None, None), ("5", "5.00")])
def test_cash_that_one_side_does_not_tell_is_not_compared(ours: str | None, theirs: str | None) -> None:
    assert differences(a_view(cash=ours), a_snapshot(cash=theirs)) == ()


@pytest.mark.spec("REC-4")
def test_a_cash_finding_names_both_balances() -> None:
    [finding] = differences(a_view(cash="100.50"), a_snapshot(cash="99"))
    assert (finding.kind, finding.subject, finding.symbol) == (FindingKind.CASH_MISMATCH, "cash", None)
    assert finding.description == "cash: we have 100.5, the broker says 99"


# -- fills ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-3")
def test_fills_are_missing_orphaned_or_in_conflict() -> None:
    ours = (a_fill("both"), a_fill("conflict"), a_fill("here", price="98"))
    theirs = (a_fill("there"), a_fill("conflict", price="101"), a_fill("both", quantity="1.0"))
    found = differences(a_view(fills=ours), a_snapshot(fills=theirs))
    assert kinds(found) == ["fill_conflicting conflict", "fill_orphaned here", "fill_missing_locally there"]
    assert [(one.internal, one.external) for one in found] == [
        ("BUY 1 BTC/EUR at 100", "BUY 1 BTC/EUR at 101"),
        ("BUY 1 BTC/EUR at 98", "none"),
        ("none", "BUY 1 BTC/EUR at 100"),
    ]
    assert {one.severity for one in found} == {Severity.FAIL}
    assert {one.client_order_id for one in found} == {"o1"}
    assert {one.diff_type for one in found} == {DiffType.FILL}


@pytest.mark.spec("REC-3")
@pytest.mark.parametrize("other", [{"price": "101"}, {"quantity": "2"}, {"fee": "1"}, {"client_order_id": "o2"}])
def test_one_fill_id_with_any_other_content_is_in_conflict(other: dict[str, str]) -> None:
    found = differences(a_view(fills=(a_fill(),)), a_snapshot(fills=(a_fill(**other),)))
    assert kinds(found) == ["fill_conflicting f1"]


@pytest.mark.spec("REC-3")
def test_one_execution_booked_under_two_ids_is_duplicated() -> None:
    """The broker knows one of the two, and their content is the same."""
    ours, theirs = (a_fill("f1"), a_fill("f2", cursor=2)), (a_fill("f1"),)
    [finding] = differences(a_view(fills=ours), a_snapshot(fills=theirs))
    assert (finding.kind, finding.subject, finding.severity) == (FindingKind.FILL_DUPLICATED, "f2", Severity.FAIL)
    another = (a_fill("f1"), a_fill("f2", client_order_id="o2"))
    assert kinds(differences(a_view(fills=another), a_snapshot(fills=theirs))) == ["fill_orphaned f2"]


@pytest.mark.spec("REC-3")
def test_a_fill_that_the_broker_lists_twice_is_duplicated() -> None:
    theirs = (a_fill("f1"), a_fill("f1"), a_fill("f1"))
    assert kinds(differences(a_view(fills=(a_fill("f1"),)), a_snapshot(fills=theirs))) == ["fill_duplicated f1"]
    assert kinds(differences(a_view(), a_snapshot(fills=theirs))) == ["fill_duplicated f1", "fill_missing_locally f1"]


@pytest.mark.spec("REC-3", "FLT-7")
def test_a_fill_that_came_after_a_later_one_is_a_note() -> None:
    """They add up all the same. Only the first is named: those after it tell nothing new."""
    fills = tuple(a_fill(f"f{place}", cursor=place) for place in (1, 3, 2, 1))
    [finding] = [one for one in differences(a_view(fills=fills), a_snapshot(fills=fills)) if one.subject == "f2"]
    assert (finding.kind, finding.severity) == (FindingKind.FILL_OUT_OF_ORDER, Severity.INFO)
    assert kinds(differences(a_view(fills=fills[:2]), a_snapshot(fills=fills[1::-1]))) == []


# -- the whole --------------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-1")
def test_findings_come_in_fixed_order_however_the_sides_list_things() -> None:
    """Positions by symbol, then cash, orders by key, fills by id."""
    orders = tuple(an_order(key, state=OrderState.ACK) for key in ("o2", "o1"))
    ours = a_view({"Z": "1", "A": "1"}, "100", orders, (a_fill("f2"), a_fill("f1")))
    theirs = a_snapshot({"M": "1"}, "50", (a_broker_order("o0"),), (a_fill("f0"),))
    found = differences(ours, theirs)
    assert kinds(found) == [
        "position_drift A",
        "position_drift M",
        "position_drift Z",
        "cash_mismatch cash",
        "orphan_broker_order o0",
        "stale_local_order o1",
        "stale_local_order o2",
        "fill_missing_locally f0",
        "fill_orphaned f1",
        "fill_orphaned f2",
    ]
    turned = LocalView(1, ours.orders[::-1], ours.fills[::-1], 2, 0, ours.positions[::-1], ours.cash)
    assert differences(turned, theirs) == found


@pytest.mark.spec("FLT-7")
@pytest.mark.parametrize(("seen", "told", "stale"), [(5, 4, True), (5, 5, False), (5, 6, False), (0, 0, False)])
def test_a_snapshot_older_than_a_fill_already_seen_is_stale(seen: int, told: int, stale: bool) -> None:  # noqa: FBT001
    assert is_stale(a_view(cursor=seen), a_snapshot(cursor=told)) is stale


# -- the second look --------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-7")
def test_a_divergence_keeps_its_distance_while_both_sides_move() -> None:
    second = drift("7", "6.5")
    assert survivors([drift("5", "4.5")], [second]) == (second,)


@pytest.mark.spec("REC-7")
@pytest.mark.parametrize("external", ["5", "4.4", "4.6", "5.5"])
def test_a_distance_that_changed_was_a_message_in_flight(external: str) -> None:
    again = position_finding(BTC, Decimal(5), Decimal(external))
    assert survivors([drift("5", "4.5")], [again] if again else []) == ()


@pytest.mark.spec("REC-7")
def test_average_prices_that_are_apart_at_both_looks_are_a_divergence_however_far() -> None:
    """Every trade moves an average price: the distance tells nothing, that there is one does."""
    assert survivors([drift("5", "5", "2")], [drift("6", "6", "2")])
    assert survivors([drift("5", "5", "2")], [drift("5", "5", "3")])


@pytest.mark.spec("REC-7")
def test_a_phantom_position_is_found_though_trading_moves_the_prices_between_the_looks() -> None:
    assert survivors([drift("5", "8", "2")], [drift("6", "9", "1.5")])
    assert survivors([drift("5", "8", "2")], [drift("6", "10", "2")]) == ()


@pytest.mark.spec("REC-7")
def test_what_only_one_look_found_does_not_survive() -> None:
    assert survivors([], [drift("5", "4.5")]) == ()
    assert survivors([drift("5", "4.5")], []) == ()


@pytest.mark.spec("REC-7")
def test_one_subject_with_another_kind_of_finding_does_not_survive() -> None:
    here = differences(a_view(fills=(a_fill(),)), a_snapshot())
    there = differences(a_view(), a_snapshot(fills=(a_fill(),)))
    assert [one.subject for one in here] == [one.subject for one in there]
    assert survivors(here, there) == ()


# -- the report -------------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-5")
def test_a_report_names_its_worst_finding() -> None:
    findings = (drift("1000", "999.5"), drift("1", "0.5"), drift("1000", "995"))
    report = ReconcileReport("r1", "start-up", 0, 1, ReconcileResult.FINDINGS, findings)
    assert [finding.severity for finding in findings] == [Severity.INFO, Severity.FAIL, Severity.WARN]
    assert report.worst is Severity.FAIL
    assert ReconcileReport("r1", "cadence", 0, 1, ReconcileResult.HEALTHY).worst is None
