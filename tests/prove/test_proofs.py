"""Every proof of the project ends as its expectation says, and fails for its own reason where it is not expected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from interlock.observe.engine import ENGINE
from interlock.observe.source import source_of
from interlock.prove import metrics, proof, prove_config
from interlock.prove.figures import Figures
from tests.proof_builders import a_proof, proved, report_of
from tests.run_builders import CONFIGS, interlock
from tests.session_builders import a_day, run
from tools.proofs import PROOFS, files_of

FOLDER = CONFIGS / "proofs"
ARTIFACTS = ["metrics.txt", "reconcile-report.json", "summary.txt", "trades.csv"]

REASONS = {
    "stale_order": r"stale=1, expected 0: order il-\w+: open here, not open there \(ACK .*\)",
    "orphan_order": r"orphan=1, expected 0: order somebody-else-1: open there, not known here .*",
    "drift_pips": r"drift of EURUSD: 0\.7 pips, above tolerance and not expected",
    "drift_units": r"drift of EURUSD: 1000\.0 units, above tolerance and not expected",
    "partial_fill_caught": r"caught=1, expected 0",
    "cache_damaged": r"cache_ok=false, expected true: its bytes do not have the checksum of its header",
    "duplicate_fills": r"duplicates=2, expected 0",
    "cancel_race": r"cancel_race=1, expected 0: order il-\w+: cancelled on one side only .*",
    "conflicting_fill": r"fill_conflicting=1, expected 0: fill x-3 of il-\w+: its id is known with other content",
    "fill_larger_than_order": r"fill_conflicting=1, expected 0: fill x-4 of il-\w+: filled 100001 of 100000 ordered",
    "slippage": r"slippage=1, expected 0: fill x-4: 1\.2 pips of slippage, preset 1",
}
"""Why each proof that shows a failure fails where a healthy day is expected."""


def with_the_healthy_expectation(config: Path) -> Path:
    """Take the expectation out of a config and put in the one of a healthy day."""
    text = config.read_text(encoding="utf-8")
    config.write_text(text[: text.index("expect:")] + "expect:\n  stale: 0\n", encoding="utf-8")
    return config


def test_the_files_are_those_that_the_tool_writes() -> None:
    """``python -m tools.proofs`` writes them."""
    here = {str(path.relative_to(FOLDER)): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
    assert here == {file: content for name in PROOFS for file, content in files_of(name).items()}


@pytest.mark.spec("PRF-1", "PRF-2", "DIF-10")
@pytest.mark.parametrize("name", sorted(PROOFS))
def test_a_proof_ends_as_expected(name: str, tmp_path: Path) -> None:
    answer = interlock("prove", FOLDER / f"{name}.yaml", "--out", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    assert re.fullmatch(r"reconcile_summary stale=\d+ orphan=\d+ drift=\d+\.\d+ cache_ok=(true|false)\n", answer.out)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ARTIFACTS
    assert (tmp_path / "out" / "summary.txt").read_text(encoding="utf-8") == answer.out


@pytest.mark.spec("PRF-1")
@pytest.mark.parametrize(("name", "drift"), [("healthy", "0.0"), ("drift_within_tolerance", "0.1")])
def test_a_healthy_proof_prints_exactly_its_summary(name: str, drift: str, tmp_path: Path) -> None:
    answer = interlock("prove", FOLDER / f"{name}.yaml", "--out", tmp_path / "out")
    assert answer.out == f"reconcile_summary stale=0 orphan=0 drift={drift} cache_ok=true\n"


@pytest.mark.spec("PRF-2", "DIF-10")
@pytest.mark.parametrize("name", sorted(PROOFS))
def test_a_failure_that_is_not_expected_is_the_only_reason(name: str, tmp_path: Path) -> None:
    config = with_the_healthy_expectation(a_proof(tmp_path, name))
    answer = interlock("prove", config, "--out", tmp_path / "out")
    _, *reasons = answer.out.splitlines()
    if name not in REASONS:
        assert (answer.code, reasons) == (0, [])
        return
    [reason] = reasons
    assert (answer.code, answer.err) == (2, "")
    assert re.fullmatch(REASONS[name], reason)


@pytest.mark.spec("PRF-2")
@pytest.mark.parametrize("name", sorted(REASONS))
def test_a_healthy_day_is_a_difference_where_a_failure_is_expected(name: str, tmp_path: Path) -> None:
    expectation = a_proof(tmp_path, name).read_text(encoding="utf-8").partition("expect:")[2]
    healthy = a_proof(tmp_path)
    text = healthy.read_text(encoding="utf-8").partition("expect:")[0]
    healthy.write_text(f"{text}expect:{expectation}", encoding="utf-8")
    outcome = prove_config(healthy, tmp_path / "out")
    assert len(outcome.reasons) == 1


def test_the_same_inputs_give_the_same_bytes_and_an_older_proof_is_replaced(tmp_path: Path) -> None:
    config = a_proof(tmp_path)
    first = {path.name: path.read_bytes() for path in prove_config(config, tmp_path / "out").folder.iterdir()}
    again = {path.name: path.read_bytes() for path in prove_config(config, tmp_path / "out").folder.iterdir()}
    assert first == again


@pytest.mark.spec("PRF-1")
def test_trades_hold_what_both_sides_agree_on(tmp_path: Path) -> None:
    outcome = prove_config(a_proof(tmp_path, "partial_fill_caught"), tmp_path / "out")
    head, *rows = [line.split(",") for line in (outcome.folder / "trades.csv").read_text("utf-8").splitlines()]
    trades = [dict(zip(head, row, strict=True)) for row in rows]
    told = [(trade["execution_id"], trade["quantity"], trade["price"], trade["reconciled"]) for trade in trades]
    assert told == [
        ("x-1", "40000", "1.1", "matched"),
        ("x-2", "60000", "1.1", "matched"),
        ("x-3", "50000", "1.1002", "matched"),
        ("x-4", "30000", "1.095", "caught"),
    ]
    assert trades[0]["ts"] == "2026-01-05T08:00:03.000000000Z"


def test_what_was_caught_stands_in_the_report_as_resolved(tmp_path: Path) -> None:
    report = report_of(prove_config(a_proof(tmp_path, "partial_fill_caught"), tmp_path / "out"))
    kinds = {diff["details"]["kind"]: diff["resolution_action"] for diff in report["summary"]["diffs"]}
    caught = "partial_fill_caught_by_reconcile"
    assert kinds == dict.fromkeys(("fill_missing_locally", "partial_fill_mismatch", "position_drift"), caught)
    assert report["as_expected"] is True
    assert report["inputs"]["events"]["records"] == 10


@pytest.mark.spec("OBS-3", "PRF-1")
@pytest.mark.parametrize("name", sorted(PROOFS))
def test_the_metrics_are_those_of_the_contract_and_parse(name: str, tmp_path: Path) -> None:
    outcome = prove_config(a_proof(tmp_path, name), tmp_path / "out")
    text = (outcome.folder / "metrics.txt").read_text(encoding="utf-8")
    families = list(text_string_to_metric_families(text))
    samples = {sample.name: sample for family in families for sample in family.samples}
    assert set(ENGINE) <= set(samples)
    assert not [name for name in samples if name.endswith("_created")], "they would carry the time of day"
    assert samples["engine_reconcile_runs_total"].value == 1
    assert samples["engine_reconcile_stale_orders_total"].value == outcome.figures.stale
    assert samples["engine_reconcile_last_orphan_orders"].value == outcome.figures.orphan
    assert samples["engine_reconcile_position_drift_pips"].value == float(outcome.figures.drift)
    assert samples["engine_slippage_preset_hits_total"].labels == {"symbol": "EURUSD", "session": "eu"}
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, flags=re.MULTILINE))
    gauges = {name for name, kind in types.items() if kind == "gauge"}
    assert gauges.issuperset(
        {
            "engine_reconcile_last_duration_seconds",
            "engine_reconcile_position_drift_pips",
            "engine_idempotency_cache_entries_total",
        }
    )


@pytest.mark.spec("OBS-3", "PRF-1")
def test_a_metric_of_a_proof_says_the_same_in_a_session(tmp_path: Path) -> None:
    outcome = prove_config(a_proof(tmp_path), tmp_path / "out")
    proved_text = (outcome.folder / "metrics.txt").read_text(encoding="utf-8")
    session = source_of(run(strategy=a_day()).session).metrics().decode()
    comments = [line for line in proved_text.splitlines() if line.startswith("#")]
    assert len(comments) == 2 * len(ENGINE)
    assert [line for line in comments if line not in session.splitlines()] == []


@pytest.mark.spec("PRF-2")
def test_a_summary_without_its_tokens_is_a_difference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def shortened(figures: Figures) -> str:
        return f"reconcile_summary stale={figures.stale}"

    monkeypatch.setattr(proof, "summary_line", shortened)
    outcome = prove_config(a_proof(tmp_path), tmp_path / "out")
    assert outcome.reasons == tuple(f"summary.txt lacks {token!r}" for token in ("orphan=", "drift=", "cache_ok="))


@pytest.mark.spec("PRF-2")
def test_a_token_of_the_expectation_has_to_be_in_the_summary(tmp_path: Path) -> None:
    outcome = proved(tmp_path / "p", lambda _: None, "  summary_tokens: [drift=0.1, stale=0]")
    assert outcome.reasons == ("summary.txt lacks 'drift=0.1'",)


@pytest.mark.spec("PRF-2")
def test_metrics_without_the_count_of_runs_are_a_difference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = metrics.metrics_text

    def without_runs(*args: object) -> bytes:
        return real(*args).replace(b"engine_reconcile_runs_total 1.0", b"")  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(proof, "metrics_text", without_runs)
    outcome = prove_config(a_proof(tmp_path), tmp_path / "out")
    assert outcome.reasons == ("metrics.txt lacks engine_reconcile_runs_total",)
