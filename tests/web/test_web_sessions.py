"""The web app over the real thing: a session in this event loop, and the folder of a run (OBS-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from interlock.domain.errors import BadInput
from interlock.domain.intents import OrderIntent
from interlock.domain.session_states import SessionState
from interlock.dryrun import run_dryrun_config
from interlock.observe import Status, source_of
from interlock.report import report_html
from interlock.sessions import RealTimeSession
from interlock.web import create_app
from tests.run_builders import a_loaded
from tests.session_builders import Kept, a_config, a_recorder, intent_fields
from tests.session_builders import a_session as a_stepped_session
from tests.web_builders import ask

pytestmark = pytest.mark.spec("OBS-6")

BOUND_S = 20
QUICK: dict[str, Any] = {
    "broker": {"request_latency_s": "0.001", "report_latency_s": "0.001", "price_every_s": "3600"},
    "session": {"drain_every_s": "0.01"},
    "reconcile": {"grace_s": "0.05"},
}


def a_session(session_id: str = "small") -> RealTimeSession:
    """Return a session with latencies of milliseconds that is not open yet."""
    config = a_config(**QUICK | {"session": {**QUICK["session"], "session_id": session_id}})
    return RealTimeSession(config, a_recorder(Kept(), config))


async def begun(session: RealTimeSession) -> None:
    """Wait until intents are taken."""
    while session.orchestrator.record.state is not SessionState.DRYRUN_ACTIVE:
        await session.system.wait_idle()
        await anyio.lowlevel.checkpoint()


def an_intent(decision_id: str) -> OrderIntent:
    """Return an intent that rests."""
    return OrderIntent.model_validate(intent_fields(decision_id))


@pytest.mark.spec("OBS-1", "OBS-2")
async def test_a_session_is_seen_from_before_its_beginning_to_after_its_end() -> None:
    session = a_session()
    app = create_app(session)
    assert (await ask(app, "/ready")).status_code == 503
    with anyio.fail_after(BOUND_S):  # noqa: TID251 - a bound on the test, not on an actor
        async with session:
            await begun(session)
            ready, health = await ask(app, "/ready"), await ask(app, "/health")
            await session.submit(an_intent("d1"))
            status = msgspec.json.decode((await ask(app, "/status")).content, type=Status)
            metrics = await ask(app, "/metrics")
            session.stop("the host is done")
            await session.ended()
            over = await ask(app, "/ready")
    assert (ready.status_code, health.status_code, over.status_code) == (200, 200, 503)
    assert [order.symbol for order in status.open_orders] == ["BTC/EUR"]
    assert "\norders_place_total 1.0\n" in metrics.text
    assert "over" in over.json()["reasons"][0]


@pytest.mark.spec("OBS-4")
async def test_the_metrics_of_a_session_are_read_by_both_parsers() -> None:
    with a_stepped_session(Kept()) as session:
        app = create_app(session)
        plain = await ask(app, "/metrics")
        other = await ask(app, "/metrics", headers={"accept": "application/openmetrics-text"})
    for families in (text_string_to_metric_families(plain.text), openmetrics_families(other.text)):  # type: ignore[no-untyped-call]  # theirs
        assert {"engine_reconcile_runs", "orders_place"} <= {family.name for family in families}


async def test_looking_changes_nothing() -> None:
    """The same steps with and without somebody who looks after each of them."""
    seen, unseen = Kept(), Kept()
    for kept in (seen, unseen):
        with a_stepped_session(kept) as session:
            app = create_app(session)
            for _ in range(200):
                session.run_n_steps(1)
                if kept is seen:
                    for path in ("/health", "/ready", "/status", "/metrics"):
                        await ask(app, path)
    assert seen.events == unseen.events
    assert seen.audit == unseen.audit
    assert seen.events


@pytest.mark.spec("RT-10")
async def test_the_apps_of_two_sessions_in_one_loop_do_not_see_each_other() -> None:
    one, two = a_session("one"), a_session("two")
    apps = create_app(one), create_app(two)
    with anyio.fail_after(BOUND_S):  # noqa: TID251 - as above
        async with one, two:
            await begun(one)
            await begun(two)
            await one.submit(an_intent("d1"))
            told = [(await ask(app, "/status")).json() for app in apps]
            placed = ["\norders_place_total 1.0\n" in (await ask(app, "/metrics")).text for app in apps]
            two.stop("done")
            await two.ended()
            ready = [(await ask(app, "/ready")).status_code for app in apps]
            one.stop("done")
            await one.ended()
    assert [status["session_id"] for status in told] == ["one", "two"]
    assert [len(status["open_orders"]) for status in told] == [1, 0]
    assert placed == [True, False]
    assert ready == [200, 503]


async def test_a_run_folder_is_seen_as_its_session_left_it(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    app = create_app(folder)
    assert (await ask(app, "/status")).content == (folder / "dryrun_status_snapshot.json").read_bytes()
    assert (await ask(app, "/metrics")).content == source_of(folder).metrics()
    health, ready = await ask(app, "/health"), await ask(app, "/ready")
    assert (health.status_code, ready.status_code) == (200, 503)
    report = await ask(app, "/report")
    assert (report.status_code, report.content) == (200, report_html(folder))
    policy = report.headers["content-security-policy"]
    assert "script-src 'sha256-" in policy
    assert policy.endswith("; frame-ancestors 'none'")


async def test_a_run_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    app = create_app(folder)
    before = await ask(app, "/status")
    script = {"linger_s": 5, "script": []}
    run_dryrun_config(a_loaded(strategy=script), out=tmp_path, replace=True)
    after = await ask(app, "/status")
    assert after.status_code == 200
    assert after.content == (folder / "dryrun_status_snapshot.json").read_bytes() != before.content


@pytest.mark.spec("NFR-1")
async def test_a_folder_without_a_run_is_refused_and_a_damaged_one_says_nothing_of_what_is_in_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(BadInput):
        create_app(tmp_path)
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    app = create_app(folder)
    (folder / "dryrun_status_snapshot.json").write_text("{half", encoding="utf-8")
    for path in ("/status", "/health", "/metrics"):
        response = await ask(app, path)
        assert (response.status_code, response.json()["error"]) == (503, "unavailable")
        assert str(folder) not in response.text
