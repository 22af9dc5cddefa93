"""How a session is seen from outside, read-only: health, readiness, status and metrics (OBS-1 to OBS-5)."""

from interlock.observe.source import Source, source_of
from interlock.observe.tracing import trace_orders
from interlock.observe.views import Health, Readiness, Status

__all__ = ["Health", "Readiness", "Source", "Status", "source_of", "trace_orders"]
