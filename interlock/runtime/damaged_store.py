"""What a session is given in place of a store that was found damaged: it says so, and takes nothing.

The session that it is given to is rejected and leaves the reason in its artifacts. The kill switch was set when the
damage was found.
"""

from __future__ import annotations

from typing import NoReturn

from interlock.domain.errors import StoreDamaged
from interlock.domain.orders import Order
from interlock.runtime.store import ClaimResult, Execution, OperatorReset
from interlock.runtime.store_opening import DAMAGED_SWITCH

__all__ = ["DamagedStore"]


class DamagedStore:
    """A store of which nothing is known but what is wrong with it."""

    def __init__(self, error: StoreDamaged) -> None:
        self._why = str(error)

    def length(self) -> int:
        """Return 0: nobody knows."""
        return 0

    def complaint(self) -> str:
        """Return what is wrong."""
        return self._why

    def order_of(self, client_order_id: str) -> Order | None:  # noqa: ARG002 - the port's
        """Raise StoreDamaged: nobody knows."""
        self._refuse()

    def claim(self, order: Order) -> ClaimResult:  # noqa: ARG002 - the port's
        """Raise StoreDamaged."""
        self._refuse()

    def journal(self, order: Order, execution: Execution | None = None) -> None:  # noqa: ARG002 - the port's
        """Raise StoreDamaged."""
        self._refuse()

    def engage_kill_switch(self, reason: str) -> None:
        """Do nothing: it is set."""

    def kill_switch(self) -> str:
        """Return what set the kill switch."""
        return DAMAGED_SWITCH

    def reset_kill_switch(self, operator: str, reason: str, now_ns: int) -> None:  # noqa: ARG002 - the port's
        """Raise StoreDamaged: there is nothing to begin again with."""
        self._refuse()

    def resets(self) -> tuple[OperatorReset, ...]:
        """Return nothing: what was recorded cannot be read."""
        return ()

    def _refuse(self) -> NoReturn:
        raise StoreDamaged(self._why)
