"""Cut the power at every sync of a store, and at every write between them, and look at what is left.

`python -m tools.power_cut` (`make power-cut`) lets a store work on a disk that writes down what it is asked to do
(`tools/disk_trace.py`), rebuilds the disks that a cut may leave at each place, opens each of them, and holds that what
was acknowledged before the cut is there: every version of every key, every execution, every dropped key, the kill
switch. No such disk may be refused, and each has to verify whole. The same with `synchronous = NORMAL` has to show
losses: a harness that finds none there would find none anywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import apsw
import msgspec

from interlock.domain.account_book import opening_lines
from interlock.domain.broker import Fill
from interlock.domain.errors import StoreRefused
from interlock.domain.intents import OrderIntent
from interlock.domain.order_states import OrderEvent
from interlock.domain.orders import Order, advance, book_fill, new_order
from interlock.runtime import store_file, store_place
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_changes import Execution, digest_of
from interlock.runtime.store_verify import verify_store
from tools.disk_trace import Disk, Op, Recorder, Replay

__all__ = ["Outcome", "Promise", "Trace", "anywhere", "cut_everywhere", "main", "quick_folder", "traced"]

NAME: Final = "s.sqlite3"
_LOG_PAGES: Final = 40
"""How long the log gets here: short, so that it is put into the database several times."""
_QUICK: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
"""Memory, where the system has some as a folder."""
_LIFE: Final = 4
"""Commits of one order: claimed, sent, accepted, filled."""


class Promise(msgspec.Struct, frozen=True):
    """What was acknowledged: the version of each key, executions, keys that were dropped; whether trading is halted."""

    versions: dict[str, int]
    fills: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    halted: bool = False


class Trace(msgspec.Struct):
    """What a store asked of its disk, and after how many operations each promise was given."""

    ops: list[Op]
    promises: list[tuple[int, Promise]]


class Outcome(msgspec.Struct):
    """What the disks at all cuts were like. ``lost`` counts those that lack something acknowledged, and say nothing."""

    cuts: int = 0
    disks: int = 0
    lost: int = 0
    refused: int = 0
    unsound: int = 0
    example: str = ""
    """The first thing that was wrong."""

    @property
    def bad(self) -> int:
        """Return how many disks broke a promise."""
        return self.lost + self.refused + self.unsound


class _Found(msgspec.Struct, frozen=True):
    """What one disk held; ``wrong`` says why it was refused, or is unsound."""

    promise: Promise
    refused: str = ""
    unsound: str = ""


# -- a store at work ----------------------------------------------------------------------------------------


def traced(folder: Path, commits: int, synchronous: str) -> Trace:
    """Let a store work in ``folder`` for about so many commits, in two sessions, and return its trace."""
    disk = Recorder(f"recorded in {folder}", folder)
    trace = Trace(disk.ops, [(0, Promise({}))])
    with _on(disk):
        for session in range(2):
            with SqliteStore(folder / NAME, vfs=disk.name, ttl_s=1) as store:
                # As a release would that is content with less; opening itself reads the setting back.
                store._file.db.execute(f"PRAGMA synchronous = {synchronous}").fetchall()  # noqa: SLF001 - planted
                _Work(store, trace).session(session, commits // 2)
    return trace


@contextmanager
def _on(disk: Recorder) -> Iterator[None]:
    """Let all that the store asks of the disk be taken down, and its log be short."""
    pages = vars(store_file)["_CHECKPOINT_PAGES"]
    vars(store_file)["_CHECKPOINT_PAGES"] = _LOG_PAGES
    try:
        with anywhere(), disk.python_too():
            yield
    finally:
        vars(store_file)["_CHECKPOINT_PAGES"] = pages


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Make a folder for the time of the block, in memory where that can be had: thousands of disks are opened in it."""
    with TemporaryDirectory(dir=_QUICK if _QUICK.is_dir() else None) as folder:
        yield Path(folder)


@contextmanager
def anywhere() -> Iterator[None]:
    """Let stores lie where the system puts temporary files, which may be memory: no real power is cut here."""
    mounts, store_place.MOUNTS = store_place.MOUNTS, Path("/nowhere")
    try:
        yield
    finally:
        store_place.MOUNTS = mounts


