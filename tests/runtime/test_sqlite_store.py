"""The store on disk: what survives its closing, where it may be, and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from interlock.domain.errors import StoreDamaged, StoreRefused
from interlock.runtime import store_place, store_schema
from interlock.runtime.kill_file import KillFile
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult
from interlock.runtime.store_place import file_system_of
from interlock.runtime.store_schema import version_complaint
from interlock.runtime.store_verify import StoreReport, verify_store
from tests.domain_builders import an_order
from tests.store_builders import FailingDisk, a_life, contents_of, fill_store, rows_of, sent

pytestmark = pytest.mark.usefixtures("plain_disk")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store can be."""
    return tmp_path / "s.sqlite3"


# -- what survives ------------------------------------------------------------------------------------------


@pytest.mark.spec("IDM-1", "IDM-2")
def test_everything_is_there_after_closing_and_opening_again(path: Path) -> None:
    with SqliteStore(path) as store:
        fill_store(store, 9)
        before = {f"o{n}": store.order_of(f"o{n}") for n in range(9)}
        length, resets = store.length(), store.resets()
    with SqliteStore(path) as store:
        assert {key: store.order_of(key) for key in before} == before
        assert (store.length(), store.resets(), store.complaint()) == (length, resets, "")
        assert store.claim(an_order("o3")) is ClaimResult.KNOWN
    assert verify_store(path) == StoreReport(35, 9, 6, 1, 4, 1, "")


@pytest.mark.spec("IDM-1")
def test_a_row_holds_the_key_the_decision_the_content_and_where_the_order_is(path: Path) -> None:
    with SqliteStore(path) as store:
        store.claim(an_order())
        store.journal(sent(an_order()))
    [row] = rows_of(path)["orders"]
    assert row[1:7] == ("o1", an_order().fingerprint, "SENT", 1, 1, 48 * 3600 * 10**9)
    content = rows_of(path)["journal"][-1][5]
    for part in ('"decision_id":"d1"', '"symbol":"BTC/EUR"', '"side":"BUY"', '"quantity":"10"'):
        assert part in content


@pytest.mark.spec("SAF-2")
def test_the_kill_switch_survives_a_restart_until_an_operator_releases_it(path: Path) -> None:
    with SqliteStore(path) as store:
        store.engage_kill_switch("loss limit")
    with SqliteStore(path) as store:
        assert store.kill_switch() == "loss limit"
        assert store.claim(an_order()) is ClaimResult.HALTED
        store.reset_kill_switch("ada", "looked at it", 5)
    with SqliteStore(path) as store:
        assert (store.kill_switch(), store.resets()[0].operator) == ("", "ada")
        assert not (path.parent / "s.sqlite3.kill").exists()


@pytest.mark.spec("SAF-2")
def test_a_kill_file_made_by_hand_stops_claims_at_once(path: Path) -> None:
    with SqliteStore(path) as store:
        assert store.claim(an_order("o1")) is ClaimResult.CLAIMED
        (path.parent / "s.sqlite3.kill").touch()
        assert store.claim(an_order("o2")) is ClaimResult.HALTED
        assert store.kill_switch() == "the file s.sqlite3.kill is there"
        store.reset_kill_switch("ada", "it was me", 5)
        assert store.claim(an_order("o2")) is ClaimResult.CLAIMED


def test_each_change_is_one_transaction(path: Path) -> None:
    commits: list[int] = []

    def committed() -> bool:
        commits.append(1)
        return False

    with SqliteStore(path) as store:
        fill_store(store, 2)
        store._file.db.set_commit_hook(committed)  # noqa: SLF001 - SQLite's own count
        for order, execution in a_life("a"):
            store.journal(order, execution)
            store.commit()
        store.claim(an_order("a"))
        store.commit()
    assert len(commits) == 4, "row, record and execution together, and nothing for what changes nothing"


# -- settings and places ------------------------------------------------------------------------------------


@pytest.mark.spec("IDM-1")
def test_the_log_is_written_ahead_fully_synced_and_nothing_is_mapped(path: Path) -> None:
    with SqliteStore(path) as store:
        names = ("journal_mode", "synchronous", "mmap_size", "locking_mode")
        found = [store._file.db.execute(f"PRAGMA {name}").fetchone() for name in names]  # noqa: SLF001 - read back
        assert [*found[:2], found[3]] == [("wal",), (2,), ("exclusive",)]
        assert found[2] in ((0,), None)
        assert not (path.parent / "s.sqlite3-shm").exists()
        maps = Path("/proc/self/maps")
        if maps.exists():
            assert path.name not in maps.read_text()


