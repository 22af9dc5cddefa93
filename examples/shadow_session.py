"""A shadow session: Interlock looks over the shoulder of a desk that trades by itself, and alerts where books differ.

    python examples/shadow_session.py

The broker here can only be read, so the session has no way to place or cancel. The desk reports what it does; the
session asks the broker and compares. One fill never reaches the desk: the next reconcile finds it and alerts, and
once the desk has looked it up, both sides agree again. Records go into lists; ``out=`` would make a run folder.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, Final

from interlock import HostSession, open_session
from interlock.domain.broker import BrokerLimits, BrokerOrder, Fill, OrderNotFound, PlaceOrder, PositionLine
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.domain.reconcile import ReconcileReport
from interlock.host.opening import Sinks
from interlock.mocks.exchange import Exchange, OpeningBook
from interlock.runtime.clock import RealClock

SYMBOL: Final = "BTC/EUR"

CONFIG: Final = {
    "session": {"session_id": "example-shadow", "strategy_id": "strat_demo", "drain_every_s": "0.05"},
    "instruments": [{"symbol": SYMBOL, "price": "100", "max_order_quantity": "10", "max_order_notional": "1000"}],
    "opening": {"cash": "10000"},
    "reconcile": {"grace_s": "0.05"},  # how long a difference must last; seconds where messages take their time
    "alerts": {"flush_s": 1},
}


class AccountReader:
    """A ``BrokerReader``: what a read-only key to an account can see. The account is that of a mock exchange."""

    name: Final = "example account"

    def __init__(self, account: Exchange) -> None:
        self._account = account
        self._clock = RealClock()

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Return what rests in the book."""
        return self._account.snapshot(0, 0).open_orders

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        """Return one order."""
        return self._account.query(client_order_id)

    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        """Return the fills from a cursor on."""
        return self._account.fills_between(max(cursor - 1, 0), self._account.cursor)

    async def positions(self) -> tuple[PositionLine, ...]:
        """Return what is held."""
        return self._account.snapshot(0, 0).positions

    async def cash(self) -> Decimal | None:
        """Return the cash."""
        return self._account.cash

    async def limits(self) -> BrokerLimits | None:
        """Return nothing: none are told."""
        return None

    async def server_time_ns(self) -> int:
        """Return the time there."""
        return self._clock.now_ns()


async def compared(session: HostSession, when: str) -> ReconcileReport:
    """Compare both sides and say what was found."""
    report = await session.reconcile()
    kinds = sorted({str(finding.kind) for finding in report.findings})
    print(f"{when}: {report.result}{': ' if kinds else ''}{', '.join(kinds)}")
    return report


async def main() -> list[str]:
    """Watch a desk that buys and misses one of its fills; return the names of the alerts."""
    audit: list[dict[str, Any]] = []
    account = Exchange(OpeningBook(Decimal(10_000), {}, fee_bps=Decimal(5)))
    account.prices[SYMBOL] = Decimal(100)
    order = PlaceOrder("desk-1", SYMBOL, Side.BUY, OrderType.LIMIT, Decimal(4), Decimal(100), TimeInForce.GTC)
    async with open_session(CONFIG, broker=AccountReader(account), sinks=Sinks(audit=audit)) as session:
        account.place(order)
        await session.observe(order)
        working = account.orders["desk-1"]
        now_ns = RealClock().now_ns()
        await session.observe(account.execute(working, Decimal(1), now_ns))
        await compared(session, "the desk has told everything")
        missed = account.execute(working, Decimal(3), now_ns)
        await compared(session, "a fill did not reach the desk")
        await session.observe(missed)
        await compared(session, "the desk has looked it up")
        result = await session.stop("the desk closes")
    alerts = [record["code"] for record in audit if record["code"].startswith("ALERT_")]
    print(f"{result.status}; the broker was only read; alerts: {', '.join(alerts)}")
    return alerts


if __name__ == "__main__":
    asyncio.run(main())
