"""A host: a small strategy on a recorded price path, trading through an Interlock session.

    python examples/host_strategy.py

The host owns the event loop, the prices and the decisions; the session owns what leaves for the broker. Here that is
the mock broker, since nothing else takes orders. Each decision has a name: submitted twice, it is still one order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import mean
from typing import Final

from interlock import HostSession, OrderIntent, OrderUpdate, open_session
from interlock.domain.broker import Fill
from interlock.domain.intents import Side, TimeInForce
from interlock.domain.messages import SubmitStatus
from interlock.domain.money import decimal_text
from interlock.mocks.exchange import OpeningBook
from interlock.mocks.port import MockPort
from interlock.mocks.prices import PricePath
from interlock.mocks.trading import MarketSettings

SYMBOL: Final = "BTC/EUR"
CASH: Final = Decimal(10_000)
LOT: Final = Decimal(2)
PRICES: Final = Path(__file__).with_name("prices.txt")

CONFIG: Final = {
    "session": {
        "session_id": "example-host",
        "strategy_id": "mean_reversion",
        "strategy_allowlist": ["mean_reversion"],
        "drain_every_s": "0.05",
    },
    "instruments": [{"symbol": SYMBOL, "price": "100", "max_order_quantity": "2", "max_order_notional": "250"}],
    "opening": {"cash": str(CASH)},
    "alerts": {"flush_s": 1},
}


def signals(prices: Iterable[Decimal], window: int = 20, away: Decimal = Decimal(1)) -> Iterator[Side | None]:
    """Buy well below the mean of the last prices, sell above it again; None: let it pass."""
    last: deque[Decimal] = deque(maxlen=window)
    holding = False
    for price in prices:
        last.append(price)
        middle = mean(last)
        if not holding and len(last) == window and price < middle - away:
            holding = True
            yield Side.BUY
        elif holding and price > middle + away:
            holding = False
            yield Side.SELL
        else:
            yield None


async def traded(session: HostSession, decision_id: str, side: Side, price: Decimal) -> list[Fill]:
    """Submit one order for now or never, and return its fills once it has ended."""
    intent = OrderIntent(
        decision_id=decision_id,
        symbol=SYMBOL,
        side=side,
        quantity=LOT,
        limit_price=price,
        time_in_force=TimeInForce.IOC,
    )
    events = session.events()
    fills: list[Fill] = []
    outcome = await session.submit(intent)
    if outcome.status in (SubmitStatus.REFUSED, SubmitStatus.REJECTED):
        print(f"{decision_id}: {outcome.status} {outcome.code}")
        return fills
    # UNKNOWN is no refusal: the session asks what became of it, and its events say so.
    async for update in events:
        if isinstance(update, OrderUpdate) and update.order.decision_id == decision_id:
            if update.fill is not None:
                fills.append(update.fill)
            if not update.order.live:
                break
    return fills


def recorded(file: Path = PRICES) -> list[Decimal]:
    """Return a price path, one price a line."""
    return [Decimal(line) for line in file.read_text(encoding="utf-8").split()]


async def main(path: Sequence[Decimal]) -> Decimal:
    """Play the path; return what was won, after fees."""
    market = MarketSettings((PricePath(SYMBOL, path[0], Decimal("0.01")),), 0, 0, 3600.0)
    profit = Decimal(0)
    async with (
        MockPort(market, OpeningBook(CASH, {}, fee_bps=Decimal(5))) as broker,
        open_session(CONFIG, broker=broker) as session,
    ):
        for tick, (price, side) in enumerate(zip(path, signals(path), strict=True)):
            broker.exchange.prices[SYMBOL] = price  # the recording is the market
            if side is None:
                continue
            for fill in await traded(session, f"tick-{tick}", side, price):
                paid = fill.quantity * fill.price
                profit += (paid if side is Side.SELL else -paid) - fill.fee
                print(f"tick {tick}: {side} {fill.quantity} at {fill.price}, fee {decimal_text(fill.fee)}")
        report = await session.reconcile()
        result = await session.stop("the recording is over")
    print(f"{result.status}; both sides compared: {report.result}; profit {profit:.2f}")
    return profit


if __name__ == "__main__":
    asyncio.run(main(recorded()))
