"""Soaks: a simulated hour through the ports with a faulty broker, and a short one on the real clock."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from collections.abc import Iterator
from typing import Final

import pytest

from interlock.runtime.clock import RealClock
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.real_asks import RealAsks
from tests.host_builders import LOOPS, LoopClock, in_loop, instantly
from tools.soak import Traded, main, port_of, soak_config, trade_on

pytestmark = pytest.mark.spec("RT-10", "FLT-1", "FLT-2", "FLT-3", "FLT-4", "FLT-5", "FLT-6", "FLT-7", "FLT-10", "IDM-4")

_HOUR_S: Final = 3600.0
_SESSIONS: Final = 4
_GROWTH_BYTES_MAX: Final = 50_000


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell alerts to nobody, since threads tell them, for which no time passes here; and let nobody keep the log."""
    monkeypatch.setattr("interlock.sessions.real_time.real_time_sinks", lambda *_: ())
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


async def laps(sessions: int, seconds: float, every_s: float) -> list[Traded]:
    """Trade in session after session, each on what the one before has left; hold the broker's book against keys."""
    clock, store = LoopClock(), MemoryStore()
    config = soak_config("port")
    async with port_of(config, clock, seed=3) as port:
        traded = [
            await trade_on(soak_config(f"s{n}"), port, clock, seconds=seconds, every_s=every_s, store=store)
            for n in range(sessions)
        ]
        accepted = port.exchange.accepted
        assert len(accepted) == len({*accepted}), "no order was doubled"
        assert len(port.broker.requests) == len({*port.broker.requests})
    return traded


@pytest.mark.usefixtures("unheard")
def test_a_simulated_hour_ends_in_good_order_again_and_again() -> None:
    traded = instantly(lambda: laps(_SESSIONS, _HOUR_S / _SESSIONS, 1.5))
    assert [(one.status, one.agreed, one.reason) for one in traded] == [("COMPLETED", True, "")] * _SESSIONS
    assert sum(one.orders for one in traded) == 2400
    assert min(one.updates / one.orders for one in traded) > 2
    assert sum(one.refused for one in traded) == 0


@pytest.mark.usefixtures("unheard")
def test_what_is_left_after_a_session_is_flat() -> None:
    """The same again: the first lap fills the memos of texts and numbers, and what follows leaves nothing."""
    tracemalloc.start()
    try:
        held = []
        for _ in range(4):
            instantly(lambda: laps(1, 60, 0.5))
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[-1] - held[1] < _GROWTH_BYTES_MAX, held


def test_deadlines_that_are_over_are_forgotten() -> None:
    """Ten thousand requests answered in time leave ten thousand entries, and none after their deadlines."""

    async def story() -> int:
        clock = LoopClock()
        asks = RealAsks(clock)
        for n in range(10_000):
            asked = asks.open("host", 5.0)
            asked.end(n)
            assert await asked.result() == n
            asks.close(asked)
        await clock.sleep(6)
        return asks.pending

    assert instantly(story) == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_short_soak_on_the_real_clock(loop: str) -> None:
    async def story() -> Traded:
        clock = RealClock()
        config = soak_config("short", drain_every_s=0.05)
        async with port_of(config, clock) as port:
            return await trade_on(config, port, clock, seconds=1.5, every_s=0.01)

    got = in_loop(loop, story)
    assert (got.status, got.agreed, got.orders) == ("COMPLETED", True, 150)


def test_the_command_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--laps", "1", "--seconds", "0.4"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "restarted-0" in said.out
