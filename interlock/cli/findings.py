"""``interlock replay FILE``: a finding of the explorer, run again, step by step where that is wanted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from interlock.cli.terminal import complain, say
from interlock.explore.again import StepWords, run_again
from interlock.explore.finding_file import read_finding
from interlock.runtime.run_folder import VERSION

__all__ = ["replay_finding"]

_EXIT_FINDINGS: Final = 2
_STEPS_SHOWN: Final = 5_000
"""Steps shown without a terminal to turn the pages on."""


def replay_finding(path: Path, *, by_step: bool) -> int:
    """Run a finding again; 2 where it still breaks something, 0 where it does not."""
    finding = read_finding(path)
    if finding.package_version != VERSION:
        complain(f"warning: the finding is of release {finding.package_version}")
    again = run_again(finding, StepWords(_Pages()) if by_step else None)
    say(f"{again.text} ({path})")
    return _EXIT_FINDINGS if again.broken else 0


class _Pages:
    """Shows steps: the next one at Enter on a terminal, all of them up to a limit elsewhere."""

    def __init__(self) -> None:
        self._turned = sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()
        self._shown = 0

    def __call__(self, text: str) -> None:
        self._shown += 1
        if not self._turned and self._shown > _STEPS_SHOWN:
            if self._shown == _STEPS_SHOWN + 1:
                say("... more steps than are shown")
            return
        say(text)
        if self._turned and not sys.stdin.readline():
            self._turned = False  # nobody turns the pages any more: the rest is shown at once
