"""The records of a proof's input files: the broker's log, the order journal, the idempotency cache.

Each record names its schema and version, has exactly the keys listed here and holds numbers as text
(``"100000"``, ``"1.10005"``), so that no digit is lost on the way. They are msgspec structs and not pydantic models
because a log is long: decoding one costs a third of validating it there (``python -m benchmarks --proof``). What a
struct cannot say, ``interlock.prove.lines`` and the two sides check.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from interlock.domain.broker import FeeCurrency
from interlock.domain.errors import BadInput
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.domain.money import ZERO, parse_decimal
from interlock.domain.order_states import OrderState

__all__ = [
    "BROKER_EVENTS",
    "BrokerAccepted",
    "BrokerCancelled",
    "BrokerCash",
    "BrokerEvent",
    "BrokerExpired",
    "BrokerFill",
    "BrokerOpenOrder",
    "BrokerPosition",
    "BrokerRejected",
    "CacheEntry",
    "CacheHeader",
    "CacheStatus",
    "FillOfVersion",
    "OrderVersion",
    "above_zero",
    "any_sign",
    "not_negative",
]

_NUMBERS_KEPT: Final = 65_536

Name = Annotated[
    # Python's $ also matches before a last newline, hence the look-ahead.
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}(?!\n)$",
        description="an id or a symbol: 1 to 64 letters, digits and . _ : / -",
    ),
]
Text = Annotated[str, Meta(pattern=r"^[ -~]{0,200}(?!\n)$", description="up to 200 printable ASCII characters")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$", description="a SHA-256 in lower-case hex digits")]
Seq = Annotated[int, Meta(ge=1, le=2**62, description="rises by exactly one from record to record")]
Stamp = Annotated[datetime, Meta(tz=True, description="RFC 3339 with its zone, from 1970 to 2199; never goes back")]

_PLAIN: Final = r"^-?[0-9]{1,28}(\.[0-9]{1,18})?$"
SignedText = Annotated[
    str, Meta(max_length=48, description="a plain decimal of any sign", extra_json_schema={"pattern": _PLAIN})
]
NotNegativeText = Annotated[
    str, Meta(max_length=48, description="a plain decimal, not below zero", extra_json_schema={"pattern": _PLAIN})
]
AboveZeroText = Annotated[
    str, Meta(max_length=48, description="a plain decimal above zero", extra_json_schema={"pattern": _PLAIN})
]


# -- the broker's log -------------------------------------------------------------------------------------------


class BrokerEvent(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="schema"):
    """What every record of the broker's log has."""

    seq: Seq
    ts: Stamp


class BrokerAccepted(BrokerEvent, frozen=True, tag="BrokerAccepted/1"):
    """The broker took the order in; a market order has no limit price."""

    client_order_id: Name
    broker_order_id: Name
    symbol: Name
    side: Side
    quantity: AboveZeroText
    limit_price: AboveZeroText | None


class BrokerFill(BrokerEvent, frozen=True, tag="BrokerFill/1", omit_defaults=True):
    """One execution under the broker's own id."""

    execution_id: Name
    client_order_id: Name
    broker_order_id: Name
    symbol: Name
    side: Side
    quantity: AboveZeroText
    price: AboveZeroText
    fee: SignedText
    fee_currency: FeeCurrency = FeeCurrency.QUOTE


class BrokerCancelled(BrokerEvent, frozen=True, tag="BrokerCancelled/1"):
    """What was left of the order is cancelled; ``filled`` is the broker's cumulative quantity."""

    client_order_id: Name
    filled: NotNegativeText


class BrokerExpired(BrokerEvent, frozen=True, tag="BrokerExpired/1"):
    """The order ended by its time in force; ``filled`` is the broker's cumulative quantity."""

    client_order_id: Name
    filled: NotNegativeText


class BrokerRejected(BrokerEvent, frozen=True, tag="BrokerRejected/1"):
    """The order was refused by a definite code and never worked."""

    client_order_id: Name
    code: Name
    reason: Text


class BrokerOpenOrder(BrokerEvent, frozen=True, tag="BrokerOpenOrder/1"):
    """A statement: this order is open now, filled so far. Says nothing about orders that it does not name."""

    client_order_id: Name
    broker_order_id: Name
    symbol: Name
    side: Side
    quantity: AboveZeroText
    limit_price: AboveZeroText | None
    filled: NotNegativeText


class BrokerPosition(BrokerEvent, frozen=True, tag="BrokerPosition/1"):
    """A statement: the position is this now. The average price where the broker tells it."""

    symbol: Name
    quantity: SignedText
    average_price: AboveZeroText | None


class BrokerCash(BrokerEvent, frozen=True, tag="BrokerCash/1"):
    """A statement: the cash balance is this now."""

    amount: SignedText


BROKER_EVENTS: Final = (
    BrokerAccepted,
    BrokerFill,
    BrokerCancelled,
    BrokerExpired,
    BrokerRejected,
    BrokerOpenOrder,
    BrokerPosition,
    BrokerCash,
)
"""All that a broker's log may hold."""


# -- the order journal ------------------------------------------------------------------------------------------


class FillOfVersion(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The execution that made a version of an order."""

    execution_id: Name
    quantity: AboveZeroText
    price: AboveZeroText
    fee: SignedText
    fee_currency: FeeCurrency = FeeCurrency.QUOTE


class OrderVersion(
    msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="schema", tag="OrderVersion/1"
):
    """One order as the engine recorded it, whole, and the execution that made it so, if one did.

    ``version`` rises by one with every fact about an order. ``reference_price`` is the price the decision was made
    at; without one, slippage is not measured.
    """

    seq: Seq
    ts: Stamp
    client_order_id: Name
    version: Annotated[int, Meta(ge=0, le=2**31)]
    decision_id: Name
    fingerprint: Digest
    symbol: Name
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: AboveZeroText
    limit_price: AboveZeroText | None
    reference_price: AboveZeroText | None
    state: OrderState
    filled: NotNegativeText
    broker_order_id: Name | None
    fill: FillOfVersion | None


# -- the idempotency cache --------------------------------------------------------------------------------------


class CacheHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="schema", tag="OrderIdCache/1"):
    """The first line: how many entries follow, one a line, and the SHA-256 of all bytes after this line."""

    entries: Annotated[int, Meta(ge=0, le=2**31)]
    sha256: Digest


CacheStatus = Literal["sent", "pending_fill", "in_doubt", "closed", "rejected", "void", "quarantined"]


class CacheEntry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One key that was used, and for what. The header names the schema for all of them."""

    broker_client_order_id: Name
    decision_id: Name
    symbol: Name
    side: Side
    size: AboveZeroText
    ttl_utc: Stamp
    status: CacheStatus
    fingerprint: Digest


# -- numbers ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=_NUMBERS_KEPT)
def _number(text: str) -> Decimal:
    return parse_decimal(text, "")


def any_sign(text: str, key: str) -> Decimal:
    """Return the number under ``key``; raises BadInput."""
    try:
        return _number(text)
    except BadInput as error:
        raise BadInput(f"key {key}", error.what, error.allowed) from error


def above_zero(text: str, key: str) -> Decimal:
    """Return the number under ``key``, which is above zero; raises BadInput."""
    number = any_sign(text, key)
    if number <= ZERO:
        raise BadInput(f"key {key}", "is not above zero", "a number above zero")
    return number


def not_negative(text: str, key: str) -> Decimal:
    """Return the number under ``key``, which is not below zero; raises BadInput."""
    number = any_sign(text, key)
    if number < ZERO:
        raise BadInput(f"key {key}", "is below zero", "zero or more")
    return number
