"""The invariants I1 to I12 of the durability protocol, each a function that says what is broken.

All of them are checked after every death and at every end, on the evidence of both sides; those that only hold once
everything has been settled look at ``at_rest``. I11 is checked inside the children, at every step, and comes here as
what they complained of. Two more are checked besides: the account at rest, and the reason of every restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise, takewhile
from typing import Final

import msgspec

from interlock.domain.broker import BrokerStatus
from interlock.domain.money import ZERO
from interlock.domain.order_states import LIVE_STATES, OrderState
from interlock.domain.orders import Order, place_request
from interlock.domain.restart import RestartReason, SessionBegun, SessionDone
from interlock.runtime.audit import verify_audit
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult
from interlock.runtime.store_changes import OperatorReset, SwitchSet, digest_of
from tools.crash.evidence import Evidence, Told
from tools.crash.plan import Fate

__all__ = ["INVARIANTS", "broken"]

Complaints = Iterator[str]

_IN_DOUBT: Final = (OrderState.SENT, OrderState.UNKNOWN)
_DEADLINE_NS: Final = 120_000_000_000
"""The longest that a call with its repetitions, or the settling of an order, can take by the session's settings."""
_PROVEN_NOT_DONE: Final = (Fate.LIMITED,)
_REUSED: Final = 3
"""Keys that are claimed again with other content after each death."""


def sent_once(case: Evidence) -> Complaints:
    """I1: at most one accepted order a key at the broker, and no place request repeated unless proven not done."""
    for key, times in Counter(case.there.accepted).items():
        if times > 1:
            yield f"{key} was accepted {times} times"
    requests = Counter(s.order.client_order_id for s in case.there.sent if s.fate not in _PROVEN_NOT_DONE)
    for key, times in requests.items():
        if times > 1:
            yield f"{key} was sent {times} times"


def same_executions(case: Evidence) -> Complaints:
    """I2: executions there = fills here; before everything is settled those that the cursor claims to have."""
    for fill_id, fill in case.fills.items():
        if case.executions.get(fill_id) != fill:
            yield f"{fill_id} is here and not, or not so, there"
    matched = 0 if case.account is None else case.account.last.matched
    for fill_id, fill in case.executions.items():
        if fill_id not in case.fills and (case.at_rest or fill.cursor <= matched):
            yield f"{fill_id} is there and not here, and the cursor stands at {matched}"


def nothing_lives_on(case: Evidence) -> Complaints:
    """I3: no order that is terminal here lives there, or is on its way there."""
    for key, order in case.rows.items():
        there = case.there.orders.get(key)
        lives = key in case.there.on_their_way or (there is not None and there.status == BrokerStatus.OPEN)
        if lives and order.state not in (*LIVE_STATES, OrderState.QUARANTINED):
            yield f"{key} is {order.state} here and lives there"


def doubt_has_a_deadline(case: Evidence) -> Complaints:
    """I4: nothing stays in doubt past its deadline while a session runs, and nothing is at rest in doubt."""
    since: dict[str, int] = {}
    last_ns = 0
    for entry in case.entries:
        change = entry.change
        if isinstance(change, SessionBegun):
            since = dict.fromkeys(since, change.at_ns)
        elif isinstance(change, Order):
            since.pop(change.client_order_id, None)
            if change.state in _IN_DOUBT:
                since[change.client_order_id] = change.updated_ns
        last_ns = max(last_ns, entry.record.at_ns)
        yield from (f"{key} is past its deadline" for key, at_ns in since.items() if last_ns - at_ns > _DEADLINE_NS)
    for key, order in case.rows.items():
        if case.at_rest and order.state in _IN_DOUBT:
            yield f"{key} is still {order.state}"


def audit_covers_everything(case: Evidence) -> Complaints:
    """I5: the audit has each version of each key without a gap, with its change; its last state is the row's."""
    for number, run in enumerate(case.runs, start=1):
        verdict = verify_audit(told.line for told in run)
        if not verdict.ok:
            yield f"audit of run {number}: {verdict.reason}"
    said = _said(case)
    for key, versions in case.versions.items():
        lines, last = said.pop(key, []), versions[-1]
        if [told.meta["version"] for told in lines] != [order.version for order in versions]:
            yield f"{key}: the audit does not cover versions 1 to {last.version} without a gap"
        elif lines[-1].code != f"ORDER_{last.state}":
            yield f"{key}: the audit ends with {lines[-1].code} and the journal with {last.state}"
        if case.rows.get(key, last) != last:
            yield f"{key}: its row is not its last version"
    yield from (f"{key}: is in the audit and not in the journal" for key in said)
    records = {entry.record.sequence: entry.record for entry in case.entries}
    for told in (told for lines in _said(case).values() for told in lines):
        record = records[told.sequence]
        if (record.key, record.version) != (told.meta["client_order_id"], told.meta["version"]):
            yield f"{told.meta['client_order_id']}: an audit line is not in the transaction of its change"


def _said(case: Evidence) -> dict[str, list[Told]]:
    """Return the audit lines of each order, in the journal's order."""
    said: dict[str, list[Told]] = {}
    for told in (told for run in case.runs for told in run):
        if told.code.startswith("ORDER_") and "version" in told.meta:
            said.setdefault(str(told.meta["client_order_id"]), []).append(told)
    return said


