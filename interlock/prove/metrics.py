"""The metrics of a proof in the text format of Prometheus, from a registry of their own (OBS-3).

Names are those that a session has. Counters say what the one reconcile of the proof counted; the last run's stale and
orphan orders are gauges beside them. A proof has no clock, and its reconcile takes no time on it: the duration is 0,
and the same inputs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from interlock.observe.engine import ENGINE, engine_family
from interlock.prove.figures import Figures

__all__ = ["metrics_text"]


class _Proof(Collector):
    """The figures of one proof, as families made by hand: the library's own counters carry the time they were made."""

    def __init__(self, values: Mapping[str, float | Mapping[tuple[str, ...], float]]) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        """Return the families, in the order of the contract."""
        return (engine_family(name, self._values[name]) for name in ENGINE)


def metrics_text(
    figures: Figures, cache_entries: int, hits: Mapping[tuple[str, ...], float], slippage_pips: float
) -> bytes:
    """Return the exposition; ``hits`` counts fills by symbol and session."""
    registry = CollectorRegistry()
    registry.register(
        _Proof(
            {
                "engine_reconcile_runs_total": 1,
                "engine_reconcile_last_duration_seconds": 0,
                "engine_reconcile_stale_orders_total": figures.stale,
                "engine_reconcile_orphan_orders_total": figures.orphan,
                "engine_reconcile_last_stale_orders": figures.stale,
                "engine_reconcile_last_orphan_orders": figures.orphan,
                "engine_reconcile_position_drift_pips": float(figures.drift),
                "engine_idempotency_cache_entries_total": cache_entries,
                "engine_slippage_preset_hits_total": hits,
                "engine_slippage_pips": slippage_pips,
            }
        )
    )
    return generate_latest(registry)
