"""Faults of the reconciler, and of what is made of its reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from interlock.actors import reconciler
from interlock.actors.broker_link import BrokerLink
from interlock.actors.orchestrator import Orchestrator
from interlock.actors.reconciler import Reconciler
from interlock.actors.watch import Watch
from interlock.domain import recon_orders, reconcile
from interlock.domain.broker import BrokerSnapshot
from interlock.domain.errors import OutcomeUnknown
from interlock.domain.findings import Finding
from interlock.domain.messages import ReconcileDone
from interlock.domain.reconcile import LocalView, ReconcileReport
from tools.mutants.cases import DAY, QUIET, WATCHED
from tools.mutants.mutant import Mutant, both, swap

__all__ = ["LOOKS"]

_SNAPSHOT: Final = BrokerLink.snapshot
_LOOK: Final = Reconciler._look
_NOTE: Final = Watch.note
_RECONCILED: Final = Orchestrator._reconciled


def _the_first_look(first: Iterable[Finding], second: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(first)


def _as_good_as_new(local: LocalView, broker: BrokerSnapshot) -> bool:
    return False


async def _however_old(self: Reconciler, after_ns: int = -1) -> tuple[LocalView, BrokerSnapshot]:
    return await _LOOK(self)


def _nothing(*_: object) -> tuple[Finding, ...]:
    return ()


async def _silence_is_empty(self: BrokerLink, fills_after: int) -> BrokerSnapshot:
    try:
        return await _SNAPSHOT(self, fills_after)
    except OutcomeUnknown:
        far = 1 << 40
        now_ns = self._ctx.now_ns()
        return BrokerSnapshot(as_of_ns=now_ns, cursor=far, open_orders=(), fills=(), positions=(), cash=None)


async def _go_on(self: Orchestrator, done: ReconcileDone) -> None:
    await _RECONCILED(self, msgspec.structs.replace(done, stop_trading=False))


def _note_no_time(self: Watch, report: ReconcileReport) -> dict[str, object]:
    compared_ns, answered_ns = self._last_compared_ns, self._link.last_answer_ns
    about = _NOTE(self, report)
    self._last_compared_ns, self._link.last_answer_ns = compared_ns, answered_ns
    return about


LOOKS: Final = {
    "no_second_look": Mutant(
        "what one look finds is a divergence", swap(reconciler, "survivors", _the_first_look), DAY, ("liveness",)
    ),
    "stale_snapshot_taken": Mutant(
        "a snapshot that is older than what was seen is compared",
        both(swap(reconciler, "is_stale", _as_good_as_new), swap(Reconciler, "_look", _however_old)),
        DAY,
        ("liveness",),
    ),
    "orphans_not_seen": Mutant(
        "orders that only the broker knows are no finding",
        swap(recon_orders, "_only_there", _nothing),
        DAY,
        ("I8", "liveness"),
    ),
    "cash_not_compared": Mutant("cash is never compared", swap(reconcile, "_cash", _nothing), DAY, ("agreement",)),
    "positions_not_compared": Mutant(
        "positions are never compared", swap(reconcile, "_positions", _nothing), DAY, ("agreement",)
    ),
    "silence_taken_for_empty": Mutant(
        "a broker that cannot be asked has an empty account",
        swap(BrokerLink, "snapshot", _silence_is_empty),
        DAY,
        ("liveness",),
    ),
    "findings_stop_nothing": Mutant(
        "what a reconcile found does not stop trading",
        swap(Orchestrator, "_reconciled", _go_on),
        QUIET,
        ("liveness",),
    ),
    "looks_not_noted": Mutant(
        "the watch forgets when both sides were compared", swap(Watch, "note", _note_no_time), WATCHED, ("liveness",)
    ),
}
