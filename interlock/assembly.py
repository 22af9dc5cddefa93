"""Wiring: the only place where the parts of a session are put together.

A session is orchestrator, safety rails, reconciler, a mock broker and a mock strategy, each with a mailbox sized so
that what credit admits always has room. ``wire`` makes them on whichever driver it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple, Protocol, Self, TypeVar

import msgspec

from interlock.actors.alerts import Alerts
from interlock.actors.broker_link import BrokerLink
from interlock.actors.commits import Commits
from interlock.actors.orchestrator import Orchestrator
from interlock.actors.order_book import OrderBook
from interlock.actors.order_calls import OrderCalls
from interlock.actors.order_cancels import OrderCancels
from interlock.actors.order_desk import OrderDesk
from interlock.actors.order_tracker import OrderTracker
from interlock.actors.reconciler import Reconciler
from interlock.actors.safety_rails import SafetyRails
from interlock.config.parts import Parts
from interlock.domain.account_book import AccountBook
from interlock.domain.budget import AttemptBudget, AttemptLimits
from interlock.domain.errors import StoreDamaged
from interlock.domain.exposure import Exposure
from interlock.domain.instants import to_ns
from interlock.domain.orders import Order, belongs_to
from interlock.domain.preflight import PreflightFacts
from interlock.mocks.broker import MockBroker
from interlock.mocks.exchange import Exchange
from interlock.mocks.kept_exchange import KeptExchange
from interlock.mocks.playback import RecordedBroker
from interlock.mocks.strategy import Strategy
from interlock.runtime.actor import Actor, Context
from interlock.runtime.alert_sinks import AlertSink
from interlock.runtime.damaged_store import DamagedStore
from interlock.runtime.mailbox import Lane, MailboxSizes
from interlock.runtime.recorder import RunRecorder
from interlock.runtime.store import Store

__all__ = ["Parties", "Past", "System", "wire", "wire_alerts"]

A = TypeVar("A", bound=Actor)

_SNAPSHOTS_MAX: Final = 1_000_000


class System(Protocol):
    """What wiring needs of a driver."""

    def add(
        self, name: str, build: Callable[[Context], A], sizes: MailboxSizes | None = None, *, aside: bool = False
    ) -> A:
        """Make an actor."""
        ...

    def post(self, to: str, message: object, lane: Lane = Lane.DATA) -> bool:
        """Put a message in from outside the actors."""
        ...

    def waiting(self, name: str, lane: Lane) -> int:
        """Return how many messages wait in one lane of an actor."""
        ...


class Parties(NamedTuple):
    """The actors of one session."""

    broker: Actor
    rails: SafetyRails
    reconciler: Reconciler
    orchestrator: Orchestrator
    strategy: Strategy


class Past(NamedTuple):
    """What a session begins with: its store, and what an earlier session left in it."""

    store: Store
    used: bool
    book: AccountBook | None
    live: tuple[Order, ...]
    lately: tuple[Order, ...]

    @classmethod
    def of(cls, store: Store, parts: Parts) -> Self:
        """Read the past from a store; one that turns out to be damaged is put aside for one that says so."""
        if not store.length():
            return cls(store, used=False, book=None, live=(), lately=())
        desk, limits = parts.desk, parts.limits
        window_ns = to_ns(max(limits.messages_window_s, limits.repeats_window_s))
        try:
            # From the newest order on and not from the latest time: the clock may have gone back since.
            begin_ns = max((order.created_ns for order in store.orders_since(-1, 1)), default=0) - window_ns
            lately = store.orders_since(begin_ns, limits.messages_max)
            book = store.account(desk.venue, desk.account)
            given_up = None if book is not None else store.given_up(desk.venue, desk.account)
            if given_up is not None:
                book = given_up.begun_anew(*parts.opening())
            live = (order for order in store.live_orders() if belongs_to(order, desk.venue, desk.account))
            return cls(store, used=True, book=book, live=tuple(live), lately=lately)
        except StoreDamaged as error:
            return cls(DamagedStore(error), used=False, book=None, live=(), lately=())

    def exposure(self, parts: Parts, now_ns: int) -> Exposure:
        """Return an exposure to begin with: what was left, or, in a new account, what the config says."""
        limits = parts.limits
        if self.book is not None:
            exposure = Exposure.restored(limits, self.book, self.live)
        else:
            exposure = Exposure(limits, *parts.opening())
            for order in self.live:
                exposure.adopt(order)
        exposure.left_before(self.lately, now_ns)
        return exposure

    def opening(self, parts: Parts) -> tuple[Decimal | None, dict[str, Decimal]]:
        """Return the cash and positions that a mock broker begins with where it has no book of its own."""
        if self.book is None:
            return parts.opening()
        ledger = self.book.ledger()
        return ledger.cash, {line.symbol: line.quantity for line in ledger.positions()}


def wire(
    system: System,
    parts: Parts,
    recorder: RunRecorder,
    past: Past,
    *,
    live_enabled_by: tuple[str, ...] = (),
    live_override: bool = False,
    broker: Callable[[Context], Actor] | None = None,
) -> Parties:
    """Make the actors. ``broker`` replaces the mock broker; it is asked whether it is one."""
    sizes = parts.sizes
    there: Actor = system.add("broker", broker or (lambda ctx: _mock_broker(ctx, parts, past)), sizes["broker"])
    rails = system.add("rails", lambda ctx: _rails(ctx, parts, past), sizes["rails"])
    matched = 0 if past.book is None else past.book.last.matched
    reconciler = system.add("reconciler", lambda ctx: _reconciler(ctx, parts, matched), sizes["reconciler"])
    facts = parts.facts(
        broker_is_mock=getattr(there, "is_mock", False) is True,
        broker_is_paper=getattr(there, "is_paper", False) is True,
        live_enabled_by=live_enabled_by,
        live_override=live_override,
    )
    orchestrator = system.add(
        "orchestrator", lambda ctx: _orchestrator(ctx, parts, facts, recorder, past), sizes["orchestrator"]
    )
    strategy = system.add("strategy", lambda ctx: Strategy(ctx, parts.strategy), sizes["strategy"])
    return Parties(there, rails, reconciler, orchestrator, strategy)


def wire_alerts(system: System, parts: Parts, sinks: tuple[AlertSink, ...]) -> Alerts:
    """Make the alert actor, to which the others only tell things: it stands aside."""
    return system.add("alerts", lambda ctx: Alerts(ctx, parts.alerts, sinks), parts.sizes["alerts"], aside=True)


def _rails(ctx: Context, parts: Parts, past: Past) -> SafetyRails:
    return SafetyRails(ctx, "orchestrator", parts.limits, past.exposure(parts, ctx.now_ns()))


def _orchestrator(ctx: Context, parts: Parts, facts: PreflightFacts, recorder: RunRecorder, past: Past) -> Orchestrator:
    link = BrokerLink(ctx, parts.link, AttemptBudget(parts.attempts))
    settings, store = parts.desk, past.store
    commits = Commits(ctx, store, grouped=parts.config.store.group_commit)
    account = (settings.venue, settings.account)
    book = OrderBook(ctx, store, commits, past.exposure(parts, ctx.now_ns()), account=account, restored=past.used)
    calls = OrderCalls(ctx, link, parts.settle)
    cancels = OrderCancels(ctx, book, calls, settings.limits)
    tracker = OrderTracker(ctx, book, calls, cancels, settings.rails)
    desk = OrderDesk(ctx, settings, calls, tracker)

    def probe() -> PreflightFacts:
        return msgspec.structs.replace(
            facts,
            audit_sink_error=recorder.probe(),
            store_error=store.complaint(),
            kill_switch=store.kill_switch(),
        )

    return Orchestrator(ctx, parts.session(facts), desk, link, probe)


def _reconciler(ctx: Context, parts: Parts, matched: int) -> Reconciler:
    # Snapshots have a budget of their own: a busy desk must not keep the reconciler from looking.
    per_minute = parts.attempts.per_minute
    link = BrokerLink(ctx, parts.link, AttemptBudget(AttemptLimits(_SNAPSHOTS_MAX, per_minute)))
    return Reconciler(ctx, parts.reconciler, link, matched)


def _mock_broker(ctx: Context, parts: Parts, past: Past) -> Actor:
    market, recording = parts.market, parts.recording
    opening, before = parts.opening_book(past.opening(parts)), 0 if past.book is None else past.book.last.cursor
    kept = past.store.beside if recording is None else None
    exchange = Exchange(opening, before) if kept is None else KeptExchange(kept, opening, before)
    if recording is not None:
        return RecordedBroker(ctx, market, exchange, recording, parts.config.session.strategy_id)
    broker = MockBroker(ctx, market, exchange, parts.config.broker.faults)
    for request in parts.unknown_orders():
        exchange.place(request)
    return broker
