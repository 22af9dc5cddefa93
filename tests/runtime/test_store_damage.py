"""Damage of every kind, over 1,000 times: found at opening, at the first read or by a look at the whole, and kept.

A flipped bit that no row, no page and no record shows (in space that nothing uses) changes nothing; the tests hold that
whatever is not found has left every row as it was.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

from interlock.domain.errors import StoreDamaged, StoreRefused
from interlock.runtime import store_place
from interlock.runtime.audit import AuditChain
from interlock.runtime.seeds import SeededStreams
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store import ClaimResult
from interlock.runtime.store_schema import row_hash
from interlock.runtime.store_verify import verify_store
from tests.damage_builders import Damage, cut, flip, swap
from tests.domain_builders import an_order
from tests.store_builders import TABLES, a_life, contents_of, copied, fill_store, rows_of
from tools.power_cut import quick_folder

pytestmark = [pytest.mark.spec("IDM-5"), pytest.mark.usefixtures("plain_disk")]


class Sound(NamedTuple):
    """The same store twice: after a crash, all of it in the log, and closed in good order; and its rows."""

    crashed: Path
    closed: Path
    rows: dict[str, list[object]]


@pytest.fixture
def quick() -> Iterator[Path]:
    """Return a folder for a thousand stores, in memory where there is one."""
    with quick_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Return a store with something of everything in it."""
    folder = tmp_path_factory.mktemp("sound")
    mounts, store_place.MOUNTS = store_place.MOUNTS, folder / "none"
    path, chain = folder / "s.sqlite3", AuditChain()
    with SqliteStore(path) as store:
        for number in range(5):  # are dropped by the purge, each but for its digest
            for order, execution in a_life(f"early{number}"):
                for code in ("ONE", "TWO"):
                    store.note(chain.append(ts="2026-01-01T00:00:00Z", code=code, message=str(order.state)) + b"\n")
                if order.version:
                    store.journal(order, execution)
                else:
                    store.claim(order)
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


ON_FILES = [
    *[(flip, "", 260), (flip, "-wal", 160), (flip, ".anchor", 60)],
    *[(cut, "", 50), (cut, "-wal", 80), (cut, ".anchor", 40)],
    *[(swap, "", 40), (swap, "-wal", 50), (swap, ".anchor", 30)],
]


@pytest.mark.parametrize(("damage", "ending", "seeds"), ON_FILES, ids=[f"{d.__name__} s{e}" for d, e, _ in ON_FILES])
def test_damage_to_a_file_is_found_or_has_changed_nothing(
    sound: Sound, quick: Path, damage: Damage, ending: str, seeds: int
) -> None:
    found: Counter[str] = Counter()
    for seed in range(seeds):
        path = copied(sound.crashed if ending == "-wal" else sound.closed, quick / "store")
        file = path.with_name(path.name + ending)
        before = file.read_bytes()
        damage(file, SeededStreams(seed))
        where = found_in(path) if file.read_bytes() != before else "nothing was changed"
        found[where] += 1
        if not where:
            assert rows_of(copied(path, quick / "rows")) == sound.rows, f"seed {seed} went unnoticed"
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
    row[0] = max(int(str(each[0])) for each in rows) + 1
    if table != "journal":
        row[1] = row[1][::-1] if isinstance(row[1], bytes) else f"{row[1]}-again"
    db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - ours


ROWS = ("orders", "fills", "journal", "books", "spent")


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("damage", [drop, exchange, repeat])
def test_rows_that_are_dropped_exchanged_or_repeated_are_always_found(
    sound: Sound, quick: Path, damage: Callable[[apsw.Connection, str, SeededStreams], None], table: str
) -> None:
    for seed in range(14):
        path = copied(sound.closed, quick / "store")
        db = apsw.Connection(str(path))
        damage(db, table, SeededStreams(seed))
        db.close()
        found = found_in(path)
        assert found, f"seed {seed} went unnoticed"
        if damage is not exchange and table != "journal":
            assert found == "opening", "a key that is missing must not be claimed again"


