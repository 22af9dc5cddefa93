"""A host's own books: positions and cash fed by fills, and the orders that it believes to be open.

They hold what came in and judge nothing about a broker; comparing is the engine's. What comes in crosses a door:
frozen models that take decimals (or their text) and refuse binary floats with a pydantic ``ValidationError``.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from interlock.domain import broker
from interlock.domain.broker import BrokerId, BrokerOrder, BrokerStatus, FeeCurrency, Filled
from interlock.domain.errors import BadInput, InvariantBroken
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.domain.ledgers import AccountLedger, FillBook, Position
from interlock.domain.money import ARITHMETIC, ZERO, Amount, Price, Quantity
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order

__all__ = ["Fill", "LedgerOrder", "OrderLedger", "PositionLedger"]

_AMOUNT: TypeAdapter[Decimal] = TypeAdapter(Amount)


class Fill(BaseModel):
    """One execution. Quantity and price are above zero, the side says in which direction; a fee is a cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    SCHEMA: ClassVar[str] = "LedgerFill/1"

    fill_id: BrokerId
    client_order_id: BrokerId
    exchange_order_id: BrokerId
    symbol: BrokerId
    side: Side
    quantity: Quantity
    price: Price
    fee: Amount = ZERO
    fee_currency: FeeCurrency = FeeCurrency.QUOTE

    def told(self) -> broker.Fill:
        """Return the fill in the broker's vocabulary. Its time and place are not known, and nothing asks for them."""
        return broker.Fill(
            fill_id=self.fill_id,
            client_order_id=self.client_order_id,
            broker_order_id=self.exchange_order_id,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            price=self.price,
            fee=self.fee,
            fee_currency=self.fee_currency,
            ts_ns=0,
            cursor=0,
        )


class LedgerOrder(BaseModel):
    """One order, in our books or in a snapshot; without a limit price it is a market order."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    SCHEMA: ClassVar[str] = "LedgerOrder/1"

    client_order_id: BrokerId
    symbol: BrokerId
    side: Side
    quantity: Quantity
    limit_price: Price | None = None
    filled: Filled = ZERO
    status: BrokerStatus = BrokerStatus.OPEN
    exchange_order_id: BrokerId | None = None

    @model_validator(mode="after")
    def _filled_within_ordered(self) -> Self:
        if self.filled > self.quantity:
            message = f"filled {self.filled} is above the quantity of {self.quantity}"
            raise ValueError(message)
        return self

    def believed(self, now_ns: int) -> Order:
        """Return the order in the words of our own side; its age is not known, so it is never too old."""
        partial = self.status is BrokerStatus.OPEN and self.filled > 0
        return Order(
            client_order_id=self.client_order_id,
            decision_id=self.client_order_id,
            fingerprint="",
            symbol=self.symbol,
            side=self.side,
            order_type=OrderType.MARKET if self.limit_price is None else OrderType.LIMIT,
            quantity=self.quantity,
            limit_price=self.limit_price,
            reference_price=None,
            time_in_force=TimeInForce.GTC,
            created_ns=now_ns,
            updated_ns=now_ns,
            state=OrderState.PARTIAL if partial else _STATES[self.status],
            broker_order_id=self.exchange_order_id,
            filled=self.filled,
        )

    def told(self) -> BrokerOrder:
        """Return the order in the broker's vocabulary."""
        return BrokerOrder(
            client_order_id=self.client_order_id,
            broker_order_id=self.exchange_order_id or self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            limit_price=self.limit_price,
            filled=self.filled,
            status=self.status,
        )


_STATES = {
    BrokerStatus.OPEN: OrderState.ACK,
    BrokerStatus.FILLED: OrderState.FILLED,
    BrokerStatus.CANCELLED: OrderState.CANCELLED,
    BrokerStatus.REJECTED: OrderState.REJECTED,
    BrokerStatus.EXPIRED: OrderState.EXPIRED,
}


class PositionLedger:
    """Positions and cash as the sum of fills, each fill once.

    Raises (when made):
        BadInput: ``initial_cash`` is no plain decimal.
    """

    def __init__(self, initial_cash: Decimal = ZERO) -> None:
        try:
            self._account = AccountLedger(_AMOUNT.validate_python(initial_cash))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise BadInput("initial_cash", fault.removeprefix("Value error, ")) from error
        self._fills = FillBook()

    def apply_fill(self, fill: Fill) -> bool:
        """Book one fill and return whether it was new; a known one changes nothing.

        Raises:
            InvariantBroken: ``fill_conflict``: the id is known with other content. Nothing is booked.
        """
        told = fill.told()
        if self._fills.repeats(told):
            return False
        with localcontext(ARITHMETIC):
            self._account.book(told)
        self._fills.remember(told)
        return True

    def get_position(self, symbol: str) -> Position:
        """Return the position in ``symbol``, flat if there never was one."""
        return self._account.position(symbol)

    def get_all_positions(self) -> dict[str, Position]:
        """Return every position there is or was, by symbol in order."""
        return {position.symbol: position for position in self._account.positions()}

    def get_cash_balance(self) -> Decimal:
        """Return the cash: the initial one, less what was bought, plus what was sold, less the fees."""
        return ZERO if self._account.cash is None else self._account.cash

    def get_fills(self) -> tuple[broker.Fill, ...]:
        """Return the fills in the order in which they came."""
        return self._fills.since(0)


class OrderLedger:
    """The orders that we believe in, by client order id."""

    def __init__(self) -> None:
        self._orders: dict[str, LedgerOrder] = {}

    def add_order(self, order: LedgerOrder) -> bool:
        """Take an order in and return whether it was new; a known one changes nothing.

        Raises:
            InvariantBroken: ``order_conflict``: the id is known with other content.
        """
        known = self._orders.setdefault(order.client_order_id, order)
        if known != order:
            code = "order_conflict"
            evidence = {"client_order_id": order.client_order_id}
            raise InvariantBroken(code, "a known client order id came with other content", evidence)
        return known is order

    def update_order(
        self, client_order_id: str, *, filled: Decimal | None = None, status: BrokerStatus | str | None = None
    ) -> LedgerOrder:
        """Note how much of an order is filled, or that it ended, and return it as it is now.

        Raises:
            BadInput: the order is not known.
            ValidationError: filled above ordered, or a status that there is not.
        """
        order = self.get_order(client_order_id)
        news = {"filled": filled, "status": status}
        changed = order.model_dump() | {name: value for name, value in news.items() if value is not None}
        self._orders[client_order_id] = LedgerOrder.model_validate(changed)
        return self._orders[client_order_id]

    def get_order(self, client_order_id: str) -> LedgerOrder:
        """Return one order; raises BadInput for one that is not known."""
        if client_order_id not in self._orders:
            raise BadInput("client_order_id", f"no order {client_order_id!r} in this ledger", "one that was added")
        return self._orders[client_order_id]

    def get_all_orders(self) -> list[LedgerOrder]:
        """Return all orders, open or not, by client order id."""
        return [self._orders[key] for key in sorted(self._orders)]

    def get_open_orders(self) -> list[LedgerOrder]:
        """Return the open orders, by client order id."""
        return [order for order in self.get_all_orders() if order.status is BrokerStatus.OPEN]
