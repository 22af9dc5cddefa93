"""Every counter is counted a second time: from the log alone, and from the mock broker's own book alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from interlock.config.model import SessionConfig
from interlock.config.scenarios import load_scenario, scenario_names
from interlock.domain.instants import from_datetime
from interlock.domain.order_states import OrderState
from interlock.domain.slippage import slipped
from interlock.mocks.broker import MockBroker
from interlock.observe.families import COUNTERS
from interlock.observe.source import source_of
from interlock.sessions import SessionResult, SteppedSession
from tests.recount import BY_EVENTS, BY_THE_BROKER, NOT_RECOUNTED, Tap, from_events, summaries_of
from tests.run_builders import loaded_file
from tests.session_builders import STEPS, Kept, a_config, a_day, a_recorder, orders_of

pytestmark = pytest.mark.spec("OBS-2", "OBS-3")

PLANS: dict[str, list[dict[str, Any]]] = {
    "calls": [
        {"fault": "rate_limit", "permille": 200, "calls": ["place", "cancel"]},
        {"fault": "timeout_before", "permille": 60},
        {"fault": "timeout_after", "permille": 60, "calls": ["place", "cancel"]},
        {"fault": "reject", "permille": 80},
        {"fault": "partial_fills", "permille": 300},
    ],
    "stream": [
        {"fault": "duplicate_fill", "permille": 300},
        {"fault": "fill_before_ack", "permille": 200},
        {"fault": "late_event", "permille": 200},
        {"fault": "lost_event", "permille": 60},
        {"fault": "malformed_message", "permille": 60},
        {"fault": "foreign_statement", "permille": 60},
        {"fault": "connection_lost", "permille": 20, "delay_s": 20},
    ],
    "races": [
        {"fault": "cancel_rejected_filled", "permille": 300},
        {"fault": "fill_after_cancel_ack", "permille": 300},
        {"fault": "late_partial_after_cancel", "permille": 300},
        {"fault": "stale_snapshot", "permille": 200},
        {"fault": "broker_down", "permille": 10, "delay_s": 30},
    ],
    "strangers": [
        {"fault": "orphan_order", "nth": [4]},
        {"fault": "phantom_position", "nth": [9]},
        {"fault": "broker_restart", "permille": 50},
        {"fault": "foreign_fill", "permille": 30},
    ],
}
SEEDS = range(6)


class Played(NamedTuple):
    """A session that is over, what it wrote, and what came in at its broker's door."""

    session: SteppedSession
    result: SessionResult
    kept: Kept
    tap: Tap

    @property
    def counters(self) -> dict[str, int]:
        return self.session.recorder.counters

    def summed(self, name: str) -> int:
        return sum(count for key, count in self.counters.items() if key.partition("|")[0] == name)

    def samples(self) -> dict[str, float]:
        """Return what is exposed, read back by the client's own parser; labels joined as the recorder joins them."""
        text = source_of(self.session).metrics().decode()
        found = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return {"|".join([sample.name, *sample.labels.values()]): sample.value for sample in found}


def played(config: SessionConfig) -> Played:
    kept = Kept()
    with SteppedSession(config, a_recorder(kept, config, from_datetime(config.session.start_utc))) as session:
        tap = Tap(session)
        session.run_n_steps(STEPS)
        return Played(session, session.finish(), kept, tap)


def the_plan(name: str, seed: int) -> SessionConfig:
    """Return a drawn day under one fault plan, repaired where there is one explanation."""
    return a_config(
        session={"seed": seed, "scheduler": "random"},
        broker={"faults": {"rules": PLANS[name]}},
        reconcile={"every_s": 60, "auto_repair": True},
        strategy=a_day(),
    )


