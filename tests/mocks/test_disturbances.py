"""What happens at the mock broker without our doing: strangers in the account, changed limits, restarts, replays."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerSnapshot,
    BrokerStatus,
    Cancelled,
    Fill,
    GetSnapshot,
    Rejected,
)
from tests.mocks.market import BTC, Market, buy

CROSSES = buy(limit="101")
RESTS = buy()
TICK_S = 10
"""The market's first tick, when the first of these faults can strike."""


def snapshot_of(market: Market) -> BrokerSnapshot:
    """Return the last snapshot that was answered."""
    [*_, snapshot] = (answer for answer in market.answers if isinstance(answer, BrokerSnapshot))
    return snapshot


@pytest.mark.spec("FLT-8")
def test_an_orphan_order_rests_in_the_book_and_nobody_was_told() -> None:
    market = Market({"fault": "orphan_order", "nth": [1], "amount": "3"})
    market.run((TICK_S + 1, GetSnapshot()), market=True)
    [orphan] = snapshot_of(market).open_orders
    assert (orphan.client_order_id, orphan.quantity, orphan.status) == ("orphan-1", Decimal(3), BrokerStatus.OPEN)
    assert market.said == []


@pytest.mark.spec("FLT-8")
def test_a_phantom_position_grows_without_a_fill() -> None:
    market = Market({"fault": "phantom_position", "nth": [1, 2], "amount": "3"})
    market.run((0, CROSSES), (35, GetSnapshot()), market=True)
    snapshot = snapshot_of(market)
    assert {line.symbol: line.quantity for line in snapshot.positions} == {BTC: 1 + 3 + 3}
    assert len(snapshot.fills) == 1


@pytest.mark.spec("FLT-8")
def test_a_fee_that_no_fill_explains_is_taken_from_the_cash() -> None:
    market = Market({"fault": "cash_off", "nth": [1], "amount": "7.5"})
    market.run((TICK_S + 1, GetSnapshot()), market=True)
    assert snapshot_of(market).cash == Decimal("9992.5")


def test_an_account_that_does_not_tell_its_cash_loses_none() -> None:
    market = Market({"fault": "cash_off", "nth": [1]})
    market.exchange.cash = None
    market.run((TICK_S + 1, GetSnapshot()), market=True)
    assert snapshot_of(market).cash is None


@pytest.mark.spec("FLT-8")
def test_after_its_limits_changed_the_broker_refuses_what_is_above_them() -> None:
    market = Market({"fault": "limits_changed", "nth": [1], "amount": "2"})
    market.run(
        (0, buy("o1", quantity="5")), (11, buy("o2", quantity="2.01")), (12, buy("o3", quantity="2")), market=True
    )
    kinds = [type(answer).__name__ for answer in market.answers]
    refused = market.answers[1]
    assert kinds == ["Accepted", "Rejected", "Accepted"]
    assert isinstance(refused, Rejected)
    assert refused.code == "ABOVE_LIMIT"


@pytest.mark.spec("FLT-8", "BRK-1")
def test_a_broker_that_tells_its_limits_tells_that_they_changed() -> None:
    market = Market({"fault": "limits_changed", "nth": [1], "amount": "2"})
    market.exchange.limits = BrokerLimits(daily_loss_cap=Decimal(50), symbol_caps={"XRP/EUR": Decimal(9)})
    market.run((TICK_S - 1, GetSnapshot()), (TICK_S + 1, GetSnapshot()), market=True)
    before, after = (answer.limits for answer in market.answers if isinstance(answer, BrokerSnapshot))
    assert before == BrokerLimits(daily_loss_cap=Decimal(50), symbol_caps={"XRP/EUR": Decimal(9)})
    assert after == BrokerLimits(daily_loss_cap=Decimal(50), symbol_caps={"XRP/EUR": Decimal(2), BTC: Decimal(2)})


