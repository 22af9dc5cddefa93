"""The exposition: it parses, it has every name of the contract, and no label says what is on no list."""

from __future__ import annotations

import re

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from interlock.observe.engine import ENGINE
from interlock.observe.families import COUNTERS
from interlock.observe.figures import figures_of
from interlock.observe.labels import ALL, OTHER, Labels
from interlock.observe.metrics import samples_of
from interlock.observe.source import source_of
from tests.run_builders import ROOT, loaded_file
from tests.session_builders import BTC, ETH, STEPS, Kept, a_config, a_day, a_session, run

pytestmark = pytest.mark.spec("OBS-4")

OBS_2 = (
    "orders_place_total",
    "orders_cancel_total",
    "orders_query_total",
    "order_state_transitions_total",
    "reconcile_mismatches_total",
    "retry_attempts_total",
)
GAUGES = (
    "engine_reconcile_last_duration_seconds",
    "engine_reconcile_last_stale_orders",
    "engine_reconcile_last_orphan_orders",
    "engine_reconcile_position_drift_pips",
    "engine_idempotency_cache_entries_total",
    "engine_slippage_pips",
)


def families(*, openmetrics: bool = False) -> dict[str, Metric]:
    """Return the families of a day, read back, by the name that their samples have."""
    text = source_of(run(strategy=a_day()).session).metrics(openmetrics=openmetrics).decode()
    parse = parse_openmetrics if openmetrics else parse_text
    return {family.name + ("_total" if family.type == "counter" else ""): family for family in parse(text)}


@pytest.mark.spec("OBS-2", "OBS-3")
@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
def test_every_metric_of_the_contract_is_there_and_of_its_kind(openmetrics: bool) -> None:  # noqa: FBT001 - a case
    found = families(openmetrics=openmetrics)
    assert [name for name in (*OBS_2, *ENGINE, *GAUGES) if name not in found] == []
    assert {found[name].type for name in GAUGES} == {"gauge"}
    counters = {*OBS_2, *ENGINE} - {*GAUGES}
    assert {found[name].type for name in counters} == {"counter"}
    assert all(family.documentation for family in found.values())


def test_both_formats_say_the_same() -> None:
    texts, opens = families(), families(openmetrics=True)
    assert {name: family.samples for name, family in texts.items()} == {
        name: family.samples for name, family in opens.items()
    }


def test_everything_that_is_counted_in_the_package_is_in_the_table() -> None:
    counted = re.compile(r"""count(?:er)?\(?[:,= ]*f?"([a-z_]+_total)""")
    others = {"observe", "explore"}  # where sessions are shown; and what a hunt counts of its own, over many sessions
    files = [path for path in (ROOT / "interlock").rglob("*.py") if others.isdisjoint(path.parts)]
    written = "\n".join(path.read_text() for path in files)
    names = {*counted.findall(written), *re.findall(r'"([a-z]+_[a-z_]+_total)"', written)}
    assert sorted(name for name in names if name not in (*COUNTERS, *ENGINE)) == []
    assert sorted(name for name in COUNTERS if name not in written) == []


def test_what_is_on_no_list_is_other() -> None:
    labels = Labels(a_config())
    assert labels.of(("from", "to"), ("NEW", "sk-secret")) == ("NEW", OTHER)
    assert labels.of(("rejection",), ("account 12345",)) == (OTHER,)
    assert labels.of(("symbol",), ("XRP/EUR",)) == (OTHER,)
    assert labels.of(("symbol",), (BTC,)) == (BTC,)


def test_counts_of_unknown_values_add_up_under_one_label() -> None:
    session = run(strategy=a_day()).session
    session.recorder.counters |= {"orders_rejected_total|ODD": 2, "orders_rejected_total|ODDER": 3}
    samples = samples_of(figures_of(session.figures()), Labels(session.config))
    assert samples['orders_rejected_total{code="other"}'] == 5


def test_symbols_can_be_kept_out_of_labels() -> None:
    config = loaded_file("slippage.yaml").config
    hidden = config.model_copy(update={"observe": config.observe.model_copy(update={"symbol_labels": False})})
    with_symbols, without = Labels(config), Labels(hidden)
    assert with_symbols.of(("symbol", "slippage_session"), ("EUR/USD", "eu")) == ("EUR/USD", "eu")
    assert without.of(("symbol", "slippage_session"), ("EUR/USD", "eu")) == (ALL, "eu")


def test_no_label_of_a_session_without_symbols_names_one() -> None:
    session = run(strategy=a_day(), observe={"symbol_labels": False}).session
    text = source_of(session).metrics().decode()
    assert BTC not in text
    assert ETH not in text


def test_two_sessions_of_one_process_have_registries_of_their_own() -> None:
    first, second = run(strategy=a_day()).session, run().session
    busy, idle = source_of(first).metrics().decode(), source_of(second).metrics().decode()
    assert "orders_place_total 40.0" in busy
    assert "orders_place_total 0.0" in idle


def test_asking_for_metrics_changes_nothing() -> None:
    kept = Kept()
    with a_session(kept, strategy=a_day()) as session:
        for _ in range(40):
            session.run_n_steps(50)
            source = source_of(session)
            source.metrics()
            source.health()
            source.ready()
            source.status()
        session.run_n_steps(STEPS)
        session.finish()
    plain = run(strategy=a_day()).kept
    assert (kept.events, kept.audit, kept.metrics) == (plain.events, plain.audit, plain.metrics)
