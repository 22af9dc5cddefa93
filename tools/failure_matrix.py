"""Write down how sessions end under every fault and every pair of faults.

`python -m tools.failure_matrix` (`make failure-matrix`) runs every cell of `tools/matrix_cells.py` and rewrites
`tests/data/failure_matrix.json` and `docs/failure-matrix.md`. When a run breaks an invariant, or ends neither settled
nor stopped, it says so and writes nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from interlock.domain.ids import canonical_json
from interlock.mocks.fault_rows import ROWS
from tools.matrix_cells import SEEDS, SETTLED, Outcomes, cell, cells_of, run_cell

__all__ = ["DATA", "PAGE", "Matrix", "main", "page_of", "read_matrix", "written"]

ROOT: Final = Path(__file__).resolve().parent.parent
DATA: Final = ROOT / "tests" / "data" / "failure_matrix.json"
PAGE: Final = ROOT / "docs" / "failure-matrix.md"


class Matrix(msgspec.Struct, frozen=True):
    """What is written down: for each fault in how many runs it struck, for each fault and pair how its runs ended."""

    seeds: int
    struck: dict[str, int]
    outcomes: dict[str, Outcomes]


def read_matrix() -> Matrix:
    """Return what was written down."""
    return msgspec.json.decode(DATA.read_bytes(), type=Matrix)


def written(matrix: Matrix) -> str:
    """Return the matrix as it is committed: JSON with a line for each cell, so that a change is a line of a diff."""
    struck = canonical_json(matrix.struck).decode()
    lines = [f'"{name}": {canonical_json(ends).decode()}' for name, ends in matrix.outcomes.items()]
    body = ",\n    ".join(lines)
    return f'{{\n  "seeds": {matrix.seeds},\n  "struck": {struck},\n  "outcomes": {{\n    {body}\n  }}\n}}\n'


def page_of(matrix: Matrix) -> str:
    """Return the matrix as a page for people."""
    names, texts = list(ROWS), _fault_texts()
    alone = [
        f"| {number} | `{name}` | {ROWS[name].spec} | {texts[ROWS[name].rules[0]['fault']]} "
        f"| {matrix.struck[name]} | {_ends(matrix.outcomes[name])} |"
        for number, name in enumerate(names, 1)
    ]
    return _PAGE.format(
        faults=len(names),
        pairs=len(matrix.outcomes) - len(names),
        seeds=matrix.seeds,
        runs=f"{len(matrix.outcomes) * matrix.seeds:,}",
        alone="\n".join(alone),
        grid="\n".join(_grid(matrix)),
        surprises="\n".join(_surprises(matrix)) or "None.",
    )


def main() -> int:
    """Run the whole matrix and write it down; 1 when a run broke an invariant or ended in a third way."""
    cells = [faults for row in ROWS for faults in cells_of(row)]
    with ProcessPoolExecutor() as pool:
        ended = list(pool.map(run_cell, cells, chunksize=8))
    wrong = [complaint for end in ended for complaint in end.wrong]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    outcomes = {cell(faults): end.outcomes for faults, end in zip(cells, ended, strict=True)}
    struck = {faults[0]: end.struck for faults, end in zip(cells, ended, strict=True) if len(faults) == 1}
    matrix = Matrix(SEEDS, struck, outcomes)
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(written(matrix), encoding="utf-8")
    PAGE.write_text(page_of(matrix), encoding="utf-8")
    print(f"{len(cells)} cells, {len(cells) * SEEDS:,} runs: {DATA.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")
    return 0


_PAGE: Final = """\
# Failure matrix

Written by `make failure-matrix`; do not edit.

Each of the {faults} faults below runs alone and with each other fault ({pairs} pairs), every cell under {seeds} seeds:
{runs} sessions of twelve orders, half of them cancelled, with auto-repair on. Faults strike in the first 40 seconds;
what comes then must lead to one of two ends:

- **settled**: the session completed, and by the broker's own books every execution is booked exactly once, no key was
  sent or accepted twice, nothing is open, and orders, positions and cash agree to the last digit;
- **stopped**: a rail tripped under the code given, the kill switch is on, an operator is asked for, and what is still
  open at the broker is in the report.

There is no third one. `tests/test_failure_matrix.py` holds every cell to this page.

## Each fault alone

*Struck* is the number of runs in which it did.

| | fault | row | what goes wrong | struck | ends |
| --- | --- | --- | --- | --- | --- |
{alone}

## Every pair

`.` all runs settle; `#` all stop; `+` some stop. Numbers are those of the table above.

```
{grid}
```

## Pairs that stop with a code that neither fault has alone

{surprises}
"""


def _ends(outcomes: Outcomes) -> str:
    return ", ".join(f"{how.replace('stopped:', 'stopped: ')} {times}" for how, times in outcomes.items())


def _grid(matrix: Matrix) -> Iterator[str]:
    names = list(ROWS)
    yield " " * 30 + "".join(f"{number:>3}" for number in range(1, len(names) + 1))
    for number, name in enumerate(names, 1):
        before = "   " * (number - 1)
        signs = "".join(f"{_sign(matrix.outcomes[cell(faults)]):>3}" for faults in cells_of(name))
        yield f"{number:>2} {name:<27}{before}{signs}"


def _sign(outcomes: Outcomes) -> str:
    if list(outcomes) == [SETTLED]:
        return "."
    return "+" if SETTLED in outcomes else "#"


def _surprises(matrix: Matrix) -> Iterator[str]:
    for name, outcomes in matrix.outcomes.items():
        alone = {SETTLED: None} | {how: None for fault in name.split(" + ") for how in matrix.outcomes[fault]}
        if any(how not in alone for how in outcomes):
            yield f"- `{name}`: {_ends(outcomes)}"


def _fault_texts() -> dict[str, str]:
    """Return what each fault is, from the text below its name, without the row that it begins with."""
    tree = ast.parse((ROOT / "interlock" / "mocks" / "faults.py").read_text(encoding="utf-8"))
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Fault"]
    texts: dict[str, str] = {}
    for named, text in pairwise(body):
        match named, text:
            case ast.Assign(value=ast.Constant(value=str(name))), ast.Expr(value=ast.Constant(value=str(said))):
                texts[name] = " ".join(said.partition(": ")[2].split()).replace("``", "`").removesuffix(".")
    return texts


if __name__ == "__main__":
    sys.exit(main())
