"""Executions of both sides, matched by their id as they come; what both sides know leaves a digest and nothing else.

An execution that only one side has told so far waits here. Once both have told the same, 16 bytes of its id and 16
of its content are kept, so that a repeat is known for one, and so is the same id with other content.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from hashlib import blake2b

import msgspec

from interlock.domain.broker import FeeCurrency, Fill
from interlock.domain.intents import Side
from interlock.domain.money import decimal_text

__all__ = ["Execution", "Executions", "Known", "digest"]


def digest(text: str) -> bytes:
    """Return 16 bytes that stand for a text."""
    return blake2b(text.encode(), digest_size=16).digest()


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One execution as either side tells it. ``ts`` is when that side did so."""

    execution_id: str
    client_order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: FeeCurrency
    ts: datetime

    @property
    def content(self) -> str:
        """Return what both sides have to agree on, as one text."""
        numbers = (decimal_text(self.quantity), decimal_text(self.price), decimal_text(self.fee))
        return "|".join((self.client_order_id, self.symbol, self.side, self.fee_currency, *numbers))

    def told(self) -> Fill:
        """Return it in the words of the reconciler, without what the two sides need not agree on."""
        return Fill(
            fill_id=self.execution_id,
            client_order_id=self.client_order_id,
            broker_order_id="-",
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            price=self.price,
            fee=self.fee,
            fee_currency=self.fee_currency,
            ts_ns=0,
            cursor=0,
        )


class Known(Enum):
    """What is known of an execution before it is taken."""

    NEW = auto()
    REPEATED = auto()
    CONFLICTING = auto()


class Executions:
    """All executions of a proof."""

    def __init__(self) -> None:
        self.here: dict[str, Execution] = {}
        """Told by our journal alone so far."""
        self.there: dict[str, Execution] = {}
        """Told by the broker alone so far, or by both in two ways: then it is in ``here`` as well."""
        self.matched = 0
        self._seen: dict[bytes, bytes] = {}

    def known_there(self, execution: Execution) -> Known:
        """Return whether the broker has told this execution before."""
        return self._known(execution, self.there)

    def known_here(self, execution: Execution) -> Known:
        """Return whether our journal has told this execution before."""
        return self._known(execution, self.here)

    def _known(self, execution: Execution, pending: dict[str, Execution]) -> Known:
        waiting = pending.get(execution.execution_id)
        if waiting is not None:
            return Known.REPEATED if waiting.content == execution.content else Known.CONFLICTING
        content = self._seen.get(digest(execution.execution_id))
        if content is None:
            return Known.NEW
        return Known.REPEATED if content == digest(execution.content) else Known.CONFLICTING

    def add_there(self, execution: Execution) -> bool:
        """Take a new execution of the broker; return whether our journal has told the same already."""
        return self._add(execution, self.there, self.here)

    def add_here(self, execution: Execution) -> Execution | None:
        """Take a new execution of our journal; return the broker's where the broker has told the same already."""
        there = self.there.get(execution.execution_id)
        return there if self._add(execution, self.here, self.there) else None

    def _add(self, execution: Execution, own: dict[str, Execution], other: dict[str, Execution]) -> bool:
        twin = other.get(execution.execution_id)
        if twin is None or twin.content != execution.content:
            own[execution.execution_id] = execution
            return False
        del other[execution.execution_id]
        self.matched += 1
        self.remember(execution)
        return True

    def remember(self, execution: Execution) -> None:
        """Keep only the digests of an execution: it needs no match any more."""
        self._seen[digest(execution.execution_id)] = digest(execution.content)
