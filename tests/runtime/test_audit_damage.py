"""Damage to the audit log of a run, or to the metrics that anchor it: every one is found, with the line it is in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from interlock.domain.errors import BadInput
from interlock.runtime.audit import verify_audit_file
from interlock.runtime.seeds import SeededStreams
from tests.damage_builders import Damage, cut, drop_line, flip, repeat_line, swap, swap_lines
from tests.run_builders import a_config, interlock, kept

pytestmark = pytest.mark.spec("ART-3")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run."""
    folder = tmp_path_factory.mktemp("run")
    assert interlock("dryrun", a_config(folder), "--out", folder / "out").code == 0
    return kept(folder / "out")


def found_in(folder: Path) -> str:
    """Return what is said of a damaged log, or ""."""
    try:
        verdict = verify_audit_file(folder / "audit.jsonl")
    except BadInput as error:
        return str(error)
    return "" if verdict.ok else f"line {verdict.first_bad_line}: {verdict.reason}"


def copied(run: Path, folder: Path) -> Path:
    """Copy log and anchor of a run."""
    for name in ("audit.jsonl", "metrics.json"):
        shutil.copy(run / name, folder / name)
    return folder


KINDS = [(flip, 90), (cut, 50), (swap, 30), (swap_lines, 30), (drop_line, 25), (repeat_line, 25)]


@pytest.mark.parametrize(("damage", "seeds"), KINDS, ids=[damage.__name__ for damage, _ in KINDS])
def test_damage_to_the_log_is_always_found(run: Path, tmp_path: Path, damage: Damage, seeds: int) -> None:
    folder, changed = copied(run, tmp_path), 0
    log = folder / "audit.jsonl"
    whole = log.read_bytes()
    assert found_in(folder) == ""
    for seed in range(seeds):
        log.write_bytes(whole)
        damage(log, SeededStreams(seed))
        if log.read_bytes() != whole:
            changed += 1
            found = found_in(folder)
            assert found, f"seed {seed} went unnoticed"
            assert len(found.splitlines()) == 1
    assert changed > seeds / 2


def test_damage_to_the_anchor_is_found_or_is_not_in_what_anchors(run: Path, tmp_path: Path) -> None:
    folder, found = copied(run, tmp_path), 0
    metrics = folder / "metrics.json"
    whole = metrics.read_bytes()
    figures = json.loads(whole)
    anchor = b'"audit_events":%d,"audit_head":"%b"' % (figures["audit_events"], figures["audit_head"].encode())
    assert anchor in whole
    for seed in range(120):
        metrics.write_bytes(whole)
        (cut if seed % 3 == 0 else flip)(metrics, SeededStreams(seed))
        if found_in(folder):
            found += 1
        elif metrics.read_bytes():  # without an anchor a log's end is taken on trust, and that is said
            assert anchor in metrics.read_bytes(), f"seed {seed} went unnoticed"
    assert found > 45
