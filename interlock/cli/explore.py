"""``interlock explore``: a session under many schedules, faults and kills, until something breaks or it is enough."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from interlock.cli.explore_views import (
    coverage_table,
    enumeration_text,
    failure_text,
    figures_text,
    hunt_bar,
    hunted_json,
    missing_text,
)
from interlock.cli.terminal import say, show
from interlock.config import load_config
from interlock.config.model import SessionConfig
from interlock.config.scenarios import load_scenario, scenario_names
from interlock.domain.errors import BadInput
from interlock.explore.cases import CASES, case_config
from interlock.explore.chunk import Found
from interlock.explore.enumerated import EVERY_DEPTH, Enumeration, enumerate_all
from interlock.explore.finding_file import Finding, finding_bytes
from interlock.explore.hunt import Hunted, Quarry, hunt
from interlock.explore.pool import pool_of
from interlock.explore.shrink import shrink

__all__ = ["explore"]

_EXIT_FINDINGS: Final = 2
_EXIT_INTERRUPTED: Final = 130
_SEED_MAX: Final = 2**62
_RUNS: Final = 1_000
_RUNS_EXHAUSTIVE: Final = 1_000_000
_RUNS_MAX: Final = 1_000_000_000
_ALL: Final = "all"
_DEPTH: Final = {"random": 1, "pct": 3, "exhaustive": EVERY_DEPTH}


class Strategy(StrEnum):
    """How the order of things is chosen."""

    RANDOM = "random"
    PCT = "pct"
    EXHAUSTIVE = "exhaustive"


def explore(  # noqa: PLR0913, PLR0917 - a command has the options that it has
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="The session, a YAML file.")] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A packaged scenario or case instead, or several; all: every case."),
    ] = None,
    runs: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=_RUNS_MAX, help="How many; 1000, exhaustive 1000000.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(metavar="M", min=0.001, help="For how long, instead.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=_SEED_MAX, help="The first seed.")] = 0,
    strategy: Annotated[Strategy, typer.Option(case_sensitive=False, help="How schedules are chosen.")] = (
        Strategy.RANDOM
    ),
    depth: Annotated[
        int | None,
        typer.Option(
            metavar="D", min=0, max=100, help="pct: steps whose order matters, 3; exhaustive: deviations, without: all."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="J", min=1, max=1024, help="Processes.")] = 1,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler instead.")] = None,
    faults: Annotated[bool, typer.Option("--faults/--no-faults", help="Faults of the failure matrix.")] = True,
    crashes: Annotated[bool, typer.Option("--crashes/--no-crashes", help="Kills and restarts.")] = True,
    failures: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="After how many to stop.")] = 1,
    shrinking: Annotated[bool, typer.Option("--shrink/--no-shrink", help="Make what is found small.")] = True,
    all_hit: Annotated[bool, typer.Option("--all-hit", help="Exit with 2 where something was never hit, too.")] = False,
    logged: Annotated[bool, typer.Option("--logged", help="Let the digest cover all that is said.")] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Leave what was found and hit there.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where failures go, a file each.")] = Path("out/explored"),
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no table.")] = False,
) -> None:
    """Run a session under many schedules, faults and kills, and look after every step whether all still holds.

    Each seed is a schedule, a choice of faults and a choice of kills; the same seed is the same run everywhere.

    Exit code 0: nothing broke; 2: something did, and it is in a file; 1: wrong input; 130: interrupted.

    \b
    Examples:
      interlock explore configs/demo.yaml --runs 200
      interlock explore --scenario all --minutes 5 --jobs 2
      interlock explore --scenario cancel-race --strategy exhaustive --no-crashes
      interlock explore --scenario small --strategy exhaustive --depth 1
      interlock explore --scenario busy --scheduler tcp://127.0.0.1:8786 --runs 100000
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    _check_places(json, out)
    quarry = Quarry(
        _cases(config, scenario or []),
        _runs(runs, strategy, minutes),
        minutes,
        seed,
        _drawn(strategy),
        _DEPTH[strategy] if depth is None else depth,
        faults,
        crashes,
        logged,
        failures,
    )
    with hunt_bar(wanted=not quiet, runs=quarry.runs, minutes=minutes) as progress:
        if strategy is Strategy.EXHAUSTIVE:
            hunted, searched = enumerate_all(quarry, progress)
        else:
            with pool_of(jobs, scheduler) as pool:
                hunted, searched = hunt(quarry, pool, progress), ()
    _tell(hunted, searched, quarry.depth, quiet=quiet)
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_bytes(hunted_json(hunted, searched))
    for found in hunted.tally.found:
        say(failure_text(found))
        say(_leave(found, out, seeded=strategy is not Strategy.EXHAUSTIVE, shrinking=shrinking))
    _exit(hunted, all_hit=all_hit)


