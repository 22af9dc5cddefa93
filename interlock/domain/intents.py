"""What a host wants done: the order intent, validated at the host's door.

An intent names its decision. The decision makes the client order id, so asking twice for the same decision is
the same order, and asking for something else under it is refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from interlock.domain.money import Price, Quantity

__all__ = ["BUY", "SELL", "Identifier", "OrderIntent", "OrderType", "Side", "Symbol", "TimeInForce"]

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
"""Names of runs, strategies and decisions: safe in a path, a label and a log line."""

Symbol = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$")]
"""Names of instruments, such as ``BTC/EUR``."""


class Side(StrEnum):
    """Buy or sell."""

    BUY = "BUY"
    SELL = "SELL"


BUY: Final = Side.BUY
SELL: Final = Side.SELL
"""The sides, for code that runs with each order: looking up a member of an enum costs Python 3.11 ten times more."""


class OrderType(StrEnum):
    """At any price, or at a limit."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


class TimeInForce(StrEnum):
    """Good till cancelled, or immediate or cancel."""

    GTC = "GTC"
    IOC = "IOC"


class OrderIntent(BaseModel):
    """Side, symbol, quantity and price of one decision.

    ``reference_price`` is the price the decision was made at; rails that need a price fail closed for a market
    order without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    SCHEMA: ClassVar[str] = "OrderIntent/1"

    decision_id: Identifier
    symbol: Symbol
    side: Side
    quantity: Quantity
    order_type: OrderType = OrderType.LIMIT
    limit_price: Price | None = None
    reference_price: Price | None = None
    time_in_force: TimeInForce = TimeInForce.GTC

    @model_validator(mode="after")
    def _price_fits_type(self) -> Self:
        if (self.order_type is OrderType.LIMIT) != (self.limit_price is not None):
            message = "a LIMIT order has a limit_price and a MARKET order has none"
            raise ValueError(message)
        return self
