"""Small sessions for tests: a config by keyword, a recorder on lists, and a run to its end.

``run(broker={...})`` runs the packaged little session with that section changed and returns what is left of it: the
session, how it ended, and everything it wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.alert_notes import AlertNote
from interlock.domain.broker import Fill
from interlock.domain.money import decimal_text
from interlock.domain.orders import Order
from interlock.mocks.broker import MockBroker
from interlock.mocks.exchange import Exchange
from interlock.mocks.playback import RecordedBroker
from interlock.mocks.recording import Recording
from interlock.runtime.actor import Actor, Context
from interlock.runtime.alert_sinks import BlockingSink
from interlock.runtime.recorder import RunRecorder, RunSinks
from interlock.runtime.schedule import Schedule
from interlock.runtime.sinks import Sink
from interlock.runtime.store import Store
from interlock.sessions import LiveRequest, Session, SessionResult, SteppedSession

__all__ = [
    "BTC",
    "ETH",
    "STEPS",
    "Kept",
    "Ran",
    "a_config",
    "a_day",
    "a_recorder",
    "a_session",
    "assert_agreed",
    "at",
    "exchange_of",
    "intent_fields",
    "orders_of",
    "positions_of",
    "run",
    "run_session",
]

BTC, ETH = "BTC/EUR", "ETH/EUR"
STEPS = 200_000
"""More than any of these sessions needs: one that gets there does not end."""

Record = dict[str, Any]


class Kept:
    """What a session wrote, as its host would get it."""

    def __init__(self) -> None:
        self.events: list[Record] = []
        self.states: list[Record] = []
        self.metrics: list[Record] = []
        self.audit: list[Record] = []
        self.alerts: list[AlertNote] = []

    @property
    def codes(self) -> list[str]:
        """Return the codes of the audit log, in order."""
        return [record["code"] for record in self.audit]

    def audited(self, code: str) -> list[Record]:
        """Return the audit records with a code."""
        return [record for record in self.audit if record["code"] == code]

    def payloads(self, event_type: str) -> list[Record]:
        """Return what the events of one type carry."""
        return [record["payload"] for record in self.events if record["event_type"] == event_type]


class AlertList(BlockingSink):
    """A sink for alerts that keeps them."""

    def __init__(self, notes: list[AlertNote]) -> None:
        super().__init__("kept")
        self.notes = notes

    def put(self, note: AlertNote) -> None:
        """Keep the note."""
        self.notes.append(note)


class Ran(NamedTuple):
    """A session that is over."""

    session: SteppedSession
    result: SessionResult
    kept: Kept

    @property
    def counters(self) -> dict[str, int]:
        """Return the session's counters."""
        return self.session.recorder.counters


def intent_fields(decision_id: str, **wanted: str) -> Record:
    """Return the intent to buy 1 BTC/EUR at 90 or less, which rests while the price is 100."""
    fields = {"decision_id": decision_id, "symbol": BTC, "side": "BUY", "quantity": "1", "limit_price": "90"}
    fields |= wanted
    return {name: value for name, value in fields.items() if value}


def at(at_s: float, decision_id: str, **wanted: str) -> Record:
    """Return the step of a script that submits ``intent_fields``."""
    return {"at_s": at_s, "submit": intent_fields(decision_id, **wanted)}


def a_day(**wanted: Any) -> Record:
    """Return a workload that is drawn: forty orders in both symbols, some at market, half of them cancelled."""
    day = {"orders": 40, "every_s": 5, "lot": "0.01", "lots_max": 20, "tick_size": "1", "cancel_after_s": 12}
    return {"day": {**day, "market_permille": 300, "cancel_permille": 500, **wanted}, "linger_s": 60}


