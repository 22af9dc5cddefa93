"""The mock broker's stream: the way of what it tells without being asked, and what gets lost, late or spoiled on it.

Later statements overtake nobody who is due before them, unless the fault plan holds one back. While the connection
is lost nothing arrives; when it is back, that is told, and nothing of what was missed.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from interlock.domain.broker import Accepted, BrokerMessage, Fill, Reconnected, Unreadable
from interlock.domain.instants import NS_PER_S
from interlock.mocks.faults import Fault, Faults
from interlock.runtime.actor import Context

__all__ = ["Stream"]

_REMEMBERED: Final = 8
"""How many of its last statements the broker can tell again."""

_SHOWN_CHARS: Final = 80
_STRANGER: Final = "not-one-of-ours"


class Stream:
    """Tells statements to one client."""

    def __init__(self, ctx: Context, faults: Faults, client: str) -> None:
        self._ctx = ctx
        self._faults = faults
        self._client = client
        self._said: deque[BrokerMessage] = deque(maxlen=_REMEMBERED)
        self._gap_until_ns = 0

    async def say(self, statement: BrokerMessage, late_s: float = 0.0) -> None:
        """Tell a statement, at once or later."""
        if not self._faults.none:
            self._said.append(statement)
            held = self._faults.strike(Fault.LATE_EVENT, _symbol_of(statement))
            late_s += 0 if held is None else held.delay_s
        if late_s:
            self._ctx.spawn(self._deliver(statement, late_s), "report")
        else:
            await self._arrive(statement)

    async def say_again(self) -> None:
        """Tell the last statements again, as they were."""
        for statement in tuple(self._said):
            await self.say(statement)

    async def say_last_fill_as_new(self) -> None:
        """Tell the last fill again, under an id that it never had."""
        fills = [statement for statement in self._said if isinstance(statement, Fill)]
        if fills:
            await self.say(fills[-1].model_copy(update={"fill_id": f"{fills[-1].fill_id}-r"}))

    async def _deliver(self, statement: BrokerMessage, late_s: float) -> None:
        await self._ctx.sleep(late_s)
        await self._arrive(statement)

    async def _arrive(self, statement: BrokerMessage) -> None:
        faults, symbol = self._faults, _symbol_of(statement)
        if self._in_a_gap(symbol) or faults.strike(Fault.LOST_EVENT, symbol) is not None:
            self._ctx.count("statements_lost_total")
            return
        if faults.strike(Fault.MALFORMED_MESSAGE, symbol) is not None:
            await self._ctx.send(self._client, Unreadable(text=repr(statement)[:_SHOWN_CHARS]))
            return
        await self._ctx.send(self._client, statement)
        if faults.strike(Fault.FOREIGN_STATEMENT, symbol) is not None:
            await self._ctx.send(self._client, Accepted(client_order_id=_STRANGER, broker_order_id="b-foreign"))
        if isinstance(statement, Fill) and faults.strike(Fault.FOREIGN_FILL, symbol) is not None:
            foreign = {"client_order_id": _STRANGER, "fill_id": f"{statement.fill_id}-f"}
            await self._ctx.send(self._client, statement.model_copy(update=foreign))

    def _in_a_gap(self, symbol: str | None) -> bool:
        if self._ctx.now_ns() < self._gap_until_ns:
            return True
        struck = self._faults.strike(Fault.CONNECTION_LOST, symbol)
        if struck is None:
            return False
        self._gap_until_ns = self._faults.end_ns(struck)
        self._ctx.spawn(self._come_back(), "reconnect")
        return True

    async def _come_back(self) -> None:
        await self._ctx.sleep((self._gap_until_ns - self._ctx.now_ns()) / NS_PER_S)
        await self._ctx.send(self._client, Reconnected(reason="the connection was lost"))


def _symbol_of(statement: BrokerMessage) -> str | None:
    return statement.symbol if isinstance(statement, Fill) else None
