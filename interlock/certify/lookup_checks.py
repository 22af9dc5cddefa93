"""Checks of looking up orders: what is there is found, and what is not is said to be nowhere."""

from __future__ import annotations

from contextlib import suppress

from interlock.certify.case import Case, need, shown, total
from interlock.domain.broker import BrokerOrder, BrokerStatus, OrderNotFound
from interlock.domain.errors import BrokerError

__all__ = ["finds_what_was_lost", "finds_whatever_became_of_it", "lists_what_is_open", "says_not_found"]


async def finds_whatever_became_of_it(case: Case) -> str:
    """Open, filled and cancelled orders, each with its fills."""
    resting, filled, gone = [await case.rests(4) for _ in range(3)]
    await case.fill(filled, 4)
    await case.fill(gone, 1)
    await case.bench.cancel_there(gone.client_order_id)
    for order, status, lots in (
        (resting, BrokerStatus.OPEN, 0),
        (filled, BrokerStatus.FILLED, 4),
        (gone, BrokerStatus.CANCELLED, 1),
    ):
        found = await case.reader.order(order.client_order_id)
        need(isinstance(found, BrokerOrder), f"looking up a {status} order told {shown(found)}")
        known = (found.client_order_id, getattr(found, "status", ""))
        need(known == (order.client_order_id, status), f"a {status} order is told as {known[1]} of {known[0]}")
        executed = total(getattr(found, "fills", ()))
        need(executed == lots * case.lot, f"the fills of a {status} order add up to {executed}, not {lots * case.lot}")
    return ""


async def says_not_found(case: Case) -> str:
    """An id that the broker has never seen."""
    await case.rests()
    key = case.request().client_order_id
    answer = await case.reader.order(key)
    said = isinstance(answer, OrderNotFound) and answer.client_order_id == key
    need(said, f"looking up an order that never was told {shown(answer)}")
    return ""


async def finds_what_was_lost(case: Case) -> str:
    """An order that was taken in, and its answer lost."""
    request = case.request()
    await case.bench.lose_after()
    with suppress(BrokerError):  # what it raises has a rule of its own
        await case.trader.place(request)
    found = await case.reader.order(request.client_order_id)
    there = isinstance(found, BrokerOrder) and found.quantity == request.quantity
    need(there, f"an order that was taken in is told as {shown(found)}")
    return ""


async def lists_what_is_open(case: Case) -> str:
    """All that is open, ours or not, and nothing else."""
    ours, filled, gone = [await case.rests(4) for _ in range(3)]
    await case.bench.place_there(case.request(6))
    await case.fill(filled, 4)
    await case.bench.cancel_there(gone.client_order_id)
    listed = {order.client_order_id: order.quantity for order in await case.reader.open_orders()}
    need(listed.get(ours.client_order_id) == ours.quantity, "an open order of ours is not listed as it is")
    left = sorted(listed.values())
    need(left == [4 * case.lot, 6 * case.lot], f"of two open orders, one placed elsewhere, these are listed: {left}")
    return ""
