"""The order journal folded into our side: our orders, our executions, our positions, our cash.

The journal is our own. A journal that does not follow from itself (a version left out, content that changes, a state
that cannot come after the one before, a quantity that no execution explains) was damaged or was not written by an
engine, so it is refused as bad input: nothing could be concluded from it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from interlock.domain.errors import BadInput
from interlock.domain.findings import FindingKind
from interlock.domain.instants import from_datetime
from interlock.domain.ledgers import AccountLedger
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.order_states import ORDER_TABLE
from interlock.domain.orders import Order
from interlock.prove.executions import Execution, Executions, Known
from interlock.prove.notes import Notes
from interlock.prove.pairs import Pair, Pairs
from interlock.prove.records import FillOfVersion, OrderVersion, above_zero, any_sign, not_negative

__all__ = ["EngineSide"]

_STEPS: Final = frozenset((before, after) for (before, _), after in ORDER_TABLE.rows.items())
"""The pairs of states that one fact can lead through."""

Reconciled = Callable[[Execution, Pair], None]


class EngineSide:
    """Takes the records of the order journal, one by one. ``reconciled`` is told of what both sides know."""

    def __init__(
        self,
        pairs: Pairs,
        executions: Executions,
        notes: Notes,
        ledger: AccountLedger,
        reconciled: Reconciled,
    ) -> None:
        self.ledger = ledger
        self._pairs = pairs
        self._executions = executions
        self._notes = notes
        self._reconciled = reconciled

    def take(self, record: OrderVersion) -> None:
        """Take one record; raises BadInput for one that does not follow from those before it."""
        pair = self._pairs.of(record.client_order_id)
        before = pair.ours
        order = _order_of(record, before)
        execution = None if record.fill is None else _execution_of(record, record.fill)
        added = ZERO if execution is None else execution.quantity
        if before is not None:
            _check_next(before, order, added)
        elif order.filled < added:
            raise BadInput("key filled", "is less than the fill that it holds", decimal_text(added))
        pair.ours = order
        if pair.theirs is not None:
            fault = pair.theirs.borrow(order)
            if fault:
                self._notes.order(FindingKind.STATUS_MISMATCH, order.client_order_id, fault, order.symbol)
        if execution is not None:
            self._book(execution, pair)
        self._pairs.settle(order.client_order_id, pair)

    def _book(self, execution: Execution, pair: Pair) -> None:
        known = self._executions.known_here(execution)
        self.ledger.book(execution)
        if known is not Known.NEW:
            kind = FindingKind.FILL_DUPLICATED if known is Known.REPEATED else FindingKind.FILL_CONFLICTING
            self._notes.execution(kind, execution, "our journal books it a second time")
            return
        there = self._executions.add_here(execution)
        if there is None:
            pair.waiting += 1
        else:
            pair.waiting -= 1
            self._reconciled(there, pair)


def _order_of(record: OrderVersion, before: Order | None) -> Order:
    now_ns = from_datetime(record.ts)
    limit, reference = record.limit_price, record.reference_price
    order = Order(
        record.client_order_id,
        record.decision_id,
        record.fingerprint,
        record.symbol,
        record.side,
        record.order_type,
        above_zero(record.quantity, "quantity"),
        None if limit is None else above_zero(limit, "limit_price"),
        None if reference is None else above_zero(reference, "reference_price"),
        record.time_in_force,
        created_ns=(before.created_ns if before is not None else 0) or now_ns,
        updated_ns=now_ns,
        state=record.state,
        broker_order_id=record.broker_order_id,
        filled=not_negative(record.filled, "filled"),
        version=record.version,
    )
    if order.filled > order.quantity:
        raise BadInput("key filled", "is above the quantity ordered", f"at most {decimal_text(order.quantity)}")
    return order


def _execution_of(record: OrderVersion, fill: FillOfVersion) -> Execution:
    return Execution(
        fill.execution_id,
        record.client_order_id,
        record.broker_order_id or "",
        record.symbol,
        record.side,
        above_zero(fill.quantity, "fill.quantity"),
        above_zero(fill.price, "fill.price"),
        any_sign(fill.fee, "fill.fee"),
        fill.fee_currency,
        record.ts,
    )


def _check_next(before: Order, after: Order, added: Decimal) -> None:
    """Refuse a version that does not follow from the one before it."""
    if after.version != before.version + 1:
        raise BadInput("key version", f"{after.version} follows {before.version}", f"{before.version + 1}")
    for key in ("symbol", "side", "quantity"):
        if getattr(after, key) != getattr(before, key):
            raise BadInput(f"key {key}", "is not what the version before it has", "content that never changes")
    if before.fingerprint and (before.fingerprint, before.decision_id) != (after.fingerprint, after.decision_id):
        raise BadInput("key fingerprint", "is not what the version before it has", "content that never changes")
    if (before.state, after.state) not in _STEPS:
        raise BadInput("key state", f"no fact leads from {before.state} to {after.state}", "a step of the order table")
    if after.filled != before.filled + added:
        what = f"{decimal_text(after.filled)} after {decimal_text(before.filled)} and a fill of {decimal_text(added)}"
        raise BadInput("key filled", what, decimal_text(before.filled + added))
