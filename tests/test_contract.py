"""docs/contract.md says which tests prove its rows; these tests hold it to that."""

from __future__ import annotations

import pytest

from interlock.domain.errors import BadInput
from tools.contract import CONTRACT, ROOT, TESTS, claims_of, filled, proofs_under

PAGE = "| id | requirement | proven by |\n|---|---|---|\n| RT-1 | no drop | not proven yet |\n| RT-2 | trip | old |\n"


def rows_and_tests(source: str) -> list[tuple[str, str]]:
    """Return what a test file of this text claims."""
    return [(claim.row, claim.test) for claim in claims_of(source, "tests/test_x.py")]


def test_the_contract_is_up_to_date() -> None:
    """Also: every id in a mark is a row, since filling refuses any other."""
    text = CONTRACT.read_text(encoding="utf-8")
    assert text == filled(text, proofs_under(TESTS, ROOT)), "run make docs"


@pytest.mark.parametrize(
    ("source", "claimed"),
    [
        ("@pytest.mark.spec('A-1')\ndef test_a(): ...", [("A-1", "test_a")]),
        ("@pytest.mark.spec('A-1', 'A-2')\nasync def test_a(): ...", [("A-1", "test_a"), ("A-2", "test_a")]),
        ("@pytest.mark.spec('A-1')\nclass TestA:\n    def test_b(self): ...", [("A-1", "TestA.test_b")]),
        (
            "class TestA:\n    pytestmark = pytest.mark.spec('A-1')\n    def test_b(self): ...",
            [("A-1", "TestA.test_b")],
        ),
        ("pytestmark = [pytest.mark.spec('A-1'), pytest.mark.x]\ndef test_a(): ...", [("A-1", "test_a")]),
        ("@p('x', [pytest.param(1, marks=pytest.mark.spec('A-1'))])\ndef test_a(x): ...", [("A-1", "test_a")]),
        ("def test_a(): ...", []),
    ],
)
def test_a_mark_is_found_wherever_a_test_may_wear_it(source: str, claimed: list[tuple[str, str]]) -> None:
    assert rows_and_tests(source) == claimed


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.spec(ROW)\ndef test_a(): ...",
        "@pytest.mark.spec()\ndef test_a(): ...",
        "@pytest.mark.spec\ndef test_a(): ...",
        "@pytest.mark.spec('A-1')\ndef helper(): ...",
        "PROOF = pytest.mark.spec('A-1')",
    ],
)
def test_a_mark_that_proves_nothing_is_refused_with_its_line(source: str) -> None:
    with pytest.raises(BadInput, match=r"^tests/test_x\.py:1: "):
        rows_and_tests(source)


def test_a_row_that_does_not_exist_is_refused_with_the_line_that_names_it() -> None:
    claims = claims_of("\n@pytest.mark.spec('RT-9')\ndef test_a(): ...", "tests/test_x.py")
    with pytest.raises(BadInput, match=r"^tests/test_x\.py:2: RT-9 is no row"):
        filled(PAGE, claims)


def test_only_the_last_column_is_written() -> None:
    claims = claims_of("@pytest.mark.spec('RT-1')\ndef test_b(): ...", "tests/b/test_b.py")
    claims += claims_of("@pytest.mark.spec('RT-1')\ndef test_a(): ...", "tests/a/test_a.py")
    assert filled(PAGE, claims) == PAGE.replace(
        "| not proven yet |", "| `a/test_a.py`: `test_a`<br>`b/test_b.py`: `test_b` |"
    ).replace("| old |", "| not proven yet |")
