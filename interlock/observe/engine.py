"""The metrics of reconciles, cache and slippage: one table of names for sessions and for proofs (OBS-3).

Whoever shows one of them makes it with ``engine_family``, so that a name has one kind, one text and one set of labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["ENGINE", "EngineMetric", "engine_family"]

_TOTAL: Final = "_total"
_PLACES: Final = ("symbol", "session")


class EngineMetric(msgspec.Struct, frozen=True):
    """One metric: what it says, its labels, and whether it goes up and down."""

    text: str
    labels: tuple[str, ...] = ()
    gauge: bool = False


ENGINE: Final[dict[str, EngineMetric]] = {
    "engine_reconcile_runs_total": EngineMetric("Reconciles."),
    "engine_reconcile_last_duration_seconds": EngineMetric("Duration of the last, on its own clock.", gauge=True),
    "engine_reconcile_stale_orders_total": EngineMetric("Orders open here and not there."),
    "engine_reconcile_orphan_orders_total": EngineMetric("Orders there, unknown here."),
    "engine_reconcile_last_stale_orders": EngineMetric("The same, of the last reconcile.", gauge=True),
    "engine_reconcile_last_orphan_orders": EngineMetric("The same, of the last reconcile.", gauge=True),
    "engine_reconcile_position_drift_pips": EngineMetric(
        "Largest drift of a position: pips of average price, units where quantities differ.", gauge=True
    ),
    "engine_idempotency_cache_entries_total": EngineMetric("Entries of the idempotency cache.", gauge=True),
    "engine_slippage_preset_hits_total": EngineMetric("Orders, in a proof fills, that a preset judged.", _PLACES),
    "engine_slippage_pips": EngineMetric("Largest slippage of a fill.", gauge=True),
}
"""In the order of the contract. The cache's entries are a gauge in spite of their name."""


def engine_family(name: str, value: float | Mapping[tuple[str, ...], float]) -> Metric:
    """Return one metric of the table with its value, or with its values by those of its labels."""
    known = ENGINE[name]
    family: CounterMetricFamily | GaugeMetricFamily
    if known.gauge:
        family = GaugeMetricFamily(name, known.text, labels=known.labels)
    else:
        family = CounterMetricFamily(name.removesuffix(_TOTAL), known.text, labels=known.labels)
    for labels, said in sorted(value.items()) if isinstance(value, Mapping) else [((), value)]:
        family.add_metric(labels, said)
    return family