def hold_to_the_log(run: Played) -> None:
    told = from_events(run.kept)
    ours = {key: n for key, n in run.counters.items() if key.partition("|")[0] in BY_EVENTS and n}
    assert ours == told
    samples = run.samples()
    assert {key: samples[key] for key in told} == told
    assert (samples["events_emitted_total"], samples["audit_events_total"]) == (
        len(run.kept.events),
        len(run.kept.audit),
    )
    retried = [record for record in run.kept.audit if record["code"] == "C2_SINK_WRITE_RETRY"]
    assert samples["sink_retries_total"] == len(retried)
    trips = [event["code"] for event in run.kept.payloads("TRIP")]
    by_code = {key: n for key, n in samples.items() if key.startswith("safety_rail_trips_by_code_total")}
    assert by_code == {f"safety_rail_trips_by_code_total|{code}": trips.count(code) for code in trips}
    sent = {order["client_order_id"] for order in run.kept.payloads("ORDER_STATE") if order["event"] == "SEND"}
    assert samples["engine_idempotency_cache_entries_total"] == len(sent)
    assert samples["session_kill_switch"] == int(bool(run.result.view.kill_switch))
    alerts = ("alerts_held_back_total", "alerts_delivered_total", "alerts_dropped_total", "alerts_not_delivered_total")
    assert run.summed("alerts_total") == sum(run.summed(name) for name in alerts)
    assert run.summed("alerts_delivered_total") == len(run.kept.alerts)


def hold_to_the_last_reconcile(run: Played) -> None:
    summaries, samples = summaries_of(run.kept), run.samples()
    last = [diff for diff in summaries[-1].diffs if not diff.resolved and diff.severity != "INFO"] if summaries else []
    for kind, gauge in (("stale_local_order", "stale"), ("orphan_broker_order", "orphan")):
        found = sum(diff.details["kind"] == kind for diff in last)
        assert samples[f"engine_reconcile_last_{gauge}_orders"] == found
    drifts = [diff for diff in (summaries[-1].diffs if summaries else ()) if diff.details["kind"] == "position_drift"]
    left = [diff.delta or Decimal(0) for diff in drifts if not diff.resolved]
    pips = [Decimal(str(diff.details.get("drift_pips", 0))) for diff in drifts if not diff.resolved]
    assert samples["engine_reconcile_position_drift_pips"] == float(max([*left, *pips], default=Decimal(0)))


def hold_to_the_broker(run: Played) -> None:
    left_unread = run.session.mailboxes()["broker"]["data"].depth
    ours = {name: run.counters[name] for name in BY_THE_BROKER if run.counters.get(name)}
    there = run.tap.counters()
    assert sum(ours.values()) == sum(there.values()) + left_unread
    if not left_unread:
        assert ours == there
    broker = run.session.broker
    assert isinstance(broker, MockBroker)
    struck = [fault for fault in run.kept.payloads("FAULT") if fault["fault"] == "rate_limit"]
    limited = sum(fault["call"] == "place" for fault in struck)
    if run.result.status == "COMPLETED":
        assert len(broker.requests) == there.get("orders_place_total", 0) - limited
        assert run.counters.get("fills_total", 0) == len(broker.exchange.executions)
        assert {*broker.exchange.accepted} <= {*run.tap.placed}
        hold_outcomes(run)
    reads = [fault for fault in run.kept.payloads("FAULT") if fault["call"] in ("query", "snapshot")]
    down = [fault for fault in run.kept.payloads("FAULT") if fault["fault"] == "broker_down"]
    if not (reads or down or left_unread):
        cancels = sum(order["event"] == "CANCEL_REQUEST" for order in run.kept.payloads("ORDER_STATE"))
        repeated = len(run.tap.placed) - len({*run.tap.placed}) + there.get("orders_cancel_total", 0) - cancels
        assert run.counters.get("retry_attempts_total", 0) == repeated


def hold_outcomes(run: Played) -> None:
    """Of a session that completed: every intent had one outcome, every rejected order is counted once."""
    told = run.summed("submit_outcomes_total")
    sent = run.counters.get("order_state_transitions_total|NEW|SENT", 0)
    assert told == run.summed("intents_refused_total") + sent + run.counters.get("duplicate_intents_total", 0)
    states = [order.state for order in orders_of(run.session).values()]
    assert run.summed("orders_rejected_total") == states.count(OrderState.REJECTED)


