"""A cadence: a job that reminds its own actor of something, every so often and never for ever."""

from __future__ import annotations

from interlock.domain.messages import Tick
from interlock.runtime.actor import Context

__all__ = ["cadence"]


async def cadence(ctx: Context, what: str, every_s: float, ticks: int) -> None:
    """Send ``ticks`` reminders of ``what``, ``every_s`` apart."""
    for _ in range(ticks):
        await ctx.sleep(every_s)
        await ctx.send(ctx.name, Tick(what))
