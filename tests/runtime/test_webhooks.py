"""Webhooks against a server on this machine that answers well, badly, elsewhere, later, or not at all."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import httpx
import pytest
from pydantic import SecretStr

from interlock.domain.alert_notes import AlertNote, HookKind, note_of
from interlock.domain.alerts import Passage, alert_of
from interlock.domain.errors import AlertNotTaken, AlertRefused, BadInput, DeadlineExceeded
from interlock.domain.instants import NS_PER_S
from interlock.runtime.actor import Context
from interlock.runtime.realtime import RealTimeSystem
from interlock.runtime.webhooks import WebhookSink, WebhookTarget, retry_after_s
from tests.hook_server import GARBAGE, OK, HookServer, answer
from tests.runtime.kernel_builders import playing

pytestmark = [pytest.mark.spec("ALT-2"), pytest.mark.usefixtures("loopback")]

BOUND_S: Final = 5
PATH: Final = "/services/T0/B0/" + "Zk3wQ9xLr7Vb3TzK8mWc4NdP"
KEY: Final = "Rr7" + "Qk3wQ9xLr7Vb3TzK8mWc4NdP"
SHAPES: Final[tuple[tuple[HookKind, str], ...]] = (("generic", KEY), ("slack", ""), ("pagerduty", KEY))


def a_note() -> AlertNote:
    """Return what is told of an alert."""
    facts = {"reconcile_id": "rc-1", "orphan": 1, "detail": "they differ"}
    return note_of(alert_of("ALERT_RECONCILE_DIVERGENCE", facts, run_id="run-1", at_ns=0), Passage("k1"))


def a_sink(url: str, kind: HookKind = "generic", key: str = "", hosts: tuple[str, ...] = ("127.0.0.1",)) -> WebhookSink:
    """Return a webhook with this address."""
    return WebhookSink(WebhookTarget("hook-0", kind, SecretStr(url), hosts, SecretStr(key)), "alerts.webhooks.0")


async def in_a_loop(use: Callable[[Context], Awaitable[None]]) -> None:
    """Do something with the context of an actor in this loop."""
    done = anyio.Event()

    async def play(ctx: Context, _: object, __: object) -> None:
        await use(ctx)
        done.set()

    system = RealTimeSystem()
    system.add("a", playing(play))
    with anyio.fail_after(BOUND_S):  # noqa: TID251 - a bound on the test, not on an actor
        async with system:
            system.post("a", "go")
            await done.wait()


async def delivered(sink: WebhookSink, within_s: float = BOUND_S) -> Exception | None:
    """Deliver one note; return what it raised."""
    raised: list[Exception] = []

    async def use(ctx: Context) -> None:
        try:
            with ctx.deadline(within_s):
                await sink.deliver(a_note(), ctx)
        except (AlertNotTaken, AlertRefused, DeadlineExceeded) as error:
            raised.append(error)

    await in_a_loop(use)
    return raised[0] if raised else None


# -- what is sent -----------------------------------------------------------------------------------------------


async def test_a_generic_hook_gets_the_note_and_its_key_as_a_bearer_token() -> None:
    async with HookServer() as server:
        assert await delivered(a_sink(server.url(PATH), key=KEY)) is None
        [request] = server.requests
    assert request.line == f"POST {PATH} HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"] == "interlock"
    assert request.json["schema"] == "INTERLOCK_ALERT_V1"
    assert (request.json["reconcile_id"], request.json["counts"]) == ("rc-1", {"orphan": 1})


async def test_slack_and_pagerduty_get_their_own_shapes_and_no_bearer_token() -> None:
    async with HookServer(answer(200, body=b"ok"), answer(202, body=b'{"status":"success"}')) as server:
        assert await delivered(a_sink(server.url(PATH), "slack")) is None
        assert await delivered(a_sink(server.url("/v2/enqueue"), "pagerduty", KEY)) is None
        slack, page = server.requests
    assert list(slack.json) == ["text"]
    assert (page.json["routing_key"], page.json["event_action"]) == (KEY, "trigger")
    assert "authorization" not in slack.headers | page.headers


# -- what is answered -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_success_is_one(status: int) -> None:
    async with HookServer(answer(status)) as server:
        assert await delivered(a_sink(server.url("/"))) is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_may_go_better_later_is_worth_repeating(status: int) -> None:
    async with HookServer(answer(status, "retry-after: 7")) as server:
        error = await delivered(a_sink(server.url("/")))
    assert isinstance(error, AlertNotTaken)
    assert (str(error), error.retry_after_s) == (f"answered {status}", 7.0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 501])
async def test_what_never_gets_better_is_not(status: int) -> None:
    async with HookServer(answer(status, body=b"no, not with " + KEY.encode())) as server:
        error = await delivered(a_sink(server.url("/")))
    assert isinstance(error, AlertRefused)
    assert str(error) == f"answered {status}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with HookServer() as elsewhere, HookServer(answer(status, f"location: {elsewhere.url('/x')}")) as server:
        error = await delivered(a_sink(server.url("/")))
        assert len(server.requests) == 1
        assert not elsewhere.requests
    assert isinstance(error, AlertRefused)
    assert "redirects are not followed" in str(error)


@pytest.mark.parametrize(
    "said", [GARBAGE, b"", b"HTTP/1.1 2", answer(200)[:20], b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000]
)
async def test_what_is_no_http_is_no_answer(said: bytes) -> None:
    async with HookServer(said) as server:
        error = await delivered(a_sink(server.url("/")))
    assert isinstance(error, AlertNotTaken)
    assert str(error).startswith("no answer: ")


async def test_a_body_without_end_is_not_read() -> None:
    """The server says there are 10 GB to come, and keeps the connection open."""
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n" + b"x" * 1_000_000
    async with HookServer(endless) as server:
        assert await delivered(a_sink(server.url("/"))) is None


async def test_silence_ends_with_the_deadline() -> None:
    async with HookServer(None) as server:
        assert isinstance(await delivered(a_sink(server.url("/")), within_s=0.3), DeadlineExceeded)
        assert len(server.requests) == 1


async def test_nobody_there_is_no_answer() -> None:
    async with HookServer() as server:
        url = server.url("/")
    error = await delivered(a_sink(url))
    assert str(error) == "no answer: ConnectError"


async def test_nothing_secret_gets_into_a_log_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """Not ours and not the HTTP client's, even with everything shown; its own logger would write the address."""
    caplog.set_level(logging.DEBUG)
    echoes = f"location: http://127.0.0.1:9{PATH}", f"x-echo: {KEY}"
    for said in (OK, answer(500, *echoes), answer(302, *echoes), GARBAGE + PATH.encode(), None):
        async with HookServer(said) as server:
            for kind, key in SHAPES:
                sink = a_sink(server.url(PATH), kind, key)
                error = await delivered(sink, within_s=0.05)
                shown = repr([error, error.__cause__ if error else None, sink.__dict__["_target"], caplog.text])
                assert PATH.rpartition("/")[2] not in shown
                assert KEY not in shown
    async with HookServer() as server, httpx.AsyncClient(trust_env=False) as client:
        await client.get(server.url(PATH))
    assert caplog.text.count(PATH) == 1, "what a host itself requests is logged as ever, and would have been found"
    assert "receive_response_headers" in caplog.text


