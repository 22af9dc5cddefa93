"""What tests of proofs share: the healthy proof in a folder of its own, stories, and runs through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interlock.prove import Outcome, prove_config
from tests.run_builders import Answer, interlock
from tools.proofs import files_of, healthy_day
from tools.stories import Story

__all__ = ["a_proof", "by_options", "edited", "proved", "ran", "report_of"]

CONFIG = """schema: ProofConfig/1
name: story
shows: what a test tells
inputs: {events: events.jsonl, journal: journal.jsonl, cache: cache.jsonl}
instruments:
  - {symbol: EURUSD, pip_size: "0.0001"}
"""


def a_proof(folder: Path, name: str = "healthy") -> Path:
    """Write one of the project's proofs into ``folder`` and return its config."""
    for file, content in files_of(name).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / f"{name}.yaml"


def edited(path: Path, line: int, change: Callable[[bytes], bytes]) -> Path:
    """Change one line of a file, counted from one; the line is given and taken with its newline."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = change(lines[line - 1])
    path.write_bytes(b"".join(lines))
    return path


def by_options(folder: Path, out: Path, name: str = "healthy") -> Answer:
    """Run a proof by naming its files one by one."""
    return interlock(
        "prove",
        *("--events", folder / name / "events.jsonl"),
        *("--journal", folder / name / "journal.jsonl"),
        *("--cache", folder / name / "cache.jsonl"),
        *("--expect", folder / f"{name}.yaml"),
        *("--out", out),
    )


def ran(folder: Path, story: Story, expect: str = "  stale: 0", more: str = "") -> Outcome:
    """Run the proof of a story."""
    folder.mkdir(exist_ok=True)
    for name, content in story.files().items():
        (folder / name).write_bytes(content)
    config = folder / "proof.yaml"
    config.write_text(f"{CONFIG}{more}expect:\n{expect}\n", encoding="utf-8")
    return prove_config(config, folder / "out")


def proved(folder: Path, tell: Callable[[Story], object], expect: str = "  stale: 0", more: str = "") -> Outcome:
    """Run the proof of the healthy day with something more told."""
    story = healthy_day()
    tell(story)
    return ran(folder, story, expect, more)


def report_of(outcome: Outcome) -> dict[str, Any]:
    """Return the report that a proof left."""
    report: dict[str, Any] = json.loads((outcome.folder / "reconcile-report.json").read_text(encoding="utf-8"))
    return report
