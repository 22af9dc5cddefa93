"""Processes around one store, for tests: ``python -m tests.store_driver kills|race FILE ROUNDS SEED``.

``kills`` lets a child write and says what was acknowledged to it before a SIGKILL; after each kill the store is
verified whole and every acknowledged version looked up. ``race`` lets two children claim the same keys. Prints
one line of JSON; an assertion that fails is the exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time  # noqa: TID251 - processes, not actors: between two attempts to own the store
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

from interlock.domain.errors import StoreRefused
from interlock.runtime import store_place
from interlock.runtime.seeds import SeededStreams
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_verify import verify_store
from tests.domain_builders import an_order
from tests.store_builders import a_life

ACKS_MAX = 60
KEYS = 400
AT_ONCE = 7
ATTEMPTS_MAX = 20_000
SESSION_STEPS = 2_000


def kills(path: Path, rounds: int, seed: int) -> dict[str, Any]:
    """Kill a writing child ``rounds`` times and look at what it left."""
    draw = SeededStreams(seed)
    acknowledged: dict[str, int] = {}
    unacknowledged = 0
    for number in range(rounds):
        pid, stream = _child(partial(_write_on, path, number))
        for _ in range(draw.below(ACKS_MAX, "acks")):
            key, version = stream.readline().split()
            acknowledged[key] = int(version)
        for _ in range(draw.below(20_000, "pause")):
            pass
        os.kill(pid, signal.SIGKILL)
        # What the child could still say before it died was acknowledged as well.
        for line in stream:
            if line.endswith("\n"):
                key, version = line.split()
                acknowledged[key] = int(version)
        os.waitpid(pid, 0)
        if not path.exists():
            continue
        report = verify_store(path)
        with SqliteStore(path, owner="the next owner") as store:
            found = {key: store.order_of(key) for key in acknowledged}
        for key, last in acknowledged.items():
            order = found[key]
            assert order is not None, f"{key} was lost"
            assert order.version >= last, f"{key} went back to version {order.version} from {last}"
        records = sum(last + 1 for last in acknowledged.values())
        assert records <= report.records <= records + unacknowledged + 1
        unacknowledged = report.records - records
    return {"acknowledged": len(acknowledged), "unacknowledged": unacknowledged}


def _write_on(path: Path, number: int, out: IO[str]) -> None:
    with SqliteStore(path, owner=f"child {number}") as store:
        for at in range(10 * ACKS_MAX):
            for order, execution in a_life(f"r{number}-{at}"):
                if order.version:
                    store.journal(order, execution)
                else:
                    store.claim(order)
                store.commit()
                out.write(f"{order.client_order_id} {order.version}\n")
                out.flush()


def race(path: Path, _: int, __: int) -> dict[str, Any]:
    """Let two children claim the same keys, the one from the front, the other from the back."""
    keys = [f"k{number}" for number in range(KEYS)]
    children = [_child(partial(_claim_all, path, mine)) for mine in (keys, keys[::-1])]
    told = [[line.split(maxsplit=1) for line in stream] for _, stream in children]
    codes = [os.waitpid(pid, 0)[1] for pid, _ in children]
    return {"told": told, "codes": codes, "pids": [pid for pid, _ in children]}


def _claim_all(path: Path, keys: list[str], out: IO[str]) -> None:
    left, refusals = list(keys), dict[str, int]()
    for _ in range(ATTEMPTS_MAX):
        if not left:
            out.writelines(f"refused {text}\n" for text in refusals)
            return
        try:
            with SqliteStore(path, owner="a racer") as store:
                for key in left[:AT_ONCE]:
                    claimed = store.claim(an_order(key))
                    store.commit()
                    out.write(f"{key} {claimed}\n")
                del left[:AT_ONCE]
        except StoreRefused as refused:
            refusals[str(refused)] = 1
        time.sleep(0.0005)
    raise AssertionError("never owned the store again")


def _child(work: Callable[[IO[str]], None]) -> tuple[int, IO[str]]:
    """Do some work in a forked process and return its pid and what it says."""
    inlet, outlet = os.pipe()
    pid = os.fork()
    if pid:
        os.close(outlet)
        return pid, os.fdopen(inlet, encoding="utf-8")
    code = 1
    try:
        os.close(inlet)
        with os.fdopen(outlet, "w", encoding="utf-8") as out:
            work(out)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    store_place.MOUNTS = Path("/nowhere")  # a test's folder may lie in memory: no power is cut here
    task = {"kills": kills, "race": race}[sys.argv[1]]
    print(json.dumps(task(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))  # noqa: T201 - read by the test