async def test_proxies_of_the_environment_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async with HookServer() as server, HookServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        monkeypatch.setenv("ALL_PROXY", proxy.url(""))
        assert await delivered(a_sink(server.url("/"))) is None
        assert (len(server.requests), len(proxy.requests)) == (1, 0)


# -- coming again later -----------------------------------------------------------------------------------------


@pytest.mark.spec("RT-7")
@pytest.mark.parametrize(
    ("advice", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("9" * 400, 999_999_999.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:01:40", 90.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Thu, 99 Jan 1970 00:00:05 GMT", None),
        ("Thu, 01 Jan 1970 00:00:05 +99999999", None),
    ],
)
def test_advice_when_to_come_again_is_seconds_or_a_date(advice: str, seconds: float | None) -> None:
    assert retry_after_s(advice, 10 * NS_PER_S) == seconds


# -- where it may go --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/x",
        "https://hooks.example:8443/x?y=z",
        "https://HOOKS.example/x",
        "http://127.0.0.1:80/x",
        "http://localhost/x",
        "http://[::1]/x",
    ],
)
def test_an_allowed_host_is_taken(url: str) -> None:
    assert a_sink(url, hosts=("hooks.example", "127.0.0.1", "localhost", "::1")).name == "hook-0"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://other.example/x", "a host that hosts does not name"),
        ("https://hooks.example.other.example/x", "a host that hosts does not name"),
        ("https://x.hooks.example/x", "a host that hosts does not name"),
        ("https://hooks.example./x", "a host that hosts does not name"),
        ("https://hooks.example@other.example/x", "cannot be used"),
        ("https://other.example\\@hooks.example/x", "cannot be used"),
        ("https://user:pass@hooks.example/x", "cannot be used"),
        ("https://other.example#@hooks.example/", "a host that hosts does not name"),
        ("https://other.example?@hooks.example/", "a host that hosts does not name"),
        ("http://hooks.example/x", "is not encrypted"),
        ("http://127.0.0.1.other.example/x", "is not encrypted"),
        ("ftp://hooks.example/x", "cannot be used"),
        ("//hooks.example/x", "cannot be used"),
        ("hooks.example/x", "cannot be used"),
        ("https:///x", "cannot be used"),
        ("https://hooks.example:0/x", "cannot be used"),
        ("https://hooks.example:99999/x", "cannot be used"),
        ("https://hooks.example:x/", "is no URL"),
        ("https://xn--n3h/", "is no URL"),
        ("https://hooks.example/\x00", "is no URL"),
        ("https://hooks.example/" + "x" * 3_000, "cannot be used"),
        ("https://hooks.example/" + "x" * 100_000, "is no URL"),
    ],
)
@pytest.mark.spec("NFR-1")
def test_every_other_address_is_refused_in_one_line_that_does_not_show_it(url: str, what: str) -> None:
    with pytest.raises(BadInput) as refused:
        a_sink(url, hosts=("hooks.example", "127.0.0.1"))
    text = str(refused.value)
    assert text.startswith("alerts.webhooks.0: its address")
    assert what in text
    assert url not in text
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "ümlaut", "x" * 3_000])
def test_a_key_that_no_header_can_hold_is_refused(key: str) -> None:
    with pytest.raises(BadInput, match="one word of plain characters") as refused:
        a_sink("https://hooks.example/x", key=key, hosts=("hooks.example",))
    assert key not in str(refused.value)


def test_a_target_shows_neither_address_nor_key() -> None:
    target = WebhookTarget("hook-0", "generic", SecretStr("https://h.example" + PATH), ("h.example",), SecretStr(KEY))
    assert PATH not in repr(target) + str(target)
    assert KEY not in repr(target) + json.dumps({"t": str(target)})


def test_a_webhook_says_that_it_opens_sockets() -> None:
    made: Any = a_sink("http://127.0.0.1:9/")
    assert made.opens_sockets
