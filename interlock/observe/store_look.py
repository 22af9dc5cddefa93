"""A look into a durable store on which no engine runs: what it would begin with, and what an operator has to do first.

The store is opened as its owner would open it, for that moment, and nothing is written to it. A running engine has it
locked: then it is the engine that tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from interlock.domain.errors import BadInput, StoreDamaged, StoreOwned
from interlock.domain.instants import rfc3339
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order
from interlock.observe.lines import SHOWN_MAX, order_lines
from interlock.observe.steps import STEPS, next_steps
from interlock.observe.views import MarkLine, OrderLine, ResetLine, StoreStatus, redacted
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_changes import Marks
from interlock.runtime.store_opening import DAMAGED_SWITCH
from interlock.runtime.store_place import Place

__all__ = ["look_into"]

_OWNER: Final = "interlock status"
_RESETS_MAX: Final = 3
_IN_DOUBT: Final = (OrderState.SENT, OrderState.UNKNOWN)


def look_into(path: Path) -> StoreStatus:
    """Return how a store stands.

    Raises:
        BadInput: there is no store.
        StoreOwned: an engine runs on it; the text says who, and what to do.
        StoreRefused: it cannot be opened.
    """
    place = Place(path)
    if not place.path.exists() and not place.anchor.exists():
        raise BadInput(str(path), "there is no store", "the FILE of a store, as --store named it")
    try:
        with SqliteStore(path, owner=_OWNER) as store:
            return redacted(_seen(path, store))
    except StoreOwned as error:
        message = f"{error}; ask the engine that runs on it (/status in its host), or stop it and look again"
        raise StoreOwned(message) from error
    except StoreDamaged as error:
        return redacted(_damaged(path, error))


def _seen(path: Path, store: SqliteStore) -> StoreStatus:
    live, marks, switch = store.live_orders(), store.marks(), store.kill_switch()
    in_doubt = [order for order in live if order.state in _IN_DOUBT]
    quarantined = store.quarantined()
    others = [order for order in live if order.state not in _IN_DOUBT]
    crashed = marks.begun is not None and marks.done is None
    conditions = {
        "ORDERS_QUARANTINED": quarantined,
        "ORDERS_IN_DOUBT": in_doubt,
        "ORDERS_LIVE": others,
        "SESSION_CRASHED": crashed,
    }
    codes = [switch] if switch in STEPS else []
    codes += [code for code, found in conditions.items() if found]
    codes += ["KILL_SWITCH"] if switch else []
    (doubtful, doubtful_out), (by_hand, by_hand_out) = _cut(in_doubt), _cut(quarantined)
    working, working_out = _cut(others)
    return StoreStatus(
        file=str(path),
        damaged="",
        records=store.length(),
        keys=store.keys_held(),
        kill_switch=int(bool(switch)),
        kill_switch_reason=switch,
        in_doubt=doubtful,
        in_doubt_left_out=doubtful_out,
        quarantined=by_hand,
        quarantined_left_out=by_hand_out,
        open_orders=working,
        open_orders_left_out=working_out,
        last_session=_mark(marks),
        resets=tuple(
            ResetLine(rfc3339(reset.at_ns), reset.operator, reset.reason, reset.was_set_by, reset.rebased)
            for reset in reversed(store.resets()[-_RESETS_MAX:])
        ),
        next_steps=next_steps(codes),
    )


def _damaged(path: Path, error: StoreDamaged) -> StoreStatus:
    return StoreStatus(
        file=str(path),
        damaged=str(error),
        records=0,
        keys=0,
        kill_switch=1,
        kill_switch_reason=DAMAGED_SWITCH,
        in_doubt=(),
        in_doubt_left_out=0,
        quarantined=(),
        quarantined_left_out=0,
        open_orders=(),
        open_orders_left_out=0,
        last_session=None,
        resets=(),
        next_steps=next_steps(("STORE_DAMAGED", "KILL_SWITCH")),
    )


def _cut(orders: Sequence[Order]) -> tuple[tuple[OrderLine, ...], int]:
    return order_lines(orders[:SHOWN_MAX]), max(len(orders) - SHOWN_MAX, 0)


def _mark(marks: Marks) -> MarkLine | None:
    begun, done = marks.begun, marks.done
    if begun is None:
        return None
    return MarkLine(
        run_id=begun.run_id,
        session_id=begun.session_id,
        version=begun.version,
        engine_restart_reason=begun.reason,
        begun_ts=rfc3339(begun.at_ns),
        done_ts=None if done is None else rfc3339(done.at_ns),
        status=None if done is None else done.status,
    )
