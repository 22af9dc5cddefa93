"""Checks of fills: one history that only grows, told from any point on, and exact to the last digit."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from interlock.certify.case import Case, Skip, Wrong, need, shown, total, trades, unlike
from interlock.domain.broker import BrokerOrder, BrokerStatus, Fill, Rejected

__all__ = [
    "cursor_only_rises",
    "cursor_tells_itself_again",
    "decimals_are_exact",
    "history_stays_as_it_was",
    "instants_are_utc",
    "none_is_skipped",
    "parts_add_up",
]


async def cursor_tells_itself_again(case: Case) -> str:
    """Asked from each cursor on, the fill that stands there comes first."""
    order = await case.rests()
    for _ in range(3):
        await case.fill(order)
    cursors = [fill.cursor for fill in await case.reader.fills_since(0)]
    need(len(cursors) == 3, f"of 3 fills, {len(cursors)} were told")  # noqa: PLR2004 - as many as were made
    for place, cursor in enumerate(cursors):
        told = [fill.cursor for fill in await case.reader.fills_since(cursor)]
        need(told == cursors[place:], f"of {cursors}, from {cursor} on these were told: {told}")
    return f"cursors {cursors}"


async def none_is_skipped(case: Case) -> str:
    """Three fills of two orders at the very same instant."""
    one, other = await case.rests(), await case.rests()
    for order in (one, other, one):
        await case.fill(order, at_s=1)
    told = await case.reader.fills_since(0)
    need(len(told) == 3, f"of 3 fills at one instant, {len(told)} were told")  # noqa: PLR2004 - as above
    cursors = [fill.cursor for fill in told]
    for place, cursor in enumerate(cursors):
        after = [fill.cursor for fill in await case.reader.fills_since(cursor)]
        untold = [one for one in cursors[place + 1 :] if one not in after]
        need(not untold, f"of {cursors}, all of one instant, from {cursor} on these are not told: {untold}")
    return ""


async def cursor_only_rises(case: Case) -> str:
    """A fill that comes later has a higher cursor, even where its time is earlier."""
    order = await case.rests()
    await case.fill(order, 1, at_s=10)
    [first] = await case.reader.fills_since(0)
    await case.fill(order, 2, at_s=5)
    after = await case.reader.fills_since(0)
    told = ", ".join(f"{fill.quantity} at {fill.cursor}" for fill in after)
    need(first.cursor >= 1, f"the first cursor is {first.cursor}")
    need([fill.quantity for fill in after] == [case.lot, 2 * case.lot], f"fills do not come in their order: {told}")
    rising = all(earlier.cursor < later.cursor for earlier, later in pairwise(after))
    need(rising and after[0].cursor == first.cursor, f"after {first.quantity} at {first.cursor} came {told}")
    return ""


async def history_stays_as_it_was(case: Case) -> str:
    """What was told once is told again as it was, and by the order as well."""
    order = await case.rests()
    await case.fill(order)
    before = await case.reader.fills_since(0)
    await case.fill(order)
    after = await case.reader.fills_since(0)
    for earlier, later in zip(before, after, strict=False):
        need(earlier == later, f"a fill was told, and then told with another {unlike(earlier, later)}")
    found = await case.reader.order(order.client_order_id)
    own: tuple[Fill, ...] = getattr(found, "fills", ())
    need(len(own) == len(after), f"order() tells {len(own)} of {len(after)} fills")
    for told, asked in zip(own, after, strict=True):
        need(told == asked, f"order() tells a fill of fills_since() with another {unlike(told, asked)}")
    return ""


async def parts_add_up(case: Case) -> str:
    """What an order says is filled is the sum of its fills, at each step."""
    order = await case.rests(4)
    done = 0
    for lots in (1, 1, 2):
        await case.fill(order, lots)
        done += lots
        found = await case.reader.order(order.client_order_id)
        if not isinstance(found, BrokerOrder):
            raise Wrong(f"looking up an order with fills told {shown(found)}")
        executed, wanted = total(found.fills), done * case.lot
        need(executed == wanted, f"its fills add up to {executed}, not to {wanted}")
        need(found.filled == wanted, f"it says {found.filled} filled, its fills add up to {wanted}")
        status = BrokerStatus.FILLED if wanted == order.quantity else BrokerStatus.OPEN
        need(found.status is status, f"with {wanted} of {order.quantity} filled it is {found.status}")
    return ""


async def decimals_are_exact(case: Case) -> str:
    """Long, tiny and huge numbers come back to the last digit, and never as floats."""
    for quantity, wanted in case.decimals:
        limit = min(wanted, case.price)  # above that it might not rest
        request = case.request(quantity=quantity, price=limit)
        if trades(case.reader):
            answer = await case.trader.place(request)
            if isinstance(answer, Rejected):
                said = f"the double does not take {quantity:f} at {limit:f} ({answer.code})"
                raise Skip(f"{said}: name what it takes as decimals")
        else:
            await case.bench.place_there(request)
        found = await case.reader.order(request.client_order_id)
        _same(quantity, "the quantity of an order", getattr(found, "quantity", None))
        _same(limit, "its limit price", getattr(found, "limit_price", None))
        await case.bench.fill(request.client_order_id, quantity, limit, case.instant_ns(1))
        fills = [one for one in await case.reader.fills_since(0) if one.client_order_id == request.client_order_id]
        need(len(fills) == 1, f"of the one fill for {quantity}, {len(fills)} were told")
        _same(quantity, "the quantity of a fill", fills[0].quantity)
        _same(limit, "its price", fills[0].price)
    return f"{len(case.decimals)} quantities and prices"


def _same(number: Decimal, what: str, told: object) -> None:
    need(type(told) is Decimal and told == number, f"{what} was {number} and is told as {shown(told)}")


async def instants_are_utc(case: Case) -> str:
    """A fill happened when it happened: whole nanoseconds since the epoch, in no zone but UTC."""
    order = await case.rests()
    happened_ns = await case.fill(order)
    fills: tuple[Fill, ...] = await case.reader.fills_since(0)
    need(len(fills) == 1, f"of 1 fill, {len(fills)} were told")
    ts_ns = fills[0].ts_ns
    need(ts_ns == happened_ns, f"a fill at {happened_ns} ns is told at {ts_ns} ns, off by {ts_ns - happened_ns} ns")
    return ""
