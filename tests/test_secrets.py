"""A secret that is planted anywhere is found nowhere: no file, no log line, no terminal output (ART-4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.actors.reconciler import Reconciler
from interlock.config import load_config
from interlock.domain.broker import PlaceOrder, Rejected
from interlock.domain.errors import BadInput
from interlock.domain.messages import Trip
from interlock.dryrun import run_dryrun_config
from interlock.mocks.exchange import Exchange
from interlock.mocks.strategy import Strategy
from interlock.observe.families import COUNTERS
from interlock.observe.source import source_of
from interlock.observe.views import as_json
from interlock.report import report_html
from interlock.runtime import store_place
from interlock.runtime.run_folder import ALERTS, ARTIFACTS
from interlock.sessions import SteppedSession
from tests.run_builders import Answer, a_config, a_loaded, a_tree, an_intent, contents, interlock, kept, runs_in
from tests.session_builders import Kept, a_recorder

pytestmark = pytest.mark.spec("ART-4")

# Put together here, so that no scanner of repositories takes it for a real one.
SECRET = "sk-" + "9fQ2xLr7Vb3TzK8mWc4NdP6h"
FORMS = ("text", "json")


def run_by_command(config: Path, *arguments: object) -> Answer:
    """Run with everything shown that can be shown."""
    return interlock("dryrun", config, "--out", config.parent / "out", "--verbose", *arguments)


def found_in(folder: Path, *texts: str) -> list[str]:
    """Return where the secret is found: the files of a run, the report that is made of them, and some texts."""
    assert sorted({*contents(folder), ALERTS}) == sorted([*ARTIFACTS, ALERTS])
    files = [name for name, raw in contents(folder).items() if SECRET.encode() in raw]
    page = ["the report"] if SECRET.encode() in report_html(folder) else []
    return files + page + [text for text in texts if SECRET in text]


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


# -- in what is seen of it ----------------------------------------------------------------------------------


@pytest.mark.spec("OBS-4", "OBS-5")
def test_a_secret_of_the_broker_is_in_no_view_no_label_and_no_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(_: Exchange, request: PlaceOrder, *_more: object) -> Rejected:
        return Rejected(client_order_id=request.client_order_id, code=SECRET, reason=f"api_key={SECRET} is unknown")

    monkeypatch.setattr(Exchange, "place", place)
    evidence, store = tmp_path / "evidence.md", tmp_path / "s.sqlite3"
    monkeypatch.setattr(store_place, "MOUNTS", tmp_path / "none")
    run_by_command(a_config(tmp_path), "--evidence", evidence, "--store", store)
    folder = kept(tmp_path / "out")
    views = [interlock("status", *what, "--format", form) for what in ((folder,), ("--store", store)) for form in FORMS]
    metrics = [source_of(folder).metrics(openmetrics=kind).decode() for kind in (False, True)]
    assert found_in(folder, evidence.read_text(), *metrics, *(answer.out + answer.err for answer in views)) == []
    beside = [path.name for path in folder.parent.parent.glob("*.*") if SECRET.encode() in path.read_bytes()]
    assert beside == []
    assert 'orders_rejected_total{code="other"} 2.0' in metrics[0]


@pytest.mark.spec("OBS-4", "OBS-5")
def test_a_secret_anywhere_in_a_live_session_is_in_no_view_and_no_label() -> None:
    kept_here, tree = Kept(), a_tree()
    instruments = [tree["instruments"][0] | {"symbol": SECRET, "points": []}]
    script = [{"at_s": 1, "submit": an_intent("d", limit_price="90") | {"symbol": SECRET}}]
    loaded = a_loaded(instruments=instruments, opening={"positions": {SECRET: "1"}}, strategy={"script": script})
    with SteppedSession(loaded.config, a_recorder(kept_here, loaded.config)) as session:
        session.run_n_steps(100)
        session.orchestrator.record.trip(Trip(SECRET, f"token={SECRET}", {"password": SECRET}))
        for counter in COUNTERS:
            session.recorder.count(f"{counter}|{SECRET}|{SECRET}")
        source = source_of(session)
        views = [as_json(view).decode() for view in (source.health(), source.ready(), source.status())]
        metrics = [source.metrics(openmetrics=kind).decode() for kind in (False, True)]
    assert [text for text in (*views, *metrics) if SECRET in text] == []
    assert "[redacted]" in views[2]


def test_a_secret_in_a_log_from_elsewhere_does_not_get_into_a_report(tmp_path: Path) -> None:
    """Ours are redacted already; a report redacts what it reads once more."""
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    events = folder / "events.jsonl"
    lines = events.read_text().replace('"BTC/EUR"', f'"{SECRET}"').replace('"reason":""', f'"api_key":"{SECRET}"')
    events.write_text(lines.replace("strat_demo", SECRET).replace('"actor":"broker"', f'"actor":"{SECRET}"'))
    assert SECRET in events.read_text()
    page = report_html(folder)
    assert b"Drawn from the event log alone" in page
    assert SECRET.encode() not in page


def test_the_search_would_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    path = folder / "run.json"
    path.write_bytes(path.read_bytes() + SECRET.encode())
    monkeypatch.setattr("interlock.report.page.VERSION", SECRET)
    assert found_in(folder, f"log: {SECRET}") == ["run.json", "the report", f"log: {SECRET}"]
