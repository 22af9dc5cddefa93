"""A secret that is planted anywhere is in no answer, page, label or header of the web app (ART-4, OBS-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from interlock.actors.reconciler import Reconciler
from interlock.config.load import LoadedConfig
from interlock.domain.broker import PlaceOrder, Rejected
from interlock.domain.errors import BadInput
from interlock.dryrun import run_dryrun_config
from interlock.mocks.exchange import Exchange
from interlock.mocks.strategy import Strategy
from interlock.sessions import SteppedSession
from interlock.web import create_app
from tests.run_builders import a_loaded, a_tree, an_intent
from tests.session_builders import STEPS, Kept, a_recorder
from tests.web_builders import PATHS, ask

pytestmark = pytest.mark.spec("ART-4", "OBS-6")

# Put together here, so that no scanner of repositories takes it for a real one.
SECRET = "sk-" + "9fQ2xLr7Vb3TzK8mWc4NdP6h"


async def shown(app: Starlette) -> str:
    """Return all that an app answers, headers too."""
    told = []
    for path in (*PATHS, f"/{SECRET}"):
        for accept in ("*/*", "application/openmetrics-text"):
            for method in ("GET", "HEAD", "POST"):
                response = await ask(app, path, method, headers={"accept": accept, "x-note": SECRET})
                told.append(f"{response.headers} {response.text}")
    return "\n".join(told)


async def shown_of_session(loaded: LoadedConfig) -> str:
    """Return what is answered about a session after some of its steps and at its end."""
    config = loaded.config
    told = []
    with SteppedSession(config, a_recorder(Kept(), config)) as session:
        app = create_app(session)
        for steps in (0, 5, 20, 50, STEPS):
            session.run_n_steps(steps)
            told.append(await shown(app))
    return "\n".join(told)


async def shown_by_both(loaded: LoadedConfig, folder: Path) -> str:
    """Return what is answered about a session, and about the folder of the same run."""
    outcome = run_dryrun_config(loaded, out=folder)
    return await shown_of_session(loaded) + await shown(create_app(outcome.folder))


def a_secret_symbol() -> LoadedConfig:
    """Return a config made in code, past the door of the file, whose symbol is the secret."""
    tree = a_tree()
    script = [{"at_s": 1, "submit": an_intent("d", limit_price="90") | {"symbol": SECRET}}]
    return a_loaded(
        instruments=[tree["instruments"][0] | {"symbol": SECRET, "points": []}],
        opening={"positions": {SECRET: "1"}},
        strategy={"script": script, "linger_s": 20},
    )


@pytest.mark.parametrize("actor", [Strategy, Reconciler])
async def test_a_secret_in_an_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actor: type) -> None:
    async def handle(*_: object) -> None:
        raise RuntimeError(f"no session: Authorization: Bearer {SECRET}") from ValueError(f"login with {SECRET}")

    monkeypatch.setattr(actor, "handle", handle)
    told = await shown_by_both(a_loaded(), tmp_path)
    assert SECRET not in told
    assert "actor_crashed" in told


async def test_a_secret_in_a_message_of_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def place(_: Exchange, request: PlaceOrder, *_more: object) -> Rejected:
        return Rejected(client_order_id=request.client_order_id, code=SECRET, reason=f"api_key={SECRET} is unknown")

    monkeypatch.setattr(Exchange, "place", place)
    told = await shown_by_both(a_loaded(), tmp_path)
    assert SECRET not in told
    assert 'to="REJECTED"' in told


async def test_a_secret_in_a_symbol(tmp_path: Path) -> None:
    told = await shown_of_session(a_secret_symbol())
    assert SECRET not in told
    assert '"symbol":"[redacted]"' in told
    folder = run_dryrun_config(a_secret_symbol(), out=tmp_path).folder
    with pytest.raises(BadInput) as refused:  # its settings are redacted, and are none any more
        create_app(folder)
    assert SECRET not in str(refused.value)


async def test_a_secret_in_a_file_of_the_folder(tmp_path: Path) -> None:
    """A folder that somebody has changed is read with the same care."""
    folder = run_dryrun_config(a_loaded(), out=tmp_path).folder
    path = folder / "dryrun_status_snapshot.json"
    path.write_text(path.read_text().replace('"strat_demo"', f'"{SECRET}"'), encoding="utf-8")
    told = await shown(create_app(folder))
    assert SECRET not in told
    assert '"strategy_id":"[redacted]"' in told


async def test_the_search_would_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = a_loaded().config
    with SteppedSession(config, a_recorder(Kept(), config)) as session:
        app = create_app(session)
        leak: Any = lambda *_, **__: SECRET.encode()  # noqa: E731 - the shortest leak there is
        monkeypatch.setattr("interlock.observe.session_source.exposition", leak)
        assert SECRET in await shown(app)
