"""The door to OpenTelemetry: an extra, so whoever wants no traces needs none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.domain.errors import BadInput
from interlock.runtime.recorder import RunRecorder

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from interlock.observe.order_spans import OrderSpans

__all__ = ["trace_orders"]


def trace_orders(recorder: RunRecorder, provider: TracerProvider | None = None) -> OrderSpans:
    """Let the life of every order be a span, from now on; ``provider`` is the host's own, unless one is given.

    Raises:
        BadInput: the extra is not installed.
    """
    try:
        from interlock.observe.order_spans import OrderSpans  # noqa: PLC0415 - as said above
    except ModuleNotFoundError as error:
        raise BadInput("traces", "OpenTelemetry is not installed", "pip install 'interlock[otel]'") from error
    spans = OrderSpans(provider)
    recorder.on_event = spans.take
    return spans
