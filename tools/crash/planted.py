"""The eight faults that the harness must catch, planted into the classes of a child.

Each is a context manager that patches what a careless version of the engine would have done. Only a child that was
told to enters one, in its own forked process; where they are caught is in ``proof.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any, Final
from unittest.mock import patch

import msgspec

from interlock.actors import broker_link
from interlock.actors.broker_link import BrokerLink
from interlock.actors.commits import Commits
from interlock.actors.order_book import OrderBook
from interlock.actors.order_calls import SettleSettings
from interlock.actors.order_tracker import OrderTracker
from interlock.config.parts import Parts
from interlock.domain.broker import BrokerOrder, Fill, OrderNotFound
from interlock.domain.errors import BrokerError, NotSent, OutcomeUnknown, RateLimited
from interlock.domain.ledgers import FillBook
from interlock.domain.orders import Order
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult, silent
from interlock.runtime.store_anchor import Counts
from interlock.runtime.store_changes import Execution, KeysPurged
from interlock.runtime.store_tables import Tables

__all__ = ["PLANTS"]


def _replaced(owner: Any, name: str, attribute: object) -> AbstractContextManager[Any]:
    return patch.object(owner, name, attribute)


def _send_before_claim() -> AbstractContextManager[Any]:
    """What waits for the commit does not: the order leaves while its claim is still in the open transaction."""
    return _replaced(Commits, "then", lambda _, effect: effect())


def _blind_resend() -> AbstractContextManager[Any]:
    """Silence counts as a refusal, and the call is repeated."""
    return _replaced(broker_link, "_REPEAT_WRITES", (RateLimited, NotSent, OutcomeUnknown))


@contextmanager
def _resend_on_not_found() -> Iterator[None]:
    """An order in doubt that the broker does not find is placed again."""
    asked_about: dict[str, Order] = {}
    ask_about, query = OrderTracker.ask_about, BrokerLink.query

    def note(tracker: OrderTracker, order: Order) -> None:
        asked_about[order.client_order_id] = order
        ask_about(tracker, order)

    async def place_again(link: BrokerLink, key: str) -> BrokerOrder | OrderNotFound:
        answer = await query(link, key)
        if isinstance(answer, OrderNotFound) and key in asked_about:
            with suppress(BrokerError):
                await link.place(asked_about.pop(key), lambda _: None)
        return answer

    with _replaced(OrderTracker, "ask_about", note), _replaced(BrokerLink, "query", place_again):
        yield


def _void_without_settling() -> AbstractContextManager[Any]:
    """The first "not found" counts, whenever it comes."""
    settle: Callable[[Parts], SettleSettings] = vars(Parts)["settle"].func

    def at_once(parts: Parts) -> SettleSettings:
        return msgspec.structs.replace(settle(parts), settle_after_s=0.0)

    return _replaced(Parts, "settle", property(at_once))


@contextmanager
def _audit_in_second_transaction() -> Iterator[None]:
    """The change is committed first, the audit line of it afterwards."""
    claim, journal, commit = SqliteStore.claim, SqliteStore.journal, SqliteStore.commit
    unsaid: list[Callable[[], None]] = []

    def claimed(store: SqliteStore, order: Order, say: Callable[[], None] = silent) -> ClaimResult:
        result = claim(store, order)
        if result is ClaimResult.CLAIMED:
            unsaid.append(say)
        return result

    def journaled(
        store: SqliteStore, order: Order, execution: Execution | None = None, say: Callable[[], None] = silent
    ) -> None:
        journal(store, order, execution)
        unsaid.append(say)

    def committed(store: SqliteStore) -> None:
        commit(store)
        says = [*unsaid]
        unsaid.clear()
        for say in says:
            say()
        if says:
            commit(store)

    with ExitStack() as stack:
        for name, planted in (("claim", claimed), ("journal", journaled), ("commit", committed)):
            stack.enter_context(_replaced(SqliteStore, name, planted))
        yield


@contextmanager
def _purge_by_ttl_alone() -> Iterator[None]:
    """Whatever is old enough is dropped: live orders, too, and those that the broker holds open."""
    drop = Tables._purge  # noqa: SLF001 - the plant sits where the rows are deleted

    def dropped(tables: Tables, change: KeysPurged, record: int, counts: Counts) -> Counts:
        rows = [tables.order(key) for key in change.keys]
        live = sum(row.live for row in rows if row is not None)
        counts = drop(tables, change, record, counts)
        return msgspec.structs.replace(counts, live=counts.live - live)

    def purged(store: SqliteStore, now_ns: int, _: tuple[str, ...]) -> int:
        file = store._file  # noqa: SLF001 - as the store's own method does
        keys = tuple(row.key for row in file.tables.newest() if row.expires_ns <= now_ns)
        if keys:
            with file.transaction():
                file.append(KeysPurged(keys))
        return len(keys)

    with _replaced(Tables, "_purge", dropped), _replaced(SqliteStore, "purge", purged):
        yield


def _cursor_before_fill() -> AbstractContextManager[Any]:
    """The account with its cursor is committed first, the fill afterwards."""
    book = OrderBook.book

    def booked(orders: OrderBook, fill: Fill) -> None:
        exposure = orders.exposure
        if fill.client_order_id in orders.orders and not exposure.fills.repeats(fill):
            account = orders._account  # noqa: SLF001 - as the book's own method does
            orders.store.open_account(*account, (exposure.line_after(fill),))
            orders.store.commit()
        book(orders, fill)

    return _replaced(OrderBook, "book", booked)


@contextmanager
def _no_fill_dedup() -> Iterator[None]:
    """A fill that is told again is booked again; the table of executions, which cannot take it twice, is passed by."""
    journal = SqliteStore.journal

    def journaled(
        store: SqliteStore, order: Order, execution: Execution | None = None, say: Callable[[], None] = silent
    ) -> None:
        known = execution is not None and store.execution_of(execution.venue, execution.account, execution.fill.fill_id)
        journal(store, order, None if known else execution, say)

    with ExitStack() as stack:
        for owner, name, planted in (
            (FillBook, "repeats", lambda _, __: False),
            (OrderBook, "booked_before", lambda _, __: False),
            (SqliteStore, "journal", journaled),
        ):
            stack.enter_context(_replaced(owner, name, planted))
        yield


PLANTS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    "": nullcontext,
    "send_before_claim": _send_before_claim,
    "blind_resend": _blind_resend,
    "resend_on_not_found": _resend_on_not_found,
    "void_without_settling": _void_without_settling,
    "audit_in_second_transaction": _audit_in_second_transaction,
    "purge_by_ttl_alone": _purge_by_ttl_alone,
    "cursor_before_fill": _cursor_before_fill,
    "no_fill_dedup": _no_fill_dedup,
}
"""By name; "" plants nothing."""
