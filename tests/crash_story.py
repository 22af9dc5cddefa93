"""Stories of crashes in simulation: a session that is killed and begun again, and what must hold afterwards.

``tell(seed)`` runs a session with faults on a store in memory, kills it at drawn steps or at named crash points, begins
it again after each kill, and runs the last one to its end. ``complaints(story)`` holds what is left to the invariants
of the persistence protocol; each is a function of its own, with the number that the protocol gives it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from interlock.config.parts import Parts
from interlock.domain.broker import BrokerStatus
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order
from interlock.mocks.exchange import Exchange
from interlock.runtime.audit import verify_audit
from interlock.runtime.crash_points import CrashPoint
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.seeds import SeededStreams
from interlock.runtime.store_changes import ended
from interlock.sessions import RestartedSession, SessionResult, SteppedSession
from tests.session_builders import Kept, a_config, a_day, a_recorder, exchange_of

__all__ = ["FAULTS", "INVARIANTS", "POINTS", "Killed", "Story", "complaints", "tell"]

STEPS = 100_000
RECOVERY = (CrashPoint.REC_START, CrashPoint.REC_MARKED, CrashPoint.REC_AFTER_QUERY)
POINTS = (
    CrashPoint.BEFORE_CLAIM,
    CrashPoint.IN_CLAIM_TXN,
    CrashPoint.AFTER_CLAIM_COMMIT,
    CrashPoint.IN_ACK_TXN,
    CrashPoint.AFTER_ACK_COMMIT,
    CrashPoint.IN_FILL_TXN,
    CrashPoint.AFTER_FILL_COMMIT,
    CrashPoint.IN_CLOSE_TXN,
    CrashPoint.AFTER_CLOSE_COMMIT,
    *RECOVERY,
)
"""Those that a store in memory, or the recovery from one, passes in an ordinary session."""
KILLS_MAX = 4
FAULTS = (
    {"fault": "timeout_after", "permille": 60, "calls": ["place"]},
    {"fault": "timeout_before", "permille": 60, "calls": ["place"]},
    {"fault": "rate_limit", "permille": 60, "retry_after_s": 0.5},
    {"fault": "reject", "permille": 40},
    {"fault": "partial_fills", "permille": 400, "pieces_max": 4},
    {"fault": "duplicate_fill", "permille": 100},
    {"fault": "fill_before_ack", "permille": 100},
    {"fault": "fill_after_cancel_ack", "permille": 100},
    {"fault": "duplicate_ack", "permille": 50},
)


class Killed(BaseException):
    """The process is gone. Nothing catches it."""


class Story(NamedTuple):
    """What is left when a story is over."""

    seed: int
    kills: int
    points: tuple[str, ...]
    result: SessionResult
    session: SteppedSession
    store: MemoryStore

    @property
    def exchange(self) -> Exchange:
        """Return the broker's own book."""
        return exchange_of(self.session)


def tell(seed: int, *, at: CrashPoint | None = None, grouped: bool = False, faults: Any = FAULTS) -> Story:
    """Tell the story of a seed; ``at`` names the crash point of its first kill, otherwise steps are drawn."""
    draw, store, points = SeededStreams(seed), MemoryStore(), list[str]()
    sections: dict[str, Any] = {
        "session": {"seed": seed, "scheduler": "random" if seed % 2 else "fifo"},
        "broker": {"faults": {"rules": list(faults)}},
        "store": {"group_commit": grouped},
        "strategy": a_day(orders=12, cancel_after_s=6),
    }
    config = a_config(**sections)
    start_ns = Parts(config).start_ns
    session = SteppedSession(config, a_recorder(Kept(), config, start_ns), store=store)
    kills = 0
    for number in range(1 + draw.below(KILLS_MAX, "kills") + int(at in RECOVERY)):
        # There is no recovery before the first kill.
        named = at is not None and number == int(at in RECOVERY)
        point = at if named and at is not None else POINTS[draw.below(len(POINTS), "point")]
        by_step = not named and draw.below(2, "how") == 0
        killed = _run(session, draw, None if by_step else point)
        if not killed:
            break
        kills += 1
        points.append(killed)
        session.crash()
        session = RestartedSession(session, a_recorder(Kept(), config, start_ns))
    store.probe = lambda _: None
    _to_its_end(session)
    result = session.finish()
    session.close()
    return Story(seed, kills, tuple(points), result, session, store)


def _run(session: SteppedSession, draw: SeededStreams, point: CrashPoint | None) -> str:
    """Run until the process is killed, and return where; "" where the session came to its end before."""
    assert isinstance(session.store, MemoryStore)
    if point is None:
        session.store.probe = lambda _: None
        session.run_n_steps(1 + draw.below(700, "steps"))
        return "" if session.over else "a step"
    left = [1 + draw.below(2 if point in RECOVERY else 6, "passing")]

    def probe(passed: CrashPoint) -> None:
        left[0] -= passed is point
        if left[0] <= 0:
            raise Killed(passed)

    session.store.probe = probe
    try:
        _to_its_end(session)
    except Killed:
        return str(point)
    return ""


