"""Search for planted faults, and what is written down of each: the shrunk tape, and the page of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from interlock.explore import run_once
from interlock.explore.finding_file import Finding, finding_bytes, read_finding
from interlock.explore.shrink import shrink
from interlock.runtime.schedule import SeededSchedule
from tools.mutants.mutant import Mutant
from tools.mutants.table import MUTANTS

__all__ = ["FOUND", "PAGE", "RUNS_MAX", "found_of", "page_of", "search", "write_page"]

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FOUND: Final = ROOT / "tests" / "corpus" / "mutants"
PAGE: Final = ROOT / "docs" / "mutants.md"
RUNS_MAX: Final = 20_000


def search(mutant: Mutant, runs_max: int = RUNS_MAX) -> Finding | None:
    """Return the first run that breaks one of the invariants that the fault should break, shrunk; None: none did."""
    swarm, order = mutant.case.swarm(), mutant.case.order
    with mutant.plant():
        for seed in range(runs_max):
            plan = swarm.plan(seed)
            outcome = run_once(plan, SeededSchedule(seed, order))
            if outcome.failure is None or outcome.failure.invariant not in mutant.invariants:
                continue
            small = shrink(plan, outcome.tape, order)
            if small is not None:
                return Finding(small.plan, small.order, small.tape, small.failure, seed)
    return None


def found_of(name: str) -> Finding:
    """Return what was found of a mutant and written down."""
    return read_finding(FOUND / f"{name}.json")


def keep(name: str, finding: Finding) -> None:
    """Write one finding down."""
    FOUND.mkdir(parents=True, exist_ok=True)
    (FOUND / f"{name}.json").write_bytes(finding_bytes(finding))


def write_page() -> None:
    """Write the page of all that was found."""
    PAGE.write_text(page_of((name, found_of(name)) for name in MUTANTS), encoding="utf-8")


def page_of(found: Iterable[tuple[str, Finding]]) -> str:
    """Return the page that tells of every planted fault what caught it, and how soon."""
    rows = [_row(name, finding) for name, finding in found]
    return _PAGE.format(mutants=len(rows), rows="\n".join(rows))


def _row(name: str, finding: Finding) -> str:
    mutant, size, failure = MUTANTS[name], finding.size, finding.failure
    runs = "" if finding.seed is None else f"{finding.seed + 1:,}"
    parts = f"{size.choices} + {size.rules} + {size.crashes} + {size.workload}"
    cells = (
        f"`{name}`",
        mutant.breaks,
        mutant.case.name,
        failure.invariant,
        runs,
        failure.step,
        f"{size.total} ({parts})",
    )
    return f"| {' | '.join(map(str, cells))} |"


_PAGE: Final = """\
# Planted faults

Written by `make mutants`; do not edit.

Each of the {mutants} faults below is planted alone, by a patch of the running code (`tools/mutants`), and the explorer
searches for it as it searches the sound code: seed by seed, a swarm of faults and crashes over a small session, every
invariant after every step. *Runs* is how many it took until one of them broke an invariant that the fault should break;
the sound code breaks none in the same runs. The run was then shrunk: *steps* is how many the small one takes to fail,
*size* its choices that are not 0, plus fault rules, plus crashes, plus steps of the workload.

The small runs are in `tests/corpus/mutants`; the tests replay each against its fault, where it must fail, and against
the sound code, where it must not. `interlock replay FILE --step` walks through one (without its fault it ends well).

| fault | what it does wrong | case | caught by | runs | steps | size |
| --- | --- | --- | --- | --- | --- | --- |
{rows}
"""
