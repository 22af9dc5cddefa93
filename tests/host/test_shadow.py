"""Shadow sessions: a broker that can only be read is watched and compared with what its host says it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from interlock.actors.ported_broker import PortedReader, PortedTrader
from interlock.domain.broker import Cancelled, CancelOrder, Fill
from interlock.domain.errors import BadInput, SessionOver, UnknownMessage
from interlock.domain.messages import SubmitStatus
from interlock.domain.reconcile import ReconcileReport, ReconcileResult
from interlock.host import HostSession, open_session
from interlock.mocks.exchange import Exchange, MockOrder
from tests.host_builders import ReaderOf, TraderOf, a_place, an_exchange, an_intent, host_config, in_loop, sinks_of
from tests.session_builders import BTC, Kept

pytestmark = pytest.mark.spec("NFR-2", "RT-10")


Story = Callable[[HostSession, Exchange], Awaitable[None]]


def watched(story_of: Story, reader: ReaderOf | None = None) -> tuple[ReaderOf, Kept]:
    """Play a story with an open shadow session; return the reader and what was recorded."""
    reader, kept = reader or ReaderOf(an_exchange()), Kept()

    async def story() -> None:
        async with open_session(host_config(), broker=reader, sinks=sinks_of(kept)) as session:
            assert session.status().shadow
            await story_of(session, reader.exchange)

    in_loop("asyncio", story)
    return reader, kept


def kinds(report: ReconcileReport) -> list[str]:
    """Return what kinds of findings a report has."""
    return [finding.kind for finding in report.findings]


def executed(exchange: Exchange, order: MockOrder, quantity: str) -> Fill:
    """Fill a part of an order there and return the fill."""
    return exchange.execute(order, Decimal(quantity), 1)


def test_it_reads_and_never_places_or_cancels() -> None:
    async def story(session: HostSession, exchange: Exchange) -> None:
        outcome = await session.submit(an_intent("d1", limit_price="101"))
        assert (outcome.status, outcome.code) == (SubmitStatus.REFUSED, "SHADOW")
        exchange.place(a_place())
        cancelled = await session.cancel("host-1")
        assert (cancelled.requested, cancelled.code) == (False, "SHADOW")
        assert (await session.reconcile()).result is ReconcileResult.FINDINGS

    reader, kept = watched(story)
    assert set(reader.calls) <= {
        "open_orders",
        "order",
        "fills_since",
        "positions",
        "cash",
        "limits",
        "server_time_ns",
    }
    assert len(reader.exchange.snapshot(0, 0).open_orders) == 1, "left as it was, also at the end"
    assert kept.metrics[0]["status"] == "COMPLETED"


def test_its_broker_has_no_way_to_place_or_cancel() -> None:
    assert not issubclass(PortedReader, PortedTrader)
    assert not {"_place", "_cancel", "_listen"} & {*dir(PortedReader)}

    async def story(session: HostSession, _: Exchange) -> None:
        broker = session._session.broker  # noqa: SLF001 - what a message would meet that should not exist
        assert type(broker) is PortedReader
        for message in (CancelOrder("x"), a_place()):
            with pytest.raises(UnknownMessage):
                await broker.handle(message, None)

    watched(story)


def test_what_the_host_reports_is_what_the_broker_is_compared_with() -> None:
    async def story(session: HostSession, exchange: Exchange) -> None:
        exchange.place(a_place())
        order = exchange.orders["host-1"]
        assert kinds(await session.reconcile()) == ["orphan_broker_order"], "nobody has reported it yet"
        await session.observe(a_place())
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY
        first, second = executed(exchange, order, "1"), executed(exchange, order, "1")
        report = await session.reconcile()
        assert kinds(report)[0] == "position_drift"
        assert kinds(report).count("fill_missing_locally") == 2
        for fill in (first, second, second):
            await session.observe(fill)
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY
        assert session.status().live_orders == 0

    _, kept = watched(story)
    assert kept.audited("ALERT_RECONCILE_DIVERGENCE")
    assert not kept.audited("SAFETY_RAIL_TRIPPED")
    assert kept.metrics[0]["counters"]["duplicate_fills_total"] == 1


def test_orders_that_ended_are_reported_as_ended() -> None:
    async def story(session: HostSession, exchange: Exchange) -> None:
        exchange.place(a_place())
        await session.observe(a_place())
        exchange.cancel("host-1")
        assert kinds(await session.reconcile()) == ["stale_local_order"]
        await session.observe(Cancelled(client_order_id="host-1", filled=Decimal(0)))
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    watched(story)


def test_a_broker_that_differs_from_the_beginning_is_told_and_watched_on() -> None:
    async def story(session: HostSession, exchange: Exchange) -> None:
        assert session.status().last_reconcile == ReconcileResult.FINDINGS
        exchange.positions[BTC] = Decimal(20)
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    _, kept = watched(story, ReaderOf(an_exchange(**{BTC: "19"})))
    assert kept.audited("ALERT_RECONCILE_DIVERGENCE")
    assert kept.metrics[0]["status"] == "COMPLETED"


def test_a_report_that_makes_no_sense_is_refused_and_changes_nothing() -> None:
    async def story(session: HostSession, exchange: Exchange) -> None:
        exchange.place(a_place())
        with pytest.raises(BadInput, match="order host-1: is not taken: UNKNOWN_ORDER"):
            await session.observe(executed(exchange, exchange.orders["host-1"], "1"))
        await session.observe(a_place())
        await session.observe(a_place())
        with pytest.raises(BadInput, match="KEY_REUSED"):
            await session.observe(a_place(quantity="3"))
        assert session.status().live_orders == 1

    watched(story)


@pytest.mark.spec("SAF-5")
def test_a_report_that_contradicts_an_earlier_one_ends_the_session() -> None:
    async def story(session: HostSession, exchange: Exchange) -> None:
        exchange.place(a_place())
        await session.observe(a_place())
        fill = executed(exchange, exchange.orders["host-1"], "1")
        await session.observe(fill)
        with pytest.raises(SessionOver):
            await session.observe(fill.model_copy(update={"price": Decimal(1)}))
        assert (await session.ended()).fail_code == "fill_conflict"

    _, kept = watched(story)
    assert kept.metrics[0]["kill_switch"] == 1


def test_only_a_shadow_session_is_told_what_others_did() -> None:
    async def story() -> None:
        async with open_session(host_config(), broker=TraderOf(an_exchange())) as session:
            with pytest.raises(BadInput, match="NOT_SHADOW"):
                await session.observe(a_place())

    in_loop("asyncio", story)


@pytest.mark.spec("REC-6")
def test_a_broker_that_cannot_be_reached_is_no_broker_without_orders() -> None:
    async def story(session: HostSession, exchange: Exchange) -> None:
        exchange.place(a_place())
        await session.observe(a_place())
        reader.first["open_orders"] = iter([ConnectionError("gone")] * 50)
        assert (await session.reconcile()).result is ReconcileResult.UNAVAILABLE
        assert session.status().state == "DRYRUN_ACTIVE"
        reader.first.clear()
        assert (await session.reconcile()).result is ReconcileResult.HEALTHY

    reader = ReaderOf(an_exchange())
    _, kept = watched(story, reader)
    assert kept.audited("ALERT_RECONCILE_FAILED")
    assert kept.audited("ADAPTER_RAISED")[0]["meta"]["error"] == "ConnectionError"
