"""The web app: what each page answers, and how little it says when it cannot."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from interlock.domain.errors import BadInput, StorageError
from interlock.observe import Health, Readiness, Status
from interlock.runtime.redaction import is_secret_key
from interlock.web import create_app, origin, pages
from interlock.web.answers import Answer, wants_openmetrics
from tests.web_builders import PATHS, TOKEN, MadeUp, a_folder, ask

pytestmark = pytest.mark.spec("OBS-6")

SECRET = "sk-" + "9fQ2xLr7Vb3TzK8mWc4NdP6h"


def problem_of(response: httpx.Response) -> str:
    """Return the word of a small answer that says what went wrong."""
    assert response.headers["content-type"] == "application/json"
    assert len(response.content) < 300
    told = response.json()
    assert sorted(told) == ["detail", "error", "schema"]
    return str(told["error"])


def folder_app(monkeypatch: pytest.MonkeyPatch, folder: Path, source: MadeUp, html: bytes = b"<p>x</p>") -> Starlette:
    """Return the app over a folder whose reading is made up."""
    monkeypatch.setattr(origin, "source_of", lambda _: source)
    monkeypatch.setattr(pages, "report_html", lambda _: html)
    return create_app(a_folder(folder))


# -- the pages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "view"), [("/health", Health), ("/ready", Readiness), ("/status", Status)])
async def test_a_view_comes_as_json_that_decodes_to_itself(path: str, view: type[msgspec.Struct]) -> None:
    source = MadeUp()
    response = await ask(create_app(source), path)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert msgspec.json.decode(response.content, type=view) == getattr(source, path[1:])()
    assert response.json()["schema"] == f"{view.__name__}/1"


@pytest.mark.spec("OBS-1")
@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_not_well_and_not_ready_are_503_and_say_why(path: str) -> None:
    response = await ask(create_app(MadeUp(well=False, text="reconcile_overdue")), path)
    assert response.status_code == 503
    assert response.json()["reasons"] == ["reconcile_overdue"]


async def test_a_status_is_200_whatever_it_has_to_say() -> None:
    assert (await ask(create_app(MadeUp(well=False)), "/status")).status_code == 200


@pytest.mark.spec("OBS-4")
async def test_metrics_come_in_the_text_that_the_accept_header_asks_for() -> None:
    app = create_app(MadeUp())
    plain = await ask(app, "/metrics")
    other = await ask(app, "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert other.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert [family.name for family in text_string_to_metric_families(plain.text)] == ["orders_place"]
    assert other.text.endswith("# EOF\n")
    assert plain.headers["vary"] == other.headers["vary"] == "accept"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1", True),
        ("text/plain;q=0.9,application/openmetrics-text;q=0.8", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=nan", False),
        ("application/openmetrics-text;q=", False),
        ("application/openmetrics-textual", False),
        ("a" * 2000 + ",application/openmetrics-text", False),
    ],
)
def test_openmetrics_is_for_who_asks_for_it_at_least_as_much_as_for_plain_text(accept: str, *, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted


@pytest.mark.spec("OBS-7")
async def test_the_report_of_a_folder_comes_as_it_was_made_with_its_own_policy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    html = b"""<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-x+/='"><p>x"""
    response = await ask(folder_app(monkeypatch, tmp_path, MadeUp(), html), "/report")
    assert (response.status_code, response.content) == (200, html)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'sha256-x+/='; frame-ancestors 'none'"


async def test_a_session_that_runs_has_no_report() -> None:
    response = await ask(create_app(MadeUp()), "/report")
    assert (response.status_code, problem_of(response)) == (404, "no_report")
    assert "interlock report DIR" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/", "", "/nothing", "/health/", "/status/x", "/report/../run.json", "/docs", "/x\0"])
async def test_what_is_not_there_is_a_small_404_without_a_redirect(path: str) -> None:
    response = await ask(create_app(MadeUp()), path.replace("\0", "%00"))
    assert (response.status_code, problem_of(response)) == (404, "not_found")
    assert "location" not in response.headers


# -- a session and a folder ---------------------------------------------------------------------------------


async def test_a_session_is_asked_once_for_each_request() -> None:
    source = MadeUp()
    app = create_app(source)
    for path in ("/health", "/status", "/status", "/metrics"):
        await ask(app, path)
    assert source.asked == ["health", "status", "status", "metrics"]


async def test_a_folder_is_read_once_until_it_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = MadeUp()
    app = folder_app(monkeypatch, tmp_path, source)
    for _ in range(3):
        await ask(app, "/status")
        await ask(app, "/metrics")
        await ask(app, "/metrics", headers={"accept": "application/openmetrics-text"})
    assert source.asked == ["status", "metrics", "metrics"]
    (tmp_path / "audit.jsonl").write_text("{}\n{}\n", encoding="utf-8")
    await ask(app, "/status")
    assert source.asked[3:] == ["status"]


async def test_a_folder_that_changes_while_it_is_read_is_said_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = MadeUp()
    app = folder_app(monkeypatch, tmp_path, source)
    told = source.status()

    def status() -> Status:
        (tmp_path / "audit.jsonl").unlink(missing_ok=True)
        return told

    monkeypatch.setattr(source, "status", status)
    response = await ask(app, "/status")
    assert (response.status_code, problem_of(response)) == (503, "changing")
    assert (await ask(app, "/status")).status_code == 200


