"""The command ``interlock``: its commands, and the one way out of them (DIF-10, NFR-1).

Exit codes: 0 done; 2 findings (a session rejected or failed, a replay that differs, a bad audit line, diffs); 1 for
all that went wrong, with one line on standard error; 130 interrupted. Commands hold no logic: they call the library
and show what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from interlock.cli import audit, certify, explore, prove, recon, report, runs, schema, serve, status, store
from interlock.cli.terminal import complain, say
from interlock.domain.errors import InterlockError
from interlock.runtime.run_folder import VERSION

__all__ = ["app", "run"]

_EXIT_WRONG: Final = 1
_EXIT_INTERRUPTED: Final = 130

# Typer brings this class along and has moved it before; its child has stayed where it is.
_UsageError: Final[type[Exception]] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(runs.dryrun)
app.command()(runs.replay)
app.command()(explore.explore)
app.command()(report.report)
app.add_typer(recon.app, name="recon")
app.add_typer(audit.app, name="audit")
app.add_typer(store.app, name="store")
app.command()(store.reset)
app.command()(status.status)
app.command()(prove.prove)
app.command()(prove.convert)
app.command()(schema.schema)
app.command()(serve.serve)
app.command()(certify.certify)


@app.callback()
def interlock(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say which release this is.")] = False,
) -> None:
    """Interlock: an execution-safety runtime for trading hosts. It never sends a real order.

    \b
    Begin with:
      interlock dryrun configs/demo.yaml --seed 7
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    if version:
        say(f"interlock {VERSION}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(context.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``arguments`` are those of the process unless given."""
    given = None if arguments is None else list(arguments)
    try:
        code = app(args=given, prog_name="interlock", standalone_mode=False)
    except _UsageError as error:
        text = str(getattr(error, "format_message", error.__str__)())
        return _wrong(f"{text} (see interlock --help)")
    except InterlockError as error:
        return _wrong(str(error))
    except (typer.Abort, KeyboardInterrupt):
        code = _EXIT_INTERRUPTED
    except OSError as error:
        return _wrong(f"{error.filename or 'output'}: {error.strerror or error}")
    except SystemExit:
        return 0  # Typer's way to say that nobody reads what it prints any more
    if code == _EXIT_INTERRUPTED:
        complain("interrupted")
    return code if isinstance(code, int) else 0


def _wrong(text: str) -> int:
    complain(text)
    return _EXIT_WRONG