def a_config(**sections: Any) -> SessionConfig:
    """Return the config of a short session in two symbols; sections extend or replace its own."""
    tree: Record = {
        "session": {"session_id": "small", "strategy_id": "strat_demo", "duration_s": 3600, "drain_every_s": 1},
        "instruments": [
            {"symbol": BTC, "price": "100", "tick_size": "1", "max_order_quantity": "10", "max_order_notional": "2000"},
            {
                "symbol": ETH,
                "price": "50",
                "tick_size": "1",
                "max_order_quantity": "10",
                "max_order_notional": "2000",
                "allow_short": True,
            },
        ],
        "opening": {"cash": "100000", "positions": {BTC: "20"}},
        "broker": {"fee_bps": "5"},
    }
    for name, section in sections.items():
        tree[name] = {**tree.get(name, {}), **section} if isinstance(section, dict) else section
    return config_from_tree(tree, "test")


def a_recorder(kept: Kept, config: SessionConfig, start_ns: int = 0) -> RunRecorder:
    """Return a recorder that writes into lists."""

    def sink(name: str, target: list[Record]) -> Sink:
        return Sink(name, target, max_retries=0, sleep=lambda _: None)

    sinks = RunSinks(
        sink("events", kept.events),
        sink("states", kept.states),
        sink("metrics", kept.metrics),
        sink("audit", kept.audit),
    )
    recorder = RunRecorder(config.run_id, config.session.strategy_id, sinks, start_ns=start_ns)
    recorder.alert_sinks = (AlertList(kept.alerts),)
    return recorder


def a_session(
    kept: Kept,
    *,
    schedule: Schedule | None = None,
    recording: Recording | None = None,
    live: LiveRequest | None = None,
    broker_actor: Callable[[Context], Actor] | None = None,
    store: Store | Record | None = None,
    **sections: Any,
) -> SteppedSession:
    """Return a session that has not taken a step yet, on a store, or with that section. The caller closes it."""
    keeps = {"store": store} if isinstance(store, dict) else {}
    config = a_config(**sections, **keeps)
    recorder = a_recorder(kept, config, Parts(config, recording).start_ns)
    store = None if isinstance(store, dict) else store
    return SteppedSession(
        config, recorder, schedule=schedule, recording=recording, live=live, broker=broker_actor, store=store
    )


def run_session(session: SteppedSession, kept: Kept) -> Ran:
    """Run a session to its end and close it."""
    with session:
        report = session.run_n_steps(STEPS)
        assert report.reason != "limit", "it did not end"
        return Ran(session, session.finish(), kept)


def run(**wanted: Any) -> Ran:
    """Make a session as ``a_session`` does and run it to its end."""
    kept = Kept()
    return run_session(a_session(kept, **wanted), kept)


def exchange_of(session: Session) -> Exchange:
    """Return the book of the session's mock broker."""
    assert isinstance(session.broker, MockBroker | RecordedBroker)
    return session.broker.exchange


def orders_of(session: Session) -> dict[str, Order]:
    """Return the orders here, by decision."""
    return {order.decision_id: order for order in session.orchestrator.desk.book.orders.values()}


def positions_of(session: Session) -> dict[str, str]:
    """Return the positions here that are not flat, as text."""
    lines = session.orchestrator.desk.book.exposure.ledger.positions()
    return {line.symbol: decimal_text(line.quantity) for line in lines if line.quantity}


def assert_agreed(session: Session) -> None:
    """Hold both sides against each other: positions, cash, orders, and every execution booked exactly once."""
    desk, exchange = session.orchestrator.desk, exchange_of(session)
    booked: tuple[Fill, ...] = desk.book.exposure.fills.since(0)
    there = {symbol: decimal_text(held) for symbol, held in exchange.positions.items() if held}
    assert positions_of(session) == there
    assert desk.book.exposure.ledger.cash == exchange.cash
    assert not desk.book.live
    assert not exchange.snapshot(0, 0).open_orders
    assert sorted(fill.fill_id for fill in booked) == sorted(fill.fill_id for fill in exchange.executions)
    assert sorted({*exchange.orders} - {*desk.book.orders}) == []
    for key, order in desk.book.orders.items():
        told = exchange.orders.get(key)
        assert order.filled == (told.filled if told is not None else 0), key
