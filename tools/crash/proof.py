"""The proof that the harness can fail: for each planted fault the stories that catch it, and the invariant that does.

The stories are few and about exactly the place where the fault does harm. Without the plant the very same stories
pass, so that it is the fault that is caught and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from interlock.runtime.crash_points import CrashPoint
from tools.crash.life import Target
from tools.crash.plan import CALM, Fate, Plan
from tools.crash.story import Story, run_story

__all__ = ["CASES", "Case", "Proof", "prove"]

_LATE: Final = Plan(first_places=(Fate.LATE,) * 6)
_MUTE: Final = Plan(first_places=(Fate.LOST_AFTER,) * 6)
_TWICE: Final = Plan(first_told=(Fate.TWICE,) * 12, partial=1000)


class Case(msgspec.Struct, frozen=True):
    """Stories that a plant cannot pass, and the invariants that may catch it: one of them must."""

    stories: tuple[Story, ...]
    caught_by: tuple[str, ...]


def _dying_at(
    point: CrashPoint, nths: tuple[int, ...], plan: Plan = CALM, *, seed: int = 7, grouped: bool = False
) -> tuple[Story, ...]:
    ends = tuple(Target(point, nth) for nth in nths)
    return (Story(seed, ends, plan, grouped=grouped),)


CASES: Final[dict[str, Case]] = {
    "send_before_claim": Case(_dying_at(CrashPoint.AFTER_SEND, (1, 2), grouped=True), ("I8",)),
    "blind_resend": Case(_dying_at(CrashPoint.AFTER_CLOSE_COMMIT, (3,), _MUTE), ("I1",)),
    "resend_on_not_found": Case(_dying_at(CrashPoint.AFTER_CLOSE_COMMIT, (3,), _LATE), ("I1",)),
    "void_without_settling": Case(_dying_at(CrashPoint.AFTER_CLOSE_COMMIT, (1, 2), _LATE, seed=1), ("I3",)),
    "audit_in_second_transaction": Case(_dying_at(CrashPoint.AFTER_ACK_COMMIT, (2,)), ("I5",)),
    "purge_by_ttl_alone": Case(
        (
            Story(
                7,
                (Target(CrashPoint.AFTER_CLAIM_COMMIT, 8), Target(CrashPoint.BEFORE_CLAIM, 1)),
                CALM,
                ttl_s=60,
                gap_s=200,
                resting=True,
            ),
        ),
        ("I8",),
    ),
    "cursor_before_fill": Case(_dying_at(CrashPoint.IN_FILL_TXN, (1, 2)), ("I11",)),
    "no_fill_dedup": Case(_dying_at(CrashPoint.AFTER_FILL_COMMIT, (2, 4), _TWICE), ("I6",)),
}


class Proof(msgspec.Struct, frozen=True):
    """What came of one case: who complained with the plant, what was complained of without it, and the kills."""

    plant: str
    caught_by: tuple[str, ...]
    complaint: str
    without: tuple[str, ...]
    kills: int

    @property
    def holds(self) -> bool:
        """Return whether the plant was caught by the invariant that must catch it, and nothing without it."""
        wanted = CASES[self.plant].caught_by
        return not self.without and any(name in wanted for name in self.caught_by)


def prove(plant: str, folder: Path) -> Proof:
    """Run the stories of a case with the plant and without it."""
    complaints: list[str] = []
    without: list[str] = []
    kills = 0
    for number, story in enumerate(CASES[plant].stories):
        for planted, complained in ((plant, complaints), ("", without)):
            place = folder / f"{plant}-{number}-{planted or 'sound'}"
            place.mkdir()
            tally = run_story(msgspec.structs.replace(story, plant=planted), place)
            complained.extend(tally.complaints)
            kills += tally.kills.total() if planted else 0
    names = tuple(dict.fromkeys(said.partition(":")[0] for said in complaints))
    first = next((said for said in complaints if said.partition(":")[0] in CASES[plant].caught_by), "")
    return Proof(plant, names, first or next(iter(complaints), ""), tuple(without), kills)
