"""A disk that fails under a session: it stops and says why, the kill switch is on, and no further order leaves.

Most of it is injected below the store, since a full or a read-only file system cannot be had in a test.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import apsw
import pytest

from interlock.domain.errors import StoreDamaged
from interlock.runtime import store_place
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_anchor import Anchor
from interlock.runtime.store_verify import verify_store
from tests.run_builders import a_config, interlock, runs_in
from tests.session_builders import Kept, Ran, a_day, a_session, exchange_of, run_session
from tests.store_builders import FailingDisk, copied, rows_of

pytestmark = [pytest.mark.spec("SAF-6", "IDM-2"), pytest.mark.usefixtures("plain_disk")]

RECORDS = 30
"""How far the store has come when the disk begins to fail: in the middle of the day."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store can be, in a folder of its own."""
    (tmp_path / "stores").mkdir()
    return tmp_path / "stores" / "s.sqlite3"


class Struck:
    """A session on a store whose disk fails in the middle, and what was durable before that."""

    def __init__(self, path: Path, strike: Callable[[FailingDisk], None], aside: Path) -> None:
        disk = FailingDisk(f"failing under {path}")
        with SqliteStore(path, vfs=disk.name) as store:
            kept = Kept()
            session = a_session(kept, store=store, strategy=a_day())
            while store.length() < RECORDS:
                assert session.run_n_steps(1).reason == "limit"
            self.durable = [row[1] for row in rows_of(copied(path, aside))["orders"]]
            strike(disk)
            self.ran: Ran = run_session(session, kept)
            self.complaint = store.complaint()
            self.kill_switch = store.kill_switch()

    def hold(self, told: str) -> None:
        """Hold that the session stopped closed, and that its artifacts say why in one line."""
        ran = self.ran
        assert ran.result.status == "FAILED"
        assert ran.result.view.kill_switch == 1
        assert told in self.complaint
        assert len(self.complaint.splitlines()) == 1
        assert set(exchange_of(ran.session).orders) <= set(self.durable), "what left was durable before the disk failed"
        lines = [record["message"] for record in ran.kept.audited("ACTOR_CRASHED")]
        assert any(told in line for line in lines), lines


FAILURES: dict[str, tuple[str, type[apsw.Error], int]] = {
    "disk full": ("xWrite", apsw.FullError, apsw.SQLITE_FULL),
    "read-only": ("xWrite", apsw.ReadOnlyError, apsw.SQLITE_READONLY),
    "permission lost": ("xWrite", apsw.PermissionsError, apsw.SQLITE_PERM),
    "error of a write": ("xWrite", apsw.IOError, apsw.SQLITE_IOERR_WRITE),
    "error of a sync": ("xSync", apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_database_that_cannot_be_written_stops_the_session(
    path: Path, tmp_path: Path, failure: tuple[str, type[apsw.Error], int]
) -> None:
    struck = Struck(path, lambda disk: setattr(disk, "strike", failure), tmp_path / "aside")
    struck.hold("s.sqlite3: ")
    assert struck.kill_switch
    assert verify_store(path).kill_switch == struck.kill_switch, "it stays set, and nothing is damaged"
    with SqliteStore(path) as store:
        assert all(store.order_of(key) is not None for key in struck.durable)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_an_anchor_that_cannot_be_written_stops_the_session(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def strike(_: FailingDisk) -> None:
        def refuse(*_: object) -> NoReturn:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(Anchor, "write", refuse)

    struck = Struck(path, strike, tmp_path / "aside")
    struck.hold(f"s.sqlite3: {os.strerror(code)}")
    monkeypatch.undo()
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
    assert verify_store(path).kill_switch == struck.kill_switch != ""


@pytest.mark.parametrize("loss", ["removed", "replaced", "moved"])
def test_a_database_that_is_taken_away_stops_the_session(path: Path, tmp_path: Path, loss: str) -> None:
    def strike(_: FailingDisk) -> None:
        if loss == "removed":
            path.unlink()
        else:
            path.rename(path.with_name("elsewhere"))
        if loss == "replaced":
            shutil.copy(path.with_name("elsewhere"), path)

    struck = Struck(path, strike, tmp_path / "aside")
    struck.hold("s.sqlite3: No such file" if loss != "replaced" else "s.sqlite3: was moved, removed or replaced")
    assert path.with_name("s.sqlite3.kill").read_text() == struck.kill_switch != ""
    if loss == "replaced":  # by an honest copy, into which the log is played
        assert verify_store(path).kill_switch == struck.kill_switch
    else:
        with pytest.raises(StoreDamaged, match="the database is gone"):
            SqliteStore(path)


def test_a_folder_that_is_taken_away_stops_the_session_though_the_switch_can_be_kept_nowhere(
    path: Path, tmp_path: Path
) -> None:
    struck = Struck(path, lambda _: shutil.rmtree(path.parent), tmp_path / "aside")
    struck.hold("s.sqlite3: No such file")
    assert struck.ran.kept.audited("KILL_SWITCH_NOT_STORED")


def test_a_kill_file_that_nobody_can_look_for_counts_as_set(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder lost its permissions: whether the switch was set by hand cannot be told, so nothing is claimed."""
    look = os.lstat

    def refuse(name: str, **named: int) -> os.stat_result:
        if str(name).endswith(".kill"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return look(name, **named)

    struck = Struck(path, lambda _: monkeypatch.setattr(os, "lstat", refuse), tmp_path / "aside")
    monkeypatch.setattr(os, "lstat", look)
    assert set(exchange_of(struck.ran.session).orders) <= set(struck.durable)
    assert struck.kill_switch == "nobody can tell whether s.sqlite3.kill is there: Permission denied"
    assert struck.ran.result.view.kill_switch == 1
    assert struck.ran.counters["intents_refused_total|KILL_SWITCH"] > 0


# -- at opening ---------------------------------------------------------------------------------------------


def refused_run(tmp_path: Path, path: Path) -> str:
    """Start a run on a store that cannot be opened and return the one line it says; nothing is left of the run."""
    answer = interlock("dryrun", a_config(tmp_path), "--store", path, "--out", tmp_path / "out")
    assert answer.code == 1
    assert runs_in(tmp_path / "out") == []
    return answer.complaint


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("new", [True, False], ids=["a new store", "a store"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_store_whose_anchor_cannot_be_opened_is_refused_in_one_line(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, new: bool
) -> None:
    if not new:
        SqliteStore(path).close()

    def refuse(self: Anchor, path: Path, *, make: bool) -> NoReturn:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Anchor, "__init__", refuse)
    assert refused_run(tmp_path, path) == f"{path}.anchor: {os.strerror(code)}"


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("error", [apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError, apsw.IOError])
def test_a_database_that_cannot_be_opened_is_refused_in_one_line(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[apsw.Error]
) -> None:
    SqliteStore(path).close()

    def refuse(*_: object, **__: object) -> NoReturn:
        raise error("unable to open database file")

    monkeypatch.setattr(apsw, "Connection", refuse)
    assert refused_run(tmp_path, path) == f"{path}: unable to open database file"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root: the same is injected above")
@pytest.mark.parametrize("ending", ["", ".anchor", ".lock"])
def test_a_file_that_may_not_be_opened_is_refused_in_one_line(path: Path, tmp_path: Path, ending: str) -> None:
    SqliteStore(path).close()
    file = path.with_name(path.name + ending)
    file.chmod(0)
    assert refused_run(tmp_path, path).startswith(str(file))