def _to_its_end(session: SteppedSession) -> None:
    report = session.run_n_steps(STEPS)
    assert report.reason != "limit", "it did not end"


# -- what must hold -----------------------------------------------------------------------------------------


def _last(store: MemoryStore) -> dict[str, Order]:
    return {order.client_order_id: order for order in store.records()}


def i1_a_key_is_accepted_once(story: Story) -> Iterator[str]:
    """At most one accepted order a key at the broker."""
    accepted = story.exchange.accepted
    yield from (f"{key} was accepted twice" for key in accepted if accepted.count(key) > 1)


def i2_executions_are_the_same(story: Story) -> Iterator[str]:
    """Executions there are fills here, as sets."""
    here = {fill.fill_id for fill in _fills(story.store)}
    there = {fill.fill_id for fill in story.exchange.executions}
    yield from (f"fill {fill_id} is missing here" for fill_id in sorted(there - here))
    yield from (f"fill {fill_id} never happened" for fill_id in sorted(here - there))


def _fills(store: MemoryStore) -> list[Any]:
    return [record.execution.fill for record in store.all_records() if record.execution is not None]


def i3_what_ended_here_does_not_live_there(story: Story) -> Iterator[str]:
    """No order is terminal here that lives there."""
    for key, order in _last(story.store).items():
        there = story.exchange.orders.get(key)
        if there is not None and there.status is BrokerStatus.OPEN and ended(order):
            yield f"{key} is {order.state} here and open there"


def i4_nothing_is_left_in_doubt(story: Story) -> Iterator[str]:
    """Nothing stays in doubt once the session has come to its end."""
    doubt = (OrderState.SENT, OrderState.UNKNOWN)
    yield from (f"{key} is left {order.state}" for key, order in _last(story.store).items() if order.state in doubt)


def i5_the_audit_has_no_gap(story: Story) -> Iterator[str]:
    """The audit covers every version of each key, its last state is the row's, and the chain of each run holds."""
    versions: dict[str, list[tuple[int, str]]] = {}
    runs: list[list[bytes]] = [[]]
    for line in (line for record in story.store.all_records() for line in record.audit):
        told = json.loads(line)
        if told["code"] == "ENGINE_RESTART":
            runs.append([])
        runs[-1].append(line)
        if "version" in told["meta"] and "client_order_id" in told["meta"]:
            about = (told["meta"]["version"], told["code"].removeprefix("ORDER_"))
            versions.setdefault(told["meta"]["client_order_id"], []).append(about)
    for key, order in _last(story.store).items():
        told_of = versions.get(key, [])
        if [version for version, _ in told_of] != list(range(1, order.version + 1)):
            yield f"{key} has versions up to {order.version}, the audit has {told_of}"
        elif told_of[-1][1] != order.state:
            yield f"{key} is {order.state}, the audit says {told_of[-1][1]}"
    for verdict in map(verify_audit, runs[1:]):
        if not verdict.ok:
            yield f"the audit of a run: line {verdict.first_bad_line}: {verdict.reason}"


def i6_fills_add_up(story: Story) -> Iterator[str]:
    """The sum of an order's fills is its cumulative quantity, and no more than was ordered."""
    for key, order in _last(story.store).items():
        filled = sum(fill.quantity for fill in _fills(story.store) if fill.client_order_id == key)
        if filled != order.filled or filled > order.quantity:
            yield f"{key}: fills of {filled}, filled {order.filled} of {order.quantity}"


def i8_every_order_there_has_a_row(story: Story) -> Iterator[str]:
    """Every order at the broker was claimed here."""
    yield from (f"{key} was never claimed" for key in story.exchange.orders if key not in _last(story.store))


def i10_the_end_is_final(story: Story) -> Iterator[str]:
    """An order that ended never lives again."""
    over: dict[str, OrderState] = {}
    for order in story.store.records():
        if order.client_order_id in over and not ended(order):
            yield f"{order.client_order_id} lives again as {order.state}"
        if ended(order):
            over[order.client_order_id] = order.state


def positions_and_cash_agree(story: Story) -> Iterator[str]:
    """What is stored of the account is what the broker has."""
    book = story.store.account("mock", "main")
    assert book is not None
    ledger = book.ledger()
    here = {line.symbol: line.quantity for line in ledger.positions() if line.quantity}
    there = {symbol: held for symbol, held in story.exchange.positions.items() if held}
    if here != there or ledger.cash != story.exchange.cash:
        yield f"we hold {here} and {ledger.cash}, they say {there} and {story.exchange.cash}"


INVARIANTS: tuple[Callable[[Story], Iterator[str]], ...] = (
    i1_a_key_is_accepted_once,
    i2_executions_are_the_same,
    i3_what_ended_here_does_not_live_there,
    i4_nothing_is_left_in_doubt,
    i5_the_audit_has_no_gap,
    i6_fills_add_up,
    i8_every_order_there_has_a_row,
    i10_the_end_is_final,
    positions_and_cash_agree,
)


def complaints(story: Story) -> list[str]:
    """Return every invariant that does not hold, in words."""
    return [f"{check.__name__}: {text}" for check in INVARIANTS for text in check(story)]
