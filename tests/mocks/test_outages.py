"""Calls that fail and a stream that loses things: transient errors, outages, late, lost and unreadable statements."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.domain.broker import (
    BrokerOrder,
    BrokerSnapshot,
    CancelOrder,
    CancelRefused,
    Fill,
    GetSnapshot,
    OrderNotFound,
    QueryOrder,
    Rejected,
    Unreadable,
)
from tests.mocks.market import Heard, Market, buy

CROSSES = buy(limit="101")
RESTS = buy()
ALL = ["place", "cancel", "query", "snapshot"]


def heard(market: Market) -> list[tuple[str, str]]:
    """Return how and what was heard, in order, without the times."""
    return [(each.how, each.what) for each in market.heard]


# -- calls --------------------------------------------------------------------------------------------------


@pytest.mark.spec("FLT-3")
def test_a_transient_error_before_the_broker_acted_has_done_nothing() -> None:
    market = Market({"fault": "error_before", "nth": [1]})
    assert market.run((0, RESTS)) == [(0.1, "answer", "Unavailable")]
    assert not market.exchange.orders


@pytest.mark.spec("FLT-3")
def test_a_transient_error_after_the_broker_acted_has_done_it() -> None:
    market = Market({"fault": "error_after", "nth": [1]})
    assert market.run((0, RESTS)) == [(0.3, "answer", "Unavailable")]
    assert market.exchange.accepted == ["o1"]


@pytest.mark.spec("FLT-3")
def test_while_the_broker_is_down_no_call_gets_through_and_later_it_does() -> None:
    market = Market({"fault": "broker_down", "nth": [1], "delay_s": 5, "calls": ALL})
    market.run((0, RESTS), (2, GetSnapshot()), (5, buy("o2")), (5.1, buy("o3")))
    assert market.heard == [Heard(5.3, "answer", "Accepted"), Heard(5.4, "answer", "Accepted")]
    assert market.exchange.accepted == ["o2", "o3"]


@pytest.mark.spec("FLT-3")
def test_an_outage_ends_with_the_plan_at_the_latest() -> None:
    market = Market({"fault": "broker_down", "nth": [1], "delay_s": 3600, "calls": ALL}, until_s=3)
    assert market.run((0, RESTS), (3, buy("o2"))) == [(3.3, "answer", "Accepted")]


@pytest.mark.spec("FLT-2")
def test_an_order_is_invisible_to_questions_only_while_it_is_young() -> None:
    market = Market({"fault": "not_visible", "nth": [1, 2], "delay_s": 2})
    market.run((0, RESTS), (1, QueryOrder("o1")), (3, QueryOrder("o1")))
    assert [type(answer) for answer in market.answers[1:]] == [OrderNotFound, BrokerOrder]


@pytest.mark.spec("FLT-6")
def test_the_cancel_of_an_order_that_ended_may_be_answered_with_unknown_order() -> None:
    market = Market({"fault": "cancel_unknown_order", "nth": [1, 2]})
    market.run((0, CROSSES), (2, CancelOrder("o1")), (3, RESTS), (4, CancelOrder("o1")))
    refused = market.answers[1]
    assert isinstance(refused, CancelRefused)
    assert refused.code == "UNKNOWN_ORDER"
    assert heard(market)[-1] == ("answer", "Cancelled"), "an open order is cancelled as ever"


@pytest.mark.spec("FLT-7")
def test_a_stale_snapshot_is_the_one_served_before_without_what_came_since() -> None:
    market = Market({"fault": "stale_snapshot", "nth": [1]})
    market.run((0, GetSnapshot()), (1, CROSSES), (3, GetSnapshot()), (4, GetSnapshot()))
    old, stale, fresh = (answer for answer in market.answers if isinstance(answer, BrokerSnapshot))
    assert stale == old
    assert (stale.cursor, len(fresh.fills)) == (0, 1)


@pytest.mark.spec("FLT-7")
def test_a_stale_snapshot_still_lists_only_the_fills_that_were_asked_for() -> None:
    market = Market({"fault": "stale_snapshot", "nth": [1]})
    market.run((0, CROSSES), (2, GetSnapshot()), (3, GetSnapshot(1)))
    first, stale = (answer for answer in market.answers if isinstance(answer, BrokerSnapshot))
    assert (len(first.fills), stale.fills, stale.as_of_ns) == (1, (), first.as_of_ns)


@pytest.mark.spec("RT-7")
@pytest.mark.parametrize(
    ("fault", "counted"),
    [("rate_limit", []), ("error_before", ["o1"]), ("timeout_before", ["o1"]), ("broker_down", ["o1"])],
)
def test_a_call_counts_as_sent_unless_the_broker_proved_that_it_did_nothing(fault: str, counted: list[str]) -> None:
    market = Market({"fault": fault, "nth": [1]})
    market.run((0, RESTS))
    assert market.broker.requests == counted


# -- the stream ---------------------------------------------------------------------------------------------


@pytest.mark.spec("FLT-3")
def test_a_lost_connection_swallows_what_is_told_and_says_when_it_is_back() -> None:
    market = Market({"fault": "connection_lost", "nth": [1], "delay_s": 4})
    market.run((0, CROSSES), (2, buy("o2", limit="101")), (6, buy("o3", limit="101")))
    stream = [(each.at_s, each.what) for each in market.heard if each.how == "stream"]
    assert stream == [(4.5, "Reconnected"), (6.5, "Fill")]
    assert market.fills[0].client_order_id == "o3"
    assert len(market.exchange.executions) == 3, "the market went on meanwhile"


@pytest.mark.spec("FLT-7")
def test_a_late_statement_is_overtaken_by_later_ones() -> None:
    market = Market({"fault": "late_event", "nth": [1], "delay_s": 4})
    market.run((0, CROSSES), (2, buy("o2", limit="101")))
    assert [fill.client_order_id for fill in market.fills] == ["o2", "o1"]
    assert [fill.cursor for fill in market.fills] == [2, 1]


@pytest.mark.spec("FLT-7")
def test_a_lost_fill_is_seen_only_by_asking() -> None:
    market = Market({"fault": "lost_event", "nth": [1]})
    market.run((0, CROSSES), (2, QueryOrder("o1")), (3, GetSnapshot()))
    order, snapshot = market.answers[1:]
    assert market.said == []
    assert isinstance(order, BrokerOrder)
    assert isinstance(snapshot, BrokerSnapshot)
    assert order.fills == snapshot.fills == tuple(market.exchange.executions)


@pytest.mark.spec("FLT-10")
def test_a_malformed_message_comes_instead_of_the_statement() -> None:
    market = Market({"fault": "malformed_message", "nth": [1]})
    market.run((0, CROSSES))
    [said] = market.said
    assert isinstance(said, Unreadable)
    assert said.text.startswith("Fill(")
    assert len(market.exchange.executions) == 1, "what it was about has happened all the same"


@pytest.mark.spec("FLT-10")
@pytest.mark.parametrize(
    ("fault", "kinds"), [("foreign_statement", ["Fill", "Accepted"]), ("foreign_fill", ["Fill"] * 2)]
)
def test_a_stranger_s_statement_comes_on_top_and_is_nobody_s(fault: str, kinds: list[str]) -> None:
    market = Market({"fault": fault, "nth": [1]})
    market.run((0, CROSSES))
    ours, foreign = market.said
    assert [type(said).__name__ for said in market.said] == kinds
    assert getattr(foreign, "client_order_id", "") not in market.exchange.orders
    assert ours in market.exchange.executions
    assert foreign not in market.exchange.executions


@pytest.mark.spec("FLT-10")
def test_a_reject_after_the_fill_denies_what_has_happened() -> None:
    market = Market({"fault": "reject_after_fill", "nth": [1], "delay_s": 1})
    market.run((0, CROSSES))
    fill, rejected = market.said
    assert isinstance(fill, Fill)
    assert isinstance(rejected, Rejected)
    assert market.exchange.orders["o1"].filled == 1


@pytest.mark.parametrize(
    "fault", [{"fault": "late_event", "symbol": "ETH/EUR"}, {"fault": "lost_event", "symbol": "ETH/EUR"}]
)
def test_a_rule_for_another_symbol_leaves_the_stream_alone(fault: dict[str, Any]) -> None:
    market = Market({**fault, "nth": [1]})
    market.run((0, CROSSES))
    assert [(each.at_s, each.what) for each in market.heard] == [(0.3, "Accepted"), (0.5, "Fill")]
