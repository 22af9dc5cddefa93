"""Coverage: what can be hit comes from the tables, what was hit from the counters, and nothing else is left out."""

from __future__ import annotations

import msgspec
import pytest

from interlock.domain.findings import FindingKind
from interlock.domain.order_states import ORDER_TABLE, OrderState
from interlock.domain.session_states import SESSION_TABLE
from interlock.domain.sometimes import Sometimes
from interlock.explore.coverage import Coverage, Group, KeyState, labels
from interlock.explore.never import NEVER
from interlock.mocks.fault_rows import ROWS
from interlock.mocks.faults import STORE_FAULTS, Fault
from interlock.runtime.schedule import SeededSchedule
from tests.explore.hunting import outcome_of_seed

DURABLE_MOVES = {
    ("none", "SENDING"),
    ("SENDING", "WORKING"),
    ("SENDING", "REJECTED"),
    ("SENDING", "IN_DOUBT"),
    ("IN_DOUBT", "WORKING"),
    ("IN_DOUBT", "REJECTED"),
    ("IN_DOUBT", "VOID"),
    ("IN_DOUBT", "QUARANTINED"),
    ("WORKING", "CLOSED"),
    ("VOID", "QUARANTINED"),
}
"""What the states of a key may do, besides closing straight away where the fill comes first."""


def everything() -> list[str]:
    """Return every label with its group."""
    return [f"{group}|{label}" for group, names in labels().items() for label in names]


def test_what_can_be_hit_is_read_from_the_tables_and_enums_themselves() -> None:
    known = labels()
    assert len(known[Group.ORDER_EVENTS]) == len(ORDER_TABLE.rows)
    assert len(known[Group.SESSION_EVENTS]) == len(SESSION_TABLE.rows)
    assert {*known[Group.FAULTS]} == {*Fault}
    assert {*known[Group.FINDINGS]} == {*FindingKind}
    assert {*known[Group.SOMETIMES]} == {*Sometimes}
    assert {rule["fault"] for row in ROWS.values() for rule in row.rules} | {*STORE_FAULTS} == {*known[Group.FAULTS]}
    assert len(everything()) == len({*everything()})


def test_every_move_of_a_key_has_a_label() -> None:
    moves = {tuple(label.split("|")) for label in labels()[Group.KEY_STATES]}
    assert moves >= DURABLE_MOVES
    assert moves - DURABLE_MOVES == {("SENDING", "CLOSED"), ("IN_DOUBT", "CLOSED"), ("WORKING", "QUARANTINED")}


def test_what_is_never_hit_is_something_that_exists_and_has_a_reason() -> None:
    assert {*NEVER} <= {*everything()}
    assert all(len(reason) > 20 for reason in NEVER.values())


def test_counters_of_runs_are_added_up_and_others_passed_over() -> None:
    coverage = Coverage()
    for _ in range(2):
        coverage.add({"faults_total|reject": 2, "orders_place_total": 7, "order_events_total|NEW|SEND": 1})
    assert coverage.hits == {"faults_total|reject": 4, "order_events_total|NEW|SEND": 2}
    assert coverage.of(Group.FAULTS)[Fault.REJECT] == 4


@pytest.mark.parametrize(
    ("before", "after", "move"),
    [
        (OrderState.NEW, OrderState.SENT, (KeyState.NONE, KeyState.SENDING)),
        (OrderState.ACK, OrderState.PARTIAL, None),
        (OrderState.UNKNOWN, OrderState.FILLED, (KeyState.IN_DOUBT, KeyState.CLOSED)),
        (OrderState.CANCELLED, OrderState.FILLED, None),
    ],
)
def test_a_move_of_an_order_is_a_move_of_its_key(
    before: OrderState, after: OrderState, move: tuple[KeyState, KeyState] | None
) -> None:
    coverage = Coverage()
    coverage.add({f"order_state_transitions_total|{before}|{after}": 3})
    assert coverage.hits == ({} if move is None else {f"key_states|{move[0]}|{move[1]}": 3})


def test_what_was_never_hit_is_missing_unless_nothing_can_hit_it() -> None:
    whole = Coverage(dict.fromkeys((name for name in everything() if name not in NEVER), 1))
    assert whole.missing() == whole.contradicted() == ()
    del whole.hits["findings_total|cancel_race"]
    whole.hits[next(iter(NEVER))] = 1
    assert whole.missing() == ("findings_total|cancel_race",)
    assert whole.contradicted() == (next(iter(NEVER)),)


def test_a_fault_counts_with_the_states_of_the_orders_that_were_live_then() -> None:
    counters = outcome_of_seed("hidden", 3, SeededSchedule(3, "random")).counters
    struck = {name for name in counters if name.startswith("fault_states_total|")}
    assert struck
    assert {name.split("|")[1] for name in struck} <= {
        name.split("|")[1] for name in counters if "faults_total" in name
    }


def test_it_is_the_same_json_for_the_same_hits() -> None:
    one, other = Coverage({"faults_total|reject": 1, "faults_total|overfill": 2}), Coverage()
    other.merge({"faults_total|overfill": 2})
    other.merge({"faults_total|reject": 1})
    assert msgspec.json.encode(one.as_dict()) == msgspec.json.encode(other.as_dict())
