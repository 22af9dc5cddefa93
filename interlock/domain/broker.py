"""The broker's vocabulary: what we ask of it (structs), and what it says (validated models).

Everything a broker says crosses a door and is a frozen, strict pydantic model: a quantity that is not a positive
finite decimal never gets in. The same model serves as the answer to a call and as an event on the stream, since
brokers send one fact over both. No answer at all is not in here: that is ``DeadlineExceeded``, and means unknown.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.domain.money import Amount, Price, Quantity, SignedQuantity

__all__ = [
    "Accepted",
    "BrokerLimits",
    "BrokerMessage",
    "BrokerOrder",
    "BrokerSnapshot",
    "BrokerStatus",
    "CancelOrder",
    "CancelRefused",
    "Cancelled",
    "Expired",
    "FeeCurrency",
    "Fill",
    "GetSnapshot",
    "OrderNotFound",
    "PlaceOrder",
    "PositionClaim",
    "PositionLine",
    "QueryOrder",
    "Reconnected",
    "Rejected",
    "Throttled",
    "Unavailable",
    "Undelivered",
    "Unreadable",
    "statements_of",
]

BrokerText = Annotated[str, Field(max_length=500)]
BrokerId = Annotated[str, Field(min_length=1, max_length=64)]
Filled = Annotated[Amount, Field(ge=0)]


# -- what we ask --------------------------------------------------------------------------------------------


class PlaceOrder(msgspec.Struct, frozen=True, gc=False, tag_field="schema", tag="PlaceOrder/1"):
    """Place one order. The client order id is the idempotency key."""

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None
    time_in_force: TimeInForce


class CancelOrder(msgspec.Struct, frozen=True, gc=False, tag_field="schema", tag="CancelOrder/1"):
    """Cancel what is left of one order."""

    client_order_id: str


class QueryOrder(msgspec.Struct, frozen=True, gc=False, tag_field="schema", tag="QueryOrder/1"):
    """Ask what became of one order: open and closed orders are looked through."""

    client_order_id: str


class GetSnapshot(msgspec.Struct, frozen=True, gc=False, tag_field="schema", tag="GetSnapshot/1"):
    """Ask for the whole account; fills with a cursor above ``fills_after`` are listed."""

    fills_after: int = 0


# -- what it says -------------------------------------------------------------------------------------------


class BrokerMessage(BaseModel):
    """What every statement of the broker has: a schema, and no way to be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    SCHEMA: ClassVar[str] = "BrokerMessage/1"


class BrokerStatus(StrEnum):
    """The broker's own word for where an order is."""

    OPEN = "OPEN"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class Accepted(BrokerMessage):
    """The order is known and working, or was."""

    SCHEMA: ClassVar[str] = "Accepted/1"
    client_order_id: BrokerId
    broker_order_id: BrokerId


class Rejected(BrokerMessage):
    """The order was refused by a definite code and never worked."""

    SCHEMA: ClassVar[str] = "Rejected/1"
    client_order_id: BrokerId
    code: BrokerId
    reason: BrokerText = ""


class FeeCurrency(StrEnum):
    """What a fee is taken in: cash, or the very thing that was bought or sold."""

    QUOTE = "QUOTE"
    BASE = "BASE"


class Fill(BrokerMessage):
    """One execution. ``fill_id`` is the broker's; ``cursor`` its place in the account's sequence of fills."""

    SCHEMA: ClassVar[str] = "Fill/1"
    fill_id: BrokerId
    client_order_id: BrokerId
    broker_order_id: BrokerId
    symbol: BrokerId
    side: Side
    quantity: Quantity
    price: Price
    fee: Amount
    fee_currency: FeeCurrency = FeeCurrency.QUOTE
    ts_ns: int
    cursor: int


class Cancelled(BrokerMessage):
    """What was left of the order is cancelled; ``filled`` is the broker's cumulative quantity."""

    SCHEMA: ClassVar[str] = "Cancelled/1"
    client_order_id: BrokerId
    filled: Filled


class CancelRefused(BrokerMessage):
    """The cancel had no effect: the order had ended already, or is not known."""

    SCHEMA: ClassVar[str] = "CancelRefused/1"
    client_order_id: BrokerId
    code: BrokerId
    reason: BrokerText = ""


