"""The packaged session with presets and a broker's limits runs to its end, says what it promises, and replays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.run_builders import CONFIGS, interlock, kept


@pytest.mark.spec("SLP-1", "SLP-2", "BRK-1")
def test_presets_change_with_the_hour_and_the_brokers_limits_are_mirrored(tmp_path: Path) -> None:
    answer = interlock("dryrun", CONFIGS / "slippage.yaml", "--quiet", "--out", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    metrics = json.loads((kept(tmp_path) / "metrics.json").read_bytes())
    told = {
        name: count for name, count in metrics["counters"].items() if name.startswith(("engine_s", "al", "intents"))
    }
    assert told == {
        "alerts_delivered_total|file": 2,
        "alerts_delivered_total|log": 2,
        "alerts_total|ALERT_BROKER_LIMIT_MISMATCH": 1,
        "alerts_total|ALERT_SLIPPAGE_PRESET_MISSING": 1,
        "engine_slippage_preset_hits_total|EUR/USD|asia": 2,
        "engine_slippage_preset_hits_total|EUR/USD|eu": 2,
        "engine_slippage_preset_hits_total|GBP/USD|asia": 1,
        "intents_refused_total|RAIL_LOT_STEP": 1,
        "intents_refused_total|RAIL_SLIPPAGE": 1,
        "intents_refused_total|RAIL_SLIPPAGE_PRESET": 1,
    }
    assert metrics["status"] == "COMPLETED"
    assert metrics["engine_slippage_pips"]["EUR/USD"] == {"last": "0", "max": "1"}
    assert metrics["broker_limits"]["symbol_caps"] == {"EUR/USD": "50000", "GBP/USD": "50000"}
    assert interlock("replay", kept(tmp_path)).code == 0


@pytest.mark.spec("BRK-1")
def test_the_brokers_limits_stand_in_the_status_with_what_differs(tmp_path: Path) -> None:
    assert interlock("dryrun", CONFIGS / "slippage.yaml", "--quiet", "--out", tmp_path).code == 0
    folder = kept(tmp_path)
    status = json.loads(interlock("status", folder, "--format", "json").out)
    differ = "; ".join(f"symbol_caps.{symbol}: engine 100000, broker 50000" for symbol in ("EUR/USD", "GBP/USD"))
    assert status["broker_limits"] == {
        "daily_loss_cap": "5000",
        "symbol_caps": [{"symbol": symbol, "cap": "50000"} for symbol in ("EUR/USD", "GBP/USD")],
        "differ": differ,
        "engine_limits_hash": json.loads((folder / "metrics.json").read_bytes())["engine_limits_hash"],
    }
    assert f"broker's {differ.replace(';', ',')}" in " ".join(interlock("status", folder).out.split())


@pytest.mark.spec("ALT-1", "SLP-2", "BRK-1")
def test_both_alerts_are_told_with_their_ids_times_and_counts(tmp_path: Path) -> None:
    assert interlock("dryrun", CONFIGS / "slippage.yaml", "--quiet", "--out", tmp_path).code == 0
    folder = kept(tmp_path)
    missing, mismatch = lines(folder / "alerts.jsonl")
    assert (missing["alert"], missing["severity"]) == ("ALERT_SLIPPAGE_PRESET_MISSING", "warning")
    assert (missing["decision_id"], missing["counts"]) == ("pound-in-eu", {"missing": 1})
    assert missing["text"] == "GBP/USD has no slippage preset for session eu"
    assert (mismatch["alert"], mismatch["severity"]) == ("ALERT_BROKER_LIMIT_MISMATCH", "error")
    assert (mismatch["reconcile_id"][:3], mismatch["counts"]) == ("rc-", {"limits": 2})
    differ = [f"symbol_caps.{symbol}: engine 100000, broker 50000" for symbol in ("EUR/USD", "GBP/USD")]
    assert mismatch["text"] == "; ".join(differ)
    caps = {"EUR/USD": "50000", "GBP/USD": "50000"}
    assert json.loads(mismatch["about"]["broker_limits"]) == {"daily_loss_cap": "5000", "symbol_caps": caps}
    for note in (missing, mismatch):
        assert (note["run_id"], note["raised"]) == ("slippage-seed0", 1)
        [event] = [line for line in lines(folder / "events.jsonl") if line["payload"].get("alert") == note["alert"]]
        [record] = [line for line in lines(folder / "audit.jsonl") if line["code"] == note["alert"]]
        assert event["ts_utc"] == record["ts"] == note["ts_utc"]
        for written in (event["payload"], record["meta"]):
            assert (written.get("decision_id", ""), written.get("reconcile_id", "")) == (
                note["decision_id"],
                note["reconcile_id"],
            )
            assert {name: written[name] for name in note["counts"]} == note["counts"]


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file of lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
