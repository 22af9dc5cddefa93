"""What a hunt has shown, for people and for machines: figures, coverage by group, what was never hit, what broke."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from interlock.cli.terminal import complain
from interlock.explore.chunk import Found
from interlock.explore.coverage import Coverage, Group
from interlock.explore.enumerated import Enumeration
from interlock.explore.hunt import Hunted

__all__ = [
    "coverage_table",
    "enumeration_text",
    "failure_text",
    "figures_text",
    "hunt_bar",
    "hunted_json",
    "missing_text",
]

_LAST_WORDS: Final = 12
_WORD_CHARS: Final = 160
_MISSING_SHOWN: Final = 20
_MINUTE_NS: Final = 60_000_000_000

_TITLES: Final = {
    Group.ORDER_EVENTS: "order: state, event",
    Group.SESSION_EVENTS: "session: state, event",
    Group.KEY_STATES: "key: from, to",
    Group.FAULTS: "faults",
    Group.FAULT_STATES: "fault while an order was",
    Group.FINDINGS: "findings",
    Group.SOMETIMES: "sometimes",
}


def figures_text(hunted: Hunted) -> str:
    """Return runs, steps, how fast that went, and how runs ended."""
    tally, figures = hunted.tally, hunted.figures
    ends = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.outcomes.items(), key=lambda item: -item[1]))
    return (
        f"{tally.runs:,} runs, {tally.steps:,} steps, {tally.crashes:,} kills; "
        f"{figures['runs_per_s']:,.0f} runs/s, {figures['steps_per_s']:,.0f} steps/s, "
        f"{figures['simulated_per_real']:,.0f} times real time\n"
        f"ended: {ends or 'none'}\n"
        f"digest: {tally.digest or 'none'}"
    )


def enumeration_text(one: Enumeration, deviations: int | None) -> str:
    """Return how many schedules a case has, and whether all were seen; ``deviations`` is the bound, if there is one."""
    took = f"{one.runs:,} runs to the end and {one.alike:,} that became like one of them"
    if not one.complete:
        return f"{one.case}: not every schedule was run: stopped after {took}"
    if deviations is None:
        return f"{one.case}: all {one.schedules:,} schedules were seen, in {one.states:,} states: {took}"
    return f"{one.case}: all schedules with up to {deviations} deviations were seen: {took}"


def coverage_table(coverage: Coverage) -> Table:
    """Return a line for each group: how much of it was hit, and how often what was hit least."""
    table = Table("coverage", "hit", "of", "cannot be hit", "fewest hits")
    for group, hit, possible, never, fewest in coverage.rows():
        table.add_row(_TITLES[group], str(hit), str(possible), str(never or ""), f"{fewest:,}")
    return table


def missing_text(coverage: Coverage) -> str:
    """Return what was never hit, shortened, and what should not have been; "" where nothing is wrong."""
    missing = coverage.missing()
    wrong = coverage.contradicted()
    if wrong:
        return "hit, though it is said that nothing can:\n" + "\n".join(f"  {name}" for name in wrong)
    if not missing:
        return ""
    more = f"\n  and {len(missing) - _MISSING_SHOWN:,} more" if len(missing) > _MISSING_SHOWN else ""
    return "never hit:\n" + "\n".join(f"  {name}" for name in missing[:_MISSING_SHOWN]) + more


def failure_text(found: Found) -> str:
    """Return what a run broke, and what was said last before it."""
    failure = found.failure
    last = [f"  {line[:_WORD_CHARS]}" for line in failure.last[-_LAST_WORDS:]]
    head = f"{found.case}, seed {found.seed}: {failure.invariant} after {failure.step:,} steps: {failure.text}"
    return "\n".join((head, *last))


def hunted_json(hunted: Hunted, searched: tuple[Enumeration, ...]) -> bytes:
    """Return it for machines; the same for the same runs, so how fast they were is left out."""
    tally = hunted.tally
    tree = {
        "schema": "INTERLOCK_EXPLORED_V1",
        "runs": tally.runs,
        "steps": tally.steps,
        "simulated_ns": tally.simulated_ns,
        "crashes": tally.crashes,
        "outcomes": tally.outcomes,
        "digest": tally.digest,
        "interrupted": hunted.interrupted,
        "failures": [
            {"case": found.case, "seed": found.seed, "failure": msgspec.to_builtins(found.failure)}
            for found in tally.found
        ],
        "enumerated": [msgspec.to_builtins(one) for one in searched],
        "coverage": hunted.coverage.as_dict(),
    }
    return msgspec.json.format(msgspec.json.encode(tree, order="deterministic"), indent=2) + b"\n"


@contextmanager
def hunt_bar(*, wanted: bool, runs: int, minutes: float | None) -> Iterator[Callable[[Hunted], None] | None]:
    """Show how far it is while the block runs, if that is wanted: a bar on a terminal, elsewhere a line a minute."""
    if not wanted or sys.stderr is None:
        yield None
        return
    if not sys.stderr.isatty():
        yield _line_a_minute()
        return
    columns = (TextColumn("explore"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"))
    # Drawn only when told to: a thread of its own would go on drawing into what comes next.
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True, auto_refresh=False
    ) as bar:
        task = bar.add_task("explore", total=1.0, said="")

        def tell(hunted: Hunted) -> None:
            done = hunted.tally.runs / runs
            if minutes is not None:
                done = max(done, hunted.real_ns / (minutes * 60e9))
            bar.update(task, completed=done, said=_so_far(hunted), refresh=True)

        yield tell


def _so_far(hunted: Hunted) -> str:
    figures, rows = hunted.figures, list(hunted.coverage.rows())
    covered = sum(row[1] for row in rows) / sum(row[2] for row in rows)
    return (
        f"{hunted.tally.runs:,} runs, {figures['runs_per_s']:,.0f}/s, "
        f"{figures['steps_per_s']:,.0f} steps/s, coverage {covered:.0%}"
    )


def _line_a_minute() -> Callable[[Hunted], None]:
    """Return what writes a line to standard error for each minute that has gone by."""
    minute = 0

    def tell(hunted: Hunted) -> None:
        nonlocal minute
        if hunted.real_ns >= (minute + 1) * _MINUTE_NS:
            minute = hunted.real_ns // _MINUTE_NS
            complain(f"explore: {minute} min, {_so_far(hunted)}")

    return tell
