"""What an adapter says and raises, and what the session makes of it: the door between the two lets nothing else in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal

import anyio
import pytest

from interlock.domain.broker import Cancelled, Fill, PlaceOrder, Rejected
from interlock.domain.errors import NotSent, OutcomeUnknown, RateLimited, Refused, Unreachable
from interlock.domain.messages import SubmitStatus
from interlock.domain.order_states import OrderState
from interlock.domain.reconcile import ReconcileReport, ReconcileResult
from interlock.host import HostSession, OrderUpdate, open_session
from interlock.mocks.exchange import Exchange
from interlock.ports import BrokerReader, BrokerTrader
from tests.host_builders import TraderOf, an_exchange, an_intent, host_config, in_loop, sinks_of
from tests.session_builders import BTC, Kept

pytestmark = pytest.mark.spec("RT-7", "REC-6", "NFR-2")

Story = Callable[[HostSession, TraderOf], Awaitable[None]]


def played(story_of: Story, trader: TraderOf | None = None, **sections: dict[str, object]) -> tuple[TraderOf, Kept]:
    """Play a story with an open session; return the broker and what was recorded."""
    trader, kept = trader or TraderOf(an_exchange()), Kept()

    async def story() -> None:
        async with open_session(host_config(**sections), broker=trader, sinks=sinks_of(kept)) as session:
            await story_of(session, trader)

    in_loop("asyncio", story)
    return trader, kept


async def settled(session: HostSession, decision_id: str, first: Iterable[object], trader: TraderOf) -> list[str]:
    """Submit a resting order with something in its way; return the outcome and the state it comes to rest in."""
    trader.first["place"] = iter(first)
    events = session.events()
    outcome = await session.submit(an_intent(decision_id))
    state: OrderState = OrderState.UNKNOWN
    while state in (OrderState.UNKNOWN, OrderState.SENT) and outcome.status is SubmitStatus.UNKNOWN:
        update = await anext(events)
        assert isinstance(update, OrderUpdate)
        state = update.order.state
    return [outcome.status, outcome.code, state]


def test_both_protocols_are_what_the_test_broker_has() -> None:
    reader: BrokerReader = TraderOf(an_exchange())
    trader: BrokerTrader = TraderOf(an_exchange())
    assert (reader.name, trader.is_mock) == ("book", True)


# -- orders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RateLimited(0.001), RateLimited(float("nan")), NotSent("no route")], ids=repr)
def test_what_is_proven_to_have_had_no_effect_is_repeated_under_its_key(error: Exception) -> None:
    async def story(session: HostSession, trader: TraderOf) -> None:
        assert (await settled(session, "d1", [error, error], trader))[0] == SubmitStatus.ACCEPTED
        assert trader.calls.count("place") == 3

    trader, _ = played(story)
    assert len(trader.placed) == 1


def test_a_definite_no_ends_the_order_and_is_never_repeated() -> None:
    async def story(session: HostSession, trader: TraderOf) -> None:
        assert (await settled(session, "d1", [Refused("NO_PERMISSION")], trader))[:2] == ["REJECTED", "NO_PERMISSION"]
        assert trader.calls.count("place") == 1

    trader, _ = played(story)
    assert trader.placed == []


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), Unreachable("gone"), KeyError("oops"), TimeoutError()])
@pytest.mark.parametrize("processed", [True, False])
def test_after_anything_else_the_broker_is_asked_and_nothing_is_sent_again(error: Exception, processed: object) -> None:
    trader = TraderOf(an_exchange())

    def act() -> None:
        if processed:
            trader.exchange.place(trader_request())
        raise error

    def trader_request() -> PlaceOrder:
        key = next(iter(trader.asked))
        return trader.asked[key]

    async def story(session: HostSession, trader: TraderOf) -> None:
        status, code, state = await settled(session, "d1", [act], trader)
        assert (status, code) == ("UNKNOWN", "OUTCOME_UNKNOWN")
        assert state == (OrderState.ACK if processed else OrderState.VOID)
        assert trader.calls.count("place") == 1

    _, kept = played(story, trader)
    raised = [line["meta"]["error"] for line in kept.audited("ADAPTER_RAISED")]
    assert raised == (["KeyError"] if isinstance(error, KeyError) else []), "a time-out of its own is as good as ours"


def test_an_adapter_whose_place_cannot_even_be_found_has_left_the_outcome_unknown() -> None:
    class Gone(TraderOf):
        gone = False

        def __getattribute__(self, name: str) -> object:
            if name == "place" and self.gone:
                message = "the connection behind this adapter is gone"
                raise ConnectionError(message)
            return super().__getattribute__(name)

    trader = Gone(an_exchange())

    async def story(session: HostSession, trader: TraderOf) -> None:
        trader.gone = True  # type: ignore[attr-defined]  # a Gone
        status, code, state = await settled(session, "d1", [], trader)
        assert (status, code, state) == ("UNKNOWN", "OUTCOME_UNKNOWN", OrderState.VOID)

    _, kept = played(story, trader)
    assert [line["meta"]["error"] for line in kept.audited("ADAPTER_RAISED")] == ["ConnectionError"]


def test_an_order_that_is_there_already_is_asked_about_and_not_called_rejected() -> None:
    trader = TraderOf(an_exchange())

    def taken() -> None:
        trader.exchange.place(next(iter(trader.asked.values())))

    async def story(session: HostSession, trader: TraderOf) -> None:
        assert (await settled(session, "d1", [taken], trader))[1:] == ["OUTCOME_UNKNOWN", OrderState.ACK]

    played(story, trader)
    assert len(trader.exchange.accepted) == 1


def test_an_answer_that_is_none_leaves_the_outcome_unknown() -> None:
    class Odd(TraderOf):
        async def place(self, request: PlaceOrder) -> Rejected:
            await super().place(request)
            return Cancelled(client_order_id=request.client_order_id, filled=Decimal(0))  # type: ignore[return-value]

    async def story(session: HostSession, trader: TraderOf) -> None:
        assert (await settled(session, "d1", [], trader))[1:] == ["OUTCOME_UNKNOWN", OrderState.ACK]

    _, kept = played(story, Odd(an_exchange()))
    assert kept.audited("MALFORMED_MESSAGE")


def test_an_adapter_that_never_answers_is_given_up_with_everything_it_held() -> None:
    async def story(session: HostSession, trader: TraderOf) -> None:
        status, code, state = await settled(session, "d1", [anyio.Event()], trader)
        assert (status, code, state) == ("UNKNOWN", "OUTCOME_UNKNOWN", OrderState.VOID)

    played(story, broker={"timeout_s": "0.02"})


# -- snapshots ----------------------------------------------------------------------------------------------


def filled(exchange: Exchange, quantity: str) -> Fill:
    """Fill a part of the one order there is, on the broker's side alone."""
    [order] = [order for order in exchange.orders.values() if order.leaves > 0]
    return exchange.execute(order, Decimal(quantity), 1)


