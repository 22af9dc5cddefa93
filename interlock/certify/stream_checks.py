"""Checks of statements: what is told as it happens agrees with what is told when asked, and a lost link is said."""

from __future__ import annotations

from typing import Final

from interlock.certify.case import Case, Listener, need, shown, unlike
from interlock.domain.broker import Fill
from interlock.domain.errors import Unreachable

__all__ = ["late_fill_is_told", "lost_link_is_said", "tells_every_fill", "told_again_is_the_same"]

_SILENT: Final = "it tells nothing: left to reconciles"


async def _heard(case: Case, listener: Listener, what: str) -> tuple[Fill, ...]:
    """Hold every fill of the account to have been told; return them as they are told when asked."""
    fills = await case.reader.fills_since(0)
    await listener.until_cursor(fills[-1].cursor)
    untold = [fill.fill_id for fill in fills if fill.fill_id not in {told.fill_id for told in listener.fills}]
    need(not untold, f"{what}: of {len(fills)} fills, these were never told: {', '.join(untold)}")
    return fills


async def tells_every_fill(case: Case) -> str:
    """Each fill is told, equal in every field to that of ``fills_since``."""
    listener = await case.listen()
    if listener.silent:
        return _SILENT
    order = await case.rests(4)
    for _ in range(3):
        await case.fill(order)
    known = {fill.fill_id: fill for fill in await _heard(case, listener, "while it was listened to")}
    for told in listener.fills:
        asked = known.get(told.fill_id)
        need(asked is not None, f"told, but not when asked: {shown(told)}")
        need(told == asked, f"told with another {unlike(told, asked or told)} when asked")
    return ""


async def told_again_is_the_same(case: Case) -> str:
    """A fill that is delivered twice is the same fill, by its id."""
    listener = await case.listen()
    silent = listener.silent
    order = await case.rests(4)
    await case.fill(order)
    await case.bench.tell_again()
    await case.fill(order)
    fills = await case.reader.fills_since(0)
    need(len(fills) == 2, f"of 2 fills, one delivered twice, {len(fills)} are told when asked")  # noqa: PLR2004 - as said
    if silent:
        return _SILENT
    await listener.until_cursor(fills[-1].cursor)
    ids = sorted({told.fill_id for told in listener.fills})
    need(len(ids) == 2, f"2 fills, one delivered twice, were told under the ids {', '.join(ids)}")  # noqa: PLR2004
    return f"told {len(listener.fills)} times"


async def lost_link_is_said(case: Case) -> str:
    """A link that is lost raises ``Unreachable``, and the next one tells again."""
    listener = await case.listen()
    if listener.silent:
        return _SILENT
    await case.bench.cut()
    error = await listener.ended()
    need(isinstance(error, Unreachable), f"a lost link ended with {type(error).__name__}, not with Unreachable")
    again = await case.listen()
    await case.fill(await case.rests())
    await _heard(case, again, "after a link that was lost")
    return ""


async def late_fill_is_told(case: Case) -> str:
    """A fill that is told late, of an order that has ended by then, is told all the same."""
    listener = await case.listen()
    if listener.silent:
        return _SILENT
    order = await case.rests(4)
    await case.bench.hold_statements()
    await case.fill(order)
    await case.bench.cancel_there(order.client_order_id)
    await case.bench.release_statements()
    await _heard(case, listener, "of an order that had ended")
    return ""
