"""Checks of what an adapter is: the methods of its port, the types of its answers, and that a reader only reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from interlock.certify.case import Case, need, shown, trades
from interlock.domain.broker import BrokerLimits, BrokerOrder, Fill, OrderNotFound, PositionLine
from interlock.ports import BrokerReader, BrokerTrader

__all__ = ["answers_are_typed", "flags_are_plain", "has_its_port", "reader_only_reads"]

_NAME_MAX: Final = 64


def _names(port: type) -> list[str]:
    return [name for name in vars(port) if not name.startswith("_")]


async def has_its_port(case: Case) -> str:
    """A method that is missing is found before anything is sent."""
    reads, writes = _names(BrokerReader), _names(BrokerTrader)
    wanted = [*reads, *writes] if trades(case.reader) else reads
    missing = [name for name in wanted if not hasattr(case.reader, name)]
    need(not missing, f"it has no {', '.join(missing)}")
    return f"{'a trader' if trades(case.reader) else 'a reader'}, {len(wanted)} members"


async def reader_only_reads(case: Case) -> str:
    """What a shadow session holds has no way to change anything."""
    found = [name for name in _names(BrokerTrader) if hasattr(case.reader, name)]
    need(not found, f"a reader has {', '.join(found)}")
    return ""


async def flags_are_plain(case: Case) -> str:
    """A session takes nothing but True for true."""
    for name in ("is_mock", "is_paper"):
        flag = getattr(case.trader, name, False)
        need(type(flag) is bool, f"{name} is {shown(flag)}, a {type(flag).__name__}")
    return ""


async def answers_are_typed(case: Case) -> str:
    """Each answer has the very types that the port names."""
    reader = case.reader
    order = await case.rests()
    await case.fill(order)
    need(type(reader.name) is str and 0 < len(reader.name) <= _NAME_MAX, f"name is {shown(reader.name)}")
    known = await reader.order(order.client_order_id)
    need(type(known) in (BrokerOrder, OrderNotFound), f"order() told {shown(known)}")
    for what, answer, kind in (
        ("open_orders", await reader.open_orders(), BrokerOrder),
        ("fills_since", await reader.fills_since(0), Fill),
        ("positions", await reader.positions(), PositionLine),
    ):
        need(type(answer) is tuple, f"{what}() told a {type(answer).__name__}, not a tuple")
        strangers = [type(one).__name__ for one in answer if type(one) is not kind]
        need(not strangers, f"{what}() told {', '.join(strangers)} among {kind.__name__}")
    cash, now_ns = await reader.cash(), await reader.server_time_ns()
    need(cash is None or type(cash) is Decimal, f"cash() told {shown(cash)}, a {type(cash).__name__}")
    need(type(now_ns) is int, f"server_time_ns() told {shown(now_ns)}, a {type(now_ns).__name__}")
    # What is missing altogether is the business of another rule.
    limits = await reader.limits() if hasattr(reader, "limits") else None
    need(limits is None or type(limits) is BrokerLimits, f"limits() told {shown(limits)}")
    return ""
