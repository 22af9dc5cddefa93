"""tenacity under our clock and our chance: bounded in attempts and in simulated time, never by the machine's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import (
    BrokerError,
    DeadlineExceeded,
    InvariantBroken,
    NotProcessed,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Withheld,
)
from interlock.domain.instants import NS_PER_S
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.retry import RetryPolicy, retrying
from interlock.runtime.schedule import FifoSchedule, Schedule, SeededSchedule, Tape, TapeSchedule
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import Notes, playing, settle

pytestmark = pytest.mark.spec("RT-7")

PLAIN = RetryPolicy(attempts_max=5, duration_max_s=1000.0, wait_initial_s=1.0, wait_max_s=8.0, jitter_s=0.0)


class Outcome(msgspec.Struct):
    """What one call came to: its answer or its error, when each attempt was made, and what was counted and drawn."""

    result: object
    at_s: list[float]
    retries: int
    tape: Tape

    @property
    def waits_s(self) -> list[float]:
        """Return the pauses between attempts."""
        return [later - earlier for earlier, later in zip(self.at_s, self.at_s[1:], strict=False)]


def run_call(
    errors: Callable[[int], Exception | None],
    policy: RetryPolicy = PLAIN,
    schedule: Schedule | None = None,
    repeat_on: tuple[type[BrokerError], ...] | None = None,
    call_s: float = 0.0,
) -> Outcome:
    """Run one call whose attempt n (from 1) takes ``call_s`` and raises ``errors(n)``, or answers if that is None."""
    at_s: list[float] = []
    results: list[object] = []
    notes = Notes()

    async def job(ctx: Context) -> None:
        async def call() -> str:
            at_s.append(ctx.now_ns() / NS_PER_S)
            if call_s:
                await ctx.sleep(call_s)
            error = errors(len(at_s))
            if error is not None:
                raise error
            return f"answer {len(at_s)}"

        chosen: dict[str, Any] = {} if repeat_on is None else {"repeat_on": repeat_on}
        try:
            results.append(await retrying(ctx, policy, "place", call, **chosen))
        except (BrokerError, InvariantBroken, DeadlineExceeded) as error:
            results.append(error)

    async def start(ctx: Context, message: object, _: ReplyTo | None) -> None:
        ctx.spawn(job(ctx), "place")

    chosen = schedule or FifoSchedule()
    with SteppedSystem(schedule=chosen, recorder=notes) as system:
        system.add("a", playing(start))
        system.post("a", "go")
        assert settle(system).reason == "quiescent"
    return Outcome(results[0], at_s, notes.counters.get("retry_attempts_total", 0), chosen.tape())


def always(error: Exception) -> Callable[[int], Exception | None]:
    """Return a call that never succeeds."""
    return lambda _: error


def until(attempt: int, error: Exception) -> Callable[[int], Exception | None]:
    """Return a call that succeeds at ``attempt``."""
    return lambda n: error if n < attempt else None


def test_a_call_that_succeeds_is_made_once_and_draws_nothing() -> None:
    outcome = run_call(until(1, NotSent()), msgspec.structs.replace(PLAIN, jitter_s=5.0), SeededSchedule(1))
    assert outcome == Outcome("answer 1", [0.0], 0, {})


def test_a_repeated_call_hands_back_what_it_answers_in_the_end() -> None:
    outcome = run_call(until(3, NotSent()))
    assert (outcome.result, outcome.at_s, outcome.retries) == ("answer 3", [0.0, 1.0, 3.0], 2)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_attempts_are_bounded_and_the_last_error_is_raised(attempts: int) -> None:
    errors = [NotSent(f"attempt {n}") for n in range(1, 10)]
    outcome = run_call(lambda n: errors[n - 1], msgspec.structs.replace(PLAIN, attempts_max=attempts))
    assert outcome.result is errors[attempts - 1]
    assert (len(outcome.at_s), outcome.retries) == (attempts, attempts - 1)


def test_waits_double_up_to_their_limit() -> None:
    assert run_call(always(NotSent()), msgspec.structs.replace(PLAIN, attempts_max=7)).waits_s == [1, 2, 4, 8, 8, 8]


def test_the_whole_takes_no_longer_than_allowed_in_simulated_time() -> None:
    """Tenacity's own stop counts the machine's time, of which none passes here: it would go on to the last attempt."""
    policy = RetryPolicy(attempts_max=100, duration_max_s=10.0, wait_initial_s=3.0, wait_max_s=3.0, jitter_s=0.0)
    outcome = run_call(always(NotSent()), policy)
    assert (outcome.at_s, type(outcome.result)) == ([0.0, 3.0, 6.0, 9.0], NotSent)


def test_the_time_of_slow_calls_counts_too() -> None:
    policy = RetryPolicy(attempts_max=100, duration_max_s=9.5, wait_initial_s=1.0, wait_max_s=1.0, jitter_s=0.0)
    assert run_call(always(NotSent()), policy, call_s=4.0).at_s == [0.0, 5.0]


@given(
    attempts=st.integers(1, 12),
    duration=st.floats(0.1, 60),
    first=st.floats(0, 5),
    jitter=st.floats(0, 5),
    seed=st.integers(0, 2**32),
)
def test_whatever_the_policy_both_bounds_hold(
    attempts: int, duration: float, first: float, jitter: float, seed: int
) -> None:
    policy = RetryPolicy(attempts, duration, first, 5.0, jitter)
    assert policy.complaint() == ""
    outcome = run_call(always(NotSent()), policy, SeededSchedule(seed))
    assert len(outcome.at_s) <= attempts
    assert outcome.at_s[-1] <= duration + 1e-6
    assert isinstance(outcome.result, NotSent)


def test_the_advice_of_the_broker_is_honoured_when_it_is_longer() -> None:
    waits = run_call(until(4, RateLimited(retry_after_s=3.0))).waits_s
    assert waits == [3.0, 3.0, 4.0], "our own wait is kept where it is the longer one"


def test_advice_beyond_the_allowed_time_ends_it_at_once() -> None:
    outcome = run_call(always(RateLimited(retry_after_s=5000.0)))
    assert (outcome.at_s, type(outcome.result)) == ([0.0], RateLimited)


def test_a_rate_limit_without_advice_waits_like_any_other() -> None:
    assert run_call(until(3, RateLimited())).waits_s == [1.0, 2.0]


@pytest.mark.spec("RT-5", "RT-7")
def test_jitter_is_drawn_from_the_schedule_under_the_label_of_the_call() -> None:
    policy = msgspec.structs.replace(PLAIN, jitter_s=1.6)
    outcome = run_call(until(4, NotSent()), policy, TapeSchedule({"jitter.place": [15, 0, 5]}))
    assert outcome.waits_s == pytest.approx([2.5, 2.0, 4.5])
    assert outcome.tape == {"jitter.place": [15, 0, 5]}


@pytest.mark.spec("RT-5", "RT-7")
def test_jitter_follows_the_seed() -> None:
    def waits(seed: int) -> list[float]:
        return run_call(always(NotSent()), msgspec.structs.replace(PLAIN, jitter_s=1.0), SeededSchedule(seed)).waits_s

    assert waits(1) == waits(1)
    assert len({tuple(waits(seed)) for seed in range(5)}) == 5


@pytest.mark.parametrize(
    "error",
    [
        OutcomeUnknown("no answer"),
        Withheld("kill_switch", "set"),
        BrokerError("odd"),
        InvariantBroken("overfill", "filled above ordered"),
    ],
)
def test_what_does_not_prove_that_nothing_happened_is_never_repeated(error: Exception) -> None:
    outcome = run_call(always(error))
    assert (outcome.result, outcome.at_s, outcome.retries) == (error, [0.0], 0)


def test_an_unknown_outcome_after_a_safe_repetition_ends_it() -> None:
    unknown = OutcomeUnknown("no answer")
    outcome = run_call(lambda n: NotSent() if n < 3 else unknown)
    assert (outcome.result, len(outcome.at_s)) == (unknown, 3)


def test_a_read_may_be_repeated_after_an_unknown_outcome_when_its_caller_says_so() -> None:
    outcome = run_call(until(3, OutcomeUnknown("no answer")), repeat_on=(NotProcessed, OutcomeUnknown))
    assert (outcome.result, outcome.retries) == ("answer 3", 2)


def test_a_deadline_bounds_the_whole_with_its_pauses() -> None:
    at_s: list[float] = []

    async def patient(ctx: Context, message: object, _: ReplyTo | None) -> None:
        async def call() -> None:
            at_s.append(ctx.now_ns() / NS_PER_S)
            raise NotSent

        with pytest.raises(DeadlineExceeded), ctx.deadline(2):
            await retrying(ctx, PLAIN, "place", call)
        assert ctx.now_ns() == 2 * NS_PER_S

    with SteppedSystem() as system:
        system.add("a", playing(patient))
        system.post("a", "go")
        assert settle(system).reason == "quiescent"
    assert at_s == [0.0, 1.0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"attempts_max": 0}, "attempts_max must lie in 1..100, not 0"),
        ({"attempts_max": 101}, "attempts_max must lie in 1..100, not 101"),
        ({"duration_max_s": 0.0}, "duration_max_s must lie in"),
        ({"duration_max_s": 3601.0}, "duration_max_s must lie in"),
        ({"duration_max_s": float("nan")}, "duration_max_s must lie in"),
        ({"wait_initial_s": 9.0}, "wait_initial_s must lie between 0 and wait_max_s"),
        ({"wait_initial_s": -1.0}, "wait_initial_s must lie between 0 and wait_max_s"),
        ({"jitter_s": -0.1}, "jitter_s must not be negative"),
    ],
)
def test_a_policy_without_sane_bounds_is_complained_about(change: dict[str, float], complaint: str) -> None:
    assert complaint in msgspec.structs.replace(PLAIN, **change).complaint()


def test_the_default_policy_is_sane() -> None:
    assert RetryPolicy().complaint() == ""
