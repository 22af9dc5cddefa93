"""Checks of the account: positions and cash that agree with the fills, and the broker's own time."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from interlock.certify.case import Case, Skip, need, total
from interlock.domain.broker import FeeCurrency, Fill
from interlock.domain.instants import NS_PER_S

__all__ = ["cash_agrees", "positions_agree", "server_time_is_theirs", "server_time_never_falls"]

_HOUR_S: Final = 3600


async def _held(case: Case) -> Decimal:
    lines = await case.reader.positions()
    return sum((line.quantity for line in lines if line.symbol == case.symbol), Decimal(0))


async def _traded(case: Case) -> tuple[Fill, ...]:
    """Let two fills happen."""
    order = await case.rests(4)
    await case.fill(order, 1)
    await case.fill(order, 2)
    return await case.reader.fills_since(0)


async def positions_agree(case: Case) -> str:
    """A position moves by what was executed, less what was taken of it as a fee."""
    before = await _held(case)
    fills = await _traded(case)
    taken = sum((fill.fee for fill in fills if fill.fee_currency is FeeCurrency.BASE), Decimal(0))
    moved = await _held(case) - before
    need(moved == total(fills) - taken, f"{total(fills)} were bought, {taken} taken, and the position moved by {moved}")
    return ""


async def cash_agrees(case: Case) -> str:
    """Cash moves by what was paid, with the fees."""
    before = await case.reader.cash()
    if before is None:
        raise Skip("it tells no cash")
    fills = await _traded(case)
    after = await case.reader.cash()
    need(after is not None, "it told cash once, and then none")
    paid = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    fees = sum((fill.fee for fill in fills if fill.fee_currency is FeeCurrency.QUOTE), Decimal(0))
    moved = (after or Decimal(0)) - before
    need(moved == -paid - fees, f"{paid} were paid, {fees} in fees, and cash moved by {moved}")
    return ""


async def server_time_is_theirs(case: Case) -> str:
    """A clock there that is an hour ahead is told an hour ahead."""
    before_ns = await case.reader.server_time_ns()
    await case.bench.shift_clock(_HOUR_S)
    moved_ns = await case.reader.server_time_ns() - before_ns
    at_most_ns = _HOUR_S * NS_PER_S + int(case.timeout_s * NS_PER_S)
    near = _HOUR_S * NS_PER_S <= moved_ns <= at_most_ns
    need(near, f"the clock there was set {_HOUR_S} s ahead, and its time moved by {moved_ns / NS_PER_S} s")
    return ""


async def server_time_never_falls(case: Case) -> str:
    """A clock there that is set back is not told to have been."""
    before_ns = await case.reader.server_time_ns()
    await case.bench.shift_clock(-_HOUR_S)
    after_ns = await case.reader.server_time_ns()
    need(after_ns >= before_ns, f"{before_ns} was told, and then {after_ns}, which is earlier")
    return ""
