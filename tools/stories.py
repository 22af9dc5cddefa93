"""Builds the logs of a proof as a story: what happened to each order, and which of the two sides heard of it.

Every fact takes a second of the story's own time. ``here`` is our journal, ``there`` the broker's log; a fact that only
one of them holds is a difference that a proof can show.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from interlock.domain.ids import client_order_id, fingerprint
from interlock.domain.intents import OrderType, Side, TimeInForce
from interlock.domain.money import decimal_text
from interlock.domain.order_states import OrderState
from interlock.prove.cache import cache_bytes
from interlock.prove.convert import line_of
from interlock.prove.records import (
    BrokerAccepted,
    BrokerCancelled,
    BrokerCash,
    BrokerEvent,
    BrokerExpired,
    BrokerFill,
    BrokerOpenOrder,
    BrokerPosition,
    BrokerRejected,
    CacheEntry,
    FillOfVersion,
    OrderVersion,
)

__all__ = ["Story", "key_of"]

_BEGIN: Final = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
_TTL: Final = timedelta(hours=48)
_STRATEGY: Final = "strat_demo"


def key_of(name: str) -> str:
    """Return the client order id of an order of a story."""
    return client_order_id(_STRATEGY, name)


class Story:
    """Events of the broker, versions of our orders and entries of the cache, in the order in which they came."""

    def __init__(self) -> None:
        self.events: list[BrokerEvent] = []
        self.versions: list[OrderVersion] = []
        self.entries: dict[str, CacheEntry] = {}
        self._last: dict[str, OrderVersion] = {}
        self._seconds = 0

    # -- the files ------------------------------------------------------------------------------------------------

    def files(self) -> dict[str, bytes]:
        """Return the three input files by name."""
        return {
            "events.jsonl": b"".join(line_of(event) for event in self.events),
            "journal.jsonl": b"".join(line_of(version) for version in self.versions),
            "cache.jsonl": cache_bytes(self.entries.values()),
        }

    # -- what happened --------------------------------------------------------------------------------------------

    def send(
        self,
        name: str,
        side: Side = Side.BUY,
        quantity: str = "100000",
        limit_price: str = "1.1001",
        symbol: str = "EURUSD",
        reference_price: str | None = "1.1",
    ) -> None:
        """Send one order: our journal and the cache hold it, the broker has said nothing yet."""
        content = fingerprint("proof", symbol, side, quantity, limit_price)
        ts = self._tick()
        self.entries[name] = CacheEntry(key_of(name), name, symbol, side, quantity, ts + _TTL, "sent", content)
        first = OrderVersion(
            seq=len(self.versions) + 1,
            ts=ts,
            client_order_id=key_of(name),
            version=1,
            decision_id=name,
            fingerprint=content,
            symbol=symbol,
            side=side,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            quantity=quantity,
            limit_price=limit_price,
            reference_price=reference_price,
            state=OrderState.SENT,
            filled="0",
            broker_order_id=None,
            fill=None,
        )
        self.versions.append(first)
        self._last[name] = first

    def accept(self, name: str, *, here: bool = True, there: bool = True) -> None:
        """Accept one order."""
        ts, order = self._tick(), self._last[name]
        if there:
            self.tell(
                BrokerAccepted,
                client_order_id=order.client_order_id,
                broker_order_id=f"b-{name}",
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                limit_price=order.limit_price,
                ts=ts,
            )
        if here:
            self._journal(name, ts, state=OrderState.ACK, broker_order_id=f"b-{name}")

    def fill(
        self,
        name: str,
        execution_id: str,
        quantity: str,
        price: str = "1.1",
        fee: str = "0",
        *,
        here: bool = True,
        there: bool = True,
    ) -> None:
        """Fill a part of one order, or all of it."""
        ts, order = self._tick(), self._last[name]
        if there:
            self.tell(
                BrokerFill,
                execution_id=execution_id,
                client_order_id=order.client_order_id,
                broker_order_id=f"b-{name}",
                symbol=order.symbol,
                side=order.side,
                quantity=quantity,
                price=price,
                fee=fee,
                ts=ts,
            )
        if here:
            filled = Decimal(order.filled) + Decimal(quantity)
            full = filled == Decimal(order.quantity)
            ended = order.state in (OrderState.CANCELLED, OrderState.EXPIRED)
            state = OrderState.FILLED if full else order.state if ended else OrderState.PARTIAL
            booked = FillOfVersion(execution_id, quantity, price, fee)
            self._journal(name, ts, state=state, filled=decimal_text(filled), fill=booked)

    def end(
        self,
        name: str,
        how: type[BrokerCancelled | BrokerExpired],
        filled: str,
        *,
        here: bool = True,
        there: bool = True,
    ) -> None:
        """Cancel or expire what is left of one order."""
        ts = self._tick()
        if there:
            self.tell(how, client_order_id=key_of(name), filled=filled, ts=ts)
        if here:
            state = OrderState.CANCELLED if how is BrokerCancelled else OrderState.EXPIRED
            self._journal(name, ts, state=state, fill=None)

    def reject(self, name: str, *, here: bool = True, there: bool = True) -> None:
        """Refuse one order."""
        ts = self._tick()
        if there:
            self.tell(BrokerRejected, client_order_id=key_of(name), code="no_margin", reason="", ts=ts)
        if here:
            self._journal(name, ts, state=OrderState.REJECTED)

    def state_order(self, key: str, filled: str = "0", **content: Any) -> None:
        """Let the broker state an open order, ours or not."""
        told: dict[str, Any] = {"symbol": "EURUSD", "side": Side.BUY, "quantity": "100000", "limit_price": "1.1001"}
        self.tell(BrokerOpenOrder, client_order_id=key, broker_order_id="b-stated", filled=filled, **(told | content))

    def state_position(self, quantity: str, average_price: str | None = None, symbol: str = "EURUSD") -> None:
        """Let the broker state a position."""
        self.tell(BrokerPosition, symbol=symbol, quantity=quantity, average_price=average_price)

    def state_cash(self, amount: str) -> None:
        """Let the broker state the cash."""
        self.tell(BrokerCash, amount=amount)

    def repeat(self, event: BrokerEvent) -> None:
        """Let the broker tell one event again."""
        self.events.append(msgspec.structs.replace(event, seq=len(self.events) + 1, ts=self._tick()))

    def tell(self, kind: type[BrokerEvent], *, ts: datetime | None = None, **content: Any) -> None:
        """Add one event to the broker's log."""
        self.events.append(kind(seq=len(self.events) + 1, ts=ts or self._tick(), **content))

    def _journal(self, name: str, ts: datetime, **changes: Any) -> None:
        before = self._last[name]
        news = {"fill": None} | changes
        after = msgspec.structs.replace(before, seq=len(self.versions) + 1, ts=ts, version=before.version + 1, **news)
        self.versions.append(after)
        self._last[name] = after
        if after.state in (OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED):
            self.entries[name] = msgspec.structs.replace(self.entries[name], status="closed")

    def _tick(self) -> datetime:
        self._seconds += 1
        return _BEGIN + timedelta(seconds=self._seconds)
