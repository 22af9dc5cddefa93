"""An adapter: a venue that speaks JSON over some line, behind ``interlock.ports``.

All that is foreign is met in two places. ``_ask`` makes one call and says what is known when it brings no answer;
``_readable`` stands around whatever reads one. The rest is translation: their words, texts and milliseconds into ours.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, Protocol

from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerMessage,
    BrokerOrder,
    BrokerStatus,
    Cancelled,
    CancelRefused,
    Fill,
    OrderNotFound,
    PlaceOrder,
    PositionLine,
    Rejected,
)
from interlock.domain.errors import NotSent, RateLimited, Refused, Unreachable
from interlock.domain.intents import Side
from interlock.domain.money import decimal_text
from interlock.ports import DUPLICATE_ID

__all__ = ["Line", "VenueBroker"]

_OK, _FORBIDDEN, _UNKNOWN, _TAKEN, _ENDED, _REJECTED, _TOO_MANY = 200, 403, 404, 409, 410, 422, 429
_ANSWERS: Final = (_OK, _UNKNOWN, _TAKEN, _ENDED, _REJECTED)
_NS_PER_MS: Final = 1_000_000
_STATUS: Final = {"open": BrokerStatus.OPEN, "done": BrokerStatus.FILLED, "cancelled": BrokerStatus.CANCELLED}


class Line(Protocol):
    """The way to the venue: an HTTP client and a web socket, say."""

    async def call(self, what: str, body: str) -> tuple[int, str]:
        """Make one request; return status and text.

        Raises:
            ConnectionRefusedError: not a byte of it left.
            OSError: it broke off, or took too long.
        """
        ...

    def listen(self) -> AsyncIterator[str]:
        """Return what the venue tells from now on; raises OSError where the line is lost."""
        ...


class VenueBroker:
    """A ``BrokerTrader``. This one reaches nothing but a double in this process, and says so."""

    name: Final = "venue"
    is_mock: bool = True
    is_paper: bool = False

    def __init__(self, line: Line, timeout_s: float = 5.0) -> None:
        self._line = line
        self._timeout_s = timeout_s
        self._latest_ns = 0

    # -- the reader -----------------------------------------------------------------------------------------

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Return what is open."""
        _, told = await self._ask("order.list")
        with _readable():
            return tuple(_order(one) for one in told)

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        """Return one order, open or ended."""
        status, told = await self._ask("order.show", ref=client_order_id)
        if status == _UNKNOWN:
            return OrderNotFound(client_order_id=client_order_id)
        with _readable():
            return _order(told)

    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        """Return the deals from a number on: the venue numbers them as they happen."""
        _, told = await self._ask("deals", first=cursor)
        with _readable():
            return tuple(_fill(deal) for deal in told)

    async def positions(self) -> tuple[PositionLine, ...]:
        """Return what is held."""
        _, told = await self._ask("holdings")
        with _readable():
            return tuple(PositionLine(symbol=market, quantity=Decimal(amount)) for market, amount in told.items())

    async def cash(self) -> Decimal | None:
        """Return the cash."""
        _, told = await self._ask("cash")
        with _readable():
            return Decimal(told["amount"])

    async def limits(self) -> BrokerLimits | None:
        """Return nothing: the venue tells no limits."""
        return None

    async def server_time_ns(self) -> int:
        """Return the venue's time, or the latest that it told where its clock was set back."""
        _, told = await self._ask("time")
        with _readable():
            self._latest_ns = max(self._latest_ns, int(told["ms"]) * _NS_PER_MS)
        return self._latest_ns

    # -- the trader -----------------------------------------------------------------------------------------

    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        """Place one order; the venue answers the same order twice with the one that is there."""
        key, limit = request.client_order_id, request.limit_price
        status, told = await self._ask(
            "order.place",
            ref=key,
            market=request.symbol,
            side=request.side.lower(),
            amount=decimal_text(request.quantity),
            limit=None if limit is None else decimal_text(limit),
            rests=request.time_in_force == "GTC",
        )
        with _readable():
            if status == _OK:
                return Accepted(client_order_id=key, broker_order_id=told["number"])
            code = DUPLICATE_ID if status == _TAKEN else told["error"]
            return Rejected(client_order_id=key, code=code)

    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        """Cancel what is left of one order."""
        status, told = await self._ask("order.cancel", ref=client_order_id)
        with _readable():
            if status == _OK:
                return Cancelled(client_order_id=client_order_id, filled=Decimal(told["filled"]))
            return CancelRefused(client_order_id=client_order_id, code=told["error"])

    async def statements(self) -> AsyncIterator[BrokerMessage]:
        """Tell deals and cancels as they happen."""
        try:
            async for text in self._line.listen():
                with _readable():
                    statement = _statement(json.loads(text))
                yield statement
        except OSError as error:
            raise Unreachable("the line to the venue was lost") from error

    # -- the door -------------------------------------------------------------------------------------------

    async def _ask(self, what: str, **fields: object) -> tuple[int, Any]:
        """Make one call; return a status that says something, and what came with it.

        Raises:
            BrokerError: there was none.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                status, text = await self._line.call(what, json.dumps(fields))
        except ConnectionRefusedError as error:
            raise NotSent("nobody listens at the venue") from error
        except OSError as error:  # time-outs are among them
            raise Unreachable(f"{what}: no answer") from error
        with _readable():
            told = json.loads(text)
            if status == _TOO_MANY:
                wait = told.get("wait")
                raise RateLimited(None if wait is None else float(wait))
            if status == _FORBIDDEN:
                raise Refused(told["error"])
        if status not in _ANSWERS:
            raise Unreachable(f"{what}: answered with {status}")
        return status, told


@contextmanager
def _readable() -> Iterator[None]:
    """Take what cannot be read for no answer."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Unreachable(f"an answer that cannot be read: {type(error).__name__}") from error


def _order(told: dict[str, Any]) -> BrokerOrder:
    limit = told["limit"]
    return BrokerOrder(
        client_order_id=told["ref"],
        broker_order_id=told["number"],
        symbol=told["market"],
        side=Side(told["side"].upper()),
        quantity=Decimal(told["amount"]),
        limit_price=None if limit is None else Decimal(limit),
        filled=Decimal(told["filled"]),
        status=_STATUS[told["state"]],
        fills=tuple(_fill(deal) for deal in told["deals"]),
    )


def _fill(deal: dict[str, Any]) -> Fill:
    return Fill(
        fill_id=deal["id"],
        client_order_id=deal["ref"],
        broker_order_id=deal["number"],
        symbol=deal["market"],
        side=Side(deal["side"].upper()),
        quantity=Decimal(deal["amount"]),
        price=Decimal(deal["price"]),
        fee=Decimal(deal["fee"]),
        ts_ns=deal["ms"] * _NS_PER_MS,
        cursor=deal["n"],
    )


def _statement(told: dict[str, Any]) -> BrokerMessage:
    if told["kind"] == "deal":
        return _fill(told["deal"])
    return Cancelled(client_order_id=told["ref"], filled=Decimal(told["filled"]))
