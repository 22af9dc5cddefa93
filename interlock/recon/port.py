"""A broker behind ``BrokerReader``, for a host that reconciles its own books without a session.

In a loop: ``engine.reconcile(await read_snapshot(reader))``. Without one: an engine made with ``broker=Asked(reader)``,
and ``engine.reconcile(None)``, which runs a loop of its own for the length of the question.
"""

from __future__ import annotations

import asyncio

from interlock.actors.port_snapshot import SnapshotReader
from interlock.domain import broker
from interlock.domain.broker import BrokerOrder
from interlock.domain.errors import BadInput
from interlock.domain.instants import rfc3339
from interlock.ports import BrokerReader
from interlock.recon.books import Fill, LedgerOrder
from interlock.recon.engine import ExternalSnapshot

__all__ = ["Asked", "read_snapshot"]


async def read_snapshot(reader: BrokerReader, fills_after: int = 0) -> ExternalSnapshot:
    """Return how the account stands, with the fills above a cursor; all parts of one moment, or none.

    Raises:
        BrokerError: the broker could not be asked, or its answers do not belong together.
    """
    told = await SnapshotReader(reader).take(fills_after)
    return ExternalSnapshot(
        timestamp=rfc3339(told.as_of_ns),
        positions={line.symbol: line.quantity for line in told.positions},
        open_orders=tuple(map(_order, told.open_orders)),
        fills=tuple(map(_fill, told.fills)),
        cash_balance=told.cash,
    )


class Asked:
    """A ``SnapshotSource`` that asks a reader; for hosts without an event loop."""

    def __init__(self, reader: BrokerReader, fills_after: int = 0) -> None:
        self._reader = reader
        self._fills_after = fills_after

    def snapshot(self) -> ExternalSnapshot:
        """Return what the broker says now; raises as ``read_snapshot`` does, and BadInput inside a running loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(read_snapshot(self._reader, self._fills_after))
        raise BadInput("broker", "is asked from inside an event loop", "await read_snapshot(reader) there")


def _order(told: BrokerOrder) -> LedgerOrder:
    return LedgerOrder(
        client_order_id=told.client_order_id,
        symbol=told.symbol,
        side=told.side,
        quantity=told.quantity,
        limit_price=told.limit_price,
        filled=told.filled,
        status=told.status,
        exchange_order_id=told.broker_order_id,
    )


def _fill(told: broker.Fill) -> Fill:
    return Fill(
        fill_id=told.fill_id,
        client_order_id=told.client_order_id,
        exchange_order_id=told.broker_order_id,
        symbol=told.symbol,
        side=told.side,
        quantity=told.quantity,
        price=told.price,
        fee=told.fee,
        fee_currency=told.fee_currency,
    )
