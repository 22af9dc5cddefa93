"""Checks of calls as such: bounded, cancelled at any time, several at once, each with an answer of its own."""

from __future__ import annotations

import asyncio

from interlock.certify.case import Case, need, raised, shown, trades
from interlock.domain.broker import BrokerOrder
from interlock.domain.errors import Unreachable

__all__ = ["answers_are_kept_apart", "bounds_itself", "can_be_cancelled"]


async def bounds_itself(case: Case) -> str:
    """A broker that never answers is not waited for."""
    order = await case.rests()
    await case.bench.hold()
    error = await raised(case.reader.order(order.client_order_id), "a question that is never answered")
    need(isinstance(error, Unreachable), f"a question that is never answered raised {type(error).__name__}")
    return ""


async def can_be_cancelled(case: Case) -> str:
    """A call that its caller gives up leaves nothing behind that the next one trips over."""
    order, request = await case.rests(), case.request()
    key = order.client_order_id
    await case.bench.hold()
    calls = [case.begin(case.reader.order(key))]
    await case.bench.held(1)
    calls[0].cancel()
    if trades(case.reader):
        placing = case.begin(case.trader.place(request))
        await case.within(case.bench.held(2), "after a call that was cancelled, an order never got there")
        placing.cancel()
    await case.bench.release()
    found = await case.within(case.reader.order(key), "after a call that was cancelled, a look-up was not answered")
    need(isinstance(found, BrokerOrder) and found.client_order_id == key, f"then a look-up told {shown(found)}")
    open_there = await case.within(case.reader.open_orders(), "after a call that was cancelled, nothing was listed")
    need(key in [one.client_order_id for one in open_there], "then an open order was not listed")
    return ""


async def answers_are_kept_apart(case: Case) -> str:
    """Three look-ups at once, answered in whatever order."""
    keys = [(await case.rests(lots)).client_order_id for lots in (2, 4, 6)]
    await case.bench.hold()
    asked = [case.begin(case.reader.order(key)) for key in keys]
    await case.many_held(len(keys))
    await case.bench.release()
    answers = await asyncio.gather(*asked)
    for key, lots, answer in zip(keys, (2, 4, 6), answers, strict=True):
        own = isinstance(answer, BrokerOrder) and (answer.client_order_id, answer.quantity) == (key, lots * case.lot)
        need(own, f"asked about {key}, it told {shown(answer)}")
    return ""
