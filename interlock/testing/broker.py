"""The broker of a test: which faults its sessions meet, and its own book of what happened."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from interlock.domain.broker import BrokerOrder, Fill
from interlock.domain.errors import BadInput
from interlock.domain.ids import client_order_id
from interlock.mocks.exchange import Exchange
from interlock.mocks.faults import FaultRule

__all__ = ["ChaosBroker"]


class ChaosBroker:
    """Faults for the sessions that are made after them, and the broker's side of the session that was made last.

    Whether a fault strikes is a choice of the schedule, so a test under the marker ``explore`` meets every mixture.
    """

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = []
        self._exchange: Exchange | None = None
        self._strategy_id = ""

    def strike(self, fault: str, permille: int = 300, **rule: Any) -> None:
        """Let sessions made from now on meet a fault, ``permille`` times in a thousand; fields as in a fault plan.

        Raises:
            BadInput: there is no such fault, or a field is wrong.
        """
        given = {"fault": fault, "permille": permille, **rule}
        try:
            FaultRule.model_validate(given)
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, said["loc"])) or "rule"
            raise BadInput(f"chaos_broker.strike: {where}", said["msg"]) from error
        self.rules.append(given)

    def attach(self, exchange: Exchange, strategy_id: str) -> None:
        """Take over the book of a new session."""
        self._exchange, self._strategy_id = exchange, strategy_id

    def reset(self) -> None:
        """Forget faults and book: another run begins."""
        self.rules.clear()
        self._exchange = None

    @property
    def executions(self) -> tuple[Fill, ...]:
        """Return every execution, as the broker booked it."""
        return tuple(self._book().executions)

    @property
    def positions(self) -> dict[str, Decimal]:
        """Return what the account holds there, by symbol."""
        return dict(self._book().positions)

    @property
    def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Return what is open there."""
        return self._book().snapshot(0, 0).open_orders

    def order(self, decision_id: str) -> BrokerOrder | None:
        """Return the broker's view of a decision's order; None where it knows none."""
        order = self._book().orders.get(client_order_id(self._strategy_id, decision_id))
        return None if order is None else order.told()

    def _book(self) -> Exchange:
        if self._exchange is None:
            raise BadInput("chaos_broker", "no session was made yet", "interlock_session() first")
        return self._exchange
