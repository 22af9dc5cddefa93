"""Faults of the order tracker and of the calls that settle an order in doubt."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.actors.order_book import OrderBook
from interlock.actors.order_calls import OrderCalls, SettleSettings
from interlock.actors.order_cancels import OrderCancels
from interlock.actors.order_tracker import OrderTracker
from interlock.domain.broker import Fill, OrderNotFound
from interlock.domain.messages import CallOutcome, CancelDone, OrderClosed, QueryDone
from interlock.domain.order_states import ORDER_TABLE, OrderEvent, OrderState
from interlock.domain.orders import Order, advance
from interlock.domain.repair import PlannedAction
from interlock.runtime.actor import Context
from tools.mutants.cases import DAY, DOUBT, QUIET, TIGHT
from tools.mutants.desk import anything_goes
from tools.mutants.mutant import Mutant, Plant, swap

__all__ = ["TRACKER"]

_CALLS: Final = OrderCalls.__init__
_ASKED: Final = OrderTracker.asked
_CANCEL: Final = OrderCancels.cancel
_CANCEL_ENDED: Final = OrderTracker.cancel_ended
_BOOK: Final = OrderBook.book
_WORKED: Final = (OrderState.ACK, OrderState.PARTIAL, OrderState.FILLED)


def _settled_at_once(self: OrderCalls, ctx: Context, link: BrokerLink, settle: SettleSettings) -> None:
    _CALLS(self, ctx, link, msgspec.structs.replace(settle, settle_after_s=0.0))


async def _place_what_is_not_found(self: OrderTracker, done: QueryDone) -> None:
    order = self.book.orders[done.client_order_id]
    if isinstance(done.answer, OrderNotFound) and order.state is OrderState.UNKNOWN:
        self._asking.pop(order.client_order_id, None)
        self._ctx.spawn(self._calls.place(order, anything_goes), "place")
    else:
        await _ASKED(self, done)


def _forget_the_cancel(self: OrderCancels, key: str) -> None:
    self._wanted.pop(key, None)


def _only_while_it_lives(self: OrderBook, fill: Fill) -> None:
    order = self.orders.get(fill.client_order_id)
    if order is None or order.live:
        _BOOK(self, fill)


async def _leave_it_pending(self: OrderTracker, done: CancelDone) -> None:
    if done.answer is None and done.outcome is CallOutcome.UNKNOWN:
        self.book.step(self.book.orders[done.client_order_id], OrderEvent.CANCEL_UNKNOWN)
    else:
        await _CANCEL_ENDED(self, done)


def _free_at_the_request(self: OrderCancels, client_order_id: str) -> str:
    code = _CANCEL(self, client_order_id)
    self._book.exposure.release(client_order_id)
    self._ctx.offer("rails", OrderClosed(client_order_id))
    return code


async def _free_here_alone(self: OrderTracker, order: Order) -> None:
    self.book.exposure.release(order.client_order_id)


async def _believe_the_label(self: OrderTracker, order: Order, event: OrderEvent, filled_there: Decimal) -> None:
    over = msgspec.structs.replace(advance(order, event, self._ctx.now_ns()), filled=filled_there)
    self.book.store.journal(over)
    self.book._keep(order, over, event)
    await self.free(over)


def _ask_nothing(self: OrderTracker, actions: tuple[PlannedAction, ...]) -> None:
    """Do nothing of what was planned."""


def _rejects_win() -> Plant:
    rows = {(state, OrderEvent.REJECT): OrderState.REJECTED for state in _WORKED}
    return swap(ORDER_TABLE, "rows", {**ORDER_TABLE.rows, **rows})


TRACKER: Final = {
    "void_too_early": Mutant(
        "an order that is not found is given up before the settle time",
        swap(OrderCalls, "__init__", _settled_at_once),
        DAY,
        ("I3", "liveness", "I8"),
    ),
    "not_found_resends": Mutant(
        "an order that is not found is sent again", swap(OrderTracker, "asked", _place_what_is_not_found), DAY, ("I1",)
    ),
    "promised_cancel_forgotten": Mutant(
        "a cancel that had to wait for a sign of its order is forgotten",
        swap(OrderCancels, "go_on", _forget_the_cancel),
        DOUBT,
        ("promise",),
    ),
    "late_fill_ignored": Mutant(
        "a fill of an order that has ended is not booked",
        swap(OrderBook, "book", _only_while_it_lives),
        DAY,
        ("liveness", "I2"),
    ),
    "reject_over_a_fill": Mutant(
        "a reject ends an order that was acknowledged or filled", _rejects_win(), DAY, ("I3", "I10", "liveness")
    ),
    "unknown_cancel_left": Mutant(
        "a cancel without an answer is not asked about",
        swap(OrderTracker, "cancel_ended", _leave_it_pending),
        QUIET,
        ("liveness", "I4"),
    ),
    "freed_at_the_cancel": Mutant(
        "the reservation goes when the cancel is asked for, not when it is known",
        swap(OrderCancels, "cancel", _free_at_the_request),
        TIGHT,
        ("SAF-1", "liveness"),
    ),
    "rails_not_told_of_the_end": Mutant(
        "the rails never hear that an order is over", swap(OrderTracker, "free", _free_here_alone), DAY, ("leak",)
    ),
    "filled_from_the_label": Mutant(
        "the filled quantity is taken from the broker's word on the end",
        swap(OrderTracker, "_over", _believe_the_label),
        DAY,
        ("I6",),
    ),
    "repair_asks_nothing": Mutant(
        "a planned repair is never made", swap(OrderTracker, "repair", _ask_nothing), DAY, ("liveness",)
    ),
}
