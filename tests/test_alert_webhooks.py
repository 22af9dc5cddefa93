"""Webhooks in whole sessions: refused where no socket may be opened, bounded and never in the way where they may."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anyio
import pytest

from interlock.domain.errors import BadInput
from interlock.domain.intents import OrderIntent
from interlock.domain.messages import Trip
from interlock.domain.session_states import SessionState
from interlock.dryrun import run_dryrun_config
from interlock.runtime.mailbox import Lane
from interlock.sessions import RealTimeSession
from tests.hook_server import HookServer, answer
from tests.run_builders import a_loaded
from tests.session_builders import Kept, a_config, a_recorder, intent_fields, orders_of, run

pytestmark = pytest.mark.spec("ALT-2")

PATH = "/services/T0/B0/" + "Zk3wQ9xLr7Vb3TzK8mWc4NdP"


def a_hook(kind: str = "generic", **fields: Any) -> dict[str, Any]:
    """Return a webhook to this machine."""
    return {"kind": kind, "hosts": ["127.0.0.1"], "url_env": "HOOK_ADDRESS", **fields}


@pytest.mark.spec("NFR-2", "NFR-1")
def test_a_dry_run_with_a_webhook_is_refused_in_one_line_before_anything_is_made(tmp_path: Path) -> None:
    loaded = a_loaded(alerts={"webhooks": [a_hook()]})
    with pytest.raises(
        BadInput, match=r"alerts\.webhooks: there is a webhook, and nothing opens a socket in a dry run"
    ):
        run_dryrun_config(loaded, out=tmp_path / "out", store_path=tmp_path / "s.sqlite3")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadInput, match="nothing opens a socket"):
        run(alerts={"webhooks": [a_hook()]})


QUICK: dict[str, Any] = {
    "broker": {"request_latency_s": "0.001", "report_latency_s": "0.001", "price_every_s": "3600", "timeout_s": "1"},
    "session": {"drain_every_s": "0.01"},
    "reconcile": {"grace_s": "0.1"},
}


async def a_trip_in_a_loop(kept: Kept, url: str, monkeypatch: pytest.MonkeyPatch, **alerts: Any) -> RealTimeSession:
    """Run a session in this loop that trips, with webhooks to ``url``; return it when it has ended."""
    monkeypatch.setenv("HOOK_ADDRESS", url)
    policy = {"attempts_max": 3, "wait_initial_s": "0.001", "wait_max_s": "0.002", "jitter_s": "0"}
    config = a_config(**QUICK, alerts={"webhooks": [a_hook()], "retry": policy, **alerts})
    session = RealTimeSession(config, a_recorder(kept, config))
    with anyio.fail_after(10):  # noqa: TID251 - a bound on the test, not on an actor
        async with session:
            while session.orchestrator.record.state is SessionState.INIT:
                await session.system.wait_idle()
                await anyio.lowlevel.checkpoint()
            outcome = await session.submit(OrderIntent.model_validate(intent_fields("d1")))
            assert outcome.status == "ACCEPTED"
            session.system.post("orchestrator", Trip("by_hand", "somebody said so", {}), Lane.CONTROL)
            result = await session.ended()
    assert (result.status, result.fail_code) == ("FAILED", "by_hand")
    assert {str(order.state) for order in orders_of(session).values()} == {"CANCELLED"}
    assert kept.alerts[0].alert == "ALERT_SAFETY_RAIL_TRIPPED", "the local sink has it, whatever else"
    assert kept.audited("ALERT_SAFETY_RAIL_TRIPPED")
    everything = repr([kept.events, kept.states, kept.metrics, kept.audit, kept.alerts])
    assert PATH.rpartition("/")[2] not in everything
    return session


@pytest.mark.usefixtures("loopback")
async def test_in_a_host_s_loop_a_webhook_gets_the_trip_before_the_session_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Kept()
    async with HookServer() as server:
        session = await a_trip_in_a_loop(kept, server.url(PATH), monkeypatch)
        [request] = server.requests
    assert request.line == f"POST {PATH} HTTP/1.1"
    assert (request.json["alert"], request.json["about"]) == ("ALERT_SAFETY_RAIL_TRIPPED", {"code": "by_hand"})
    assert request.json["ts_utc"] == kept.alerts[0].ts_utc >= kept.audited("ALERT_SAFETY_RAIL_TRIPPED")[0]["ts"]
    assert session.recorder.counters["alerts_delivered_total|generic-0"] == 1


@pytest.mark.usefixtures("loopback")
@pytest.mark.spec("RT-7")
@pytest.mark.parametrize(
    ("answers", "requests", "delivered"),
    [
        ((answer(500),), 3, 0),
        ((answer(500), answer(429, "retry-after: 0"), answer(200)), 3, 1),
        ((answer(429, "retry-after: 3600"),), 1, 0),
        ((answer(302, "location: http://127.0.0.1:9/"),), 1, 0),
        ((answer(404),), 1, 0),
        ((b"\x00 garbage",), 3, 0),
        ((b"",), 3, 0),
    ],
    ids=["500", "429 with Retry-After 0", "429 with an hour", "redirect", "404", "garbage", "hangs up"],
)
async def test_a_webhook_that_answers_badly_is_tried_within_bounds_and_reported_once(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answers: tuple[bytes, ...],
    requests: int,
    delivered: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    kept = Kept()
    async with HookServer(*answers) as server:
        session = await a_trip_in_a_loop(kept, server.url(PATH), monkeypatch)
        assert len(server.requests) == requests
    assert session.recorder.counters.get("alerts_delivered_total|generic-0", 0) == delivered
    failed = kept.audited("ALERT_SINK_FAILED")
    assert [(record["level"], record["meta"]["sink"]) for record in failed] == [("WARN", "generic-0")] * (1 - delivered)
    assert len([note for note in kept.alerts if note.alert == "ALERT_SINK_FAILED"]) == 1 - delivered
    assert PATH.rpartition("/")[2] not in caplog.text


@pytest.mark.usefixtures("loopback")
async def test_a_webhook_that_says_nothing_delays_the_end_no_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Kept()
    async with HookServer(None) as server:
        await a_trip_in_a_loop(kept, server.url(PATH), monkeypatch, flush_s="0.3")
        assert len(server.requests) == 1
    [record] = kept.audited("ALERTS_NOT_DELIVERED")
    assert record["meta"] == {"generic-0": 1}


@pytest.mark.usefixtures("loopback")
@pytest.mark.spec("RT-7")
async def test_a_webhook_that_says_nothing_is_left_after_its_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    async with HookServer(None) as server:
        await a_trip_in_a_loop(kept, server.url(PATH), monkeypatch, webhooks=[a_hook(timeout_s="0.2")])
        assert len(server.requests) == 3
    [record] = kept.audited("ALERT_SINK_FAILED")
    assert "not taken within 0.2 s" in record["meta"]["reason"]
