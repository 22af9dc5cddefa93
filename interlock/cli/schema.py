"""``interlock schema``: the JSON Schemas of the files that Interlock reads."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from interlock.cli.terminal import say
from interlock.prove import SCHEMAS, schema_of

__all__ = ["schema"]


def schema(name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which one to print.")] = None) -> None:
    """Print the JSON Schema of a file format, made from the model that reads it; without a name, list them.

    \b
    Example:
      interlock schema broker-event
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    if name is None:
        width = max(map(len, SCHEMAS))
        say("\n".join(f"{known:{width}}  {form.about}" for known, form in SCHEMAS.items()))
    else:
        say(json.dumps(schema_of(name), indent=2))
