"""Faults of the store in memory, and of the recovery that stands on it."""

from __future__ import annotations

from typing import Final

import msgspec

from interlock.actors import order_book
from interlock.actors.order_book import OrderBook
from interlock.actors.recovery import Recovery
from interlock.assembly import Past
from interlock.config.parts import Parts
from interlock.domain.exposure import Exposure
from interlock.domain.messages import ExecutionsFetched
from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import Order, advance
from interlock.runtime import memory_store
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store_changes import KeysPurged, StoreState, SwitchSet
from tools.mutants.cases import DAY, LONG, STRANGERS
from tools.mutants.mutant import Mutant, both, swap

__all__ = ["DURABLE"]

_COMMIT: Final = MemoryStore.commit
_FETCHED: Final = Recovery.fetched
_EXPOSURE: Final = Past.exposure
_EVERY: Final = 5


def _forget_each_fifth(self: MemoryStore) -> None:
    if self.length() % _EVERY:
        _COMMIT(self)


def _switch_uncommitted(self: MemoryStore, reason: str) -> None:
    if not self._state.switch:
        self._append(SwitchSet(reason))


def _purge_the_living(self: MemoryStore, now_ns: int, held_open: tuple[str, ...]) -> int:
    keys = tuple(self._state.orders)
    if keys:
        self._append(KeysPurged(keys))
    return len(keys)


def _drop_the_digests(self: StoreState, change: KeysPurged) -> None:
    for key in change.keys:
        del self.orders[key]


def _skip_a_version(
    order: Order, event: OrderEvent, now_ns: int, *, broker_order_id: str | None = None, reason: str | None = None
) -> Order:
    after = advance(order, event, now_ns, broker_order_id=broker_order_id, reason=reason)
    return msgspec.structs.replace(after, version=after.version + (event is OrderEvent.CANCEL_REQUEST))


def _any_version(order: Order, known: int | None) -> None:
    """Look at no version."""


def _leave_them_sent(self: Recovery) -> None:
    self.running = True
    self._counts = {"orders": len(self._book.live), "in_doubt": 0}
    self._ctx.spawn(self._fetch(), "recovery")


async def _ask_about_none(self: Recovery, done: ExecutionsFetched) -> None:
    for fill in done.fills:
        await self._tracker.believe(fill)


def _no_live_orders(self: Past, parts: Parts, now_ns: int) -> Exposure:
    return _EXPOSURE(self._replace(live=()), parts, now_ns)


def _as_configured(self: Past, parts: Parts, now_ns: int) -> Exposure:
    return _EXPOSURE(self._replace(book=None), parts, now_ns)


def _leave_it_to_the_trip(self: OrderBook, code: str) -> None:
    """Set no switch: the trip that follows will, unless a crash comes first."""


DURABLE: Final = {
    "commit_forgets": Mutant(
        "each fifth commit makes nothing durable",
        swap(MemoryStore, "commit", _forget_each_fifth),
        DAY,
        ("I8", "durability"),
    ),
    "switch_not_latched": Mutant(
        "the kill switch is gone after a crash",
        swap(MemoryStore, "engage_kill_switch", _switch_uncommitted),
        DAY,
        ("SAF-2",),
    ),
    "switch_set_by_the_trip_alone": Mutant(
        "a crash between a fill of nobody and its trip leaves no reason to stop behind",
        swap(OrderBook, "_halt", _leave_it_to_the_trip),
        STRANGERS,
        ("SAF-2",),
    ),
    "living_keys_purged": Mutant(
        "orders that are open are dropped with the old ones",
        swap(MemoryStore, "purge", _purge_the_living),
        DAY,
        ("I10",),
    ),
    "purge_forgets_digests": Mutant(
        "a key that was dropped may be used again", swap(StoreState, "_purged", _drop_the_digests), LONG, ("I5", "I1")
    ),
    "version_gap_unnoticed": Mutant(
        "an order skips a version, and the store takes it",
        both(swap(order_book, "advance", _skip_a_version), swap(memory_store, "need_next_version", _any_version)),
        DAY,
        ("I5",),
    ),
    "sent_not_marked": Mutant(
        "a restart leaves orders that were on their way as sent",
        swap(Recovery, "begin", _leave_them_sent),
        DAY,
        ("liveness", "I4"),
    ),
    "live_orders_not_asked": Mutant(
        "a restart does not ask about orders that may be open",
        swap(Recovery, "fetched", _ask_about_none),
        DAY,
        ("liveness", "I4"),
    ),
    "exposure_not_restored": Mutant(
        "a restart counts open orders for nothing", swap(Past, "exposure", _no_live_orders), DAY, ("I11",)
    ),
    "account_not_restored": Mutant(
        "a restart begins with the account of the config", swap(Past, "exposure", _as_configured), DAY, ("liveness",)
    ),
}
