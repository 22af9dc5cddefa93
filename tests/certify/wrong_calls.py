"""Adapters that break one promise about errors, or about calls as such."""

from __future__ import annotations

from interlock.domain.broker import (
    Accepted,
    BrokerOrder,
    Cancelled,
    CancelRefused,
    OrderNotFound,
    PlaceOrder,
    PositionLine,
    Rejected,
)
from interlock.domain.errors import NotSent, RateLimited, Refused, Unreachable
from tests.certify.adapter_builders import Noted

__all__ = [
    "DoubtsWhatNeverLeft",
    "KeepsTheLock",
    "LetsAnythingOut",
    "LosesTheAdvice",
    "RemembersOneCall",
    "TakesNoPermissionForNotFound",
    "TakesSilenceForARefusal",
    "TakesSilenceForARejection",
    "TakesSilenceForNothing",
    "TriesAgain",
    "WaitsForEver",
]

# -- errors -------------------------------------------------------------------------------------------------


class LosesTheAdvice(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        try:
            return await super().place(request)
        except RateLimited:
            raise RateLimited from None


class DoubtsWhatNeverLeft(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        try:
            return await super().place(request)
        except NotSent as error:
            raise Unreachable(str(error)) from error


class TakesNoPermissionForNotFound(Noted):
    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        try:
            return await super().order(client_order_id)
        except Refused:
            return OrderNotFound(client_order_id=client_order_id)


def _lost(error: Unreachable) -> bool:
    return str(error).endswith("no answer")


class TakesSilenceForARejection(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        try:
            return await super().place(request)
        except Unreachable as error:
            if _lost(error):
                return Rejected(client_order_id=request.client_order_id, code="TIMEOUT")
            raise


class TakesSilenceForARefusal(Noted):
    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        try:
            return await super().cancel(client_order_id)
        except Unreachable as error:
            if _lost(error):
                return CancelRefused(client_order_id=client_order_id, code="TIMEOUT")
            raise


class TakesSilenceForNothing(Noted):
    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        try:
            return await super().open_orders()
        except Unreachable as error:
            if _lost(error):
                return ()
            raise


class LetsAnythingOut(Noted):
    async def positions(self) -> tuple[PositionLine, ...]:
        try:
            return await super().positions()
        except Unreachable as error:
            if error.__cause__ is not None and not _lost(error):
                raise error.__cause__ from None
            raise


class TriesAgain(Noted):
    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        try:
            return await super().place(request)
        except Unreachable as error:
            if str(error).endswith("500"):
                return await super().place(request)
            raise


# -- calls --------------------------------------------------------------------------------------------------


class WaitsForEver(Noted):
    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        self._timeout_s = 3600
        try:
            return await super().order(client_order_id)
        finally:
            self._timeout_s = self.timeout_s


class KeepsTheLock(Noted):
    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        """Give the lock back after an answer and after an error, and not where the call was cancelled."""
        await self.lock.acquire()
        try:
            found = await super().order(client_order_id)
        except Exception:
            self.lock.release()
            raise
        self.lock.release()
        return found


class RemembersOneCall(Noted):
    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        self.known = client_order_id
        await super().order(client_order_id)
        return await super().order(self.known)
