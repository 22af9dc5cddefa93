"""The house rules that neither the linter nor the import contracts can see, read from the source itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.determinism import broad_handlers, unordered_uses

PACKAGE = Path(__file__).resolve().parent.parent / "interlock"
DETERMINISTIC = ("domain", "runtime", "actors", "mocks")
SUPERVISORS = (
    "actors/port_door.py",
    "actors/ported_broker.py",
    "certify/case.py",
    "certify/kit.py",
    "certify/loading.py",
    "host/opening.py",
    "runtime/realtime.py",
    "runtime/stepped.py",
)
"""Where everything may be caught: a crash of an actor trips (RT-8), an error of an adapter is an unknown outcome (or
what its certification found), and one of the host waits until its session has ended."""


def sources(*folders: str) -> list[Path]:
    """Return the files of these folders of the package, in order."""
    return sorted(file for folder in folders for file in (PACKAGE / folder).rglob("*.py"))


@pytest.mark.spec("RT-6")
def test_nothing_under_the_actors_takes_an_order_from_a_set() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in sources(*DETERMINISTIC)
        for line in unordered_uses(file.read_text(encoding="utf-8"))
    ]
    assert sources(*DETERMINISTIC), "there is something to look at"
    assert not found, "wrap it in sorted(), or use a dict"


@pytest.mark.spec("RT-6")
@pytest.mark.parametrize(
    "planted",
    [
        "for x in {1, 2}: pass",
        "for x in set(y): pass",
        "for x in frozenset(y): pass",
        "for x in {z for z in y}: pass",
        "a = [x for x in set(y)]",
        "a = {x: 1 for x in set(y)}",
        "a = (x for x in set(y))",
        "for x in set(y) | set(z): pass",
        "for x in y.keys() - z: pass",
        "for x in y.union(z): pass",
        "for x in (set(y) if z else set()): pass",
        "a = list(set(y))",
        "a = next(iter(set(y)))",
        "a = ','.join(set(y))",
        "a = dict.fromkeys(set(y))",
        "a = [*set(y)]",
        "s = set(y)\nfor x in s: pass",
        "s = set(y)\na = s.pop()",
        "def f(s: set[int]) -> None:\n    for x in s: pass",
        "def f(s: frozenset[int] | None) -> None:\n    for x in s: pass",
        "class C:\n    def __init__(self):\n        self.s = set()\n    def f(self):\n        return list(self.s)",
        "class C:\n    s: set[int]\n    def f(self):\n        return list(self.s)",
        "a = hash(y)",
    ],
)
def test_a_planted_order_from_a_set_is_caught(planted: str) -> None:
    assert unordered_uses(planted)


@pytest.mark.parametrize(
    "fine",
    [
        "for x in sorted({1, 2}): pass",
        "a = sorted(x for x in set(y))",
        "a = sorted(map(f, set(y)))",
        "a = {x for x in set(y)}",
        "a = {*set(y), 1}",
        "a = any(x for x in set(y))",
        "a = len(set(y))",
        "a = 1 in {1, 2}",
        "for x in [1, 2]: pass",
        "for x in y: pass",
        "a = y.pop()",
        "a = y | z",
    ],
)
def test_what_does_not_depend_on_the_order_is_left_alone(fine: str) -> None:
    assert not unordered_uses(fine)


@pytest.mark.spec("RT-8")
def test_only_the_supervisors_catch_everything_and_they_say_why() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in sources(".")
        for line, has_a_reason in broad_handlers(file.read_text(encoding="utf-8"))
        if not has_a_reason or file.relative_to(PACKAGE).as_posix() not in SUPERVISORS
    ]
    assert not found


@pytest.mark.parametrize(
    "planted",
    [
        "try: f()\nexcept: pass",
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept BaseException as error: raise",
        "try: f()\nexcept (ValueError, Exception): pass",
        "with suppress(Exception): f()",
        "with contextlib.suppress(Exception): f()",
    ],
)
def test_a_planted_broad_handler_is_caught(planted: str) -> None:
    [(_, has_a_reason)] = broad_handlers(planted)
    assert not has_a_reason


def test_a_reason_beside_a_broad_handler_is_seen() -> None:
    assert broad_handlers("try: f()\nexcept Exception:  # an actor crashed: trip\n    pass") == [(2, True)]


def test_a_handler_of_one_error_is_left_alone() -> None:
    assert not broad_handlers("try: f()\nexcept (ValueError, KeyError): pass")
