"""The scenario library: what goes wrong elsewhere, as data; each file is one small session with its fault and its end.

``base.yaml`` is the session that all of them share; a scenario says what is different, what is known to happen
elsewhere, what has to be seen here, and how it must end. ``config/scenarios.py`` reads them.

    interlock dryrun --list-scenarios
    interlock dryrun --scenario cancel_fill_unknown_order
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["BASE", "FOLDER"]

FOLDER: Final = Path(__file__).resolve().parent
BASE: Final = FOLDER / "base.yaml"