class _Work:
    """What is done with the store, each step with what was promised after it."""

    def __init__(self, store: SqliteStore, trace: Trace) -> None:
        self._store = store
        self._trace = trace
        self._promise = trace.promises[-1][1]

    def session(self, number: int, commits: int) -> None:
        """Work through orders; the second session halts, is released, and drops what the first one ended."""
        store = self._store
        if number == 0:
            store.open_account("mock", "main", opening_lines(Decimal(1000), {"BTC/EUR": Decimal(0)}))
            store.commit()
        else:
            dropped = tuple(key for key in self._promise.versions if store.order_of(key) and key.endswith("0"))
            store.purge(1 << 62, tuple(key for key in self._promise.versions if key not in dropped))
            gone = [key for key in dropped if store.order_of(key) is None]
            store.commit()
            versions = {key: version for key, version in self._promise.versions.items() if key not in gone}
            self._promised(versions=versions, dropped=tuple(gone))
        for at in range(commits // _LIFE):
            # Every second time two orders share their commits: what waits together is lost or kept together.
            self._live(f"s{number}o{at}", together=bool(at % 2))
            if number and at == commits // _LIFE // 2:
                store.engage_kill_switch("loss limit")
                self._promised(halted=True)
                self._promised(halted=False)
                store.reset_kill_switch("ada", "looked at it", 7)

    def _live(self, name: str, *, together: bool) -> None:
        lives = [list(_life(f"{name}{part}")) for part in ("0", "1")[: 2 if together else 1]]
        for steps in zip(*lives, strict=True):
            versions, fills = dict(self._promise.versions), list(self._promise.fills)
            for order, execution in steps:
                self._store.note(b'{"code":"%b"}\n' % order.state.encode())
                if order.version:
                    self._store.journal(order, execution)
                else:
                    self._store.claim(order)
                versions[order.client_order_id] = order.version
                fills += [execution.fill.fill_id] if execution else []
            self._store.commit()
            self._promised(versions=versions, fills=tuple(fills))

    def _promised(self, **changed: Any) -> None:
        self._promise = msgspec.structs.replace(self._promise, **changed)
        self._trace.promises.append((len(self._trace.ops), self._promise))


def _life(key: str) -> Iterator[tuple[Order, Execution | None]]:
    content = {"decision_id": key, "symbol": "BTC/EUR", "side": "BUY", "quantity": "1", "limit_price": "100"}
    order = new_order(OrderIntent.model_validate(content), "mock", "main", "cut", 0)
    order = msgspec.structs.replace(order, client_order_id=key)
    sent = advance(order, OrderEvent.SEND, 1)
    working = advance(sent, OrderEvent.ACCEPT, 2, broker_order_id=f"b-{key}")
    about = {"fill_id": f"f-{key}", "client_order_id": key, "broker_order_id": f"b-{key}", "symbol": "BTC/EUR"}
    figures = {"side": order.side, "quantity": "1", "price": "100", "fee": "0", "ts_ns": 3, "cursor": 1}
    fill = Fill.model_validate(about | figures)
    yield from ((order, None), (sent, None), (working, None))
    yield book_fill(working, fill, 3), Execution("mock", "main", fill)


# -- the cuts -----------------------------------------------------------------------------------------------


def cut_everywhere(trace: Trace, folder: Path, *, seed: int = 0, writes: bool = True) -> Outcome:
    """Cut the power before and after each sync of a trace, with ``writes`` after each write as well."""
    outcome, replay, known = Outcome(), Replay(), dict[bytes, _Found]()
    promises = iter(trace.promises)
    promise, following = Promise({}), next(promises, None)
    everything = Promise({key: 0 for _, each in trace.promises for key in each.versions}, trace.promises[-1][1].fills)
    for at in range(len(trace.ops) + 1):
        while following is not None and following[0] <= at:
            promise, following = following[1], next(promises, None)
        near = trace.ops[max(at - 1, 0) : at + 1]
        if writes or any(op.kind in ("sync", "folder") for op in near):
            outcome.cuts += 1
            for disk in replay.disks(seed * 1_000_003 + at):
                _judge(outcome, promise, _look(disk, folder, everything, known), at)
        if at < len(trace.ops):
            replay.step(trace.ops[at])
    outcome.disks = len(known)
    return outcome


def _look(disk: Disk, folder: Path, everything: Promise, known: dict[bytes, _Found]) -> _Found:
    """Return what a disk holds; each is opened once."""
    digest = hashlib.sha256(
        b"".join(b"%b %d %b" % (name.encode(), len(disk[name]), disk[name]) for name in sorted(disk))
    )
    if digest.digest() not in known:
        with TemporaryDirectory(dir=folder) as made:
            for name, content in disk.items():
                (Path(made) / name).write_bytes(content)
            known[digest.digest()] = _opened(Path(made) / NAME, everything)
    return known[digest.digest()]


def _opened(path: Path, everything: Promise) -> _Found:
    try:
        with SqliteStore(path) as store:
            orders = {key: store.order_of(key) for key in everything.versions}
            fills = tuple(each for each in everything.fills if store.execution_of("mock", "main", each))
            halted = bool(store.kill_switch())
    except StoreRefused as error:
        return _Found(Promise({}), refused=str(error))
    db = apsw.Connection(str(path))
    spent = [digest for (digest,) in db.execute("SELECT digest FROM spent")]
    db.close()
    dropped = tuple(key for key in everything.versions if digest_of(key) in spent)
    versions = {key: order.version for key, order in orders.items() if order is not None}
    promise = Promise(versions, fills, dropped, halted)
    try:
        verify_store(path)
    except StoreRefused as error:
        return _Found(promise, unsound=str(error))
    return _Found(promise)


def _judge(outcome: Outcome, promise: Promise, found: _Found, at: int) -> None:
    lost = [] if found.refused else list(_lacking(promise, found.promise))
    outcome.refused += bool(found.refused)
    outcome.unsound += bool(found.unsound)
    outcome.lost += bool(lost)
    wrong = found.refused or found.unsound or "; ".join(lost)
    outcome.example = outcome.example or (f"cut after operation {at}: {wrong}" if wrong else "")


def _lacking(promise: Promise, found: Promise) -> Iterator[str]:
    """Yield what was promised and is not there; more than was promised may be there."""
    for key, version in promise.versions.items():
        there = found.versions.get(key, -1)
        if there < version and key not in found.dropped:
            yield f"{key} is at version {there}, and {version} was acknowledged"
    yield from (f"execution {fill_id} is gone" for fill_id in promise.fills if fill_id not in found.fills)
    yield from (f"{key} was dropped and is not known any more" for key in promise.dropped if key not in found.dropped)
    if promise.halted and not found.halted:
        yield "the kill switch was set and is not"


def main(arguments: list[str] | None = None) -> int:
    """Cut, print a table, and return 0 where the shipped settings keep every promise and the others do not."""
    parser = argparse.ArgumentParser(prog="python -m tools.power_cut", description="Power cuts, replayed from a trace.")
    parser.add_argument("--commits", type=int, default=60, help="commits of the store (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default 0)")
    parser.add_argument("--syncs-only", action="store_true", help="cut at the syncs and not at each write")
    options = parser.parse_args(arguments)
    print(f"{'synchronous':12} {'commits':>8} {'cuts':>6} {'disks':>7} {'lost':>6} {'refused':>8} {'unsound':>8}")
    outcomes: dict[str, Outcome] = {}
    for setting in ("FULL", "NORMAL"):
        with quick_folder() as folder, anywhere():
            trace = traced(folder, options.commits, setting)
            outcome = cut_everywhere(trace, folder, seed=options.seed, writes=not options.syncs_only)
        outcomes[setting] = outcome
        figures = f"{outcome.cuts:6} {outcome.disks:7} {outcome.lost:6} {outcome.refused:8} {outcome.unsound:8}"
        print(f"{setting:12} {len(trace.promises) - 1:8} {figures}")
        if outcome.example:
            print(f"             first: {outcome.example}")
    return int(bool(outcomes["FULL"].bad) or not outcomes["NORMAL"].lost)


if __name__ == "__main__":
    sys.exit(main())
