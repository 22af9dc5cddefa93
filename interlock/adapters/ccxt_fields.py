"""Single fields of what ccxt makes of an answer: there and exact, or an error that names exchange, thing and field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from interlock.domain.broker import BrokerMessage
from interlock.domain.errors import Unreachable
from interlock.domain.money import decimal_text
from interlock.runtime.redaction import scrub

__all__ = ["Told", "made", "number_of", "symbol_of", "text_of", "time_ms_of", "unreadable"]

T = TypeVar("T", bound=BrokerMessage)
Told = Mapping[str, Any]
"""A structure of ccxt."""

_MS_MAX: Final = 9_000_000_000_000
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")


def text_of(exchange: str, what: str, told: Told, field: str, shown: str = "") -> str:
    """Return a text that has to be there.

    Raises:
        Unreachable: it is not.
    """
    value = told.get(field)
    if not isinstance(value, str) or not value:
        raise unreadable(exchange, what, shown or field, "is missing" if value is None else "is no text")
    return value


def symbol_of(exchange: str, what: str, told: Told) -> str:
    """Return a symbol; ccxt hands on the exchange's own name where it does not know one. Raises as ``text_of``."""
    symbol = text_of(exchange, what, told, "symbol")
    if "/" not in symbol:
        raise unreadable(exchange, what, "symbol", f"is {scrub(symbol)[:40]!r}, which ccxt does not know")
    return symbol


def time_ms_of(exchange: str, what: str, told: Told) -> int:
    """Return when something was, in milliseconds; raises as ``text_of``."""
    value = told.get("timestamp")
    if type(value) is not int or not 0 < value < _MS_MAX:
        raise unreadable(exchange, what, "timestamp", "is missing" if value is None else "is no time")
    return value


def number_of(exchange: str, what: str, told: Told, field: str, shown: str = "") -> Decimal:
    """Return a number as it was written; trailing zeros are none of its digits. Raises as ``text_of``."""
    value = told.get(field)
    if value is None:
        raise unreadable(exchange, what, shown or field, "is missing")
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not value.isascii() or _NUMBER.fullmatch(value) is None:
        raise unreadable(exchange, what, shown or field, f"is no exact number but {type(value).__name__}")
    return Decimal(decimal_text(Decimal(value)))


def made(exchange: str, what: str, kind: type[T], **fields: object) -> T:
    """Return a statement, once its model has taken it; raises as ``text_of``."""
    fault, field = "", ""
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field, fault = str(first["loc"][0]), str(first["msg"]).removeprefix("Value error, ")
    raise unreadable(exchange, what, field, f"cannot be taken: {fault}")


def unreadable(exchange: str, what: str, field: str, fault: str) -> Unreachable:
    """Return the error that says what is wrong with a field."""
    return Unreachable(f"{exchange}: {scrub(what)[:90]}: {field} {fault}")
