"""The life of an order as one OpenTelemetry span, made from the events that the audit is made beside.

A span begins when the intent came in and ends with its order; what happened in between are its events: claim, send,
ack, fill, cancel. It carries the client order id, so that a host can find it from its own traces. What is said of an
order after its end is a short span of its own, linked to the first. Only the API package is used: where the host has
set up no SDK, nothing is recorded and next to nothing is paid.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode, TracerProvider, get_tracer
from opentelemetry.util.types import Attributes

from interlock.domain.order_states import TERMINAL_ORDER_STATES, OrderEvent, OrderState
from interlock.domain.session_states import TERMINAL_STATES
from interlock.runtime.run_folder import VERSION

__all__ = ["OrderSpans"]

_NAME: Final = "interlock.order"
_LATE: Final = "interlock.order.late"
_KEY: Final = "interlock.client_order_id"
_ENDED_MAX: Final = 10_000
"""Ended orders whose spans can still be linked to."""

_SAID: Final[dict[str, tuple[str, ...]]] = {
    OrderEvent.SEND: ("claim", "send"),  # one transaction: what is claimed is handed to the link as it is durable
    OrderEvent.ACCEPT: ("ack",),
    OrderEvent.REJECT: ("reject",),
    OrderEvent.PARTIAL_FILL: ("fill",),
    OrderEvent.FULL_FILL: ("fill",),
    OrderEvent.CANCEL_REQUEST: ("cancel",),
    OrderEvent.CANCEL_ACK: ("cancelled",),
    OrderEvent.CANCEL_REFUSED: ("cancel_refused",),
    OrderEvent.CANCEL_REFUSED_PARTIAL: ("cancel_refused",),
    OrderEvent.EXPIRE: ("expired",),
    OrderEvent.PLACE_UNKNOWN: ("unknown",),
    OrderEvent.CANCEL_UNKNOWN: ("unknown",),
    OrderEvent.NOT_FOUND: ("not_found",),
    OrderEvent.QUARANTINE: ("quarantine",),
}
_ENDS: Final = frozenset((*TERMINAL_ORDER_STATES, OrderState.QUARANTINED))
_FAILED: Final = frozenset((OrderState.REJECTED, OrderState.QUARANTINED))
_ABOUT_ORDER: Final = ("decision_id", "symbol", "side", "quantity", "limit_price", "code")
_ABOUT_EVENT: Final = ("fill_id", "fill_quantity", "fill_price", "reason")


class OrderSpans:
    """Open spans by client order id: as many as orders are live."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("interlock", VERSION, provider)
        self._open: dict[str, Span] = {}
        self._ended: OrderedDict[str, SpanContext] = OrderedDict()

    def take(self, now_ns: int, event_type: str, payload: Mapping[str, object]) -> None:
        """Take one event of the session, redacted."""
        if event_type == "ORDER_STATE":
            self._moved(now_ns, payload)
        elif event_type == "INTENT_REFUSED":
            span = self._tracer.start_span(_NAME, attributes=_about(payload, _ABOUT_ORDER), start_time=now_ns)
            span.set_status(Status(StatusCode.ERROR, str(payload["reason"])))
            span.end(now_ns)
        elif event_type == "SESSION_STATE" and payload["to"] in TERMINAL_STATES:
            self.close(now_ns)

    def close(self, now_ns: int) -> None:
        """End the spans of orders that have not ended: nobody here hears of them any more."""
        for span in self._open.values():
            span.set_attribute("interlock.left_open", value=True)
            span.end(now_ns)
        self._open.clear()

    def _moved(self, now_ns: int, payload: Mapping[str, object]) -> None:
        key, state = str(payload["client_order_id"]), str(payload["to"])
        span = self._open.get(key) or self._begun(now_ns, key, payload)
        for name in _SAID[str(payload["event"])]:
            span.add_event(name, _about(payload, _ABOUT_EVENT), now_ns)
        if state not in _ENDS:
            self._open[key] = span
            return
        self._open.pop(key, None)
        span.set_attribute("interlock.state", state)
        span.set_attribute("interlock.filled", str(payload["filled"]))
        if state in _FAILED:
            span.set_status(Status(StatusCode.ERROR, str(payload.get("reason", ""))))
        span.end(now_ns)
        self._ended[key] = span.get_span_context()
        if len(self._ended) > _ENDED_MAX:
            self._ended.popitem(last=False)

    def _begun(self, now_ns: int, key: str, payload: Mapping[str, object]) -> Span:
        """Begin the span of an order, or the one of what is said after its end."""
        ended, waited_ns = self._ended.get(key), payload.get("submit_to_send_ns", 0)
        return self._tracer.start_span(
            _NAME if ended is None else _LATE,
            attributes=_about(payload, _ABOUT_ORDER),
            links=None if ended is None else [Link(ended, {_KEY: key})],
            start_time=now_ns - waited_ns if isinstance(waited_ns, int) else now_ns,
        )


def _about(payload: Mapping[str, object], names: tuple[str, ...]) -> Attributes:
    found = {f"interlock.{name}": str(payload[name]) for name in names if payload.get(name) is not None}
    return {_KEY: str(payload["client_order_id"]), **found}
