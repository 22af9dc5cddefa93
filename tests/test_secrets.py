"""A secret that is planted anywhere is found nowhere: no file, no log line, no terminal output (ART-4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.actors.reconciler import Reconciler
from interlock.config import load_config
from interlock.domain.broker import PlaceOrder, Rejected
from interlock.domain.errors import BadInput
from interlock.dryrun import run_dryrun_config
from interlock.mocks.exchange import Exchange
from interlock.mocks.strategy import Strategy
from interlock.runtime.run_folder import ARTIFACTS
from tests.run_builders import Answer, a_config, a_loaded, a_tree, an_intent, contents, interlock, kept, runs_in

pytestmark = pytest.mark.spec("ART-4")

# Put together here, so that no scanner of repositories takes it for a real one.
SECRET = "sk-" + "9fQ2xLr7Vb3TzK8mWc4NdP6h"


def run_by_command(config: Path, *arguments: object) -> Answer:
    """Run with everything shown that can be shown."""
    return interlock("dryrun", config, "--out", config.parent / "out", "--verbose", *arguments)


def found_in(folder: Path, *texts: str) -> list[str]:
    """Return where the secret is found."""
    assert sorted(contents(folder)) == sorted(ARTIFACTS)
    files = [name for name, raw in contents(folder).items() if SECRET.encode() in raw]
    return files + [text for text in texts if SECRET in text]


# -- in the settings ----------------------------------------------------------------------------------------


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    "sections",
    [
        {"description": f"runs with Bearer {SECRET}"},
        {"description": SECRET},
        {"strategy": {"script": [{"at_s": 1, "submit": an_intent("d", limit_price="1") | {"symbol": SECRET}}]}},
        {"opening": {"positions": {SECRET: "1"}}},
        {"broker": {"venue": SECRET}},
        {"broker": {"api_key": "plain"}},
        {SECRET: {}},
    ],
)
def test_a_secret_in_the_settings_is_refused_in_one_line_that_does_not_show_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sections: dict[str, Any]
) -> None:
    answer = run_by_command(a_config(tmp_path, **sections))
    assert answer.code == 1
    assert "session.yaml" in answer.complaint
    assert SECRET not in answer.out + answer.err + caplog.text
    assert runs_in(tmp_path / "out") == []


@pytest.mark.parametrize("option", ["--run-id", "--out", "--recording", "--seed", "--no-such", "--steps"])
def test_a_secret_among_the_arguments_is_not_repeated(tmp_path: Path, option: str) -> None:
    answer = run_by_command(a_config(tmp_path), option, SECRET if option != "--out" else tmp_path / SECRET / "\0")
    assert SECRET not in answer.err
    assert SECRET not in answer.out


def test_a_secret_in_the_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLOCK_DESCRIPTION", SECRET)
    with pytest.raises(BadInput, match=r"^environment: description: looks like a secret") as refused:
        load_config(a_config(tmp_path))
    assert SECRET not in str(refused.value)


# -- in what happens ----------------------------------------------------------------------------------------


@pytest.mark.spec("RT-8")
@pytest.mark.parametrize("actor", [Strategy, Reconciler])
def test_a_secret_in_an_exception_is_found_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, actor: type
) -> None:
    async def handle(*_: object) -> None:
        raise RuntimeError(f"no session: Authorization: Bearer {SECRET}") from ValueError(f"login with {SECRET}")

    monkeypatch.setattr(actor, "handle", handle)
    answer = run_by_command(a_config(tmp_path))
    folder = kept(tmp_path / "out")
    assert answer.code == 2
    assert found_in(folder, caplog.text, answer.out, answer.err) == []
    crashed = next(line for line in (folder / "audit.jsonl").read_text().splitlines() if "ACTOR_CRASHED" in line)
    assert "RuntimeError" in crashed
    assert "[redacted]" in crashed
    assert "ACTOR_CRASHED" in answer.err


def test_a_secret_in_a_message_of_the_broker_is_found_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def place(_: Exchange, request: PlaceOrder, *_more: object) -> Rejected:
        return Rejected(client_order_id=request.client_order_id, code=SECRET, reason=f"api_key={SECRET} is unknown")

    monkeypatch.setattr(Exchange, "place", place)
    answer = run_by_command(a_config(tmp_path))
    folder = kept(tmp_path / "out")
    assert found_in(folder, caplog.text, answer.out, answer.err) == []
    assert b"[redacted]" in contents(folder)["events.jsonl"]
    assert "REJECTED 2" in answer.out


def test_a_secret_in_a_symbol_is_found_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A config made in code gets past the door of the file; what it causes does not show the secret either."""
    tree = a_tree()
    instruments = [tree["instruments"][0] | {"symbol": SECRET, "points": []}]
    script = [{"at_s": 1, "submit": an_intent("d", limit_price="101") | {"symbol": SECRET}}]
    unknown = {"at_s": 2, "submit": an_intent("e", limit_price="101") | {"symbol": SECRET + "X"}}
    loaded = a_loaded(
        instruments=instruments,
        opening={"positions": {SECRET: "1"}},
        strategy={"script": [*script, unknown], "linger_s": 20},
    )
    outcome = run_dryrun_config(loaded, out=tmp_path)
    assert outcome.metrics["orders_by_state"] == {"FILLED": 1}
    assert found_in(outcome.folder, caplog.text, *capsys.readouterr()) == []
    assert b'"symbol":"[redacted]"' in contents(outcome.folder)["events.jsonl"]


def test_the_search_would_find_it(tmp_path: Path) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    path = folder / "run.json"
    path.write_bytes(path.read_bytes() + SECRET.encode())
    assert found_in(folder, f"log: {SECRET}") == ["run.json", f"log: {SECRET}"]
