"""Where the chunks of a hunt run: here, in processes of this machine, or on a Dask cluster.

Whichever it is, tallies come back in the order of their chunks, and only a few chunks are handed out ahead, so that a
hunt that ends early leaves little undone behind.
"""

from __future__ import annotations

import gc
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from typing import Any, Final, Protocol

from interlock.domain.errors import BadInput
from interlock.explore.chunk import Chunk, Tally, run_chunk

__all__ = ["Pool", "cluster", "here", "pool_of", "processes"]

_AHEAD: Final = 3
"""Chunks that are handed out for each worker."""

_CONNECT_S: Final = 10


class Pool(Protocol):
    """Runs chunks."""

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[Tally]:
        """Yield the tally of each chunk, in order."""
        ...


def pool_of(jobs: int, scheduler: str | None) -> AbstractContextManager[Pool]:
    """Return the pool that was asked for: a cluster where its scheduler is named, processes where there are jobs."""
    if scheduler is not None:
        return cluster(scheduler)
    return processes(jobs) if jobs > 1 else here()


@contextmanager
def here() -> Iterator[Pool]:
    """Run one chunk after the other in this process."""
    yield lambda chunks: map(run_chunk, chunks)


@contextmanager
def processes(jobs: int) -> Iterator[Pool]:
    """Run chunks in ``jobs`` processes of this machine, each started afresh."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin) as executor:
        try:
            yield lambda chunks: _in_order(lambda chunk: executor.submit(run_chunk, chunk), chunks, jobs * _AHEAD)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Leave an interrupt to the process that handed out the work, and what was loaded to nobody's collection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()


@contextmanager
def cluster(address: str) -> Iterator[Pool]:
    """Run chunks on the workers of a Dask scheduler, such as ``tcp://10.0.0.7:8786``; Interlock is installed there.

    Raises:
        BadInput: the extra is not installed, or no scheduler answers there.
    """
    try:
        # An extra: whoever hunts on one machine needs no cluster.
        from distributed import Client  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise BadInput("--scheduler", "there is no Dask here", "pip install 'interlock[dask]'") from error
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]  # it is not
    except (OSError, TimeoutError, ValueError) as error:
        raise BadInput("--scheduler", f"no scheduler answers at {address}", "such as tcp://127.0.0.1:8786") from error
    with client:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise BadInput("--scheduler", f"the scheduler at {address} has no workers", "at least one")
        # Never taken from the cluster's memory of the same call: a hunt is there to run.
        yield lambda chunks: _in_order(
            lambda chunk: client.submit(run_chunk, chunk, pure=False), chunks, workers * _AHEAD
        )


class _Ticket(Protocol):
    def result(self) -> Any:
        """Return what came of it."""

    def cancel(self) -> Any:
        """Give it up."""


def _in_order(submit: Callable[[Chunk], _Ticket], chunks: Iterable[Chunk], ahead: int) -> Iterator[Tally]:
    """Hand out chunks, some ahead, and yield their tallies in order; what is not wanted any more is given up."""
    handed_out: deque[_Ticket] = deque()
    try:
        for chunk in chunks:
            handed_out.append(submit(chunk))
            if len(handed_out) >= ahead:
                yield handed_out.popleft().result()
        while handed_out:
            yield handed_out.popleft().result()
    finally:
        for ticket in handed_out:
            ticket.cancel()
