"""One chunk of a hunt: some seeds of one case, run one after the other. Plain data in, plain data out.

What comes out depends on what went in and on nothing else, so that it does not matter in which process, on which
machine and beside what a chunk runs; tallies are added up in the order of their seeds.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal

import msgspec

from interlock.config.model import SessionConfig
from interlock.explore.coverage import Coverage
from interlock.explore.failure import Failure
from interlock.explore.pct import PctSchedule
from interlock.explore.plan import RunPlan, Swarm
from interlock.explore.run import RunOutcome, run_once
from interlock.runtime.schedule import Schedule, SeededSchedule, Tape

__all__ = ["Chunk", "Found", "Tally", "plan_of", "run_chunk", "schedule_of"]


class Chunk(msgspec.Struct, frozen=True):
    """What to run: ``count`` seeds from ``first`` on of a case, whose settings are JSON."""

    case: str
    config: str
    first: int
    count: int
    strategy: Literal["random", "pct"] = "random"
    depth: int = 3
    faults: bool = True
    crashes: bool = True
    logged: bool = False
    """Whether the digest covers everything that was said in each run, and not only how it ended."""


class Found(msgspec.Struct, frozen=True):
    """A run that broke something: all it takes to run it again."""

    case: str
    seed: int
    plan: RunPlan
    tape: Tape
    failure: Failure


class Tally(msgspec.Struct, frozen=True):
    """What some runs have shown, added up. ``digest`` is over every run, in the order of the seeds."""

    runs: int = 0
    steps: int = 0
    simulated_ns: int = 0
    crashes: int = 0
    outcomes: dict[str, int] = {}
    hits: dict[str, int] = {}
    found: tuple[Found, ...] = ()
    digest: str = ""

    def plus(self, other: Tally) -> Tally:
        """Return both, this one's runs first."""
        both = hashlib.sha256(f"{self.digest}{other.digest}".encode()).hexdigest()
        return Tally(
            self.runs + other.runs,
            self.steps + other.steps,
            self.simulated_ns + other.simulated_ns,
            self.crashes + other.crashes,
            _added(self.outcomes, other.outcomes),
            _added(self.hits, other.hits),
            (*self.found, *other.found),
            both if self.digest else other.digest,
        )


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    names = sorted({**one, **other})
    return {name: one.get(name, 0) + other.get(name, 0) for name in names}


@lru_cache(maxsize=32)
def _swarm(config: str, *, faults: bool, crashes: bool) -> Swarm:
    return Swarm(SessionConfig.model_validate_json(config), faults=faults, crashes=crashes)


def _swarm_of(chunk: Chunk) -> Swarm:
    return _swarm(chunk.config, faults=chunk.faults, crashes=chunk.crashes)


def plan_of(chunk: Chunk, seed: int) -> RunPlan:
    """Return the plan of one of its seeds."""
    return _swarm_of(chunk).plan(seed)


def schedule_of(chunk: Chunk, seed: int) -> Schedule:
    """Return the schedule of one of its seeds."""
    return PctSchedule(seed, chunk.depth) if chunk.strategy == "pct" else SeededSchedule(seed, "random")


def run_chunk(chunk: Chunk) -> Tally:
    """Run every seed of a chunk."""
    steps = simulated_ns = crashes = 0
    outcomes: dict[str, int] = {}
    swarm, coverage, found, digest = _swarm_of(chunk), Coverage(), [], hashlib.sha256()
    with _no_collections():
        for seed in range(chunk.first, chunk.first + chunk.count):
            log = hashlib.sha256() if chunk.logged else None
            plan, parts = swarm.prepared(seed)
            outcome = run_once(plan, schedule_of(chunk, seed), log, parts=parts)
            steps += outcome.steps
            simulated_ns += outcome.simulated_ns
            crashes += outcome.crashes
            outcomes[outcome.outcome] = outcomes.get(outcome.outcome, 0) + 1
            coverage.add(outcome.counters)
            if outcome.failure is not None:
                found.append(Found(chunk.case, seed, plan, outcome.tape, outcome.failure))
            digest.update(_line(chunk, seed, outcome))
            if log is not None:
                digest.update(log.digest())
            gc.collect(0)  # all that is new; what was there before the chunk is not looked through
    ends = dict(sorted(outcomes.items()))
    hits = dict(sorted(coverage.hits.items()))
    return Tally(chunk.count, steps, simulated_ns, crashes, ends, hits, tuple(found), digest.hexdigest())


def _line(chunk: Chunk, seed: int, outcome: RunOutcome) -> bytes:
    ended = (outcome.outcome, outcome.steps, outcome.simulated_ns, outcome.crashes)
    return f"{chunk.case} {seed} {ended}\n".encode()


@contextmanager
def _no_collections() -> Iterator[None]:
    """Let garbage wait for the end of a run: a session is one large cycle that dies at once."""
    used = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if used:
            gc.enable()
