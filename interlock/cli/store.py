"""``interlock store ...`` and ``interlock reset``: what an operator does with a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.terminal import say
from interlock.domain.errors import BadInput, StoreDamaged
from interlock.runtime.clock import RealClock
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_verify import verify_store

__all__ = ["app", "reset"]

_EXIT_FINDINGS = 2

app = typer.Typer(help="Look at stores.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Check stores."""


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


def reset(
    store: Annotated[Path, typer.Option(metavar="FILE", help="The store, as --store of dryrun named it.")],
    operator: Annotated[str, typer.Option(metavar="NAME", help="Who takes the word for it.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why trading may begin again.")],
) -> None:
    """Release the kill switch of a store and record who did it, and why.

    Exit code 0: released; 1: it was not set, or the store cannot be opened, or is damaged.

    \b
    Example:
      interlock reset --store demo.sqlite3 --operator "A. Lovelace" --reason "books compared by hand"
    """  # noqa: D301 - as above
    if not store.exists():
        raise BadInput(str(store), "there is no store", "the FILE of a store, as --store of dryrun named it")
    with SqliteStore(store, owner="interlock reset") as opened:
        was_set_by = opened.kill_switch()
        opened.reset_kill_switch(operator, reason, RealClock().now_ns())
    say(f"{store}: the kill switch ({was_set_by}) was released by {operator}")
