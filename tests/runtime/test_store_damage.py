"""Damage of every kind, seeded: found at opening, at the first read or by a look at the whole, and never written over.

A flipped bit that no row, no page and no record shows (in space that nothing uses) changes nothing; the tests hold that
whatever is not found has left every row as it was.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from interlock.domain.errors import StoreDamaged, StoreRefused
from interlock.runtime import store_place
from interlock.runtime.seeds import SeededStreams
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult
from interlock.runtime.store_schema import row_hash
from interlock.runtime.store_verify import verify_store
from tests.domain_builders import an_order
from tests.store_builders import TABLES, contents_of, copied, fill_store, rows_of

pytestmark = pytest.mark.spec("IDM-5")


class Sound(NamedTuple):
    """The same store twice: after a crash, all of it in the log, and closed in good order; and its rows."""

    crashed: Path
    closed: Path
    rows: dict[str, list[object]]


@pytest.fixture(autouse=True)
def _plain_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the store lie where pytest puts it, which may be memory."""
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Return a store with something of everything in it."""
    folder = tmp_path_factory.mktemp("sound")
    mounts, store_place.MOUNTS = store_place.MOUNTS, folder / "none"
    path = folder / "s.sqlite3"
    with SqliteStore(path) as store:
        fill_store(store)
        crashed = copied(path, folder / "crashed")
    store_place.MOUNTS = mounts
    closed = copied(path, folder / "closed")
    return Sound(crashed, closed, rows_of(copied(path, folder / "rows")))


def found_in(path: Path) -> str:
    """Return where damage was found, or "" ; whatever is found, nothing may have been written over."""
    looks: dict[str, Callable[[], object]] = {
        "opening": lambda: SqliteStore(path).close(),
        "verify": lambda: verify_store(path),
    }
    for where, look in looks.items():
        before, found = contents_of(path), None
        try:
            look()
        except StoreRefused as error:
            found = error
        if found is not None:
            assert_kept(path, found, before)
            return where
    return ""


def assert_kept(path: Path, found: StoreRefused, before: dict[str, bytes]) -> None:
    """Hold that nothing was touched, and for damage: the kill switch set, a copy aside, a line that says what to do."""
    text = str(found)
    assert contents_of(path) == before, "evidence was changed"
    assert len(text.splitlines()) == 1
    assert "s.sqlite3" in text.partition(": ")[0]
    if isinstance(found, StoreDamaged):
        assert path.with_name("s.sqlite3.kill").read_text() == "store_damaged"
        [aside] = path.parent.glob("s.sqlite3.damaged-*")
        assert {file.name: file.read_bytes() for file in aside.iterdir()} == before
        assert f"; the kill switch is set; a copy is in {aside}; nothing was changed and no order leaves; put" in text


def flip(file: Path, draw: SeededStreams) -> None:
    """Flip one bit."""
    raw = bytearray(file.read_bytes())
    raw[draw.below(len(raw), "byte")] ^= 1 << draw.below(8, "bit")
    file.write_bytes(raw)


def cut(file: Path, draw: SeededStreams) -> None:
    """Cut the tail off."""
    file.write_bytes(file.read_bytes()[: draw.below(file.stat().st_size, "length")])


def swap(file: Path, draw: SeededStreams) -> None:
    """Swap two pages, or two equal parts of a small file."""
    raw = file.read_bytes()
    size = 4096 if len(raw) > 3 * 4096 else 16
    pages = [raw[at : at + size] for at in range(0, len(raw), size)]
    one = draw.below(len(pages), "one")
    other = (one + 1 + draw.below(len(pages) - 1, "other")) % len(pages)
    pages[one], pages[other] = pages[other], pages[one]
    file.write_bytes(b"".join(pages))


ON_FILES = [
    *[(flip, "", 90), (flip, "-wal", 60), (flip, ".anchor", 40)],
    *[(cut, "", 25), (cut, "-wal", 40), (cut, ".anchor", 15)],
    *[(swap, "", 20), (swap, "-wal", 20), (swap, ".anchor", 10)],
]


@pytest.mark.parametrize(("damage", "ending", "seeds"), ON_FILES, ids=[f"{d.__name__} s{e}" for d, e, _ in ON_FILES])
def test_damage_to_a_file_is_found_or_has_changed_nothing(
    sound: Sound, tmp_path: Path, damage: Callable[[Path, SeededStreams], None], ending: str, seeds: int
) -> None:
    found: Counter[str] = Counter()
    for seed in range(seeds):
        path = copied(sound.crashed if ending == "-wal" else sound.closed, tmp_path / "store")
        file = path.with_name(path.name + ending)
        before = file.read_bytes()
        damage(file, SeededStreams(seed))
        where = found_in(path) if file.read_bytes() != before else "nothing was changed"
        found[where] += 1
        if not where:
            assert rows_of(copied(path, tmp_path / "rows")) == sound.rows, f"seed {seed} went unnoticed"
    if ending:
        assert not found[""], "there is no unused space in it"
    assert found["opening"] + found["verify"] > seeds / 3


def drop(db: apsw.Connection, table: str, draw: SeededStreams) -> None:
    """Drop a row."""
    [numbers] = zip(*db.execute(f"SELECT sequence FROM {table}"), strict=True)  # noqa: S608 - ours
    db.execute(f"DELETE FROM {table} WHERE sequence = ?", (numbers[draw.below(len(numbers), "row")],))  # noqa: S608 - ours


def exchange(db: apsw.Connection, table: str, draw: SeededStreams) -> None:
    """Let two rows change places, each with its hash."""
    [numbers] = zip(*db.execute(f"SELECT sequence FROM {table}"), strict=True)  # noqa: S608 - ours
    at = draw.below(len(numbers), "one")
    one, other = numbers[at], numbers[(at + 1 + draw.below(len(numbers) - 1, "other")) % len(numbers)]
    for before, after in ((one, -1), (other, one), (-1, other)):
        db.execute(f"UPDATE {table} SET sequence = ? WHERE sequence = ?", (after, before))  # noqa: S608 - ours


def repeat(db: apsw.Connection, table: str, draw: SeededStreams) -> None:
    """Put a second copy of a row at the end, under a key of its own where it needs one."""
    rows = db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - ours
    row = list(rows[draw.below(len(rows), "row")])
    row[0] = len(rows) + 1
    if table in ("orders", "fills"):
        row[1] = f"{row[1]}-again"
    db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - ours


@pytest.mark.parametrize("table", ["orders", "fills", "journal"])
@pytest.mark.parametrize("damage", [drop, exchange, repeat])
def test_rows_that_are_dropped_exchanged_or_repeated_are_always_found(
    sound: Sound, tmp_path: Path, damage: Callable[[apsw.Connection, str, SeededStreams], None], table: str
) -> None:
    for seed in range(8):
        path = copied(sound.closed, tmp_path / "store")
        db = apsw.Connection(str(path))
        damage(db, table, SeededStreams(seed))
        db.close()
        found = found_in(path)
        assert found, f"seed {seed} went unnoticed"
        if damage is not exchange and table != "journal":
            assert found == "opening", "a key that is missing must not be claimed again"


def test_a_row_put_back_to_an_earlier_version_with_its_hash_is_found(sound: Sound, tmp_path: Path) -> None:
    for number in range(1, 25):
        path = copied(sound.closed, tmp_path / "store")
        db = apsw.Connection(str(path))
        row = db.execute("SELECT * FROM orders WHERE sequence = ?", (number,)).fetchone()
        assert row is not None
        older = db.execute(
            "SELECT sequence, content FROM journal WHERE key = ? AND version = ?", (row[1], row[5] - 1)
        ).fetchone()
        assert older is not None
        state = "NEW" if row[5] == 1 else "SENT" if row[5] == 2 else "ACK"
        changed = (*row[:3], state, 1, row[5] - 1, row[6], *older)
        db.execute("DELETE FROM orders WHERE sequence = ?", (number,))
        db.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*changed, row_hash("orders", changed)))
        db.close()
        assert found_in(path), f"row {number}"


def test_a_kill_switch_that_was_cleared_behind_our_back_is_found(sound: Sound, tmp_path: Path) -> None:
    path = copied(sound.closed, tmp_path / "store")
    with SqliteStore(path) as store:
        store.engage_kill_switch("loss limit")
    (path.parent / "s.sqlite3.kill").unlink()
    blank = (1, "", 0)
    db = apsw.Connection(str(path))
    db.execute("UPDATE switch SET reason = ?2, record = ?3, hash = ?4", (*blank, row_hash("switch", blank)))
    db.close()
    with pytest.raises(StoreDamaged, match="kill switch is not what the journal says"):
        verify_store(path)


@pytest.mark.parametrize("table", TABLES)
def test_every_edited_column_is_found(sound: Sound, tmp_path: Path, table: str) -> None:
    columns = [row[1] for row in apsw.Connection(str(sound.closed)).execute(f"PRAGMA table_info({table})")]
    for column in columns[1:]:
        path = copied(sound.closed, tmp_path / "store")
        db = apsw.Connection(str(path))
        db.execute(f"UPDATE {table} SET {column} = {column} || '1' WHERE sequence = 1")  # noqa: S608 - ours
        db.close()
        assert found_in(path), column


def test_an_index_that_hides_a_key_is_found_before_the_key_is_claimed_again(sound: Sound, tmp_path: Path) -> None:
    path = copied(sound.closed, tmp_path / "store")
    db = apsw.Connection(str(path))
    [page] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_orders_1'").fetchone() or (
        0,
    )
    db.close()
    raw = bytearray(path.read_bytes())
    at = raw.index(b"o17", (page - 1) * 4096, page * 4096)
    raw[at : at + 3] = b"o1_"
    path.write_bytes(raw)
    with pytest.raises(StoreDamaged, match=r"SQLite finds: .*index sqlite_autoindex_orders_1"):
        SqliteStore(path)


@pytest.mark.parametrize("gone", ["", "-wal", ".anchor"])
def test_a_file_that_is_gone_is_missed(sound: Sound, tmp_path: Path, gone: str) -> None:
    path = copied(sound.crashed, tmp_path / "store")
    path.with_name(path.name + gone).unlink()
    assert found_in(path) == "opening"
    assert found_in(path) == "opening", "nothing new was begun in its place"


def test_an_older_copy_of_the_store_under_a_newer_anchor_is_refused(sound: Sound, tmp_path: Path) -> None:
    path = copied(sound.closed, tmp_path / "store")
    with SqliteStore(path) as store:
        store.claim(an_order("since then"))
    shutil.copy(sound.closed, path)
    with pytest.raises(
        StoreDamaged, match=r"ends with journal record 74, and the anchor knows of 75: commits are lost"
    ):
        SqliteStore(path)


def test_an_anchor_left_behind_by_a_power_cut_is_made_good_where_the_chain_holds(sound: Sound, tmp_path: Path) -> None:
    path = copied(sound.closed, tmp_path / "store")
    older = path.with_name("s.sqlite3.anchor").read_bytes()
    with SqliteStore(path) as store:
        for number in range(5):
            store.claim(an_order(f"since then {number}"))
    newer = path.with_name("s.sqlite3.anchor").read_bytes()
    path.with_name("s.sqlite3.anchor").write_bytes(older)
    with SqliteStore(path) as store:
        assert store.claim(an_order("since then 4")) is ClaimResult.KNOWN
    assert path.with_name("s.sqlite3.anchor").read_bytes() == newer


def test_a_store_with_another_past_is_not_taken_for_ours(sound: Sound, tmp_path: Path) -> None:
    path = copied(sound.closed, tmp_path / "store")
    other = tmp_path / "other.sqlite3"
    with SqliteStore(other) as store:
        for number in range(100):
            store.claim(an_order(f"theirs {number}"))
    shutil.copy(other, path)
    with pytest.raises(StoreDamaged, match="journal record 74 is not the one that the anchor knows"):
        SqliteStore(path)


def test_a_rollback_journal_of_something_else_is_not_played_into_the_store(sound: Sound, tmp_path: Path) -> None:
    path = copied(sound.closed, tmp_path / "store")
    path.with_name("s.sqlite3-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 600)
    assert found_in(path) == "opening"


def test_a_damaged_row_is_found_when_it_is_read_and_finishes_the_store(sound: Sound, tmp_path: Path) -> None:
    path = copied(sound.closed, tmp_path / "store")
    db = apsw.Connection(str(path))
    [key] = db.execute("SELECT key FROM orders WHERE live = 0 LIMIT 1").fetchone() or ("",)
    db.execute("UPDATE orders SET content = replace(content, '\"10\"', '\"11\"') WHERE key = ?", (key,))
    db.close()
    store = SqliteStore(path)
    with pytest.raises(StoreDamaged, match=rf"orders row \d+ \({key}\) does not have its hash; the kill switch is set"):
        store.order_of(key)
    assert "does not have its hash" in store.complaint()
    assert store.kill_switch() == "store_damaged"
    with pytest.raises(StoreRefused, match="takes nothing more"):
        store.claim(an_order("new"))
    store.close()


def test_the_same_damage_is_copied_once(sound: Sound, tmp_path: Path) -> None:
    path = copied(sound.crashed, tmp_path / "store")
    cut(path.with_name("s.sqlite3-wal"), SeededStreams(3))
    texts = set()
    for _ in range(3):
        with pytest.raises(StoreDamaged) as refused:
            SqliteStore(path)
        texts.add(str(refused.value))
    assert len(texts) == 1
    assert len(list(path.parent.glob("s.sqlite3.damaged-*"))) == 1
