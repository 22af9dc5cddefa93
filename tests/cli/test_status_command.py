"""``interlock status``: one screen about a run or a store, the same as JSON, and an exit code that a script can use."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import advance
from interlock.domain.restart import SessionBegun, SessionDone
from interlock.observe.rows import status_rows, store_rows
from interlock.observe.store_look import look_into
from interlock.observe.views import Status, StoreStatus
from interlock.runtime.sqlite_store import SqliteStore
from tests.domain_builders import an_order
from tests.run_builders import CONFIGS, a_config, contents, interlock, kept
from tests.store_builders import contents_of, fill_store, sent

pytestmark = [pytest.mark.spec("OBS-6"), pytest.mark.usefixtures("plain_disk")]

SCREEN = 24
OPERATOR = ("--operator", "ada", "--reason", "compared by hand")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return where a store can be."""
    return tmp_path / "s.sqlite3"


def a_run(tmp_path: Path, name: str = "") -> Path:
    """Make a run of a packaged config, or of the short one, and return its folder."""
    config = CONFIGS / name if name else a_config(tmp_path)
    interlock("dryrun", config, "--out", tmp_path / "out")
    return kept(tmp_path / "out")


# -- a run --------------------------------------------------------------------------------------------------


@pytest.mark.spec("OBS-5", "DIF-10")
def test_a_run_that_went_well_fits_one_screen_and_exits_zero(tmp_path: Path) -> None:
    answer = interlock("status", a_run(tmp_path))
    assert (answer.code, answer.err) == (0, "")
    assert len(answer.out.splitlines()) <= SCREEN
    assert "\x1b" not in answer.out
    for line in ("health        well", "kill switch   off", "in doubt      none", "do next       nothing"):
        assert line in answer.out


@pytest.mark.spec("OBS-5", "DIF-10")
def test_a_run_that_tripped_says_what_to_do_and_exits_two(tmp_path: Path) -> None:
    answer = interlock("status", a_run(tmp_path, "trip.yaml"))
    assert (answer.code, answer.err) == (2, "")
    assert "kill switch   on: fill_conflict" in answer.out
    assert "interlock reset --store" in " ".join(answer.out.split())
    assert len(answer.out.splitlines()) <= SCREEN