def test_a_setting_that_does_not_hold_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_schema, "_READ_BACK", (("synchronous", 3),))
    with pytest.raises(StoreRefused, match=r"synchronous is \(2,\) and not 3"):
        SqliteStore(path)


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.50.6", "3.51.0", "3.51.2"])
def test_a_release_of_sqlite_that_loses_commits_is_refused(
    path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: version)
    with pytest.raises(StoreRefused, match=f"SQLite {version} can lose commits"):
        SqliteStore(path)


@pytest.mark.parametrize("version", ["3.44.6", "3.50.7", "3.51.3", "3.54.1", "4.0.0", apsw.sqlite_lib_version()])
def test_a_sound_release_of_sqlite_is_taken(version: str) -> None:
    assert version_complaint(version) == ""


@pytest.mark.parametrize("ending", ["", "-wal", ".anchor", ".kill", ".lock"])
def test_a_link_in_place_of_a_file_is_refused(path: Path, ending: str) -> None:
    target = path.with_name("elsewhere")
    target.touch()
    path.with_name(path.name + ending).symlink_to(target)
    with pytest.raises(StoreRefused, match="is a link"):
        SqliteStore(path)
    assert target.read_bytes() == b""


def test_a_folder_or_no_folder_is_refused(path: Path) -> None:
    with pytest.raises(StoreRefused, match="there is no folder"):
        SqliteStore(path / "deeper")
    path.mkdir()
    with pytest.raises(StoreRefused, match="is no plain file"):
        SqliteStore(path)


