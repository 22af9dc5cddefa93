"""The guard of the web app: looking only, with the token only, and strict headers on whatever leaves."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from interlock.domain.errors import BadInput
from interlock.web import create_app
from interlock.web.policy import page_policy
from interlock.web.security import Guard, usable_token
from tests.web_builders import HOST, PATHS, TOKEN, MadeUp, ask, raw

pytestmark = pytest.mark.spec("OBS-6")

WRITES = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 100)
ODD_PATHS = ("/", "/nothing", "*", "/health/", "/../run.json", "example.test:443")
STRICT = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
BEARER = {"host": HOST, "authorization": f"Bearer {TOKEN}"}


def guarded() -> Any:
    """Return an app that asks for the token."""
    return create_app(MadeUp(), token=SecretStr(TOKEN))


# -- methods ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("path", [*PATHS, *ODD_PATHS])
async def test_no_method_but_get_and_head_exists_on_any_path(method: str, path: str) -> None:
    source = MadeUp()
    answer = await raw(create_app(source), method, path)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert b"method_not_allowed" in answer.body
    assert source.asked == []


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
async def test_head_answers_as_get_does_without_the_body(path: str) -> None:
    app = create_app(MadeUp())
    get, head = await raw(app, "GET", path), await raw(app, "HEAD", path)
    assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")
    assert int(get.headers["content-length"]) == len(get.body) > 0


async def test_a_method_that_another_header_asks_for_is_not_taken() -> None:
    source = MadeUp()
    answer = await raw(create_app(source), "GET", "/health", {"host": HOST, "x-http-method-override": "DELETE"})
    assert (answer.status, source.asked) == (200, ["health"])


async def test_a_body_and_a_query_change_nothing() -> None:
    app = create_app(MadeUp())
    plain = await ask(app, "/status")
    other = await ask(app, "/status", content=b"x" * 100_000, params={"kill_switch": "0", "format": "xml"})
    assert (other.status_code, other.content) == (200, plain.content)


async def test_a_web_socket_is_refused() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/status", "headers": [], "query_string": b""}
    await create_app(MadeUp())(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


# -- headers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/report", 404),
        ("GET", "/nothing", 404),
        ("POST", "/health", 405),
        ("OPTIONS", "*", 405),
    ],
)
async def test_every_answer_has_the_strict_headers_no_cookie_and_no_banner(method: str, path: str, status: int) -> None:
    answer = await raw(
        create_app(MadeUp()), method, path, {"host": HOST, "cookie": "a=b", "origin": "http://evil.test"}
    )
    assert answer.status == status
    assert {name: answer.headers[name] for name in STRICT} == STRICT
    assert not {"server", "set-cookie", "location", "access-control-allow-origin"} & {*answer.headers}


async def test_a_fault_has_them_too() -> None:
    answer = await raw(create_app(MadeUp(error=KeyError())), "GET", "/status")
    assert answer.status == 500
    assert {name: answer.headers[name] for name in STRICT} == STRICT


async def test_cookies_and_banners_of_what_is_behind_the_guard_do_not_get_out() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"server", b"x/1"),
            (b"set-cookie", b"a=b"),
            (b"x-powered-by", b"y"),
            (b"x-frame-options", b"ALLOW"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    answer = await raw(Guard(app), "GET", "/")
    assert not {"server", "set-cookie", "x-powered-by"} & {*answer.headers}
    assert (answer.headers["x-frame-options"], answer.body) == ("DENY", b"ok")


@pytest.mark.parametrize(
    "html",
    [
        b"<p>none</p>",
        b'<meta http-equiv="content-security-policy" content="script-src \'unsafe-inline\'">',
        b'<meta http-equiv="content-security-policy" content="default-src \'none\'; x\r\nset-cookie: a=b">',
        b"x" * 4_096 + b'<meta http-equiv="content-security-policy" content="default-src \'none\'; img-src *">',
    ],
)
def test_a_page_that_says_no_strict_policy_in_its_head_may_do_nothing(html: bytes) -> None:
    assert page_policy(html) == STRICT["content-security-policy"]


# -- the token ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
async def test_nothing_is_seen_without_the_token(path: str) -> None:
    app = guarded()
    answer = await raw(app, "GET", path)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (await raw(app, "GET", path, BEARER)).status in (200, 404)


@pytest.mark.parametrize(
    "given",
    [
        "",
        TOKEN,
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.lower()}",
        f"Bearer {TOKEN} {TOKEN}",
        "Bearer " + "x" * 10_000,
    ],
)
async def test_what_is_nearly_the_token_is_not_enough(given: str) -> None:
    assert (await raw(guarded(), "GET", "/health", {"host": HOST, "authorization": given})).status == 401


async def test_the_word_bearer_may_be_written_in_any_case() -> None:
    assert (await raw(guarded(), "GET", "/health", BEARER | {"authorization": f"bEARER {TOKEN}"})).status == 200


async def test_two_authorizations_are_none() -> None:
    fields = [("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")]
    assert (await ask(guarded(), "/health", headers=fields)).status_code == 401


async def test_a_token_anywhere_else_is_not_taken_and_never_repeated(caplog: pytest.LogCaptureFixture) -> None:
    app = guarded()
    with caplog.at_level(logging.DEBUG):
        answers = [
            await ask(app, "/health", params={"token": TOKEN, "access_token": TOKEN}),
            await ask(app, "/health", headers={"cookie": f"token={TOKEN}"}),
            await ask(app, f"/{TOKEN}", headers={"x-api-key": TOKEN}),
            await ask(app, f"/{TOKEN}", headers=BEARER),
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 404]
    assert not [answer for answer in answers if TOKEN in answer.text + str(answer.headers)]
    # The client that the tests use logs addresses; the app logs nothing.
    assert not [record for record in caplog.records if TOKEN in record.getMessage() and record.name != "httpx"]


def test_an_app_shows_its_token_to_nobody_who_looks_at_it() -> None:
    app = guarded()
    assert TOKEN not in repr(app.user_middleware) + repr(vars(app))


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    "text", ["short", "", "x" * 513, "two words of some length", "ümlaut-ümlaut-ümlaut", "x" * 20 + "\n"]
)
def test_a_token_that_cannot_stand_in_a_header_or_could_be_guessed_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"^here: holds no token \(allowed: one word of 16 to 512") as refused:
        usable_token("here", text)
    assert not text or text not in str(refused.value)
    with pytest.raises(BadInput):
        create_app(MadeUp(), token=SecretStr(text))


# -- hosts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1:8642", 200), ("LOCALHOST:8642", 200), ("evil.test:8642", 421), ("", 421)]
)
async def test_a_request_for_another_host_is_turned_away_where_hosts_are_named(host: str, status: int) -> None:
    app = create_app(MadeUp(), hosts=("127.0.0.1:8642", "localhost:8642"))
    answer = await raw(app, "GET", "/health", {"host": host} if host else {"accept": "*/*"})
    assert answer.status == status
    assert b"evil" not in answer.body
