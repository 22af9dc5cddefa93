"""The mock broker's own book: orders, prices, positions and cash, matched against a price path.

It shares nothing with the rest of Interlock but the vocabulary, and does its own arithmetic, so that comparing
the two sides compares two accounts of the same facts. Purely synchronous; ``now_ns`` is an argument.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import msgspec

from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerOrder,
    BrokerSnapshot,
    BrokerStatus,
    Cancelled,
    CancelRefused,
    FeeCurrency,
    Fill,
    OrderNotFound,
    PlaceOrder,
    PositionLine,
    Rejected,
)
from interlock.domain.intents import BUY, OrderType, TimeInForce

__all__ = ["Exchange", "MockOrder", "OpeningBook"]

_BPS: Final = Decimal(10_000)
_CENT: Final = Decimal("0.00000001")
_ORDERS_MAX: Final = 5_000_000


class OpeningBook(msgspec.Struct, frozen=True):
    """What the broker's account holds at the beginning, in the broker's own opinion."""

    cash: Decimal | None
    positions: dict[str, Decimal]
    fee_bps: Decimal = Decimal(0)
    fee_currency: FeeCurrency = FeeCurrency.QUOTE
    limits: BrokerLimits | None = None


class MockOrder:
    """One order in the broker's book."""

    __slots__ = ("broker_order_id", "filled", "fills", "placed_ns", "request", "status")

    def __init__(self, request: PlaceOrder, broker_order_id: str, now_ns: int) -> None:
        self.request = request
        self.broker_order_id = broker_order_id
        self.placed_ns = now_ns
        self.status = BrokerStatus.OPEN
        self.filled = Decimal(0)
        self.fills: list[Fill] = []

    @property
    def leaves(self) -> Decimal:
        """Return what is not filled."""
        return self.request.quantity - self.filled

    def told(self) -> BrokerOrder:
        """Return the order as the broker tells it."""
        request = self.request
        return BrokerOrder(
            client_order_id=request.client_order_id,
            broker_order_id=self.broker_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            limit_price=request.limit_price,
            filled=self.filled,
            status=self.status,
            fills=tuple(self.fills),
        )


