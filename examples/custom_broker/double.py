"""The double: the venue in memory, with every hook of ``interlock.certify.Bench`` to make it misbehave.

``Venue`` is its book. ``Double`` is the line to it and decides what becomes of a call on its way; a call that it loses
ends with the error of a time-out at once, so that nobody has to wait for one.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from decimal import Decimal, localcontext
from typing import Any, Final

from examples.custom_broker.adapter import VenueBroker
from interlock.certify.bench import DECIMALS, LOT, PRICE, SYMBOL
from interlock.domain.broker import PlaceOrder
from interlock.domain.money import decimal_text
from interlock.runtime.clock import RealClock

__all__ = ["Double", "Venue"]

Record = dict[str, Any]

_NS_PER_MS: Final = 1_000_000
_FEE: Final = Decimal("0.25")
_DIGITS: Final = 64


class Venue:
    """One account at the venue; records are what it tells, numbers in them are texts."""

    def __init__(self) -> None:
        self.orders: dict[str, Record] = {}
        self.deals: list[Record] = []
        self.held: dict[str, Decimal] = {}
        self.cash = Decimal(100_000)

    def place(self, wanted: Record) -> tuple[int, Record]:
        """Take an order in; the same one again is the one that is there."""
        known = self.orders.get(wanted["ref"])
        if known is not None:
            same = all(known[name] == wanted[name] for name in wanted)
            return (200, known) if same else (409, {"error": "TAKEN"})
        number = f"v{len(self.orders) + 1}"
        order = wanted | {"number": number, "state": "open", "filled": "0", "deals": []}
        self.orders[wanted["ref"]] = order
        return 200, order

    def cancel(self, ref: str) -> tuple[int, Record]:
        """End an open order."""
        order = self.orders.get(ref)
        if order is None:
            return 404, {"error": "UNKNOWN"}
        if order["state"] != "open":
            return 410, {"error": "ENDED"}
        order["state"] = "cancelled"
        return 200, order

    def deal(self, ref: str, amount: Decimal, price: Decimal, ms: int) -> Record:
        """Execute a part of an order."""
        order, n = self.orders[ref], len(self.deals) + 1
        deal = {name: order[name] for name in ("ref", "number", "market", "side")}
        deal |= {"id": f"d{n}", "n": n, "amount": decimal_text(amount), "price": decimal_text(price)}
        deal |= {"fee": decimal_text(_FEE), "ms": ms}
        self.deals.append(deal)
        order["deals"].append(deal)
        with localcontext(prec=_DIGITS):
            filled = Decimal(order["filled"]) + amount
            bought = amount if order["side"] == "buy" else -amount
            self.held[order["market"]] = self.held.get(order["market"], Decimal(0)) + bought
            self.cash -= bought * price + _FEE
        order["filled"] = decimal_text(filled)
        if filled == Decimal(order["amount"]):
            order["state"] = "done"
        return deal

    def answer(self, what: str, asked: Record) -> tuple[int, Any]:
        """Answer one request."""
        if what == "order.place":
            return self.place(asked)
        if what == "order.cancel":
            return self.cancel(asked["ref"])
        if what == "order.show":
            order = self.orders.get(asked["ref"])
            return (404, {"error": "UNKNOWN"}) if order is None else (200, order)
        lists = {
            "order.list": [order for order in self.orders.values() if order["state"] == "open"],
            "deals": [deal for deal in self.deals if deal["n"] >= asked.get("first", 0)],
            "holdings": {market: decimal_text(amount) for market, amount in self.held.items() if amount},
            "cash": {"amount": decimal_text(self.cash)},
        }
        return 200, lists[what]


class Double:
    """The line to a venue of its own, an adapter on this side of it, and what can go wrong in between."""

    symbol = SYMBOL
    price = PRICE
    lot = LOT
    decimals = DECIMALS

    def __init__(self, timeout_s: float = 0.2) -> None:
        self.venue = Venue()
        self.broker = VenueBroker(self, timeout_s)
        self._troubles: deque[tuple[str, int, Record]] = deque()
        self._reject = ""
        self._in_cancel: dict[str, tuple[Decimal, Decimal, int]] = {}
        self._clock = RealClock()
        self._shift_s = 0
        self._waiting: list[asyncio.Event] | None = None
        self._links: list[asyncio.Queue[str]] = []
        self._untold: list[str] | None = None
        self._last_deal = ""
        self._changed = asyncio.Event()

    # -- the line -------------------------------------------------------------------------------------------

    async def call(self, what: str, body: str) -> tuple[int, str]:
        """Carry one request there and its answer back."""
        trouble, status, told = self._troubles.popleft() if self._troubles else ("", 0, {})
        if trouble == "not sent":
            raise ConnectionRefusedError
        if trouble == "lost before":
            raise TimeoutError
        if trouble == "turned away":
            return status, json.dumps(told)
        status, told = self._processed(what, json.loads(body))
        text = json.dumps(told)
        if trouble == "lost after":
            raise TimeoutError
        if self._waiting is not None:
            let_go = asyncio.Event()
            self._waiting.append(let_go)
            self._changed.set()
            await let_go.wait()
        return status, "<html>" + text[1:] if trouble == "garbled" else text

    def _processed(self, what: str, asked: Record) -> tuple[int, Any]:
        if what == "time":
            return 200, {"ms": self._clock.now_ns() // _NS_PER_MS + self._shift_s * 1000}
        if what == "order.place" and self._reject:
            code, self._reject = self._reject, ""
            return 422, {"error": code}
        if what == "order.cancel" and asked["ref"] in self._in_cancel:
            self._deal(asked["ref"], *self._in_cancel.pop(asked["ref"]))
        status, told = self.venue.answer(what, asked)
        if what == "order.cancel" and status == 200:  # noqa: PLR2004 - the line's word for yes
            self._tell({"kind": "cancelled", "ref": asked["ref"], "filled": told["filled"]})
        return status, told

    async def listen(self) -> AsyncIterator[str]:
        """Tell what happens from now on."""
        link: asyncio.Queue[str] = asyncio.Queue()
        self._links.append(link)
        self._changed.set()
        try:
            while text := await link.get():
                yield text
        finally:
            self._links.remove(link)
        raise ConnectionResetError

    def _tell(self, statement: Record) -> None:
        text = json.dumps(statement)
        if self._untold is not None:
            self._untold.append(text)
        else:
            self._send(text)

    def _send(self, text: str) -> None:
        for link in self._links:
            link.put_nowait(text)

    def _deal(self, ref: str, amount: Decimal, price: Decimal, ms: int) -> None:
        deal = {"kind": "deal", "deal": self.venue.deal(ref, amount, price, ms)}
        self._last_deal = json.dumps(deal)
        self._tell(deal)

    # -- the hooks: the account -----------------------------------------------------------------------------

    async def place_there(self, request: PlaceOrder) -> None:
        """Take in an order from elsewhere."""
        amount, limit = decimal_text(request.quantity), decimal_text(request.limit_price or Decimal(0))
        wanted = {"ref": request.client_order_id, "market": request.symbol, "side": request.side.lower()}
        self.venue.place(wanted | {"amount": amount, "limit": limit, "rests": True})

    async def orders_there(self, client_order_id: str) -> int:
        """Return how many orders there are under an id."""
        return sum(order["ref"] == client_order_id for order in self.venue.orders.values())

    async def fill(self, client_order_id: str, quantity: Decimal, price: Decimal, ts_ns: int) -> None:
        """Execute a part of an order."""
        self._deal(client_order_id, quantity, price, ts_ns // _NS_PER_MS)

    async def cancel_there(self, client_order_id: str) -> None:
        """End an order."""
        _, order = self.venue.cancel(client_order_id)
        self._tell({"kind": "cancelled", "ref": client_order_id, "filled": order["filled"]})

    async def fill_in_cancel(self, client_order_id: str, quantity: Decimal, price: Decimal, ts_ns: int) -> None:
        """Execute a part of an order once its cancel has come."""
        self._in_cancel[client_order_id] = (quantity, price, ts_ns // _NS_PER_MS)

    # -- the hooks: the next call ---------------------------------------------------------------------------

    async def reject(self, code: str) -> None:
        """Reject the next order."""
        self._reject = code

    async def rate_limit(self, retry_after_s: float | None) -> None:
        """Turn the next call away for its rate."""
        self._troubles.append(("turned away", 429, {} if retry_after_s is None else {"wait": retry_after_s}))

    async def refuse(self, code: str) -> None:
        """Refuse the next call."""
        self._troubles.append(("turned away", 403, {"error": code}))

    async def fail(self) -> None:
        """Answer the next call with an error of ours."""
        self._troubles.append(("turned away", 500, {}))

    async def fail_to_send(self) -> None:
        """Let nothing of the next call leave."""
        self._troubles.append(("not sent", 0, {}))

    async def lose_before(self) -> None:
        """Lose the next call."""
        self._troubles.append(("lost before", 0, {}))

    async def lose_after(self) -> None:
        """Lose the answer to the next call."""
        self._troubles.append(("lost after", 0, {}))

    async def garble(self) -> None:
        """Answer the next call with something else."""
        self._troubles.append(("garbled", 0, {}))

    # -- the hooks: answers, time, statements ---------------------------------------------------------------

    async def hold(self) -> None:
        """Hold answers back."""
        self._waiting = []

    async def held(self, count: int) -> None:
        """Wait until so many are."""
        while self._waiting is not None and len(self._waiting) < count:
            await self._change()

    async def release(self) -> None:
        """Let them go, the last one first."""
        waiting, self._waiting = self._waiting or [], None
        for let_go in reversed(waiting):
            let_go.set()

    async def shift_clock(self, seconds: int) -> None:
        """Set the clock."""
        self._shift_s += seconds

    async def listened(self) -> None:
        """Wait until somebody listens."""
        while not self._links:
            await self._change()

    async def tell_again(self) -> None:
        """Deliver the last deal again."""
        self._send(self._last_deal)

    async def cut(self) -> None:
        """Break the line."""
        self._send("")

    async def hold_statements(self) -> None:
        """Hold back what there is to tell."""
        self._untold = []

    async def release_statements(self) -> None:
        """Tell it."""
        told, self._untold = self._untold or [], None
        for text in told:
            self._send(text)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
