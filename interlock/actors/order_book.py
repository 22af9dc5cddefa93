"""The order book: what the orchestrator holds to be true of its orders, and the one way to change it.

Every change is persisted, told and counted in the same breath: the audit line and the journal record go into one
transaction of the store, then memory, then the event. Facts that change nothing are counted and leave no trace, so a
repeated ack is not a new version of an order. Orders of an earlier session are taken in as they are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from interlock.actors.commits import Commits
from interlock.domain.broker import Fill
from interlock.domain.errors import IllegalTransition, InvariantBroken, StorageError
from interlock.domain.exposure import Exposure
from interlock.domain.ledgers import need_same_fill
from interlock.domain.messages import GetLocalView
from interlock.domain.money import decimal_text
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.domain.orders import Order, advance, belongs_to, book_fill
from interlock.domain.reconcile import LocalView
from interlock.domain.sometimes import Sometimes
from interlock.runtime.actor import Context
from interlock.runtime.store import ClaimResult, Store
from interlock.runtime.store_changes import Execution

__all__ = ["OrderBook"]

_SEND, _QUARANTINED, _CLAIMED = OrderEvent.SEND, OrderState.QUARANTINED, ClaimResult.CLAIMED
"""What is asked with each change of an order: members of enums are slow to look up in Python 3.11."""

_TRANSITIONS: Final = {
    (before, after): f"order_state_transitions_total|{before}|{after}" for before in OrderState for after in OrderState
}
_EVENTS: Final = {(state, event): f"order_events_total|{state}|{event}" for state in OrderState for event in OrderEvent}
_MARKED: Final = {
    OrderState.SENT: Sometimes.FILL_BEFORE_ACK,
    OrderState.CANCEL_PENDING: Sometimes.FILL_WHILE_CANCELLING,
    OrderState.CANCELLED: Sometimes.FILL_AFTER_END,
    OrderState.EXPIRED: Sometimes.FILL_AFTER_END,
}
"""Where a fill is out of the ordinary."""

_CODES: Final = {state: f"ORDER_{state}" for state in OrderState}
"""Names of counters and audit codes, made once: they are needed with every change of every order."""


class OrderBook:
    """Orders by key, those that may be live, fills, and the exposure they make."""

    def __init__(
        self,
        ctx: Context,
        store: Store,
        commits: Commits,
        exposure: Exposure,
        *,
        account: tuple[str, str],
        restored: bool = False,
    ) -> None:
        """Begin with ``exposure``; ``account`` is venue and account, as executions are recorded under.

        ``restored`` says that the store was used before: its orders that may be live are taken in at once.
        """
        self.ctx = ctx
        self.store = store
        self.commits = commits
        self.exposure = exposure
        self.restored = restored
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}
        self.on_change: Callable[[Order, OrderEvent, Fill | None], None] | None = None
        """Told each change of an order once it is durable: a host that follows its orders."""
        self._account = account
        for order in store.live_orders() if restored else ():
            if belongs_to(order, *account):  # another account's orders are not settled by asking this broker
                self.orders[order.client_order_id] = self.live[order.client_order_id] = order

    def open(self) -> None:
        """Record what the account begins with, where the store does not know it yet."""
        if self.store.account(*self._account) is None:
            self.store.open_account(*self._account, self.exposure.lines())
        self.commits.changed()

    # -- orders of an earlier session -----------------------------------------------------------------------

    def recall(self, client_order_id: str) -> Order | None:
        """Take in an order that an earlier session ended; None where there is none that we do not have already."""
        if not self.restored or client_order_id in self.orders:
            return None
        order = self.store.order_of(client_order_id)
        if order is None or not belongs_to(order, *self._account):
            return None
        self.orders[client_order_id] = order
        self.exposure.adopt(order)
        return order

    def booked_before(self, fill: Fill) -> bool:
        """Return whether an earlier session booked this very fill.

        Raises:
            InvariantBroken: ``fill_conflict``: it did, with other content.
        """
        known = self.store.execution_of(*self._account, fill.fill_id) if self.restored else None
        if known is not None:
            need_same_fill(known, fill)
            self.ctx.sometimes(Sometimes.BOOKED_BEFORE)
        return known is not None

    # -- changes --------------------------------------------------------------------------------------------

    def claim(self, order: Order) -> tuple[ClaimResult, Order]:
        """Claim the key of a new order, as sent: it may leave once that is durable. Return it as it is then."""
        sent = advance(order, _SEND, self.ctx.now_ns())
        claim = self.store.claim(sent, partial(self._say, sent))
        if claim is _CLAIMED:
            self.ctx.count(_EVENTS[order.state, _SEND])
            self._keep(order, sent, _SEND)
        elif claim is ClaimResult.HALTED:
            self.ctx.sometimes(Sometimes.HALTED_CLAIM)
        return claim, sent

    def step(
        self, order: Order, event: OrderEvent, *, broker_order_id: str | None = None, reason: str | None = None
    ) -> Order:
        """Apply one fact that changes no quantity and return the order as it is now.

        Raises:
            IllegalTransition: the table does not hold the pair; nothing changed.
            InvariantBroken: ``unsettled_order``: the order is in quarantine now.
        """
        after = advance(order, event, self.ctx.now_ns(), broker_order_id=broker_order_id, reason=reason)
        self.ctx.count(_EVENTS[order.state, event])
        if order.state is after.state and order.broker_order_id == after.broker_order_id:
            self.ctx.count("repeated_statements_total")
            return order
        self.store.journal(after, None, partial(self._say, after))
        self._keep(order, after, event)
        return after

    def book(self, fill: Fill) -> None:
        """Book one fill, once.

        Raises:
            InvariantBroken, IllegalTransition: the fill contradicts what must always hold.
        """
        ctx, exposure = self.ctx, self.exposure
        if exposure.fills.repeats(fill):
            ctx.count("duplicate_fills_total")
            return
        order = self.orders.get(fill.client_order_id)
        if order is None:
            ctx.sometimes(Sometimes.ORPHAN_KEPT)
            code = "unknown_order_fill"
            self._keep_unbooked(fill, code)
            evidence = {"client_order_id": fill.client_order_id, "fill_id": fill.fill_id}
            raise InvariantBroken(code, "a fill for an order that was never sent", evidence)
        try:
            filled = book_fill(order, fill, ctx.now_ns())
        except InvariantBroken as broken:
            self._keep_unbooked(fill, broken.code)
            raise
        except IllegalTransition:
            self._keep_unbooked(fill, "illegal_transition")
            raise
        event = OrderEvent.FULL_FILL if filled.leaves == 0 else OrderEvent.PARTIAL_FILL
        ctx.count(_EVENTS[order.state, event])
        if order.state in _MARKED:
            ctx.sometimes(_MARKED[order.state])
        exposure.begin_day(ctx.now_ns())
        execution = Execution(*self._account, fill, exposure.line_after(fill))
        # A store that refuses leaves everything as it was, and the fill can come again.
        self.store.journal(filled, execution, partial(self._say, filled))
        exposure.book(fill)
        ctx.count("fills_total")
        self._keep(order, filled, event, fill)
        exposure.verify(fill)

    def _keep_unbooked(self, fill: Fill, code: str) -> None:
        """Keep a fill that no order of ours can take, and stop in the same breath: told again, it will be known."""
        self.store.keep_orphan(Execution(*self._account, fill))
        self._halt(code)
        self.commits.changed()

    def _halt(self, code: str) -> None:
        """Set the kill switch with the record that asks for it: a process killed before the trip must not forget."""
        with suppress(StorageError):  # the trip sets it again, and says so where that fails
            self.store.engage_kill_switch(code)

    def view(self, wanted: GetLocalView) -> LocalView:
        """Return what we believe now: live orders and the named ones, fills from an index on, the ledgers."""
        named = {key: self.orders[key] for key in wanted.client_order_ids if key in self.orders}
        ledger, fills = self.exposure.ledger, self.exposure.fills
        orders = tuple({**self.live, **named}.values())
        return LocalView(
            self.ctx.now_ns(),
            orders,
            fills.since(wanted.fills_from),
            len(fills),
            fills.cursor,
            ledger.positions(),
            ledger.cash,
        )

    def _say(self, after: Order) -> None:
        """Write the audit line of one version of an order, into the transaction that it is taken in."""
        about = {
            "client_order_id": after.client_order_id,
            "filled": decimal_text(after.filled),
            "reason": after.reason,
            "version": after.version,
        }
        self.ctx.audit(_CODES[after.state], "the order moved on" if after.live else "the order ended", about)

    def _keep(self, before: Order, after: Order, event: OrderEvent, fill: Fill | None = None) -> None:
        ctx, key = self.ctx, after.client_order_id
        self.orders[key] = after
        if after.live:
            self.live[key] = after
        else:
            self.live.pop(key, None)
        ctx.count(_TRANSITIONS[before.state, after.state])
        ctx.emit("ORDER_STATE", _told(before, after, event, fill))
        code, stuck = "unsettled_order", after.state is _QUARANTINED
        if stuck:
            self._halt(code)
        self.commits.changed()
        if self.on_change is not None:
            self.commits.then(partial(self.on_change, after, event, fill))
        if stuck:
            ctx.sometimes(Sometimes.QUARANTINED)
            raise InvariantBroken(code, "an order that only an operator can settle", {"client_order_id": key})


def _told(before: Order, after: Order, event: OrderEvent, fill: Fill | None) -> dict[str, object]:
    """Return one change of an order as the event that tells it."""
    payload: dict[str, object] = {
        "client_order_id": after.client_order_id,
        "symbol": after.symbol,
        "side": after.side,
        "event": event,
        "from": before.state,
        "to": after.state,
        "filled": decimal_text(after.filled),
        "quantity": decimal_text(after.quantity),
    }
    if event is _SEND:
        payload["decision_id"] = after.decision_id
        payload["submit_to_send_ns"] = after.updated_ns - after.created_ns
        payload["limit_price"] = None if after.limit_price is None else decimal_text(after.limit_price)
    if after.reason:
        payload["reason"] = after.reason
    if fill is not None:
        payload["fill_id"] = fill.fill_id
        payload["fill_quantity"] = decimal_text(fill.quantity)
        payload["fill_price"] = decimal_text(fill.price)
        payload["fee"] = decimal_text(fill.fee)
    return payload
