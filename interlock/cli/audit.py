"""``interlock audit ...``: what can be asked about an audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.terminal import say
from interlock.runtime.audit import verify_audit_file

__all__ = ["app"]

app = typer.Typer(help="Look at audit logs.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Check audit logs."""


@app.command()
def verify(file: Annotated[Path, typer.Argument(metavar="FILE", help="The audit.jsonl of a run.")]) -> None:
    """Check the hash chain of an audit log and name the first bad line.

    Exit code 0: nothing found; 2: a bad line; 1: the log cannot be read. With the metrics.json of
    its run beside it, records cut off the end are found as well.

    \b
    Example:
      interlock audit verify out/finish_c/c2/demo-seed7/audit.jsonl
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    verdict = verify_audit_file(file)
    if not verdict.ok:
        say(f"{file}: line {verdict.first_bad_line}: {verdict.reason}")
        raise typer.Exit(2)
    end = "" if verdict.anchored else "; no metrics.json beside it, so its end is taken on trust"
    say(f"{file}: {verdict.count:,} records, none bad{end}")
