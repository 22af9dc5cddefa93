"""A store that fails at given opportunities, and is an ordinary one otherwise."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.domain.errors import StoreRefused
from interlock.mocks.faults import FaultPlan
from interlock.mocks.store import FaultyStore, store_for
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store import ClaimResult
from tests.domain_builders import an_order


def a_store(*rules: dict[str, Any]) -> MemoryStore:
    """Return the store of a plan."""
    return store_for(FaultPlan.model_validate({"rules": rules}))


def test_a_plan_without_faults_for_it_leaves_the_store_alone() -> None:
    assert not isinstance(a_store({"fault": "lost_event", "nth": [1]}), FaultyStore)


def test_a_locked_store_writes_nothing_and_takes_the_record_later() -> None:
    store = a_store({"fault": "store_locked", "nth": [2]})
    order = an_order()
    after = msgspec.structs.replace(order, version=1)
    assert store.claim(order) is ClaimResult.CLAIMED
    with pytest.raises(StoreRefused, match="locked"):
        store.journal(after)
    assert store.records() == (order,)
    store.journal(after)
    assert store.records() == (order, after)
    assert store.complaint() == ""


def test_a_storm_locks_the_store_for_so_many_writes() -> None:
    store = a_store({"fault": "store_locked", "nth": [1], "burst": 3})
    for _ in range(3):
        with pytest.raises(StoreRefused):
            store.journal(an_order())
    store.journal(an_order())
    assert len(store.records()) == 1


def test_a_kill_switch_that_throws_is_not_set_and_can_be_set_later() -> None:
    store = a_store({"fault": "kill_switch_throws", "nth": [1]})
    with pytest.raises(StoreRefused, match="kill switch"):
        store.engage_kill_switch("overfill")
    assert store.kill_switch() == ""
    store.engage_kill_switch("overfill")
    assert store.kill_switch() == "overfill"


@pytest.mark.parametrize("rule", [{"permille": 10}, {"nth": [1], "symbol": "BTC/EUR"}])
@pytest.mark.parametrize("fault", ["store_locked", "kill_switch_throws"])
def test_a_store_fault_strikes_at_counted_opportunities_alone(fault: str, rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="counted opportunities"):
        a_store({"fault": fault, **rule})
