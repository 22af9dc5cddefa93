"""The way of one order out of the house: once, with the rails' word, through an open gate, within its budgets."""

from __future__ import annotations

import pytest

from interlock.actors.safety_rails import SafetyRails
from interlock.domain.broker import Accepted, PlaceOrder, QueryOrder, Rejected, Throttled
from interlock.domain.messages import CheckIntent, SubmitStatus, Trip, Verdict
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order, new_order
from interlock.domain.session_states import SessionState
from interlock.runtime.mailbox import Lane
from interlock.runtime.memory_store import MemoryStore
from tests.actors.stage import Stage, an_intent, behaves, key_of, late, says
from tests.session_builders import ETH

THROTTLED = says(Throttled(retry_after_s=2.0))


@pytest.mark.spec("SAF-1")
def test_an_intent_is_claimed_journaled_and_sent_once() -> None:
    with Stage() as stage:
        outcome = stage.submit("d1")
        assert (outcome.status, outcome.client_order_id, outcome.code) == (SubmitStatus.ACCEPTED, key_of("d1"), "")
        assert stage.asked(PlaceOrder, "d1") == 1
        store = stage.session.store
        assert isinstance(store, MemoryStore)
        states = [order.state for order in store.records()]
        assert states == [OrderState.SENT, OrderState.ACK]
        assert store.order_of(key_of("d1")) == stage.order("d1")
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("SAF-1")
def test_the_key_is_claimed_before_the_broker_hears_of_the_order() -> None:
    claimed: list[Order | None] = []
    with Stage(place=[says(Rejected(client_order_id=key_of("d1"), code="NO"))]) as stage:
        handle = stage.session.broker.handle

        async def look(message: object, reply_to: object) -> None:
            if isinstance(message, PlaceOrder):
                claimed.append(stage.session.store.order_of(message.client_order_id))
            await handle(message, reply_to)  # type: ignore[arg-type]  # passed on as it came

        stage.session.broker.handle = look  # type: ignore[method-assign]  # a look over the broker's shoulder
        stage.submit("d1")
        assert [order and order.state for order in claimed] == [OrderState.SENT]


@pytest.mark.spec("SAF-1")
def test_the_same_decision_twice_is_a_duplicate_and_nothing_is_sent_again() -> None:
    with Stage() as stage:
        stage.submit("d1")
        for _ in range(3):
            again = stage.submit("d1")
            assert (again.status, again.client_order_id) == (SubmitStatus.DUPLICATE, key_of("d1"))
        assert stage.asked(PlaceOrder) == 1
        assert stage.counters["duplicate_intents_total"] == 3


@pytest.mark.parametrize("ended_by", ["fill", "cancel", "reject"])
@pytest.mark.spec("SAF-1")
def test_a_decision_whose_order_is_over_is_not_sent_again_either(ended_by: str) -> None:
    rejected = says(Rejected(client_order_id=key_of("d1"), code="NO"))
    with Stage(place=[rejected if ended_by == "reject" else behaves]) as stage:
        stage.submit("d1")
        if ended_by == "fill":
            stage.fill("d1", "1")
        elif ended_by == "cancel":
            stage.cancel("d1")
            stage.until(lambda: not stage.order("d1").live)
        assert not stage.order("d1").live
        assert stage.submit("d1").status is SubmitStatus.DUPLICATE
        assert stage.asked(PlaceOrder) == 1


@pytest.mark.spec("SAF-1")
def test_the_same_decision_at_the_same_time_is_sent_once() -> None:
    """The second one comes while the first still waits for the rails."""
    with Stage() as stage:
        first, second = stage.start(an_intent("d1")), stage.start(an_intent("d1"))
        stage.until(lambda: bool(first and second))
        assert (first[0].status, second[0].status) == (SubmitStatus.ACCEPTED, SubmitStatus.DUPLICATE)
        assert stage.asked(PlaceOrder) == 1


