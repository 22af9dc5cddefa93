"""``interlock audit verify`` on the log of a real run: whatever was done to it, the first bad line is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run_builders import CONFIGS, interlock, kept

pytestmark = pytest.mark.spec("ART-3", "DIF-10")

Lines = list[bytes]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the audit log of a run."""
    out = tmp_path_factory.mktemp("audited")
    interlock("dryrun", CONFIGS / "trip.yaml", "--out", out)
    return kept(out) / "audit.jsonl"


def flipped(line: int, at: int) -> Callable[[Lines], Lines]:
    """Flip one bit of one byte."""

    def change(lines: Lines) -> Lines:
        raw = bytearray(lines[line])
        raw[at] ^= 1
        return [*lines[:line], bytes(raw), *lines[line + 1 :]]

    return change


def cut(line: int) -> Callable[[Lines], Lines]:
    """Cut one line out."""
    return lambda lines: lines[:line] + lines[line + 1 :]


def swapped(line: int) -> Callable[[Lines], Lines]:
    """Swap a line with the next one."""
    return lambda lines: [*lines[:line], lines[line + 1], lines[line], *lines[line + 2 :]]


def test_the_log_of_a_run_is_good(log: Path) -> None:
    answer = interlock("audit", "verify", log)
    count = len(log.read_bytes().splitlines())
    assert count > 10
    assert (answer.code, answer.out, answer.err) == (0, f"{log}: {count} records, none bad\n", "")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (flipped(0, 10), 1),
        (flipped(4, 30), 5),
        (flipped(4, 120), 5),
        (flipped(-1, -3), -1),
        (cut(0), 1),
        (cut(5), 6),
        (cut(-1), -1),
        (swapped(0), 1),
        (swapped(6), 7),
        (lambda lines: [*lines[:3], lines[3], *lines[3:]], 5),
        (lambda lines: [*lines[:-1], lines[-1][:-1]], -1),
        (lambda lines: [*lines[:3], b"\n", *lines[3:]], 4),
        (lambda _: [], 1),
    ],
)
def test_the_first_bad_line_is_named(log: Path, tmp_path: Path, change: Callable[[Lines], Lines], line: int) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    touched = tmp_path / "audit.jsonl"
    touched.write_bytes(b"".join(change(lines)))
    (tmp_path / "metrics.json").write_bytes(log.with_name("metrics.json").read_bytes())
    answer = interlock("audit", "verify", touched)
    assert (answer.code, answer.err) == (2, "")
    assert answer.out.startswith(f"{touched}: line {len(lines) if line < 0 else line}: ")


def test_without_metrics_the_end_is_taken_on_trust_and_that_is_said(log: Path, tmp_path: Path) -> None:
    alone = tmp_path / "audit.jsonl"
    alone.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    answer = interlock("audit", "verify", alone)
    assert (answer.code, "no metrics.json beside it" in answer.out) == (0, True)


@pytest.mark.spec("NFR-1")
def test_a_log_that_cannot_be_read_is_one_line(log: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        answer = interlock("audit", "verify", path)
        assert (answer.code, answer.out) == (1, "")
        assert answer.complaint.startswith(str(path))
    (tmp_path / "audit.jsonl").write_bytes(log.read_bytes())
    (tmp_path / "metrics.json").write_text("{}")
    assert "holds no anchor" in interlock("audit", "verify", tmp_path / "audit.jsonl").complaint
