"""Hunts on a Dask cluster of this machine: what is found does not depend on where it was found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlock.domain.errors import BadInput
from interlock.explore.hunt import hunt
from interlock.explore.pool import cluster
from tests.explore.hunting import a_quarry, hunted

distributed = pytest.importorskip("distributed", reason="Dask is an extra: pip install 'interlock[dask]'")

# Its servers are closed from threads of their own, which may be later than the test.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("loopback")]


@pytest.fixture
def address(loopback: None) -> Iterator[str]:
    """Start a scheduler and two workers, processes of their own, on this machine alone."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as local:
        yield local.scheduler_address


@pytest.mark.spec("RT-5")
def test_workers_of_a_cluster_find_what_one_process_finds(address: str) -> None:
    quarry = a_quarry("day", "cancel-race", runs=200, logged=True)
    with cluster(address) as pool:
        there = hunt(quarry, pool)
    assert there.tally == hunted(quarry).tally


def test_a_hunt_that_ends_early_leaves_the_cluster_for_others(address: str) -> None:
    with cluster(address) as pool:
        first = hunt(a_quarry("day", minutes=0.001), pool)
        second = hunt(a_quarry("cancel-race", runs=50), pool)
    assert first.tally.runs >= 50
    assert second.tally == hunted(a_quarry("cancel-race", runs=50)).tally


def test_a_scheduler_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.explore.pool._CONNECT_S", 1)
    with pytest.raises(BadInput, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"), cluster("tcp://127.0.0.1:9"):
        pass
