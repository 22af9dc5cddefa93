"""``interlock recon ...``: what reconciles have found (DIF-9, DIF-10).

Three views of one history: ``summary`` has a block for each reconcile, ``diffs`` one for each difference, ``detailed``
both for one reconcile. Filters choose what counts as a finding; ``--limit`` only shortens what is shown.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from interlock.cli.recon_views import blocks_text, diff_lines, json_text, plain_diff, plain_summary, summary_lines
from interlock.cli.terminal import say
from interlock.domain.findings import Severity
from interlock.domain.recon_records import DIFF_CODE, SUMMARY_CODE
from interlock.recon.history import History, read_history

__all__ = ["app"]

_EXIT_FINDINGS: Final = 2


class Format(StrEnum):
    """How to show it."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", case_sensitive=False, help="For people, or for machines.")]
GateOption = Annotated[bool, typer.Option("--exit-on-findings", help="Exit with 2 where there are diffs.")]
ExportOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Read an export of an audit log.")]
RunOption = Annotated[Path | None, typer.Option("--run", metavar="DIR", help="Read the folder of a run.")]
SeverityOption = Annotated[
    Severity | None, typer.Option("--severity", case_sensitive=False, help="Only diffs of this severity.")
]
RunIdOption = Annotated[str | None, typer.Option("--run-id", metavar="ID", help="Only this reconcile.")]
SessionOption = Annotated[str | None, typer.Option("--session-id", metavar="ID", help="Only this session.")]
LimitOption = Annotated[int | None, typer.Option("--limit", metavar="N", min=0, help="Show N at most, the first.")]

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@app.callback()
def group(context: typer.Context) -> None:
    """Look at what reconciles have found: in the newest run below out/, in another run, or in an export.

    Exit code 0: done; 2: diffs were found, with --exit-on-findings; 1: something is wrong.

    \b
    Examples:
      interlock recon summary
      interlock recon diffs --severity FAIL --exit-on-findings
      interlock recon detailed --run-id rc-0123456789abcdef
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    if context.invoked_subcommand is None:
        say(context.get_help())


@app.command()
def summary(
    form: FormatOption = Format.TEXT,
    exit_on_findings: GateOption = False,
    export: ExportOption = None,
    run: RunOption = None,
    severity: SeverityOption = None,
    run_id: RunIdOption = None,
    session_id: SessionOption = None,
    limit: LimitOption = None,
) -> None:
    """Show every reconcile: how many diffs, how severe, of which types.

    With --severity only those that found such a diff.

    Exit code 0: done; 2: diffs were found, with --exit-on-findings; 1: something is wrong.

    \b
    Examples:
      interlock recon summary --format json --exit-on-findings
      interlock recon summary --json audit_export.json --session-id session_123
    """  # noqa: D301 - as above
    found = read_history(export=export, run=run).of(run_id=run_id, session_id=session_id).with_severity(severity)
    shown = found.summaries[:limit]
    left_out = len(found.summaries) - len(shown)
    if form is Format.JSON:
        say(json_text(SUMMARY_CODE, [plain_summary(item) for item in shown], left_out))
    else:
        blocks = [summary_lines(item) for item in shown]
        say(blocks_text(SUMMARY_CODE, blocks, left_out, _chosen(found, export, run)))
    _leave(found, gate=exit_on_findings)


@app.command()
def diffs(
    form: FormatOption = Format.TEXT,
    exit_on_findings: GateOption = False,
    export: ExportOption = None,
    run: RunOption = None,
    severity: SeverityOption = None,
    run_id: RunIdOption = None,
    session_id: SessionOption = None,
    limit: LimitOption = None,
) -> None:
    """Show every diff of every reconcile.

    Exit code 0: done; 2: diffs were found, with --exit-on-findings; 1: something is wrong.

    \b
    Examples:
      interlock recon diffs --severity FAIL --limit 20
      interlock recon diffs --run out/finish_c/c2/demo-seed7 --exit-on-findings
    """  # noqa: D301 - as above
    found = read_history(export=export, run=run).of(run_id=run_id, session_id=session_id).with_severity(severity)
    shown = found.diffs[:limit]
    left_out = len(found.diffs) - len(shown)
    if form is Format.JSON:
        say(json_text(DIFF_CODE, [plain_diff(diff, item.run_id) for item, diff in shown], left_out))
    else:
        blocks = [diff_lines(diff, item.run_id) for item, diff in shown]
        say(blocks_text(DIFF_CODE, blocks, left_out, _chosen(found, export, run)))
    _leave(found, gate=exit_on_findings)


@app.command()
def detailed(
    form: FormatOption = Format.TEXT,
    exit_on_findings: GateOption = False,
    export: ExportOption = None,
    run: RunOption = None,
    severity: SeverityOption = None,
    run_id: RunIdOption = None,
    session_id: SessionOption = None,
    limit: LimitOption = None,
) -> None:
    """Show one reconcile whole: its summary and every diff.

    Without --run-id it is the last one that found something, or the last one.

    Exit code 0: done; 2: diffs were found, with --exit-on-findings; 1: something is wrong.

    \b
    Example:
      interlock recon detailed --run-id rc-0123456789abcdef
    """  # noqa: D301 - as above
    found = read_history(export=export, run=run).of(run_id=run_id, session_id=session_id).with_severity(severity)
    if run_id is None:
        found = found.last()
    shown = [(item, item.diffs[:limit]) for item in found.summaries]
    left_out = len(found.diffs) - sum(len(some) for _, some in shown)
    if form is Format.JSON:
        items = [plain_summary(item, [plain_diff(diff) for diff in some]) for item, some in shown]
        say(json_text(SUMMARY_CODE, items, left_out))
    else:
        blocks = [lines for item, some in shown for lines in (summary_lines(item), *map(diff_lines, some))]
        say(blocks_text(SUMMARY_CODE, blocks, left_out, _chosen(found, export, run)))
    _leave(found, gate=exit_on_findings)


def _chosen(found: History, export: Path | None, run: Path | None) -> Path | None:
    """Return the source where we chose it, and not the one who asked."""
    return found.source if export is None and run is None else None


def _leave(found: History, *, gate: bool) -> None:
    if gate and found.diffs:
        raise typer.Exit(_EXIT_FINDINGS)
