"""A host's own books against a broker behind the port, without a session (DIF-8)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from interlock import OrderLedger, PositionLedger, ReconciliationEngine
from interlock.domain.errors import BadInput, Unreachable
from interlock.recon import Asked, read_snapshot
from tests.host_builders import ReaderOf, a_place, an_exchange, in_loop
from tests.session_builders import BTC

pytestmark = pytest.mark.spec("DIF-8", "REC-6")


def a_reader() -> ReaderOf:
    """Return a broker that holds 20 BTC, with one order open and half of it filled."""
    reader = ReaderOf(an_exchange())
    reader.exchange.place(a_place(quantity="2"))
    reader.exchange.execute(reader.exchange.orders["host-1"], Decimal(1), 1)
    return reader


def test_none_asks_the_port_and_finds_what_the_books_do_not_know() -> None:
    reader = a_reader()
    engine = ReconciliationEngine(PositionLedger(initial_cash=Decimal(100000)), OrderLedger(), broker=Asked(reader))
    diffs = engine.reconcile(None)
    assert [diff.diff_type for diff in diffs] == ["POSITION", "CASH", "ORDER", "FILL"]
    assert (diffs[0].symbol, diffs[0].external) == (BTC, Decimal(21))
    assert diffs[2].client_order_id == "host-1"


def test_in_a_loop_the_snapshot_is_awaited() -> None:
    async def story() -> None:
        snapshot = await read_snapshot(a_reader())
        assert snapshot.positions == {BTC: Decimal(21)}
        assert [order.filled for order in snapshot.open_orders] == [Decimal(1)]
        with pytest.raises(BadInput, match="from inside an event loop"):
            Asked(a_reader()).snapshot()

    in_loop("asyncio", story)


def test_a_broker_that_does_not_answer_is_no_empty_account() -> None:
    reader = a_reader()
    reader.first["positions"] = iter([Unreachable("gone")])
    with pytest.raises(Unreachable):
        Asked(reader).snapshot()
