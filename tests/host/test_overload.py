"""Overload: more is offered than can be served. The host waits or is refused, and no order is lost or doubled."""

from __future__ import annotations

import asyncio
from collections import Counter

import anyio
import pytest

from interlock.config.parts import Parts
from interlock.domain.messages import SubmitOutcome, SubmitStatus
from interlock.domain.reconcile import ReconcileResult
from interlock.host import HostSession, open_session
from interlock.mocks.port import MockPort
from tests.host_builders import LOOPS, TraderOf, an_exchange, an_intent, host_config, in_loop, sinks_of
from tests.session_builders import Kept

pytestmark = pytest.mark.spec("RT-1", "RT-10")

WIDE = {"messages_max": 100_000, "repeats_max": 100_000, "attempts_per_minute": 100_000}


def burst(
    trader: TraderOf, offered: int, *, loop: str = "asyncio", **sections: dict[str, object]
) -> list[SubmitOutcome]:
    """Submit so many at once; return what became of each."""

    async def story() -> list[SubmitOutcome]:
        config = host_config(**{"rails": WIDE, **sections})
        async with open_session(config, broker=trader) as session:
            said = await asyncio.gather(*(session.submit(an_intent(f"d{n}", quantity="0.01")) for n in range(offered)))
            assert (session.status().submits_in_flight, session.status().submits_waiting) == (0, 0)
            assert (await session.reconcile()).result is ReconcileResult.HEALTHY
        return said

    return in_loop(loop, story)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_finds_no_room_waits_and_what_finds_none_to_wait_is_refused(loop: str) -> None:
    trader = TraderOf(an_exchange())
    said = burst(trader, 200, loop=loop, host={"in_flight_max": 8, "waiting_max": 50})
    statuses = Counter((outcome.status, outcome.code) for outcome in said)
    assert statuses == {(SubmitStatus.ACCEPTED, ""): 58, (SubmitStatus.REFUSED, "BUSY"): 142}
    taken = [outcome.client_order_id for outcome in said if outcome.status is SubmitStatus.ACCEPTED]
    assert sorted(trader.placed) == sorted(taken)
    assert len({outcome.client_order_id for outcome in said}) == 200, "the refused ones are named as well"


def test_with_enough_patience_every_order_gets_through_once() -> None:
    trader = TraderOf(an_exchange())
    said = burst(trader, 400, host={"in_flight_max": 16, "waiting_max": 400}, sinks={"mailbox_data": 4})
    assert {outcome.status for outcome in said} == {SubmitStatus.ACCEPTED}
    assert len(trader.placed) == len({*trader.placed}) == 400


def test_what_was_refused_as_busy_may_be_asked_for_again() -> None:
    trader = TraderOf(an_exchange())

    async def submit(session: HostSession, name: str) -> None:
        for _ in range(1000):
            outcome = await session.submit(an_intent(name, quantity="0.01"))
            if outcome.status is SubmitStatus.ACCEPTED:
                return
            assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "BUSY")
            await anyio.lowlevel.checkpoint()
        pytest.fail("it never got through")

    async def story() -> None:
        config = host_config(rails=WIDE, host={"in_flight_max": 2, "waiting_max": 2})
        async with open_session(config, broker=trader) as session, anyio.create_task_group() as group:
            for n in range(50):
                group.start_soon(submit, session, f"d{n}")

    in_loop("asyncio", story)
    assert len(trader.placed) == len({*trader.placed}) == 50


def test_a_host_that_waits_for_room_no_longer_has_sent_nothing() -> None:
    trader = TraderOf(an_exchange())

    async def story() -> None:
        slow = anyio.Event()
        trader.first["place"] = iter([slow])
        config = host_config(host={"in_flight_max": 1, "waiting_max": 5}, broker={"timeout_s": "5"})
        async with open_session(config, broker=trader) as session:
            first = asyncio.ensure_future(session.submit(an_intent("d1")))
            while "place" not in trader.calls:
                await anyio.lowlevel.checkpoint()
            refused = await session.submit(an_intent("d2"), timeout_s=0.01)
            assert (refused.status, refused.code) == (SubmitStatus.REFUSED, "BUSY")
            slow.set()
            assert (await first).status is SubmitStatus.ACCEPTED
            assert (await session.submit(an_intent("d2"))).status is SubmitStatus.ACCEPTED

    in_loop("asyncio", story)
    assert len(trader.placed) == 2


def test_a_stop_goes_before_everything_that_waits() -> None:
    """What is let in after it is refused; what is on its way when the session ends is told that nobody knows."""
    trader, kept = TraderOf(an_exchange()), Kept()

    async def story() -> list[SubmitOutcome]:
        config = host_config(rails=WIDE, host={"in_flight_max": 4, "waiting_max": 1000})
        async with open_session(config, broker=trader, sinks=sinks_of(kept)) as session:
            offers = [asyncio.ensure_future(session.submit(an_intent(f"d{n}"))) for n in range(300)]
            while not trader.placed:
                await anyio.lowlevel.checkpoint()
            await session.stop("enough")
            return await asyncio.gather(*offers)

    said = in_loop("asyncio", story)
    statuses = Counter(outcome.status for outcome in said)
    assert statuses[SubmitStatus.ACCEPTED] == len(trader.placed) < 50
    assert statuses[SubmitStatus.REFUSED] + statuses[SubmitStatus.UNKNOWN] == 300 - len(trader.placed)
    assert statuses[SubmitStatus.UNKNOWN] <= 4
    assert kept.metrics[0]["status"] == "COMPLETED"


@pytest.mark.parametrize("loop", LOOPS)
def test_the_mock_broker_behind_the_port_is_overrun_by_nobody(loop: str) -> None:
    async def story() -> int:
        config = host_config(rails=WIDE, host={"waiting_max": 500})
        parts = Parts(config)
        async with (
            MockPort(parts.market, parts.opening_book()) as port,
            open_session(config, broker=port) as session,
        ):
            said = await asyncio.gather(
                *(session.submit(an_intent(f"d{n}", limit_price="101", quantity="0.1")) for n in range(300))
            )
            assert {outcome.status for outcome in said} == {SubmitStatus.ACCEPTED}
            assert (await session.reconcile()).result is ReconcileResult.HEALTHY
            return len(port.exchange.executions)

    assert in_loop(loop, story) == 300
