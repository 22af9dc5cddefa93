"""What the crash harness found when it was new, each told again without it and mended."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from interlock.domain.ids import client_order_id
from interlock.domain.order_states import OrderState
from interlock.runtime.sqlite_store import SqliteStore
from interlock.sessions import SteppedSession
from tests.session_builders import Kept, a_config, a_recorder, a_session, at, run, run_session
from tests.store_builders import FailingDisk

pytestmark = pytest.mark.usefixtures("plain_disk")

AGAIN = {"script": [at(1, "d1"), at(2, "d1")], "linger_s": 5}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store can be."""
    return tmp_path / "s.sqlite3"


@pytest.mark.spec("IDM-2")
def test_a_host_that_asks_twice_for_a_spent_key_is_refused_twice_and_nothing_trips(path: Path) -> None:
    """The rails remembered an order that had never left, and took the second question for a second order."""
    with SqliteStore(path) as store:
        run(store=store, strategy=AGAIN)
        assert store.purge(1 << 62, ()) == 1
        ran = run(store=store, strategy=AGAIN)
    assert ran.result.status == "COMPLETED"
    assert ran.counters["intents_refused_total|KEY_SPENT"] == 2


@pytest.mark.spec("IDM-2")
def test_an_old_order_that_recovery_has_just_settled_is_not_dropped_by_the_same_start(path: Path) -> None:
    """Its row was gone and the memory of it was not: the host's repeated decision tripped the session."""
    with SqliteStore(path) as store, a_session(Kept(), store=store, strategy=AGAIN) as killed:
        while not store.live_orders():
            assert killed.run_n_steps(1).reason == "limit"
    with SqliteStore(path) as store:
        ran = run(store=store, session={"start_utc": "2026-03-01T08:00:00Z"}, strategy=AGAIN)
        order = store.order_of(client_order_id("strat_demo", "d1"))
    assert order is not None
    assert order.state is OrderState.VOID
    assert (ran.result.status, ran.counters["duplicate_intents_total"]) == ("COMPLETED", 2)


@pytest.mark.spec("RST-3")
def test_a_store_that_fails_before_the_session_has_begun_sets_the_kill_switch(path: Path) -> None:
    disk, kept = FailingDisk("fails at the first sync"), Kept()
    config = a_config(store={"group_commit": True}, broker={"request_latency_s": 0, "report_latency_s": 0})
    with SqliteStore(path, vfs=disk.name) as store:
        disk.strike = ("xSync", apsw.IOError, apsw.SQLITE_IOERR)
        ran = run_session(SteppedSession(config, a_recorder(kept, config), store=store), kept)
    assert (ran.result.status, ran.result.reject_code) == ("REJECTED", "C2_REJECT_STORE")
    assert path.with_name("s.sqlite3.kill").read_text() == "store_failed"
