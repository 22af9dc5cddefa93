"""The store port: claims of keys, the order journal, executions and the kill switch.

A claim is durable before the order leaves (IDM-2). ``MemoryStore`` keeps everything in the process, with a
checksum for each record of its journal, so that preflight can tell a sound store from a damaged one;
``SqliteStore`` keeps the same on disk.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol
from zlib import crc32

import msgspec

from interlock.domain.broker import Fill
from interlock.domain.errors import InvariantBroken, StoreRefused
from interlock.domain.ids import canonical_json
from interlock.domain.orders import Order

__all__ = [
    "ClaimResult",
    "Execution",
    "MemoryStore",
    "OperatorReset",
    "Store",
    "need_new_execution",
    "need_next_version",
    "reset_of",
]

_RECORDS_MAX: Final = 5_000_000


class ClaimResult(StrEnum):
    """What became of a claim."""

    CLAIMED = "claimed"
    KNOWN = "known"
    """The key is taken by the same content: never send again."""
    CONFLICT = "conflict"
    """The key is taken by other content."""
    HALTED = "halted"
    """The kill switch is set: nothing is claimed."""


class Execution(msgspec.Struct, frozen=True):
    """One fill with the account that it belongs to: (venue, account, fill id) happens once."""

    venue: str
    account: str
    fill: Fill


class OperatorReset(msgspec.Struct, frozen=True, tag_field="schema", tag="OperatorReset/1"):
    """Who released the kill switch, why, when, and what had set it."""

    operator: str
    reason: str
    at_ns: int
    was_set_by: str


class Store(Protocol):
    """Where keys, the journal and the kill switch live."""

    def length(self) -> int:
        """Return how many records there are; it only grows."""
        ...

    def complaint(self) -> str:
        """Return why the store cannot be trusted, or ""."""
        ...

    def order_of(self, client_order_id: str) -> Order | None:
        """Return the order that a key was claimed for, as it was recorded last, or None for a new key."""
        ...

    def claim(self, order: Order) -> ClaimResult:
        """Take the key of ``order`` for its content, durably, before anything is sent."""
        ...

    def journal(self, order: Order, execution: Execution | None = None) -> None:
        """Record the order as it is now, and the execution that made it so, both or neither."""
        ...

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch; it stays set."""
        ...

    def kill_switch(self) -> str:
        """Return why the kill switch is set, or ""."""
        ...

    def reset_kill_switch(self, operator: str, reason: str, now_ns: int) -> None:
        """Release the kill switch on the word of a person, and record it."""
        ...

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return every recorded reset, oldest first."""
        ...


class MemoryStore:
    """A store that lives as long as its process."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._executions: dict[tuple[str, str, str], Fill] = {}
        self._journal: list[Order] = []
        self._sums: list[int] = []
        self._kill_switch = ""
        self._resets: list[OperatorReset] = []

    def length(self) -> int:
        """Return how many records the journal holds."""
        return len(self._journal)

    def complaint(self) -> str:
        """Return "" when every journal record still has the checksum it was written with."""
        for at, (order, checksum) in enumerate(zip(self._journal, self._sums, strict=True)):
            if crc32(canonical_json(order)) != checksum:
                return f"journal record {at} does not match its checksum"
        return ""

    def order_of(self, client_order_id: str) -> Order | None:
        """Return the order of a key as it was recorded last, or None."""
        return self._orders.get(client_order_id)

    def claim(self, order: Order) -> ClaimResult:
        """Take the key, unless it is taken or the kill switch is set."""
        known = self._orders.get(order.client_order_id)
        if known is not None:
            return ClaimResult.KNOWN if known.fingerprint == order.fingerprint else ClaimResult.CONFLICT
        if self._kill_switch:
            return ClaimResult.HALTED
        self.journal(order)
        return ClaimResult.CLAIMED

    def journal(self, order: Order, execution: Execution | None = None) -> None:
        """Append one record.

        Raises:
            StoreRefused: the journal is full.
            InvariantBroken: ``journal_order``: the record is not the next version of its order; ``fill_repeated``: the
                execution is recorded already.
        """
        key = order.client_order_id
        known = self._orders.get(key)
        need_next_version(order, 0 if known is None else known.version + 1)
        if execution is not None:
            account = (execution.venue, execution.account, execution.fill.fill_id)
            need_new_execution(execution, known=account in self._executions)
        if len(self._journal) >= _RECORDS_MAX:
            message = f"the journal holds {_RECORDS_MAX} records and takes no more"
            raise StoreRefused(message)
        if execution is not None:
            self._executions[account] = execution.fill
        self._orders[key] = order
        self._journal.append(order)
        self._sums.append(crc32(canonical_json(order)))

    def records(self) -> tuple[Order, ...]:
        """Return the journal, oldest first."""
        return tuple(self._journal)

    def engage_kill_switch(self, reason: str) -> None:
        """Set the kill switch; the first reason is kept."""
        self._kill_switch = self._kill_switch or reason

    def kill_switch(self) -> str:
        """Return why the kill switch is set, or ""."""
        return self._kill_switch

    def reset_kill_switch(self, operator: str, reason: str, now_ns: int) -> None:
        """Release the kill switch on the word of a person, and record it.

        Raises:
            StoreRefused: the switch is not set, or the operator or the reason is missing.
        """
        self._resets.append(reset_of(self._kill_switch, operator, reason, now_ns))
        self._kill_switch = ""

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return every recorded reset, oldest first."""
        return tuple(self._resets)


# -- what every store holds to ------------------------------------------------------------------------------


def need_next_version(order: Order, expected: int) -> None:
    """Raise the ``InvariantBroken`` of a record that skips or repeats a version of its order."""
    if order.version != expected:
        code = "journal_order"
        evidence = {"client_order_id": order.client_order_id, "expected": expected, "version": order.version}
        raise InvariantBroken(code, "a journal record skips or repeats a version", evidence)


def need_new_execution(execution: Execution, *, known: bool) -> None:
    """Raise the ``InvariantBroken`` of an execution that is recorded already."""
    if known:
        code = "fill_repeated"
        evidence = {"client_order_id": execution.fill.client_order_id, "fill_id": execution.fill.fill_id}
        raise InvariantBroken(code, "an execution that the store holds already was booked again", evidence)


def reset_of(kill_switch: str, operator: str, reason: str, now_ns: int) -> OperatorReset:
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
    return OperatorReset(operator, reason, now_ns, kill_switch)
