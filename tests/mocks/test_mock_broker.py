"""The mock broker on the wire: when it answers, what it tells on the stream, and what each fault makes of that."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock.domain.broker import (
    BrokerMessage,
    BrokerSnapshot,
    CancelOrder,
    GetSnapshot,
    QueryOrder,
)
from interlock.domain.errors import UnknownMessage
from interlock.domain.intents import TimeInForce
from interlock.mocks.broker import GetQuote, MockBroker
from interlock.mocks.exchange import Exchange, OpeningBook
from interlock.mocks.faults import FaultPlan
from interlock.mocks.trading import MarketSettings
from interlock.runtime.schedule import TapeSchedule
from interlock.runtime.stepped import SteppedSystem
from tests.mocks.market import BTC, Market, buy

CROSSES = buy(limit="101")
RESTS = buy()
CANCEL = CancelOrder("o1")


# -- without faults -----------------------------------------------------------------------------------------


def test_a_call_takes_its_way_there_and_back() -> None:
    assert Market().run((0, RESTS)) == [(0.3, "answer", "Accepted")]


def test_an_order_that_crosses_is_filled_and_told_after_its_ack() -> None:
    market = Market()
    assert market.run((0, CROSSES)) == [(0.3, "answer", "Accepted"), (0.5, "stream", "Fill")]
    assert (market.pieces, market.fills[0].price) == (["1"], Decimal(100))


def test_a_market_order_fills_whole_and_an_immediate_one_expires() -> None:
    assert [heard.what for heard in Market().run((0, buy(limit=None)))] == ["Accepted", "Fill"]
    market = Market()
    heard = market.run((0, buy(time_in_force=TimeInForce.IOC)))
    assert heard == [(0.3, "answer", "Accepted"), (0.5, "stream", "Expired")]


def test_a_resting_order_fills_when_the_price_comes_to_it() -> None:
    market = Market(points=["95", "90", "85"])
    assert market.run((0, RESTS), market=True) == [(0.3, "answer", "Accepted"), (20.2, "stream", "Fill")]
    assert market.fills[0].price == 90


def test_a_cancel_is_answered_and_said_once() -> None:
    heard = Market().run((0, RESTS), (1, CANCEL))
    assert heard[1:] == [(1.3, "answer", "Cancelled")]


def test_a_cancel_of_what_is_over_is_refused() -> None:
    heard = Market().run((0, CROSSES), (1, CANCEL))
    assert heard[-1] == (1.3, "answer", "CancelRefused")


def test_questions_are_answered_from_the_book_at_the_time_they_arrive() -> None:
    market = Market()
    market.run((0, RESTS), (0.05, QueryOrder("o1")), (0.05, GetSnapshot()), (0.05, QueryOrder("o2")))
    assert [type(answer).__name__ for answer in market.answers] == [
        "Accepted",
        "BrokerOrder",
        "BrokerSnapshot",
        "OrderNotFound",
    ]


def test_no_call_waits_behind_another() -> None:
    heard = Market().run(*[(0, buy(f"o{n}")) for n in range(5)])
    assert heard == [(0.3, "answer", "Accepted")] * 5


def test_a_quote_is_the_last_price_and_none_for_what_is_not_traded() -> None:
    market = Market(points=["105"])
    market.run((0, GetQuote(BTC)), (15, GetQuote(BTC)), (15, GetQuote("DOGE/EUR")), market=True)
    assert [str(getattr(answer, "price", "")) for answer in market.answers] == ["100", "105", "None"]


@pytest.mark.parametrize("message", ["what?", RESTS, QueryOrder("o1")], ids=["a string", "place", "query"])
def test_what_the_broker_cannot_answer_is_an_error(message: object) -> None:
    """A call without anybody to answer is none."""
    with SteppedSystem() as system:
        settings = MarketSettings(())
        system.add("broker", lambda ctx: MockBroker(ctx, settings, Exchange(OpeningBook(None, {})), FaultPlan()))
        system.post("broker", message)
        with pytest.raises(UnknownMessage):
            system.step()


def test_every_statement_of_the_broker_is_a_validated_model() -> None:
    market = Market(*[{"fault": "partial_fills", "permille": 1000}], schedule=TapeSchedule({}))
    market.run((0, CROSSES), (1, GetSnapshot()), (1, QueryOrder("o1")), (2, CANCEL))
    assert all(isinstance(answer, BrokerMessage) for answer in market.answers)


# -- faults of calls ----------------------------------------------------------------------------------------

FIRST = {"nth": [1]}


@pytest.mark.spec("FLT-1")
@pytest.mark.parametrize("retry_after", [None, 3.0])
@pytest.mark.parametrize(
    ("call", "request_"),
    [("place", RESTS), ("cancel", CANCEL), ("query", QueryOrder("o1")), ("snapshot", GetSnapshot())],
)
def test_a_rate_limited_call_is_turned_away_and_nothing_is_done(
    call: str, request_: object, retry_after: float | None
) -> None:
    market = Market({"fault": "rate_limit", **FIRST, "calls": [call], "retry_after_s": retry_after})
    assert market.run((0, request_)) == [(0.1, "answer", "Throttled")]
    assert getattr(market.answers[0], "retry_after_s", None) == retry_after
    assert market.exchange.orders == {}


@pytest.mark.spec("FLT-2")
def test_a_call_lost_before_the_broker_acted_does_nothing() -> None:
    market = Market({"fault": "timeout_before", **FIRST})
    assert market.run((0, CROSSES)) == []
    assert market.exchange.orders == {}


@pytest.mark.spec("FLT-2")
def test_a_call_lost_after_the_broker_acted_has_made_the_order_and_its_fills_are_told() -> None:
    market = Market({"fault": "timeout_after", **FIRST})
    assert market.run((0, CROSSES)) == [(0.5, "stream", "Fill")]
    assert market.exchange.orders["o1"].leaves == 0


@pytest.mark.spec("FLT-2")
def test_a_cancel_lost_after_the_broker_acted_has_cancelled() -> None:
    market = Market({"fault": "timeout_after", **FIRST, "calls": ["cancel"]})
    assert market.run((0, RESTS), (1, CANCEL)) == [(0.3, "answer", "Accepted")]
    assert market.exchange.orders["o1"].status == "CANCELLED"


def test_a_refused_order_is_not_in_the_book() -> None:
    market = Market({"fault": "reject", **FIRST})
    assert [heard.what for heard in market.run((0, CROSSES))] == ["Rejected"]
    assert market.exchange.orders == {}


# -- faults of reports --------------------------------------------------------------------------------------


@pytest.mark.spec("FLT-4")
def test_partial_fills_add_up_to_the_order_in_whole_lots() -> None:
    tape = TapeSchedule({"fault.partial_fills": [1], "pieces": [2], "piece": [7, 3, 1]})
    market = Market({"fault": "partial_fills", "permille": 1000, "pieces_max": 4, "delay_s": 1}, schedule=tape)
    heard = market.run((0, CROSSES))
    assert market.pieces == ["0.50", "0.12", "0.04", "0.34"]
    assert [at_s for at_s, _, what in heard if what == "Fill"] == [0.5, 1.5, 2.5, 3.5]


@pytest.mark.spec("FLT-4")
def test_an_order_of_one_lot_cannot_be_parted() -> None:
    market = Market({"fault": "partial_fills", **FIRST})
    market.run((0, buy(limit="101", quantity="0.01")))
    assert market.pieces == ["0.01"]


@pytest.mark.spec("FLT-4")
def test_an_order_below_one_lot_is_one_piece() -> None:
    market = Market({"fault": "partial_fills", **FIRST})
    market.run((0, buy(limit="101", quantity="0.003")))
    assert market.pieces == ["0.003"]


@pytest.mark.spec("FLT-5")
def test_a_duplicate_fill_is_the_very_same_one_again() -> None:
    market = Market({"fault": "duplicate_fill", **FIRST, "delay_s": 2})
    heard = market.run((0, CROSSES))
    assert heard[1:] == [(0.5, "stream", "Fill"), (2.5, "stream", "Fill")]
    assert market.fills[0] == market.fills[1]
    assert len(market.exchange.executions) == 1


@pytest.mark.parametrize(("fault", "what"), [("duplicate_ack", "Accepted"), ("duplicate_reject", "Rejected")])
@pytest.mark.spec("FLT-5")
def test_a_duplicate_answer_comes_by_the_stream_as_well(fault: str, what: str) -> None:
    refuses = [{"fault": "reject", **FIRST}] if what == "Rejected" else []
    heard = Market({"fault": fault, **FIRST}, *refuses).run((0, RESTS))
    assert sorted(heard) == [(0.3, "answer", what), (0.3, "stream", what)]


@pytest.mark.spec("FLT-6")
def test_a_fill_before_the_ack_overtakes_it() -> None:
    heard = Market({"fault": "fill_before_ack", **FIRST, "delay_s": 1}).run((0, CROSSES))
    assert heard == [(0.3, "stream", "Fill"), (1.3, "answer", "Accepted")]


@pytest.mark.spec("FLT-6")
def test_a_fill_during_a_cancel_happens_before_it_and_counts_there() -> None:
    market = Market({"fault": "fill_during_cancel", **FIRST}, schedule=TapeSchedule({"piece": [7]}))
    heard = market.run((0, RESTS), (1, CANCEL))
    assert heard[1:] == [(1.1, "stream", "Fill"), (1.3, "answer", "Cancelled")]
    assert (market.pieces, str(getattr(market.answers[-1], "filled", ""))) == (["0.50"], "0.50")


@pytest.mark.spec("FLT-6")
def test_a_fill_after_the_cancel_s_ack_happened_before_it() -> None:
    market = Market({"fault": "fill_after_cancel_ack", **FIRST, "delay_s": 2}, schedule=TapeSchedule({"piece": [7]}))
    heard = market.run((0, RESTS), (1, CANCEL))
    assert heard[1:] == [(1.3, "answer", "Cancelled"), (3.3, "stream", "Fill")]
    assert str(getattr(market.answers[-1], "filled", "")) == "0.50", "the ack knew of it"


@pytest.mark.spec("FLT-6")
def test_a_cancel_is_refused_because_all_of_it_filled_and_the_fill_is_told_later() -> None:
    market = Market({"fault": "cancel_rejected_filled", **FIRST, "delay_s": 2})
    heard = market.run((0, RESTS), (1, CANCEL))
    assert heard[1:] == [(1.3, "answer", "CancelRefused"), (3.3, "stream", "Fill")]
    assert getattr(market.answers[-1], "code", "") == "ALREADY_FILLED"


@pytest.mark.spec("FLT-6")
def test_a_late_partial_happens_after_the_cancel_was_acknowledged() -> None:
    market = Market(
        {"fault": "late_partial_after_cancel", **FIRST, "delay_s": 2}, schedule=TapeSchedule({"piece": [7]})
    )
    heard = market.run((0, RESTS), (1, CANCEL))
    assert heard[1:] == [(1.3, "answer", "Cancelled"), (3.3, "stream", "Fill")]
    assert str(getattr(market.answers[-1], "filled", "")) == "0", "the ack did not know of it"
    assert str(market.exchange.orders["o1"].filled) == "0.50"


@pytest.mark.spec("SAF-5")
def test_a_conflicting_fill_has_a_known_id_and_another_price() -> None:
    market = Market({"fault": "conflicting_fill", **FIRST, "delay_s": 1})
    market.run((0, CROSSES))
    first, second = market.fills
    assert (first.fill_id, first.price, second.price) == (second.fill_id, Decimal(100), Decimal(200))
    assert len(market.exchange.executions) == 1, "the broker's own book has it once"


@pytest.mark.spec("SAF-1")
def test_an_overfill_is_one_more_fill_than_was_ordered() -> None:
    market = Market({"fault": "overfill", **FIRST, "delay_s": 1})
    market.run((0, CROSSES))
    first, second = market.fills
    assert (first.fill_id != second.fill_id, first.quantity) == (True, second.quantity)
    assert len(market.exchange.executions) == 1


@pytest.mark.spec("FLT-10")
def test_a_cancel_that_is_acknowledged_and_not_done_leaves_the_order_open() -> None:
    market = Market({"fault": "cancel_not_done", **FIRST})
    heard = market.run((0, RESTS), (1, CANCEL), (2, GetSnapshot()), (3, CANCEL))
    assert [each.what for each in heard[1:]] == ["Cancelled", "BrokerSnapshot", "Cancelled"]
    [snapshot] = [answer for answer in market.answers if isinstance(answer, BrokerSnapshot)]
    assert [order.client_order_id for order in snapshot.open_orders] == ["o1"]
    assert market.exchange.orders["o1"].status == "CANCELLED"


@pytest.mark.spec("FLT-10")
def test_a_snapshot_from_before_a_cancel_that_was_not_done_is_not_served_again() -> None:
    market = Market({"fault": "cancel_not_done", **FIRST}, {"fault": "stale_snapshot", "nth": [1]})
    market.run((0, GetSnapshot()), (1, RESTS), (2, CANCEL), (3, GetSnapshot()))
    [_, after] = [answer for answer in market.answers if isinstance(answer, BrokerSnapshot)]
    assert [order.client_order_id for order in after.open_orders] == ["o1"]
