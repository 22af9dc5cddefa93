"""Retries: tenacity policies that run on the injected clock.

tenacity's own delay-based stops read the machine's monotonic clock and its jitter uses global randomness, so both
are replaced here by callables that read the actor's context. The first attempt of a call is made directly; tenacity
is asked only after it failed, because asking it costs more than all the rest of an order's way. It only decides: we
tell it how an attempt ended, it says how long to wait or raises; calling and waiting are ours.

Only an error of the other side that proves that nothing was processed is repeated by ``retrying`` of itself; what
else counts as worth repeating (a read after a time-out, for instance) the caller says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec
from tenacity import RetryCallState, Retrying

from interlock.domain.errors import AlertNotTaken, InterlockError, NotSent, RateLimited
from interlock.domain.instants import NS_PER_S
from interlock.runtime.actor import Context

__all__ = ["RetryPolicy", "retrying"]

T = TypeVar("T")

_JITTER_STEPS: Final = 16
"""Jitter is drawn in sixteenths, so that a tape stays readable."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and how long. Waits double from ``wait_initial_s`` up to ``wait_max_s``, plus drawn jitter."""

    attempts_max: int = 4
    duration_max_s: float = 30.0
    wait_initial_s: float = 0.25
    wait_max_s: float = 5.0
    jitter_s: float = 0.25

    def complaint(self) -> str:
        """Return what is not sane about the policy, or ""."""
        if self.attempts_max < 1 or self.attempts_max > 100:  # noqa: PLR2004 - the bound is the message
            return f"retry attempts_max must lie in 1..100, not {self.attempts_max}"
        if not 0 < self.duration_max_s <= 3600:  # noqa: PLR2004 - as above
            return f"retry duration_max_s must lie in (0, 3600], not {self.duration_max_s}"
        if not 0 <= self.wait_initial_s <= self.wait_max_s:
            return "retry wait_initial_s must lie between 0 and wait_max_s"
        return "" if self.jitter_s >= 0 else "retry jitter_s must not be negative"


async def retrying(
    ctx: Context,
    policy: RetryPolicy,
    label: str,
    call: Callable[[], Awaitable[T]],
    repeat_on: tuple[type[InterlockError], ...] = (RateLimited, NotSent),
    counter: str = "retry_attempts_total",
) -> T:
    """Return what ``call`` returns, repeating it under ``policy`` while it raises one of ``repeat_on``.

    Each repetition adds to ``counter``.

    Raises:
        InterlockError: the last error, when attempts or time are used up; anything else at once.
    """
    started_ns = ctx.now_ns()
    try:
        return await call()
    except repeat_on as error:
        if policy.attempts_max == 1:
            raise
        failed: InterlockError = error

    budget = Retrying(stop=_stop(ctx, policy, started_ns), wait=_wait(ctx, policy, label), reraise=True)
    budget.begin()
    state = RetryCallState(budget, None, (), {})
    while True:  # until the budget, which is bounded, raises what failed last
        state.set_exception((type(failed), failed, failed.__traceback__))
        budget.iter(state)
        await ctx.sleep(state.upcoming_sleep)
        state.prepare_for_next_attempt()
        ctx.count(counter)
        try:
            return await call()
        except repeat_on as error:
            failed = error


def _stop(ctx: Context, policy: RetryPolicy, started_ns: int) -> Callable[[RetryCallState], bool]:
    def stop(state: RetryCallState) -> bool:
        elapsed_ns = ctx.now_ns() - started_ns
        late = elapsed_ns + state.upcoming_sleep * NS_PER_S > policy.duration_max_s * NS_PER_S
        return late or state.attempt_number >= policy.attempts_max

    return stop


def _wait(ctx: Context, policy: RetryPolicy, label: str) -> Callable[[RetryCallState], float]:
    def wait(state: RetryCallState) -> float:
        seconds = min(policy.wait_initial_s * float(2 ** (state.attempt_number - 1)), policy.wait_max_s)
        seconds += policy.jitter_s * ctx.draw(_JITTER_STEPS, f"jitter.{label}") / _JITTER_STEPS
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, RateLimited | AlertNotTaken) and error.retry_after_s is not None:
            return max(seconds, error.retry_after_s)
        return seconds

    return wait
