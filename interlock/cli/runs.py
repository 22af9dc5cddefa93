"""``interlock dryrun`` and ``interlock replay``."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

import typer

from interlock.cli.findings import replay_finding
from interlock.cli.summary import summary_table
from interlock.cli.terminal import complain, logging_to_stderr, progress_bar, say, show
from interlock.config import load_config
from interlock.config.scenarios import Scenario, load_scenario, scenario_names
from interlock.domain.errors import BadInput
from interlock.dryrun import replay_run, run_dryrun_config
from interlock.observe.evidence import need_free_place, write_evidence

__all__ = ["dryrun", "replay"]

_SEED_MAX = 2**63 - 1
_COLUMNS = 80


def dryrun(  # noqa: PLR0913, PLR0917 - a command has the options that it has
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="The session, a YAML file.")] = None,
    scenario: Annotated[str | None, typer.Option(metavar="NAME", help="Play a packaged scenario instead.")] = None,
    list_scenarios: Annotated[bool, typer.Option("--list-scenarios", help="Name the packaged scenarios.")] = False,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=_SEED_MAX, help="Seed, instead of the config's.")
    ] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", min=1, help="Give up after so many steps.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where run folders go.")] = Path("out"),
    run_id: Annotated[str | None, typer.Option(metavar="ID", help="Name of the run.")] = None,
    recording: Annotated[Path | None, typer.Option(metavar="FILE", help="Play these recorded fills.")] = None,
    store: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep keys and kill switch in this store.")] = None,
    evidence: Annotated[Path | None, typer.Option(metavar="FILE.md", help="Write a page of evidence.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an older run of this name.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="One line at the end, no progress.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Warnings of the library, too.")] = False,
    live_enabled: Annotated[bool, typer.Option("--live-enabled", hidden=True)] = False,
) -> None:
    """Run one session in simulation and leave its artifacts in a folder.

    Exit code 0: completed; 2: rejected or failed; 1: wrong input; 130: interrupted.

    \b
    Examples:
      interlock dryrun configs/demo.yaml --seed 7
      interlock dryrun configs/recording.yaml --recording fills.jsonl
      interlock dryrun configs/demo.yaml --store demo.sqlite3
      interlock dryrun configs/demo.yaml --evidence demo.md
      interlock dryrun --scenario cancel_fill_unknown_order
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    if list_scenarios:
        say("\n".join(f"{name}\n    {load_scenario(name).scenario.title}" for name in scenario_names()))
        return
    given: dict[str, Any] = {"seed": seed, "run_id": run_id}
    session = {key: value for key, value in given.items() if value is not None}
    if (config is None) == (scenario is None):
        raise BadInput("dryrun", "needs one session to run", "CONFIG or --scenario NAME")
    if scenario is not None:
        played = load_scenario(scenario, session, live_flag=live_enabled)
        loaded = played.loaded
        if not quiet:
            say(_told(played.scenario))
    elif config is not None:
        loaded = load_config(config, {"session": session}, live_flag=live_enabled)
    if evidence is not None:
        need_free_place(evidence, replace=replace)
    with logging_to_stderr(wanted=verbose), progress_bar("dry run", wanted=not (quiet or verbose)) as progress:
        outcome = run_dryrun_config(
            loaded,
            out=out,
            replace=replace,
            recording_path=recording,
            steps=steps,
            progress=progress,
            store_path=store,
        )
    if evidence is not None:
        write_evidence(outcome.folder, evidence)
    if quiet:
        say(f"{outcome.result.status} {outcome.folder}")
    else:
        show(summary_table(outcome))
        say(f"artifacts: {outcome.folder}")
        if evidence is not None:
            say(f"evidence: {evidence}")
    raise typer.Exit(outcome.exit_code)


def _told(scenario: Scenario) -> str:
    """Return what a scenario shows, in lines that a terminal can hold."""
    texts = (scenario.title + ".", f"Elsewhere: {scenario.elsewhere}", f"Here: {scenario.here}")
    return "\n".join(fill(text, _COLUMNS, subsequent_indent="  ") for text in texts)


def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR|FILE", help="The folder of a run, or a finding's file.")],
    recording: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its recording is now.")] = None,
    step: Annotated[bool, typer.Option("--step", help="Show each step of a finding; Enter for the next.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Warnings of the library, too.")] = False,
) -> None:
    """Run a run again and compare every artifact byte by byte, or see whether a finding still breaks its invariant.

    Exit code 0: identical, or broken no more; 2: different, the first line that differs is named, or still broken; 1:
    could not be run.

    \b
    Examples:
      interlock replay out/finish_c/c2/demo-seed7
      interlock replay tests/corpus/mutants/void_too_early.json --step
    """  # noqa: D301 - as above
    if folder.is_file():
        if recording is not None:
            raise BadInput("--recording", "belongs to the folder of a run", "nothing beside a finding's file")
        raise typer.Exit(replay_finding(folder, by_step=step))
    if step:
        raise BadInput("--step", "walks through a finding", "a finding's file")
    with logging_to_stderr(wanted=verbose), progress_bar("replay", wanted=not verbose) as progress:
        outcome = replay_run(folder, recording_path=recording, progress=progress)
    if outcome.newer:
        complain(f"warning: the run is of the newer release {outcome.package_version}")
    if outcome.difference is None:
        say(f"identical after {outcome.steps:,} steps: {folder}")
    else:
        say(f"different: {outcome.difference}")
    raise typer.Exit(outcome.exit_code)
