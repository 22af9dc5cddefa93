"""Sessions on a store that outlives them: no key twice, a kill switch that stays, damage and failing disks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest

from interlock.domain.errors import StoreDamaged
from interlock.domain.ids import client_order_id
from interlock.domain.order_states import OrderState
from interlock.mocks.exchange import OpeningBook
from interlock.mocks.kept_exchange import KeptExchange
from interlock.runtime.damaged_store import DamagedStore
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import Store
from interlock.runtime.store_verify import verify_store
from tests.run_builders import CONFIGS, ROOT, a_process, kept
from tests.session_builders import Kept, Ran, a_day, a_session, assert_agreed, at, exchange_of, run, run_session
from tests.store_builders import FailingDisk, rows_of

pytestmark = pytest.mark.usefixtures("plain_disk")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store can be."""
    return tmp_path / "s.sqlite3"


def script(*steps: dict[str, Any]) -> dict[str, Any]:
    """Return a strategy that submits these."""
    return {"script": list(steps), "linger_s": 5}


def run_on(path: Path, **sections: Any) -> Ran:
    """Run a session on the store at ``path``."""
    with SqliteStore(path) as store:
        return run(store=store, **sections)


def key_of(decision_id: str) -> str:
    """Return the key of a decision."""
    return client_order_id("strat_demo", decision_id)


@pytest.mark.spec("IDM-1", "IDM-2")
def test_a_later_session_never_sends_a_key_again(path: Path) -> None:
    first = run_on(path, strategy=script(at(1, "d1", limit_price="101"), at(2, "d2")))
    assert first.counters["orders_place_total"] == 2
    records = verify_store(path).records
    again = run_on(path, strategy=script(at(1, "d1", limit_price="101"), at(2, "d2"), at(3, "d3")))
    assert again.result.status == "COMPLETED"
    assert again.counters["duplicate_intents_total"] == 2
    assert exchange_of(again.session).accepted == [key_of("d1"), key_of("d2"), key_of("d3")]
    assert again.counters["orders_place_total"] == 1
    assert [row[1] for row in rows_of(path)["orders"]] == [key_of("d1"), key_of("d2"), key_of("d3")]
    assert verify_store(path).records > records


@pytest.mark.spec("IDM-2")
def test_a_key_of_an_earlier_session_for_other_content_is_refused_and_told(path: Path) -> None:
    run_on(path, strategy=script(at(1, "d1")))
    other = run_on(path, strategy=script(at(1, "d1", quantity="2")))
    assert other.counters["intents_refused_total|KEY_REUSED"] == 1
    assert other.kept.audited("INTENT_REFUSED")[0]["meta"]["code"] == "KEY_REUSED"
    assert other.counters["alerts_total|ALERT_KEY_REUSED"] == 1
    assert "orders_place_total" not in other.counters


@pytest.mark.spec("IDM-2")
@pytest.mark.parametrize("limit_price", ["101", "90"], ids=["filled", "cancelled"])
def test_an_order_that_ended_long_ago_is_not_sent_again_either(path: Path, limit_price: str) -> None:
    for number in range(4):
        ran = run_on(path, strategy=script(at(1, "d1", limit_price=limit_price)))
        assert ran.counters.get("orders_place_total", 0) == (0 if number else 1)
    with SqliteStore(path) as store:
        order = store.order_of(key_of("d1"))
    assert order is not None
    assert order.state is (OrderState.FILLED if limit_price == "101" else OrderState.CANCELLED)


@pytest.mark.spec("IDM-1")
def test_every_fill_of_a_session_is_a_row_by_venue_account_and_execution(path: Path) -> None:
    ran = run_on(path, strategy=a_day())
    assert_agreed(ran.session)
    rows = rows_of(path)["fills"]
    assert [row[3] for row in rows] == [fill.fill_id for fill in exchange_of(ran.session).executions]
    assert {row[1] for row in rows} == {"mock"}
    later = run_on(path, strategy=script(at(1, "later", limit_price="101")))
    assert exchange_of(later.session).executions[-1].cursor == len(rows) + 1, "the account goes on"
    assert verify_store(path).fills == len(rows) + 1


def test_a_session_is_the_same_on_disk_as_in_memory(path: Path) -> None:
    in_memory, on_disk = run(strategy=a_day()), run_on(path, strategy=a_day())
    assert on_disk.kept.events == in_memory.kept.events
    assert on_disk.kept.audit == in_memory.kept.audit
    assert on_disk.kept.metrics == in_memory.kept.metrics


@pytest.mark.spec("SAF-2")
def test_a_trip_keeps_later_sessions_from_beginning_until_an_operator_resets(path: Path) -> None:
    tripped = run_on(path, strategy=script(at(1, "d1")), broker={"book": {"positions": {"BTC/EUR": "7"}}})
    assert tripped.result.view.kill_switch == 1
    for _ in range(2):
        refused = run_on(path, strategy=script(at(1, "d1")))
        assert (refused.result.status, refused.result.reject_code) == ("REJECTED", "C2_REJECT_KILL_SWITCH")
        assert not exchange_of(refused.session).orders
    with SqliteStore(path) as store:
        store.reset_kill_switch("ada", "compared by hand", 5, rebase=True)
    begun = run_on(path, strategy=script(at(1, "d1")), opening={"positions": {"BTC/EUR": "7"}})
    assert begun.result.status == "COMPLETED"
    [record] = begun.kept.audited("OPERATOR_RESET")
    assert (record["meta"]["operator"], record["meta"]["was_set_by"]) == ("ada", "startup_reconcile")


