"""A folder of proofs, run one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from interlock.domain.errors import BadInput
from interlock.prove.model import load_proof
from interlock.prove.proof import PROOFS, Outcome, prove_config

__all__ = ["prove_folder"]

_PROOFS_MAX: Final = 1000


def prove_folder(folder: Path, out: Path | None = None) -> Iterator[Outcome]:
    """Run every config in ``folder`` by name and yield how it ended; artifacts go to ``out/NAME`` for each.

    All configs are read before the first proof runs.

    Raises:
        BadInput: there is none, one of them is wrong, two have one name, or inputs are not as they must be.
    """
    paths = sorted(folder.glob("*.yaml"))
    if not 1 <= len(paths) <= _PROOFS_MAX:
        raise BadInput(str(folder), f"holds {len(paths)} proofs", f"1 to {_PROOFS_MAX} configs named *.yaml")
    named: dict[str, Path] = {}
    for path in paths:
        name = str(load_proof(path).name)
        if name in named:
            raise BadInput(str(path), f"has the name of {named[name].name}", "a name of its own")
        named[name] = path
    for name, path in named.items():
        yield prove_config(path, (PROOFS if out is None else out) / name)
