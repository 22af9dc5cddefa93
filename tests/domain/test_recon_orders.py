"""Each order is judged by what both sides say of it, whatever stands beside it and in whatever order it is listed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from interlock.domain.broker import BrokerStatus
from interlock.domain.findings import DiffType, Finding, FindingKind, Severity, Tolerances
from interlock.domain.instants import to_ns
from interlock.domain.intents import Side
from interlock.domain.order_states import LIVE_STATES, OrderState
from interlock.domain.recon_orders import order_findings
from interlock.domain.reconcile import survivors
from tests.domain_builders import a_broker_order, a_snapshot, a_view, an_order, differences

ENDED = [state for state in OrderState if state not in LIVE_STATES]
DEADLINE_NS = to_ns(Tolerances().stuck_after_s)


def found(
    ours: dict[str, Any] | None, theirs: dict[str, Any] | None, tolerances: Tolerances | None = None, now_ns: int = 0
) -> list[Finding]:
    """Return what is found between one order here and the same order there."""
    local = () if ours is None else (an_order(**ours),)
    broker = () if theirs is None else (a_broker_order(**theirs),)
    findings = order_findings(local, broker, tolerances or Tolerances(), now_ns)
    assert all(one.diff_type is DiffType.ORDER for one in findings)
    assert all(one.client_order_id == one.subject == "o1" for one in findings)
    return findings


def kinds(findings: list[Finding]) -> list[str]:
    """Return the kinds of findings that are as severe as any."""
    assert all(one.severity is Severity.FAIL for one in findings)
    return [str(one.kind) for one in findings]


# -- here, not there --------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize("state", [OrderState.ACK, OrderState.PARTIAL])
def test_an_order_open_here_and_not_there_is_stale(state: OrderState) -> None:
    [finding] = found({"state": state}, None)
    assert (finding.kind, finding.severity) == (FindingKind.STALE_LOCAL_ORDER, Severity.FAIL)
    assert (finding.internal, finding.external) == (f"{state} 0/10 at 100", "none")


@pytest.mark.spec("REC-2", "REC-6", "DIF-4")
def test_an_order_in_doubt_that_is_not_there_is_no_more_than_in_doubt() -> None:
    """Absence proves nothing about it, however long it lasts: it is being settled already."""
    for now_ns in (0, DEADLINE_NS * 100):
        [finding] = found({"state": OrderState.UNKNOWN}, None, now_ns=now_ns)
        assert (finding.kind, finding.severity) == (FindingKind.UNKNOWN_OUTCOME, Severity.WARN)


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.CANCEL_PENDING])
@pytest.mark.parametrize(("late_by_ns", "expected"), [(-1, []), (0, ["stuck_order"]), (1, ["stuck_order"])])
def test_an_order_on_its_way_that_is_not_there_is_stuck_from_its_deadline_on(
    state: OrderState, late_by_ns: int, expected: list[str]
) -> None:
    """Until then it may not have arrived yet, or its cancel just has."""
    ours = {"state": state, "created_ns": 1, "updated_ns": 7}
    assert kinds(found(ours, None, now_ns=7 + DEADLINE_NS + late_by_ns)) == expected


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize("state", ENDED)
def test_an_order_that_is_over_here_and_not_listed_there_is_no_finding(state: OrderState) -> None:
    assert found({"state": state}, None, now_ns=DEADLINE_NS * 100) == []


# -- there, not here --------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-2", "DIF-4")
def test_an_order_open_there_and_not_known_here_is_an_orphan() -> None:
    [finding] = found(None, {})
    assert (finding.kind, finding.severity) == (FindingKind.ORPHAN_BROKER_ORDER, Severity.FAIL)
    assert finding.description == "order o1: open there, not known here (none against OPEN 0/10 at 100)"
    assert finding.version is None


def test_a_strange_order_that_is_over_there_is_no_finding() -> None:
    """What it left behind is one: a fill, or a position."""
    assert found(None, {"status": BrokerStatus.CANCELLED}) == []


@pytest.mark.spec("REC-2", "SAF-1", "DIF-4")
@pytest.mark.parametrize("listed", [("b1", "b2"), ("b2", "b1"), ("b2", "b1", "b2"), ("b0", "b1")])
def test_a_second_order_open_there_under_one_key_is_critical(listed: tuple[str, ...]) -> None:
    """One live order per key is an invariant; an order that was sent twice is found by it."""
    order = an_order(state=OrderState.ACK, broker_order_id="b1")
    theirs = tuple(a_broker_order(broker_order_id=name, quantity="10" if name == "b1" else "11") for name in listed)
    *others, finding = order_findings((order,), theirs, Tolerances(), 0)[::-1]
    assert (finding.kind, finding.severity) == (FindingKind.ORPHAN_BROKER_ORDER, Severity.CRITICAL)
    assert finding.external == "OPEN 0/11 at 100"
    assert "a second one open there under one key" in finding.description
    assert len(others) == (listed[0] != "b1"), "the one that is listed first is compared with ours"


def test_of_two_orders_there_one_is_too_many_even_where_ours_is_not_known_by_its_id() -> None:
    order, theirs = an_order(state=OrderState.SENT), tuple(a_broker_order(broker_order_id=name) for name in "ab")
    [finding] = order_findings((order,), theirs, Tolerances(), 0)
    assert finding.severity is Severity.CRITICAL


def test_one_order_listed_twice_is_one_order() -> None:
    """Pages of a long list may overlap."""
    ours = (an_order(state=OrderState.ACK, broker_order_id="b1"),)
    assert order_findings(ours, (a_broker_order(), a_broker_order()), Tolerances(), 0) == []
    assert len(order_findings((), (a_broker_order(), a_broker_order()), Tolerances(), 0)) == 1


# -- on both sides ----------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize("state", ENDED)
def test_an_order_over_here_and_open_there_is_named_by_what_we_believed(state: OrderState) -> None:
    raced = state is OrderState.CANCELLED
    assert kinds(found({"state": state}, {})) == ["cancel_race" if raced else "status_mismatch"]


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize(
    ("state", "status", "kind"),
    [
        (OrderState.CANCELLED, BrokerStatus.FILLED, "cancel_race"),
        (OrderState.FILLED, BrokerStatus.CANCELLED, "cancel_race"),
        (OrderState.ACK, BrokerStatus.CANCELLED, "cancel_race"),
        (OrderState.UNKNOWN, BrokerStatus.CANCELLED, "cancel_race"),
        (OrderState.ACK, BrokerStatus.FILLED, "status_mismatch"),
        (OrderState.PARTIAL, BrokerStatus.EXPIRED, "status_mismatch"),
        (OrderState.SENT, BrokerStatus.REJECTED, "status_mismatch"),
        (OrderState.REJECTED, BrokerStatus.FILLED, "status_mismatch"),
    ],
)
def test_an_order_that_is_over_there_differently_is_a_race_or_a_mismatch(
    state: OrderState, status: BrokerStatus, kind: str
) -> None:
    assert kinds(found({"state": state}, {"status": status})) == [kind]


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize("status", [status for status in BrokerStatus if status is not BrokerStatus.OPEN])
def test_an_order_that_is_over_alike_on_both_sides_differs_only_by_what_filled(status: BrokerStatus) -> None:
    ours = {"state": OrderState(status), "filled": Decimal(2)}
    assert found(ours, {"status": status, "filled": "2.0"}, now_ns=DEADLINE_NS * 100) == []
    assert kinds(found(ours, {"status": status, "filled": "3"})) == ["partial_fill_mismatch"]


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize("state", LIVE_STATES)
@pytest.mark.parametrize(("filled", "expected"), [("0.999", 1), ("1.00", 0), ("1.001", 1)])
def test_another_filled_quantity_is_a_mismatch(state: OrderState, filled: str, expected: int) -> None:
    ours = {"state": state, "filled": Decimal(1)}
    assert kinds(found(ours, {"filled": filled})) == ["partial_fill_mismatch"] * expected


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize(
    "other", [{"quantity": "11"}, {"limit_price": "99"}, {"limit_price": None}, {"side": Side.SELL}, {"symbol": "X"}]
)
def test_another_content_is_a_mismatch(other: dict[str, Any]) -> None:
    assert found({"state": OrderState.ACK}, {}) == []
    assert kinds(found({"state": OrderState.ACK}, other)) == ["status_mismatch"]


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize("state", [OrderState.SENT, OrderState.CANCEL_PENDING, OrderState.UNKNOWN])
@pytest.mark.parametrize(("late_by_ns", "expected"), [(-1, []), (0, ["stuck_order"]), (1, ["stuck_order"])])
def test_an_order_that_waits_for_an_answer_is_stuck_from_its_deadline_on(
    state: OrderState, late_by_ns: int, expected: list[str]
) -> None:
    ours = {"state": state, "created_ns": 1, "updated_ns": 7}
    assert kinds(found(ours, {}, now_ns=7 + DEADLINE_NS + late_by_ns)) == expected


@pytest.mark.spec("REC-2")
@pytest.mark.parametrize("state", [OrderState.ACK, OrderState.PARTIAL])
def test_an_order_that_waits_for_nothing_is_never_stuck(state: OrderState) -> None:
    assert found({"state": state}, {}, now_ns=DEADLINE_NS * 100) == []


@pytest.mark.spec("REC-8")
@pytest.mark.parametrize(("older_by_ns", "expected"), [(-1, 0), (0, 1), (1, 1)])
def test_an_open_order_past_its_time_to_live_is_a_warning(older_by_ns: int, expected: int) -> None:
    """Age counts from the order's beginning, not from its last change."""
    mortal = Tolerances(order_ttl_s=600)
    ours = {"state": OrderState.ACK, "created_ns": 7, "updated_ns": to_ns(600)}
    findings = found(ours, {}, mortal, 7 + to_ns(600) + older_by_ns)
    assert [(one.kind, one.severity) for one in findings] == [(FindingKind.STUCK_ORDER, Severity.WARN)] * expected


