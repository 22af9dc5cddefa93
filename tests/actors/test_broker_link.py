"""The link to the broker: one call, one answer, one deadline; what is repeated, what never is, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Self

import pytest

from interlock.actors.broker_link import BrokerLink, LinkSettings
from interlock.domain.broker import (
    Accepted,
    BrokerSnapshot,
    Cancelled,
    OrderNotFound,
    PlaceOrder,
    Rejected,
    Throttled,
    Unavailable,
)
from interlock.domain.budget import AttemptBudget, AttemptLimits
from interlock.domain.errors import OutcomeUnknown, RateLimited, Withheld
from interlock.domain.orders import Order
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.retry import RetryPolicy
from interlock.runtime.stepped import SteppedSystem
from tests.domain_builders import an_order
from tests.runtime.kernel_builders import Player, playing, settle

SILENCE = None
ACCEPTED = Accepted(client_order_id="o1", broker_order_id="b1")
CANCELLED = Cancelled(client_order_id="o1", filled=Decimal(0))
NOT_FOUND = OrderNotFound(client_order_id="o1")
SNAPSHOT = BrokerSnapshot(as_of_ns=1, cursor=0, open_orders=(), fills=(), positions=(), cash=None)
GOOD = {"place": ACCEPTED, "cancel": CANCELLED, "query": NOT_FOUND, "snapshot": SNAPSHOT}


class Wire:
    """A link, its broker's answers, and what came of the calls."""

    def __init__(self, answers: Iterable[object], limits: AttemptLimits | None = None, attempts: int = 4) -> None:
        self.system = SteppedSystem()
        self.answers = iter(answers)
        self.results: list[object] = []
        self.lines = 0
        self.link: BrokerLink | None = None
        settings = LinkSettings(timeout_s=5, policy=RetryPolicy(attempts_max=attempts, jitter_s=0))
        budget = AttemptBudget(limits or AttemptLimits(50, 100))

        async def answer(ctx: Context, request: object, reply_to: ReplyTo | None) -> None:
            said = next(self.answers)
            if said is not SILENCE and reply_to is not None:
                ctx.reply(reply_to, said)

        async def call(ctx: Context, what: str, _: ReplyTo | None) -> None:
            self.link = self.link or BrokerLink(ctx, settings, budget)
            try:
                self.results.append(await self._call(self.link, what))
            except (OutcomeUnknown, RateLimited, Withheld) as error:
                self.results.append(error)

        self.broker: Player = self.system.add("broker", playing(answer))
        self.system.add("desk", playing(call))

    async def _call(self, link: BrokerLink, what: str) -> object:
        calls: dict[str, Any] = {
            "place": lambda: link.place(an_order(), self.last_line),
            "cancel": lambda: link.cancel("o1"),
            "query": lambda: link.query("o1"),
            "snapshot": lambda: link.snapshot(0),
        }
        return await calls[what]()

    def last_line(self, order: Order) -> None:
        """Count how often the last line was asked."""
        self.lines += 1

    def call(self, what: str) -> object:
        """Make one call and return its result or its error."""
        self.system.post("desk", what)
        settle(self.system)
        return self.results[-1]

    @property
    def seconds(self) -> float:
        """Return how much time has passed."""
        return self.system.clock.now_ns() / 1e9

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.system.close()


@pytest.mark.parametrize(("what", "answer"), GOOD.items())
def test_an_answer_is_handed_on_after_one_attempt(what: str, answer: object) -> None:
    with Wire([answer]) as wire:
        assert wire.call(what) == answer
        assert (len(wire.broker.seen), wire.seconds) == (1, 0)


@pytest.mark.parametrize("what", GOOD)
@pytest.mark.spec("RT-7", "FLT-1")
def test_a_rate_limit_proves_that_nothing_was_done_and_any_call_is_repeated(what: str) -> None:
    with Wire([Throttled(retry_after_s=3), Throttled(), GOOD[what]]) as wire:
        assert wire.call(what) == GOOD[what]
        assert wire.seconds == 3.5, "the broker's own 3 s, then the policy's second wait"
        assert len({repr(request) for request in wire.broker.seen}) == 1, "the very same request, under its key"


@pytest.mark.parametrize("what", ["place", "cancel"])
@pytest.mark.parametrize("answer", [SILENCE, Unavailable(reason="hiccup")], ids=["silence", "transient error"])
@pytest.mark.spec("RT-7")
def test_a_call_that_changes_something_is_never_repeated_after_silence_or_an_error(what: str, answer: object) -> None:
    with Wire([answer, GOOD[what]]) as wire:
        assert isinstance(wire.call(what), OutcomeUnknown)
        assert len(wire.broker.seen) == 1


