"""What can happen to a store: the changes, each a record of its journal, and what a list of them amounts to.

Both stores write these records, and a journal that was exported is these records in order. Every kind is a struct with
a tag of its own, so that a record can be read back without being told what it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from interlock.domain.account_book import AccountLine
from interlock.domain.broker import Fill
from interlock.domain.order_states import TERMINAL_ORDER_STATES
from interlock.domain.orders import Order
from interlock.domain.restart import SessionBegun, SessionDone

__all__ = [
    "AccountOpened",
    "Change",
    "Execution",
    "KeysPurged",
    "Marks",
    "OperatorReset",
    "OrphanKept",
    "StoreState",
    "SwitchSet",
    "Told",
    "digest_of",
    "ended",
]


class Execution(msgspec.Struct, frozen=True):
    """One fill with the account that it belongs to: (venue, account, fill id) happens once.

    ``line`` is the account's line as the fill makes it; None for a fill that is kept and not booked.
    """

    venue: str
    account: str
    fill: Fill
    line: AccountLine | None = None


class AccountOpened(msgspec.Struct, frozen=True, tag_field="schema", tag="AccountOpened/1"):
    """The lines with which an account begins."""

    venue: str
    account: str
    lines: tuple[AccountLine, ...]


class OrphanKept(msgspec.Struct, frozen=True, tag_field="schema", tag="OrphanKept/1"):
    """An execution that belongs to no order of ours; it stands beside this record."""

    client_order_id: str


class SwitchSet(msgspec.Struct, frozen=True, tag_field="schema", tag="SwitchSet/1"):
    """The kill switch was set."""

    reason: str


class OperatorReset(msgspec.Struct, frozen=True, tag_field="schema", tag="OperatorReset/1"):
    """Who released the kill switch, why, when, and what had set it; whether the account's book was given up as well."""

    operator: str
    reason: str
    at_ns: int
    was_set_by: str
    rebased: bool = False


class KeysPurged(msgspec.Struct, frozen=True, tag_field="schema", tag="KeysPurged/1"):
    """Keys whose orders were dropped; of each a digest stays."""

    keys: tuple[str, ...]


class Told(msgspec.Struct, frozen=True, tag_field="schema", tag="Told/1"):
    """Nothing changed: audit lines that go with no change."""


Change = Order | AccountOpened | OrphanKept | SwitchSet | OperatorReset | KeysPurged | SessionBegun | SessionDone | Told


class Marks(msgspec.Struct, frozen=True):
    """The last session that began on the store, and its end, if it had one."""

    begun: SessionBegun | None = None
    done: SessionDone | None = None


def ended(order: Order) -> bool:
    """Return whether nothing more is expected of an order."""
    return order.state in TERMINAL_ORDER_STATES


def digest_of(key: str) -> bytes:
    """Return the sixteen bytes that are kept of a key for ever."""
    return hashlib.sha256(key.encode()).digest()[:16]


class StoreState:
    """What the records of a journal amount to."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}
        self.fills: dict[tuple[str, str, str], Fill] = {}
        self.lines: dict[tuple[str, str], dict[str, AccountLine]] = {}
        self.last: dict[tuple[str, str], AccountLine] = {}
        """The line that the last fill of an account made; a reset does not give it up."""
        self.spent: dict[bytes, None] = {}
        self.switch = ""
        self.resets: list[OperatorReset] = []
        self.marks = Marks()
        self.latest_ns = 0
        self._folds: dict[type[Any], Callable[[Any], None]] = {
            Order: self._order,
            AccountOpened: self._opened,
            SwitchSet: self._switched,
            OperatorReset: self._reset,
            KeysPurged: self._purged,
            SessionBegun: self._begun,
            SessionDone: self._done,
        }

    def fold(self, change: Change, execution: Execution | None) -> None:
        """Take one record in."""
        folded = self._folds.get(type(change))
        if folded is not None:
            folded(change)
        if execution is not None:
            self._filled(execution)

    def _order(self, order: Order) -> None:
        key = order.client_order_id
        self.orders[key] = order
        if order.updated_ns > self.latest_ns:
            self.latest_ns = order.updated_ns
        if ended(order):
            self.live.pop(key, None)
        else:
            self.live[key] = order

    def _filled(self, execution: Execution) -> None:
        fill, line = execution.fill, execution.line
        self.fills[execution.venue, execution.account, fill.fill_id] = fill
        if line is not None:
            self.last[execution.venue, execution.account] = line
            self.lines.setdefault((execution.venue, execution.account), {})[line.symbol] = line

    def _opened(self, change: AccountOpened) -> None:
        self.lines[change.venue, change.account] = {line.symbol: line for line in change.lines}

    def _switched(self, change: SwitchSet) -> None:
        self.switch = change.reason

    def _reset(self, change: OperatorReset) -> None:
        self.switch = ""
        self.resets.append(change)
        if change.rebased:
            self.lines.clear()

    def _purged(self, change: KeysPurged) -> None:
        for key in change.keys:
            del self.orders[key]
            self.spent[digest_of(key)] = None

    def _begun(self, change: SessionBegun) -> None:
        self.marks = Marks(change)
        self.latest_ns = max(self.latest_ns, change.at_ns)

    def _done(self, change: SessionDone) -> None:
        self.marks = Marks(self.marks.begun, change)
        self.latest_ns = max(self.latest_ns, change.at_ns)
