"""Sinks of the facade that fail: for a while, for good, each of the four."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.facade_builders import SINKS, Outcome, a_config


class Flaky(list[Any]):
    """A list that refuses some of its appends: ``fails`` of them, beginning with number ``first``."""

    def __init__(self, fails: int, first: int = 1) -> None:
        super().__init__()
        self.calls = 0
        self.bad = range(first, first + fails)

    def append(self, record: Any) -> None:
        self.calls += 1
        if self.calls in self.bad:
            message = "disk full"
            raise OSError(message)
        super().append(record)


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.spec("ORC-8")
def test_a_sink_that_fails_for_a_while_is_tried_again_and_loses_nothing(sink: str) -> None:
    slept: list[float] = []
    whole = Outcome()[sink]
    outcome = Outcome(a_config(max_sink_retries=3), sleep_fn=slept.append, sinks={sink: Flaky(3)})
    assert outcome.result.status.value == "COMPLETED"
    assert outcome.codes.count("C2_SINK_WRITE_RETRY") == 3
    assert "C2_SINK_WRITE_FAILED" not in outcome.codes
    assert len(slept) == 3
    assert slept == sorted(slept)
    assert slept[0] > 0
    if sink in ("event_sink", "state_sink"):
        assert outcome[sink] == whole
    if sink != "metrics_sink":
        assert outcome["metrics_sink"][0]["sink_retries"] == 3


@pytest.mark.parametrize(
    ("sink", "first"),
    [
        ("event_sink", 1),
        ("event_sink", 8),
        ("state_sink", 1),
        ("state_sink", 3),
        ("metrics_sink", 1),
        ("audit_sink", 6),
    ],
)
@pytest.mark.spec("ORC-8", "ORC-2")
def test_a_sink_that_stays_broken_fails_the_run(sink: str, first: int) -> None:
    slept: list[float] = []
    outcome = Outcome(a_config(max_sink_retries=2), sleep_fn=slept.append, sinks={sink: Flaky(10_000, first)})
    result = outcome.result
    assert (result.accepted, result.status.value) == (True, "FAILED")
    assert (result.fail_code, result.reject_code) == ("C2_ABORT_SINK_WRITE_FAILED", None)
    name = {"event_sink": "events", "state_sink": "states", "metrics_sink": "metrics", "audit_sink": "audit"}[sink]
    assert result.fail_reason == f"sinks broken: {name}"
    assert len(slept) == 2
    assert len(outcome[sink]) == first - 1
    if sink != "audit_sink":
        assert outcome.codes.count("C2_SINK_WRITE_RETRY") == 2
        assert outcome.codes.count("C2_SINK_WRITE_FAILED") == 1


@pytest.mark.spec("ORC-8", "ORC-3")
def test_an_audit_sink_that_never_works_is_found_before_anything_moves() -> None:
    outcome = Outcome(sinks={"audit_sink": Flaky(10_000)})
    assert (outcome.result.status.value, outcome.result.reject_code) == ("REJECTED", "C2_REJECT_AUDIT_SINK")
    assert not [event for event in outcome["event_sink"] if event["event_type"] == "ORDER_STATE"]


@pytest.mark.spec("ORC-8")
def test_a_broken_sink_stops_the_session_before_its_work_is_done() -> None:
    outcome = Outcome(sinks={"event_sink": Flaky(10_000, 6)})
    assert outcome["state_sink"][-1]["state"] == "STOPPED"
    assert outcome["state_sink"][-1]["status"] == "FAILED"
    assert outcome["metrics_sink"][0]["fail_code"] == "C2_ABORT_SINK_WRITE_FAILED"
    assert outcome["metrics_sink"][0]["orders_total"] < 3


@pytest.mark.spec("ORC-8")
@pytest.mark.parametrize("mode", ["fixed", "sim"])
def test_without_a_sleep_function_retries_pause_in_simulated_time(mode: str) -> None:
    """No host waits: the pauses pass on the virtual clock, which never goes back for it."""
    calm = Outcome(a_config(clock_mode=mode))["metrics_sink"][0]["simulated_ns"]
    outcome = Outcome(a_config(clock_mode=mode, max_sink_retries=3), sinks={"event_sink": Flaky(3, first=9)})
    assert outcome.result.status.value == "COMPLETED"
    assert outcome["metrics_sink"][0]["simulated_ns"] >= calm
    times = [event["ts_sim"] for event in outcome["event_sink"]]
    assert times == sorted(times)


def test_a_file_that_the_host_closed_is_a_broken_sink() -> None:
    closed = io.StringIO()
    closed.close()
    assert Outcome(sinks={"event_sink": closed}).result.fail_code == "C2_ABORT_SINK_WRITE_FAILED"