def edit_audit(db: apsw.Connection, draw: SeededStreams) -> None:
    """Edit, cut, drop, repeat or swap audit lines of one record, or let two records change theirs."""
    rows = db.execute("SELECT sequence, audit FROM journal WHERE audit != ''").fetchall()
    texts = [(sequence, str(audit)) for sequence, audit in rows]
    sequence, audit = texts[draw.below(len(texts), "record")]
    other, others = texts[draw.below(len(texts), "other")]
    lines, kind = audit.splitlines(keepends=True), draw.below(6, "kind")
    at = draw.below(len(audit), "place")
    edited = [
        audit[:at] + chr(ord(audit[at]) ^ 1) + audit[at + 1 :],
        audit[:at],
        "".join(lines[1:]),
        audit + lines[0],
        "".join(reversed(lines)),
        others,
    ][kind]
    db.execute("UPDATE journal SET audit = ? WHERE sequence = ?", (edited, sequence))
    if edited is others:
        db.execute("UPDATE journal SET audit = ? WHERE sequence = ?", (audit, other))


def test_audit_lines_in_the_journal_that_are_not_what_was_written_are_always_found(sound: Sound, quick: Path) -> None:
    changed = 0
    for seed in range(80):
        path = copied(sound.closed, quick / "store")
        db = apsw.Connection(str(path))
        edit_audit(db, SeededStreams(seed))
        db.close()
        if rows_of(copied(path, quick / "rows")) != sound.rows:
            assert found_in(path), f"seed {seed} went unnoticed"
            changed += 1
    assert changed > 60


def test_a_row_put_back_to_an_earlier_version_with_its_hash_is_found(sound: Sound, quick: Path) -> None:
    for number in range(7, 31):
        path = copied(sound.closed, quick / "store")
        db = apsw.Connection(str(path))
        row = db.execute("SELECT * FROM orders WHERE sequence = ?", (number,)).fetchone()
        assert row is not None
        older = db.execute(
            "SELECT sequence, content FROM journal WHERE key = ? AND version = ?", (row[1], row[5] - 1)
        ).fetchone()
        assert older is not None
        record, content = older
        state = "NEW" if row[5] == 1 else "SENT" if row[5] == 2 else "ACK"
        changed = (*row[:3], state, 1, row[5] - 1, row[6], record)
        digest = row_hash("orders", (*changed, content))
        db.execute("DELETE FROM orders WHERE sequence = ?", (number,))
        db.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*changed, digest))
        db.close()
        assert found_in(path), f"row {number}"


@pytest.mark.parametrize("column", ["record", "content", "symbol"])
def test_a_book_that_was_rewritten_with_its_hash_is_found(sound: Sound, quick: Path, column: str) -> None:
    path = copied(sound.closed, quick / "store")
    db = apsw.Connection(str(path))
    [row] = db.execute("SELECT * FROM books ORDER BY sequence LIMIT 1").fetchall()
    book = dict(zip(("sequence", "venue", "account", "symbol", "record", "content"), row[:-1], strict=True))
    book[column] = {"record": 1, "content": str(row[5]).replace("1000", "9000"), "symbol": "BTX/EUR"}[column]
    db.execute("DELETE FROM books WHERE sequence = ?", (row[0],))
    columns = tuple(book.values())
    db.execute("INSERT INTO books VALUES (?, ?, ?, ?, ?, ?, ?)", (*columns, row_hash("books", columns)))
    db.close()
    assert found_in(path) == "verify"


def test_a_kill_switch_that_was_cleared_behind_our_back_is_found(sound: Sound, quick: Path) -> None:
    path = copied(sound.closed, quick / "store")
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
def test_every_edited_column_is_found(sound: Sound, quick: Path, table: str) -> None:
    columns = [row[1] for row in apsw.Connection(str(sound.closed)).execute(f"PRAGMA table_info({table})")]
    for column in columns[1:]:
        path = copied(sound.closed, quick / "store")
        db = apsw.Connection(str(path))
        oldest = f"(SELECT min(sequence) FROM {table})"  # noqa: S608 - ours
        db.execute(f"UPDATE {table} SET {column} = {column} || '1' WHERE sequence = {oldest}")  # noqa: S608 - ours
        db.close()
        assert found_in(path), column