def test_an_order_finding_says_what_each_side_believes() -> None:
    order = an_order(state=OrderState.CANCELLED, filled=Decimal("2.50"), limit_price=None, version=4)
    [finding] = order_findings((order,), (a_broker_order(filled="3"),), Tolerances(), 0)
    assert (finding.internal, finding.external) == ("CANCELLED 2.5/10 at market", "OPEN 3/10 at 100")
    assert (
        finding.description == f"order o1: cancelled on one side only ({finding.internal} against {finding.external})"
    )
    assert (finding.symbol, finding.version) == (order.symbol, 4)
    assert (finding.delta, finding.drift_pct) == (None, None)


# -- the second look --------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-7")
def test_an_order_that_moved_on_between_the_looks_does_not_survive() -> None:
    """It differs again, and in the same words, but not because it is stuck at a difference."""
    looks = [
        differences(a_view(orders=(an_order(state=OrderState.ACK, version=version),)), a_snapshot())
        for version in (2, 2, 3)
    ]
    assert [(one.kind, one.internal, one.external) for [one] in looks[:1]] == [
        (one.kind, one.internal, one.external) for [one] in looks[2:]
    ]
    assert survivors(looks[0], looks[1]) == looks[1]
    assert survivors(looks[1], looks[2]) == ()


@pytest.mark.spec("REC-7")
def test_an_orphan_survives_only_while_the_broker_says_the_same_of_it() -> None:
    orphan = differences(a_view(), a_snapshot(orders=(a_broker_order(),)))
    filling = differences(a_view(), a_snapshot(orders=(a_broker_order(filled="1"),)))
    assert survivors(orphan, orphan) == orphan
    assert survivors(orphan, filling) == ()
