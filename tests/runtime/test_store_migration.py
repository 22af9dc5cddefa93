"""Older stores are brought up to date step by step: each happens whole or not at all, and nothing held is lost."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import apsw
import msgspec
import pytest

from interlock.domain.account_book import AccountLine, opening_lines
from interlock.domain.errors import StoreRefused
from interlock.runtime import store_schema
from interlock.runtime.crash_points import CrashPoint, unheard
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult
from interlock.runtime.store_anchor import GENESIS, Anchor
from interlock.runtime.store_changes import AccountOpened, Execution, OperatorReset, SwitchSet
from interlock.runtime.store_place import Place
from interlock.runtime.store_schema import SCHEMA_VERSION, STEPS, connect, migrate
from interlock.runtime.store_tables import Tables
from interlock.runtime.store_verify import StoreReport, verify_store
from tests.domain_builders import an_order
from tests.run_builders import ROOT, a_process, interlock
from tests.store_builders import FailingDisk, a_life, contents_of

pytestmark = pytest.mark.usefixtures("plain_disk")

ORDERS = 7
FIRST = len(STEPS)

KILLED = """
import os, signal, sys
from pathlib import Path
from interlock.runtime import store_place
from interlock.runtime.crash_points import CrashPoint
from interlock.runtime.sqlite_store import SqliteStore
store_place.MOUNTS = Path("/nowhere")
left = int(sys.argv[2])
def probe(point):
    global left
    left -= point is CrashPoint.IN_MIGRATION
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
SqliteStore(Path(sys.argv[1]), probe=probe)
"""


def a_line(fills: int) -> AccountLine:
    """Return the line of the account after some fills."""
    [opening] = opening_lines(Decimal(1000), {"BTC/EUR": Decimal(0)})
    return msgspec.structs.replace(opening, quantity=Decimal(10 * fills), fills=fills)


def an_older_store(path: Path, steps: int) -> Path:
    """Make a store as it was after the first steps, with all that it could hold then; without any, none at all."""
    if not steps:
        return path
    place = Place(path)
    anchor, head = Anchor(place.anchor, make=True), GENESIS
    db = connect(place, fresh=True)
    with pytest.MonkeyPatch.context() as older:
        older.setattr(store_schema, "STEPS", STEPS[:steps])
        migrate(db, unheard)
    tables, fills = Tables(db, place, 1), 0
    with db:
        if steps > 1:
            lines = opening_lines(Decimal(1000), {"BTC/EUR": Decimal(0)})
            head = tables.append(AccountOpened("mock", "main", lines), None, "", head, 0)
        for change in (SwitchSet("loss limit"), OperatorReset("ada", "looked at it", 7, "loss limit")):
            head = tables.append(change, None, "", head, 0)
        for number in range(ORDERS):
            for order, execution in a_life(f"o{number}", steps=2 + number % 3):
                if execution is not None:
                    fills += 1
                    line = a_line(fills) if steps > 1 else None
                    execution = Execution(execution.venue, execution.account, execution.fill, line)  # noqa: PLW2901
                before = tables.order(order.client_order_id)
                head = tables.append(order, execution, '{"code":"MOVED"}\n', head, order.updated_ns, before)
    anchor.write(head)
    anchor.close(sync=True)
    db.close()
    return path


def version_of(path: Path) -> int:
    """Return after which step a store is; its log is left as it is."""
    db = apsw.Connection(str(path))
    try:
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        [version] = db.execute("PRAGMA user_version").fetchone() or (0,)
        return int(str(version))
    finally:
        db.close()


def assert_all_there(path: Path, steps: int) -> None:
    """Hold that the store is up to date, and has what it was made with."""
    with SqliteStore(path) as store:
        for number in range(ORDERS):
            *_, (order, execution) = a_life(f"o{number}", steps=2 + number % 3)
            assert store.order_of(f"o{number}") == order
            assert store.claim(an_order(f"o{number}")) is ClaimResult.KNOWN
            if execution is not None:
                assert store.execution_of("mock", "main", execution.fill.fill_id) == execution.fill
        [reset] = store.resets()
        assert (reset.operator, store.kill_switch()) == ("ada", "")
        book = store.account("mock", "main")
        assert (book is None) == (steps == 1)
        if book is not None:
            assert book.last.fills == 2
    assert version_of(path) == SCHEMA_VERSION
    assert verify_store(path) == StoreReport(
        2 + (steps > 1) + sum(2 + number % 3 for number in range(ORDERS)),
        *(ORDERS, 5, 0, 2, sum(2 + number % 3 for number in range(ORDERS)), ""),
    )


@pytest.mark.parametrize("steps", range(1, FIRST + 1))
def test_an_older_store_opens_with_all_that_it_held(tmp_path: Path, steps: int) -> None:
    path = an_older_store(tmp_path / "s.sqlite3", steps)
    assert version_of(path) == steps
    assert_all_there(path, steps)


@pytest.mark.parametrize("steps", range(1, FIRST))
def test_what_came_later_works_on_a_store_that_was_older(tmp_path: Path, steps: int) -> None:
    path = an_older_store(tmp_path / "s.sqlite3", steps)
    with SqliteStore(path, ttl_s=1) as store:
        store.open_account("mock", "other", opening_lines(Decimal(5), {}))
        assert store.purge(1 << 62, ()) == 2
        store.commit()
        assert store.claim(an_order("o2")) is ClaimResult.SPENT
        assert store.account("mock", "other") is not None
    report = verify_store(path)
    assert (report.orders, report.purged) == (ORDERS - 2, 2)


@pytest.mark.parametrize("steps", range(FIRST))
def test_each_missing_step_is_passed_once_and_only_once(tmp_path: Path, steps: int) -> None:
    path = an_older_store(tmp_path / "s.sqlite3", steps)
    for expected in (FIRST - steps, 0):
        passed: list[CrashPoint] = []
        SqliteStore(path, probe=passed.append).close()
        assert passed.count(CrashPoint.IN_MIGRATION) == expected


BROKEN = [(steps, at) for steps in range(FIRST) for at in range(1, FIRST - steps + 1)]


@pytest.mark.parametrize(("steps", "at"), BROKEN, ids=[f"from {steps}, step {steps + at}" for steps, at in BROKEN])
def test_a_kill_in_a_step_leaves_the_step_before_and_the_next_opening_finishes(
    tmp_path: Path, steps: int, at: int
) -> None:
    path = an_older_store(tmp_path / "s.sqlite3", steps)
    done = a_process("-c", KILLED, path, at, cwd=ROOT)
    assert done.returncode == -9, done.stderr
    assert version_of(path) == steps + at - 1
    if steps:
        assert_all_there(path, steps)
    else:
        SqliteStore(path).close()
        assert version_of(path) == SCHEMA_VERSION


@pytest.mark.parametrize(("steps", "at"), BROKEN, ids=[f"from {steps}, step {steps + at}" for steps, at in BROKEN])
@pytest.mark.parametrize("call", ["xWrite", "xSync"])
def test_an_error_of_the_disk_in_a_step_leaves_the_step_before_and_the_next_opening_finishes(
    tmp_path: Path, steps: int, at: int, call: str
) -> None:
    path = an_older_store(tmp_path / "s.sqlite3", steps)
    disk, passed = FailingDisk(f"full in a step, by {call}"), list[CrashPoint]()

    def strike(point: CrashPoint) -> None:
        passed.append(point)
        if passed.count(CrashPoint.IN_MIGRATION) == at:
            disk.strike = (call, apsw.FullError, apsw.SQLITE_FULL)

    with pytest.raises(StoreRefused, match=r"s\.sqlite3: ") as refused:
        SqliteStore(path, vfs=disk.name, probe=strike)
    assert len(str(refused.value).splitlines()) == 1
    # A log that could not be synced may have been written all the same: then the step is whole.
    assert version_of(path) in ((steps + at - 1,) if call == "xWrite" else (steps + at - 1, steps + at))
    if steps:
        assert_all_there(path, steps)
    else:
        SqliteStore(path).close()
        assert version_of(path) == SCHEMA_VERSION


@pytest.mark.spec("NFR-1")
def test_a_newer_schema_is_refused_in_one_line_and_nothing_is_touched(tmp_path: Path) -> None:
    path = an_older_store(tmp_path / "s.sqlite3", FIRST)
    assert_all_there(path, FIRST)
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = contents_of(path)
    line = f"{path}: is of schema {SCHEMA_VERSION + 1} (allowed: up to {SCHEMA_VERSION})"
    for _ in range(2):
        with pytest.raises(StoreRefused) as refused:
            SqliteStore(path)
        assert str(refused.value) == line
    answer = interlock("store", "verify", path)
    assert (answer.code, answer.complaint) == (1, line)
    assert contents_of(path) == before
    assert {file.name for file in tmp_path.iterdir()} <= {*before, "s.sqlite3.lock", "s.sqlite3-wal", "s.sqlite3-shm"}
