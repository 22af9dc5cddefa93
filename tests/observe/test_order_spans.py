"""The life of an order as a span: where it begins and ends, what it tells, and that it shows no secret."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from interlock.domain.errors import BadInput
from interlock.domain.instants import rfc3339
from interlock.domain.order_states import OrderEvent
from interlock.observe import order_spans, trace_orders
from interlock.observe.order_spans import OrderSpans
from tests.session_builders import BTC, Kept, a_config, a_day, a_recorder, a_session, at, run, run_session

KEY = "interlock.client_order_id"


class Traces:
    """A provider of the host's own that keeps every span."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))

    def spans(self) -> tuple[ReadableSpan, ...]:
        """Return the spans that have ended."""
        return self._kept.get_finished_spans()


def traced(**sections: Any) -> tuple[Traces, Kept]:
    """Run a session with its orders traced."""
    traces, kept = Traces(), Kept()
    session = a_session(kept, **sections)
    trace_orders(session.recorder, traces.provider)
    run_session(session, kept)
    return traces, kept


def told(span: ReadableSpan) -> list[str]:
    """Return the names of a span's events."""
    return [event.name for event in span.events]


def test_a_filled_order_is_one_span_from_submit_to_its_end() -> None:
    traces, kept = traced(strategy={"script": [at(1, "d", limit_price="110")]})
    [span] = traces.spans()
    told_of = kept.payloads("ORDER_STATE")
    assert span.name == "interlock.order"
    assert told(span) == ["claim", "send", "ack", "fill"]
    assert span.attributes is not None
    assert span.attributes[KEY] == told_of[0]["client_order_id"]
    assert span.attributes["interlock.decision_id"] == "d"
    assert (span.attributes["interlock.state"], span.attributes["interlock.filled"]) == ("FILLED", "1")
    assert span.end_time is not None
    assert rfc3339(span.end_time) == next(e["ts_utc"] for e in kept.events if e["payload"].get("to") == "FILLED")


def test_a_cancelled_order_tells_of_its_cancel() -> None:
    script = [at(1, "d"), {"at_s": 5, "cancel": "d"}]
    traces, _ = traced(strategy={"script": script})
    [span] = traces.spans()
    assert told(span) == ["claim", "send", "ack", "cancel", "cancelled"]


def test_a_refused_intent_is_a_span_that_failed() -> None:
    traces, _ = traced(strategy={"script": [at(1, "d", quantity="11")]})
    [span] = traces.spans()
    assert span.attributes is not None
    assert (span.attributes["interlock.code"], span.status.status_code) == ("RAIL_ORDER_QUANTITY", StatusCode.ERROR)
    assert span.start_time == span.end_time


def test_what_is_said_after_the_end_is_linked_to_the_first_span() -> None:
    rule = {"fault": "late_partial_after_cancel", "permille": 1000, "delay_s": 2}
    script = [at(1, "d", quantity="4"), {"at_s": 5, "cancel": "d"}]
    traces, _ = traced(strategy={"script": script}, broker={"faults": {"rules": [rule]}})
    first, late = traces.spans()
    assert (first.name, late.name, told(late)) == ("interlock.order", "interlock.order.late", ["fill"])
    [link] = late.links
    assert link.context.span_id == first.context.span_id


def test_every_order_of_a_day_is_one_span_and_none_is_left_open() -> None:
    traces, kept = traced(strategy=a_day())
    sent = [order["client_order_id"] for order in kept.payloads("ORDER_STATE") if order["event"] == "SEND"]
    spans = [span for span in traces.spans() if span.name == "interlock.order"]
    assert sorted(str((span.attributes or {})[KEY]) for span in spans) == sorted(sent)


def test_tracing_changes_no_byte_of_what_a_session_writes() -> None:
    _, kept = traced(strategy=a_day())
    plain = run(strategy=a_day()).kept
    assert (kept.events, kept.audit, kept.metrics) == (plain.events, plain.audit, plain.metrics)


def test_orders_that_are_left_open_end_with_the_session() -> None:
    traces = Traces()
    spans = OrderSpans(traces.provider)
    sending = {"client_order_id": "il-1", "event": "SEND", "to": "SENT", "filled": "0", "submit_to_send_ns": 5}
    spans.take(10, "ORDER_STATE", sending)
    spans.take(20, "SESSION_STATE", {"to": "STOPPED"})
    [span] = traces.spans()
    assert (span.start_time, span.end_time) == (5, 20)
    assert (span.attributes or {})["interlock.left_open"] is True


def test_every_event_of_an_order_has_a_name_in_its_span() -> None:
    assert sorted(order_spans._SAID) == sorted(OrderEvent)  # noqa: SLF001 - the table is what is tested


@pytest.mark.spec("ART-4")
def test_a_secret_is_in_no_span() -> None:
    secret = "sk-" + "9fQ2xLr7Vb3TzK8mWc4NdP6h"
    traces, kept = Traces(), Kept()
    recorder = a_recorder(kept, a_config())
    trace_orders(recorder, traces.provider)
    about = {"client_order_id": "il-1", "event": "REJECT", "to": "REJECTED", "filled": "0", "symbol": BTC}
    recorder.event(1, "orchestrator", "ORDER_STATE", {**about, "reason": f"api_key={secret} is unknown"})
    [span] = traces.spans()
    assert secret not in span.to_json()
    assert "[redacted]" in span.to_json()


@pytest.mark.spec("NFR-1")
def test_without_the_extra_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "interlock.observe.order_spans")
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(BadInput, match=r"interlock\[otel\]"):
        trace_orders(a_recorder(Kept(), a_config()))