@pytest.mark.parametrize(
    "other",
    [{"quantity": "2"}, {"limit_price": "91"}, {"side": "SELL"}, {"symbol": ETH}, {"time_in_force": "IOC"}],
    ids=lambda other: next(iter(other)),
)
@pytest.mark.spec("SAF-1", "IDM-2", "ALT-1")
def test_a_decision_used_again_for_something_else_is_refused_and_told_to_people(other: dict[str, str]) -> None:
    with Stage() as stage:
        stage.submit("d1")
        refused = stage.submit("d1", **other)
        assert (refused.status, refused.code) == (SubmitStatus.REFUSED, "KEY_REUSED")
        assert stage.asked(PlaceOrder) == 1
        assert stage.kept.audited("INTENT_REFUSED")[0]["meta"]["code"] == "KEY_REUSED"
        [told] = [payload for payload in stage.kept.payloads("ALERT") if payload["alert"] == "ALERT_KEY_REUSED"]
        assert (told["decision_id"], told["reused"]) == ("d1", 1)


@pytest.mark.parametrize(("theirs", "code"), [("1", "KEY_KNOWN"), ("2", "KEY_REUSED")], ids=["same", "other content"])
@pytest.mark.spec("SAF-1")
def test_a_key_that_was_claimed_elsewhere_is_never_sent(theirs: str, code: str) -> None:
    """Claimed between our look and our claim: the store has the last word."""
    with Stage() as stage:
        done = stage.start(an_intent("d1"))
        stage.until(lambda: stage.desk.oldest_check_ns(-1) != -1)
        intent = an_intent("d1", quantity=theirs).intent
        stage.session.store.claim(new_order(intent, "mock", "main", "strat_demo", 0))
        stage.until(lambda: bool(done))
        assert (done[0].status, done[0].code) == (SubmitStatus.REFUSED, code)
        assert stage.asked(PlaceOrder) == 0


def test_a_refused_intent_is_no_order_and_may_come_again() -> None:
    with Stage() as stage:
        assert stage.submit("d1", quantity="11").code == "RAIL_ORDER_QUANTITY"
        assert stage.submit("d1").status is SubmitStatus.ACCEPTED
        assert stage.asked(PlaceOrder) == 1


def test_what_the_broker_refuses_is_rejected_with_its_code() -> None:
    with Stage(place=[says(Rejected(client_order_id=key_of("d1"), code="NO_MARGIN"))]) as stage:
        outcome = stage.submit("d1")
        assert (outcome.status, outcome.code) == (SubmitStatus.REJECTED, "NO_MARGIN")
        assert stage.order("d1").state is OrderState.REJECTED
        assert stage.counters["orders_rejected_total|NO_MARGIN"] == 1
        assert stage.stop().status == "COMPLETED"


def test_what_a_rejected_order_had_reserved_is_free_again() -> None:
    """Selling all of the position twice works only where the first order let go of it, on the desk and in the rails."""
    everything = {"side": "SELL", "quantity": "10", "limit_price": "150"}
    with Stage(place=[says(Rejected(client_order_id=key_of("d1"), code="NO"))]) as stage:
        assert stage.submit("d1", **everything).status is SubmitStatus.REJECTED
        assert [stage.submit(name, **everything).status for name in ("d2", "d3")] == [SubmitStatus.ACCEPTED] * 2
        assert stage.submit("d4", **everything).code == "RAIL_SHORT"


# -- credit -------------------------------------------------------------------------------------------------


