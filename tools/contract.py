"""Fill the last column of docs/contract.md: for each row, the tests that claim to prove it.

`python -m tools.contract` reads every test file as a syntax tree, without importing it, collects the ids of its
`pytest.mark.spec(...)` marks (on a function, a class, a module's or a class's `pytestmark`, a `pytest.param`),
and writes the names beside the rows. A mark that names no row, or that cannot be read from the text alone, is
refused with its file and line: a proof that nobody can find is none.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from interlock.domain.errors import BadInput

__all__ = ["Claim", "claims_of", "filled", "main", "proofs_under"]

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "docs" / "contract.md"
TESTS = ROOT / "tests"

_ROW = re.compile(r"^\| (?P<id>[A-Z]+-\d+) \| (?P<text>.+) \| (?P<proof>[^|]*) \|$")
_UNPROVEN = "not proven yet"

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, order=True)
class Claim:
    """One test that claims one row: `file` is relative to the repository, `test` is `name` or `Class.name`."""

    row: str
    file: str
    test: str
    line: int


def claims_of(source: str, file: str) -> list[Claim]:
    """Return what the tests in `source` claim; raise BadInput for a mark that belongs to no test."""
    tree = ast.parse(source, filename=file)
    seen: set[int] = set()
    claims = [
        Claim(row, file, name, mark.lineno)
        for name, marks in _tests_in(tree, "", _module_marks(tree))
        for mark in marks
        for row in _rows_of(mark, file, seen)
    ]
    for node in ast.walk(tree):
        if _names_mark(node) and id(node) not in seen:
            raise BadInput(
                f"{file}:{node.lineno}", "a spec mark that no test wears", "on a test, its class or pytestmark"
            )
    return claims


def proofs_under(folder: Path, root: Path) -> list[Claim]:
    """Return the claims of all test files under `folder`, named relative to `root`, in order."""
    files = sorted(folder.rglob("test_*.py"))
    return sorted(
        claim
        for file in files
        for claim in claims_of(file.read_text(encoding="utf-8"), file.relative_to(root).as_posix())
    )


def filled(contract: str, claims: list[Claim]) -> str:
    """Return the text of the contract with its last column made from `claims`; raise BadInput for an unknown row."""
    by_row: dict[str, dict[str, dict[str, None]]] = {}
    for claim in sorted(claims):
        by_row.setdefault(claim.row, {}).setdefault(claim.file, {})[claim.test] = None
    lines = contract.split("\n")
    rows = {match["id"] for match in map(_ROW.match, lines) if match}
    for claim in claims:
        if claim.row not in rows:
            raise BadInput(
                f"{claim.file}:{claim.line}", f"{claim.row} is no row of the contract", "an id of docs/contract.md"
            )
    return "\n".join(_filled_line(line, by_row) for line in lines)


def main() -> int:
    """Rewrite docs/contract.md and say how much of it is proven; 1 when a mark cannot be taken."""
    try:
        text = filled(CONTRACT.read_text(encoding="utf-8"), proofs_under(TESTS, ROOT))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    CONTRACT.write_text(text, encoding="utf-8")
    rows = [match for match in map(_ROW.match, text.split("\n")) if match]
    proven = sum(match["proof"] != _UNPROVEN for match in rows)
    print(f"docs/contract.md: {proven} of {len(rows)} rows carry a test")
    return 0


def _filled_line(line: str, by_row: Mapping[str, Mapping[str, Mapping[str, None]]]) -> str:
    match = _ROW.match(line)
    if not match:
        return line
    files = by_row.get(match["id"], {})
    cells = [f"`{file.removeprefix('tests/')}`: " + ", ".join(f"`{test}`" for test in files[file]) for file in files]
    return f"| {match['id']} | {match['text']} | {'<br>'.join(cells) or _UNPROVEN} |"


def _tests_in(
    scope: ast.Module | ast.ClassDef, prefix: str, inherited: list[ast.Call]
) -> Iterator[tuple[str, list[ast.Call]]]:
    for node in scope.body:
        if isinstance(node, _FUNCTIONS) and node.name.startswith("test"):
            yield prefix + node.name, inherited + _decorator_marks(node)
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            marks = inherited + _decorator_marks(node) + _module_marks(node)
            yield from _tests_in(node, f"{prefix}{node.name}.", marks)


def _decorator_marks(node: _Definition) -> list[ast.Call]:
    return [call for decorator in node.decorator_list for call in _marks_in(decorator)]


def _module_marks(scope: ast.Module | ast.ClassDef) -> list[ast.Call]:
    return [
        call
        for node in scope.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)
        for call in _marks_in(node.value)
    ]


def _marks_in(node: ast.AST) -> list[ast.Call]:
    return [child for child in ast.walk(node) if _is_mark(child)]


def _is_mark(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and _names_mark(node.func)


def _names_mark(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr == "spec" and ast.unparse(node.value) == "pytest.mark"


def _rows_of(mark: ast.Call, file: str, seen: set[int]) -> list[str]:
    seen.add(id(mark.func))
    rows = [arg.value for arg in mark.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    if not rows or len(rows) != len(mark.args) or mark.keywords:
        raise BadInput(f"{file}:{mark.lineno}", "a spec mark without plain ids", 'pytest.mark.spec("RT-1", "RT-2")')
    return rows


if __name__ == "__main__":
    sys.exit(main())