async def test_a_folder_that_went_away_is_503_until_it_is_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = MadeUp()
    app = folder_app(monkeypatch, tmp_path, source)

    def gone(_: Path) -> MadeUp:
        raise BadInput(str(tmp_path), "is no run")

    (tmp_path / "run.json").unlink()
    monkeypatch.setattr(origin, "source_of", gone)
    for _ in range(2):
        response = await ask(app, "/status")
        assert (response.status_code, problem_of(response)) == (503, "unavailable")
        assert str(tmp_path) not in response.text
    monkeypatch.setattr(origin, "source_of", lambda _: source)
    assert (await ask(app, "/status")).status_code == 200


@pytest.mark.spec("NFR-1")
def test_a_folder_that_holds_no_run_is_refused_before_anything_is_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: Path) -> MadeUp:
        raise BadInput(str(tmp_path), "is no run")

    monkeypatch.setattr(origin, "source_of", refuse)
    with pytest.raises(BadInput, match="is no run"):
        create_app(tmp_path)


@pytest.mark.spec("RT-10")
async def test_two_apps_in_one_loop_do_not_see_each_other() -> None:
    one, two = MadeUp(text="one"), MadeUp(text="two")
    apps = create_app(one), create_app(two)
    told = [(await ask(app, "/status")).json()["run_id"] for app in apps]
    assert told == ["one", "two"]
    assert one.asked == two.asked == ["status"]


@pytest.mark.spec("RT-10")
async def test_a_host_mounts_two_apps_side_by_side_each_with_its_own_schema() -> None:
    host = Starlette(routes=[Mount(f"/{name}", create_app(MadeUp(text=name))) for name in ("one", "two")])
    for name in ("one", "two"):
        assert (await ask(host, f"/{name}/status")).json()["run_id"] == name
        assert (await ask(host, f"/{name}/openapi.json")).json()["servers"] == [{"url": f"/{name}"}]
        assert (await ask(host, f"/{name}/status", "DELETE")).status_code == 405
        assert (await ask(host, f"/{name}/nothing")).headers["x-content-type-options"] == "nosniff"


# -- when it goes wrong -------------------------------------------------------------------------------------


@pytest.mark.spec("ART-4")
@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (KeyError(f"token={SECRET}"), 500, "fault"),
        (RuntimeError(SECRET), 500, "fault"),
        (StorageError(f"/home/x/{SECRET}"), 503, "unavailable"),
        (OSError(5, "bad disk", f"/home/{SECRET}"), 503, "unavailable"),
    ],
)
@pytest.mark.parametrize("path", ["/health", "/ready", "/status", "/metrics"])
async def test_a_fault_is_a_small_answer_without_what_was_raised_and_one_redacted_line_in_the_log(
    path: str, error: Exception, status: int, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="interlock"):
        response = await ask(create_app(MadeUp(error=error)), path)
    assert (response.status_code, problem_of(response)) == (status, word)
    assert type(error).__name__ not in response.text
    assert SECRET not in response.text + caplog.text
    [record] = [record for record in caplog.records if record.name.startswith("interlock")]
    assert type(error).__name__ in record.getMessage()


async def test_an_answer_that_would_be_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    response = await ask(create_app(MadeUp(text="x " * (1 << 19))), "/status")
    assert (response.status_code, problem_of(response)) == (503, "too_large")
    assert Answer(200, "text/plain", b"1234").within(4).body == b"1234"


@pytest.mark.spec("ART-4")
@pytest.mark.parametrize("path", ["/health", "/ready", "/status"])
async def test_a_source_that_forgot_to_redact_is_redacted_at_the_door(path: str) -> None:
    response = await ask(create_app(MadeUp(well=False, text=f"api_key={SECRET}")), path)
    assert SECRET not in response.text
    assert "[redacted]" in response.text


def test_no_field_of_a_view_is_taken_for_a_secret() -> None:
    """Or its value would come out redacted, and not as the schema says."""
    _, components = msgspec.json.schema_components([Health, Readiness, Status])
    names = [name for component in components.values() for name in component["properties"]]
    assert len(names) > 50
    assert not [name for name in names if is_secret_key(name)]


# -- the schema ---------------------------------------------------------------------------------------------


async def schema_of(app: Starlette, **wanted: Any) -> dict[str, Any]:
    """Return what an app says about itself."""
    response = await ask(app, "/openapi.json", **wanted)
    assert response.status_code == 200
    told: dict[str, Any] = json.loads(response.content)
    return told


async def test_the_schema_describes_exactly_what_there_is() -> None:
    app = create_app(MadeUp())
    described = await schema_of(app)
    assert sorted(described["paths"]) == sorted(PATHS) == sorted(getattr(route, "path", "") for route in app.routes)
    assert {tuple(sorted(operations)) for operations in described["paths"].values()} == {("get", "head")}
    assert "security" not in described


async def test_a_token_is_in_the_schema_as_what_is_needed() -> None:
    app = create_app(MadeUp(), token=SecretStr(TOKEN))
    described = await schema_of(app, headers={"authorization": f"Bearer {TOKEN}"})
    assert described["security"] == [{"token": []}]
    assert all("401" in operation["responses"] for path in described["paths"].values() for operation in path.values())
    assert TOKEN not in json.dumps(described)