@pytest.mark.spec("RT-1")
def test_more_intents_at_once_than_there_is_credit_for_are_refused_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rails take their time; meanwhile only as many checks as answers have room for are on their way."""
    check = SafetyRails._check  # noqa: SLF001 - slowed down, not replaced

    async def slowly(self: SafetyRails, message: CheckIntent) -> None:
        await self.ctx.sleep(1)
        await check(self, message)

    monkeypatch.setattr(SafetyRails, "_check", slowly)
    with Stage(rails={"in_flight_max": 2}, strategy={"in_flight_max": 1}) as stage:
        done = [stage.start(an_intent(f"d{n}")) for n in range(5)]
        stage.until(lambda: all(done))
        codes = sorted((outcome.status, outcome.code) for [outcome] in done)
        assert codes.count((SubmitStatus.REFUSED, "BUSY")) == 3
        assert stage.asked(PlaceOrder) == 2
        assert stage.submit("later").status is SubmitStatus.ACCEPTED, "credit came back"


# -- the gate -----------------------------------------------------------------------------------------------


@pytest.mark.spec("SAF-1")
def test_no_order_leaves_before_preflight() -> None:
    with Stage(begin=False) as stage:
        done = stage.start(an_intent("early"))
        stage.until(lambda: bool(done))
        assert stage.state is SessionState.INIT
        assert (done[0].status, done[0].code) == (SubmitStatus.REFUSED, "RAIL_GATE_CLOSED")
        stage.until(lambda: stage.state is SessionState.DRYRUN_ACTIVE)
        assert stage.asked(PlaceOrder) == 0
        assert stage.submit("early").status is SubmitStatus.ACCEPTED, "and it may be asked for again"


@pytest.mark.spec("SAF-1", "ORC-6")
def test_no_order_leaves_while_stopping() -> None:
    with Stage(cancel=[late(3)]) as stage:
        stage.submit("open")
        stage.session.stop("enough")
        outcome = stage.submit("late")
        assert stage.state is SessionState.STOPPING
        assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "RAIL_GATE_CLOSED")
        assert stage.end().status == "COMPLETED"
        assert stage.asked(PlaceOrder, "late") == 0


@pytest.mark.spec("SAF-1", "SAF-2")
def test_no_order_leaves_after_a_trip() -> None:
    with Stage(cancel=[late(3)]) as stage:
        stage.submit("open")
        stage.session.system.post("orchestrator", Trip("by_hand", "the test says so", {}), Lane.CONTROL)
        assert stage.submit("late").code == "RAIL_GATE_CLOSED"
        stage.end()
        assert stage.asked(PlaceOrder, "late") == 0


@pytest.mark.spec("SAF-1", "RT-2")
def test_an_order_that_was_cleared_before_the_trip_is_withheld_at_the_last_line() -> None:
    """The rails have said yes already; the trip comes between their verdict and the send."""
    with Stage() as stage:
        done = stage.start(an_intent("d1"))
        stage.until(lambda: key_of("d1") in stage.desk.book.orders)
        assert stage.order("d1").state is OrderState.SENT
        stage.session.system.post("orchestrator", Trip("by_hand", "the test says so", {}), Lane.CONTROL)
        stage.until(lambda: bool(done))
        assert (done[0].status, done[0].code) == (SubmitStatus.REFUSED, "RAIL_GATE_CLOSED")
        assert stage.order("d1").state is OrderState.REJECTED
        stage.end()
        assert stage.asked(PlaceOrder) == 0


@pytest.mark.spec("SAF-6")
def test_rails_that_wave_everything_through_are_overruled_at_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cap is checked again by the desk's own book."""

    async def wave(self: SafetyRails, message: CheckIntent) -> None:
        await self.ctx.send("orchestrator", Verdict(message.order.client_order_id), Lane.REPLY)

    monkeypatch.setattr(SafetyRails, "_check", wave)
    with Stage() as stage:
        refused = stage.submit("large", quantity="11")
        assert (refused.status, refused.code) == (SubmitStatus.REFUSED, "RAIL_ORDER_QUANTITY")
        assert stage.submit("short", side="SELL", quantity="10", limit_price="150").status is SubmitStatus.ACCEPTED
        assert stage.asked(PlaceOrder) == 1


@pytest.mark.spec("SAF-6", "ORC-5")
def test_rails_that_do_not_answer_let_nothing_out_and_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stall(self: SafetyRails, message: CheckIntent) -> None:
        """Never answer."""

    monkeypatch.setattr(SafetyRails, "_check", stall)
    with Stage() as stage:
        stage.start(an_intent("d1"))
        result = stage.end()
        assert (result.status, stage.trips[0], stage.asked(PlaceOrder)) == ("FAILED", "rails_silent", 0)


