"""A session inside a host: from ``async with`` to its last record, under both kinds of event loop."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

import interlock
from interlock.domain.errors import BadInput, DeadlineExceeded, SessionOver, SessionRejected
from interlock.domain.messages import SubmitStatus
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.domain.reconcile import ReconcileResult
from interlock.host import EventsMissed, OrderUpdate, open_session
from interlock.host.opening import Sinks
from interlock.runtime.audit import verify_audit_file
from interlock.runtime.sqlite_store import SqliteStore
from tests.host_builders import LOOPS, TraderOf, an_exchange, an_intent, host_config, in_loop, sinks_of
from tests.session_builders import Kept

pytestmark = pytest.mark.spec("RT-10")

either_loop = pytest.mark.parametrize("loop", LOOPS)


@either_loop
def test_a_host_trades_compares_and_stops(loop: str) -> None:
    trader = TraderOf(an_exchange())

    async def story() -> list[object]:
        async with open_session(host_config(), broker=trader) as session:
            events = session.events()
            bought = await session.submit(an_intent("d1", limit_price="101"))
            rests = await session.submit(an_intent("d2"))
            report = await session.reconcile(timeout_s=5)
            asked = await session.cancel(rests.client_order_id)
            result = await session.stop("the host is done")
            heard = [(one.event, one.order.decision_id) async for one in events if isinstance(one, OrderUpdate)]
        return [bought.status, rests.status, report.result, asked.requested, result.status, heard]

    *facts, heard = in_loop(loop, story)
    accepted = SubmitStatus.ACCEPTED
    assert facts == [accepted, accepted, ReconcileResult.HEALTHY, True, "COMPLETED"]
    assert isinstance(heard, list)
    first, *_, last = [event for event, decision in heard if decision == "d1"]
    assert (first, last) == (OrderEvent.SEND, OrderEvent.FULL_FILL)
    assert heard[-1] == (OrderEvent.CANCEL_ACK, "d2")
    assert len(trader.placed) == 2


@either_loop
def test_the_mock_broker_of_the_config_serves_where_none_is_given(loop: str) -> None:
    async def story() -> str:
        async with interlock.open_session(host_config()) as session:
            assert (await session.submit(an_intent("d1"))).status is SubmitStatus.ACCEPTED
            assert session.status().live_orders == 1
            return (await session.stop("done")).status

    assert in_loop(loop, story) == "COMPLETED"


@either_loop
def test_leaving_ends_the_session_in_good_order(loop: str) -> None:
    kept, trader = Kept(), TraderOf(an_exchange())

    async def story() -> None:
        async with open_session(host_config(), broker=trader, sinks=sinks_of(kept)) as session:
            await session.submit(an_intent("d1"))

    in_loop(loop, story)
    assert trader.calls.count("cancel") == 1
    assert kept.metrics[0]["status"] == "COMPLETED"
    assert "SESSION_ABANDONED" not in kept.codes
    assert not trader.exchange.snapshot(0, 0).open_orders


@either_loop
def test_an_error_of_the_host_leaves_as_itself_and_the_session_ends_in_good_order(loop: str) -> None:
    kept = Kept()

    async def story() -> None:
        async with open_session(host_config(), sinks=sinks_of(kept)) as session:
            await session.submit(an_intent("d1"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_loop(loop, story)
    assert kept.metrics[0]["status"] == "COMPLETED"
    assert kept.metrics[0]["orders_by_state"] == {"CANCELLED": 1}


def test_a_session_that_cannot_end_within_its_bound_is_abandoned_with_the_kill_switch() -> None:
    """The broker is asked for the last time and never answers."""
    kept, trader = Kept(), TraderOf(an_exchange())
    config = host_config(host={"shutdown_s": "0.05"}, broker={"timeout_s": "30"})

    async def story() -> None:
        async with open_session(config, broker=trader, sinks=sinks_of(kept)) as session:
            await session.submit(an_intent("d1"))
            trader.first["cancel"] = iter([anyio.Event()])

    in_loop("asyncio", story)
    assert kept.codes[-1] == "SESSION_ABANDONED"
    assert (kept.metrics[0]["fail_code"], kept.metrics[0]["kill_switch"]) == ("shutdown_overdue", 1)


# -- what is against beginning ------------------------------------------------------------------------------


def test_a_session_that_must_not_begin_says_every_reason() -> None:
    config = host_config(session={"strategy_id": "nobody", "run_id": "not a name"})

    async def story() -> None:
        async with open_session(config):
            pytest.fail("it must not begin")

    with pytest.raises(SessionRejected, match="strategy is not in the allowlist") as caught:
        in_loop("asyncio", story)
    assert caught.value.codes == ("C2_REJECT_RUN_ID", "C2_REJECT_STRATEGY_NOT_ALLOWED")


def test_a_broker_that_disagrees_rejects_the_session() -> None:
    trader = TraderOf(an_exchange(**{"BTC/EUR": "19"}))

    async def story() -> None:
        async with open_session(host_config(), broker=trader):
            pytest.fail("it must not begin")

    with pytest.raises(SessionRejected, match="C2_REJECT_RECONCILE"):
        in_loop("asyncio", story)
    assert trader.placed == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"config": "none.yaml"}, "none.yaml"),
        ({"config": {"session": {}}}, "config: session.session_id"),
        (
            {"config": host_config().model_dump(mode="json") | {"live_enabled": True}},
            "live_enabled: is not a known key",
        ),
        ({"broker": object()}, "broker: is no BrokerReader: it has no name, open_orders"),
        ({"out": "out", "sinks": Sinks()}, "sinks: stand beside a run folder"),
        ({"sinks": Sinks(audit=5)}, "sink audit: is a int"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_opened(
    wanted: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def story() -> None:
        async with open_session(**{"config": host_config(), **wanted}):
            pytest.fail("it must not begin")

    with pytest.raises(BadInput, match=said):
        in_loop("asyncio", story)
    assert list(tmp_path.iterdir()) == []


# -- stores and records -------------------------------------------------------------------------------------


def test_a_run_folder_and_a_store_outlive_the_session(tmp_path: Path) -> None:
    store = tmp_path / "keys.sqlite3"

    async def story() -> list[str]:
        said = []
        for run in ("one", "two"):
            config = host_config(session={"run_id": run}, store={"group_commit": True})
            trader = TraderOf(an_exchange())
            async with open_session(config, broker=trader, store=store, out=tmp_path) as session:
                said.append(f"{(await session.submit(an_intent('d1'))).status} {len(trader.placed)}")
        return said

    assert in_loop("asyncio", story) == ["ACCEPTED 1", "DUPLICATE 0"]
    folder = tmp_path / "finish_c" / "c2" / "one"
    assert verify_audit_file(folder / "audit.jsonl").ok
    assert {path.name for path in folder.iterdir()} >= {"events.jsonl", "metrics.json", "reconcile-report.json"}
    with SqliteStore(store, owner="test") as kept:
        assert kept.live_orders() == ()


def test_nothing_of_the_host_s_process_is_touched() -> None:
    def touched() -> tuple[object, ...]:
        logger = logging.getLogger()
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), list(logger.handlers), logger.level

    async def story() -> bool:
        before = touched()
        async with open_session(host_config()) as session:
            await session.submit(an_intent("d1"))
            assert touched() == before
        return touched() == before

    assert in_loop("asyncio", story)


@either_loop
def test_two_sessions_in_one_loop_do_not_see_each_other(loop: str) -> None:
    one, two = TraderOf(an_exchange()), TraderOf(an_exchange())

    async def story() -> list[object]:
        async with open_session(host_config(), broker=one) as first, open_session(host_config(), broker=two) as second:
            told = [first.events(), second.events()]
            await first.submit(an_intent("d1", limit_price="101"))
            await second.submit(an_intent("d1", quantity="2"))
            assert (first.status().live_orders, second.status().live_orders) == (0, 1)
            await first.stop("done")
            assert second.status().state == "DRYRUN_ACTIVE"
            assert (await second.reconcile()).result is ReconcileResult.HEALTHY
            await second.stop("done")
            return [[event.event async for event in events if isinstance(event, OrderUpdate)][-1] for events in told]

    assert in_loop(loop, story) == [OrderEvent.FULL_FILL, OrderEvent.CANCEL_ACK]
    assert one.placed == two.placed, "the same decision has the same key in both"


# -- deadlines and endings ----------------------------------------------------------------------------------


def test_a_host_that_waits_no_longer_may_ask_again() -> None:
    trader = TraderOf(an_exchange())

    async def story() -> list[object]:
        slow = anyio.Event()
        trader.first["place"] = iter([slow])
        async with open_session(host_config(broker={"timeout_s": "5"}), broker=trader) as session:
            with pytest.raises(DeadlineExceeded):
                await session.submit(an_intent("d1"), timeout_s=0.01)
            again = await session.submit(an_intent("d1"))
            slow.set()
            return [again.status, again.code]

    assert in_loop("asyncio", story) == [SubmitStatus.DUPLICATE, OrderState.SENT]
    assert len(trader.placed) == 1


def test_after_its_end_a_session_says_so() -> None:
    async def story() -> None:
        async with open_session(host_config()) as session:
            result = await session.stop("done")
            outcome = await session.submit(an_intent("d1"))
            assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "SESSION_ENDED")
            for call in (session.cancel("x"), session.reconcile()):
                with pytest.raises(SessionOver):
                    await call
            assert await session.stop("again") is result
            assert await session.ended() is result
            assert [event async for event in session.events()] == []

    in_loop("asyncio", story)


def test_whoever_waits_when_the_session_ends_is_told_so() -> None:
    """An order is at the broker, a reconcile is under way, and the session is given up."""
    trader = TraderOf(an_exchange())
    said: list[object] = []

    async def story() -> None:
        async with open_session(host_config(broker={"timeout_s": "30"}), broker=trader) as session:
            trader.first["place"] = iter([anyio.Event()])
            trader.first["positions"] = iter([anyio.Event()])

            async def submits() -> None:
                said.append((await session.submit(an_intent("d1"))).status)

            async def compares() -> None:
                with pytest.raises(SessionOver):
                    await session.reconcile()
                said.append("over")

            async with anyio.create_task_group() as group:
                group.start_soon(submits)
                group.start_soon(compares)
                while trader.calls.count("place") + trader.calls.count("positions") < 3:
                    await anyio.lowlevel.checkpoint()
                session._session.abandon(  # noqa: SLF001 - what a crash does, without one
                    "test", "given up"
                )

    in_loop("asyncio", story)
    assert sorted(map(str, said)) == ["UNKNOWN", "over"]


# -- events -------------------------------------------------------------------------------------------------


def test_a_slow_consumer_is_told_how_much_it_missed() -> None:
    async def story() -> list[object]:
        async with open_session(host_config(host={"events_max": 3})) as session:
            slow = session.events()
            for n in range(5):
                await session.submit(an_intent(f"d{n}"))
            await session.stop("done")
            return [event async for event in slow]

    missed, *kept = in_loop("asyncio", story)
    assert isinstance(missed, EventsMissed)
    assert (missed.count, len(kept)) == (17, 3), "five orders: sent, acked, to be cancelled, cancelled"
    assert all(isinstance(event, OrderUpdate) and event.order.state is OrderState.CANCELLED for event in kept)


def test_a_consumer_that_was_dropped_is_forgotten() -> None:
    async def story() -> None:
        async with open_session(host_config()) as session:
            for _ in range(200):
                session.events()
            held = [session.events() for _ in range(64)]
            with pytest.raises(BadInput, match="64 consumers already"):
                session.events()
            del held
            session.events()

    in_loop("asyncio", story)
