"""``interlock recon``: what it shows of runs and exports, its exit codes, and what it answers to bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from interlock import AuditLog, ExternalSnapshot, Fill, OrderLedger, PositionLedger, ReconciliationEngine
from interlock.domain.ids import canonical_json
from interlock.domain.recon_records import records_of
from interlock.runtime.audit import AuditChain
from tests.run_builders import CONFIGS, ROOT, a_config, interlock, kept

pytestmark = pytest.mark.spec("DIF-9", "DIF-10")

VIEWS = ["summary", "diffs", "detailed"]
NOTHING = {"count": 0, "event_type": "RECON_SUMMARY", "items": [], "notes": "No RECON_SUMMARY events found"}
PHANTOM = {"broker": {"book": {"positions": {"BTC/EUR": "1", "ETH/EUR": "2"}}}}


class Host:
    """A host with an engine and a log, that writes an export when it is asked to."""

    def __init__(self, cash: str = "0") -> None:
        self.ledger = PositionLedger(initial_cash=Decimal(cash))
        self.engine = ReconciliationEngine(self.ledger, OrderLedger())
        self.log = AuditLog()

    def buy(self, symbol: str, quantity: str) -> None:
        """Book one fill; its value comes out of nowhere."""
        content = {"client_order_id": "o1", "exchange_order_id": "x1", "side": "BUY", "price": "1", "fee": "0"}
        self.ledger.apply_fill(Fill(fill_id=symbol, symbol=symbol, quantity=quantity, **content))

    def look(self, positions: dict[str, str], session_id: str = "s1", **more: Any) -> str:
        """Reconcile, write it down, and return its id."""
        told = ExternalSnapshot(timestamp="2026-01-01T12:00:00Z", positions=positions, **more)
        self.engine.reconcile(told)
        summary = self.engine.create_summary(session_id=session_id, strategy_id="debug")
        self.log.append_recon_summary(summary)
        return summary.run_id

    def export(self, folder: Path) -> Path:
        """Write the log."""
        path = folder / "audit_export.json"
        self.log.export_to_file(path)
        return path


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Return an export of three reconciles: one FAIL and one WARN, none, then twelve INFO of another session."""
    host = Host()
    host.buy("ETH/EUR", "1.0")
    host.buy("BTC/EUR", "0.1")
    host.look({"ETH/EUR": "0.95", "BTC/EUR": "0.0995"})
    host.look({"ETH/EUR": "1", "BTC/EUR": "0.1"})
    many = [f"C{number:02}/EUR" for number in range(12)]
    for symbol in many:
        host.buy(symbol, "1")
    host.look({"ETH/EUR": "1", "BTC/EUR": "0.1", **dict.fromkeys(many, "1.0005")}, session_id="s2")
    return host.export(tmp_path)


def items(*arguments: object) -> list[dict[str, Any]]:
    """Return what the command tells machines."""
    answer = interlock("recon", *arguments, "--format", "json")
    assert (answer.code, answer.err) == (0, "")
    told: list[dict[str, Any]] = json.loads(answer.out)["items"]
    return told


# -- the runbook --------------------------------------------------------------------------------------------


@pytest.mark.spec("DIF-2", "DIF-3")
@pytest.mark.parametrize("view", ["diffs", "detailed"])
def test_the_scenarios_of_the_runbook_print_what_it_prints(tmp_path: Path, view: str) -> None:
    host = Host(cash="5001.10")
    host.buy("ETH/EUR", "1.0")
    host.buy("BTC/EUR", "0.1")
    host.look({"ETH/EUR": "0.95", "BTC/EUR": "0.0995"}, cash_balance=Decimal("4995.00"))
    answer = interlock("recon", view, "--json", host.export(tmp_path))
    told = [line.strip() for line in answer.out.splitlines()]
    wanted = [
        ["Severity: WARN", "Type: POSITION", "Symbol: BTC/EUR", "Internal: 0.1 BTC", "External: 0.0995 BTC"],
        ["Delta: 0.0005 (0.5%)"],
        ["Severity: FAIL", "Type: POSITION", "Symbol: ETH/EUR", "Internal: 1 ETH", "External: 0.95 ETH"],
        ["Delta: 0.05 (5%)"],
        ["Severity: FAIL", "Type: CASH", "Internal: 5000.00", "External: 4995.00", "Delta: 5.00"],
    ]
    flat = [line for group in wanted for line in group]
    assert [line for line in told if line.partition(":")[0] in {"Severity", "Type", "Symbol", "Delta"} | {
        "Internal", "External"}] == flat  # fmt: skip


