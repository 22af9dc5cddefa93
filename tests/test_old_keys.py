"""Keys as they grow old: how long an order stays known, what stays of it for ever, what its row says at each step."""

from __future__ import annotations

import pytest

from interlock.domain.broker import Fill, PlaceOrder
from interlock.domain.messages import SubmitStatus
from interlock.domain.order_states import OrderState
from interlock.domain.session_states import SessionState
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.store import ClaimResult
from tests.actors.stage import Stage, an_intent, does_silently, key_of, store_of


@pytest.mark.spec("IDM-3", "IDM-2")
def test_a_key_past_its_time_to_live_is_dropped_and_never_used_again() -> None:
    with Stage(store={"ttl_s": 7200}) as stage:
        store = store_of(stage)
        stage.submit("filled", quantity="1", limit_price="100")
        stage.fill("filled", "1")
        stage.submit("rests")
        for _ in range(4):
            stage.wait(1200)
        stage.submit("young", quantity="1", limit_price="99")
        stage.fill("young", "1")
        for _ in range(2):
            stage.wait(1200)
        stage.restart()
        assert stage.state is SessionState.DRYRUN_ACTIVE
        assert stage.counters["keys_purged_total"] == 1
        assert store.order_of(key_of("filled")) is None
        assert [store.order_of(key_of(name)) is None for name in ("rests", "young")] == [False, False]
        spent = stage.submit("filled", quantity="1", limit_price="100")
        assert (spent.status, spent.code) == (SubmitStatus.REFUSED, "KEY_SPENT")
        other = stage.submit("filled", quantity="2", limit_price="100")
        assert (other.status, other.code) == (SubmitStatus.REFUSED, "KEY_SPENT")
        assert stage.asked(PlaceOrder, "filled") == 1


@pytest.mark.spec("IDM-3")
def test_a_key_that_the_broker_still_holds_open_is_kept_however_old_it_is() -> None:
    store, far = MemoryStore(), 1 << 62
    with Stage() as stage:
        stage.submit("d1", quantity="1", limit_price="100")
        stage.fill("d1", "1")
        order = stage.order("d1")
        for record in store_of(stage).all_records():
            change = record.change
            if getattr(change, "client_order_id", "") == order.client_order_id and hasattr(change, "version"):
                store.claim(change) if change.version == 1 else store.journal(change, record.execution)  # type: ignore[arg-type]
    assert store.purge(far, (order.client_order_id,)) == 0
    assert store.claim(order) is ClaimResult.KNOWN
    assert store.purge(far, ()) == 1
    assert store.claim(order) is ClaimResult.SPENT


@pytest.mark.spec("IDM-3", "IDM-1")
def test_the_state_of_a_key_is_stored_with_every_change_and_closed_with_its_end() -> None:
    with Stage(place=[does_silently]) as stage:
        stage.start(an_intent("d1", quantity="2"))
        seen: list[str] = []
        for done in (
            lambda: stage.asked(PlaceOrder, "d1") == 1,
            lambda: stage.order("d1").state is OrderState.UNKNOWN,
            lambda: stage.order("d1").state is OrderState.ACK,
        ):
            stage.until(done)
            seen.append(_durable(stage))
        stage.fill("d1", "2")
        seen.append(_durable(stage))
        assert seen == ["SENT", "UNKNOWN", "ACK", "FILLED"]


def _durable(stage: Stage) -> str:
    """Return the state of the order as a crash at this instant would leave it."""
    store = store_of(stage)
    durable = store.all_records()[: store._durable]  # noqa: SLF001 - what a crash leaves
    states = [record.change.state for record in durable if getattr(record.change, "decision_id", "") == "d1"]  # type: ignore[union-attr]
    return str(states[-1])


def test_a_fill_is_not_a_fill_of_another_account() -> None:
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        fill: Fill = stage.fill("d1", "1")
        assert store_of(stage).execution_of("mock", "main", fill.fill_id) == fill
        assert store_of(stage).execution_of("mock", "other", fill.fill_id) is None
