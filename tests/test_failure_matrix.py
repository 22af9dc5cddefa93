"""The failure matrix: every fault alone and every pair, 20 seeds each, ends as it is written down, and as it should."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from interlock.mocks.broker import MockBroker
from interlock.mocks.fault_rows import MUST_SETTLE, ROWS
from interlock.mocks.faults import STORE_FAULTS, Fault
from interlock.sessions import SteppedSession
from tools.failure_matrix import DATA, PAGE, page_of, read_matrix, written
from tools.matrix_cells import (
    SEEDS,
    SETTLED,
    STEPS_MAX,
    a_session,
    cell,
    cells_of,
    config_of,
    judged,
    run_cell,
)

STRUCK_MIN = 15
"""In fewer of the twenty runs, a fault would hardly be tried at all."""

EVERYDAY = [name for name, row in ROWS.items() if row.spec in MUST_SETTLE]
NEVER_SETTLE = (
    "orphan_order",
    "phantom_position",
    "cash_off",
    "replayed_under_new_id",
    "foreign_fill",
    "conflicting_fill",
    "overfill",
)
"""What no machine can explain away."""


@pytest.fixture(scope="module", autouse=True)
def no_walks_over_what_earlier_tests_left() -> Iterator[None]:
    """Spare the garbage collector the whole suite's leftovers: thousands of sessions follow."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.spec(
    "FLT-1", "FLT-2", "FLT-3", "FLT-4", "FLT-5", "FLT-6", "FLT-7", "FLT-8", "FLT-9", "FLT-10", "SAF-1", "SAF-2"
)
@pytest.mark.parametrize("row", ROWS)
def test_a_fault_alone_and_with_every_other_ends_as_written_down(row: str) -> None:
    """No run breaks an invariant, none ends in a third way, and no outcome changes unnoticed (make failure-matrix)."""
    expected = read_matrix()
    for faults in cells_of(row):
        ended = run_cell(faults)
        assert not ended.wrong
        assert ended.outcomes == expected.outcomes[cell(faults)], cell(faults)
        if len(faults) == 1:
            assert ended.struck == expected.struck[row]


@pytest.mark.spec("FLT-1", "FLT-2", "FLT-4", "FLT-5", "FLT-6")
def test_everyday_faults_settle_alone_and_in_pairs() -> None:
    outcomes = read_matrix().outcomes
    cells = [faults for row in EVERYDAY for faults in cells_of(row) if {*faults} <= {*EVERYDAY}]
    assert [name for name in map(cell, cells) if outcomes[name] != {SETTLED: SEEDS}] == []
    assert len(cells) == len(EVERYDAY) * (len(EVERYDAY) + 1) / 2


@pytest.mark.spec("FLT-1", "FLT-2", "FLT-4", "FLT-5", "FLT-6")
@pytest.mark.parametrize("row", EVERYDAY)
def test_an_everyday_fault_settles_with_the_settings_that_nobody_changed_too(row: str) -> None:
    """The matrix looks again soon and repairs by asking; out of the box a session waits longer and repairs nothing."""
    ended = run_cell((row,), reconcile={"auto_repair": False, "grace_s": 5.0})
    assert (ended.outcomes, ended.wrong) == ({SETTLED: SEEDS}, ())


@pytest.mark.spec("SAF-2")
def test_what_must_stop_always_does() -> None:
    outcomes = read_matrix().outcomes
    assert [name for name in NEVER_SETTLE if SETTLED in outcomes[name]] == []


def test_every_fault_of_the_broker_is_in_the_matrix_and_strikes() -> None:
    matrix = read_matrix()
    assert {rule["fault"] for row in ROWS.values() for rule in row.rules} == {*Fault} - {*STORE_FAULTS}
    assert {row.spec for row in ROWS.values()} == {f"FLT-{number}" for number in range(1, 11)}
    assert [name for name, struck in matrix.struck.items() if struck < STRUCK_MIN] == []
    assert [*matrix.outcomes] == [cell(faults) for row in ROWS for faults in cells_of(row)]
    assert all(sum(outcomes.values()) == SEEDS == matrix.seeds for outcomes in matrix.outcomes.values())


def test_the_data_and_the_page_are_what_the_tool_writes() -> None:
    matrix = read_matrix()
    assert DATA.read_text(encoding="utf-8") == written(matrix), "run make failure-matrix"
    assert PAGE.read_text(encoding="utf-8") == page_of(matrix), "run make failure-matrix"


# -- the judge can say no ---------------------------------------------------------------------------------------


def _sent_twice(session: SteppedSession, broker: MockBroker) -> None:
    broker.requests.append(broker.requests[0])


def _accepted_twice(session: SteppedSession, broker: MockBroker) -> None:
    broker.exchange.accepted.append(broker.exchange.accepted[0])


def _never_booked(session: SteppedSession, broker: MockBroker) -> None:
    fill = broker.exchange.executions[0]
    broker.exchange.executions.append(fill.model_copy(update={"fill_id": "f-lost"}))


def _booked_twice(session: SteppedSession, broker: MockBroker) -> None:
    fills = session.orchestrator.desk.book.exposure.fills
    fills.remember(fills.since(0)[0])


def _cash_off(session: SteppedSession, broker: MockBroker) -> None:
    broker.exchange.cash = Decimal("0.01") + (broker.exchange.cash or Decimal(0))


def _position_off(session: SteppedSession, broker: MockBroker) -> None:
    broker.exchange.positions["BTC/EUR"] += Decimal("0.01")


def _unknown_order(session: SteppedSession, broker: MockBroker) -> None:
    book = session.orchestrator.desk.book
    del book.orders[next(iter(broker.exchange.orders))]


@pytest.mark.parametrize(
    ("tamper", "complaint"),
    [
        (_sent_twice, "was sent 2 times"),
        (_accepted_twice, "was accepted 2 times"),
        (_never_booked, "fill f-lost differs"),
        (_booked_twice, "is booked 2 times"),
        (_cash_off, "cash is "),
        (_position_off, "BTC/EUR is "),
        (_unknown_order, "is unknown here"),
    ],
)
def test_a_tampered_session_is_complained_about(
    tamper: Callable[[SteppedSession, MockBroker], None], complaint: str
) -> None:
    with a_session(config_of(["duplicate_fill"])) as session:
        session.run_n_steps(STEPS_MAX)
        result = session.finish()
        assert judged(session, result) == (SETTLED, [])
        assert isinstance(session.broker, MockBroker)
        tamper(session, session.broker)
        outcome, complaints = judged(session, result)
    assert outcome == SETTLED
    assert any(complaint in said for said in complaints), complaints


def test_a_session_that_does_not_end_is_no_way_to_end() -> None:
    with a_session(config_of(["duplicate_fill"])) as session:
        session.run_n_steps(50)
        outcome, complaints = judged(session, session.finish())
    assert outcome == "FAILED:step_limit"
    assert "a third way to end" in complaints


def test_an_order_left_open_in_silence_is_complained_about() -> None:
    with a_session(config_of(["overfill"])) as session:
        session.run_n_steps(STEPS_MAX)
        result = session.finish()
        assert judged(session, result) == ("stopped:overfill", [])
        assert isinstance(session.broker, MockBroker)
        exchange = session.broker.exchange
        key = next(iter(exchange.orders))
        exchange.place(exchange.orders.pop(key).request)
        _, complaints = judged(session, result)
    assert f"{key} is open there, and nobody was told" in complaints