@pytest.mark.spec("DIF-2", "DIF-5")
def test_many_small_differences_are_counted_as_the_runbook_counts_them(export: Path) -> None:
    answer = interlock("recon", "summary", "--json", export, "--session-id", "s2")
    lines = [line.strip() for line in answer.out.splitlines()]
    assert lines[0] == "ReconSummary:"
    assert {"Total Diffs: 12", "INFO: 12", "WARN: 0", "FAIL: 0", "Max Severity: INFO"} <= set(lines)


# -- views --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_bare_it_prints_its_help_with_examples_and_exit_codes(arguments: list[str]) -> None:
    answer = interlock("recon", *arguments)
    assert (answer.code, answer.err) == (0, "")
    assert all(word in answer.out for word in ("summary", "diffs", "detailed", "Examples:", "Exit code 0"))


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_help_with_an_example_that_fits_into_80_columns(view: str) -> None:
    answer = interlock("recon", view, "--help")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= 80
    assert all(word in answer.out for word in ("Example", "Exit code 0", "--exit-on-findings", "--json", "--limit"))


def test_a_summary_shows_all_that_it_has(export: Path) -> None:
    first, clean, last = items("summary", "--json", export)
    assert first["counts_by_severity"] == {"FAIL": 1, "WARN": 1}
    assert (first["session_id"], first["strategy_id"], first["counts_by_type"]) == ("s1", "debug", {"POSITION": 2})
    assert (first["has_fail"], first["has_critical"], first["max_severity"]) == (True, False, "FAIL")
    assert (clean["total_diffs"], clean["max_severity"]) == (0, None)
    assert (last["total_diffs"], len(last["top_diffs"])) == (12, 10)
    lines = interlock("recon", "summary", "--json", export, "--limit", 1).out.splitlines()
    assert lines[:4] == [
        "ReconSummary:",
        f"  Run ID: {first['run_id']}",
        "  Timestamp: 2026-01-01T12:00:00.000000000Z",
        "  Session: s1",
    ]
    assert lines[-1] == "2 more, left out by --limit"
    assert {"  Types: POSITION 2", "  Has Fail: yes", "  Has Critical: no", "  Max Severity: FAIL"} <= set(lines)


def test_diffs_are_those_of_every_reconcile(export: Path) -> None:
    assert [diff["severity"] for diff in items("diffs", "--json", export)] == ["WARN", "FAIL", *["INFO"] * 12]
    assert [diff["symbol"] for diff in items("diffs", "--json", export, "--severity", "fail")] == ["ETH/EUR"]
    assert len(items("diffs", "--json", export, "--session-id", "s2")) == 12
    assert len(items("diffs", "--json", export, "--limit", "3")) == 3
    [_, clean, last] = [summary["run_id"] for summary in items("summary", "--json", export)]
    assert items("diffs", "--json", export, "--run-id", clean) == []
    assert {diff["run_id"] for diff in items("diffs", "--json", export, "--run-id", last)} == {last}
    text = interlock("recon", "diffs", "--json", export, "--severity", "FAIL").out
    assert all(f"  {name}: " in text for name in ("Diff ID", "Timestamp", "Description", "Order ID", "Resolution"))


@pytest.mark.spec("DIF-6", "DIF-11")
def test_detailed_shows_every_diff_of_one_reconcile(export: Path) -> None:
    first, clean, last = [summary["run_id"] for summary in items("summary", "--json", export)]
    [whole] = items("detailed", "--json", export, "--run-id", last)
    assert len(whole["diffs"]) == 12
    text = interlock("recon", "detailed", "--json", export, "--run-id", last).out
    assert (text.count("ReconSummary:"), text.count("ReconDiff:")) == (1, 12)
    assert interlock("recon", "detailed", "--json", export, "--run-id", clean).out.count("ReconDiff:") == 0
    assert [one["run_id"] for one in items("detailed", "--json", export)] == [last], "the last that found something"
    assert interlock("recon", "detailed", "--json", export, "--run-id", first, "--limit", 1).out.endswith(
        "\n\n1 more, left out by --limit\n"
    )