@pytest.mark.parametrize("what", ["query", "snapshot"])
@pytest.mark.parametrize("answer", [SILENCE, Unavailable(reason="hiccup")], ids=["silence", "transient error"])
@pytest.mark.spec("RT-7", "REC-6")
def test_a_question_is_repeated_after_silence_or_an_error(what: str, answer: object) -> None:
    with Wire([answer, answer, GOOD[what]]) as wire:
        assert wire.call(what) == GOOD[what]
        assert len(wire.broker.seen) == 3


@pytest.mark.spec("RT-7", "SAF-3")
def test_attempts_end_with_the_last_error() -> None:
    with Wire([Throttled()] * 9, attempts=3) as wire:
        assert isinstance(wire.call("place"), RateLimited)
        assert len(wire.broker.seen) == 3
        assert isinstance(wire.call("query"), RateLimited)
        assert len(wire.broker.seen) == 6


@pytest.mark.spec("SAF-1")
def test_the_last_line_is_asked_before_every_attempt_to_place() -> None:
    with Wire([Throttled(), Throttled(), ACCEPTED]) as wire:
        wire.call("place")
        assert wire.lines == 3


@pytest.mark.spec("SAF-1")
def test_what_the_last_line_withholds_is_not_sent_and_not_tried_again() -> None:
    class Closed(Wire):
        def last_line(self, order: Order) -> None:
            super().last_line(order)
            if self.lines == 2:
                code = "RAIL_GATE_CLOSED"
                raise Withheld(code, "closed meanwhile")

    with Closed([Throttled(), ACCEPTED]) as wire:
        error = wire.call("place")
        assert isinstance(error, Withheld)
        assert (error.code, wire.lines, len(wire.broker.seen)) == ("RAIL_GATE_CLOSED", 2, 1)


@pytest.mark.spec("SAF-3")
def test_every_attempt_of_every_call_takes_from_the_budget_of_its_order() -> None:
    with Wire([Throttled(), ACCEPTED, NOT_FOUND, CANCELLED], AttemptLimits(3, 100)) as wire:
        assert wire.call("place") == ACCEPTED
        assert wire.call("query") == NOT_FOUND
        error = wire.call("cancel")
        assert isinstance(error, Withheld)
        assert (error.code, len(wire.broker.seen)) == ("BUDGET_PER_ORDER", 3)


@pytest.mark.spec("SAF-3")
def test_a_storm_of_rate_limits_ends_with_the_budget_of_the_minute() -> None:
    with Wire([Throttled(retry_after_s=0)] * 99, AttemptLimits(99, 5), attempts=50) as wire:
        error = wire.call("place")
        assert isinstance(error, Withheld)
        assert (error.code, len(wire.broker.seen)) == ("BUDGET_PER_MINUTE", 5)


@pytest.mark.spec("RT-7", "FLT-10")
def test_an_answer_to_another_question_leaves_the_outcome_unknown() -> None:
    with Wire([CANCELLED]) as wire:
        outcome = wire.call("place")
    assert isinstance(outcome, OutcomeUnknown)
    assert "answered PlaceOrder with Cancelled" in str(outcome)


@pytest.mark.spec("RT-7", "FLT-10")
def test_an_answer_about_another_order_leaves_the_outcome_unknown() -> None:
    other = Rejected(client_order_id="other", code="NO")
    with Wire([other]) as wire:
        assert isinstance(wire.call("place"), OutcomeUnknown)


def test_any_answer_is_a_sign_of_life_and_silence_is_none() -> None:
    with Wire([SILENCE, Throttled(retry_after_s=2), Rejected(client_order_id="o1", code="NO")]) as wire:
        wire.call("place")
        assert wire.link is not None
        assert wire.link.last_answer_ns == 0
        wire.call("place")
        assert wire.link.last_answer_ns / 1e9 == wire.seconds == 7


def test_what_is_sent_is_the_order_and_nothing_else() -> None:
    with Wire([ACCEPTED]) as wire:
        wire.call("place")
        [request] = wire.broker.seen
        assert isinstance(request, PlaceOrder)
        assert (request.client_order_id, request.quantity, request.limit_price) == ("o1", Decimal(10), Decimal(100))
