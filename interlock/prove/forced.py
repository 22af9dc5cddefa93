"""The one reconcile of a proof: what is left of both sides when all was read, compared by the rules of every reconcile.

What ended alike on both sides is gone by then. The rest is looked at twice, as a session does: as it was found, and
after what has one explanation was taken in, which is executions that the broker told and our journal did not, of
orders that are live here (``partial_fill_caught_by_reconcile``). What the second look does not find any more is
resolved; what it finds stays.
"""

from __future__ import annotations

from decimal import localcontext
from typing import Final, NamedTuple

import msgspec

from interlock.domain.broker import BrokerOrder, BrokerSnapshot, BrokerStatus
from interlock.domain.errors import IllegalTransition, InvariantBroken
from interlock.domain.findings import DiffType, Finding, FindingKind, Tolerances, severity_of
from interlock.domain.money import ARITHMETIC, decimal_text
from interlock.domain.order_states import OrderState
from interlock.domain.orders import Order, book_fill
from interlock.domain.reconcile import LocalView, compare
from interlock.prove.broker_side import BrokerSide
from interlock.prove.engine_side import EngineSide
from interlock.prove.executions import Execution, Executions
from interlock.prove.notes import Notes
from interlock.prove.pairs import ENDED, Pair, Pairs, TheirOrder

__all__ = ["CAUGHT", "Forced", "Sides", "force_reconcile"]

CAUGHT: Final = "partial_fill_caught_by_reconcile"

_WAITING: Final = (OrderState.SENT, OrderState.CANCEL_PENDING, OrderState.UNKNOWN)


class Sides(NamedTuple):
    """Both sides of a proof and what they share; ``limits`` is within what they agree."""

    broker: BrokerSide
    engine: EngineSide
    pairs: Pairs
    executions: Executions
    notes: Notes
    limits: Tolerances


class Forced(msgspec.Struct, frozen=True):
    """What the reconcile found: what stays, what was resolved, and which executions it took in."""

    stays: tuple[Finding, ...]
    resolved: tuple[Finding, ...]
    caught: tuple[tuple[Execution, Pair], ...]


def force_reconcile(sides: Sides, now_ns: int) -> Forced:
    """Compare what is left of both sides, take in what has one explanation, and compare again."""
    with localcontext(ARITHMETIC):
        before = _look(sides, now_ns)
        caught = tuple(_catch(sides))
        after = _look(sides, now_ns) if caught else before
    left = {(finding.kind, finding.subject) for finding in after}
    resolved = tuple(finding for finding in before if (finding.kind, finding.subject) not in left)
    return Forced((*after, *sides.notes.findings), resolved, caught)


def _look(sides: Sides, now_ns: int) -> tuple[Finding, ...]:
    ours: list[Order] = []
    theirs: list[BrokerOrder] = []
    own: list[Finding] = []
    for pair in sides.pairs.open.values():
        here, there = pair.ours, pair.theirs
        if there is None:
            ours += [] if here is None else [here]
            continue
        own += _of_one_side(here, there)
        own += _unexplained(here, there)
        if here is not None and here.state in _WAITING and there.state in ENDED:
            own.append(_answered(here, there))
            continue
        ours += [] if here is None else [here]
        told = there.as_told(here)
        # An order that the broker ended is none of its open ones; where ours ended too, how it ended counts.
        if told is not None and (told.status is BrokerStatus.OPEN or (here is not None and not here.live)):
            theirs.append(told)
    local, external = _local(sides, tuple(ours), now_ns), _told(sides, tuple(theirs), now_ns)
    return (*compare(local, external, sides.limits, now_ns), *own)


def _local(sides: Sides, orders: tuple[Order, ...], now_ns: int) -> LocalView:
    fills = tuple(execution.told() for execution in sides.executions.here.values())
    ledger = sides.engine.ledger
    return LocalView(now_ns, orders, fills, len(fills), 0, ledger.positions(), ledger.cash)


def _told(sides: Sides, orders: tuple[BrokerOrder, ...], now_ns: int) -> BrokerSnapshot:
    return BrokerSnapshot(
        as_of_ns=now_ns,
        cursor=0,
        open_orders=orders,
        fills=tuple(execution.told() for execution in sides.executions.there.values()),
        positions=sides.broker.positions(),
        cash=sides.broker.ledger.cash if sides.broker.cash_told else None,
    )


# -- what no comparison of two lists sees -------------------------------------------------------------------------


def _of_one_side(here: Order | None, there: TheirOrder) -> list[Finding]:
    """Judge orders that ended there and never were ours."""
    found: list[Finding] = []
    told = there.as_told(None)
    filled = decimal_text(there.filled)
    if here is None and (told is None or told.status is not BrokerStatus.OPEN):
        what = f"{there.state} there, not known here"
        found.append(_finding(FindingKind.ORPHAN_BROKER_ORDER, there, "none", f"{there.state} {filled}", what))
    return found


def _unexplained(here: Order | None, there: TheirOrder) -> list[Finding]:
    """Judge a cumulative quantity beyond the executions of the log; where ours is another one, that is found anyway."""
    says = there.filled + there.unexplained
    if not there.unexplained or (here is not None and here.filled != says):
        return []
    filled, told = decimal_text(there.filled), decimal_text(says)
    what = f"the broker says {told} filled, its executions sum to {filled}"
    return [_finding(FindingKind.PARTIAL_FILL_MISMATCH, there, filled, told, what)]


def _answered(here: Order, there: TheirOrder) -> Finding:
    """Say that our order waits for an answer which the broker gave long ago: it is open here and not there."""
    what = f"{here.state} here, {there.state} there"
    return _finding(FindingKind.STALE_LOCAL_ORDER, there, str(here.state), str(there.state), what)


def _finding(kind: FindingKind, there: TheirOrder, internal: str, external: str, what: str) -> Finding:
    return Finding(
        kind,
        DiffType.ORDER,
        severity_of(kind),
        there.key,
        internal,
        external,
        f"order {there.key}: {what}",
        symbol=there.symbol,
        client_order_id=there.key,
    )


# -- taking in ------------------------------------------------------------------------------------------------------


def _catch(sides: Sides) -> list[tuple[Execution, Pair]]:
    """Take in the executions of orders that are live here; whatever breaks an invariant stays where it is."""
    executions = sides.executions
    caught: list[tuple[Execution, Pair]] = []
    for execution in list(executions.there.values()):
        pair = sides.pairs.open[execution.client_order_id]
        ours = pair.ours
        if ours is None or not ours.live or execution.execution_id in executions.here:
            continue
        try:
            pair.ours = book_fill(ours, execution.told(), ours.updated_ns)
        except (InvariantBroken, IllegalTransition):
            continue
        sides.engine.ledger.book(execution)
        del executions.there[execution.execution_id]
        caught.append((execution, pair))
    return caught
