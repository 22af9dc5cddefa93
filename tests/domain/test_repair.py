"""What may be done without a person: only asking about an order that we know, and only where that is switched on."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.domain.findings import DiffType, Finding, FindingKind, Severity, severity_of
from interlock.domain.repair import Action, PlannedAction, RepairPolicy, plan

ON = RepairPolicy(auto_repair=True, cancel_stale=True)
OFF = RepairPolicy()
ASKED = (
    FindingKind.STALE_LOCAL_ORDER,
    FindingKind.STUCK_ORDER,
    FindingKind.PARTIAL_FILL_MISMATCH,
    FindingKind.FILL_MISSING_LOCALLY,
)
LEFT_ALONE = (FindingKind.UNKNOWN_OUTCOME, FindingKind.FILL_OUT_OF_ORDER)
COUNTED = (FindingKind.POSITION_DRIFT, FindingKind.CASH_MISMATCH)
FOR_A_PERSON = [kind for kind in FindingKind if kind not in (*ASKED, *LEFT_ALONE)]


def a_finding(kind: FindingKind, key: str | None = "o1", severity: Severity | None = None) -> Finding:
    """Return a finding about one order, or about none."""
    counted = kind in COUNTED
    return Finding(
        kind,
        DiffType.ORDER,
        severity or (Severity.FAIL if counted else severity_of(kind)),
        key or "subject",
        "1",
        "2",
        "they differ",
        delta=Decimal(1) if counted else None,
        client_order_id=key,
    )


def planned(policy: RepairPolicy, *findings: Finding, known: tuple[str, ...] = ("o1", "o2")) -> list[tuple[str, bool]]:
    """Return the actions, and whether each is done at once."""
    return [(action.action, action.automatic) for action in plan(findings, policy, known)]


@pytest.mark.spec("REC-9")
@pytest.mark.parametrize("kind", ASKED)
def test_what_has_one_explanation_is_asked_about_where_that_is_switched_on(kind: FindingKind) -> None:
    """Something the broker told did not reach us."""
    assert planned(ON, a_finding(kind)) == [(Action.ASK_ORDER, True)]
    assert planned(OFF, a_finding(kind)) == [(Action.ASK_ORDER, False)]


@pytest.mark.spec("REC-9")
@pytest.mark.parametrize("kind", FOR_A_PERSON)
def test_everything_else_waits_for_an_operator(kind: FindingKind) -> None:
    key = None if kind in COUNTED else "o1"
    assert planned(ON, a_finding(kind, key)) == [(Action.OPERATOR, False)]


@pytest.mark.spec("REC-9")
@pytest.mark.parametrize("kind", ASKED)
def test_an_order_that_we_never_sent_waits_for_an_operator(kind: FindingKind) -> None:
    assert planned(ON, a_finding(kind, "stranger")) == [(Action.OPERATOR, False)]
    assert planned(ON, a_finding(kind), known=()) == [(Action.OPERATOR, False)]


@pytest.mark.spec("REC-9")
@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_what_is_settled_already_or_costs_nothing_is_left_alone(kind: FindingKind) -> None:
    assert planned(ON, a_finding(kind)) == []


@pytest.mark.spec("REC-9")
def test_what_is_only_worth_a_note_is_left_alone() -> None:
    assert planned(ON, a_finding(FindingKind.POSITION_DRIFT, None, Severity.INFO)) == []
    assert planned(ON, a_finding(FindingKind.POSITION_DRIFT, None, Severity.WARN)) == [(Action.OPERATOR, False)]


@pytest.mark.spec("REC-8")
@pytest.mark.parametrize("permitted", [True, False])
def test_an_order_past_its_time_to_live_is_cancelled_where_that_is_permitted(permitted: bool) -> None:  # noqa: FBT001
    old = a_finding(FindingKind.STUCK_ORDER, severity=Severity.WARN)
    policy = RepairPolicy(auto_repair=not permitted, cancel_stale=permitted)
    assert planned(policy, old) == [(Action.CANCEL_ORDER, permitted)]


@pytest.mark.spec("REC-8")
@pytest.mark.parametrize(("close", "extra"), [(False, []), (True, [(Action.CANCEL_ORDER, True)])])
def test_the_rest_of_a_fill_that_only_the_broker_saw_works_on_or_is_closed(
    close: bool,  # noqa: FBT001 - a case
    extra: list[tuple[str, bool]],
) -> None:
    """The fill is asked for first, so that the cancel is of what is really left."""
    policy = RepairPolicy(auto_repair=True, close_remainder=close)
    partial, missing = a_finding(FindingKind.PARTIAL_FILL_MISMATCH), a_finding(FindingKind.FILL_MISSING_LOCALLY)
    assert planned(policy, partial, missing) == [(Action.ASK_ORDER, True), *extra]
    assert planned(policy, missing) == [(Action.ASK_ORDER, True)]


@pytest.mark.spec("REC-8", "REC-9")
def test_closing_the_rest_needs_repair_switched_on_as_well() -> None:
    policy = RepairPolicy(close_remainder=True, cancel_stale=True)
    wanted = [(Action.ASK_ORDER, False), (Action.CANCEL_ORDER, False)]
    assert planned(policy, a_finding(FindingKind.PARTIAL_FILL_MISMATCH)) == wanted


@pytest.mark.spec("REC-9")
def test_each_order_is_asked_about_once_however_much_is_found_about_it() -> None:
    findings = [a_finding(kind, key) for kind in ASKED for key in ("o1", "o2")]
    actions = plan(findings, ON, ("o1", "o2"))
    assert [(action.action, action.client_order_id) for action in actions] == [
        (Action.ASK_ORDER, "o1"),
        (Action.ASK_ORDER, "o2"),
    ]


@pytest.mark.spec("REC-1", "REC-9")
def test_actions_come_in_the_order_of_the_findings_and_name_them() -> None:
    findings = (
        a_finding(FindingKind.POSITION_DRIFT, None),
        a_finding(FindingKind.ORPHAN_BROKER_ORDER, "stranger"),
        a_finding(FindingKind.STALE_LOCAL_ORDER, "o2"),
    )
    assert plan(findings, ON, ["o2"]) == (
        PlannedAction(Action.OPERATOR, FindingKind.POSITION_DRIFT, "subject", None, automatic=False),
        PlannedAction(Action.OPERATOR, FindingKind.ORPHAN_BROKER_ORDER, "stranger", "stranger", automatic=False),
        PlannedAction(Action.ASK_ORDER, FindingKind.STALE_LOCAL_ORDER, "o2", "o2", automatic=True),
    )


@pytest.mark.spec("REC-9")
@pytest.mark.parametrize("kind", FindingKind)
def test_nothing_is_done_by_itself_unless_it_is_switched_on(kind: FindingKind) -> None:
    findings = [a_finding(kind, severity=severity) for severity in Severity]
    assert not any(automatic for _, automatic in planned(OFF, *findings))
