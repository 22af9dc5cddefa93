"""Orders of both sides, joined by key as they come; what ended alike on both sides leaves a small trace.

``TheirOrder`` is what the broker's log says of one order, folded by the same table as ours. A pair is kept while it is
open, or while the two sides differ. A pair that ended alike is settled: 16 bytes of its key and a record that all like
it share. Should either side speak of it again, it is opened once more.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from interlock.domain.broker import BrokerOrder, BrokerStatus
from interlock.domain.errors import IllegalTransition
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.order_states import ORDER_TABLE, OrderEvent, OrderState
from interlock.domain.orders import Order
from interlock.prove.executions import digest

__all__ = ["ENDED", "Pair", "Pairs", "TheirOrder"]

ENDED: Final = (OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED)

_STATUS: Final = {
    OrderState.FILLED: BrokerStatus.FILLED,
    OrderState.CANCELLED: BrokerStatus.CANCELLED,
    OrderState.EXPIRED: BrokerStatus.EXPIRED,
    OrderState.REJECTED: BrokerStatus.REJECTED,
}


class TheirOrder:
    """What the broker's log says of one order. Content that it has not told yet is None."""

    __slots__ = (
        "broker_order_id",
        "filled",
        "introduced",
        "key",
        "limit_price",
        "quantity",
        "reopened",
        "side",
        "state",
        "symbol",
        "told",
    )

    def __init__(self, key: str) -> None:
        self.key = key
        self.broker_order_id: str | None = None
        self.symbol: str | None = None
        self.side: Side | None = None
        self.quantity: Decimal | None = None
        self.limit_price: Decimal | None = None
        self.introduced = False
        """Whether the broker itself has told the content, or only our journal has."""
        self.reopened = False
        """Whether the order was settled before: then its price is not known any more."""
        self.state = OrderState.SENT
        self.filled = ZERO
        self.told: Decimal | None = None
        """The cumulative quantity that the broker has told last, beside its executions."""

    @property
    def status(self) -> BrokerStatus:
        """Return the broker's word for where the order is."""
        return _STATUS.get(self.state, BrokerStatus.OPEN)

    @property
    def unexplained(self) -> Decimal:
        """Return how much the broker says to be filled beyond its executions, which may come after it said so."""
        return ZERO if self.told is None else max(self.told - self.filled, ZERO)

    def borrow(self, order: Order) -> str:
        """Take over what our journal knows of the order, until the broker tells it; return what contradicts it."""
        if self.introduced or self.quantity is not None:
            return ""
        return self._learn(order.symbol, order.side, order.quantity)

    def introduce(
        self, symbol: str, side: Side, quantity: Decimal, limit_price: Decimal | None, broker_order_id: str
    ) -> str:
        """Take in what the broker says the order is; return what contradicts it, or ""."""
        if self.introduced or self.reopened:
            same = (symbol, side, quantity) == (self.symbol, self.side, self.quantity)
            same_price = self.reopened or limit_price == self.limit_price
            return "" if same and same_price else "the broker tells its content in two ways"
        self.introduced = True
        self.limit_price, self.broker_order_id = limit_price, broker_order_id
        return self._learn(symbol, side, quantity)

    def _learn(self, symbol: str, side: Side, quantity: Decimal) -> str:
        before = (self.symbol, self.side)
        self.symbol, self.side, self.quantity = symbol, side, quantity
        if self.filled and before != (symbol, side):
            return f"a fill of {before[1]} {before[0]} under an order of {side} {symbol}"
        if self.filled > quantity:
            return self._overfilled(self.filled)
        if self.filled == quantity and self.filled:
            self.state = OrderState.FILLED
        return ""

    def _overfilled(self, filled: Decimal) -> str:
        ordered = ZERO if self.quantity is None else self.quantity
        return f"filled {decimal_text(filled)} of {decimal_text(ordered)} ordered"

    def apply(self, event: OrderEvent) -> str:
        """Take one fact in; return what is wrong with it, or ""."""
        try:
            self.state = ORDER_TABLE.next(self.state, event)
        except IllegalTransition:
            return f"{event} of an order that is {self.state}"
        return ""

    def fill(self, symbol: str, side: Side, quantity: Decimal) -> str:
        """Book one execution; return why it cannot be one of this order, or ""."""
        if self.symbol is None:
            self.symbol, self.side = symbol, side
        if (self.symbol, self.side) != (symbol, side):
            return f"a fill of {side} {symbol} under an order of {self.side} {self.symbol}"
        filled = self.filled + quantity
        if self.quantity is not None and filled > self.quantity:
            return self._overfilled(filled)
        fault = self.apply(OrderEvent.FULL_FILL if filled == self.quantity else OrderEvent.PARTIAL_FILL)
        if not fault:
            self.filled = filled
        return fault

    def as_told(self, ours: Order | None) -> BrokerOrder | None:
        """Return the order in the broker's vocabulary, or None where its content was never told."""
        if self.symbol is None or self.side is None or self.quantity is None:
            return None
        borrowed = None if ours is None else ours.limit_price
        return BrokerOrder(
            client_order_id=self.key,
            broker_order_id=self.broker_order_id or self.key,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            limit_price=self.limit_price if self.introduced else borrowed,
            filled=self.filled + self.unexplained,
            status=self.status,
        )