@pytest.mark.parametrize(
    ("kind", "why"), [("nfs4", "cannot be locked"), ("cifs", "cannot be locked"), ("tmpfs", "forgets")]
)
def test_a_file_system_that_forgets_or_is_shared_is_refused(
    path: Path, kind: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = path.with_name("mounts")
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nhost:/x {path.parent} {kind} rw 0 0\n/dev/b {path.parent}x ext4 rw 0 0\n")
    monkeypatch.setattr(store_place, "MOUNTS", mounts)
    with pytest.raises(StoreRefused, match=f"lies on {kind}, which .*{why}"):
        SqliteStore(path)
    assert not path.exists()


def test_the_file_system_is_that_of_the_deepest_mount(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = path.parent / "with space"
    mounts = path.with_name("mounts")
    mounts.write_text(f"proc\n/dev/a / ext4 rw 0 0\nx {path.parent}/with\\040space xfs rw 0 0\n")
    monkeypatch.setattr(store_place, "MOUNTS", mounts)
    assert [file_system_of(folder / "s"), file_system_of(path)] == ["xfs", "ext4"]


@pytest.mark.parametrize("content", ["notes", ""])
def test_a_file_that_is_no_store_is_left_alone(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(StoreRefused, match=r"s\.sqlite3: is something else, and no store"):
        SqliteStore(path)
    assert path.read_text() == content
    assert sorted(file.name for file in path.parent.iterdir()) == ["s.sqlite3", "s.sqlite3.lock"]


@pytest.mark.spec("IDM-5")
def test_a_database_without_an_anchor_is_damage(path: Path) -> None:
    apsw.Connection(str(path)).execute("CREATE TABLE orders (key)").connection.close()
    with pytest.raises(StoreDamaged, match=r"s\.sqlite3\.anchor: the anchor of this store is gone"):
        SqliteStore(path)


@pytest.mark.parametrize("name", ["/", "a\0b"])
def test_a_path_that_names_no_file_is_refused(name: str) -> None:
    with pytest.raises(StoreRefused, match="names no file"):
        SqliteStore(Path(name))


def test_a_ring_of_links_is_refused(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(StoreRefused, match=r"out of reach|there is no folder"):
        SqliteStore(path / "deeper")


def test_a_store_of_a_newer_schema_is_refused(path: Path) -> None:
    with SqliteStore(path) as store:
        store._file.db.execute("PRAGMA user_version = 9")  # noqa: SLF001 - as a newer release would
    with pytest.raises(StoreRefused, match=r"is of schema 9 \(allowed: up to 3\)"):
        SqliteStore(path)


# -- a disk that fails --------------------------------------------------------------------------------------


FAILURES: dict[str, tuple[str, type[apsw.Error], int]] = {
    "full": ("xWrite", apsw.FullError, apsw.SQLITE_FULL),
    "write error": ("xWrite", apsw.IOError, apsw.SQLITE_IOERR_WRITE),
    "read-only": ("xWrite", apsw.ReadOnlyError, apsw.SQLITE_READONLY),
    "sync error": ("xSync", apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
}


def claim(store: SqliteStore) -> object:
    """Claim a new key."""
    taken = store.claim(an_order("new"))
    store.commit()
    return taken


def move_on(store: SqliteStore) -> object:
    """Record a change of a known order."""
    store.journal(sent(an_order("known")))
    store.commit()
    return None


@pytest.mark.parametrize("work", [claim, move_on])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_disk_that_fails_finishes_the_store_in_one_line_and_loses_nothing(
    path: Path, failure: tuple[str, type[apsw.Error], int], work: Callable[[SqliteStore], object]
) -> None:
    disk = FailingDisk("failing")
    store = SqliteStore(path, vfs="failing")
    store.claim(an_order("known"))
    store.commit()
    before = store.length()
    disk.strike = failure
    with pytest.raises(StoreRefused, match=r"s\.sqlite3: ") as refused:
        work(store)
    assert len(str(refused.value).splitlines()) == 1
    assert disk.struck
    disk.strike = None
    for again in (claim, move_on):
        with pytest.raises(StoreRefused, match="takes nothing more until it is opened again"):
            again(store)
    assert store.complaint() == str(refused.value)
    store.engage_kill_switch("store failed")
    assert store.kill_switch() == "store failed", "engaging needs no healthy store"
    store.close()
    with SqliteStore(path) as store:
        assert store.kill_switch() == "store failed"
        # What was refused may be there after all, as after a crash; what was acknowledged is.
        assert before <= store.length() <= before + 1
        assert store.claim(an_order("known")) is ClaimResult.KNOWN
    assert verify_store(path).kill_switch == "store failed"


def test_an_anchor_that_cannot_be_written_finishes_the_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(path)

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store._file._anchor, "write", full)  # noqa: SLF001 - the disk's part
    with pytest.raises(StoreRefused, match="No space left on device"):
        claim(store)
    with pytest.raises(StoreRefused, match="takes nothing more"):
        move_on(store)
    store.close()
    with SqliteStore(path) as store:
        assert store.claim(an_order("new")) is ClaimResult.KNOWN, "never again, acknowledged or not"


@pytest.mark.parametrize("loss", ["unlink", "replace"])
def test_a_database_that_is_taken_away_while_it_is_open_takes_no_order(path: Path, loss: str) -> None:
    store = SqliteStore(path)
    store.claim(an_order("known"))
    path.rename(path.with_name("moved")) if loss == "replace" else path.unlink()
    if loss == "replace":
        path.touch()
    with pytest.raises(StoreRefused, match=r"s\.sqlite3: "):
        claim(store)
    assert store.complaint()
    store.close()


def test_a_kill_switch_that_can_be_kept_nowhere_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with SqliteStore(path) as store:
        monkeypatch.setattr(KillFile, "engage", refuse)
        store.engage_kill_switch("kept as a row")
        assert store.kill_switch() == "kept as a row"
        store.reset_kill_switch("ada", "next", 1)
        path.rename(path.with_name("moved"))
        with pytest.raises(StoreRefused, match="No such file"):
            store.engage_kill_switch("kept nowhere")


@pytest.mark.spec("SAF-2")
def test_a_kill_file_that_cannot_be_removed_keeps_the_switch_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(30, "Read-only file system")

    with SqliteStore(path) as store:
        store.engage_kill_switch("loss limit")
        with monkeypatch.context() as held:
            held.setattr(KillFile, "release", refuse)
            with pytest.raises(StoreRefused, match="stays set: Read-only file system"):
                store.reset_kill_switch("ada", "looked", 5)
        assert store.kill_switch() == "loss limit"
        assert store.claim(an_order()) is ClaimResult.HALTED


def test_a_store_that_was_refused_is_not_changed(path: Path) -> None:
    with SqliteStore(path) as store:
        fill_store(store, 3)
        before = contents_of(path)
        with pytest.raises(StoreRefused, match="is owned by"):
            SqliteStore(path)
        assert contents_of(path) == before
        assert store.claim(an_order("still")) is ClaimResult.CLAIMED
