"""The web app against requests made from its own schema: answers keep to it, and no method that writes exists.

Requests are handed to the app in this process; the examples are the same on every run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from interlock.domain.errors import StorageError
from interlock.web import create_app
from tests.web_builders import HOST, PATHS, TOKEN, MadeUp, raw

pytestmark = pytest.mark.spec("OBS-6")

LOOKS: Final = ("GET", "HEAD")
WRITES: Final = ("DELETE", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
SETTINGS: Final[dict[str, Any]] = {
    "seed": 1,
    "generation": {"max-examples": 20, "deterministic": True, "database": "none"},
}


class Fuzzed:
    """What became of an app under requests from its own schema."""

    def __init__(self, app: Starlette, token: str = "") -> None:
        known = {"auth": {"openapi": {"token": {"bearer": token}}}} if token else {}
        config = SchemathesisConfig.from_dict(SETTINGS | known)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config, headers=headers)
        self.failures: list[str] = []
        self.answered: Counter[tuple[str, str, int]] = Counter()
        for event in from_schema(schema).execute():
            assert not isinstance(event, FatalError | NonFatalError), event
            if isinstance(event, ScenarioFinished):
                self._note(event)

    @property
    def methods(self) -> dict[str, set[int]]:
        """Return the statuses that each method was answered with."""
        statuses: dict[str, set[int]] = {}
        for method, _, status in self.answered:
            statuses.setdefault(method, set()).add(status)
        return statuses

    def _note(self, event: ScenarioFinished) -> None:
        recorded = event.recorder
        for name, checks in recorded.checks.items():
            bad = [check.name for check in checks if check.status is not Status.SUCCESS]
            self.failures += [f"{event.phase} {recorded.interactions[name].request.uri}: {check}" for check in bad]
        for exchange in recorded.interactions.values():
            assert exchange.response is not None
            path = "/" + exchange.request.uri.split("/", 3)[3]
            self.answered[exchange.request.method, path, exchange.response.status_code] += 1


def test_every_answer_is_as_the_schema_says_and_every_other_method_is_405() -> None:
    fuzzed = Fuzzed(create_app(MadeUp()))
    assert fuzzed.failures == []
    assert {*WRITES, *LOOKS} <= {*fuzzed.methods}
    assert {method: statuses for method, statuses in fuzzed.methods.items() if method not in LOOKS} == {
        method: {405} for method in fuzzed.methods if method not in LOOKS
    }
    assert {(method, path) for method, path, status in fuzzed.answered if status == 405} >= {
        (method, path) for method in WRITES for path in PATHS
    }


@pytest.mark.parametrize("source", [MadeUp(well=False), MadeUp(error=KeyError("no")), MadeUp(error=StorageError("no"))])
def test_what_is_not_well_and_what_is_a_fault_is_as_the_schema_says_too(source: MadeUp) -> None:
    """A server error is complained about for being one, and for nothing else."""
    fuzzed = Fuzzed(create_app(source))
    assert {failure.rpartition(": ")[2] for failure in fuzzed.failures} == {"not_a_server_error"}


def test_with_a_token_the_schema_says_what_comes_without_it() -> None:
    app = create_app(MadeUp(), token=SecretStr(TOKEN))
    fuzzed = Fuzzed(app, TOKEN)
    assert fuzzed.failures == []
    assert {200, 401} <= fuzzed.methods["GET"]


def test_the_check_itself_finds_an_app_with_a_method_that_writes() -> None:
    async def anything(_: Any) -> Response:
        return Response(b"{}", media_type="application/json")

    kind = create_app(MadeUp())
    app = Starlette(
        routes=[*(Route(path, anything, methods=["GET", "POST"]) for path in PATHS[:-1]), kind.routes[-1]],
    )
    fuzzed = Fuzzed(app)
    assert {failure.rpartition(": ")[2] for failure in fuzzed.failures} >= {
        "response_schema_conformance",
        "unsupported_method",
    }


@settings(max_examples=200)
@given(
    method=st.sampled_from([*WRITES, "CONNECT", "QUERY", "PROPFIND", "head", "Get", ""])
    | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~", max_size=20).filter(lambda name: name not in LOOKS),
    path=st.sampled_from(PATHS) | st.text(max_size=40),
    headers=st.dictionaries(
        st.sampled_from(["accept", "authorization", "content-length", "cookie", "host", "origin", "x-http-method"]),
        st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=40),
    ),
)
def test_no_request_with_another_method_ever_reaches_the_source(
    method: str, path: str, headers: dict[str, str]
) -> None:
    source = MadeUp()
    answer = asyncio.run(raw(create_app(source), method, path, {"host": HOST, **headers}))
    assert (answer.status, answer.headers["allow"], source.asked) == (405, "GET, HEAD", [])


@settings(max_examples=200)
@given(
    method=st.sampled_from(LOOKS),
    path=st.sampled_from(PATHS) | st.text(max_size=40),
    headers=st.dictionaries(
        st.sampled_from(["accept", "authorization", "content-length", "cookie", "host", "range", "if-none-match"]),
        st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=60),
    ),
)
def test_no_look_however_odd_is_a_fault(method: str, path: str, headers: dict[str, str]) -> None:
    answer = asyncio.run(raw(create_app(MadeUp()), method, path, {"host": HOST, **headers}))
    assert answer.status == (200 if path in PATHS and path != "/report" else 404)
    assert answer.headers["x-content-type-options"] == "nosniff"
