"""Recorded fills of a real account: a JSON-lines file in, one immutable ``Recording`` out.

One fill a line, in order of arrival (``RecordedFill``). From the fills alone the rest is derived: the orders
behind them, the transactions they came in, the positions before the first and after the last. The mock
broker plays a recording; it never edits one.

A file is a door, so it is read as if it were hostile: regular files only, line by line, every length bounded,
and the first thing wrong is named as ``file:line`` in a ``BadInput``. Everything below ``load_recording`` that
takes lines or fills is pure and knows no file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from interlock.domain.errors import BadInput
from interlock.domain.intents import Side, Symbol
from interlock.domain.money import DIGITS_MAX, ZERO, Amount, Price, Quantity, SignedQuantity
from interlock.runtime.jsonl import JSONL_FORMAT, LINE_BYTES_MAX, open_regular, read_lines, without_duplicates

__all__ = [
    "LINES_MAX",
    "LINE_BYTES_MAX",
    "RecordedExecution",
    "RecordedFill",
    "RecordedOrder",
    "RecordedTransaction",
    "Recording",
    "build_recording",
    "load_recording",
    "parse_fill",
]

LINES_MAX: Final = 1_000_000
_NS_PER_MS: Final = 1_000_000
_TIME_MS_MAX: Final = (2**63 - 1) // _NS_PER_MS
_KEY_SHOWN_MAX: Final = 40

# Wide enough for a million sums of numbers with 28 digits at any two scales, so nothing is ever rounded;
# should that reckoning be wrong, it raises instead of going on with a wrong position.
_EXACT: Final = Context(prec=64, traps=[Inexact, InvalidOperation])

_SIDES: Final = {"B": Side.BUY, "A": Side.SELL}


class RecordedFill(BaseModel):
    """One line of the file, validated: the broker's own field names, ``time`` in milliseconds since the epoch."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel)

    coin: Symbol
    side: Literal["B", "A"]
    px: Price
    sz: Quantity
    time: Annotated[int, Field(ge=0, le=_TIME_MS_MAX)]
    oid: Annotated[int, Field(ge=0, lt=2**64)]
    hash: Annotated[str, StringConstraints(pattern="^0x[0-9a-f]{64}$")]
    start_position: SignedQuantity
    closed_pnl: Amount
    fee: Amount
    crossed: bool
    dir: Annotated[str, StringConstraints(pattern="^[ -~]{1,64}$")]


class RecordedExecution(msgspec.Struct, frozen=True):
    """One fill as the broker reports it to a client; ``is_taker`` is true where it crossed the book.

    The data has no fill id, so ``fill_id`` is made from the order and the fill's place within it.
    """

    fill_id: str
    broker_oid: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    closed_pnl: Decimal
    start_position: Decimal
    time_ns: int
    transaction_id: str
    is_taker: bool

    @property
    def signed_quantity(self) -> Decimal:
        """What the fill adds to the position: above zero for a buy."""
        return self.quantity if self.side is Side.BUY else self.quantity.copy_negate()


class RecordedOrder(msgspec.Struct, frozen=True):
    """An order as its owner must have sent it, so that its fills were possible.

    ``quantity`` is the sum of its fills, ``limit_price`` the worst price among them, ``pieces`` their number.
    """

    broker_oid: str
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal
    first_fill_ns: int
    pieces: int


class RecordedTransaction(msgspec.Struct, frozen=True):
    """Neighbouring fills of one symbol, time and hash.

    Only the net counts within it: where an account trades with itself, both sides claim the same start.
    ``start_position`` is what the broker claims before the first fill.
    """

    symbol: str
    time_ns: int
    transaction_id: str
    start_position: Decimal
    fills: tuple[RecordedExecution, ...]

    @property
    def net_quantity(self) -> Decimal:
        """What the whole transaction adds to the position."""
        return _exact_sum(fill.signed_quantity for fill in self.fills)


class Recording(msgspec.Struct, frozen=True):
    """A whole file. Positions are pairs of symbol and quantity, sorted by symbol.

    ``opening_positions`` is the first claim of each symbol, ``final_positions`` that plus every fill, and
    ``closing_claims`` the broker's last claim plus the net of that last transaction: where the two differ,
    something happened that the recording does not show.
    """

    path_name: str
    sha256: str
    fills: tuple[RecordedExecution, ...]
    orders: tuple[RecordedOrder, ...]
    transactions: tuple[RecordedTransaction, ...]
    opening_positions: tuple[tuple[str, Decimal], ...]
    final_positions: tuple[tuple[str, Decimal], ...]
    closing_claims: tuple[tuple[str, Decimal], ...]


def load_recording(path: Path) -> Recording:
    """Read the whole file at ``path``; raises BadInput naming the file, and the line where one is wrong."""
    source = str(path)
    digest = hashlib.sha256()
    try:
        with open_regular(path) as stream:
            lines = read_lines(stream, source, digest.update, lines_max=LINES_MAX)
            fills = (parse_fill(line, f"{source}:{number}") for number, line in lines)
            executions = tuple(_number_fills(fills, source))
    except OSError as error:
        raise BadInput(source, f"cannot be read: {error.strerror or error}", "a readable regular file") from error
    return build_recording(path.name, digest.hexdigest(), executions)


