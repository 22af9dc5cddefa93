"""What must hold after every single step of a run, looked at where something has changed.

The store's new records, the broker's newly accepted orders, what left and in which state of the session, and what the
host was told. Everything here is read from the broker's own book and the store, never from what the actors believe.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from interlock.domain.messages import SubmitOutcome, SubmitStatus
from interlock.domain.money import decimal_text
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order
from interlock.domain.session_states import SessionState
from interlock.explore.caps import Caps
from interlock.explore.failure import Broken
from interlock.mocks.broker import MockBroker
from interlock.runtime.mailbox import Lane
from interlock.runtime.memory_store import MemoryRecord, MemoryStore
from interlock.runtime.store_changes import KeysPurged, OrphanKept, ended
from interlock.sessions import SteppedSession

__all__ = ["Watcher"]

_PLACED: Final = "orders_place_total"
_THROWN: Final = "faults_total|kill_switch_throws"
_ON_ITS_WAY: Final = (OrderState.SENT, OrderState.UNKNOWN, OrderState.QUARANTINED)


class Watcher:
    """Asked after each step whether all ``holds``; the invariant that does not is then in ``broken``."""

    def __init__(
        self, session: SteppedSession, store: MemoryStore, broker: MockBroker, counters: dict[str, int]
    ) -> None:
        self.broken: Broken | None = None
        self._session = session
        self._outcomes = session.strategy.outcomes
        self._store, self._kept = store, store.journal_so_far
        self._exchange = broker.exchange
        self._requests = broker.requests
        self._taken = broker.exchange.accepted
        self._counters = counters
        self._caps = Caps(session.parts.limits, session.parts.opening()[1])
        self._seen = 0
        """How many of all these there were, which only become more but for a crash."""
        self._records = 0
        self._requested = 0
        self._accepted = 0
        self._placed = 0
        self._told = 0
        self._switched = False
        self._orders: dict[str, Order] = {}
        self._claimed_at: dict[str, int] = {}
        self._fills: dict[tuple[str, str, str], None] = {}
        self._sent: dict[str, None] = {}
        self._keys: dict[str, None] = {}

    def holds(self) -> bool:
        """Look at what has changed; return whether all still holds."""
        here = self._counters.get(_PLACED, 0) + len(self._kept) + len(self._outcomes)
        seen = here + len(self._requests) + len(self._taken)
        if seen != self._seen:
            self._look()
            self._seen = seen
        return self.broken is None

    def _look(self) -> None:
        if self._counters.get(_PLACED, 0) != self._placed:
            self._look_at_placed()
        if len(self._kept) != self._records:
            self._look_at_records()
        if len(self._requests) != self._requested:
            self._look_at_requests()
        if len(self._taken) != self._accepted:
            self._look_at_accepted()
        if len(self._outcomes) != self._told:
            self._look_at_outcomes()

    def state(self) -> Iterator[object]:
        """Yield what it knows beyond what stands in the store, the broker's book and the host's own list."""
        yield self._switched
        yield None if self.broken is None else str(self.broken)

    def crashed(self) -> None:
        """Forget the records that a crash has lost."""
        self._seen = 0
        if len(self._kept) != self._records:
            self._orders.clear()
            self._claimed_at.clear()
            self._fills.clear()
            self._caps.clear()
            self._records = 0
            broken = self.broken
            self._look_at_records()
            self.broken = broken  # what is kept was looked at before; a cap that held then need not hold in this order
        if self._switched and not self._store.kill_switch():
            self._fail("SAF-2", "the kill switch was set, and a crash has lost it")

    def restarted(self, session: SteppedSession) -> None:
        """Hold a session that begins again to what may be open at the broker: all of it counts as open here (I11)."""
        self._session, self._outcomes, self._told = session, session.strategy.outcomes, 0
        exposure = session.orchestrator.desk.book.exposure
        for key in self._exchange.open_keys():
            if key in self._claimed_at and not exposure.holds(key) and not ended(self._orders[key]):
                self._fail("I11", f"{key} is open there and counts for nothing here after a restart")

    def _fail(self, invariant: str, text: str) -> None:
        self.broken = self.broken or Broken(invariant, text)

    # -- the store ------------------------------------------------------------------------------------------

    def _look_at_records(self) -> None:
        for at, record in enumerate(self._store.since(self._records), start=self._records):
            change = record.change
            before = self._orders.get(change.client_order_id) if isinstance(change, Order) else None
            for key in _execution_of(record):
                if key in self._fills:
                    self._fail("I2", f"fill {key[2]} is recorded twice")
                self._fills[key] = None
            if record.execution is not None and before is not None:
                self._caps.filled(record.execution.fill, late=ended(before))
            if isinstance(change, Order):
                self._look_at_order(before, change, at)
            elif isinstance(change, KeysPurged):
                self._look_at_purged(change)
            elif isinstance(change, OrphanKept) and not self._store.kill_switch() and not self._counters.get(_THROWN):
                self._fail("SAF-2", "a fill of nobody was recorded, and a kill now would leave no reason to stop")
        self._records = len(self._kept)
        self._switched = self._switched or bool(self._store.kill_switch())

    def _look_at_order(self, before: Order | None, order: Order, at: int) -> None:
        key = order.client_order_id
        self._orders[key] = order
        self._caps.changed(order)
        if before is None:
            self._claimed_at[key] = at
            above = self._caps.complaint(order)
            if above:
                self._fail("SAF-1", f"{key} was claimed above a cap: {above}")
            return
        if order.version != before.version + 1:
            self._fail("I5", f"{key} goes from version {before.version} to {order.version}")
        if ended(before) and not ended(order):
            self._fail("I10", f"{key} was {before.state} and lives again as {order.state}")
        if order.filled > order.quantity:
            self._fail("I6", f"{key} is filled {decimal_text(order.filled)} of {decimal_text(order.quantity)}")
        if order.filled < before.filled:
            self._fail("I6", f"{key} was filled {decimal_text(before.filled)}, now {decimal_text(order.filled)}")

    def _look_at_purged(self, purged: KeysPurged) -> None:
        for key in purged.keys:
            if not ended(self._orders[key]):
                self._fail("I10", f"{key} was dropped while it was {self._orders[key].state}")

    # -- the broker -----------------------------------------------------------------------------------------

    def _look_at_requests(self) -> None:
        """An order that left must have been claimed, the claim durable; and nothing is ever sent twice."""
        for key in self._requests[self._requested :]:
            at = self._claimed_at.get(key)
            if at is None or at >= self._store.durable:
                self._fail("I8", f"{key} left before its claim was durable")
            if key in self._sent:
                self._fail("I1", f"{key} was sent a second time")
            self._sent[key] = None
        self._requested = len(self._requests)

    def _look_at_accepted(self) -> None:
        for key in self._taken[self._accepted :]:
            if key in self._keys:
                self._fail("I1", f"{key} was accepted a second time")
            self._keys[key] = None
        self._accepted = len(self._taken)

    # -- the session ----------------------------------------------------------------------------------------

    def _look_at_placed(self) -> None:
        """Orders leave an active session alone; not past the kill switch, and not past a trip that waits (SAF-1)."""
        self._placed = self._counters[_PLACED]
        state = self._session.orchestrator.record.state
        if self._switched:
            self._fail("I12", "an order left after the kill switch was set")
        elif state is not SessionState.DRYRUN_ACTIVE:
            self._fail("SAF-1", f"an order left while the session was {state}")
        elif self._session.system.waiting("orchestrator", Lane.CONTROL):
            self._fail("SAF-2", "an order left while a word to stop was waiting")

    def _look_at_outcomes(self) -> None:
        """What the host was told must be what the store would still say after a crash."""
        for outcome in self._outcomes[self._told :]:
            key = outcome.client_order_id
            if key in self._orders and not _stands_on(outcome, self._orders[key], self._durable(key)):
                self._fail("durability", f"the host was told {outcome.status} of {key} before that was durable")
        self._told = len(self._outcomes)

    def _durable(self, key: str) -> Order | None:
        for record in reversed(self._store.since(0)[: self._store.durable]):
            if isinstance(record.change, Order) and record.change.client_order_id == key:
                return record.change
        return None


def _stands_on(outcome: SubmitOutcome, latest: Order, durable: Order | None) -> bool:
    """Return whether a crash would leave what the host was told."""
    if outcome.status is SubmitStatus.ACCEPTED:
        return durable is not None and durable.state not in _ON_ITS_WAY
    if outcome.status is SubmitStatus.UNKNOWN:
        return durable is not None
    return durable is latest or latest.state is not OrderState.REJECTED


def _execution_of(record: MemoryRecord) -> tuple[tuple[str, str, str], ...]:
    execution = record.execution
    return () if execution is None else ((execution.venue, execution.account, execution.fill.fill_id),)
