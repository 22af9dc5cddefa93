"""The store on disk: orders, journal, executions, books, audit and kill switch in one SQLite database.

What is taken waits in one open transaction: the rows, the records of the journal that made them so, the audit lines
that were noted for them. Several orders that wait together share one commit and so one sync. After an error of the disk
the store is finished (``store_file``); only the kill switch can still be set.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.account_book import AccountBook, AccountLine
from interlock.domain.broker import Fill
from interlock.domain.errors import StoreRefused
from interlock.domain.instants import to_ns
from interlock.domain.orders import Order
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.runtime.closing import Closing
from interlock.runtime.crash_points import CrashPoint, Probe, unheard
from interlock.runtime.kill_file import KillFile
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
    Execution,
    KeysPurged,
    Marks,
    OperatorReset,
    OrphanKept,
    SwitchSet,
)
from interlock.runtime.store_file import StoreFile
from interlock.runtime.store_place import Place

__all__ = ["SqliteStore"]

_PURGE_MAX: Final = 500
"""Keys that one record drops; those left go with the next start."""
_MARKS: Final = "SELECT content FROM journal WHERE kind = 'mark' ORDER BY sequence DESC LIMIT 2"
_RESETS: Final = "SELECT content FROM journal WHERE kind = 'reset' ORDER BY sequence"


class SqliteStore(Closing):
    """The store in the file ``path``, begun where there is none; ``owner`` is who others are told holds it.

    Raises:
        StoreRefused: it cannot be opened here, or somebody else owns it.
        StoreDamaged: it does not hold what was written to it.
    """

    def __init__(
        self,
        path: Path,
        *,
        owner: str = "a session",
        ttl_s: int = TTL_S,
        vfs: str | None = None,
        probe: Probe = unheard,
    ) -> None:
        self.place = Place(path)
        self.outlives = True
        self.beside: Path | None = self.place.mock
        self.probe = probe
        self.on_commit: Callable[[], None] = silent
        self._kill = KillFile(self.place.kill)
        self._file = StoreFile(self.place, owner=owner, ttl_ns=to_ns(ttl_s), vfs=vfs, probe=probe)
        self._tables = self._file.tables
        self._switch = self._file.switch
        self._passed: list[CrashPoint] = []

    # -- what is asked --------------------------------------------------------------------------------------

    def length(self) -> int:
        """Return how many records the journal holds."""
        return self._file.taken.sequence

    @property
    def taking(self) -> bool:
        """Return whether a change is being taken right now."""
        return self._file.taking

    def keys_held(self) -> int:
        """Return how many keys are kept with all their content."""
        counts = self._file.taken.counts
        return counts.orders - counts.purged

    def latest_ns(self) -> int:
        """Return the largest time of any record."""
        return self._file.taken.at_ns

    def complaint(self) -> str:
        """Return why the store takes nothing any more, or ""; it was checked when it was opened."""
        return self._file.finished

    def order_of(self, client_order_id: str) -> Order | None:
        """Return the order of a key as it was recorded last, or None.

        Raises:
            StoreDamaged: the row is not what was written.
        """
        with self._file.told():
            row = self._tables.order(client_order_id)
            return None if row is None else row.order

    def spent(self, client_order_id: str) -> bool:
        """Return whether a key was used and dropped."""
        with self._file.told():
            return bool(self._file.taken.counts.purged) and self._tables.spent(client_order_id)

    def live_orders(self) -> tuple[Order, ...]:
        """Return every order that has not ended, oldest first."""
        with self._file.told():
            return tuple(row.order for row in self._tables.live())

    def quarantined(self) -> tuple[Order, ...]:
        """Return the orders that only an operator can settle, and has not: no reset came after them; oldest first."""
        with self._file.told():
            return tuple(row.order for row in self._tables.unsettled())

    def orders_since(self, created_ns: int, most: int) -> tuple[Order, ...]:
        """Return the orders made after an instant, oldest first, at most so many of the newest."""
        found: list[Order] = []
        with self._file.told():
            for row in self._tables.newest():
                order = row.order
                if order.created_ns <= created_ns or len(found) >= most:
                    break
                found.append(order)
        return tuple(reversed(found))

    def execution_of(self, venue: str, account: str, fill_id: str) -> Fill | None:
        """Return a recorded execution, or None."""
        with self._file.told():
            return self._tables.fill(venue, account, fill_id)

    def account(self, venue: str, account: str) -> AccountBook | None:
        """Return the account as its last fill left it, or None where it was never opened."""
        with self._file.told():
            return self._tables.book(venue, account)

    def given_up(self, venue: str, account: str) -> AccountBook | None:
        """Return an account whose book a reset gave up, or None where nothing was filled."""
        with self._file.told():
            return self._tables.given_up(venue, account)

    def marks(self) -> Marks:
        """Return the last session that began, and its end."""
        with self._file.told():
            rows = self._file.db.execute(_MARKS).fetchall()
        last = [msgspec.json.decode(str(row[0]), type=SessionBegun | SessionDone) for row in rows]
        done = last[0] if last and isinstance(last[0], SessionDone) else None
        begun = next((mark for mark in last if isinstance(mark, SessionBegun)), None)
        return Marks(begun, done)

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return every recorded reset, oldest first."""
        with self._file.told():
            rows = self._file.db.execute(_RESETS).fetchall()
            return tuple(msgspec.json.decode(str(row[0]), type=OperatorReset) for row in rows)

    # -- what is taken --------------------------------------------------------------------------------------

    def claim(self, order: Order, say: Callable[[], None] = silent) -> ClaimResult:
        """Take the key, unless it is taken or the kill switch is set, which is looked at in the same transaction."""
        self.probe(CrashPoint.BEFORE_CLAIM)
        with self._file.transaction():
            row = self._tables.order(order.client_order_id)
            if row is not None:
                return ClaimResult.KNOWN if row.fingerprint == order.fingerprint else ClaimResult.CONFLICT
            if self.spent(order.client_order_id):
                return ClaimResult.SPENT
            if self._tables.switch()[0] or self._kill.reason():
                return ClaimResult.HALTED
            need_next_version(order, None)
            say()
            self._file.append(order, None, order.updated_ns, row)
        self._pass((CrashPoint.IN_CLAIM_TXN, CrashPoint.AFTER_CLAIM_COMMIT))
        return ClaimResult.CLAIMED

    def journal(self, order: Order, execution: Execution | None = None, say: Callable[[], None] = silent) -> None:
        """Take the order and its execution; ``say`` is called where nothing speaks against it.

        Raises:
            StoreRefused: nothing was taken, and the store is finished.
            InvariantBroken: ``journal_order`` or ``fill_repeated``; nothing was taken.
        """
        with self._file.transaction():
            row = self._tables.order(order.client_order_id)
            need_next_version(order, None if row is None else row.version)
            if execution is not None:
                need_new_execution(execution, known=self._knows(execution))
            say()
            self._file.append(order, execution, order.updated_ns, row)
        self._pass(point_of(order, execution))

    def keep_orphan(self, execution: Execution) -> None:
        """Take an execution that belongs to no order of ours; one that is known changes nothing."""
        with self._file.transaction():
            if not self._knows(execution):
                self._file.append(OrphanKept(execution.fill.client_order_id), execution)

    def open_account(self, venue: str, account: str, lines: tuple[AccountLine, ...]) -> None:
        """Take the lines with which an account begins."""
        with self._file.transaction():
            self._file.append(AccountOpened(venue, account, lines))

    def begin_session(self, mark: SessionBegun) -> None:
        """Take that a session begins."""
        with self._file.transaction():
            self._file.append(mark, None, mark.at_ns)

    def end_session(self, mark: SessionDone) -> None:
        """Take that the session has ended."""
        with self._file.transaction():
            self._file.append(mark, None, mark.at_ns)

    def purge(self, now_ns: int, held_open: tuple[str, ...]) -> int:
        """Take that keys past their time to live are dropped, each but for its digest; return how many."""
        now_ns, kept = max(now_ns, self._file.taken.at_ns), dict.fromkeys(held_open)
        old: list[str] = []
        with self._file.transaction():
            after, young = 0, False
            for _ in range(self._file.taken.counts.orders // _PURGE_MAX + 1):
                rows = self._tables.oldest(after, _PURGE_MAX)
                young = not rows or any(row.expires_ns > now_ns for row in rows)
                due = [row for row in rows if row.expires_ns <= now_ns and not row.live and row.key not in kept]
                old += [row.key for row in due[: _PURGE_MAX - len(old)]]
                if young or len(old) >= _PURGE_MAX:
                    break
                after = rows[-1].sequence
            if old:
                self._file.append(KeysPurged(tuple(old)))
        if old:
            self.probe(CrashPoint.IN_PURGE)
        return len(old)

    def note(self, line: bytes) -> None:
        """Keep an audit line with the change that is taken next, or with the commit."""
        self._file.note(line)

    def commit(self) -> None:
        """Make everything durable that was taken, then say so in the anchor.

        Raises:
            StoreRefused: the disk refused; the store is finished.
        """
        if self._file.commit():
            passed, self._passed = self._passed, []
            for point in passed:
                self.probe(point)
        self.on_commit()

    # -- the kill switch ------------------------------------------------------------------------------------

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch, as a file and as a row; one of the two is enough.

        Raises:
            StoreRefused: neither could be written.
        """
        kept = False
        with suppress(OSError):
            self._kill.engage(reason)
            kept = True
        if self._switch:
            return
        try:
            with self._file.transaction():
                self._file.append(SwitchSet(reason))
            self.commit()
            self._switch = reason
        except StoreRefused:
            if not kept:
                raise
        self.probe(CrashPoint.KILL_SWITCH_SET)

    def kill_switch(self) -> str:
        """Return why the kill switch is set, or ""."""
        return self._switch or self._kill.reason()

    def reset_kill_switch(self, operator: str, reason: str, now_ns: int, *, rebase: bool = False) -> None:
        """Release the kill switch on the word of a person, and record it; the row first, then the file.

        Raises:
            StoreRefused: the switch is not set, a name or a reason is missing, or it could not be recorded.
        """
        reset = reset_of(self.kill_switch(), operator, reason, now_ns, rebase=rebase)
        with self._file.transaction():
            self._file.append(reset)
        self.commit()
        self._switch = ""
        try:
            self._kill.release()
        except OSError as error:
            message = f"{self._kill.path}: cannot be removed, so the kill switch stays set: {error.strerror or error}"
            raise StoreRefused(message) from error

    # -- ending ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Commit, put the log into the database, unless there was an error, and let the next owner in.

        Raises:
            StoreRefused: the disk refused; what was acknowledged is in the log.
        """
        self._file.close()

    def _pass(self, points: tuple[CrashPoint, CrashPoint]) -> None:
        self.probe(points[0])
        self._passed.append(points[1])

    def _knows(self, execution: Execution) -> bool:
        return self._tables.fill(execution.venue, execution.account, execution.fill.fill_id) is not None
