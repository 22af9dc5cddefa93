"""The store port: keys, the order journal, executions, the account's book, the audit and the kill switch.

A change is taken first and durable later: ``claim``, ``journal`` and the others take it, ``commit`` makes everything
that was taken durable at once, all of it or nothing, with the audit lines that were noted for it. What must not happen
before a change is durable (an order leaving, a host being told) waits for the commit. ``MemoryStore`` keeps all of it
in the process and ``SqliteStore`` on disk; one suite of tests holds both to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from interlock.domain.account_book import AccountBook, AccountLine
from interlock.domain.broker import Fill
from interlock.domain.errors import InvariantBroken, StoreRefused
from interlock.domain.orders import Order
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.runtime.crash_points import CrashPoint, Probe
from interlock.runtime.store_changes import Execution, Marks, OperatorReset

__all__ = [
    "FIRST_VERSIONS",
    "TTL_S",
    "ClaimResult",
    "Store",
    "need_new_execution",
    "need_next_version",
    "point_of",
    "reset_of",
    "silent",
]

FIRST_VERSIONS: Final = (0, 1)
"""An order is claimed as it is sent, or, by a host that claims ahead, as it was made."""


TTL_S: Final = 48 * 3600
"""How long after its making a key is kept with all its content; of an older one that has ended a digest is."""


class ClaimResult(StrEnum):
    """What became of a claim."""

    CLAIMED = "claimed"
    KNOWN = "known"
    """The key is taken by the same content: never send again."""
    CONFLICT = "conflict"
    """The key is taken by other content."""
    SPENT = "spent"
    """The key was used long ago; what for is no longer kept, and it is never used again."""
    HALTED = "halted"
    """The kill switch is set: nothing is claimed."""


class Store(Protocol):
    """Where everything lives that must outlive a session. Changes are durable after ``commit``."""

    outlives: bool
    """Whether what is committed is there after the process has ended."""

    beside: Path | None
    """A file beside the store, for the book of a mock broker that outlives the process as well; None: in memory."""

    probe: Probe
    """Told each named crash point that is passed."""

    on_commit: Callable[[], None]
    """Called after each commit, also where there was nothing to commit."""

    @property
    def taking(self) -> bool:
        """Whether a change is being taken right now: until it is, nothing may be committed."""
        ...

    def length(self) -> int:
        """Return how many records there are, taken ones included; it only grows."""
        ...

    def keys_held(self) -> int:
        """Return how many keys are kept with all their content."""
        ...

    def latest_ns(self) -> int:
        """Return the largest time of any record: what comes later must not be earlier."""
        ...

    def complaint(self) -> str:
        """Return why the store cannot be trusted, or ""."""
        ...

    # -- orders and the account ---------------------------------------------------------------------------------

    def order_of(self, client_order_id: str) -> Order | None:
        """Return the order that a key was claimed for, as it was recorded last, or None for a key that is not held."""
        ...

    def spent(self, client_order_id: str) -> bool:
        """Return whether a key was used and dropped: it is never used again."""
        ...

    def live_orders(self) -> tuple[Order, ...]:
        """Return every order that has not ended, oldest first."""
        ...

    def orders_since(self, created_ns: int, most: int) -> tuple[Order, ...]:
        """Return the orders made after an instant, oldest first, at most so many of the newest."""
        ...

    def claim(self, order: Order, say: Callable[[], None] = ...) -> ClaimResult:
        """Take the key of ``order`` for its content. ``say`` is called where it is free, to note what goes with it."""
        ...

    def journal(self, order: Order, execution: Execution | None = None, say: Callable[[], None] = ...) -> None:
        """Take the order as it is now, and the execution that made it so; ``say`` as with ``claim``."""
        ...

    def keep_orphan(self, execution: Execution) -> None:
        """Take an execution that belongs to no order of ours; one that is known changes nothing."""
        ...

    def execution_of(self, venue: str, account: str, fill_id: str) -> Fill | None:
        """Return a recorded execution, or None."""
        ...

    def open_account(self, venue: str, account: str, lines: tuple[AccountLine, ...]) -> None:
        """Take the lines with which an account begins."""
        ...

    def account(self, venue: str, account: str) -> AccountBook | None:
        """Return the account as its last fill left it, or None where it was never opened."""
        ...

    def given_up(self, venue: str, account: str) -> AccountBook | None:
        """Return an account whose book a reset gave up: the line of its last fill alone, and the fills above it.

        The broker goes on telling those fills: they must stay known. None where nothing was filled.
        """
        ...

    # -- what goes with changes ---------------------------------------------------------------------------------

    def note(self, line: bytes) -> None:
        """Keep an audit line with the change that is taken next, or with the commit."""
        ...

    def commit(self) -> None:
        """Make everything durable that was taken; nothing else is acknowledged.

        Raises:
            StoreRefused: nothing of it is, as far as anybody knows, and the store is finished.
        """
        ...

    # -- sessions and the kill switch ---------------------------------------------------------------------------

    def begin_session(self, mark: SessionBegun) -> None:
        """Take that a session begins."""
        ...

    def end_session(self, mark: SessionDone) -> None:
        """Take that the session has ended."""
        ...

    def marks(self) -> Marks:
        """Return the last session that began, and its end."""
        ...

    def purge(self, now_ns: int, held_open: tuple[str, ...]) -> int:
        """Take that keys past their time to live are dropped, each but for its digest; return how many.

        Never those of orders that have not ended, nor of ``held_open``: those that the broker has open.
        """
        ...

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch, durably, with all that was taken; it stays set."""
        ...

    def kill_switch(self) -> str:
        """Return why the kill switch is set, or ""."""
        ...

    def reset_kill_switch(self, operator: str, reason: str, now_ns: int, *, rebase: bool = False) -> None:
        """Release the kill switch on the word of a person, durably; ``rebase`` gives the account's book up, too."""
        ...

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return every recorded reset, oldest first."""
        ...


# -- what every store holds to ------------------------------------------------------------------------------


def silent() -> None:
    """Say nothing."""


def need_next_version(order: Order, known: int | None) -> None:
    """Raise the ``InvariantBroken`` of a record that skips or repeats a version of its order (None: a new key)."""
    expected = FIRST_VERSIONS if known is None else (known + 1,)
    if order.version not in expected:
        code = "journal_order"
        evidence = {"client_order_id": order.client_order_id, "expected": expected[-1], "version": order.version}
        raise InvariantBroken(code, "a journal record skips or repeats a version", evidence)


def need_new_execution(execution: Execution, *, known: bool) -> None:
    """Raise the ``InvariantBroken`` of an execution that is recorded already."""
    if known:
        code = "fill_repeated"
        evidence = {"client_order_id": execution.fill.client_order_id, "fill_id": execution.fill.fill_id}
        raise InvariantBroken(code, "an execution that the store holds already was booked again", evidence)


def reset_of(kill_switch: str, operator: str, reason: str, now_ns: int, *, rebase: bool = False) -> OperatorReset:
    """Return the record of a reset.

    Raises:
        StoreRefused: the switch is not set, or the operator or the reason is missing.
    """
    if not kill_switch:
        message = "the kill switch is not set"
        raise StoreRefused(message)
    if not operator.strip() or not reason.strip():
        message = "a reset names its operator and its reason"
        raise StoreRefused(message)
    return OperatorReset(operator, reason, now_ns, kill_switch, rebase)


_ACK: Final = (CrashPoint.IN_ACK_TXN, CrashPoint.AFTER_ACK_COMMIT)
_CLOSE: Final = (CrashPoint.IN_CLOSE_TXN, CrashPoint.AFTER_CLOSE_COMMIT)
_FILL: Final = (CrashPoint.IN_FILL_TXN, CrashPoint.AFTER_FILL_COMMIT)


def point_of(order: Order, execution: Execution | None) -> tuple[CrashPoint, CrashPoint]:
    """Return the crash points in and after the transaction of a change."""
    return _FILL if execution is not None else _ACK if order.live else _CLOSE
