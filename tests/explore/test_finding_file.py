"""A finding's file: the same finding is the same bytes, and what cannot be one is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interlock.domain.errors import BadInput, UnknownSchema
from interlock.explore import run_once
from interlock.explore.finding_file import finding_bytes, finding_run, read_finding
from tests.finding_builders import PLANTED, a_finding


@pytest.fixture(scope="module")
def written() -> bytes:
    """Return the bytes of one finding."""
    return finding_bytes(a_finding())


def changed(written: bytes, folder: Path, **fields: Any) -> Path:
    """Write the file with some keys replaced, or left out where they are None."""
    tree = {**json.loads(written), **fields}
    path = folder / "finding.json"
    path.write_text(json.dumps({key: value for key, value in tree.items() if value is not None}), encoding="utf-8")
    return path


def test_the_same_finding_is_the_same_bytes(written: bytes, tmp_path: Path) -> None:
    assert finding_bytes(a_finding()) == written
    path = tmp_path / "finding.json"
    path.write_bytes(written)
    assert finding_bytes(read_finding(path)) == written


def test_what_is_read_breaks_the_same_at_the_same_step(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "finding.json"
    path.write_bytes(written)
    plan, schedule = finding_run(path)
    with PLANTED.plant():
        assert run_once(plan, schedule).failure == read_finding(path).failure


def test_choices_of_the_ordinary_course_and_settings_of_the_release_are_left_out(written: bytes) -> None:
    tree = json.loads(written)
    assert all(value for pairs in tree["tape"].values() for _, value in pairs)
    assert "alerts" not in tree["config"]
    assert tree["size"]["rules"] == len(tree["config"]["broker"]["faults"]["rules"])


def test_a_file_that_was_edited_by_hand_is_read(written: bytes, tmp_path: Path) -> None:
    path = changed(written, tmp_path, tape={"crash": [[3, 1], [7, 1]]})
    assert read_finding(path).tape == {"crash": [0, 0, 0, 1, 0, 0, 0, 1]}


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"order": "lifo"}, "$.order"),
        ({"tape": None}, "missing required field `tape`"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"tape": {"crash": [[3, 0]]}}, "$.tape[...][0][1]"),
        ({"tape": {"crash": [[-1, 1]]}}, "$.tape[...][0][0]"),
        ({"tape": {"crash": [[3, 1], [3, 1]]}}, "tape.crash: place 3 does not come after the one before it"),
        ({"tape": {"crash": [[999_999_999, 1]]}}, "$.tape[...][0][0]"),
        ({"plan": {"must_settle": True, "speed": 1}}, "plan.speed: is not a known key"),
        ({"plan": {"must_settle": 1}}, "plan.must_settle: Expected `bool`"),
        ({"plan": {"must_settle": True, "crash_permille": 1001}}, "plan.crash_permille: is 1001 (allowed: 0 to 1000)"),
        ({"plan": {}}, "plan.must_settle: is missing"),
        ({"config": {}}, "config: session: Field required"),
        ({"config": {"sesion": {}}}, "config: "),
        ({"failure": {"invariant": "I1"}}, "$.failure"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(
    written: bytes, tmp_path: Path, fields: dict[str, Any], told: str
) -> None:
    path = changed(written, tmp_path, **fields)
    with pytest.raises(BadInput) as caught:
        read_finding(path)
    assert str(caught.value).startswith(str(path))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.spec("NFR-1", "RT-11")
def test_another_version_is_refused_by_its_name(written: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnknownSchema, match="INTERLOCK_FINDING_V2"):
        read_finding(changed(written, tmp_path, schema="INTERLOCK_FINDING_V2"))


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1}'])
def test_what_is_no_finding_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "finding.json"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        read_finding(path)


@pytest.mark.spec("NFR-1")
def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a directory"):
        read_finding(tmp_path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_finding(tmp_path / "none.json")
