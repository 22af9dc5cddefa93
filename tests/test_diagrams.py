"""ARCHITECTURE.md shows the tables that the code runs on; these tests hold it to that."""

from __future__ import annotations

from enum import StrEnum

import pytest

from interlock.domain.errors import BadInput
from interlock.domain.tables import Table
from tools.diagrams import ARCHITECTURE, drawings, filled, matrix

PAGE = "Before.\n\n<!-- diagram:x -->\nold\n<!-- /diagram:x -->\n\nAfter.\n"


class Door(StrEnum):
    """Two states."""

    OPEN = "OPEN"
    SHUT = "SHUT"


class Act(StrEnum):
    """Two events."""

    PUSH = "PUSH"
    LOCK = "LOCK"


@pytest.mark.spec("ORC-1")
def test_the_diagrams_are_up_to_date() -> None:
    page = ARCHITECTURE.read_text(encoding="utf-8")
    assert page == filled(page, drawings()), "run make docs"


def test_only_what_stands_between_the_markers_is_written() -> None:
    assert filled(PAGE, {"diagram:x": "new"}) == PAGE.replace("old", "new")
    assert filled(PAGE.replace("old\n", ""), {"diagram:x": "new"}) == PAGE.replace("old", "new")


def test_filling_twice_is_filling_once() -> None:
    once = filled(PAGE, {"diagram:x": "new\nlines"})
    assert filled(once, {"diagram:x": "new\nlines"}) == once


@pytest.mark.parametrize(
    "page",
    [
        "",
        PAGE.replace("<!-- /diagram:x -->", ""),
        PAGE.replace("<!-- diagram:x -->", ""),
        PAGE + PAGE,
        "<!-- /diagram:x -->\n<!-- diagram:x -->\n",
    ],
)
def test_a_page_without_a_place_for_a_drawing_is_refused(page: str) -> None:
    with pytest.raises(BadInput, match=r"^ARCHITECTURE\.md: the markers of diagram:x are "):
        filled(page, {"diagram:x": "new"})


def test_the_matrix_shows_what_moves_what_stays_and_what_is_refused() -> None:
    rows = {(Door.OPEN, Act.PUSH): Door.SHUT, (Door.SHUT, Act.LOCK): Door.SHUT, (Door.SHUT, Act.PUSH): Door.OPEN}
    assert matrix(Table("door", Door, Act, rows)).splitlines() == [
        "| event | OPEN | SHUT |",
        "| --- | --- | --- |",
        "| PUSH | SHUT | OPEN |",
        "| LOCK |  | = |",
    ]
