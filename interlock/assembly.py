"""Wiring: the only place where the parts of a session are put together.

A session is orchestrator, safety rails, reconciler, a mock broker and a mock strategy, each with a mailbox sized so
that what credit admits always has room. ``wire`` makes them on whichever driver it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from interlock.actors.broker_link import BrokerLink
from interlock.actors.orchestrator import Orchestrator
from interlock.actors.order_book import OrderBook
from interlock.actors.order_calls import OrderCalls
from interlock.actors.order_desk import OrderDesk
from interlock.actors.order_tracker import OrderTracker
from interlock.actors.reconciler import Reconciler
from interlock.actors.safety_rails import SafetyRails
from interlock.config.parts import Parts
from interlock.domain.budget import AttemptBudget, AttemptLimits
from interlock.domain.preflight import PreflightFacts
from interlock.mocks.broker import MockBroker
from interlock.mocks.exchange import Exchange
from interlock.mocks.playback import RecordedBroker
from interlock.mocks.strategy import Strategy
from interlock.runtime.actor import Actor, Context
from interlock.runtime.mailbox import Lane, MailboxSizes
from interlock.runtime.recorder import RunRecorder
from interlock.runtime.store import Store

__all__ = ["Parties", "System", "wire"]

A = TypeVar("A", bound=Actor)

_SNAPSHOTS_MAX: Final = 1_000_000


class System(Protocol):
    """What wiring needs of a driver."""

    def add(self, name: str, build: Callable[[Context], A], sizes: MailboxSizes | None = None) -> A:
        """Make an actor."""
        ...

    def post(self, to: str, message: object, lane: Lane = Lane.DATA) -> bool:
        """Put a message in from outside the actors."""
        ...


class Parties(NamedTuple):
    """The actors of one session."""

    broker: Actor
    rails: SafetyRails
    reconciler: Reconciler
    orchestrator: Orchestrator
    strategy: Strategy


def wire(
    system: System,
    parts: Parts,
    recorder: RunRecorder,
    store: Store,
    *,
    live_enabled_by: tuple[str, ...] = (),
    live_override: bool = False,
    broker: Callable[[Context], Actor] | None = None,
) -> Parties:
    """Make the actors. ``broker`` replaces the mock broker; it is asked whether it is one."""
    sizes = parts.sizes()
    cash, positions = parts.opening()
    there: Actor = system.add("broker", broker or _mock_broker(parts), sizes["broker"])
    rails = system.add(
        "rails", lambda ctx: SafetyRails(ctx, "orchestrator", parts.limits(), cash, positions), sizes["rails"]
    )
    reconciler = system.add("reconciler", lambda ctx: _reconciler(ctx, parts), sizes["reconciler"])
    facts = parts.facts(
        broker_is_mock=getattr(there, "is_mock", False) is True,
        live_enabled_by=live_enabled_by,
        live_override=live_override,
    )
    orchestrator = system.add(
        "orchestrator", lambda ctx: _orchestrator(ctx, parts, facts, recorder, store), sizes["orchestrator"]
    )
    strategy = system.add("strategy", lambda ctx: Strategy(ctx, parts.strategy()), sizes["strategy"])
    return Parties(there, rails, reconciler, orchestrator, strategy)


def _orchestrator(
    ctx: Context, parts: Parts, facts: PreflightFacts, recorder: RunRecorder, store: Store
) -> Orchestrator:
    link = BrokerLink(ctx, parts.link(), AttemptBudget(parts.attempts()))
    settings, (cash, positions) = parts.desk(), parts.opening()
    # A mock broker numbers its executions from one in every session: its account is that session's.
    account = f"{settings.account}@{store.length()}" if facts.broker_is_mock else settings.account
    book = OrderBook(ctx, store, settings.limits, cash, positions, account=(settings.venue, account))
    calls = OrderCalls(ctx, link, parts.settle())
    tracker = OrderTracker(ctx, book, calls, limits=settings.limits, rails=settings.rails)
    desk = OrderDesk(ctx, settings, calls, tracker)

    def probe() -> PreflightFacts:
        return msgspec.structs.replace(
            facts,
            audit_sink_error=recorder.probe(),
            store_error=store.complaint(),
            kill_switch=store.kill_switch(),
        )

    return Orchestrator(ctx, parts.session(facts), desk, link, probe)


def _reconciler(ctx: Context, parts: Parts) -> Reconciler:
    # Snapshots have a budget of their own: a busy desk must not keep the reconciler from looking.
    per_minute = parts.attempts().per_minute
    link = BrokerLink(ctx, parts.link(), AttemptBudget(AttemptLimits(_SNAPSHOTS_MAX, per_minute)))
    return Reconciler(ctx, parts.reconciler(), link)


def _mock_broker(parts: Parts) -> Callable[[Context], Actor]:
    exchange, market, recording = Exchange(parts.opening_book()), parts.market(), parts.recording
    if recording is not None:
        strategy_id = parts.config.session.strategy_id
        return lambda ctx: RecordedBroker(ctx, market, exchange, recording, strategy_id)

    def build(ctx: Context) -> Actor:
        broker = MockBroker(ctx, market, exchange, parts.config.broker.faults)
        for request in parts.unknown_orders():
            exchange.place(request)
        return broker

    return build