class Exchange:
    """An account at a broker that matches market and limit orders against the last price."""

    def __init__(self, opening: OpeningBook, executed_before: int = 0) -> None:
        """Begin with ``opening``; executions are numbered on from ``executed_before``."""
        self.cash = opening.cash
        self.positions = dict(opening.positions)
        self.prices: dict[str, Decimal] = {}
        self.orders: dict[str, MockOrder] = {}
        self.executions: list[Fill] = []
        self.accepted: list[str] = []
        """The client order id of every order that was taken in, once for each time."""
        self.quantity_cap: Decimal | None = None
        """What the broker itself takes at most in one order; None: anything."""
        self._before = executed_before
        self.limits = opening.limits
        """The limits that it tells. Its symbol caps are kept; a loss cap is only told."""
        self._numbered = 0
        self._restarts = 0
        self._fee_bps = opening.fee_bps
        self._fee_currency = opening.fee_currency
        self._resting: dict[str, dict[str, MockOrder]] = {}
        self._lines: dict[str, PositionLine] = {}

    # -- orders ---------------------------------------------------------------------------------------------

    def place(self, request: PlaceOrder, now_ns: int = 0) -> Accepted | Rejected:
        """Take an order in, or refuse it. A client order id that is open already is refused; a used one is not."""
        key = request.client_order_id
        known = self.orders.get(key)
        if known is not None and known.status is BrokerStatus.OPEN:
            return Rejected(client_order_id=key, code="DUPLICATE_ID", reason="an open order has this id")
        if request.symbol not in self.prices:
            return Rejected(client_order_id=key, code="UNKNOWN_SYMBOL", reason=f"{request.symbol} is not traded here")
        cap = self._cap(request.symbol)
        if cap is not None and request.quantity > cap:
            return Rejected(client_order_id=key, code="ABOVE_LIMIT", reason="more than the broker takes in one order")
        if len(self.orders) >= _ORDERS_MAX:
            return Rejected(client_order_id=key, code="BOOK_FULL")
        order = self._take_in(request, self._next_id(), now_ns)
        return Accepted(client_order_id=key, broker_order_id=order.broker_order_id)

    def _take_in(self, request: PlaceOrder, broker_order_id: str, now_ns: int) -> MockOrder:
        key, order = request.client_order_id, MockOrder(request, broker_order_id, now_ns)
        self.orders[key] = order
        self.accepted.append(key)
        self._resting.setdefault(request.symbol, {})[key] = order
        return order

    def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        """Cancel what is left of an open order."""
        order = self.orders.get(client_order_id)
        if order is None:
            return CancelRefused(client_order_id=client_order_id, code="UNKNOWN_ORDER")
        if order.status is not BrokerStatus.OPEN:
            return CancelRefused(client_order_id=client_order_id, code=f"ALREADY_{order.status}")
        self._close(order, BrokerStatus.CANCELLED)
        return Cancelled(client_order_id=client_order_id, filled=order.filled)

    def cancel_oldest(self, besides: str) -> Cancelled | None:
        """Cancel what is open longest, and say so; keys that begin with ``besides`` stay. None: nothing is open."""
        for key, order in self.orders.items():
            if order.status is BrokerStatus.OPEN and not key.startswith(besides):
                self._close(order, BrokerStatus.CANCELLED)
                return Cancelled(client_order_id=key, filled=order.filled)
        return None

    def query(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        """Return one order, open or closed, with its executions."""
        order = self.orders.get(client_order_id)
        return OrderNotFound(client_order_id=client_order_id) if order is None else order.told()

    def renumber(self) -> list[Accepted]:
        """Restart: give every open order a new broker order id and return their acknowledgements."""
        self._restarts += 1
        known: list[Accepted] = []
        for key, order in self.orders.items():
            if order.status is BrokerStatus.OPEN:
                order.broker_order_id = self._next_id()
                known.append(Accepted(client_order_id=key, broker_order_id=order.broker_order_id))
        return known

    def count_from_one(self) -> None:
        """Forget how many broker order ids were given, so that they are given again."""
        self._numbered = 0

    def _next_id(self) -> str:
        self._numbered += 1
        return f"b{self._restarts or ''}-{self._numbered:06d}"

    def _close(self, order: MockOrder, status: BrokerStatus) -> None:
        order.status = status
        self._resting[order.request.symbol].pop(order.request.client_order_id, None)

    # -- limits ---------------------------------------------------------------------------------------------

    def cap_orders(self, most: Decimal) -> None:
        """Take at most so much in one order from now on, and say so where limits are told at all."""
        self.quantity_cap = most
        if self.limits is not None:
            caps = dict.fromkeys({**self.limits.symbol_caps, **self.prices}, most)
            self.limits = BrokerLimits(daily_loss_cap=self.limits.daily_loss_cap, symbol_caps=caps)

    def _cap(self, symbol: str) -> Decimal | None:
        told = {} if self.limits is None else self.limits.symbol_caps
        return told.get(symbol, self.quantity_cap)

    # -- matching -------------------------------------------------------------------------------------------

    def marketable(self, order: MockOrder) -> bool:
        """Return whether an open order can trade at the last price."""
        if order.status is not BrokerStatus.OPEN:
            return False
        limit = order.request.limit_price
        if limit is None:
            return True
        price = self.prices[order.request.symbol]
        return price <= limit if order.request.side is BUY else price >= limit

    def crossed(self, symbol: str) -> list[MockOrder]:
        """Return the resting orders of a symbol that can trade now, oldest first."""
        return [order for order in self._resting.get(symbol, {}).values() if self.marketable(order)]

    def trade_price(self, order: MockOrder) -> Decimal:
        """Return the price of a trade now: the last price, or the limit where that is all the order allows."""
        request, price = order.request, self.prices[order.request.symbol]
        if request.limit_price is None or self.marketable(order):
            return price
        return request.limit_price

    def execute(self, order: MockOrder, quantity: Decimal, now_ns: int) -> Fill:
        """Fill ``quantity`` of an order; closes it when nothing is left. Late pieces of a closed order count too."""
        request, price = order.request, self.trade_price(order)
        cursor = self.cursor + 1
        fill = Fill(
            fill_id=f"f-{cursor:07d}",
            client_order_id=request.client_order_id,
            broker_order_id=order.broker_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=quantity,
            price=price,
            fee=self._fee(quantity if self._fee_currency is FeeCurrency.BASE else quantity * price),
            fee_currency=self._fee_currency,
            ts_ns=now_ns,
            cursor=cursor,
        )
        self.record(order, fill)
        return fill

    def _fee(self, traded: Decimal) -> Decimal:
        fee_bps = self._fee_bps
        return (traded * fee_bps / _BPS).quantize(_CENT, ROUND_HALF_UP) if fee_bps else fee_bps

    def record(self, order: MockOrder, fill: Fill) -> None:
        """Book an execution on this side."""
        order.filled += fill.quantity
        order.fills.append(fill)
        self.executions.append(fill)
        change = fill.quantity if fill.side is BUY else -fill.quantity
        in_base = fill.fee_currency is FeeCurrency.BASE
        taken = fill.fee if in_base else Decimal(0)
        self.positions[fill.symbol] = self.positions.get(fill.symbol, Decimal(0)) + change - taken
        if self.cash is not None:
            self.cash -= change * fill.price + (Decimal(0) if in_base else fill.fee)
        if order.leaves <= 0:
            self._close(order, BrokerStatus.FILLED)

    def expire_if_immediate(self, order: MockOrder) -> bool:
        """End what is left of an immediate-or-cancel or market order; True where something was left."""
        request = order.request
        immediate = request.time_in_force is TimeInForce.IOC or request.order_type is OrderType.MARKET
        if immediate and order.status is BrokerStatus.OPEN:
            self._close(order, BrokerStatus.EXPIRED)
            return True
        return False

    @property
    def cursor(self) -> int:
        """Return the number of the last execution."""
        return self._before + len(self.executions)

    def fills_between(self, after: int, last: int) -> tuple[Fill, ...]:
        """Return the executions above a cursor, up to another."""
        return tuple(self.executions[max(after - self._before, 0) : max(last - self._before, 0)])

    # -- the account ----------------------------------------------------------------------------------------

    def open_keys(self) -> tuple[str, ...]:
        """Return the client order id of every open order, by symbol and age."""
        return tuple(key for orders in self._resting.values() for key in orders)

    def snapshot(self, now_ns: int, fills_after: int) -> BrokerSnapshot:
        """Return the account as it is now, with the fills above a cursor."""
        resting = [order for orders in self._resting.values() for order in orders.values()]
        return BrokerSnapshot(
            as_of_ns=now_ns,
            cursor=self.cursor,
            open_orders=tuple(order.told() for order in resting),
            fills=self.fills_between(fills_after, self.cursor),
            positions=tuple(self._line(symbol) for symbol in sorted(self.positions)),
            cash=self.cash,
            limits=self.limits,
        )

    def _line(self, symbol: str) -> PositionLine:
        """Return a position as it is told; the line is made anew only where it has changed."""
        line, quantity = self._lines.get(symbol), self.positions[symbol]
        if line is None or line.quantity is not quantity:
            line = self._lines[symbol] = PositionLine(symbol=symbol, quantity=quantity)
        return line
