"""Every invariant of the crash harness can say no: evidence in order is believed, and what is bent in it is named."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from interlock.domain.broker import Fill
from interlock.domain.order_states import OrderState
from interlock.domain.orders import place_request
from interlock.domain.restart import RestartReason, SessionBegun, SessionDone
from interlock.runtime import store_place
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_changes import SwitchSet
from tests.domain_builders import a_fill
from tests.store_builders import a_life
from tools.crash.evidence import Entry, Evidence, Told, gathered
from tools.crash.invariants import INVARIANTS, broken
from tools.crash.plan import Fate
from tools.crash.wire import Book, Marked, Sent, There, pack

Bend = Callable[[Evidence], Evidence]
replace = msgspec.structs.replace


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """Return the evidence of one order that was sent, acknowledged and filled, without an audit."""
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
    path, life = tmp_path / "s.sqlite3", [*a_life("o1")]
    with SqliteStore(path) as store:
        store.claim(life[1][0])
        for order, execution in life[2:]:
            store.journal(order, execution)
    order, execution = life[-1]
    assert execution is not None
    request = place_request(order)
    there = Book(
        now_ns=9,
        sent=(Sent(request, 2, Fate.DONE),),
        accepted=("o1",),
        orders={"o1": There(request, "FILLED", order.filled)},
        on_their_way=(),
        executions=(pack(execution.fill),),
        positions={},
        cash=None,
        marks=(),
    )
    return gathered(path, tmp_path / "aside", there, at_rest=True)


def told(case: Evidence, *skip: int) -> Evidence:
    """Give the journal the audit lines that it should have; versions in ``skip`` have none."""
    lines = [
        Told(number, b"", f"ORDER_{order.state}", {"client_order_id": "o1", "version": order.version})
        for number, order in enumerate(case.versions["o1"], start=1)
        if order.version not in skip
    ]
    return replace(case, runs=(tuple(lines),))


def names(case: Evidence) -> list[str]:
    """Return who complains; what only a whole run of a session has, its audit chain and marks, is left out."""
    said = [text for text in broken(case) if not text.startswith(("I5: audit of run", "restart: run"))]
    return sorted({text.partition(":")[0] for text in said})


def state(case: Evidence, at: int, **fields: object) -> Evidence:
    """Change one version of the order, and its row where it is the last."""
    versions = [*case.versions["o1"]]
    versions[at] = replace(versions[at], **fields)
    entries = [replace(entry, change=order) for entry, order in zip(case.entries, versions, strict=True)]
    return replace(case, versions={"o1": versions}, rows={"o1": versions[-1]}, entries=tuple(entries))


def there(case: Evidence, **fields: object) -> Evidence:
    """Change something on the broker's side."""
    return replace(case, there=replace(case.there, **fields))


def a_mark(case: Evidence, *marks: object) -> Evidence:
    """Put marks at the end of the journal."""
    last = case.entries[-1].record
    return replace(case, entries=(*case.entries, *(Entry(last, mark) for mark in marks)))  # type: ignore[arg-type]


def claimed_after_the_switch(case: Evidence) -> Evidence:
    switch = Entry(case.entries[0].record, SwitchSet("loss limit"))
    return replace(case, entries=(switch, *case.entries))


def sent_otherwise(case: Evidence) -> Evidence:
    other = replace(case.there.sent[0].order, quantity=Decimal(11))
    return there(case, sent=(replace(case.there.sent[0], order=other),))


def extra(fill_id: str, cursor: int) -> dict[str, Fill]:
    return {fill_id: a_fill(fill_id, "1", client_order_id="o1", cursor=cursor)}


BEGUN = SessionBegun("r", "s", "0", 5)
BENT: dict[str, tuple[Bend, str]] = {
    "accepted twice": (lambda case: there(case, accepted=("o1", "o1")), "I1"),
    "sent twice": (lambda case: there(case, sent=case.there.sent * 2), "I1"),
    "a fill is missing": (lambda case: replace(case, executions={**case.executions, **extra("f9", 9)}), "I2"),
    "a fill nobody made": (lambda case: replace(case, executions={}), "I2"),
    "filled here, open there": (
        lambda case: there(case, orders={"o1": replace(case.there.orders["o1"], status="OPEN")}),
        "I3",
    ),
    "still on its way": (lambda case: there(case, on_their_way=("o1",)), "I3"),
    "in doubt at rest": (lambda case: state(case, -1, state=OrderState.UNKNOWN), "I4"),
    "an audit line is missing": (lambda case: told(case, 2), "I5"),
    "filled more than it was": (lambda case: state(case, -1, filled=Decimal(11)), "I6"),
    "sent with other content": (sent_otherwise, "I7"),
    "sent without a row": (
        lambda case: replace(case, rows={}, versions={}, entries=(), fills={}, executions={}, runs=()),
        "I8",
    ),
    "the store is damaged": (lambda case: replace(case, damage="row 3 is not what was written"), "I9"),
    "alive again": (lambda case: state(case, 0, state=OrderState.CANCELLED), "I10"),
    "claimed after the switch": (claimed_after_the_switch, "I12"),
    "sent after the switch": (lambda case: there(case, marks=(Marked("switch", 1, 0),)), "I12"),
    "began after a crash and says clean": (
        lambda case: a_mark(case, BEGUN, replace(BEGUN, reason=RestartReason.CLEAN)),
        "restart",
    ),
    "began after an end and says crash": (
        lambda case: a_mark(case, BEGUN, SessionDone("r", "DONE", 6), replace(BEGUN, reason=RestartReason.CRASH)),
        "restart",
    ),
}


def test_evidence_in_order_is_believed(sound: Evidence) -> None:
    assert names(told(sound)) == []


@pytest.mark.parametrize("bent", BENT)
def test_bent_evidence_is_named(sound: Evidence, bent: str) -> None:
    bend, name = BENT[bent]
    assert name in names(bend(told(sound)))


def test_every_invariant_but_the_childrens_own_can_say_no() -> None:
    assert {*INVARIANTS} - {name for _, name in BENT.values()} <= {"account"}
