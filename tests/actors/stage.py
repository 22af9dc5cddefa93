"""A stage for tests of the actors: a whole session whose broker does exactly what the test says.

``Stage(place=[...], cancel=[...], query=[...])`` begins a session; each list holds what the broker does with one call
after the other, and afterwards it behaves. Nothing trades by itself. The test submits, cancels, tells statements of
the broker, lets time pass, and looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

import pytest

from interlock.config.parts import Parts
from interlock.domain.broker import (
    BrokerMessage,
    CancelOrder,
    Fill,
    GetSnapshot,
    PlaceOrder,
    QueryOrder,
)
from interlock.domain.ids import client_order_id
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import CancelIntent, CancelOutcome, StopSession, SubmitIntent, SubmitOutcome
from interlock.domain.orders import Order
from interlock.domain.session_states import SessionState
from interlock.mocks.broker import StartMarket
from interlock.mocks.exchange import Exchange
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import Lane, ReplyTo
from interlock.runtime.memory_store import MemoryStore
from interlock.sessions import LiveRequest, RestartedSession, SessionResult, SteppedSession
from tests.session_builders import BTC, ETH, STEPS, Kept, a_config, a_recorder, a_session, intent_fields

__all__ = [
    "Move",
    "ScriptedBroker",
    "Stage",
    "an_intent",
    "behaves",
    "does_silently",
    "key_of",
    "late",
    "raises",
    "says",
    "stays_silent",
    "store_of",
]

React = Callable[[Exchange, Any, int], BrokerMessage | None]


class Move(NamedTuple):
    """What the broker does with one call: what is done and said (None: nothing), and how late it is said."""

    react: React
    after_s: float = 0.0


def _behave(exchange: Exchange, request: object, now_ns: int) -> BrokerMessage | None:
    if isinstance(request, PlaceOrder):
        return exchange.place(request)
    if isinstance(request, CancelOrder):
        return exchange.cancel(request.client_order_id)
    if isinstance(request, QueryOrder):
        return exchange.query(request.client_order_id)
    assert isinstance(request, GetSnapshot)
    return exchange.snapshot(now_ns, request.fills_after)


def _do_silently(exchange: Exchange, request: object, now_ns: int) -> None:
    _behave(exchange, request, now_ns)


behaves: Final = Move(_behave)
"""The broker does what it is asked and says so."""
does_silently: Final = Move(_do_silently)
"""The broker does what it is asked; the answer is lost."""
stays_silent: Final = Move(lambda *_: None)
"""The call is lost on its way: nothing is done, nothing is said."""


def says(statement: BrokerMessage) -> Move:
    """Return a move that does nothing and says ``statement``."""
    return Move(lambda *_: statement)


def late(seconds: float) -> Move:
    """Return a move that behaves, but says so late."""
    return Move(_behave, seconds)


def raises(error: Exception) -> Move:
    """Return a move in which the broker itself breaks."""

    def fail(*_: object) -> None:
        raise error

    return Move(fail)


class ScriptedBroker(Actor):
    """A mock broker with an honest book and a script for its manners."""

    is_mock: Final = True

    def __init__(self, ctx: Context, exchange: Exchange, moves: dict[type, Iterator[Move]]) -> None:
        super().__init__(ctx)
        self.exchange = exchange
        self.requests: list[object] = []
        self._moves = moves

    def script(self, kind: type, moves: Iterable[Move]) -> None:
        """Say what the broker does with the next calls of a kind."""
        self._moves[kind] = iter(moves)

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        """Note the call and make the next move."""
        if isinstance(message, StartMarket):
            return
        if reply_to is None:
            refuse(self, message)
        self.requests.append(message)
        move = next(self._moves.get(type(message), iter(())), behaves)
        answer = move.react(self.exchange, message, self.ctx.now_ns())
        if answer is not None:
            self.ctx.spawn(self._answer(reply_to, answer, move.after_s), "answer")

    async def _answer(self, reply_to: ReplyTo, answer: BrokerMessage, after_s: float) -> None:
        if after_s:
            await self.ctx.sleep(after_s)
        self.ctx.reply(reply_to, answer)


class _Wait(NamedTuple):
    seconds: float


class _Host(Actor):
    """Asks the orchestrator what the test wants asked, each request in a job of its own."""

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        assert isinstance(message, tuple)
        self.ctx.spawn(self._do(*message), "host")

    async def _do(self, request: object, outcomes: list[object]) -> None:
        if isinstance(request, _Wait):
            await self.ctx.sleep(request.seconds)
            outcomes.append(None)
        else:
            outcomes.append(await self.ctx.ask("orchestrator", request))


class Stage:
    """A session that is active, with a scripted broker."""

    def __init__(
        self,
        *,
        place: Iterable[Move] = (),
        cancel: Iterable[Move] = (),
        query: Iterable[Move] = (),
        snapshot: Iterable[Move] = (),
        live: LiveRequest | None = None,
        begin: bool = True,
        **sections: Any,
    ) -> None:
        self.kept = Kept()
        moves: dict[type, Iterator[Move]] = {
            PlaceOrder: iter(place),
            CancelOrder: iter(cancel),
            QueryOrder: iter(query),
            GetSnapshot: iter(snapshot),
        }
        sections["session"] = {"duration_s": 86400, **sections.get("session", {})}
        sections["broker"] = {"fee_bps": "0", **sections.get("broker", {})}
        self._sections = sections
        self.exchange = Exchange(Parts(a_config(**sections)).opening_book())
        self.exchange.prices |= {BTC: Decimal(100), ETH: Decimal(50)}
        self.session: SteppedSession = a_session(
            self.kept, live=live, broker_actor=lambda ctx: ScriptedBroker(ctx, self.exchange, moves), **sections
        )
        self.desk = self.session.orchestrator.desk
        self.session.system.add("host", _Host)
        if begin:
            self.until(lambda: self.state is not SessionState.INIT)
            if self.state is not SessionState.DRYRUN_ACTIVE:
                self.session.close()
                pytest.fail(f"the session did not begin: {self.kept.codes}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def restart(self, *, begin: bool = True, **sections: Any) -> None:
        """Kill the process and begin again on what its store had committed; the broker goes on."""
        self.session.crash()
        self.start_again(begin=begin, **sections)

    def start_again(self, *, begin: bool = True, **sections: Any) -> None:
        """Begin the next session after one that crashed, or came to its end."""
        before, self.kept = self.session, Kept()
        changed = {name: {**self._sections.get(name, {}), **section} for name, section in sections.items()}
        config = a_config(**{**self._sections, **changed})
        self.session = RestartedSession(before, a_recorder(self.kept, config, before.start_ns), config=config)
        self.desk = self.session.orchestrator.desk
        if begin:
            self.until(lambda: self.state is not SessionState.INIT)

    # -- looking --------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """Return where the session is."""
        return self.session.orchestrator.record.state

    @property
    def counters(self) -> dict[str, int]:
        """Return the session's counters."""
        return self.session.recorder.counters

    @property
    def trips(self) -> tuple[str, ...]:
        """Return the codes of the trips so far."""
        return self.session.orchestrator.record.view().trips

    @property
    def now_s(self) -> float:
        """Return the seconds since the session began."""
        return (self.session.system.clock.now_ns() - self.session.start_ns) / 1e9

    def order(self, decision_id: str) -> Order:
        """Return the order of a decision."""
        return self.desk.book.orders[key_of(decision_id)]

    @property
    def broker(self) -> ScriptedBroker:
        """Return the broker."""
        assert isinstance(self.session.broker, ScriptedBroker)
        return self.session.broker

    def asked(self, kind: type, decision_id: str | None = None) -> int:
        """Return how many calls of one kind reached the broker, for one decision or for all."""
        broker = self.session.broker
        assert isinstance(broker, ScriptedBroker)
        wanted = None if decision_id is None else key_of(decision_id)
        return sum(
            isinstance(request, kind) and wanted in (None, getattr(request, "client_order_id", None))
            for request in broker.requests
        )

    # -- doing ----------------------------------------------------------------------------------------------

    def until(self, done: Callable[[], bool], *, within_s: float = 1500) -> None:
        """Run until something is the case, which it must be within some session time."""
        latest_s = self.now_s + within_s
        for _ in range(STEPS):
            if done():
                return
            if self.now_s > latest_s or self.session.run_n_steps(1).steps == 0:
                break
        assert done(), "it never came to that"

    def start(self, request: object) -> list[Any]:
        """Send a request from the host, without waiting; its outcome will be in the returned list."""
        outcomes: list[Any] = []
        assert self.session.system.post("host", (request, outcomes))
        return outcomes

    def submit(self, decision_id: str, **wanted: str) -> SubmitOutcome:
        """Submit the intent of ``intent_fields`` and run until its outcome is known."""
        outcomes = self.start(an_intent(decision_id, **wanted))
        self.until(lambda: bool(outcomes))
        assert isinstance(outcomes[0], SubmitOutcome)
        return outcomes[0]

    def cancel(self, decision_id: str) -> CancelOutcome:
        """Ask for a cancel and run until the answer is there."""
        outcomes = self.start(CancelIntent(key_of(decision_id)))
        self.until(lambda: bool(outcomes))
        assert isinstance(outcomes[0], CancelOutcome)
        return outcomes[0]

    def wait(self, seconds: float) -> None:
        """Let session time pass."""
        outcomes = self.start(_Wait(seconds))
        self.until(lambda: bool(outcomes) or self.session.over)

    def tell(self, *statements: BrokerMessage) -> None:
        """Put statements of the broker on the stream and let them be served, with what they lead to at once."""
        for statement in statements:
            assert self.session.system.post("orchestrator", statement)
        while self.session.system.runnable and not self.session.over:
            self.session.run_n_steps(1)

    def execute(self, decision_id: str, quantity: str) -> Fill:
        """Let the broker fill a part of an order, untold as yet."""
        order = self.exchange.orders[key_of(decision_id)]
        return self.exchange.execute(order, Decimal(quantity), self.session.system.clock.now_ns())

    def fill(self, decision_id: str, quantity: str) -> Fill:
        """Let the broker fill a part of an order and tell it."""
        fill = self.execute(decision_id, quantity)
        self.tell(fill)
        return fill

    def stop(self) -> SessionResult:
        """Stop in good order and return how it ended."""
        assert self.session.system.post("orchestrator", StopSession("the test is done"), Lane.CONTROL)
        return self.end()

    def end(self) -> SessionResult:
        """Run to the end and return how it ended."""
        self.until(lambda: self.session.over)
        return self.session.finish()


def store_of(stage: Stage) -> MemoryStore:
    """Return the store of a stage."""
    assert isinstance(stage.session.store, MemoryStore)
    return stage.session.store


def an_intent(decision_id: str, **wanted: str) -> SubmitIntent:
    """Return the request to submit the intent of ``intent_fields``."""
    return SubmitIntent(OrderIntent.model_validate(intent_fields(decision_id, **wanted)))


def key_of(decision_id: str) -> str:
    """Return the client order id of a decision."""
    return client_order_id("strat_demo", decision_id)
