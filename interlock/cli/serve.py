"""``interlock serve``: the folder of a run over HTTP, to be looked at and nothing else (OBS-6)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from interlock.cli.terminal import logging_to_stderr, say
from interlock.config.secret_place import secret_line
from interlock.domain.errors import BadInput

__all__ = ["serve"]

_PORT: Final = 8642
_VARIABLE: Final = re.compile(r"(?!INTERLOCK_)[A-Z_][A-Z0-9_]{0,99}")


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65_535, help="Where; 0: any free one.")] = _PORT,
    address: Annotated[str, typer.Option(metavar="IP", help="Where else than here; needs a token.")] = "127.0.0.1",
    token_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Holds the token; mode 0600.")] = None,
    token_env: Annotated[str | None, typer.Option(metavar="NAME", help="The variable that holds the token.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Warnings of the library, too.")] = False,
) -> None:
    """Serve the folder of a run to this machine, read-only, until interrupted.

    There are /health, /ready, /status, /metrics, /report and /openapi.json. With a token every request has to bring
    it, as "Authorization: Bearer TOKEN"; it is never taken from an address or an argument.

    Exit code 130: interrupted; 1: it could not be served.

    \b
    Examples:
      interlock serve out/finish_c/c2/demo-seed7
      interlock serve out/finish_c/c2/demo-seed7 --address 10.0.0.7 --token-file /run/keys/interlock
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    if token_file is not None and token_env is not None:
        raise BadInput("serve", "the token has two places", "--token-file or --token-env")
    if token_env is not None and not _VARIABLE.fullmatch(token_env):
        # Not repeated: it may be the token itself.
        raise BadInput(
            "serve", "what is given as a variable is no name of one", "such as LOOK; INTERLOCK_... are settings"
        )
    try:
        # An extra: whoever looks at files needs no server.
        from interlock.web.security import usable_token  # noqa: PLC0415 - see above
        from interlock.web.serve import serve as serve_folder  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise BadInput("serve", "there is no web server", "pip install 'interlock[web]'") from error
    text = secret_line("serve", None if token_file is None else str(token_file), token_env)
    token = usable_token("serve", text) if text else None
    with logging_to_stderr(wanted=verbose):
        serve_folder(folder, address=address, port=port, token=token, tell=say)
