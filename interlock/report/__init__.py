"""The report of one run, or of a finding of the explorer: one HTML page that needs no network and no server.

``report_html`` makes the page, ``write_report`` puts it beside the folder of its run or where it is wanted.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from interlock.domain.errors import BadInput
from interlock.dryrun import Progress
from interlock.explore.finding_file import read_finding
from interlock.report.collect import collect
from interlock.report.from_finding import collect_finding
from interlock.report.page import MARK, page_of

__all__ = ["report_html", "report_path", "write_report"]

_HEAD_BYTES: Final = 4096


def report_html(folder: Path, *, recording_path: Path | None = None, progress: Progress | None = None) -> bytes:
    """Return the page of the run in ``folder``, UTF-8; the same run gives the same bytes. ``folder`` is only read.

    The run is replayed for it, which takes about as long as the run took. Where ``folder`` is a file, it is a finding
    of the explorer.

    Raises:
        BadInput: there is no event log in ``folder``, or it is damaged; or the file is no finding.
    """
    if folder.is_file():
        return page_of(collect_finding(read_finding(folder)))
    return page_of(collect(folder, recording_path=recording_path, progress=progress))


def report_path(folder: Path) -> Path:
    """Return where the report of a run goes by default: beside its folder or file, never inside it (ART-5)."""
    whole = Path(os.path.abspath(folder))  # noqa: PTH100 - a link to the folder stays what it is
    return whole.with_name(f"{whole.stem if whole.is_file() else whole.name}.report.html")


def write_report(
    folder: Path, out: Path | None = None, *, recording_path: Path | None = None, progress: Progress | None = None
) -> Path:
    """Write the page of the run in ``folder``, whole or not at all, and return where it is.

    An older report is replaced: it can be made again at any time. Nothing else is.

    Raises:
        BadInput: as ``report_html``; or something that is no report is in the way; or no file can be made there.
    """
    path = report_path(folder) if out is None else out
    _need_replaceable(path, folder)
    html = report_html(folder, recording_path=recording_path, progress=progress)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.", delete=False) as file:
            partial = Path(file.name)
            try:
                file.write(html)
                file.flush()
                os.fsync(file.fileno())
                partial.chmod(0o644)
                partial.replace(path)
            finally:  # of a page that has its name nothing is left here
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(
            str(path), f"cannot be written: {error.strerror}", "--out FILE.html in a folder that can"
        ) from error
    return path


def _need_replaceable(path: Path, folder: Path) -> None:
    allowed = "--out FILE.html, outside the run folder, and no other file in its place"
    try:
        if path.resolve().is_relative_to(folder.resolve()):
            raise BadInput(
                str(path), "lies inside the run folder, which holds what a run wrote and nothing else", allowed
            )
        if not os.path.lexists(path):
            return
        with path.open("rb") as stream:
            ours = MARK in stream.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:
        raise BadInput(str(path), f"is in the way: {getattr(error, 'strerror', None) or error}", allowed) from error
    if not ours:
        raise BadInput(str(path), "is no report and is not replaced", allowed)
