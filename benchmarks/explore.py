"""Whole explored runs per second and core: plan, session, every invariant after every step, verdict, coverage.

The bare kernel ring runs in the same rounds, since absolute times are noise. Times are those of the core, not of the
wall, so that a neighbour on the machine counts for less.
"""

from __future__ import annotations

from statistics import median
from time import process_time

from rich.console import Console
from rich.table import Table

from benchmarks.kernel import ring_rate
from interlock.domain.instants import NS_PER_S
from interlock.explore.cases import case_config
from interlock.explore.chunk import Chunk, Tally, run_chunk

__all__ = ["explored_rates", "print_explore"]

_CASE = "day"
_RING_STEPS = 200_000
_RUNS_BUDGET = 500
_STEPS_BUDGET = 150
"""Steps of the runs that the budget means; what longer ones make is told in such runs as well."""
_SPEED_BUDGET = 1_000


def explored_rates(runs: int, first: int = 0) -> tuple[Tally, float]:
    """Run so many seeds and return what they have shown, and for how many seconds the core was busy."""
    chunk = Chunk(_CASE, case_config(_CASE).model_dump_json(), first, runs)
    started = process_time()
    tally = run_chunk(chunk)
    return tally, process_time() - started


def print_explore(runs: int, rounds: int, console: Console) -> None:
    """Measure and print, medians of the rounds."""
    explored_rates(runs=20)
    rings: list[float] = []
    told: list[tuple[float, float, float, float]] = []
    for number in range(rounds):
        rings.append(ring_rate(_RING_STEPS, process_time))
        tally, busy_s = explored_rates(runs, first=number * runs)
        simulated_s = tally.simulated_ns / NS_PER_S
        told.append((tally.runs / busy_s, tally.steps / busy_s, simulated_s / busy_s, tally.steps / tally.runs))
    ring, (runs_per_s, steps_per_s, speed, length) = (
        median(rings),
        (median(column) for column in zip(*told, strict=True)),
    )
    table = Table("what", "per second and core", "of the ring", "budget", "of the budget")
    table.add_row("ring of five actors: steps", f"{ring:,.0f}", "", "", "")
    table.add_row("explored: steps", f"{steps_per_s:,.0f}", f"{steps_per_s / ring:.3f}", "", "")
    table.add_row(f"explored: whole runs of {length:.0f} steps", f"{runs_per_s:,.0f}", "", "", "")
    of_the_budget = steps_per_s / _STEPS_BUDGET
    table.add_row(
        f"explored: the same in runs of {_STEPS_BUDGET} steps",
        f"{of_the_budget:,.0f}",
        "",
        f"{_RUNS_BUDGET:,}",
        f"{of_the_budget / _RUNS_BUDGET:.2f}",
    )
    table.add_row(
        "explored: seconds simulated", f"{speed:,.0f}", "", f"{_SPEED_BUDGET:,}", f"{speed / _SPEED_BUDGET:.2f}"
    )
    console.print(table)
