"""The broker's log folded into the broker's side: its orders, its executions, its positions, its cash.

A statement about a position or the cash replaces what was known, and executions after it go on from there. A repeat of
a known execution changes nothing and is counted. An execution that cannot be true (its id is known with other content,
it is larger than its order, its order is another one's) is a finding and is booked nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from interlock.domain.broker import PositionLine
from interlock.domain.findings import FindingKind
from interlock.domain.ledgers import AccountLedger, Position
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.prove.executions import Execution, Executions, Known
from interlock.prove.notes import Notes
from interlock.prove.pairs import ENDED, Pair, Pairs, TheirOrder
from interlock.prove.records import (
    BrokerAccepted,
    BrokerCancelled,
    BrokerCash,
    BrokerEvent,
    BrokerExpired,
    BrokerFill,
    BrokerOpenOrder,
    BrokerPosition,
    BrokerRejected,
    above_zero,
    any_sign,
    not_negative,
)

__all__ = ["BrokerSide"]

Reconciled = Callable[[Execution, Pair], None]


class _StatedLedger(AccountLedger):
    """A ledger whose positions can be replaced by what the broker says they are."""

    def state(self, position: Position) -> None:
        """Replace one position."""
        self._positions[position.symbol] = position


class BrokerSide:
    """Takes the records of the broker's log, one by one. ``reconciled`` is told of what both sides know."""

    def __init__(
        self,
        pairs: Pairs,
        executions: Executions,
        notes: Notes,
        opening: dict[str, Decimal],
        reconciled: Reconciled,
    ) -> None:
        self.cash_told = False
        """Whether the broker has said anything about cash."""
        self.ledger = _StatedLedger(ZERO, opening)
        self._pairs = pairs
        self._executions = executions
        self._notes = notes
        self._reconciled = reconciled
        self._priced: dict[str, bool] = {}
        self._handlers: Final[dict[type[BrokerEvent], Callable[[Any], None]]] = {
            BrokerAccepted: self._accepted,
            BrokerFill: self._filled,
            BrokerCancelled: self._ended,
            BrokerExpired: self._ended,
            BrokerRejected: self._rejected,
            BrokerOpenOrder: self._open,
            BrokerPosition: self._position,
            BrokerCash: self._cash,
        }

    def take(self, event: BrokerEvent) -> None:
        """Take one record; raises BadInput for a number that is none."""
        self._handlers[type(event)](event)

    def positions(self) -> tuple[PositionLine, ...]:
        """Return the broker's positions; prices are those that the broker told, moved on by its executions."""
        return tuple(
            PositionLine(
                symbol=held.symbol,
                quantity=held.quantity,
                average_price=held.average_price if self._priced.get(held.symbol) else None,
            )
            for held in self.ledger.positions()
        )

    # -- orders ---------------------------------------------------------------------------------------------------

    def _order(self, key: str) -> tuple[Pair, TheirOrder]:
        pair = self._pairs.of(key)
        if pair.theirs is None:
            pair.theirs = TheirOrder(key)
        if pair.ours is not None:
            self._object(pair.theirs, pair.theirs.borrow(pair.ours))
        return pair, pair.theirs

    def _object(self, theirs: TheirOrder, fault: str) -> None:
        if fault:
            self._notes.order(FindingKind.STATUS_MISMATCH, theirs.key, fault, theirs.symbol)

    def _introduce(self, theirs: TheirOrder, event: BrokerAccepted | BrokerOpenOrder) -> None:
        price = None if event.limit_price is None else above_zero(event.limit_price, "limit_price")
        quantity = above_zero(event.quantity, "quantity")
        self._object(theirs, theirs.introduce(event.symbol, event.side, quantity, price, event.broker_order_id))

    def _accepted(self, event: BrokerAccepted) -> None:
        pair, theirs = self._order(event.client_order_id)
        self._introduce(theirs, event)
        self._object(theirs, theirs.apply(OrderEvent.ACCEPT))
        self._pairs.settle(theirs.key, pair)

    def _open(self, event: BrokerOpenOrder) -> None:
        pair, theirs = self._order(event.client_order_id)
        is_first = theirs.state is OrderState.SENT
        self._introduce(theirs, event)
        if theirs.state in ENDED:
            self._object(theirs, f"stated as open after it was {theirs.state}")
        else:
            self._object(theirs, theirs.apply(OrderEvent.ACCEPT))
        filled = not_negative(event.filled, "filled")
        if is_first:  # what was filled before the log begins
            theirs.filled = filled
        self._tell(theirs, filled)
        self._pairs.settle(theirs.key, pair)

    def _ended(self, event: BrokerCancelled | BrokerExpired) -> None:
        pair, theirs = self._order(event.client_order_id)
        ends = OrderEvent.CANCEL_ACK if isinstance(event, BrokerCancelled) else OrderEvent.EXPIRE
        self._object(theirs, theirs.apply(ends))
        self._tell(theirs, not_negative(event.filled, "filled"))
        self._pairs.settle(theirs.key, pair)

    def _rejected(self, event: BrokerRejected) -> None:
        pair, theirs = self._order(event.client_order_id)
        if theirs.state not in (OrderState.SENT, OrderState.REJECTED):
            self._notes.count("reject_after_ack")
        self._object(theirs, theirs.apply(OrderEvent.REJECT))
        self._pairs.settle(theirs.key, pair)

    def _tell(self, theirs: TheirOrder, filled: Decimal) -> None:
        """Take the cumulative quantity that the broker tells; whether its fills sum to it shows at the end."""
        if theirs.told is not None and filled < theirs.told:
            what = f"the cumulative quantity goes down from {decimal_text(theirs.told)} to {decimal_text(filled)}"
            self._notes.order(FindingKind.PARTIAL_FILL_MISMATCH, theirs.key, what, theirs.symbol)
        theirs.told = filled

    # -- executions -------------------------------------------------------------------------------------------------

    def _filled(self, event: BrokerFill) -> None:
        execution = Execution(
            event.execution_id,
            event.client_order_id,
            event.broker_order_id,
            event.symbol,
            event.side,
            above_zero(event.quantity, "quantity"),
            above_zero(event.price, "price"),
            any_sign(event.fee, "fee"),
            event.fee_currency,
            event.ts,
        )
        known = self._executions.known_there(execution)
        if known is Known.REPEATED:
            self._notes.count("duplicates")
        elif known is Known.CONFLICTING:
            self._notes.execution(FindingKind.FILL_CONFLICTING, execution, "its id is known with other content")
        else:
            self._book(execution)

    def _book(self, execution: Execution) -> None:
        pair, theirs = self._order(execution.client_order_id)
        if theirs.state is OrderState.SENT:
            self._notes.count("fill_before_ack")
        elif theirs.state in ENDED:
            self._notes.count("fill_after_end")
        fault = theirs.fill(execution.symbol, execution.side, execution.quantity)
        if fault:
            self._notes.execution(FindingKind.FILL_CONFLICTING, execution, fault)
            self._executions.remember(execution)
            return
        self.ledger.book(execution)
        if self._executions.add_there(execution):
            pair.waiting -= 1
            self._reconciled(execution, pair)
        else:
            pair.waiting += 1
        self._pairs.settle(theirs.key, pair)

    # -- statements -------------------------------------------------------------------------------------------------

    def _position(self, event: BrokerPosition) -> None:
        price = None if event.average_price is None else above_zero(event.average_price, "average_price")
        self.ledger.state(Position(event.symbol, any_sign(event.quantity, "quantity"), price))
        self._priced[event.symbol] = price is not None

    def _cash(self, event: BrokerCash) -> None:
        self.ledger.cash = any_sign(event.amount, "amount")
        self.cash_told = True
