"""Finding what is to be certified: ``module:Object``, also in modules of the working folder."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Final, cast

from interlock.certify.bench import Target
from interlock.domain.errors import BadInput
from interlock.runtime.redaction import redact_exception

__all__ = ["load_target"]

_NAMED: Final = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<path>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")
_ALLOWED: Final = "module:Object, a callable without arguments that makes a broker or a bench"


def load_target(text: str) -> Target:
    """Return the callable that ``text`` names: the object itself, or its method ``fresh``.

    Modules are looked for in the working folder first, from now on, as ``python -m`` does.

    Raises:
        BadInput: it cannot be imported, is not there, or cannot be called.
    """
    named = _NAMED.fullmatch(text)
    if named is None:
        raise BadInput(text[:100] or "target", "names no object", _ALLOWED)
    module, here = named["module"], str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a module is foreign code that may raise anything
        raise BadInput(text, f"{module} cannot be imported: {redact_exception(error)}", _ALLOWED) from error
    for name in named["path"].split("."):
        if not hasattr(found, name):
            raise BadInput(text, f"{module} has no {named['path']}", _ALLOWED)
        found = getattr(found, name)
    made = getattr(found, "fresh", found)
    if not callable(made):
        raise BadInput(text, f"is a {type(found).__name__}, which cannot be called", _ALLOWED)
    return cast("Target", made)