@pytest.mark.spec("OBS-4")
def test_every_counter_is_recounted_or_says_why_not() -> None:
    assert sorted([*BY_EVENTS, *BY_THE_BROKER, *NOT_RECOUNTED]) == sorted(COUNTERS)


@pytest.mark.parametrize("name", scenario_names())
def test_the_counters_of_a_scenario_are_those_of_its_log_and_of_its_broker(name: str) -> None:
    run = played(load_scenario(name).loaded.config)
    hold_to_the_log(run)
    hold_to_the_last_reconcile(run)
    hold_to_the_broker(run)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("plan", PLANS)
def test_the_counters_under_a_fault_plan_are_those_of_the_log_and_of_the_broker(plan: str, seed: int) -> None:
    run = played(the_plan(plan, seed))
    assert run.summed("faults_total")
    assert run.counters.get("retry_attempts_total") or plan != "calls"
    hold_to_the_log(run)
    hold_to_the_last_reconcile(run)
    hold_to_the_broker(run)


@pytest.mark.parametrize("name", ["demo.yaml", "trip.yaml", "cancel_race.yaml", "slippage.yaml"])
def test_the_counters_of_a_packaged_config_are_those_of_its_log_and_of_its_broker(name: str) -> None:
    run = played(loaded_file(name, seed=7).config)
    hold_to_the_log(run)
    hold_to_the_last_reconcile(run)
    hold_to_the_broker(run)


def test_a_commit_is_counted_for_each_change() -> None:
    """Each change of an order, the account's opening, the purge after preflight; on virtual time none takes time."""
    run = played(a_config(strategy=a_day()))
    samples = run.samples()
    assert samples["store_commit_seconds_count"] == len(run.kept.payloads("ORDER_STATE")) + 2
    assert (samples["store_commit_seconds_sum"], samples["store_commit_max_seconds"]) == (0, 0)


@pytest.mark.spec("SLP-1")
def test_presets_and_slippage_are_recounted_from_orders_and_executions() -> None:
    run = played(loaded_file("slippage.yaml").config)
    config, broker = run.session.config, run.session.broker
    assert isinstance(broker, MockBroker)
    assert config.slippage is not None
    rules = config.slippage.rules()
    hits: dict[str, int] = {}
    judged = [
        (event, e["payload"]) for e in run.kept.events for event in (e["event_type"],) if e["payload"].get("symbol")
    ]
    times = {id(e["payload"]): e["ts_sim"] + run.session.start_ns for e in run.kept.events}
    for kind, told in judged:
        asked = (kind == "ORDER_STATE" and told["event"] == "SEND") or told.get("code") == "RAIL_SLIPPAGE"
        if asked:
            key = f"engine_slippage_preset_hits_total|{told['symbol']}|{rules.session_of(times[id(told)])}"
            hits[key] = hits.get(key, 0) + 1
    assert {key: n for key, n in run.counters.items() if key.startswith("engine_slippage_preset_hits")} == hits
    pips = {item.symbol: item.pip_size for item in config.instruments}
    references = {order.client_order_id: order.reference_price for order in orders_of(run.session).values()}
    worst = Decimal(0)
    for fill in broker.exchange.executions:
        reference, pip = references[fill.client_order_id], pips[fill.symbol]
        assert reference is not None
        assert pip is not None
        worst = max(worst, slipped(fill.side, reference, fill.price) / pip)
    assert run.samples()["engine_slippage_pips"] == float(worst)


def test_the_recount_would_find_a_counter_that_is_off_by_one() -> None:
    run = played(a_config(strategy=a_day()))
    run.counters["fills_total"] += 1
    with pytest.raises(AssertionError):
        hold_to_the_log(run)
