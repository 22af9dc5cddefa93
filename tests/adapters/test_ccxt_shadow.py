"""A shadow session over ccxt: an account that agrees is healthy, drift is found, and nothing but reads is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from interlock.adapters import CcxtReader
from interlock.domain.messages import SubmitStatus
from interlock.domain.reconcile import ReconcileResult
from interlock.host import HostSession, open_session
from tests.ccxt_builders import an_account
from tests.host_builders import a_place, an_intent, host_config, in_loop, sinks_of
from tests.kraken_server import KEY, PRIVATE_READS, PUBLIC_READS, SECRET, KrakenServer, a_trade, an_order, answered
from tests.session_builders import Kept

pytestmark = [pytest.mark.usefixtures("loopback"), pytest.mark.spec("NFR-2", "RT-10", "REC-1")]

OURS = "OAAAAA-AAAAA-AAAAAA"
Story = Callable[[HostSession, KrakenServer, CcxtReader], Awaitable[None]]


def watched(story_of: Story, loop: str = "asyncio") -> tuple[KrakenServer, Kept]:
    """Play a story with an open shadow session over an account with 20 BTC and 100000 EUR."""
    kept, servers = Kept(), list[KrakenServer]()

    async def story() -> None:
        config = host_config(broker={"timeout_s": "10"})
        async with an_account() as (server, reader):
            servers.append(server)
            server.tick_s = 1
            async with open_session(config, broker=reader, sinks=sinks_of(kept)) as session:
                assert session.status().shadow
                assert session.status().last_reconcile == ReconcileResult.HEALTHY
                await story_of(session, server, reader)

    in_loop(loop, story)
    [server] = servers
    assert server.endpoints() <= PRIVATE_READS | PUBLIC_READS, "nothing but reads reached the exchange"
    assert {asked.path for asked in server.asked if asked.method != "GET"} <= {
        f"/0/private/{endpoint}" for endpoint in PRIVATE_READS
    }
    everything = repr([kept.events, kept.states, kept.metrics, kept.audit, kept.alerts])
    assert KEY not in everything
    assert SECRET not in everything
    return server, kept


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_account_that_agrees_is_healthy(loop: str) -> None:
    async def story(session: HostSession, server: KrakenServer, _: CcxtReader) -> None:
        server.open[OURS] = an_order()
        report = await session.reconcile()
        assert [finding.kind for finding in report.findings] == ["orphan_broker_order"], "nobody has reported it yet"
        await session.observe(a_place())
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    server, kept = watched(story, loop)
    assert kept.metrics[0]["status"] == "COMPLETED"
    assert OURS in server.open, "left as it was, also at the end"


def test_a_drift_is_found_and_named() -> None:
    async def story(session: HostSession, server: KrakenServer, _: CcxtReader) -> None:
        server.balances["XXBT"] = "20.5000000000"
        report = await session.reconcile()
        assert report.result is ReconcileResult.FINDINGS
        [finding] = report.findings
        assert (finding.kind, finding.symbol, finding.internal, finding.external) == (
            "position_drift",
            "BTC/EUR",
            "20",
            "20.5",
        )
        server.balances["XXBT"] = "20.0000000000"
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    _, kept = watched(story)
    assert kept.audited("ALERT_RECONCILE_DIVERGENCE")


def test_an_execution_that_the_host_reports_as_it_was_told_agrees() -> None:
    async def story(session: HostSession, server: KrakenServer, reader: CcxtReader) -> None:
        server.open[OURS] = an_order()
        await session.observe(a_place())
        server.open[OURS] = an_order(vol_exec="1.00000000")
        server.trades["TA"] = a_trade(OURS)
        server.balances |= {"XXBT": "21.0000000000", "ZEUR": "99909.8560"}
        report = await session.reconcile()
        assert "fill_missing_locally" in [finding.kind for finding in report.findings]
        [fill] = await reader.fills_since(0)
        await session.observe(fill)
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    watched(story)


@pytest.mark.spec("REC-6")
def test_an_exchange_that_does_not_answer_is_no_empty_account() -> None:
    async def story(session: HostSession, server: KrakenServer, _: CcxtReader) -> None:
        server.open[OURS] = an_order()
        await session.observe(a_place())
        server.fail("OpenOrders", *[answered(200, b"<html>", kind="text/html")] * 50)
        assert (await session.reconcile()).result is ReconcileResult.UNAVAILABLE
        assert session.status().state == "DRYRUN_ACTIVE"
        server.faults.clear()
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    _, kept = watched(story)
    assert kept.audited("ALERT_RECONCILE_FAILED")
    assert not kept.audited("ADAPTER_RAISED"), "its errors are ours"


def test_an_order_of_the_host_is_refused_before_anything_is_sent() -> None:
    async def story(session: HostSession, server: KrakenServer, _: CcxtReader) -> None:
        before = len(server.asked)
        outcome = await session.submit(an_intent("d1", limit_price="101"))
        assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "SHADOW")
        cancelled = await session.cancel("host-1")
        assert (cancelled.requested, cancelled.code) == (False, "SHADOW")
        assert len(server.asked) == before

    watched(story)
