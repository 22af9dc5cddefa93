"""What every store does, in memory and on disk: keys, versions, executions, kill switch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from interlock.domain.errors import InvariantBroken, StoreRefused
from interlock.domain.order_states import OrderState
from interlock.mocks.faults import FaultPlan
from interlock.mocks.store import FaultyStore
from interlock.runtime import store_place
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult, Store
from tests.domain_builders import an_order
from tests.store_builders import a_life, an_execution, fill_store, sent


@pytest.fixture(params=["memory", "faulty", "sqlite"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    """Return an empty store of each kind."""
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
    if request.param == "sqlite":
        with SqliteStore(tmp_path / "s.sqlite3") as opened:
            yield opened
    else:
        yield MemoryStore() if request.param == "memory" else FaultyStore(FaultPlan())


def test_a_new_store_is_empty_and_has_no_complaint(store: Store) -> None:
    assert (store.complaint(), store.kill_switch(), store.resets(), store.length()) == ("", "", (), 0)
    assert store.order_of("o1") is None


@pytest.mark.spec("OBS-3")
def test_the_keys_that_are_held_whole_are_counted(store: Store) -> None:
    assert store.keys_held() == 0
    fill_store(store, orders=6)
    assert store.keys_held() == 6, "a purged one is held as a digest alone"


@pytest.mark.spec("IDM-2")
def test_a_key_is_claimed_once_for_one_content(store: Store) -> None:
    order = an_order()
    other = msgspec.structs.replace(order, fingerprint="other")
    assert [store.claim(order), store.claim(order), store.claim(other)] == [
        ClaimResult.CLAIMED,
        ClaimResult.KNOWN,
        ClaimResult.CONFLICT,
    ]
    assert store.order_of("o1") == order
    assert store.length() == 1, "a claim that took nothing records nothing"


@pytest.mark.spec("IDM-2")
def test_a_key_stays_known_in_every_state(store: Store) -> None:
    order = an_order()
    for step, execution in a_life("o1"):
        if step.version:
            store.journal(step, execution)
        else:
            store.claim(step)
        assert store.claim(order) is ClaimResult.KNOWN
        assert store.order_of("o1") == step
    found = store.order_of("o1")
    assert found is not None
    assert found.state is OrderState.FILLED


@pytest.mark.parametrize("version", [0, 2, 7])
def test_a_record_that_skips_or_repeats_a_version_is_refused(store: Store, version: int) -> None:
    order = an_order()
    store.claim(order)
    with pytest.raises(InvariantBroken, match="skips or repeats a version"):
        store.journal(msgspec.structs.replace(order, version=version))
    store.journal(sent(order))
    assert (store.complaint(), store.length()) == ("", 2)


def test_an_execution_is_recorded_once_and_never_without_its_order(store: Store) -> None:
    fill_store(store, 3)
    before = store.length()
    order = an_order("o9", version=0)
    store.claim(order)
    after = sent(order)
    with pytest.raises(InvariantBroken, match="booked again"):
        store.journal(after, an_execution(order, "f-o2"))
    assert store.order_of("o9") == order, "neither the one nor the other"
    store.journal(after, an_execution(order, "f-new"))
    assert store.length() == before + 2
    other = msgspec.structs.replace(an_execution(order, "f-new"), account="other")
    store.journal(msgspec.structs.replace(after, version=2), other)


def test_the_kill_switch_latches_and_keeps_its_first_reason(store: Store) -> None:
    store.engage_kill_switch("loss limit")
    store.engage_kill_switch("operator")
    assert store.kill_switch() == "loss limit"


@pytest.mark.spec("SAF-2")
def test_nothing_is_claimed_while_the_kill_switch_is_set(store: Store) -> None:
    known = an_order("known")
    store.claim(known)
    store.engage_kill_switch("loss limit")
    assert [store.claim(an_order("new")), store.claim(known)] == [ClaimResult.HALTED, ClaimResult.KNOWN]
    assert store.order_of("new") is None
    store.journal(sent(known))
    store.reset_kill_switch("ada", "looked at it", 5)
    assert store.claim(an_order("new")) is ClaimResult.CLAIMED


@pytest.mark.spec("SAF-2")
def test_a_reset_is_recorded_with_who_why_when_and_what_had_set_it(store: Store) -> None:
    for reason, at_ns in (("one", 5), ("two", 6)):
        store.engage_kill_switch(reason)
        store.reset_kill_switch("ada", "looked at it", at_ns)
    assert [(reset.operator, reset.at_ns, reset.was_set_by) for reset in store.resets()] == [
        ("ada", 5, "one"),
        ("ada", 6, "two"),
    ]
    assert store.kill_switch() == ""


@pytest.mark.spec("SAF-2")
@pytest.mark.parametrize(("operator", "reason"), [("", "why"), ("ada", " ")])
def test_a_reset_without_a_name_or_a_reason_is_refused(store: Store, operator: str, reason: str) -> None:
    with pytest.raises(StoreRefused, match="not set"):
        store.reset_kill_switch("ada", "why", 5)
    store.engage_kill_switch("loss limit")
    with pytest.raises(StoreRefused, match="names its operator"):
        store.reset_kill_switch(operator, reason, 5)
    assert (store.kill_switch(), store.resets()) == ("loss limit", ())
