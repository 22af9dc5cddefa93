"""Checks of orders and cancels: never two orders under one id, and no end that is none."""

from __future__ import annotations

from interlock.certify.case import Case, Wrong, need, shown, total
from interlock.domain.broker import Accepted, Cancelled, CancelRefused, Rejected
from interlock.ports import DUPLICATE_ID

__all__ = [
    "cancel_ends",
    "cancel_of_ended",
    "cancel_of_unknown",
    "late_cancel",
    "other_content",
    "placed_once",
    "raced_cancel",
    "rejected_is_definite",
]


async def placed_once(case: Case) -> str:
    """The same order under the same id twice, while it is open."""
    request = case.request()
    first, again = await case.trader.place(request), await case.trader.place(request)
    need(isinstance(first, Accepted), f"an ordinary order was answered with {shown(first)}")
    if isinstance(again, Rejected):
        need(again.code == DUPLICATE_ID, f"the second time it was rejected as {again.code}, not as {DUPLICATE_ID}")
    else:
        need(again == first, f"the second time it was answered with {shown(again)} after {shown(first)}")
    there, listed = await case.bench.orders_there(request.client_order_id), len(await case.reader.open_orders())
    need((there, listed) == (1, 1), f"{there} orders were taken in under one id, {listed} are open")
    return "answered as a duplicate" if isinstance(again, Rejected) else "answered with the order that is there"


async def other_content(case: Case) -> str:
    """Another order under an id that is taken."""
    first = await case.rests(4)
    other = case.request(6)
    answer = await case.trader.place(
        type(other)(
            first.client_order_id,
            other.symbol,
            other.side,
            other.order_type,
            other.quantity,
            other.limit_price,
            other.time_in_force,
        )
    )
    refused = isinstance(answer, Rejected) and answer.code == DUPLICATE_ID
    need(refused, f"another quantity under a taken id was answered with {shown(answer)}, not rejected: {DUPLICATE_ID}")
    kept = [order.quantity for order in await case.reader.open_orders()]
    need(kept == [first.quantity], f"of an order for {first.quantity} there are now: {shown(kept)}")
    return ""


async def rejected_is_definite(case: Case) -> str:
    """An order that the broker rejects."""
    await case.bench.reject("NO_MARGIN")
    request = case.request()
    answer = await case.trader.place(request)
    key = request.client_order_id
    need(isinstance(answer, Rejected), f"a rejected order was answered with {shown(answer)}")
    need(answer.client_order_id == key, f"the rejection is of {answer.client_order_id}, not of {key}")
    code = getattr(answer, "code", "")
    need(code != DUPLICATE_ID, f"it was rejected as {DUPLICATE_ID}, which says that an order is there")
    there = await case.bench.orders_there(key)
    need(there == 0, f"{there} orders were taken in although it was rejected")
    return f"rejected as {code}"


async def cancel_ends(case: Case) -> str:
    """Cancelled is said once nothing more can fill."""
    order, stays = await case.rests(), await case.rests()
    answer = await case.trader.cancel(order.client_order_id)
    need(isinstance(answer, Cancelled), f"the cancel of an open order was answered with {shown(answer)}")
    need(answer.client_order_id == order.client_order_id, f"the answer is about {answer.client_order_id}")
    left = [one.client_order_id for one in await case.reader.open_orders()]
    need(order.client_order_id not in left, "the order is still open after Cancelled")
    need(left == [stays.client_order_id], f"{len(left)} orders are open where one other should be")
    return ""


async def cancel_of_ended(case: Case) -> str:
    """A cancel of an order that has filled, and of one that was cancelled."""
    filled, gone = await case.rests(), await case.rests()
    await case.fill(filled, 4)
    await case.bench.cancel_there(gone.client_order_id)
    for what, order in (("filled", filled), ("cancelled", gone)):
        answer = await case.trader.cancel(order.client_order_id)
        need(isinstance(answer, CancelRefused), f"the cancel of a {what} order was answered with {shown(answer)}")
    return ""


async def cancel_of_unknown(case: Case) -> str:
    """A cancel of an order that never was."""
    answer = await case.trader.cancel(case.request().client_order_id)
    need(isinstance(answer, CancelRefused), f"the cancel of an unknown order was answered with {shown(answer)}")
    return f"refused as {getattr(answer, 'code', '')}"


async def raced_cancel(case: Case) -> str:
    """A part fills while the cancel is on its way."""
    order = await case.rests(4)
    key = order.client_order_id
    await case.bench.fill_in_cancel(key, case.lot, case.price, case.instant_ns(1))
    answer = await case.trader.cancel(key)
    if not isinstance(answer, Cancelled):
        raise Wrong(f"the cancel of what was left was answered with {shown(answer)}")
    need(answer.filled == case.lot, f"Cancelled says {answer.filled} filled, it was {case.lot}")
    executed = total(await case.reader.fills_since(0))
    need(executed == case.lot, f"the fills add up to {executed}, not to {case.lot}")
    return ""


async def late_cancel(case: Case) -> str:
    """All of it fills while the cancel is on its way."""
    order = await case.rests(4)
    key = order.client_order_id
    await case.bench.fill_in_cancel(key, order.quantity, case.price, case.instant_ns(1))
    answer = await case.trader.cancel(key)
    whole = isinstance(answer, Cancelled) and answer.filled == order.quantity
    need(whole or isinstance(answer, CancelRefused), f"an order that had filled was answered with {shown(answer)}")
    executed = total(await case.reader.fills_since(0))
    need(executed == order.quantity, f"the fills add up to {executed}, not to {order.quantity}")
    return ""