def test_json_is_the_same_bytes_every_time(export: Path) -> None:
    for view in VIEWS:
        one, two = (interlock("recon", view, "--json", export, "--format", "json").out for _ in range(2))
        assert one == two
        assert one == json.dumps(json.loads(one), indent=2, sort_keys=True) + "\n"


def test_text_fits_into_80_columns_and_holds_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    host = Host()
    host.buy("X" * 64, "1.123456789012345678")
    long = "session " * 30 + "y" * 200 + "\x1b[31m\r\n\u202e"
    fill = {"fill_id": "f" * 64, "client_order_id": "c" * 64, "exchange_order_id": "e" * 64, "symbol": "Z" * 64}
    more = Fill(**fill, side="SELL", quantity="123456789.123456789", price="0.000000001", fee="0")
    host.look({"Y" * 64: "-99999999999.99999999"}, session_id=long, fills=[more])
    path = host.export(tmp_path)
    for view in VIEWS:
        text = interlock("recon", view, "--json", path).out
        assert max(map(len, text.splitlines())) <= 80
        assert all(char.isprintable() or char == "\n" for char in text)


# -- sources ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["summary", "detailed"])
def test_without_a_source_and_without_a_run_the_log_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = interlock("recon", view, "--exit-on-findings")
    assert (answer.code, answer.out, answer.err) == (0, "No RECON_SUMMARY events found.\n", "")
    answer = interlock("recon", view, "--format", "json", "--exit-on-findings")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == json.dumps(NOTHING, indent=2) + "\n"
    assert interlock("recon", "diffs").out == "No RECON_DIFF events found.\n"


def test_an_empty_export_is_an_empty_log(tmp_path: Path) -> None:
    answer = interlock("recon", "summary", "--json", Host().export(tmp_path), "--format", "json")
    assert (answer.code, json.loads(answer.out)) == (0, NOTHING)


def test_without_a_source_it_is_the_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = a_config(tmp_path)
    for run_id in ("a", "b"):
        assert interlock("dryrun", config, "--run-id", run_id).code == 0
    runs = tmp_path / "out" / "finish_c" / "c2"
    for name, when in (("b", 1), ("a", 2), ("c.partial", 3), ("d.old", 4)):
        (runs / name).mkdir(exist_ok=True)
        os.utime(runs / name, (when, when))
    (runs / "notes.txt").write_text("newer than all")
    told = interlock("recon", "summary")
    assert (told.code, told.out.splitlines()[0]) == (0, f"Source: {Path('out/finish_c/c2/a')}")
    os.utime(runs / "b", (9, 9))
    assert interlock("recon", "summary").out.splitlines()[0] == f"Source: {Path('out/finish_c/c2/b')}"
    assert items("summary") == items("summary", "--run", runs / "b")
    assert "Source:" not in interlock("recon", "summary", "--run", runs / "b").out


# -- exit codes ---------------------------------------------------------------------------------------------


def test_a_phantom_position_at_the_broker_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert interlock("dryrun", a_config(tmp_path, **PHANTOM)).code == 2
    answer = interlock("recon", "diffs", "--exit-on-findings")
    assert (answer.code, answer.err) == (2, "")
    assert "Description: position ETH/EUR: we hold 0, the broker says 2" in answer.out
    assert "  Delta: 2 (100%)\n" in answer.out
    for view in VIEWS:
        assert interlock("recon", view, "--exit-on-findings", "--format", "json").code == 2
        assert interlock("recon", view).code == 0


def test_a_clean_run_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert interlock("dryrun", a_config(tmp_path)).code == 0
    for view in VIEWS:
        answer = interlock("recon", view, "--exit-on-findings")
        assert (answer.code, answer.err) == (0, "")
    assert items("summary")