@pytest.mark.spec("SAF-1", "RT-7")
def test_a_second_attempt_after_the_gate_closed_is_withheld() -> None:
    with Stage(place=[THROTTLED]) as stage:
        done = stage.start(an_intent("d1"))
        stage.until(lambda: stage.asked(PlaceOrder) == 1)
        stage.session.system.post("orchestrator", Trip("by_hand", "the test says so", {}), Lane.CONTROL)
        stage.until(lambda: bool(done))
        assert (done[0].status, done[0].code) == (SubmitStatus.REFUSED, "RAIL_GATE_CLOSED")
        assert stage.now_s >= 2, "it was the second attempt that was withheld"
        stage.end()
        assert stage.asked(PlaceOrder) == 1
        assert stage.order("d1").state is OrderState.REJECTED


# -- rate limits and budgets ---------------------------------------------------------------------------------


@pytest.mark.spec("RT-7", "FLT-1")
def test_a_rate_limited_order_is_repeated_under_its_key_after_the_broker_s_own_wait() -> None:
    with Stage(place=[THROTTLED, THROTTLED], retry={"jitter_s": 0}) as stage:
        assert stage.submit("d1").status is SubmitStatus.ACCEPTED
        assert stage.asked(PlaceOrder, "d1") == 3
        assert stage.now_s == 4.0
        assert stage.counters["retry_attempts_total"] == 2
        assert len(stage.exchange.orders) == 1


@pytest.mark.spec("RT-7", "FLT-1")
def test_without_the_broker_s_advice_the_waits_double() -> None:
    """Two attempts wait 0.25 and 0.5 s by the config."""
    with Stage(place=[says(Throttled())] * 2, retry={"jitter_s": 0}) as stage:
        stage.submit("d1")
        assert (stage.asked(PlaceOrder), stage.now_s) == (3, 0.75)


@pytest.mark.spec("RT-7", "FLT-1")
def test_attempts_end_with_the_policy_and_the_order_was_proven_not_processed() -> None:
    with Stage(place=[THROTTLED] * 9, retry={"attempts_max": 3}) as stage:
        outcome = stage.submit("d1")
        assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "RATE_LIMITED")
        assert stage.order("d1").state is OrderState.REJECTED
        assert (stage.asked(PlaceOrder), stage.asked(QueryOrder)) == (3, 0)
        assert stage.stop().status == "COMPLETED"


@pytest.mark.spec("SAF-3", "RT-7")
def test_the_budget_of_one_order_ends_its_attempts() -> None:
    with Stage(
        place=[THROTTLED] * 99, retry={"attempts_max": 50, "duration_max_s": 900}, rails={"attempts_per_order": 4}
    ) as stage:
        outcome = stage.submit("d1")
        assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "BUDGET_PER_ORDER")
        assert stage.asked(PlaceOrder, "d1") == 4
        assert stage.counters["attempts_withheld_total"] == 1
        assert stage.submit("d2").code == "BUDGET_PER_ORDER", "each order has a budget of its own"
        assert stage.asked(PlaceOrder, "d2") == 4


@pytest.mark.spec("SAF-3")
def test_the_budget_of_a_minute_is_shared_by_all_orders_and_fills_up_again() -> None:
    with Stage(rails={"attempts_per_minute": 3}) as stage:
        outcomes = [stage.submit(f"d{n}") for n in range(5)]
        assert [outcome.code for outcome in outcomes] == ["", "", "", "BUDGET_PER_MINUTE", "BUDGET_PER_MINUTE"]
        assert stage.order("d4").state is OrderState.REJECTED
        stage.wait(61)
        assert stage.submit("d5").status is SubmitStatus.ACCEPTED
        assert stage.asked(PlaceOrder) == 4


@pytest.mark.spec("SAF-1")
def test_two_orders_at_the_broker_under_one_key_trip() -> None:
    with Stage() as stage:
        stage.submit("d1")
        stage.tell(Accepted(client_order_id=key_of("d1"), broker_order_id="another"))
        assert stage.end().status == "FAILED"
        assert "two_broker_orders" in stage.trips
