"""Adapters that break one promise about what they are, about orders and cancels, or about looking orders up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from examples.custom_broker.adapter import VenueBroker
from interlock.domain.broker import (
    Accepted,
    BrokerOrder,
    BrokerStatus,
    Cancelled,
    CancelRefused,
    OrderNotFound,
    PlaceOrder,
    Rejected,
)
from interlock.domain.errors import OutcomeUnknown, Unreachable
from interlock.ports import DUPLICATE_ID
from tests.certify.adapter_builders import Noted

__all__ = [
    "CallsEveryRejectADuplicate",
    "CancelsLater",
    "CountsAsMock",
    "KnowsWhatItSawAccepted",
    "LacksLimits",
    "ListsItsOwn",
    "ListsLists",
    "LooksThroughOpenOrders",
    "RaisesForUnknownCancels",
    "RaisesForUnknownOrders",
    "ReaderThatCancels",
    "RenamesRepeats",
    "TakesARefusalForDone",
    "TakesAnyForTheSame",
    "TakesEndedForCancelled",
    "TellsWhatWasFilledBefore",
]

# -- what it is ---------------------------------------------------------------------------------------------


class LacksLimits(Noted):
    @property
    def limits(self) -> Any:
        raise AttributeError


class ReaderThatCancels:
    """A reader with one method too many; the rest is that of the right adapter."""

    def __init__(self, right: VenueBroker) -> None:
        self._right = right
        for name in ("name", "open_orders", "order", "fills_since", "positions", "cash", "limits", "server_time_ns"):
            setattr(self, name, getattr(right, name))

    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        return await self._right.cancel(client_order_id)


class CountsAsMock(Noted):
    is_mock = 1  # type: ignore[assignment]  # that is what is wrong


class ListsLists(Noted):
    async def open_orders(self) -> Any:
        return list(await super().open_orders())


# -- orders -------------------------------------------------------------------------------------------------


class RenamesRepeats(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        """Make an id that is free where the same order comes again."""
        key = request.client_order_id
        again = self.placed.get(key) == request
        self.placed[key] = request
        if again:
            other = (getattr(request, name) for name in request.__struct_fields__[1:])
            return await super().place(PlaceOrder(f"{key}-2", *other))
        return await super().place(request)


class TakesAnyForTheSame(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        answer = await super().place(request)
        if isinstance(answer, Rejected) and answer.code == DUPLICATE_ID:
            number = self.line.venue.orders[request.client_order_id]["number"]
            return Accepted(client_order_id=request.client_order_id, broker_order_id=number)
        return answer


class CallsEveryRejectADuplicate(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        answer = await super().place(request)
        return answer.model_copy(update={"code": DUPLICATE_ID}) if isinstance(answer, Rejected) else answer


class CancelsLater(Noted):
    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        """Say that it is done once it was asked for; the venue gets to it later."""
        answer = await super().cancel(client_order_id)
        order = self.line.venue.orders.get(client_order_id)
        if isinstance(answer, Cancelled) and order is not None:
            order["state"] = "open"
        return answer


class TakesEndedForCancelled(Noted):
    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        before = await super().order(client_order_id)
        if isinstance(before, BrokerOrder) and before.status is not BrokerStatus.OPEN:
            return Cancelled(client_order_id=client_order_id, filled=before.filled)
        return await super().cancel(client_order_id)


class RaisesForUnknownCancels(Noted):
    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        answer = await super().cancel(client_order_id)
        if isinstance(answer, CancelRefused) and answer.code == "UNKNOWN":
            raise OutcomeUnknown(answer.code)
        return answer


class TellsWhatWasFilledBefore(Noted):
    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        before = self.line.venue.orders.get(client_order_id, {"filled": "0"})["filled"]
        answer = await super().cancel(client_order_id)
        return answer.model_copy(update={"filled": Decimal(before)}) if isinstance(answer, Cancelled) else answer


class TakesARefusalForDone(Noted):
    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        """Believe that an order that was open a moment ago and cannot be cancelled now is cancelled, unfilled."""
        order = self.line.venue.orders.get(client_order_id)
        was_open = order is not None and order["state"] == "open"
        answer = await super().cancel(client_order_id)
        if was_open and isinstance(answer, CancelRefused):
            return Cancelled(client_order_id=client_order_id, filled=Decimal(0))
        return answer


# -- looking up ---------------------------------------------------------------------------------------------


class LooksThroughOpenOrders(Noted):
    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        found = await super().order(client_order_id)
        # A filled order stays for a moment, as where the list lags; a cancelled one is gone.
        if isinstance(found, BrokerOrder) and found.status is BrokerStatus.CANCELLED:
            return OrderNotFound(client_order_id=client_order_id)
        return found


class RaisesForUnknownOrders(Noted):
    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        found = await super().order(client_order_id)
        if isinstance(found, OrderNotFound):
            raise Unreachable("no such order")
        return found


class KnowsWhatItSawAccepted(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        answer = await super().place(request)
        self.placed[request.client_order_id] = request
        return answer

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        found = await super().order(client_order_id)
        return found if client_order_id in self.placed else OrderNotFound(client_order_id=client_order_id)


class ListsItsOwn(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        self.placed[request.client_order_id] = request
        return await super().place(request)

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        return tuple(order for order in await super().open_orders() if order.client_order_id in self.placed)