@pytest.mark.spec("REC-10")
def test_the_recording_has_exactly_one_finding(tmp_path: Path, shared_samples: Path) -> None:
    sample = shared_samples / "hyperliquid_user_fills.jsonl"
    interlock("dryrun", CONFIGS / "recording.yaml", "--recording", sample, "--out", tmp_path)
    [diff] = items("diffs", "--run", kept(tmp_path))
    assert (diff["diff_type"], diff["symbol"], diff["delta"]) == ("POSITION", "SUI", "104.4")
    answer = interlock("recon", "diffs", "--run", kept(tmp_path), "--exit-on-findings")
    assert (answer.code, answer.out.count("Delta: 104.4 (6.018%)")) == (2, 1)


def test_filters_choose_what_counts_and_a_limit_does_not(export: Path) -> None:
    def code(*arguments: object) -> int:
        return interlock("recon", "diffs", "--json", export, "--exit-on-findings", *arguments).code

    assert code() == 2
    assert code("--limit", 0) == 2
    assert code("--severity", "CRITICAL") == 0
    assert code("--severity", "FAIL", "--session-id", "s2") == 0
    assert code("--session-id", "s3") == 0
    answer = interlock("recon", "summary", "--json", export, "--exit-on-findings", "--severity", "WARN")
    assert (answer.code, answer.out.count("ReconSummary:")) == (2, 1)


# -- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fly"], "No such command 'fly'"),
        (["diffs", "--severity", "BAD"], "Invalid value for '--severity'"),
        (["diffs", "--limit", "-1"], "Invalid value for '--limit'"),
        (["diffs", "--limit", "many"], "Invalid value for '--limit'"),
        (["diffs", "--format", "xml"], "Invalid value for '--format'"),
        (["diffs", "--what"], "No such option: --what"),
        (["diffs", "more"], "Got unexpected extra argument"),
        (["summary", "--json", "a", "--run", "b"], "--json and --run: were given together"),
        (["summary", "--json", "none.json"], "none.json: is missing"),
        (["summary", "--json", "."], ".: not a regular file"),
        (["summary", "--run", "none"], f"{Path('none/audit.jsonl')}: cannot be read: No such file"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = interlock("recon", *arguments, "--exit-on-findings")
    assert (answer.code, answer.out) == (1, "")
    assert answer.complaint.startswith(told)


@pytest.mark.spec("NFR-1", "ART-3")
def test_a_damaged_log_of_a_run_is_named_with_its_line(tmp_path: Path) -> None:
    interlock("dryrun", a_config(tmp_path), "--out", tmp_path / "out")
    log = kept(tmp_path / "out") / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    answer = interlock("recon", "summary", "--run", log.parent)
    assert (answer.code, answer.out) == (1, "")
    assert answer.complaint.startswith(f"{log}:{len(lines)}: damaged: missing: ")
    log.write_bytes(b"".join([lines[0].replace(b"INFO", b"WARN"), *lines[1:]]))
    assert interlock("recon", "diffs", "--run", log.parent).complaint.startswith(f"{log}:1: damaged: its hash")


@pytest.mark.spec("NFR-1")
def test_a_log_whose_summary_lost_its_diffs_is_never_called_clean(tmp_path: Path) -> None:
    host = Host()
    host.look({f"S{number:03}": "1" for number in range(501)})
    chain, summary = AuditChain(), host.engine.create_summary()
    lines = [
        chain.append(ts="t", code=record.code, message="", meta=record.meta)
        for record in records_of(summary, "")
        if record.code != "RECON_DIFFS_MORE"
    ]
    (tmp_path / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    answer = interlock("recon", "summary", "--run", tmp_path, "--severity", "CRITICAL")
    assert answer.complaint.startswith(f"{tmp_path / 'audit.jsonl'}:1: says 501 diffs and holds 500")


@pytest.mark.spec("NFR-1")
def test_an_edited_export_is_refused(export: Path) -> None:
    whole = json.loads(export.read_bytes())
    whole["entries"][0]["meta"]["total_diffs"] = 0
    export.write_bytes(canonical_json(whole))
    answer = interlock("recon", "summary", "--json", export)
    assert (answer.code, answer.out) == (1, "")
    assert answer.complaint.startswith(f"{export}: entry 1: its hash does not fit its content")


def test_a_reader_that_went_away_is_met_quietly(export: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "interlock", "recon", "diffs", "--json", str(export), "--exit-on-findings"]
    done = subprocess.run(  # noqa: S603 - the command is the test's own
        command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (2, "")