def test_json_is_the_snapshot_of_the_run_to_the_byte(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    answer = interlock("status", folder, "--format", "json")
    assert answer.out.encode() == contents(folder)["dryrun_status_snapshot.json"]


def test_without_a_name_it_is_the_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    interlock("dryrun", a_config(tmp_path), "--run-id", "older")
    (tmp_path / "out" / "finish_c" / "c2" / "newer.partial").mkdir()
    assert interlock("status").out.startswith("run older")


@pytest.mark.spec("NFR-1", "DIF-10")
def test_bad_input_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, said in (
        ((), "out: holds no run"),
        ((tmp_path,), "is missing"),
        ((tmp_path / "none",), "is no folder"),
        ((tmp_path, "--store", store), "were given together"),
        (("--store", store), "there is no store"),
        (("--store", tmp_path), "is no plain file"),
        (("--format", "xml"), "xml"),
    ):
        answer = interlock("status", *arguments)
        assert (answer.code, said in answer.complaint) == (1, True), arguments
    assert not store.exists()


def test_it_changes_nothing(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    before = contents(folder)
    interlock("status", folder)
    assert contents(folder) == before


# -- a store ------------------------------------------------------------------------------------------------


def doubtful(path: Path) -> None:
    """Leave a store as a session does that was killed: begun, not ended, with orders in every condition."""
    with SqliteStore(path) as store:
        store.begin_session(SessionBegun("r-1", "s-1", "0.1.0", 5))
        for name in ("sent", "unknown", "quarantined", "works"):
            store.claim(sent(an_order(name)))
        unknown = advance(sent(an_order("unknown")), OrderEvent.PLACE_UNKNOWN, 3, reason="no answer")
        store.journal(unknown)
        lost = advance(sent(an_order("quarantined")), OrderEvent.PLACE_UNKNOWN, 3)
        store.journal(lost)
        store.journal(advance(lost, OrderEvent.QUARANTINE, 4))
        store.journal(advance(sent(an_order("works")), OrderEvent.ACCEPT, 3, broker_order_id="b-1"))
        store.commit()


@pytest.mark.spec("SAF-2", "DIF-10")
def test_orders_of_a_session_that_was_killed_are_named_with_what_to_do(store: Path) -> None:
    doubtful(store)
    answer = interlock("status", "--store", store)
    text = " ".join(answer.out.split())
    assert (answer.code, answer.err) == (2, "")
    assert len(answer.out.splitlines()) <= SCREEN
    assert "in doubt 2" in text
    assert "quarantined 1" in text
    assert "open orders 1" in text
    assert "never ended: it crashed, or was killed" in text
    assert "ORDERS_QUARANTINED: settle each with the broker by hand" in text
    assert "ORDERS_IN_DOUBT: restart the engine on this store" in text


def test_a_store_as_json_says_the_same_each_time(store: Path) -> None:
    doubtful(store)
    first, second = (interlock("status", "--store", store, "--format", "json").out for _ in range(2))
    seen = msgspec.json.decode(first, type=StoreStatus)
    assert first == second
    assert [order.state for order in seen.in_doubt] == ["SENT", "UNKNOWN"]
    assert seen.last_session is not None
    assert (seen.last_session.run_id, seen.last_session.done_ts) == ("r-1", None)
    assert json.loads(first)["schema"] == "StoreStatus/1"


@pytest.mark.spec("DIF-10")
def test_a_store_that_is_in_order_exits_zero(store: Path) -> None:
    with SqliteStore(store) as opened:
        opened.begin_session(SessionBegun("r-1", "s-1", "0.1.0", 5))
        opened.end_session(SessionDone("r-1", "COMPLETED", 9))
        opened.commit()
    answer = interlock("status", "--store", store)
    assert (answer.code, "ended COMPLETED" in answer.out) == (0, True)
    assert "do next        nothing" in answer.out


def test_resets_are_told_the_newest_first(store: Path) -> None:
    with SqliteStore(store) as opened:
        fill_store(opened)
        for number in range(4):
            opened.engage_kill_switch(f"cause-{number}")
            opened.reset_kill_switch("ada", f"because {number}", 10 + number)
    seen = look_into(store)
    assert [reset.reason for reset in seen.resets] == ["because 3", "because 2", "because 1"]
    assert (seen.kill_switch, seen.keys) == (0, 24)


@pytest.mark.spec("SAF-2")
def test_a_reset_says_that_quarantined_orders_were_settled(store: Path) -> None:
    doubtful(store)
    assert [order.client_order_id for order in look_into(store).quarantined] == [
        an_order("quarantined").client_order_id
    ]
    with SqliteStore(store) as opened:
        opened.engage_kill_switch("unsettled_order")
        opened.reset_kill_switch("ada", "settled with the broker", 10)
    assert look_into(store).quarantined == ()


@pytest.mark.spec("SAF-2")
def test_a_kill_switch_is_told_with_what_set_it_and_goes_with_a_reset(tmp_path: Path, store: Path) -> None:
    interlock("dryrun", CONFIGS / "trip.yaml", "--store", store, "--out", tmp_path / "out")
    answer = interlock("status", "--store", store)
    assert (answer.code, "kill switch    on: fill_conflict" in answer.out) == (2, True)
    interlock("reset", "--store", store, *OPERATOR)
    answer = interlock("status", "--store", store)
    assert (answer.code, "by ada: compared by hand" in answer.out) == (0, True)


def test_a_look_changes_nothing(store: Path) -> None:
    doubtful(store)
    before = contents_of(store)
    interlock("status", "--store", store)
    assert contents_of(store) == before


@pytest.mark.spec("IDM-6", "DIF-10")
def test_a_store_that_an_engine_runs_on_says_whose_it_is_and_what_to_do(store: Path) -> None:
    with SqliteStore(store, owner="the night shift"):
        answer = interlock("status", "--store", store)
    assert answer.code == 1
    assert "is owned by the night shift (pid " in answer.complaint
    assert "ask the engine that runs on it" in answer.complaint


@pytest.mark.spec("IDM-5")
def test_a_damaged_store_is_told_and_needs_an_operator(tmp_path: Path, store: Path) -> None:
    interlock("dryrun", a_config(tmp_path), "--store", store, "--out", tmp_path / "out")
    store.write_bytes(store.read_bytes()[: 1 << 12])
    answer = interlock("status", "--store", store)
    assert (answer.code, answer.err) == (2, "")
    assert "damaged" in answer.out
    assert "STORE_DAMAGED: run interlock store verify FILE" in " ".join(answer.out.split())


def test_the_fullest_status_still_fits_one_screen(tmp_path: Path, store: Path) -> None:
    doubtful(store)
    seen = look_into(store)
    full = msgspec.structs.replace(seen, in_doubt=seen.in_doubt * 50, quarantined=seen.quarantined * 100)
    assert len([*store_rows(full, 3)]) <= SCREEN
    folder = a_run(tmp_path, "trip.yaml")
    status = msgspec.json.decode(contents(folder)["dryrun_status_snapshot.json"], type=Status)
    full_run = msgspec.structs.replace(status, in_doubt=seen.in_doubt * 50, open_orders=seen.open_orders * 50)
    assert len([*status_rows(full_run, 3)]) <= SCREEN
