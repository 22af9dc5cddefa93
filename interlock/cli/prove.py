"""``interlock prove`` and ``interlock convert``: canned logs in, evidence out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from interlock.cli.terminal import say, show
from interlock.domain.errors import BadInput
from interlock.prove import Outcome, ProofFiles, convert_recording, prove_config, prove_folder
from interlock.prove.figures import drift_text

__all__ = ["convert", "prove"]

_EXIT_FINDINGS = 2


def prove(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="A proof, a YAML file; or a folder of them.")
    ] = None,
    events: Annotated[Path | None, typer.Option(metavar="FILE", help="The broker's log.")] = None,
    journal: Annotated[Path | None, typer.Option(metavar="FILE", help="Our order journal.")] = None,
    cache: Annotated[Path | None, typer.Option(metavar="FILE", help="The idempotency cache.")] = None,
    expect: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The proof that these files belong to, a YAML file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the artifacts go, instead of out/proofs/NAME.")
    ] = None,
) -> None:
    """Replay canned logs with the loop off, force one reconcile, and compare with what is expected.

    Exit code 0: as expected; 2: something differs, each difference on a line; 1: wrong input, nothing written.

    \b
    Examples:
      interlock prove configs/proofs/healthy.yaml
      interlock prove configs/proofs
      interlock prove --events e.jsonl --journal j.jsonl --cache c.jsonl --expect proof.yaml --out evidence
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    given = [path for path in (events, journal, cache, expect) if path is not None]
    if config is not None and not given:
        outcomes = _all_in(config, out) if config.is_dir() else [_told(prove_config(config, out))]
    elif config is None and events is not None and journal is not None and cache is not None and expect is not None:
        outcomes = [_told(prove_config(expect, out, ProofFiles(events, journal, cache)))]
    else:
        raise BadInput("prove", "needs one proof to run", "CONFIG, or all of --events, --journal, --cache and --expect")
    if not all(outcome.as_expected for outcome in outcomes):
        raise typer.Exit(_EXIT_FINDINGS)


def convert(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="Recorded fills, one JSON object a line.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for the proof and its inputs.")],
) -> None:
    """Make a proof of a recording: its logs, and a config to be run with interlock prove.

    Exit code 0: written; 1: wrong input, or the folder is not empty; nothing was written.

    \b
    Example:
      interlock convert fills.jsonl --out fills-proof
      interlock prove fills-proof/proof.yaml
    """  # noqa: D301 - as above
    say(str(convert_recording(recording, out)))


def _told(outcome: Outcome) -> Outcome:
    """Print the summary and, line by line, what is not as expected."""
    say("\n".join((outcome.summary, *outcome.reasons)))
    return outcome


def _all_in(folder: Path, out: Path | None) -> list[Outcome]:
    outcomes = list(prove_folder(folder, out))
    table = Table(Column("proof", overflow="fold"), "shows", "stale", "orphan", "drift", "cache", "outcome")
    for outcome in outcomes:
        figures = outcome.figures
        table.add_row(
            outcome.name,
            outcome.shows,
            str(figures.stale),
            str(figures.orphan),
            drift_text(figures.drift),
            "ok" if figures.cache_ok else "damaged",
            "as expected" if outcome.as_expected else "\n".join(outcome.reasons),
        )
    show(table)
    return outcomes
