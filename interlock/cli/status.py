"""``interlock status``: one look at a run, or into a store. It watches nothing and changes nothing (OBS-6)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from interlock.cli.terminal import say, show
from interlock.domain.errors import BadInput
from interlock.observe.rows import Row, health_rows, status_rows, store_rows
from interlock.observe.source import source_of
from interlock.observe.store_look import look_into
from interlock.observe.views import Status, StoreStatus, as_json
from interlock.recon.history import newest_run

__all__ = ["status"]

_EXIT_OPERATOR: Final = 2
_MOST: Final = 3
"""Orders, findings and steps that fit on one screen together."""
_CHARS_MAX: Final = 190
"""Of one row: three lines in 80 columns."""


class Format(StrEnum):
    """How to show it."""

    TEXT = "text"
    JSON = "json"


def status(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The folder of a run.")] = None,
    store: Annotated[Path | None, typer.Option(metavar="FILE", help="Look into this store instead.")] = None,
    form: Annotated[
        Format, typer.Option("--format", case_sensitive=False, help="For people, or for machines.")
    ] = Format.TEXT,
) -> None:
    """Show how a run ended, or how a store stands, and what an operator has to do.

    Without DIR and --store it is the newest run below out/. One look, no more: nothing is watched, nothing changed.

    Exit code 0: all is well; 2: an operator is needed; 1: something is wrong.

    \b
    Examples:
      interlock status
      interlock status out/finish_c/c2/demo-seed7 --format json
      interlock status --store demo.sqlite3
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    if folder is not None and store is not None:
        raise BadInput("DIR and --store", "were given together", "one of them, or none for the newest run")
    view: Status | StoreStatus
    if store is not None:
        view = look_into(store)
        title, rows = f"store {view.file}", [*store_rows(view, _MOST)]
    else:
        source = source_of(_run(folder))
        view = source.status()
        title, rows = f"run {view.run_id}", [*health_rows(source.health()), *status_rows(view, _MOST)]
    if form is Format.JSON:
        say(as_json(view).decode().removesuffix("\n"))
    else:
        show(_table(title, rows))
    raise typer.Exit(_EXIT_OPERATOR if view.operator_needed else 0)


def _run(folder: Path | None) -> Path:
    found = folder or newest_run(Path("out"))
    if found is None:
        raise BadInput("out", "holds no run", "the folder of a run, or --store FILE; interlock dryrun makes one")
    return found


def _table(title: str, rows: Iterable[Row]) -> Table:
    # Texts, not strings, wherever a value is shown: square brackets in it are no markup.
    table = Table(title=Text(title), box=box.SIMPLE, show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, text in rows:
        cut = text if len(text) <= _CHARS_MAX else text[:_CHARS_MAX] + "..."
        table.add_row(what, Text(cut, style=_STYLES.get(what, "") if text not in _QUIET else ""))
    return table


_QUIET: Final = ("off", "none", "nothing", "well")
_STYLES: Final = {"kill switch": "red", "in doubt": "red", "quarantined": "red", "health": "red", "damaged": "red"}
"""Rows that stand out where there is something in them; on terminals alone."""
