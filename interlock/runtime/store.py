"""The store port: claims of keys, the order journal and the kill switch.

A claim is durable before the order leaves (IDM-2). ``MemoryStore`` keeps everything in the process, with a
checksum for each record of its journal, so that preflight can tell a sound store from a damaged one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol
from zlib import crc32

import msgspec

from interlock.domain.errors import InvariantBroken, StoreRefused
from interlock.domain.ids import canonical_json
from interlock.domain.orders import Order

__all__ = ["ClaimResult", "MemoryStore", "OperatorReset", "Store"]

_RECORDS_MAX: Final = 5_000_000


class ClaimResult(StrEnum):
    """What became of a claim."""

    CLAIMED = "claimed"
    KNOWN = "known"
    """The key is taken by the same content: never send again."""
    CONFLICT = "conflict"
    """The key is taken by other content."""


class OperatorReset(msgspec.Struct, frozen=True, tag_field="schema", tag="OperatorReset/1"):
    """Who released the kill switch, why, when, and what had set it."""

    operator: str
    reason: str
    at_ns: int
    was_set_by: str


class Store(Protocol):
    """Where keys, the journal and the kill switch live."""

    def complaint(self) -> str:
        """Return why the store cannot be trusted, or ""."""
        ...

    def fingerprint_of(self, client_order_id: str) -> str:
        """Return the content that a key was claimed for, or ""."""
        ...

    def claim(self, order: Order) -> ClaimResult:
        """Take the key of ``order`` for its content, durably, before anything is sent."""
        ...

    def journal(self, order: Order) -> None:
        """Record the order as it is now."""
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
        self._fingerprints: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._journal: list[Order] = []
        self._sums: list[int] = []
        self._kill_switch = ""
        self._resets: list[OperatorReset] = []

    def complaint(self) -> str:
        """Return "" when every journal record still has the checksum it was written with."""
        for at, (order, checksum) in enumerate(zip(self._journal, self._sums, strict=True)):
            if crc32(canonical_json(order)) != checksum:
                return f"journal record {at} does not match its checksum"
        return ""

    def fingerprint_of(self, client_order_id: str) -> str:
        """Return the content that a key was claimed for, or ""."""
        return self._fingerprints.get(client_order_id, "")

    def claim(self, order: Order) -> ClaimResult:
        """Take the key, unless it is taken."""
        known = self._fingerprints.get(order.client_order_id)
        if known is None:
            self._fingerprints[order.client_order_id] = order.fingerprint
            self.journal(order)
            return ClaimResult.CLAIMED
        return ClaimResult.KNOWN if known == order.fingerprint else ClaimResult.CONFLICT

    def journal(self, order: Order) -> None:
        """Append one record.

        Raises:
            StoreRefused: the journal is full.
            InvariantBroken: ``journal_order``: the record is not the next version of its order.
        """
        key = order.client_order_id
        expected = self._versions.get(key, -1) + 1
        if order.version != expected:
            code = "journal_order"
            evidence = {"client_order_id": key, "expected": expected, "version": order.version}
            raise InvariantBroken(code, "a journal record skips or repeats a version", evidence)
        if len(self._journal) >= _RECORDS_MAX:
            message = f"the journal holds {_RECORDS_MAX} records and takes no more"
            raise StoreRefused(message)
        self._versions[key] = expected
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
        if not self._kill_switch:
            message = "the kill switch is not set"
            raise StoreRefused(message)
        if not operator.strip() or not reason.strip():
            message = "a reset names its operator and its reason"
            raise StoreRefused(message)
        self._resets.append(OperatorReset(operator, reason, now_ns, self._kill_switch))
        self._kill_switch = ""

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return every recorded reset, oldest first."""
        return tuple(self._resets)
