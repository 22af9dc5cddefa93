"""How long a store of many keys takes to open: it looks at its end and its counts, and loads no key that has ended.

Every key was claimed and filled, so that there are as many executions as keys and twice as many records. They are
written through the tables as a running store writes them, in large transactions and without a sync.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter

import msgspec
from rich.table import Table

from interlock.domain.broker import Fill
from interlock.domain.ids import client_order_id
from interlock.domain.intents import OrderIntent
from interlock.domain.order_states import OrderState
from interlock.domain.orders import new_order
from interlock.runtime.crash_points import unheard
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_changes import Execution
from interlock.runtime.store_file import StoreFile
from interlock.runtime.store_place import Place

__all__ = ["opening_rows"]

_BUDGET_S = 1.0
_GROUP = 20_000
_CACHE = "PRAGMA cache_size = -300000"


def opening_rows(folder: Path, keys: int, rounds: int) -> Table:
    """Build a store of ``keys`` ended keys, open it ``rounds`` times, and return the medians.

    Cold is after the system was asked to forget the file, where it can be asked.
    """
    path = folder / "keys.sqlite3"
    _build(path, keys)
    table = Table(f"opening {keys:,} ended keys, {keys:,} fills, {path.stat().st_size / 1e6:,.0f} MB", "ms", "budget")
    for name, forget in (("the file in the system's memory", False), ("the file on the disk alone", True)):
        if forget and not hasattr(os, "posix_fadvise"):
            continue
        took_s = median(_opening_s(path, forget=forget) for _ in range(rounds))
        table.add_row(name, f"{took_s * 1000:,.0f}", f"{_BUDGET_S * 1000:,.0f}")
    return table


def _opening_s(path: Path, *, forget: bool) -> float:
    if forget:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
    started = perf_counter()
    store = SqliteStore(path, owner="benchmark")
    took_s = perf_counter() - started
    store.close()
    return took_s


def _build(path: Path, keys: int) -> None:
    intent = OrderIntent.model_validate(
        {"decision_id": "d", "symbol": "BTC/EUR", "side": "BUY", "quantity": "1", "limit_price": "100"}
    )
    model = new_order(intent, "mock", "main", "bench", 0)
    content = {"fill_id": "f", "client_order_id": "o", "broker_order_id": "b", "symbol": "BTC/EUR", "side": intent.side}
    fill = Fill.model_validate(content | {"quantity": "1", "price": "100", "fee": "0", "ts_ns": 1, "cursor": 1})
    file = StoreFile(Place(path), owner="benchmark", ttl_ns=1, vfs=None, probe=unheard)
    for setting in (_CACHE, "PRAGMA synchronous = OFF"):
        file.db.execute(setting).fetchall()
    for number in range(1, keys + 1):
        key = client_order_id("bench", str(number))
        claimed = msgspec.structs.replace(model, client_order_id=key, decision_id=str(number))
        done = msgspec.structs.replace(claimed, state=OrderState.FILLED, filled=Decimal(1), version=1)
        about = {"fill_id": f"f{number}", "client_order_id": key, "cursor": number}
        with file.transaction():
            file.append(claimed, None, number)
            filled = Execution("mock", "main", fill.model_copy(update=about))
            file.append(done, filled, number, file.tables.order(key))
        if not number % _GROUP:
            file.commit()
    file.close()
