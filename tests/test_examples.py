"""Each example is run, as its docstring says, and does what it promises."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from examples import host_strategy, shadow_session
from tests.host_builders import LOOPS, in_loop

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
FOUND = ("cash_mismatch", "fill_missing_locally", "position_drift", "stale_local_order")


def ran(*command: str) -> list[str]:
    """Run a Python command in the project's folder; return what it printed."""
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-W", "error", *command],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.spec("RT-10")
def test_the_host_trades_on_its_recording_and_both_sides_agree() -> None:
    assert ran("examples/host_strategy.py") == [
        "tick 19: BUY 2 at 98.45, fee 0.09845",
        "tick 32: SELL 2 at 101.25, fee 0.10125",
        "tick 48: BUY 2 at 100.55, fee 0.10055",
        "tick 64: SELL 2 at 101.49, fee 0.10149",
        "COMPLETED; both sides compared: healthy; profit 7.08",
    ]


def test_the_shadow_session_finds_what_the_desk_missed_and_alerts() -> None:
    *told, last = ran("examples/shadow_session.py")
    assert told == [
        "the desk has told everything: healthy",
        f"a fill did not reach the desk: findings: {', '.join(FOUND)}",
        "the desk has looked it up: healthy",
    ]
    assert last == "COMPLETED; the broker was only read; alerts: ALERT_RECONCILE_DIVERGENCE"


@pytest.mark.spec("RT-10")
@pytest.mark.parametrize("loop", LOOPS)
def test_examples_run_in_whatever_loop_their_host_has(loop: str) -> None:
    path = host_strategy.recorded()
    assert in_loop(loop, lambda: host_strategy.main(path)) > 0
    assert in_loop(loop, shadow_session.main) == ["ALERT_RECONCILE_DIVERGENCE"]


def test_the_custom_broker_is_certified() -> None:
    *_, last = ran("-m", "interlock", "certify", "examples.custom_broker:target")
    assert last.endswith("trader 'venue' is certified: 41 passed, 0 failed, 0 skipped")


@pytest.mark.spec("RT-10", "OBS-6")
def test_the_service_shows_its_session_and_ends_it() -> None:
    pytest.importorskip("fastapi", reason="FastAPI is a dependency of development")
    pytest.importorskip("interlock.web", reason="the web app is an extra")
    service = importlib.import_module("examples.readonly_service")
    intent = {"decision_id": "d1", "symbol": "BTC/EUR", "side": "BUY", "quantity": "1", "limit_price": "90"}

    async def story() -> None:
        transport = httpx.ASGITransport(service.app)
        async with (
            service.app.router.lifespan_context(service.app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            assert [(await client.post("/intents", json=intent)).json()["status"] for _ in range(2)] == [
                "ACCEPTED",
                "DUPLICATE",
            ]
            status = (await client.get("/interlock/status")).json()
            assert (status["session_id"], len(status["open_orders"])) == ("example-service", 1)
            assert (await client.get("/interlock/health")).status_code == 200
            assert (await client.post("/interlock/status")).status_code == 405, "nothing there changes anything"
        assert service.app.state.session.status().state == "STOPPED"

    in_loop("asyncio", story)


def test_every_example_says_how_it_is_run() -> None:
    scripts = [*EXAMPLES.glob("*.py"), EXAMPLES / "custom_broker" / "__init__.py"]
    assert len(scripts) == 4
    for path in scripts:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert any(line.startswith("    ") for line in text.splitlines()), f"{path.name} shows no command"