def compared(story: Callable[[TraderOf], None]) -> tuple[ReconcileReport, list[str]]:
    """Reconcile with something in the way, while an order rests; return the report, and what the broker was asked."""
    said: list[ReconcileReport] = []
    calls: list[str] = []

    async def session_of(session: HostSession, trader: TraderOf) -> None:
        await session.submit(an_intent("d1"))
        trader.calls.clear()
        story(trader)
        said.append(await session.reconcile())
        calls.extend(trader.calls)

    played(session_of)
    return said[0], calls


def test_a_snapshot_during_which_something_was_executed_is_taken_again() -> None:
    """The position is read before the fill, the cash after it: together they are the state of no moment."""

    def story(trader: TraderOf) -> None:
        def executes() -> None:
            trader.tell(filled(trader.exchange, "0.4"))

        trader.first["cash"] = iter([executes])

    report, calls = compared(story)
    assert report.result is ReconcileResult.HEALTHY
    assert calls.count("fills_since") == 3
    assert report.dismissed == 0, "nothing was concluded from the first look"


def test_an_account_that_never_stands_still_is_no_answer() -> None:
    def story(trader: TraderOf) -> None:
        trader.first["cash"] = iter([lambda: trader.tell(filled(trader.exchange, "0.001"))] * 100)

    report, _ = compared(story)
    assert (report.result, "moved during each" in report.detail) == (ReconcileResult.UNAVAILABLE, True)


