"""``interlock report``: one page that shows a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.terminal import progress_bar, say
from interlock.report import write_report

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR|FILE", help="The folder of a run, or a finding.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Where the page goes, instead of beside the folder.")
    ] = None,
    recording: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its recording is now.")] = None,
) -> None:
    """Make one HTML page of a run: messages, lives of orders, both books, findings, alerts, trips.

    It needs no network and no server. The run is replayed for it; where it cannot be, the page is drawn from the
    event log and says so. A file is a finding of the explorer, which is run again. Exit code 0: written, its path is
    printed; 1: wrong input.

    \b
    Examples:
      interlock report out/finish_c/c2/demo-seed7
      interlock report out/explored/busy-seed12.json
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    with progress_bar("report", wanted=True) as progress:
        path = write_report(folder, out, recording_path=recording, progress=progress)
    say(str(path))
