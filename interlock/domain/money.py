"""Decimals at the doors: what may come in as a quantity, a price or an amount, and the one text going out.

Hosts, files and brokers write numbers in many ways, and a lenient reader takes ``1E+999999``, ``1_000``
or Arabic digits without a word. Here one plain form is taken (``-12.5``: at most 28 digits, 18 of them
after the point) and everything else is refused with one line. Binary floats are refused too: by the time
we see one, its digits are already gone.

``Quantity``, ``Price``, ``Amount`` and ``SignedQuantity`` are field types for pydantic models at a door;
``parse_decimal`` is for plain text; ``decimal_text`` writes any of them so that the doors read it back.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import lru_cache
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer

from interlock.domain.errors import BadInput, InvariantBroken

__all__ = [
    "ARITHMETIC",
    "DIGITS_MAX",
    "FRACTION_DIGITS_MAX",
    "ZERO",
    "Amount",
    "Price",
    "Quantity",
    "SignedQuantity",
    "decimal_text",
    "parse_decimal",
]

ZERO: Final = Decimal(0)

ARITHMETIC: Final = Context(prec=64, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""How sums and products are formed: wide enough to be exact for all that the doors let in.

A host may have set its thread to any precision; whoever runs actors or ledgers enters a copy of this one.
"""

DIGITS_MAX: Final = 28
"""Digits of one number, before and after the point: what Python's default decimal context holds exactly."""

FRACTION_DIGITS_MAX: Final = 18
"""Digits after the point: the finest unit any venue uses."""

_TEXTS_KEPT: Final = 4096
"""Numbers recur: equal ones have equal texts, so the memo cannot tell them apart and need not."""

_ALLOWED: Final = (
    f"a plain decimal like -12.5, at most {DIGITS_MAX} digits, at most {FRACTION_DIGITS_MAX} after the point; "
    "no exponent, blank, underscore or negative zero"
)
_PLAIN: Final = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")
_TOO_LONG: Final = 10**DIGITS_MAX
_SHORT: Final = 16
"""Characters: a number without an exponent that is no longer than this has few enough digits on either side."""


def parse_decimal(text: str, where: str) -> Decimal:
    """Return the number that ``text`` writes; ``where`` (file with line, or key) goes into the error.

    Raises BadInput. The text itself is not repeated in the error: it may be a secret in the wrong field.
    """
    try:
        return _read(text)
    except ValueError as error:
        raise BadInput(where, str(error), _ALLOWED) from error


@lru_cache(maxsize=_TEXTS_KEPT)
def decimal_text(number: Decimal) -> str:
    """Return the canonical text: plain, no exponent, no trailing zeros, no negative zero.

    Equal numbers give equal texts. Raises InvariantBroken for NaN and infinities, which no door lets in.
    """
    if not number.is_finite():
        raise InvariantBroken("NUMBER_NOT_FINITE", f"{number} is no quantity, price or amount")
    # Work on the text: Decimal.normalize() would round to the precision of the ambient context.
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _read(value: object) -> Decimal:
    """Return ``value`` as a decimal, or raise ValueError saying what is wrong with it."""
    match value:
        case str():
            return _read_text(value)
        case Decimal():
            return _read_decimal(value)
        case float():
            raise ValueError('a binary float has lost its digits, write it as a string, like "0.1"')
        case int() if not isinstance(value, bool):
            return _read_int(value)
        case _:
            raise ValueError(f"not a number but {type(value).__name__}")


def _read_text(text: str) -> Decimal:
    _check_text(text)
    return Decimal(text)


def _check_text(text: str) -> None:
    match = _PLAIN.fullmatch(text)
    if match is None:
        raise ValueError("not a plain decimal number")
    whole, fraction = match.groups("")
    if len(fraction) > FRACTION_DIGITS_MAX or len(whole) + len(fraction) > DIGITS_MAX:
        raise ValueError("too many digits")
    if text[0] == "-" and not text.strip("-0."):
        raise ValueError("negative zero")


def _read_int(number: int) -> Decimal:
    if not -_TOO_LONG < number < _TOO_LONG:
        raise ValueError("too many digits")
    return Decimal(number)


def _read_decimal(number: Decimal) -> Decimal:
    if not number.is_finite():
        raise ValueError("not a finite number")
    # Asked before it is written out: 1E+999999 would be a megabyte of zeros.
    if abs(number.adjusted()) > DIGITS_MAX:
        raise ValueError("too many digits")
    text = format(number, "f")
    _check_text(text)
    return number if str(number) == text else Decimal(text)


def _is_usual(number: Decimal) -> bool:
    """Return whether a number is allowed as nearly all are: short, without an exponent, and no negative zero."""
    text = str(number)
    exponent = "E" in text or "e" in text  # a host may have set its thread to small letters
    return len(text) <= _SHORT and not exponent and number.is_finite() and (bool(number) or text[0] != "-")


def _any_sign(value: object) -> Decimal:
    if type(value) is Decimal and _is_usual(value):
        return value
    try:
        return _read(value)
    except ValueError as error:
        raise ValueError(f"{error} (allowed: {_ALLOWED})") from error


def _above_zero(value: object) -> Decimal:
    number = _any_sign(value)
    if number <= ZERO:
        raise ValueError("not above zero (allowed: a number above zero)")
    return number


_AS_TEXT: Final = PlainSerializer(decimal_text, return_type=str, when_used="json")

Quantity = Annotated[Decimal, BeforeValidator(_above_zero), _AS_TEXT]
"""A size in units of the instrument, above zero; the side says in which direction."""

Price = Annotated[Decimal, BeforeValidator(_above_zero), _AS_TEXT]
"""A price in the quote currency per unit, above zero."""

Amount = Annotated[Decimal, BeforeValidator(_any_sign), _AS_TEXT]
"""Money of any sign in the account currency: cash, a fee (negative: a rebate), a profit."""

SignedQuantity = Annotated[Decimal, BeforeValidator(_any_sign), _AS_TEXT]
"""A position in units of the instrument: above zero long, below zero short."""