def sums_are_cumulative(case: Evidence) -> Complaints:
    """I6: the fills of an order sum to its cumulative quantity, which is at most its quantity."""
    sums = dict.fromkeys(case.rows, ZERO)
    for fill in case.fills.values():
        if fill.client_order_id in sums:
            sums[fill.client_order_id] += fill.quantity
    for key, order in case.rows.items():
        if sums[key] != order.filled or order.filled > order.quantity:
            yield f"{key}: fills sum to {sums[key]}, cumulative is {order.filled} of {order.quantity}"


def reuse_is_refused(case: Evidence) -> Complaints:
    """I7: a key never leaves with other content, and the store refuses to claim it for any."""
    for sent in case.there.sent:
        versions = case.versions.get(sent.order.client_order_id)
        if versions and place_request(versions[0]) != sent.order:
            yield f"{sent.order.client_order_id} was sent with other content than it was claimed for"
    if case.damage or not case.rows:
        return
    keys = [*[*case.rows][:1], *[*case.rows][-1:], *sorted(case.purged())[:1]][:_REUSED]
    with SqliteStore(case.store, owner="the verifier") as store:
        for key in keys:
            result = store.claim(msgspec.structs.replace(case.versions[key][0], fingerprint="other"))
            wanted = ClaimResult.CONFLICT if key in case.rows else ClaimResult.SPENT
            if result is not wanted:
                yield f"{key} claimed with other content: {result}"


def every_order_has_a_row(case: Evidence) -> Complaints:
    """I8: every order that was sent has a row, or, ended there long ago, the digest of one."""
    for sent in case.there.sent:
        key = sent.order.client_order_id
        there = case.there.orders.get(key)
        lives = (there is not None and there.status == BrokerStatus.OPEN) or key in case.there.on_their_way
        if key not in case.rows and (lives or digest_of(key) not in case.spent):
            yield f"{key} was sent and has no row"


def store_is_whole(case: Evidence) -> Complaints:
    """I9: the store verifies: integrity check, chain, hashes, counts, anchor."""
    if case.damage:
        yield case.damage


def terminal_is_final(case: Evidence) -> Complaints:
    """I10: an order that ended never lives again, and what was filled stays filled."""
    for key, versions in case.versions.items():
        for before, after in pairwise(versions):
            if before.state not in LIVE_STATES and after.state in LIVE_STATES:
                yield f"{key} went from {before.state} to {after.state}"
            if after.filled < before.filled:
                yield f"{key} went back from {before.filled} filled to {after.filled}"


def switch_stops_orders(case: Evidence) -> Complaints:
    """I12: after the kill switch's commit nothing is claimed, and nothing reaches the broker any more.

    What had left in the very instant of the commit is excepted, if it was claimed before.
    """
    reason = ""
    for entry in case.entries:
        change = entry.change
        if isinstance(change, SwitchSet | OperatorReset):
            reason = change.reason if isinstance(change, SwitchSet) else ""
        elif isinstance(change, Order) and change.version <= 1 and reason:
            yield f"{change.client_order_id} was claimed after the kill switch was set ({reason})"
    marks = case.there.marks
    for number, mark in enumerate(marks):
        released = next((later.sent for later in marks[number:] if later.what == "reset"), len(case.there.sent))
        if mark.what == "switch":
            for sent in case.there.sent[mark.sent : released]:
                if sent.now_ns > mark.now_ns:
                    yield f"{sent.order.client_order_id} reached the broker after the kill switch was set"


def account_agrees(case: Evidence) -> Complaints:
    """Positions and cash here are those there, once all is settled."""
    if not case.at_rest or case.account is None:
        return
    ledger = case.account.ledger()
    held = {line.symbol: line.quantity for line in ledger.positions() if line.quantity}
    there = {symbol: quantity for symbol, quantity in case.there.positions.items() if quantity}
    if held != there or ledger.cash != case.there.cash:
        yield f"the account is {held} and {ledger.cash}, and the broker's {there} and {case.there.cash}"


def restarts_are_told(case: Evidence) -> Complaints:
    """Every session says why it starts, and what it found, and compares both sides before anything leaves (RST-2)."""
    ended, began = True, False
    for mark in case.marks():
        if isinstance(mark, SessionDone):
            ended = True
        else:
            if began and (mark.reason is RestartReason.CRASH) is ended:
                yield f"{mark.run_id} says {mark.reason}, and the session before had {'' if ended else 'not '}ended"
            ended, began = False, True
    for number, run in enumerate(case.runs, start=1):
        if run[0].code != "ENGINE_RESTART" or "engine_restart_reason" not in run[0].meta:
            yield f"run {number} does not begin with the reason of its start"
        first = [told.code for told in takewhile(lambda told: told.code != "ORDER_SENT", run)]
        if number > 1 and len(first) < len(run) and not {"RECOVERED", "RECON_SUMMARY"} <= {*first}:
            yield f"run {number} sends before it has recovered and compared"


INVARIANTS: Final[dict[str, Callable[[Evidence], Complaints]]] = {
    "I1": sent_once,
    "I2": same_executions,
    "I3": nothing_lives_on,
    "I4": doubt_has_a_deadline,
    "I5": audit_covers_everything,
    "I6": sums_are_cumulative,
    "I7": reuse_is_refused,
    "I8": every_order_has_a_row,
    "I9": store_is_whole,
    "I10": terminal_is_final,
    "I12": switch_stops_orders,
    "account": account_agrees,
    "restart": restarts_are_told,
}
"""By name; I11 is the children's own."""


def broken(case: Evidence) -> list[str]:
    """Return what is broken, each complaint with its invariant's name in front."""
    return [f"{name}: {said}" for name, check in INVARIANTS.items() for said in check(case)]
