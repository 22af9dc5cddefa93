"""The kernel alone: a bare stream for comparison, and a ring of five actors that pass messages on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter

import anyio

from interlock.runtime.actor import Actor, Context
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.stepped import SteppedSystem

__all__ = ["bare_stream_rate", "ring_rate"]

_ACTORS = 5


class _Passer(Actor):
    def __init__(self, ctx: Context, following: str) -> None:
        super().__init__(ctx)
        self._following = following

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:  # noqa: ARG002 - nobody asks
        await self.ctx.send(self._following, message)


def bare_stream_rate(count: int) -> float:
    """Return how often a second one message is put into a stream and taken out again."""
    inlet, outlet = anyio.create_memory_object_stream[int](1)
    with inlet, outlet:
        started = perf_counter()
        for number in range(count):
            inlet.send_nowait(number)
            outlet.receive_nowait()
        return count / (perf_counter() - started)


def ring_rate(steps: int, timer: Callable[[], float] = perf_counter) -> float:
    """Return how many steps a second, by ``timer``, the stepped driver makes in a ring with full mailboxes."""
    with SteppedSystem() as system:
        for number in range(_ACTORS):
            system.add(f"actor-{number}", partial(_Passer, following=f"actor-{(number + 1) % _ACTORS}"))
        for number in range(_ACTORS):
            system.post(f"actor-{number}", number)
        started = timer()
        report = system.run_n_steps(steps)
        elapsed_s = timer() - started
    assert report.steps == steps
    return steps / elapsed_s
