"""Which order a fault struck: a guess from what the broker was busy with, since a fault itself names only a symbol.

A call of an order is open from its request to the orchestrator's word that it is done; a fault of a call belongs to
the open call of that kind, and one of the stream to the order of that symbol that the broker dealt with last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from interlock.report.model import Row

__all__ = ["Struck", "with_orders"]

_CALLS: Final = {"PlaceOrder": "place", "CancelOrder": "cancel", "QueryOrder": "query"}
_DONE: Final = ("PlaceDone", "CancelDone", "QueryDone")

Struck = tuple[str, str]
"""What a fault says about itself: symbol and call, each "" where it says nothing."""


def with_orders(rows: Iterable[Row], struck: Mapping[int, Struck], symbols: Mapping[str, str]) -> list[Row]:
    """Return the rows with an order put to each fault where one fits.

    ``struck`` is by the number of the event, ``symbols`` by client order id.
    """
    shown: list[Row] = []
    calls: dict[str, str] = {}
    lately: dict[str, str] = {}
    for row in rows:
        if row.way == "fault":
            order = _order_of(struck.get(row.seq, ("", "")), calls, lately, symbols)
            shown.append(msgspec.structs.replace(row, order=order))
            continue
        shown.append(row)
        if not row.order:
            continue
        if row.kind.startswith(_DONE):
            calls.pop(row.order, None)
        elif row.to == "broker" and row.kind in _CALLS:
            calls.pop(row.order, None)  # the last request stands last
            calls[row.order] = _CALLS[row.kind]
        if "broker" in (row.sender, row.to):
            lately[symbols.get(row.order, "")] = row.order
    return shown


def _order_of(fault: Struck, calls: Mapping[str, str], lately: Mapping[str, str], symbols: Mapping[str, str]) -> str:
    symbol, call = fault
    if call:
        fits = [key for key, kind in calls.items() if kind == call and symbol in ("", symbols.get(key, ""))]
        return fits[-1] if fits else ""
    return lately.get(symbol, "") if symbol else ""
