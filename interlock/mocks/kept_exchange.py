"""A mock broker's book that outlives our process, as a real broker's does: every change is a line in a file.

A session on a store that is kept on disk gets its mock broker from here. Killed in the middle and begun again, it finds
the broker where it was by then: what was accepted is open, what was filled is filled. Strangers in the account (the
fault plan's orphans and phantoms) are not kept.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.broker import Accepted, BrokerStatus, Fill, PlaceOrder, Rejected
from interlock.domain.errors import BadInput
from interlock.domain.ids import canonical_json
from interlock.mocks.exchange import Exchange, MockOrder, OpeningBook

__all__ = ["KeptExchange"]

_LINES_MAX: Final = 10_000_000
_ALLOWED: Final = "a file that a mock broker wrote"


class _Opened(msgspec.Struct, frozen=True, tag_field="schema", tag="MockBookOpened/1"):
    cash: Decimal | None
    positions: dict[str, Decimal]
    executed_before: int


class _Placed(msgspec.Struct, frozen=True, tag_field="schema", tag="MockOrderPlaced/1"):
    request: PlaceOrder
    broker_order_id: str
    at_ns: int


class _Filled(msgspec.Struct, frozen=True, tag_field="schema", tag="MockOrderFilled/1"):
    fill: dict[str, object]


class _Closed(msgspec.Struct, frozen=True, tag_field="schema", tag="MockOrderClosed/1"):
    client_order_id: str
    status: BrokerStatus


_Line = _Opened | _Placed | _Filled | _Closed


class KeptExchange(Exchange):
    """An exchange whose book is in the file ``path``; begun with ``opening`` where there is none.

    Raises:
        BadInput: the file is not the book of a mock broker.
    """

    def __init__(self, path: Path, opening: OpeningBook, executed_before: int = 0) -> None:
        lines = _read(path)
        first = lines[0] if lines else _Opened(opening.cash, opening.positions, executed_before)
        if not isinstance(first, _Opened):
            raise BadInput(
                f"{path}:1", "is not how the book of a mock broker begins", "a file that a mock broker wrote"
            )
        kept = msgspec.structs.replace(opening, cash=first.cash, positions=first.positions)
        super().__init__(kept, first.executed_before)
        self._path: Path | None = None
        for number, line in enumerate(lines[1:], start=2):
            self._play(line, f"{path}:{number}")
        self._path = path
        if not lines:
            self._keep(first)

    def place(self, request: PlaceOrder, now_ns: int = 0) -> Accepted | Rejected:
        """Take an order in, or refuse it; what is taken in is kept."""
        answer = super().place(request, now_ns)
        if isinstance(answer, Accepted):
            self._keep(_Placed(request, answer.broker_order_id, now_ns))
        return answer

    def record(self, order: MockOrder, fill: Fill) -> None:
        """Book an execution, and keep it."""
        self._keep(_Filled(fill.model_dump(mode="json")))
        super().record(order, fill)

    def _close(self, order: MockOrder, status: BrokerStatus) -> None:
        self._keep(_Closed(order.request.client_order_id, status))
        super()._close(order, status)

    def _keep(self, line: _Line) -> None:
        if self._path is None:
            return  # being read
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, canonical_json(line) + b"\n")
        finally:
            os.close(fd)

    def _play(self, line: _Line, where: str) -> None:
        if isinstance(line, _Placed):
            self._take_in(line.request, line.broker_order_id, line.at_ns)
            self._numbered += 1  # an id that was given is not given to another order
            return
        key = str(line.fill["client_order_id"]) if isinstance(line, _Filled) else getattr(line, "client_order_id", "")
        order = self.orders.get(key)
        if order is None:
            raise BadInput(where, "is about an order that was never placed", _ALLOWED)
        if isinstance(line, _Filled):
            super().record(order, Fill.model_validate_json(canonical_json(line.fill)))
        elif isinstance(line, _Closed):
            super()._close(order, line.status)


def _read(path: Path) -> list[_Line]:
    """Return the lines of a book; a last one that was torn by a kill was never acknowledged, and is cut off."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if whole != raw:
        os.truncate(path, len(whole))
    lines: list[_Line] = []
    for number, line in enumerate(whole.splitlines()[:_LINES_MAX], start=1):
        try:
            lines.append(msgspec.json.decode(line, type=_Line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}:{number}", f"is damaged: {error}", _ALLOWED) from error
    return lines
