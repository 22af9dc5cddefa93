"""A hunt: seeds of some cases, chunk by chunk, until enough were run, time is up, or something is broken.

Cases take turns, so that a hunt that is cut short has looked at all of them. What is known is added up after each
chunk, in the order of the seeds: an interrupt loses nothing but the chunks that were on their way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

import msgspec

from interlock.config.model import SessionConfig
from interlock.domain.instants import NS_PER_S
from interlock.explore.chunk import Chunk, Tally
from interlock.explore.coverage import Coverage
from interlock.explore.pool import Pool
from interlock.runtime.clock import Clock, RealClock

__all__ = ["Hunted", "Quarry", "hunt"]

_CHUNK: Final = 50
_RUNS_MAX: Final = 1_000_000_000


class Quarry(msgspec.Struct, frozen=True):
    """What to look for, in what, and for how long: ``runs`` in all, or as many as ``minutes`` allow."""

    cases: Mapping[str, SessionConfig]
    runs: int = _RUNS_MAX
    minutes: float | None = None
    seed: int = 0
    strategy: Literal["random", "pct"] = "random"
    depth: int = 3
    faults: bool = True
    crashes: bool = True
    logged: bool = False
    failures_max: int = 1
    """After how many failures it is enough; what was found beyond them in the same chunk is left out."""

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks: of each case the same seeds, case by case."""
        trees = [(name, config.model_dump_json()) for name, config in self.cases.items()]
        left, first = self.runs, self.seed
        while left > 0:
            for case, tree in trees:
                count = min(_CHUNK, left)
                if count:
                    yield Chunk(
                        case, tree, first, count, self.strategy, self.depth, self.faults, self.crashes, self.logged
                    )
                left -= count
            first += _CHUNK


class Hunted(msgspec.Struct, frozen=True):
    """What a hunt has shown; ``real_ns`` is how long it took, by the clock on the wall."""

    tally: Tally
    real_ns: int
    interrupted: bool = False

    @property
    def coverage(self) -> Coverage:
        """Return what was hit."""
        return Coverage(self.tally.hits)

    @property
    def figures(self) -> dict[str, float]:
        """Return runs and steps per second, and how much faster than real time sessions went."""
        real_s = max(self.real_ns, 1) / NS_PER_S
        tally = self.tally
        return {
            "runs_per_s": tally.runs / real_s,
            "steps_per_s": tally.steps / real_s,
            "simulated_per_real": tally.simulated_ns / NS_PER_S / real_s,
        }


def hunt(
    quarry: Quarry, pool: Pool, progress: Callable[[Hunted], None] | None = None, clock: Clock | None = None
) -> Hunted:
    """Hunt; ``progress`` is told after every chunk. Ends cleanly when interrupted, with what is known so far."""
    clock = clock or RealClock()
    began_ns, tally = clock.now_ns(), Tally()
    until_ns = None if quarry.minutes is None else began_ns + int(quarry.minutes * 60 * NS_PER_S)
    interrupted = False
    tallies = pool(quarry.chunks())
    try:
        for some in tallies:
            tally = tally.plus(some)
            if progress is not None:
                progress(Hunted(tally, clock.now_ns() - began_ns))
            if len(tally.found) >= quarry.failures_max or (until_ns is not None and clock.now_ns() >= until_ns):
                break
    except KeyboardInterrupt:
        interrupted = True
    tally = msgspec.structs.replace(tally, found=tally.found[: quarry.failures_max])
    return Hunted(tally, clock.now_ns() - began_ns, interrupted)
