"""The scenario library: what goes wrong elsewhere ends here as each scenario says, by the broker's own book as well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from interlock.config import scenarios
from interlock.config.scenarios import Scenario, load_scenario, scenario_names
from interlock.domain.errors import BadInput
from interlock.domain.money import decimal_text
from interlock.mocks.scenarios import BASE, FOLDER
from interlock.sessions import SteppedSession
from tests.run_builders import ROOT, interlock, kept
from tests.session_builders import STEPS, Kept, a_recorder, orders_of
from tools.matrix_cells import judged

DESIGN = (
    "submit_timeout_was_live",
    "submit_timeout_filled_and_gone",
    "early_lookup_says_unknown",
    "cancel_fill_unknown_order",
    "fill_then_ambiguous_reject",
    "entry_timeout_cancel_fails_filled",
    "connection_lost_mid_fills",
    "heartbeat_fine_fill_missing",
    "broker_restart_reused_ids",
    "store_locked_on_fill",
    "kill_switch_throws",
    "same_fill_two_ids",
    "fee_in_base_currency",
    "fifteen_identical_rejects",
    "snapshot_older_than_fills",
)
"""The fifteen things that others get wrong, in the order of the design."""

LINES_MAX = 40


def test_the_fifteen_are_all_there() -> None:
    assert scenario_names() == tuple(sorted(DESIGN))


@pytest.mark.spec("FLT-2", "FLT-3", "FLT-4", "FLT-5", "FLT-6", "FLT-7", "FLT-9", "FLT-10", "SAF-1", "SAF-2", "REC-8")
@pytest.mark.parametrize("name", DESIGN)
def test_a_scenario_ends_as_it_says(name: str) -> None:
    played, log = load_scenario(name), Kept()
    config, expect = played.loaded.config, played.scenario.expect
    with SteppedSession(config, a_recorder(log, config)) as session:
        session.run_n_steps(STEPS)
        result = session.finish()
        outcome, complaints = judged(session, result)
    orders = {decision: f"{order.state} {decimal_text(order.filled)}" for decision, order in orders_of(session).items()}
    counters = session.recorder.counters
    assert (result.status, result.fail_code) == (expect.status, expect.fail_code)
    assert {decision: orders[decision] for decision in expect.orders} == expect.orders
    assert [code for code in expect.codes if code not in log.codes] == []
    assert {counter: counters.get(counter, 0) for counter in expect.counters} == expect.counters
    assert outcome == ("settled" if expect.status == "COMPLETED" else f"stopped:{expect.fail_code}")
    assert complaints == []


@pytest.mark.parametrize("name", DESIGN)
def test_a_scenario_goes_wrong_as_often_as_it_says(name: str) -> None:
    """Every fault that is planned strikes; two scenarios need none."""
    played = load_scenario(name)
    config = played.loaded.config
    with SteppedSession(config, a_recorder(Kept(), config)) as session:
        session.run_n_steps(STEPS)
        counters = session.recorder.counters
    planned = {rule.fault for rule in config.broker.faults.rules} - {"store_locked", "kill_switch_throws"}
    assert {fault for fault in planned if not counters.get(f"faults_total|{fault}")} == set()
    assert config.broker.faults.rules or name == "fee_in_base_currency"


def test_a_scenario_is_a_few_lines() -> None:
    assert [path.name for path in FOLDER.glob("*.yaml") if len(path.read_text().splitlines()) > LINES_MAX] == []


def test_the_wheel_carries_the_scenarios() -> None:
    files = [file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()]
    carried = {path.rpartition("/")[2] for path in files if path.startswith("interlock/mocks/scenarios/")}
    assert {BASE.name, *(f"{name}.yaml" for name in DESIGN)} <= carried


# -- reading ------------------------------------------------------------------------------------------------


def test_a_scenario_takes_seed_and_run_id_from_the_caller() -> None:
    session = load_scenario("same_fill_two_ids", {"seed": 3, "run_id": "mine"}).loaded.config
    assert (session.session.seed, session.run_id) == (3, "mine")
    assert load_scenario("same_fill_two_ids").loaded.config.run_id == "same_fill_two_ids-seed7"


@pytest.mark.parametrize("name", ["nope", "base", "../scenarios/kill_switch_throws", ""])
def test_what_is_no_scenario_is_named_with_what_there_is(name: str) -> None:
    with pytest.raises(BadInput, match=r"^--scenario: there is no scenario .*broker_restart_reused_ids, cancel_fill"):
        load_scenario(name)


def test_a_scenario_with_a_wrong_key_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("title: t\nelsewhere: e\nhere: h\nexpect: {status: FINE}\nconfig: {}\n", encoding="utf-8")
    monkeypatch.setattr(scenarios, "FOLDER", tmp_path)
    with pytest.raises(BadInput, match=r"^odd\.yaml: expect\.status: .*COMPLETED.*FAILED"):
        load_scenario("odd")


# -- the command --------------------------------------------------------------------------------------------


@pytest.mark.spec("OBS-8")
@pytest.mark.parametrize("name", DESIGN)
def test_each_scenario_runs_from_the_command_line_and_replays(name: str, tmp_path: Path) -> None:
    wanted = load_scenario(name).scenario.expect.status
    answer = interlock("dryrun", "--scenario", name, "--quiet", "--out", tmp_path)
    assert answer.out == f"{wanted} {kept(tmp_path)}\n"
    assert (answer.code, answer.err) == (0 if wanted == "COMPLETED" else 2, "")
    assert interlock("replay", kept(tmp_path)).code == 0
    manifest = json.loads((kept(tmp_path) / "run.json").read_bytes())
    assert manifest["config"]["session"]["session_id"] == name


def test_the_command_says_what_is_to_be_seen_in_80_columns(tmp_path: Path) -> None:
    answer = interlock("dryrun", "--scenario", "kill_switch_throws", "--seed", 5, "--out", tmp_path)
    *lines, last = answer.out.splitlines()
    assert lines[0] == "The kill switch fires and throws."
    assert lines[1].startswith("Elsewhere: The error is logged and trading goes on")
    assert max(map(len, lines)) <= 80
    assert last.endswith("kill_switch_throws-seed5")


def test_the_list_names_every_scenario_with_its_title() -> None:
    answer = interlock("dryrun", "--list-scenarios")
    lines = answer.out.splitlines()
    titles = [load_scenario(name).scenario.title for name in scenario_names()]
    assert (answer.code, answer.err) == (0, "")
    assert lines[::2] == [*scenario_names()]
    assert [line.strip() for line in lines[1::2]] == titles
    assert max(map(len, lines)) <= 80


@pytest.mark.spec("NFR-1", "DIF-10")
@pytest.mark.parametrize("arguments", [(), ("session.yaml", "--scenario", "kill_switch_throws")])
def test_one_session_has_to_be_named(arguments: tuple[str, ...]) -> None:
    answer = interlock("dryrun", *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "interlock: dryrun: needs one session to run (allowed: CONFIG or --scenario NAME)\n"


def test_a_scenario_reads_as_a_sentence_each() -> None:
    said: list[Scenario] = [load_scenario(name).scenario for name in scenario_names()]
    assert all(text.endswith(".") for scenario in said for text in (scenario.elsewhere, scenario.here))
    assert not any(scenario.title.endswith(".") for scenario in said)