@pytest.mark.spec("SAF-2", "IDM-2")
def test_an_intent_that_was_checked_before_the_kill_switch_is_not_claimed_after_it(path: Path) -> None:
    with SqliteStore(path) as store:
        kept = Kept()
        session = a_session(kept, store=store, strategy=script(at(1, "d1")))
        while session.orchestrator.desk.oldest_check_ns(-1) == -1:
            assert session.run_n_steps(1).reason == "limit"
        path.with_name("s.sqlite3.kill").write_text("pulled by hand")
        ran = run_session(session, kept)
        assert ran.counters["intents_refused_total|KILL_SWITCH"] == 1
        assert (store.live_orders(), exchange_of(ran.session).orders) == ((), {})


@pytest.mark.spec("IDM-5")
def test_a_session_that_is_given_a_damaged_store_is_rejected_and_says_so(path: Path) -> None:
    run_on(path, strategy=script(at(1, "d1")))
    path.with_name("s.sqlite3.anchor").unlink()
    with pytest.raises(StoreDamaged) as damage:
        SqliteStore(path)
    store: Store = DamagedStore(damage.value)
    ran = run(store=store, strategy=script(at(1, "d2")))
    assert ran.result.status == "REJECTED"
    assert [reject.code for reject in ran.result.view.rejects] == ["C2_REJECT_KILL_SWITCH", "C2_REJECT_STORE"]
    assert ran.result.view.kill_switch == 1
    [alert] = ran.kept.audited("ALERT_IDEMPOTENCY_PERSISTENCE_FAILED")
    assert "s.sqlite3.anchor: the anchor of this store is gone" in alert["meta"]["reason"]
    assert not exchange_of(ran.session).orders


@pytest.mark.spec("IDM-5")
def test_damage_that_a_session_meets_stops_it_with_an_alert(path: Path) -> None:
    run_on(path, strategy=script(at(1, "d1", limit_price="101")))
    db = apsw.Connection(str(path))
    db.execute("UPDATE orders SET state = 'NEW'")
    db.close()
    ran = run_on(path, strategy=script(at(1, "d1", limit_price="101"), at(2, "d2")))
    assert ran.result.status != "COMPLETED"
    assert ran.result.view.kill_switch == 1
    [alert] = ran.kept.audited("ALERT_IDEMPOTENCY_PERSISTENCE_FAILED")
    assert f"orders row 1 ({key_of('d1')}) does not have its hash" in alert["meta"]["reason"]
    assert not exchange_of(ran.session).orders


@pytest.mark.parametrize("call", ["xWrite", "xSync"])
def test_a_disk_that_fails_in_the_middle_stops_the_session_and_no_further_order_leaves(path: Path, call: str) -> None:
    disk = FailingDisk(f"failing in {call}")
    with SqliteStore(path, vfs=disk.name) as store:
        kept = Kept()
        session = a_session(kept, store=store, strategy=a_day())
        while store.length() < 30:
            assert session.run_n_steps(1).reason == "limit"
        disk.strike = (call, apsw.IOError, apsw.SQLITE_IOERR)
        sent_before = set(exchange_of(session).orders)
        ran = run_session(session, kept)
    assert ran.result.status != "COMPLETED"
    assert ran.result.view.kill_switch == 1
    assert set(exchange_of(session).orders) <= sent_before | {row[1] for row in rows_of(path)["orders"]}
    assert len(set(exchange_of(session).orders) - sent_before) <= 1, "what was on its way already"
    assert any("injected into" in record["message"] for record in kept.audited("ACTOR_CRASHED"))
    assert verify_store(path).kill_switch


KILLED = """
import os, signal, sys
from pathlib import Path
from interlock.cli.main import run
from interlock.runtime import store_place
from interlock.runtime.sqlite_store import SqliteStore
store_place.MOUNTS = Path("/nowhere")
left, commit = [int(sys.argv.pop(1))], SqliteStore.commit
def dying(store):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    commit(store)
SqliteStore.commit = dying
run()
"""


@pytest.mark.spec("IDM-4", "RST-2", "OBS-8")
@pytest.mark.parametrize("commits", [9, 40, 77])
def test_a_dry_run_that_is_killed_and_run_again_goes_on_with_what_the_broker_has(path: Path, commits: int) -> None:
    arguments = ("dryrun", CONFIGS / "demo.yaml", "--store", path, "--out", path.parent / "out", "--quiet", "--replace")
    killed = a_process("-c", KILLED, commits, *arguments, cwd=ROOT)
    assert killed.returncode == -9
    before = KeptExchange(path.with_name("s.sqlite3.mock"), OpeningBook(None, {}))
    done = a_process("-c", KILLED, 0, *arguments, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    after = KeptExchange(path.with_name("s.sqlite3.mock"), OpeningBook(None, {}))
    assert len(after.accepted) == len({*after.accepted}) > len(before.accepted)
    assert after.accepted[: len(before.accepted)] == before.accepted
    assert {row[1] for row in rows_of(path)["orders"]} >= {*after.accepted}
    fills = [row[3] for row in rows_of(path)["fills"]]
    assert sorted(fills) == sorted(fill.fill_id for fill in after.executions)
    report = json.loads((kept(path.parent / "out") / "reconcile-report.json").read_bytes())
    assert (report["reason"], report["result"]) == ("startup", "healthy")
    assert verify_store(path).kill_switch == ""