def parse_fill(line: bytes, where: str) -> RecordedFill:
    """Return the fill of one line (without its newline); raises BadInput with ``where``."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise BadInput(where, f"not UTF-8 at byte {error.start + 1}", JSONL_FORMAT) from error
    try:
        fields = json.loads(text, object_pairs_hook=without_duplicates, parse_int=_bounded_int)
    except json.JSONDecodeError as error:
        raise BadInput(where, f"not JSON: {error.msg} at column {error.colno}", JSONL_FORMAT) from error
    except RecursionError as error:
        raise BadInput(where, "nested too deep", "one flat JSON object") from error
    except ValueError as error:
        raise BadInput(where, str(error), JSONL_FORMAT) from error
    if not isinstance(fields, dict):
        raise BadInput(where, "not a JSON object", JSONL_FORMAT)
    try:
        return RecordedFill.model_validate(fields)
    except ValidationError as error:
        raise _first_fault(error, where) from error


def build_recording(path_name: str, sha256: str, fills: tuple[RecordedExecution, ...]) -> Recording:
    """Derive orders, transactions and positions from ``fills``, which are in order of arrival."""
    transactions = tuple(_group_transactions(fills))
    opening: dict[str, Decimal] = {}
    final: dict[str, Decimal] = {}
    claims: dict[str, Decimal] = {}
    with localcontext(_EXACT):
        for transaction in transactions:
            symbol, net = transaction.symbol, transaction.net_quantity
            opening.setdefault(symbol, transaction.start_position)
            final[symbol] = final.get(symbol, transaction.start_position) + net
            claims[symbol] = transaction.start_position + net
    return Recording(
        path_name=path_name,
        sha256=sha256,
        fills=fills,
        orders=tuple(_collect_orders(fills)),
        transactions=transactions,
        opening_positions=tuple(sorted(opening.items())),
        final_positions=tuple(sorted(final.items())),
        closing_claims=tuple(sorted(claims.items())),
    )


def _bounded_int(text: str) -> int:
    if text == "-0" or len(text.lstrip("-")) > DIGITS_MAX:
        raise ValueError(f"a number is negative zero or has more than {DIGITS_MAX} digits")
    return int(text)


def _first_fault(error: ValidationError, where: str) -> BadInput:
    """Put the first thing pydantic found into one line: the key and what it should be, never the value."""
    fault = error.errors(include_url=False, include_input=False)[0]
    key = ascii(fault["loc"][0])[:_KEY_SHOWN_MAX]
    if fault["type"] == "extra_forbidden":
        known = (str(field.alias) for field in RecordedFill.model_fields.values())
        return BadInput(where, f"unknown key {key}", ", ".join(known))
    return BadInput(where, f"key {key}: {fault['msg'].removeprefix('Value error, ')}")


def _number_fills(fills: Iterable[RecordedFill], source: str) -> Iterator[RecordedExecution]:
    """Give every fill its id; refuse what no line shows alone: time going back, an order with two sides or symbols."""
    latest_ms = 0
    seen: dict[int, tuple[str, str, int]] = {}
    for number, fill in enumerate(fills, start=1):
        where = f"{source}:{number}"
        if fill.time < latest_ms:
            raise BadInput(where, f"time goes back from {latest_ms} to {fill.time}", "lines in order of arrival")
        latest_ms = fill.time
        coin, side, pieces = seen.get(fill.oid, (fill.coin, fill.side, 0))
        if coin != fill.coin:
            raise BadInput(where, f"order {fill.oid} has two symbols", "one symbol an order")
        if side != fill.side:
            raise BadInput(where, f"order {fill.oid} has two sides", "one side an order")
        seen[fill.oid] = (coin, side, pieces + 1)
        yield RecordedExecution(
            fill_id=f"rec-{fill.oid}-{pieces + 1}",
            broker_oid=str(fill.oid),
            symbol=fill.coin,
            side=_SIDES[fill.side],
            quantity=fill.sz,
            price=fill.px,
            fee=fill.fee,
            closed_pnl=fill.closed_pnl,
            start_position=fill.start_position,
            time_ns=fill.time * _NS_PER_MS,
            transaction_id=fill.hash,
            is_taker=fill.crossed,
        )


def _collect_orders(fills: Iterable[RecordedExecution]) -> Iterator[RecordedOrder]:
    """Yield each order, in order of its first fill."""
    by_order: dict[str, list[RecordedExecution]] = {}
    for fill in fills:
        by_order.setdefault(fill.broker_oid, []).append(fill)
    for broker_oid, pieces in by_order.items():
        worst = max if pieces[0].side is Side.BUY else min
        yield RecordedOrder(
            broker_oid=broker_oid,
            symbol=pieces[0].symbol,
            side=pieces[0].side,
            quantity=_exact_sum(piece.quantity for piece in pieces),
            limit_price=worst(piece.price for piece in pieces),
            first_fill_ns=pieces[0].time_ns,
            pieces=len(pieces),
        )


def _group_transactions(fills: Iterable[RecordedExecution]) -> Iterator[RecordedTransaction]:
    """Yield each run of neighbouring fills that share symbol, time and hash."""
    for key, group in groupby(fills, key=lambda fill: (fill.symbol, fill.time_ns, fill.transaction_id)):
        pieces = tuple(group)
        yield RecordedTransaction(*key, pieces[0].start_position, pieces)


def _exact_sum(numbers: Iterable[Decimal]) -> Decimal:
    with localcontext(_EXACT):
        return sum(numbers, ZERO)
