"""A session in a host's loop, looked at by its host: what takes time there is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from interlock.domain.intents import OrderIntent
from interlock.domain.session_states import SessionState
from interlock.observe.source import Source, source_of
from interlock.runtime import store_place
from interlock.runtime.sqlite_store import SqliteStore
from interlock.sessions import RealTimeSession
from tests.session_builders import Kept, a_config, a_recorder, intent_fields

BOUND_S = 10

QUICK: dict[str, Any] = {
    "broker": {"request_latency_s": "0.001", "report_latency_s": "0.001", "price_every_s": "3600", "timeout_s": "1"},
    "session": {"session_id": "live", "strategy_id": "strat_demo", "duration_s": 60, "drain_every_s": "0.01"},
    "reconcile": {"grace_s": "0.1"},
    "strategy": {"linger_s": "30"},
}


def samples(source: Source) -> dict[str, float]:
    """Return the metrics by name and the values of their labels."""
    families = text_string_to_metric_families(source.metrics().decode())
    return {"|".join([s.name, *s.labels.values()]): s.value for family in families for s in family.samples}


@pytest.mark.spec("OBS-1", "OBS-4")
async def test_a_session_in_a_hosts_loop_is_ready_well_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
    config = a_config(**QUICK)
    with (
        SqliteStore(tmp_path / "s.sqlite3") as store,
        anyio.fail_after(BOUND_S),  # noqa: TID251 - a bound on the test, not on an actor
    ):
        async with RealTimeSession(config, a_recorder(Kept(), config), store=store) as session:
            source = source_of(session)
            while session.orchestrator.record.state is not SessionState.DRYRUN_ACTIVE:
                await anyio.lowlevel.checkpoint()
            await session.system.wait_idle()
            await session.submit(OrderIntent(**intent_fields("d")))
            health, ready, status, seen = source.health(), source.ready(), source.status(), samples(source)
            session.stop("done")
            result = await session.ended()
    assert (health.ok, health.reasons, ready.ready, ready.reasons) == (True, (), True, ())
    assert [order.state for order in status.open_orders] == ["ACK"]
    assert (status.store.durable, status.store.keys) == (True, 1)
    assert seen["store_commit_seconds_count"] > 3
    assert 0 < seen["store_commit_max_seconds"] <= seen["store_commit_seconds_sum"] < BOUND_S
    assert 0 < seen["mailbox_wait_max_seconds|orchestrator|data"] < BOUND_S
    assert seen["mailbox_wait_seconds_count|orchestrator|data"] > 0
    assert seen["orders_place_total"] == 1
    assert result.status == "COMPLETED"
    assert source.ready().reasons == ("the session is over: COMPLETED",)