def _check_places(json: Path | None, out: Path) -> None:
    """Refuse at once what could not be written in the end."""
    if json is not None and json.is_dir():
        raise BadInput("--json", f"{json} is a folder", "a file")
    if out.exists() and not out.is_dir():
        raise BadInput("--out", f"{out} is no folder", "a folder, which need not be there")


def _exit(hunted: Hunted, *, all_hit: bool) -> None:
    if hunted.interrupted:
        raise typer.Exit(_EXIT_INTERRUPTED)
    coverage = hunted.coverage
    if hunted.tally.found or (all_hit and (coverage.missing() or coverage.contradicted())):
        raise typer.Exit(_EXIT_FINDINGS)


def _runs(runs: int | None, strategy: Strategy, minutes: float | None) -> int:
    if strategy is not Strategy.EXHAUSTIVE:
        return runs or (_RUNS if minutes is None else _RUNS_MAX)
    if minutes is not None:
        raise BadInput("--minutes", "an exhaustive search ends when all was seen", "--runs N, to bound it")
    return runs or _RUNS_EXHAUSTIVE


def _drawn(strategy: Strategy) -> Literal["random", "pct"]:
    return "pct" if strategy is Strategy.PCT else "random"


def _cases(path: Path | None, names: list[str]) -> dict[str, SessionConfig]:
    """Return the sessions to explore, by name."""
    if (path is None) == (not names):
        raise BadInput("explore", "needs sessions to explore", "CONFIG, or --scenario NAME once or more")
    if path is not None:
        loaded = load_config(path)
        if loaded.live_enabled_by:
            raise BadInput("live_enabled", f"is asked for by {loaded.live_enabled_by[0]}", "no live trading")
        if loaded.config.broker.kind != "mock":
            raise BadInput(f"{path}: broker.kind", "nothing can be explored in a recording", "mock")
        return {path.stem: loaded.config}
    return {name: _named(name) for given in names for name in (CASES if given == _ALL else (given,))}


def _named(name: str) -> SessionConfig:
    if name in CASES:
        return case_config(name)
    if name in scenario_names():
        return load_scenario(name).loaded.config
    known = ", ".join((_ALL, *CASES, *scenario_names()))
    raise BadInput("--scenario", f"there is no scenario or case {name!r}", known)


def _tell(hunted: Hunted, searched: tuple[Enumeration, ...], depth: int, *, quiet: bool) -> None:
    say(figures_text(hunted))
    for one in searched:
        say(enumeration_text(one, None if depth == EVERY_DEPTH else depth))
    if not quiet:
        coverage = hunted.coverage
        show(coverage_table(coverage))
        missing = missing_text(coverage)
        if missing:
            say(missing)


def _leave(found: Found, folder: Path, *, seeded: bool, shrinking: bool) -> str:
    """Write a failure down, as small as it becomes, and return what to say about that."""
    seed = found.seed if seeded else None
    smaller = shrink(found.plan, found.tape, "random") if shrinking else None
    if smaller is None:
        finding = Finding(found.plan, "random", found.tape, found.failure, seed)
    else:
        finding = Finding(smaller.plan, smaller.order, smaller.tape, smaller.failure, seed)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found.case}-seed{found.seed}.json"
    path.write_bytes(finding_bytes(finding))
    shrunk = "" if smaller is None else f" after {smaller.runs:,} runs to shrink it"
    return f"written to {path}{shrunk}; see it again: interlock replay {path}"
