"""Which stories are told: every point at its first, second and a later passing, every failing disk call, then chance.

A story is known by the seed of the run and its number, and is the same whenever it is told. Points of recovery need a
child that left something open before them, a purge one that ended something long ago, a migration a store that is new.
"""

from __future__ import annotations

from typing import Final

from interlock.runtime.crash_points import CrashPoint
from interlock.runtime.seeds import SeededStreams
from tools.crash.disk import DiskCall, DiskFault
from tools.crash.life import Target
from tools.crash.plan import CALM, ROUGH, Plan
from tools.crash.story import Story, Tally

__all__ = ["DISK_CALLS", "POINTS", "never_hit", "random_story", "story_of", "systematic"]

_P: Final = CrashPoint

POINTS: Final = tuple(_P)

DISK_CALLS: Final = {DiskCall.WRITE: 150, DiskCall.SYNC: 40, DiskCall.ANCHOR: 25}
"""How many calls of its kind a child of a disk story makes, and some more: each of them fails once."""

_RECOVERY: Final = (_P.REC_START, _P.REC_MARKED, _P.REC_AFTER_QUERY, _P.REC_IN_TXN, _P.REC_AFTER_COMMIT)
_WORK: Final = (
    *(_P.BEFORE_CLAIM, _P.IN_CLAIM_TXN, _P.AFTER_CLAIM_COMMIT, _P.AFTER_SEND, _P.AFTER_REPLY, _P.IN_ACK_TXN),
    *(_P.AFTER_ACK_COMMIT, _P.FILL_RECEIVED, _P.IN_FILL_TXN, _P.AFTER_FILL_COMMIT, _P.IN_CLOSE_TXN),
    *(_P.AFTER_CLOSE_COMMIT, _P.BEFORE_CHECKPOINT, _P.AFTER_CHECKPOINT, _P.ANCHOR_WRITE),
)
_NTH_MAX: Final = {
    **dict.fromkeys(_P, 6),
    **dict.fromkeys((_P.REC_START, _P.REC_MARKED, _P.IN_PURGE, _P.KILL_SWITCH_SET, _P.DURING_EXPORT), 1),
    **dict.fromkeys((_P.REC_AFTER_QUERY, _P.REC_IN_TXN, _P.REC_AFTER_COMMIT, _P.IN_MIGRATION), 3),
    **dict.fromkeys((_P.BEFORE_CHECKPOINT, _P.AFTER_CHECKPOINT), 2),
    _P.ANCHOR_WRITE: 30,
}
"""Up to which passing a child is killed at a point: what a life of ten orders comes by."""

_PASSINGS: Final = 3
_AT_ONCE: Final = 5
_DISK_ORDERS: Final = 2
_STORIES_OF_SEED: Final = 100_000
_TRIPPED: Final = Plan(place=ROUGH.place, cancel=ROUGH.cancel, read=ROUGH.read, partial=ROUGH.partial, conflict_at=2)

_About = tuple[str, int]


def systematic(*, short: bool = False) -> list[_About]:
    """Return what the first stories are about, in order: a point and which passing, a disk call and from which on."""
    passings = 1 if short else _PASSINGS
    about: list[_About] = [
        (point.value, nth) for nth in range(1, passings + 1) for point in POINTS if nth == 1 or _NTH_MAX[point] > 1
    ]
    stride = 8 * _AT_ONCE if short else _AT_ONCE
    return about + [(call.value, nth) for call, most in DISK_CALLS.items() for nth in range(1, most, stride)]


def story_of(seed: int, number: int, *, short: bool = False) -> Story:
    """Return the story with a number, in a run with a seed."""
    own = seed * _STORIES_OF_SEED + number
    about = systematic(short=short)
    if number >= len(about):
        return random_story(own)
    name, nth = about[number]
    if name in tuple(DiskCall):
        ends = tuple(DiskFault(DiskCall(name), nth + more, lasting=bool(more % 2)) for more in range(_AT_ONCE))
        return Story(own, ends, CALM, grouped=bool(number % 2), orders=_DISK_ORDERS, pages=20, gap_s=30)
    return _about_point(own, CrashPoint(name), nth)


def _about_point(seed: int, point: CrashPoint, nth: int) -> Story:
    draws = SeededStreams(seed)
    # The third passing stands for some later one.
    if nth == _PASSINGS and _NTH_MAX[point] > _PASSINGS:
        nth += draws.below(_NTH_MAX[point] - _PASSINGS + 1, "later")
    target, first, again = Target(point, nth), _drawn(draws, _WORK), _drawn(draws, _RECOVERY)
    grouped = bool(draws.below(2, "grouped"))
    if point in _RECOVERY:
        return Story(seed, (Target(_P.AFTER_REPLY, 5), target, again, target), grouped=grouped)
    if point is _P.IN_PURGE:
        return Story(seed, (Target(_P.AFTER_CLOSE_COMMIT, 2), target, target, first), gap_s=150, ttl_s=60)
    if point is _P.KILL_SWITCH_SET:
        return Story(seed, (target, again, first), _TRIPPED, grouped=grouped)
    if point is _P.DURING_EXPORT:
        return Story(seed, (first, target, again, target), grouped=grouped)
    return Story(seed, (target, again, first, again), grouped=grouped, pages=10 + draws.below(60, "pages"))


def random_story(seed: int) -> Story:
    """Return a story of chance."""
    draws = SeededStreams(seed)
    children = 2 + draws.below(4, "children")
    ends = tuple(_any_end(draws, number) for number in range(children))
    tripped = draws.below(8, "tripped") == 0
    return Story(
        seed,
        (Target(_P.KILL_SWITCH_SET), *ends) if tripped and draws.below(2, "switched") else ends,
        _TRIPPED if tripped else ROUGH,
        grouped=bool(draws.below(2, "grouped")),
        ttl_s=60 + draws.below(600, "ttl"),
        pages=10 + draws.below(90, "pages"),
        orders=4 + draws.below(12, "orders"),
        resting=draws.below(8, "resting") == 0,
    )


def _any_end(draws: SeededStreams, number: int) -> Target | DiskFault | None:
    kind = draws.below(20, "kind")
    if kind == 0:
        return None
    if kind == 1:
        calls = tuple(DISK_CALLS)
        return DiskFault(calls[draws.below(len(calls), "call")], 1 + draws.below(120, "nth"))
    if number and kind < 9:  # noqa: PLR2004 - in nearly every other child
        return _drawn(draws, (*_RECOVERY, _P.IN_PURGE))
    return _drawn(draws, _WORK)


def _drawn(draws: SeededStreams, points: tuple[CrashPoint, ...]) -> Target:
    point = points[draws.below(len(points), "point")]
    return Target(point, 1 + draws.below(_NTH_MAX[point], "nth"))


def never_hit(total: Tally) -> list[str]:
    """Return the places where nobody died and the disk calls that never failed: each is a hole in the proof."""
    points = [point.value for point in POINTS if not total.kills[point.value]]
    return points + [call.value for call in DISK_CALLS if not total.failures[call.value]]
