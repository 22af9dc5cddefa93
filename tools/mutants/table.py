"""The table of all planted faults."""

from __future__ import annotations

from typing import Final

from tools.mutants.books import BOOKS
from tools.mutants.desk import DESK
from tools.mutants.durable import DURABLE
from tools.mutants.ends import ENDS
from tools.mutants.looks import LOOKS
from tools.mutants.mutant import Mutant
from tools.mutants.tracker import TRACKER

__all__ = ["MUTANTS"]

MUTANTS: Final[dict[str, Mutant]] = {**DESK, **TRACKER, **BOOKS, **LOOKS, **ENDS, **DURABLE}
"""Every planted fault by its name."""
