"""The store in memory: the same protocol without a disk, and a ``crash`` that loses what was not committed.

Simulation restarts sessions on it thousands of times. Everything is one list of records, and what they amount to; after
a crash the rest is folded anew from the records that were durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.account_book import AccountBook, AccountLine, opening_lines
from interlock.domain.broker import Fill
from interlock.domain.errors import StoreRefused
from interlock.domain.instants import to_ns
from interlock.domain.orders import Order
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.runtime.crash_points import CrashPoint, Probe, unheard
from interlock.runtime.store import (
    TTL_S,
    ClaimResult,
    need_new_execution,
    need_next_version,
    point_of,
    reset_of,
    silent,
)
from interlock.runtime.store_changes import (
    AccountOpened,
    Change,
    Execution,
    KeysPurged,
    Marks,
    OperatorReset,
    OrphanKept,
    StoreState,
    SwitchSet,
    Told,
    digest_of,
    ended,
)

__all__ = ["MemoryRecord", "MemoryStore"]

_IN_A_CLAIM: Final = (CrashPoint.IN_CLAIM_TXN, CrashPoint.AFTER_CLAIM_COMMIT)
_RECORDS_MAX: Final = 5_000_000


class MemoryRecord(msgspec.Struct, frozen=True, gc=False):
    """One change, the execution that made it, and the audit lines that were noted for it."""

    change: Change
    execution: Execution | None
    audit: tuple[bytes, ...]


class MemoryStore:
    """A store that lives as long as its process."""

    def __init__(self, *, ttl_s: int = TTL_S) -> None:
        self.outlives = False
        self.taking = False
        self.beside: Path | None = None
        self.probe: Probe = unheard
        self.on_commit: Callable[[], None] = silent
        self._ttl_ns = to_ns(ttl_s)
        self._records: list[MemoryRecord] = []
        self._durable = 0
        self._state = StoreState()
        self._lines: list[bytes] = []
        self._after: list[CrashPoint] = []

    def length(self) -> int:
        """Return how many records there are."""
        return len(self._records)

    def keys_held(self) -> int:
        """Return how many keys are kept with all their content."""
        return len(self._state.orders)

    def latest_ns(self) -> int:
        """Return the largest time of any record."""
        return self._state.latest_ns

    def complaint(self) -> str:
        """Return "": records that never leave this process are not read back, and none of them can be changed."""
        return ""

    def crash(self) -> None:
        """Lose what was not committed, as a machine does; what is durable is folded anew."""
        del self._records[self._durable :]
        self._lines.clear()
        self._after.clear()
        self._state = StoreState()
        for record in self._records:
            self._state.fold(record.change, record.execution)

    def all_records(self) -> tuple[MemoryRecord, ...]:
        """Return every record, oldest first."""
        return tuple(self._records)

    @property
    def journal_so_far(self) -> Sequence[MemoryRecord]:
        """Return the records themselves, oldest first, to look at as they become more."""
        return self._records

    def since(self, index: int) -> list[MemoryRecord]:
        """Return the records from ``index`` on."""
        return self._records[index:]

    @property
    def durable(self) -> int:
        """Return how many records a crash would leave."""
        return self._durable

    def records(self) -> tuple[Order, ...]:
        """Return every version of every order, oldest first."""
        return tuple(record.change for record in self._records if isinstance(record.change, Order))

    # -- orders and the account ---------------------------------------------------------------------------------

    def order_of(self, client_order_id: str) -> Order | None:
        """Return the order of a key as it was recorded last, or None."""
        return self._state.orders.get(client_order_id)

    def spent(self, client_order_id: str) -> bool:
        """Return whether a key was used and dropped."""
        return bool(self._state.spent) and digest_of(client_order_id) in self._state.spent

    def live_orders(self) -> tuple[Order, ...]:
        """Return every order that has not ended."""
        return tuple(self._state.live.values())

    def orders_since(self, created_ns: int, most: int) -> tuple[Order, ...]:
        """Return the orders made after an instant, oldest first, at most so many of the newest."""
        found = [order for order in self._state.orders.values() if order.created_ns > created_ns]
        return tuple(found[-most:])

    def claim(self, order: Order, say: Callable[[], None] = silent) -> ClaimResult:
        """Take the key, unless it is taken or the kill switch is set."""
        state, key = self._state, order.client_order_id
        known = state.orders.get(key)
        if known is not None:
            return ClaimResult.KNOWN if known.fingerprint == order.fingerprint else ClaimResult.CONFLICT
        if self.spent(key):
            return ClaimResult.SPENT
        if state.switch:
            return ClaimResult.HALTED
        self.probe(CrashPoint.BEFORE_CLAIM)
        need_next_version(order, None)
        say()
        self._append(order, None, _IN_A_CLAIM)
        return ClaimResult.CLAIMED

    def journal(self, order: Order, execution: Execution | None = None, say: Callable[[], None] = silent) -> None:
        """Take one record; ``say`` is called where nothing speaks against it.

        Raises:
            StoreRefused: the journal is full.
            InvariantBroken: ``journal_order``: the record is not the next version of its order; ``fill_repeated``: the
                execution is recorded already.
        """
        known = self._state.orders.get(order.client_order_id)
        need_next_version(order, None if known is None else known.version)
        if execution is not None:
            need_new_execution(execution, known=self._knows(execution))
        say()
        self._append(order, execution, point_of(order, execution))

    def keep_orphan(self, execution: Execution) -> None:
        """Take an execution that belongs to no order of ours; one that is known changes nothing."""
        if not self._knows(execution):
            self._append(OrphanKept(execution.fill.client_order_id), execution)

    def execution_of(self, venue: str, account: str, fill_id: str) -> Fill | None:
        """Return a recorded execution, or None."""
        return self._state.fills.get((venue, account, fill_id))

    def open_account(self, venue: str, account: str, lines: tuple[AccountLine, ...]) -> None:
        """Take the lines with which an account begins."""
        self._append(AccountOpened(venue, account, lines))

    def account(self, venue: str, account: str) -> AccountBook | None:
        """Return the account as its last fill left it, or None where it was never opened."""
        lines = self._state.lines.get((venue, account))
        if not lines:
            return None
        return self._with_fills(venue, account, tuple(lines.values()))

    def given_up(self, venue: str, account: str) -> AccountBook | None:
        """Return an account whose book a reset gave up, or None where nothing was filled."""
        line = self._state.last.get((venue, account))
        book = self._with_fills(venue, account, opening_lines(None, {}) if line is None else (line,))
        return book if line is not None or book.fills else None

    def _with_fills(self, venue: str, account: str, lines: tuple[AccountLine, ...]) -> AccountBook:
        matched, whose = AccountBook(lines).last.matched, (venue, account)
        fills = (fill for key, fill in self._state.fills.items() if key[:2] == whose and fill.cursor > matched)
        return AccountBook(lines, tuple(fills))

    def accounts(self) -> tuple[AccountBook, ...]:
        """Return every account that was opened."""
        books = (self.account(venue, account) for venue, account in self._state.lines)
        return tuple(book for book in books if book is not None)

    # -- what goes with changes ---------------------------------------------------------------------------------

    def note(self, line: bytes) -> None:
        """Keep an audit line with the change that is taken next, or with the commit."""
        self._lines.append(line)

    def commit(self) -> None:
        """Make everything durable that was taken."""
        if self._lines:
            self._append(Told())
        self._durable = len(self._records)
        if self._after:
            passed, self._after = self._after, []
            for point in passed:
                self.probe(point)
        self.on_commit()

    def _append(
        self,
        change: Change,
        execution: Execution | None = None,
        points: tuple[CrashPoint, CrashPoint] | None = None,
    ) -> None:
        if len(self._records) >= _RECORDS_MAX:
            message = f"the journal holds {_RECORDS_MAX} records and takes no more"
            raise StoreRefused(message)
        record = MemoryRecord(change, execution, tuple(self._lines))
        self._lines.clear()
        self._state.fold(change, execution)
        self._records.append(record)
        if points is not None:
            self._after.append(points[1])
            self.probe(points[0])

    def _knows(self, execution: Execution) -> bool:
        return (execution.venue, execution.account, execution.fill.fill_id) in self._state.fills

    # -- sessions and the kill switch ---------------------------------------------------------------------------

    def begin_session(self, mark: SessionBegun) -> None:
        """Take that a session begins."""
        self._append(mark)

    def end_session(self, mark: SessionDone) -> None:
        """Take that the session has ended."""
        self._append(mark)

    def marks(self) -> Marks:
        """Return the last session that began, and its end."""
        return self._state.marks

    def purge(self, now_ns: int, held_open: tuple[str, ...]) -> int:
        """Take that keys past their time to live are dropped, each but for its digest; return how many."""
        state, kept = self._state, dict.fromkeys(held_open)
        until_ns = max(now_ns, state.latest_ns) - self._ttl_ns
        old = tuple(
            key
            for key, order in state.orders.items()
            if ended(order) and key not in kept and order.created_ns <= until_ns
        )
        if old:
            self._append(KeysPurged(old))
            self.probe(CrashPoint.IN_PURGE)
        return len(old)

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch; the first reason is kept."""
        if not self._state.switch:
            self._append(SwitchSet(reason))
        self.commit()
        self.probe(CrashPoint.KILL_SWITCH_SET)

    def kill_switch(self) -> str:
        """Return why the kill switch is set, or ""."""
        return self._state.switch

    def reset_kill_switch(self, operator: str, reason: str, now_ns: int, *, rebase: bool = False) -> None:
        """Release the kill switch on the word of a person, and record it.

        Raises:
            StoreRefused: the switch is not set, or the operator or the reason is missing.
        """
        self._append(reset_of(self._state.switch, operator, reason, now_ns, rebase=rebase))
        self.commit()

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return every recorded reset, oldest first."""
        return tuple(self._state.resets)
