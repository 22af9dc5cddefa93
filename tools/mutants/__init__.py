"""Planted faults: what an explorer must find. Each is a patch of the code in this process, and of nothing else.

``MUTANTS`` is the table of all of them; ``python -m tools.mutants`` (``make mutants``) searches for each anew.
"""

from tools.mutants.mutant import Mutant
from tools.mutants.table import MUTANTS

__all__ = ["MUTANTS", "Mutant"]