class Pair:
    """One order of both sides. ``waiting`` counts its executions that only one side has told."""

    __slots__ = ("ours", "theirs", "waiting")

    def __init__(self, ours: Order | None = None, theirs: TheirOrder | None = None) -> None:
        self.ours = ours
        self.theirs = theirs
        self.waiting = 0

    @property
    def agrees(self) -> bool:
        """Return whether both sides ended the order, alike and with nothing left to be told."""
        ours, theirs = self.ours, self.theirs
        if ours is None or theirs is None or self.waiting or theirs.state not in ENDED:
            return False
        same_price = not theirs.introduced or theirs.limit_price == ours.limit_price
        return (
            ours.state is theirs.state
            and ours.filled == theirs.filled
            and not theirs.unexplained
            and (ours.symbol, ours.side, ours.quantity) == (theirs.symbol, theirs.side, theirs.quantity)
            and same_price
        )


class _Settled(NamedTuple):
    """What is kept of an order that ended alike on both sides."""

    symbol: str
    side: Side
    quantity: Decimal
    filled: Decimal
    state: OrderState
    version: int


_shared = lru_cache(maxsize=16_384)(_Settled)
"""Orders mostly come in few sizes, so that a million settled ones share a few thousand records."""


class Pairs:
    """All orders of a proof."""

    def __init__(self) -> None:
        self.open: dict[str, Pair] = {}
        self._settled: dict[bytes, _Settled] = {}

    def __len__(self) -> int:
        return len(self.open) + len(self._settled)

    def of(self, key: str) -> Pair:
        """Return the pair under ``key``, opened anew if it was settled, empty if neither side spoke of it before."""
        pair = self.open.get(key)
        if pair is None:
            settled = self._settled.pop(digest(key), None) if self._settled else None
            pair = self.open[key] = Pair() if settled is None else _reopened(key, settled)
        return pair

    def settle(self, key: str, pair: Pair) -> None:
        """Forget all but a trace of a pair that ended alike on both sides."""
        if pair.agrees and pair.ours is not None:
            ours = pair.ours
            del self.open[key]
            self._settled[digest(key)] = _shared(
                ours.symbol, ours.side, ours.quantity, ours.filled, ours.state, ours.version
            )


def _reopened(key: str, settled: _Settled) -> Pair:
    """Return a pair of which only what was settled is known; prices, ids and times are not, and not compared."""
    theirs = TheirOrder(key)
    theirs.symbol, theirs.side, theirs.quantity = settled.symbol, settled.side, settled.quantity
    theirs.state, theirs.filled, theirs.reopened = settled.state, settled.filled, True
    ours = Order(
        client_order_id=key,
        decision_id="",
        fingerprint="",
        symbol=settled.symbol,
        side=settled.side,
        order_type=OrderType.MARKET,
        quantity=settled.quantity,
        limit_price=None,
        reference_price=None,
        time_in_force=TimeInForce.GTC,
        created_ns=0,
        updated_ns=0,
        state=settled.state,
        filled=settled.filled,
        version=settled.version,
    )
    return Pair(ours, theirs)
