"""The guard in front of the app: what is not a plain look is turned away before anything else sees it.

* Methods: GET and HEAD. Everything else is 405, on every path; a web socket is refused.
* Hosts: where names are given, a request for another host is turned away, so that no web page that has its own name
  pointed at this machine can read what is here.
* Token: ``Authorization: Bearer``, compared in constant time; taken from nowhere else, and never written down.

Every answer leaves with the same strict headers, without cookies and without the name of a server; to HEAD without
a body. Plain ASGI, so that a host may put it in front of anything.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlock.domain.errors import BadInput
from interlock.web.answers import Answer, problem
from interlock.web.policy import NOTHING, POLICY

__all__ = ["METHODS", "Guard", "response_of", "usable_token"]

METHODS: Final = ("GET", "HEAD")

_HEADERS: Final = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_NOT_SENT: Final = ("server", "set-cookie", "x-powered-by")
_TOKEN_MIN: Final = 16
_TOKEN_MAX: Final = 512
_POLICY_VIOLATION: Final = 1008


def usable_token(where: str, text: str) -> SecretStr:
    """Return a token that can stand in a header and is long enough not to be guessed.

    Raises:
        BadInput: it is not; naming ``where`` it is from, and nothing of it.
    """
    if not (_TOKEN_MIN <= len(text) <= _TOKEN_MAX and text.isascii() and text.isprintable() and " " not in text):
        raise BadInput(where, "holds no token", f"one word of {_TOKEN_MIN} to {_TOKEN_MAX} plain characters")
    return SecretStr(text)


def response_of(answer: Answer) -> Response:
    """Return an answer as a response."""
    return Response(answer.body, answer.status, answer.headers, answer.media_type)


class Guard:
    """Turns away what is not a plain look; ``token`` None: none is asked for; no ``hosts``: any will do."""

    def __init__(self, app: ASGIApp, *, token: SecretStr | None = None, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._digest = None if token is None else _digest(token.get_secret_value().encode())
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a look on, and answer everything else."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            answer = self._complaint(scope["method"], Headers(scope=scope))
            app = self._app if answer is None else answer
            await app(scope, receive, _strict(send, bodiless=scope["method"] == "HEAD"))

    def _complaint(self, method: str, headers: Headers) -> Response | None:
        if method not in METHODS:
            answer = response_of(problem(405, "method_not_allowed", "this is for looking only: GET and HEAD"))
            answer.headers["allow"] = ", ".join(METHODS)
            return answer
        if self._hosts and headers.get("host", "").lower() not in self._hosts:
            return response_of(problem(421, "another_host", "this is not the host that was asked for"))
        if self._digest is not None and not self._knows(headers.getlist("authorization")):
            answer = response_of(problem(401, "token_needed", "send the token as Authorization: Bearer"))
            answer.headers["www-authenticate"] = "Bearer"
            return answer
        return None

    def _knows(self, given: list[str]) -> bool:
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        # Digests are of one length, so that the time taken says nothing about the length of the token either.
        same = hmac.compare_digest(_digest(token.strip(" ").encode("latin-1")), self._digest or b"")
        return same and scheme.lower() == "bearer"


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _strict(send: Send, *, bodiless: bool) -> Send:
    """Return a ``send`` that puts the headers on, and leaves the body off where none is wanted."""

    async def strict_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            for name in _NOT_SENT:
                del headers[name]
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault(POLICY, NOTHING)
        elif message["type"] == "http.response.body" and bodiless:
            message = {**message, "body": b""}
        await send(message)

    return strict_send
