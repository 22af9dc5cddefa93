"""``python -m tools.crash [--kills N] [--seed S] [--story NUMBER] [--short] [--planted]``: kill, recover, compare.

Tells stories until at least so many children were killed, and prints where. Exits with 1 when an invariant breaks,
with the story that repeats it, or when a point was never hit. ``--planted`` shows that the harness can fail instead.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from interlock.runtime import store_place
from tools.crash.proof import CASES, prove
from tools.crash.schedule import DISK_CALLS, POINTS, never_hit, story_of, systematic
from tools.crash.story import Tally, run_story

__all__ = ["main"]

_KILLS: Final = 400
_STORIES_MAX: Final = 100_000
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - folders of our own are made there, under names that nobody knows
"""Where stories are told, if it is there: a SIGKILL takes no power away, and what memory holds outlives a process."""


def main(arguments: list[str] | None = None) -> int:
    """Run the harness; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.crash", description="Kill a trading child everywhere.")
    parser.add_argument("--kills", type=_count, default=_KILLS, help=f"stop after so many (default {_KILLS})")
    parser.add_argument("--seed", type=_count, default=0, help="another seed tells other stories (default 0)")
    parser.add_argument("--story", type=_count, help="tell this story alone, as it was told before")
    parser.add_argument("--short", action="store_true", help="each point once, and fewer failing disks")
    parser.add_argument("--planted", action="store_true", help="plant the eight faults and see each caught")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    store_place.MOUNTS = Path("/nowhere")  # a store refuses to lie in memory, where it is told so
    gc.freeze()  # children share what is loaded
    if options.planted:
        return _planted(console)
    if options.story is not None:
        return _one(console, options.seed, options.story, short=options.short)
    return _many(console, options.seed, options.kills, short=options.short)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} (allowed: whole numbers from 0 on)")
    return int(text)


def _many(console: Console, seed: int, kills: int, *, short: bool) -> int:
    total, wrong = Tally(), ""
    first = len(systematic(short=short))
    with _progress(console, kills) as tell:
        for number in range(_STORIES_MAX):
            if number >= first and total.kills.total() >= kills:
                break
            tally = _told(seed, number, short=short)
            total.add(tally)
            tell(total.kills.total())
            if tally.complaints:
                again = f"--seed {seed} --story {number}{' --short' if short else ''}"
                wrong = f"story {number} is broken; again with: python -m tools.crash {again}"
                break
    _print(console, total)
    return _concluded(console, total, wrong)


def _one(console: Console, seed: int, number: int, *, short: bool) -> int:
    console.print(story_of(seed, number, short=short))
    tally = _told(seed, number, short=short)
    _print(console, tally)
    for complaint in tally.complaints:
        console.print(complaint, markup=False, soft_wrap=True)
    return 1 if tally.complaints else 0


def _told(seed: int, number: int, *, short: bool) -> Tally:
    with _folder() as folder:
        return run_story(story_of(seed, number, short=short), Path(folder))


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="crash-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)


@contextmanager
def _progress(console: Console, kills: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Without a thread of its own: the harness forks.
    progress = Progress(*columns, console=console, auto_refresh=False, transient=True, disable=not console.is_terminal)
    with progress:
        task = progress.add_task("kills", total=kills)
        yield lambda done: progress.update(task, completed=min(done, kills), refresh=True)


def _print(console: Console, total: Tally) -> None:
    table = Table("crash point", "kills", "not reached", title="where children died")
    for point in POINTS:
        table.add_row(point.value, str(total.kills[point.value]), str(total.missed[point.value]))
    for call in DISK_CALLS:
        table.add_row(call.value, f"{total.failures[call.value]} (no kill)", str(total.missed[call.value]))
    console.print(table)
    stops = ", ".join(f"{reason} {times}" for reason, times in sorted(total.stops.items())) or "none"
    console.print(
        f"{total.kills.total()} kills, {total.failures.total()} failing disks, {total.children} children, "
        f"{total.recoveries} recoveries, {total.orders} orders, {total.fills} fills; "
        f"all invariants checked {total.checks} times; sessions that had to stop: {stops}"
    )


def _concluded(console: Console, total: Tally, wrong: str) -> int:
    for complaint in total.complaints:
        console.print(complaint, markup=False, soft_wrap=True)
    if wrong:
        console.print(wrong, markup=False, soft_wrap=True)
        return 1
    never = never_hit(total)
    if never:
        console.print(f"never hit: {', '.join(never)}")
    return 1 if never else 0


def _planted(console: Console) -> int:
    table = Table("planted fault", "caught by", "kills", "what was said", "without it", title="the harness can fail")
    holds = True
    with _folder() as folder:
        for plant in CASES:
            proof = prove(plant, Path(folder))
            holds = holds and proof.holds
            sound = "sound" if not proof.without else proof.without[0]
            caught = ", ".join(proof.caught_by) or "NOBODY"
            table.add_row(plant, caught, str(proof.kills), proof.complaint, sound)
    console.print(table)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
