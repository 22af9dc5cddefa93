"""NO-LIVE: which brokers a session is connected to, and that the others are not called even once."""

from __future__ import annotations

import gc

import pytest

from interlock.actors.ported_broker import PortedTrader
from interlock.domain.errors import SessionRejected
from interlock.domain.messages import SubmitStatus
from interlock.domain.preflight import PreflightFacts, preflight
from interlock.host import open_session
from interlock.host.broker import Unconnected, connect
from interlock.runtime.actor import Actor
from interlock.runtime.realtime import RealTimeSystem
from interlock.runtime.realtime_context import RealContext
from interlock.sessions import LiveTestOverride
from tests.host_builders import ReaderOf, TraderOf, an_exchange, an_intent, host_config, in_loop, sinks_of
from tests.session_builders import Kept

pytestmark = pytest.mark.spec("NFR-2", "ORC-4")

OVERRIDE = LiveTestOverride("a test")


def a_trader(*, is_mock: object = False, is_paper: object = False) -> TraderOf:
    """Return a trader that says of itself what a test wants."""
    trader = TraderOf(an_exchange())
    vars(trader).update(is_mock=is_mock, is_paper=is_paper)
    return trader


def opened(trader: ReaderOf, override: LiveTestOverride | None = None, kept: Kept | None = None) -> list[str]:
    """Return what became of a session with this broker: its outcome of one intent, or why it was rejected."""

    async def story() -> list[str]:
        try:
            sinks = sinks_of(kept or Kept())
            async with open_session(host_config(), broker=trader, test_override=override, sinks=sinks) as session:
                return [(await session.submit(an_intent("d1"))).status]
        except SessionRejected as rejected:
            return [*rejected.codes]

    return in_loop("asyncio", story)


def standing_in(trader: TraderOf, *, live: bool) -> Actor:
    """Return the actor that stands in the broker's place."""
    build = connect(trader, host_config(), live=live, override=False).build
    assert build is not None
    return build(RealContext(RealTimeSystem(), "broker"))


@pytest.mark.parametrize(
    ("is_mock", "is_paper", "override"),
    [
        (False, False, None),
        (False, False, OVERRIDE),
        (False, True, None),
        (1, 0, OVERRIDE),
        ("yes", "yes", OVERRIDE),
        (None, None, None),
    ],
)
def test_what_is_neither_a_mock_nor_paper_under_an_override_is_refused_before_any_call(
    is_mock: object, is_paper: object, override: LiveTestOverride | None
) -> None:
    trader, kept = a_trader(is_mock=is_mock, is_paper=is_paper), Kept()
    assert opened(trader, override, kept) == ["C2_REJECT_BROKER_NOT_MOCK"]
    assert (trader.calls, trader.links, trader.placed) == ([], 0, [])
    assert kept.audited("C2_REJECT_BROKER_NOT_MOCK")


@pytest.mark.parametrize(
    ("is_mock", "is_paper", "override"), [(True, False, None), (True, True, OVERRIDE), (False, True, OVERRIDE)]
)
def test_a_mock_and_paper_under_an_override_may_take_orders(
    is_mock: object, is_paper: object, override: LiveTestOverride | None
) -> None:
    trader = a_trader(is_mock=is_mock, is_paper=is_paper)
    assert opened(trader, override) == [SubmitStatus.ACCEPTED]
    assert (len(trader.placed), trader.links) == (1, 1)


def test_where_live_trading_was_asked_for_not_even_a_mock_is_connected() -> None:
    assert isinstance(standing_in(a_trader(is_mock=True), live=True), Unconnected)
    assert isinstance(standing_in(a_trader(is_mock=True), live=False), PortedTrader)


def test_what_is_not_connected_is_not_held_either() -> None:
    """Nothing that is sent to what stands in its place could reach it."""
    trader = a_trader()
    actor = standing_in(trader, live=False)
    assert isinstance(actor, Unconnected)
    assert trader not in gc.get_referents(actor, *gc.get_referents(actor))


def test_a_config_cannot_say_that_a_broker_is_paper() -> None:
    facts = PreflightFacts("run", "strat_demo", ("strat_demo",), broker_is_mock=False, broker_is_paper=True)
    assert [reject.code for reject in preflight(facts)] == ["C2_REJECT_BROKER_NOT_MOCK"]
    assert not facts.may_ask
