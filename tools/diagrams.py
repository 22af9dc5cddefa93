"""Draw the state machines of ARCHITECTURE.md from the tables that the code runs on.

`python -m tools.diagrams` writes what stands between two marker comments, such as `<!-- diagram:order -->` and
`<!-- /diagram:order -->`, and nothing else of the page: a Mermaid diagram of each table, and the order's table as
a matrix of events and states. A page without the markers is refused, so that no drawing is lost unnoticed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from interlock.domain.errors import BadInput
from interlock.domain.order_states import ORDER_TABLE
from interlock.domain.session_states import SESSION_TABLE
from interlock.domain.tables import Table

__all__ = ["ARCHITECTURE", "drawings", "filled", "main", "matrix"]

ARCHITECTURE = Path(__file__).resolve().parent.parent / "ARCHITECTURE.md"

_STAYS = "="
_REFUSED = ""
_LEGEND = "`=`: the order stays where it is. An empty cell: the pair raises and changes nothing."

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def drawings() -> dict[str, str]:
    """Return every generated part, by the name that its markers carry."""
    return {
        "diagram:session": _mermaid(SESSION_TABLE),
        "diagram:order": _mermaid(ORDER_TABLE),
        "matrix:order": f"{_LEGEND}\n\n{matrix(ORDER_TABLE)}",
    }


def matrix(table: Table[S, E]) -> str:
    """Return a table of events and states: the next state, ``=`` where it stays, nothing where it is refused."""
    states = list(table.states)
    lines = [["event", *(state.value for state in states)], ["---"] * (len(states) + 1)]
    lines += [[event.value, *(_cell(table, state, event) for state in states)] for event in table.events]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def filled(page: str, parts: Mapping[str, str]) -> str:
    """Return the text of the page with each part between its markers; raise BadInput where they are not there."""
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise BadInput(ARCHITECTURE.name, f"the markers of {name} are missing", f"one {begin.strip()}, one {end}")
        before, _, rest = page.partition(begin)
        if end not in rest:
            raise BadInput(ARCHITECTURE.name, f"the markers of {name} are in the wrong order", f"{begin.strip()} first")
        page = f"{before}{begin}{part}\n{end}{rest.partition(end)[2]}"
    return page


def main() -> int:
    """Rewrite the generated parts of ARCHITECTURE.md; 1 when the page has no place for them."""
    try:
        page = filled(ARCHITECTURE.read_text(encoding="utf-8"), drawings())
    except (BadInput, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    ARCHITECTURE.write_text(page, encoding="utf-8")
    print(f"{ARCHITECTURE.name}: {', '.join(drawings())}")
    return 0


def _mermaid(table: Table[S, E]) -> str:
    return f"```mermaid\n{table.mermaid()}\n```"


def _cell(table: Table[S, E], state: S, event: E) -> str:
    if not table.allows(state, event):
        return _REFUSED
    after = table.next(state, event)
    return _STAYS if after is state else after.value


if __name__ == "__main__":
    sys.exit(main())
