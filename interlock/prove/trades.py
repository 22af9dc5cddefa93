"""``trades.csv``: the executions that both sides agree on, written as they are reconciled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from interlock.domain.instants import from_datetime, rfc3339
from interlock.domain.money import decimal_text
from interlock.prove.executions import Execution

__all__ = ["COLUMNS", "Trades"]

COLUMNS: Final = (
    "execution_id",
    "ts",
    "client_order_id",
    "broker_order_id",
    "symbol",
    "side",
    "quantity",
    "price",
    "fee",
    "fee_currency",
    "reconciled",
)
_LINES_AT_ONCE: Final = 1000


class Trades:
    """Collects lines and writes many at once. ``reconciled`` is ``matched`` or ``caught``."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.count = 0
        self._write = write
        self._lines = [",".join(COLUMNS) + "\n"]

    def add(self, execution: Execution, reconciled: str) -> None:
        """Add one execution. Nothing in it needs quoting: ids are letters, digits and a few signs."""
        self.count += 1
        self._lines.append(
            f"{execution.execution_id},{rfc3339(from_datetime(execution.ts))},{execution.client_order_id},"
            f"{execution.broker_order_id},{execution.symbol},{execution.side.value},{decimal_text(execution.quantity)},"
            f"{decimal_text(execution.price)},{decimal_text(execution.fee)},{execution.fee_currency.value},{reconciled}\n"
        )
        if len(self._lines) >= _LINES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        if self._lines:
            self._write("".join(self._lines).encode())
            self._lines = []
