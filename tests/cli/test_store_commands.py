"""``interlock dryrun --store``, ``interlock store verify`` and ``interlock reset``: what they say and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interlock.runtime.sqlite_store import SqliteStore
from tests.run_builders import CONFIGS, Answer, a_config, contents, interlock, kept, runs_in

pytestmark = pytest.mark.usefixtures("plain_disk")

OPERATOR = ("--operator", "ada", "--reason", "compared by hand")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return where a store can be."""
    return tmp_path / "s.sqlite3"


def dryrun(tmp_path: Path, store: Path, run_id: str = "r1", **sections: object) -> Answer:
    """Run the short session on a store."""
    config = a_config(tmp_path, **sections)
    return interlock("dryrun", config, "--store", store, "--run-id", run_id, "--out", tmp_path / "out")


def trip(tmp_path: Path, store: Path) -> Answer:
    """Run a session that trips on a store."""
    return interlock("dryrun", CONFIGS / "trip.yaml", "--store", store, "--out", tmp_path / "tripped")


@pytest.mark.spec("IDM-1", "DIF-10")
def test_a_run_on_a_store_leaves_its_orders_there_and_can_be_replayed(tmp_path: Path, store: Path) -> None:
    assert dryrun(tmp_path, store).code == 0
    answer = interlock("store", "verify", store)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{store}: 11 records, 2 orders (0 not ended), 1 fills, none bad; kill switch off\n"
    assert interlock("replay", kept(tmp_path / "out")).code == 0
    assert b"sqlite3" not in contents(kept(tmp_path / "out"))["run.json"], "a store is no part of what a run was"


@pytest.mark.spec("IDM-2")
def test_a_second_run_on_a_store_sends_nothing_again(tmp_path: Path, store: Path) -> None:
    dryrun(tmp_path, store)
    answer = dryrun(tmp_path, store, "r2")
    assert answer.code == 0
    metrics = json.loads(contents(tmp_path / "out" / "finish_c" / "c2" / "r2")["metrics.json"])
    assert (metrics["orders_total"], metrics["counters"]["duplicate_intents_total"]) == (0, 2)
    assert interlock("store", "verify", store).out.startswith(f"{store}: 15 records, 2 orders")


@pytest.mark.spec("SAF-2", "DIF-10")
def test_a_kill_switch_stays_set_until_it_is_reset_by_name(tmp_path: Path, store: Path) -> None:
    assert trip(tmp_path, store).code == 2
    answer = dryrun(tmp_path, store)
    assert (answer.code, "C2_REJECT_KILL_SWITCH" in answer.out) == (2, True)
    assert interlock("store", "verify", store).out.endswith("kill switch on (fill_conflict)\n")
    answer = interlock("reset", "--store", store, *OPERATOR)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{store}: the kill switch (fill_conflict) was released by ada\n"
    assert dryrun(tmp_path, store, "r2").code == 0
    audit = contents(tmp_path / "out" / "finish_c" / "c2" / "r2")["audit.jsonl"]
    assert b'"OPERATOR_RESET"' in audit
    assert b"compared by hand" in audit


@pytest.mark.spec("SAF-2", "NFR-1", "DIF-10")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--operator", "ada"), "--reason"),
        (("--reason", "why"), "--operator"),
        (("--operator", " ", "--reason", "why"), "names its operator and its reason"),
        (("--operator", "ada", "--reason", ""), "names its operator and its reason"),
    ],
)
def test_a_reset_needs_a_name_and_a_reason(tmp_path: Path, store: Path, arguments: tuple[str, ...], told: str) -> None:
    trip(tmp_path, store)
    answer = interlock("reset", "--store", store, *arguments)
    assert answer.code == 1
    assert told in answer.complaint
    assert "kill switch on" in interlock("store", "verify", store).out


@pytest.mark.spec("NFR-1", "DIF-10")
def test_a_reset_of_nothing_is_one_line(tmp_path: Path, store: Path) -> None:
    answer = interlock("reset", "--store", store, *OPERATOR)
    assert (answer.code, answer.complaint.startswith(f"{store}: there is no store")) == (1, True)
    assert not store.exists()
    dryrun(tmp_path, store)
    answer = interlock("reset", "--store", store, *OPERATOR)
    assert (answer.code, answer.complaint) == (1, "the kill switch is not set")


@pytest.mark.spec("IDM-6", "DIF-10")
@pytest.mark.parametrize("command", ["dryrun", "verify", "reset"])
def test_a_store_that_is_owned_is_refused_by_name(tmp_path: Path, store: Path, command: str) -> None:
    with SqliteStore(store, owner="the night shift"):
        if command == "dryrun":
            answer = dryrun(tmp_path, store)
        elif command == "verify":
            answer = interlock("store", "verify", store)
        else:
            answer = interlock("reset", "--store", store, *OPERATOR)
    assert answer.code == 1
    assert "is owned by the night shift (pid " in answer.complaint
    assert runs_in(tmp_path / "out") == []


@pytest.mark.spec("IDM-5", "DIF-10")
def test_damage_is_named_by_verify_and_rejects_the_next_run(tmp_path: Path, store: Path) -> None:
    dryrun(tmp_path, store)
    raw = store.read_bytes()
    store.write_bytes(raw.replace(b'"quantity":"1"', b'"quantity":"7"'))
    answer = interlock("store", "verify", store)
    assert (answer.code, answer.err, answer.out.count("\n")) == (2, "", 1)
    assert answer.out.startswith(f"{store}: fills row 1 (f-0000001) does not have its hash")
    assert "the kill switch is set; a copy is in" in answer.out
    answer = dryrun(tmp_path, store, "r2")
    assert answer.code == 2
    assert "C2_REJECT_STORE" in answer.out
    audit = contents(tmp_path / "out" / "finish_c" / "c2" / "r2")["audit.jsonl"]
    assert b"ALERT_IDEMPOTENCY_PERSISTENCE_FAILED" in audit
    assert store.read_bytes() == raw.replace(b'"quantity":"1"', b'"quantity":"7"')
    assert interlock("reset", "--store", store, *OPERATOR).code == 1


@pytest.mark.spec("NFR-1", "DIF-10")
def test_a_store_that_cannot_be_is_one_line(tmp_path: Path, store: Path) -> None:
    answer = interlock("store", "verify", store)
    assert (answer.code, "there is no store" in answer.complaint) == (1, True)
    answer = dryrun(tmp_path, tmp_path / "none" / "s.sqlite3")
    assert (answer.code, "there is no folder" in answer.complaint) == (1, True)
    answer = dryrun(tmp_path, tmp_path)
    assert (answer.code, "is no plain file" in answer.complaint) == (1, True)
    store.write_text("notes")
    answer = interlock("store", "verify", store)
    assert (answer.code, "is something else, and no store" in answer.complaint) == (1, True)
    assert store.read_text() == "notes"


@pytest.mark.spec("NFR-1")
def test_faults_of_a_store_in_memory_do_not_go_with_a_store(tmp_path: Path, store: Path) -> None:
    faults = {"rules": [{"fault": "store_locked", "nth": [1]}]}
    answer = dryrun(tmp_path, store, broker={"faults": faults})
    assert (answer.code, answer.complaint.startswith("broker.faults: ")) == (1, True)
    assert not store.exists()
