"""A broker that can be read, over ccxt: open and ended orders, executions, balances and positions of any exchange.

``CcxtReader`` is a ``BrokerReader`` and no more: it has no way to place or cancel anything. What is particular to it:

* *Cursors* are the exchange's own: the millisecond of an execution, then a place of its own within it
  (``cursor_of``), the same in every process. An execution that comes late, behind what was told, is ``Unreachable``.
* *All fills* are those since ``settings.since``.
* An execution names its order, not its client order id: orders that were never seen are looked up, once each.
* The fills of an order have to add up to what the order says is filled; else there is no answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from types import TracebackType
from typing import Final, Self

from interlock.adapters.ccxt_account import CcxtAccount
from interlock.adapters.ccxt_fields import Told, text_of, time_ms_of
from interlock.adapters.ccxt_mapping import (
    CURSORS_PER_MS,
    Owner,
    balance_of,
    balances_of,
    fill_of,
    key_of,
    order_of,
    owner_of,
    position_of,
)
from interlock.adapters.ccxt_settings import CcxtSettings
from interlock.adapters.ccxt_told import ToldFills
from interlock.config.secret_place import secret_line
from interlock.domain.broker import BrokerLimits, BrokerOrder, Fill, OrderNotFound, PositionLine
from interlock.domain.errors import OutcomeUnknown, Unreachable
from interlock.domain.money import ARITHMETIC, ZERO

__all__ = ["CcxtReader"]

_OVERLAP_MS: Final = 60_000
_OWNERS_MAX: Final = 100_000


class CcxtReader:
    """Reads one account. Use it as ``async with``, or close it; belongs to one event loop."""

    def __init__(self, settings: CcxtSettings) -> None:
        """Make a reader; keys are read now, nothing is sent yet.

        Raises:
            BadInput: a key cannot be read, ccxt is not installed, or the exchange does not tell what is needed.
        """
        places = sorted(settings.keys.items())
        keys: dict[str, str] = {name: secret_line(f"keys.{name}", at.file, at.env) for name, at in places}
        self._settings = settings
        self._account = CcxtAccount(settings, keys)
        self._owners: dict[str, Owner] = {}
        self._told = ToldFills(settings.exchange)

    def __repr__(self) -> str:
        return f"CcxtReader({self.name!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def name(self) -> str:
        """Return what ccxt calls the exchange."""
        return self._settings.exchange

    async def aclose(self) -> None:
        """Close the connections to the exchange."""
        await self._account.aclose()

    # -- the port -------------------------------------------------------------------------------------------

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Return every order that is open now, without fills."""
        told = await self._account.open_orders()
        self._note(told)
        return tuple(order_of(self.name, order) for order in told.values())

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        """Return one order, open or ended, with all its fills."""
        told = await self._find(client_order_id)
        if told is None:
            return OrderNotFound(client_order_id=client_order_id)
        order = order_of(self.name, told)
        if order.filled == ZERO:
            return order
        order_id = order.broker_order_id
        trades = await self._account.trades(time_ms_of(self.name, f"order {order_id}", told))
        own = [trade for trade in trades if trade.get("order") == order_id]
        fills = self._in_order(fill_of(self.name, trade, owner_of(self.name, told)) for trade in own)
        filled = ZERO
        for fill in fills:
            filled = ARITHMETIC.add(filled, fill.quantity)
        if filled != order.filled:
            text = f"{self.name}: order {order_id}: its executions do not add up to what it says is filled"
            raise Unreachable(text)
        return order.model_copy(update={"fills": fills})

    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        """Return the fills from ``cursor`` on, that one included."""
        from_ms = max(self._account.since_ms, cursor // CURSORS_PER_MS - _OVERLAP_MS)
        trades = await self._account.trades(from_ms)
        await self._look_up(trades)
        fills = self._in_order(fill_of(self.name, trade, self._owners[trade["order"]]) for trade in trades)
        return self._told.take(fills, cursor, from_ms * CURSORS_PER_MS)

    async def positions(self) -> tuple[PositionLine, ...]:
        """Return every position that is not flat."""
        if self._settings.holds == "balances":
            return tuple(balances_of(self.name, await self._account.balance(), self._settings.cash))
        lines = [position_of(self.name, told) for told in await self._account.positions()]
        held: dict[str, PositionLine] = {}
        for line in lines:
            if line is not None and held.setdefault(line.symbol, line) is not line:
                text = f"{self.name}: position {line.symbol} is told twice"
                raise Unreachable(text)
        return tuple(held[symbol] for symbol in sorted(held))

    async def cash(self) -> Decimal | None:
        """Return the balance of the currency that counts as cash."""
        return balance_of(self.name, await self._account.balance(), self._settings.cash)

    async def limits(self) -> BrokerLimits | None:
        """Return None: ccxt knows no limits of accounts."""
        return None

    async def server_time_ns(self) -> int:
        """Return the exchange's own time."""
        return await self._account.now_ns()

    # -- whose orders ---------------------------------------------------------------------------------------

    async def _find(self, key: str) -> Told | None:
        """Return the order under a key, from the open ones, then from those that have ended: the way that orders go."""
        nobodys = f"{self.name}:"
        if key.startswith(nobodys):
            return await self._account.one_order(key.removeprefix(nobodys))
        for look in (self._account.open_orders, lambda: self._account.ended_orders(key)):
            found = [told for told in (await look()).values() if key_of(self.name, told) == key]
            if len(found) > 1:
                text = f"{self.name}: {len(found)} orders have one client order id"
                raise OutcomeUnknown(text)
            if found:
                return found[0]
        return None

    async def _look_up(self, trades: Iterable[Told]) -> None:
        """Learn whose executions these are."""
        if len(self._owners) > _OWNERS_MAX:
            self._owners.clear()
        orders = {text_of(self.name, "trade", trade, "order"): trade.get("symbol") for trade in trades}
        unknown = [(order_id, symbol) for order_id, symbol in orders.items() if order_id not in self._owners]
        for order_id, symbol in unknown[: self._settings.lookups_max]:
            order = await self._account.one_order(order_id, symbol)
            if order is None:
                text = f"{self.name}: there are executions of order {order_id}, and no such order"
                raise Unreachable(text)
            self._note({order_id: order})
        left = len(unknown) - self._settings.lookups_max
        if left > 0:
            text = f"{self.name}: {left} orders are still to be looked up, ask again"
            raise Unreachable(text)

    def _note(self, orders: dict[str, Told]) -> None:
        self._owners |= {order_id: owner_of(self.name, told) for order_id, told in orders.items()}

    def _in_order(self, fills: Iterable[Fill]) -> tuple[Fill, ...]:
        """Return fills in the order of their cursors, of which each has its own."""
        by_cursor: dict[int, Fill] = {}
        for fill in fills:
            other = by_cursor.setdefault(fill.cursor, fill)
            if other is not fill:
                text = f"{self.name}: trades {other.fill_id} and {fill.fill_id} have one place in the history"
                raise Unreachable(text)
        return tuple(by_cursor[cursor] for cursor in sorted(by_cursor))
