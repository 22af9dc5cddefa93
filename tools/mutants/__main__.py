"""``python -m tools.mutants [NAME...]``: search for planted faults anew, all or the named ones (`make mutants`).

Writes ``tests/corpus/mutants/NAME.json`` for each and ``docs/mutants.md`` for all. Exit code 1 when one was not found,
or when the sound code fails on what was found.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

from interlock.explore import run_once
from tools.mutants.search import RUNS_MAX, found_of, keep, search, write_page
from tools.mutants.table import MUTANTS

__all__ = ["main"]

_PROCESSES: Final = 2


def main(arguments: Sequence[str]) -> int:
    """Search, tell as it goes, and write down."""
    names = list(arguments) or list(MUTANTS)
    strangers = [name for name in names if name not in MUTANTS]
    if strangers:
        print(f"no mutant is named {strangers[0]}; there are {', '.join(MUTANTS)}", file=sys.stderr)
        return 1
    missed = 0
    with ProcessPoolExecutor(_PROCESSES) as pool:
        searches = {pool.submit(_searched, name): name for name in names}
        for number, done in enumerate(as_completed(searches), start=1):
            wrong = done.result()
            missed += bool(wrong)
            print(f"{number:>3}/{len(names)} {searches[done]}: {wrong or _told(searches[done])}", flush=True)
    if missed:
        print(f"{missed} of {len(names)} planted faults were not found as they should be", file=sys.stderr)
        return 1
    write_page()
    return 0


def _searched(name: str) -> str:
    """Search for one and keep what was found; return what is wrong, or ""."""
    finding = search(MUTANTS[name])
    if finding is None:
        return f"not found in {RUNS_MAX:,} runs"
    keep(name, finding)
    sound = run_once(finding.plan, finding.schedule())
    return "" if sound.failure is None else f"the sound code fails as well: {sound.failure.text}"


def _told(name: str) -> str:
    finding = found_of(name)
    return f"{finding.failure.invariant} in run {(finding.seed or 0) + 1:,}, shrunk to size {finding.size.total}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