def test_an_index_that_hides_a_key_is_found_before_the_key_is_claimed_again(sound: Sound, quick: Path) -> None:
    path = copied(sound.closed, quick / "store")
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
def test_a_file_that_is_gone_is_missed(sound: Sound, quick: Path, gone: str) -> None:
    path = copied(sound.crashed, quick / "store")
    path.with_name(path.name + gone).unlink()
    assert found_in(path) == "opening"
    assert found_in(path) == "opening", "nothing new was begun in its place"


def test_an_older_copy_of_the_store_under_a_newer_anchor_is_refused(sound: Sound, quick: Path) -> None:
    path = copied(sound.closed, quick / "store")
    with SqliteStore(path) as store:
        store.claim(an_order("since then"))
    shutil.copy(sound.closed, path)
    with pytest.raises(
        StoreDamaged, match=r"ends with journal record 100, and the anchor knows of 101: commits are lost"
    ):
        SqliteStore(path)


def test_an_anchor_left_behind_by_a_power_cut_is_made_good_where_the_chain_holds(sound: Sound, quick: Path) -> None:
    path = copied(sound.closed, quick / "store")
    older = path.with_name("s.sqlite3.anchor").read_bytes()
    with SqliteStore(path) as store:
        for number in range(5):
            store.claim(an_order(f"since then {number}"))
    newer = path.with_name("s.sqlite3.anchor").read_bytes()
    path.with_name("s.sqlite3.anchor").write_bytes(older)
    with SqliteStore(path) as store:
        assert store.claim(an_order("since then 4")) is ClaimResult.KNOWN
    assert path.with_name("s.sqlite3.anchor").read_bytes() == newer


def test_a_store_with_another_past_is_not_taken_for_ours(sound: Sound, quick: Path) -> None:
    path = copied(sound.closed, quick / "store")
    other = quick / "other.sqlite3"
    with SqliteStore(other) as store:
        for number in range(120):
            store.claim(an_order(f"theirs {number}"))
    shutil.copy(other, path)
    with pytest.raises(StoreDamaged, match="journal record 100 is not the one that the anchor knows"):
        SqliteStore(path)


def test_a_rollback_journal_of_something_else_is_not_played_into_the_store(sound: Sound, quick: Path) -> None:
    path = copied(sound.closed, quick / "store")
    path.with_name("s.sqlite3-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 600)
    assert found_in(path) == "opening"


def test_a_damaged_row_is_found_when_it_is_read_and_finishes_the_store(sound: Sound, quick: Path) -> None:
    path = copied(sound.closed, quick / "store")
    db = apsw.Connection(str(path))
    [key] = db.execute("SELECT key FROM orders WHERE live = 0 LIMIT 1").fetchone() or ("",)
    db.execute("UPDATE journal SET content = replace(content, '\"10\"', '\"11\"') WHERE key = ?", (key,))
    db.close()
    store = SqliteStore(path)
    with pytest.raises(StoreDamaged, match=rf"orders row \d+ \({key}\) does not have its hash; the kill switch is set"):
        store.order_of(key)
    assert "does not have its hash" in store.complaint()
    assert store.kill_switch() == "store_damaged"
    with pytest.raises(StoreRefused, match="takes nothing more"):
        store.claim(an_order("new"))
    store.close()


def test_the_same_damage_is_copied_once(sound: Sound, quick: Path) -> None:
    path = copied(sound.crashed, quick / "store")
    cut(path.with_name("s.sqlite3-wal"), SeededStreams(3))
    texts = set()
    for _ in range(3):
        with pytest.raises(StoreDamaged) as refused:
            SqliteStore(path)
        texts.add(str(refused.value))
    assert len(texts) == 1
    assert len(list(path.parent.glob("s.sqlite3.damaged-*"))) == 1
