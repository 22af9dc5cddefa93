"""The metrics of one session, from a registry of its own (OBS-2, OBS-3, OBS-4).

One source: the counters and figures that ``metrics.json`` holds, which actors add to as they write events and audit.
They are turned into families when somebody asks, so the hot path pays nothing, and a run folder gives what its session
gave. How long commits and messages took is measured in a host's loop; on virtual time both are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from interlock.domain.instants import NS_PER_S
from interlock.observe.engine import engine_family
from interlock.observe.families import COUNTERS, PLAIN, Counted
from interlock.observe.figures import Figures, ReconcileFigures
from interlock.observe.labels import Labels

__all__ = ["exposition", "samples_of"]

_GENERATE: Final[dict[bool, Callable[[CollectorRegistry], bytes]]] = {
    False: generate_latest,
    True: generate_openmetrics,
}
_TOTAL: Final = "_total"
_SWITCH: Final = "session_kill_switch"


def exposition(figures: Figures, labels: Labels, *, openmetrics: bool = False) -> bytes:
    """Return the metrics as text: Prometheus 0.0.4, or OpenMetrics 1.0."""
    registry = _registry_of(figures, labels)
    return _GENERATE[openmetrics](registry)


def samples_of(figures: Figures, labels: Labels) -> dict[str, float]:
    """Return every sample by its name with its labels, as the text format writes them: ``name{label="value"}``."""
    found: dict[str, float] = {}
    for family in _registry_of(figures, labels).collect():
        for sample in family.samples:
            named = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{named}}}" if named else sample.name] = sample.value
    return found


def _registry_of(figures: Figures, labels: Labels) -> CollectorRegistry:
    """Return a registry that holds one session and nothing else."""
    registry = CollectorRegistry()
    registry.register(_Session(figures, labels))
    return registry


class _Session(Collector):
    """Families made by hand: the library's own counters carry the time of day at which they were made."""

    def __init__(self, figures: Figures, labels: Labels) -> None:
        self._figures = figures
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """Return the families: counters, then gauges, then what is measured."""
        figures = self._figures
        by_name: dict[str, list[tuple[list[str], int]]] = {}
        for key, count in figures.counters.items():
            name, *values = key.split("|")
            by_name.setdefault(name, []).append((values, count))
        for name, counted in COUNTERS.items():
            yield self._counter(name, counted, by_name.get(name, []))
        yield self._trips()
        for name, (figure, text) in PLAIN.items():
            yield _counter(name, text, figure(figures))
        yield from self._gauges()
        yield from self._mailboxes()
        yield from self._commits()

    def _counter(self, name: str, counted: Counted, found: list[tuple[list[str], int]]) -> Metric:
        if not counted.labels:
            return _counter(name, counted.text, sum(count for _, count in found))
        shown: dict[tuple[str, ...], int] = {}
        for values, count in found:
            at = self._labels.of(counted.lists, values)
            shown[at] = shown.get(at, 0) + count
        family = CounterMetricFamily(name.removesuffix(_TOTAL), counted.text, labels=counted.labels)
        for at, count in sorted(shown.items()):
            family.add_metric(at, count)
        return family

    def _trips(self) -> Metric:
        found: dict[tuple[str, ...], int] = {}
        for code in self._figures.trips:
            at = self._labels.of(("trip",), (code,))
            found[at] = found.get(at, 0) + 1
        family = CounterMetricFamily("safety_rail_trips_by_code", "Trips, by what tripped.", labels=("code",))
        for at, count in sorted(found.items()):
            family.add_metric(at, count)
        return family

    def _gauges(self) -> Iterator[Metric]:
        figures = self._figures
        last = figures.reconcile or ReconcileFigures()
        yield GaugeMetricFamily(_SWITCH, "1 while the kill switch is set.", figures.kill_switch)
        yield engine_family("engine_reconcile_last_duration_seconds", last.duration_ns / NS_PER_S)
        yield engine_family("engine_reconcile_last_stale_orders", last.stale)
        yield engine_family("engine_reconcile_last_orphan_orders", last.orphan)
        yield engine_family("engine_reconcile_position_drift_pips", float(last.drift))
        yield engine_family("engine_idempotency_cache_entries_total", figures.store.keys)
        yield engine_family("engine_slippage_pips", float(self._slippage()))

    def _slippage(self) -> Decimal:
        return max((pips.max for pips in self._figures.engine_slippage_pips.values()), default=Decimal(0))

    def _mailboxes(self) -> Iterator[Metric]:
        names = ("actor", "lane")
        depth = GaugeMetricFamily("mailbox_depth", "Messages that wait now.", labels=names)
        peak = GaugeMetricFamily("mailbox_peak", "Most that ever waited.", labels=names)
        full = CounterMetricFamily("mailbox_full", "How often a sender found no room.", labels=names)
        longest = GaugeMetricFamily("mailbox_wait_max_seconds", "Longest wait of a message.", labels=names)
        waits = SummaryMetricFamily("mailbox_wait_seconds", "How long messages waited.", labels=names)
        for actor, lanes in sorted(self._figures.mailboxes.items()):
            for lane, stats in sorted(lanes.items()):
                at = self._labels.of(names, (actor, lane))
                depth.add_metric(at, stats.depth)
                peak.add_metric(at, stats.peak)
                full.add_metric(at, stats.waits)
                longest.add_metric(at, stats.wait_ns_max / NS_PER_S)
                waits.add_metric(at, stats.accepted - stats.depth, stats.wait_ns_sum / NS_PER_S)
        yield from (depth, peak, full, longest, waits)

    def _commits(self) -> Iterator[Metric]:
        done = self._figures.commits
        family = SummaryMetricFamily("store_commit_seconds", "Commits of the store, with the audit lines they release.")
        family.add_metric((), done.count, done.ns_sum / NS_PER_S)
        yield family
        yield GaugeMetricFamily("store_commit_max_seconds", "Longest commit.", done.ns_max / NS_PER_S)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name.removesuffix(_TOTAL), text, value)