@pytest.mark.spec("FLT-8", "BRK-1")
def test_a_broker_that_tells_no_limits_changes_them_silently() -> None:
    market = Market({"fault": "limits_changed", "nth": [1], "amount": "2"})
    market.run((TICK_S + 1, GetSnapshot()), market=True)
    assert snapshot_of(market).limits is None
    assert market.exchange.quantity_cap == 2


@pytest.mark.spec("FLT-9")
def test_a_restart_acknowledges_what_is_open_under_new_ids_and_leaves_what_is_over() -> None:
    market = Market({"fault": "broker_restart", "nth": [1]})
    market.run((0, buy("o1")), (0, buy("o2", limit="101")), (1, buy("o3")), market=True)
    known = [said for said in market.said if isinstance(said, Accepted)]
    assert [said.client_order_id for said in known] == ["o1", "o3"]
    ids = [order.broker_order_id for order in market.exchange.orders.values()]
    assert len({*ids}) == 3
    assert [said.broker_order_id for said in known] == [ids[0], ids[2]]
    assert ids[1] == "b-000002"


@pytest.mark.spec("FLT-9")
def test_ids_that_are_handed_out_again_belong_to_two_orders() -> None:
    market = Market({"fault": "ids_reused", "nth": [1]})
    market.run((0, buy("o1")), (11, buy("o2")), market=True)
    assert [order.broker_order_id for order in market.exchange.orders.values()] == ["b-000001"] * 2


@pytest.mark.spec("FLT-9")
def test_a_replay_tells_the_last_events_again_as_they_were() -> None:
    market = Market({"fault": "replayed_events", "nth": [1]})
    market.run((0, CROSSES), (1, buy("o2", limit="101")), market=True)
    assert market.said == [*market.exchange.executions] * 2


@pytest.mark.spec("FLT-9")
def test_a_replay_brings_back_what_was_lost() -> None:
    market = Market({"fault": "replayed_events", "nth": [1]}, {"fault": "lost_event", "nth": [1]})
    market.run((0, CROSSES), market=True)
    assert market.said == [*market.exchange.executions]


@pytest.mark.spec("FLT-9")
def test_a_fill_replayed_under_a_new_id_is_in_nobody_s_book() -> None:
    market = Market({"fault": "replayed_under_new_id", "nth": [1]})
    market.run((0, CROSSES), market=True)
    first, again = (said for said in market.said if isinstance(said, Fill))
    assert again == first.model_copy(update={"fill_id": again.fill_id})
    assert again.fill_id != first.fill_id
    assert market.exchange.executions == [first]


def test_where_nothing_was_told_there_is_nothing_to_replay() -> None:
    market = Market({"fault": "replayed_under_new_id", "nth": [1]}, {"fault": "replayed_events", "nth": [1]})
    market.run((0, RESTS), market=True)
    assert market.said == []


def test_nothing_of_this_happens_after_the_plan_has_ended() -> None:
    market = Market({"fault": "cash_off", "nth": [1, 2, 3]}, until_s=15)
    market.run((35, GetSnapshot()), market=True)
    assert snapshot_of(market).cash == 10_000 - 5


@pytest.mark.spec("FLT-8")
def test_the_broker_cancels_what_is_open_longest_and_tells_it() -> None:
    market = Market({"fault": "ended_there", "nth": [1]}, {"fault": "orphan_order", "nth": [1]})
    market.run((0, CROSSES), (1, buy("o2")), (2, buy("o3")), market=True)
    states = {key: order.status for key, order in market.exchange.orders.items()}
    assert states == {"o1": "FILLED", "o2": "CANCELLED", "o3": "OPEN", "orphan-1": "OPEN"}
    assert [said.client_order_id for said in market.said if isinstance(said, Cancelled)] == ["o2"]


@pytest.mark.spec("FLT-8")
def test_where_nothing_of_ours_is_open_the_broker_cancels_nothing() -> None:
    market = Market({"fault": "ended_there", "nth": [2]}, {"fault": "orphan_order", "nth": [1]})
    market.run((0, CROSSES), (35, GetSnapshot()), market=True)
    assert [order.client_order_id for order in snapshot_of(market).open_orders] == ["orphan-1"]