class Expired(BrokerMessage):
    """The order ended by its time in force; ``filled`` is the broker's cumulative quantity."""

    SCHEMA: ClassVar[str] = "Expired/1"
    client_order_id: BrokerId
    filled: Filled


class OrderNotFound(BrokerMessage):
    """The broker does not know the id. Before the settle time this proves nothing."""

    SCHEMA: ClassVar[str] = "OrderNotFound/1"
    client_order_id: BrokerId


class BrokerOrder(BrokerMessage):
    """One order as the broker tells it, with all its executions when it was asked for by id."""

    SCHEMA: ClassVar[str] = "BrokerOrder/1"
    client_order_id: BrokerId
    broker_order_id: BrokerId
    symbol: BrokerId
    side: Side
    quantity: Quantity
    limit_price: Price | None
    filled: Filled
    status: BrokerStatus
    fills: tuple[Fill, ...] = ()


class Throttled(BrokerMessage):
    """The request was turned away for its rate and had no effect."""

    SCHEMA: ClassVar[str] = "Throttled/1"
    retry_after_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Undelivered(BrokerMessage):
    """The request never left us, and had no effect: said by the way to the broker, not by the broker."""

    SCHEMA: ClassVar[str] = "Undelivered/1"
    reason: BrokerText = ""


class Unavailable(BrokerMessage):
    """The broker answered with a transient error: for a read, try again; for a write, the outcome is unknown."""

    SCHEMA: ClassVar[str] = "Unavailable/1"
    reason: BrokerText = ""


class Reconnected(BrokerMessage):
    """The link to the broker is back after it was lost: what was told meanwhile did not reach us."""

    SCHEMA: ClassVar[str] = "Reconnected/1"
    reason: BrokerText = ""


class Unreadable(BrokerMessage):
    """Something came that is no statement of any kind; ``text`` is a redacted piece of it for the record."""

    SCHEMA: ClassVar[str] = "Unreadable/1"
    text: BrokerText = ""


class PositionClaim(BrokerMessage):
    """What the broker says a position is just before a transaction (recordings, observe mode)."""

    SCHEMA: ClassVar[str] = "PositionClaim/1"
    symbol: BrokerId
    quantity: SignedQuantity
    transaction_id: BrokerText
    ts_ns: int


class PositionLine(BrokerMessage):
    """One position of a snapshot; the average price where the broker reports one."""

    SCHEMA: ClassVar[str] = "PositionLine/1"
    symbol: BrokerId
    quantity: SignedQuantity
    average_price: Price | None = None


class BrokerLimits(BrokerMessage):
    """The risk limits of the account as the broker holds them; None and no entry: it has, or tells, none."""

    SCHEMA: ClassVar[str] = "BrokerLimits/1"
    daily_loss_cap: Quantity | None = None
    """Loss of one day, in the account currency."""
    symbol_caps: dict[BrokerId, Quantity] = {}
    """The largest order that it takes, by symbol."""


class BrokerSnapshot(BrokerMessage):
    """What the broker says at one instant. ``cash`` and ``limits`` are None where it does not tell."""

    SCHEMA: ClassVar[str] = "BrokerSnapshot/1"
    as_of_ns: int
    cursor: int
    open_orders: tuple[BrokerOrder, ...]
    fills: tuple[Fill, ...]
    positions: tuple[PositionLine, ...]
    cash: Amount | None
    limits: BrokerLimits | None = None


def statements_of(answer: BrokerOrder) -> tuple[BrokerMessage, ...]:
    """Return what an answer about one order says, as the statements that would have said it one by one."""
    key = answer.client_order_id
    if answer.status is BrokerStatus.REJECTED:
        return (Rejected(client_order_id=key, code="rejected"),)
    known = Accepted(client_order_id=key, broker_order_id=answer.broker_order_id)
    if answer.status is BrokerStatus.CANCELLED:
        return (known, *answer.fills, Cancelled(client_order_id=key, filled=answer.filled))
    if answer.status is BrokerStatus.EXPIRED:
        return (known, *answer.fills, Expired(client_order_id=key, filled=answer.filled))
    return (known, *answer.fills)
