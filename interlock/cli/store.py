"""``interlock store ...`` and ``interlock reset``: what an operator does with a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.terminal import say
from interlock.domain.errors import StoreDamaged
from interlock.runtime.clock import RealClock
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_export import export_journal
from interlock.runtime.store_import import import_journal
from interlock.runtime.store_verify import verify_store

__all__ = ["app", "reset"]

_EXIT_FINDINGS = 2

app = typer.Typer(help="Look at stores.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Check, export and import stores."""


@app.command()
def verify(file: Annotated[Path, typer.Argument(metavar="FILE", help="The store, as --store named it.")]) -> None:
    """Check every record and every row of a store and name the first that is not as it was written.

    Exit code 0: sound; 2: damaged, the kill switch is set and a copy kept aside; 1: it cannot be opened.

    \b
    Example:
      interlock store verify demo.sqlite3
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    try:
        report = verify_store(file)
    except StoreDamaged as error:
        say(str(error))
        raise typer.Exit(_EXIT_FINDINGS) from error
    switch = f"on ({report.kill_switch})" if report.kill_switch else "off"
    say(
        f"{file}: {report.records:,} records, {report.orders:,} orders ({report.live:,} not ended), "
        f"{report.fills:,} fills, none bad; kill switch {switch}"
    )


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The store, as --store named it.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty folder.")],
) -> None:
    """Write the journal of a store, and the audit log of each of its runs, as plain files into a folder.

    The folder appears when all is written. Exit code 0: done; 1: the store is damaged or cannot be opened, or
    the folder is not empty or cannot be written.

    \b
    Example:
      interlock store export demo.sqlite3 --out demo-export
    """  # noqa: D301 - as above
    done = export_journal(file, out)
    say(f"{out}: {done.records:,} records, {done.audit_lines:,} audit lines in {len(done.files) - 1:,} logs")


@app.command("import")
def import_(
    journal: Annotated[Path, typer.Argument(metavar="JOURNAL", help="The journal.jsonl of an export.")],
    store: Annotated[Path, typer.Option(metavar="FILE", help="The store to make; there is none at that place yet.")],
) -> None:
    """Make a new store of an exported journal; every record is checked on the way.

    Exit code 0: done; 1: a line of the journal is not what was exported, or there is a store already.

    \b
    Example:
      interlock store import demo-export/journal.jsonl --store again.sqlite3
    """  # noqa: D301 - as above
    head = import_journal(journal, store)
    orders = head.counts.orders - head.counts.purged
    say(f"{store}: {head.sequence:,} records, {orders:,} orders ({head.counts.live:,} not ended), made anew")


def reset(
    store: Annotated[Path, typer.Option(metavar="FILE", help="The store, as --store of dryrun named it.")],
    operator: Annotated[str, typer.Option(metavar="NAME", help="Who takes the word for it.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why trading may begin again.")],
    rebase: Annotated[
        bool, typer.Option("--rebase", help="Give up the stored cash and positions too: the config's opening counts.")
    ] = False,
) -> None:
    """Release the kill switch of a store and record who did it, and why; the whole store is checked first.

    Exit code 0: released; 1: it was not set, or the store cannot be opened, or is damaged.

    \b
    Example:
      interlock reset --store demo.sqlite3 --operator "A. Lovelace" --reason "books compared by hand"
      interlock reset --store demo.sqlite3 --operator "A. Lovelace" --reason "a deposit of 500" --rebase
    """  # noqa: D301 - as above
    verify_store(store)
    with SqliteStore(store, owner="interlock reset") as opened:
        was_set_by = opened.kill_switch()
        opened.reset_kill_switch(operator, reason, RealClock().now_ns(), rebase=rebase)
    given_up = "; the next session begins with the opening of its config" if rebase else ""
    say(f"{store}: the kill switch ({was_set_by}) was released by {operator}{given_up}")