@pytest.mark.parametrize("change", ["gone", "other", "order", "below"])
def test_a_history_that_is_not_the_one_told_before_is_no_answer(change: str) -> None:
    def story(trader: TraderOf) -> None:
        for _ in range(3):
            trader.tell(filled(trader.exchange, "0.1"))

    def rewrite(fills: list[Fill]) -> list[Fill]:
        match change:
            case "gone":
                return fills[:-1]
            case "other":
                return [*fills[:-1], fills[-1].model_copy(update={"price": Decimal(1)})]
            case "order":
                return fills[::-1] * 2
        return [fills[-1].model_copy(update={"cursor": 0, "fill_id": "f-0"}), *fills]

    said: list[ReconcileReport] = []

    async def session_of(session: HostSession, trader: TraderOf) -> None:
        await session.submit(an_intent("d1"))
        story(trader)
        said.append(await session.reconcile())
        trader.exchange.executions = rewrite(trader.exchange.executions)
        trader.history = trader.exchange.executions
        said.append(await session.reconcile())

    played(session_of, Historian(an_exchange()))
    assert [report.result for report in said] == [ReconcileResult.HEALTHY, ReconcileResult.UNAVAILABLE]


class Historian(TraderOf):
    """Tells a history as it was put into it, whatever is asked for."""

    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        if self.history is None:
            return await super().fills_since(cursor)
        return tuple(self.history)


@pytest.mark.parametrize("call", ["server_time_ns", "fills_since", "open_orders", "positions", "cash", "limits"])
@pytest.mark.parametrize("error", [Unreachable("gone"), ValueError("oops"), Refused("NO_PERMISSION")], ids=repr)
def test_a_part_that_is_missing_makes_no_smaller_snapshot(call: str, error: Exception) -> None:
    def story(trader: TraderOf) -> None:
        trader.first[call] = iter([error] * 100)

    report, _ = compared(story)
    assert (report.result, report.findings) == (ReconcileResult.UNAVAILABLE, ())


def test_a_question_is_repeated_until_it_is_answered() -> None:
    def story(trader: TraderOf) -> None:
        trader.first["positions"] = iter([Unreachable("gone"), RateLimited(0.001), KeyError("oops")])

    report, calls = compared(story)
    assert report.result is ReconcileResult.HEALTHY
    assert calls.count("positions") == 4


# -- the stream ---------------------------------------------------------------------------------------------


def test_a_lost_link_is_taken_up_again_said_and_compared() -> None:
    async def story(session: HostSession, trader: TraderOf) -> None:
        events = session.events()
        await session.submit(an_intent("d1"))
        filled(trader.exchange, "0.5")  # while nobody hears it
        trader.cut(Unreachable("gone"))
        async for event in events:
            if isinstance(event, OrderUpdate) and event.fill is not None:
                break
        assert trader.links == 2
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    _, kept = played(story, reconcile={"auto_repair": True, "repair_wait_s": "0.03"})
    assert kept.audited("BROKER_RECONNECTED")


def test_link_after_link_that_brings_nothing_ends_the_session() -> None:
    async def story(session: HostSession, trader: TraderOf) -> None:
        for _ in range(4):
            trader.cut(ConnectionError("gone"))
        assert (await session.ended()).fail_code == "broker_stream_lost"

    trader, kept = played(story)
    assert trader.links == 4
    assert len(kept.audited("ADAPTER_RAISED")) == 4


def test_a_link_that_brings_something_counts_anew() -> None:
    async def story(session: HostSession, trader: TraderOf) -> None:
        events = session.events()
        await session.submit(an_intent("d1"))
        for _ in range(6):
            trader.cut(Unreachable("gone"))
            trader.tell(filled(trader.exchange, "0.1"))
            async for event in events:
                if isinstance(event, OrderUpdate) and event.fill is not None:
                    break
        assert session.status().state == "DRYRUN_ACTIVE"

    trader, _ = played(story)
    assert trader.links == 7


def test_what_is_no_statement_is_recorded_and_compared_after() -> None:
    async def story(session: HostSession, trader: TraderOf) -> None:
        await session.submit(an_intent("d1"))
        trader.tell({"not": "a statement"})  # type: ignore[arg-type]
        trader.tell(trader.exchange.orders[next(iter(trader.asked))].told())
        trader.tell(filled(trader.exchange, "0.5"))
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    _, kept = played(story)
    assert len(kept.audited("MALFORMED_MESSAGE")) == 2
    assert kept.metrics[0]["positions"][BTC] == "20.5"
