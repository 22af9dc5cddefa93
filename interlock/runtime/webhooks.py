"""Alerts over HTTP, for sessions in a host's loop only (ALT-2): one POST to one allowed host, and a look at the status.

Off unless it is configured; needs the extra ``interlock[webhooks]``. What could go wrong at a door to the outside:

* *Another host.* The host of the address, as the HTTP client itself reads it, is held against the allowlist, https is
  asked for save on loopback, redirects are not followed, and no proxy is taken from the environment.
* *Secrets in logs.* The client's own logger writes whole addresses, so the transport below it is used, and what that
  would write of an answer, which may repeat the address, is kept back. Errors name their type alone.
* *An answer without end.* The body is not read at all; the status says whether the alert was taken.
"""

from __future__ import annotations

import logging
import ssl
from contextvars import ContextVar
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import msgspec
from pydantic import SecretStr

from interlock.domain.alert_notes import AlertNote, HookKind, body_of
from interlock.domain.errors import AlertNotTaken, AlertRefused, BadInput
from interlock.domain.instants import NS_PER_S, from_datetime
from interlock.runtime.actor import Context

__all__ = ["PAGERDUTY_URL", "WebhookSink", "WebhookTarget", "retry_after_s"]

PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_CHARS_MAX: Final = 2_048
_PORT_MAX: Final = 65_535
_LATER: Final = (408, 425, 429, 500, 502, 503, 504)
"""Statuses after which the same request may be taken."""
_DIGITS_MAX: Final = 9


_posting: Final = ContextVar("interlock_posting", default=False)


class _Quiet(logging.Filter):
    """Keeps back what the HTTP library logs of our own requests; a host's are left alone."""

    def filter(self, _: logging.LogRecord) -> bool:
        """Return whether the record may be seen."""
        return not _posting.get()


_QUIET: Final = _Quiet()


class WebhookTarget(msgspec.Struct, frozen=True):
    """Where alerts are posted to. ``key`` is a bearer token, or PagerDuty's routing key; empty where there is none."""

    name: str
    kind: HookKind
    url: SecretStr
    hosts: tuple[str, ...]
    key: SecretStr = SecretStr("")
    timeout_s: float = 5.0


class WebhookSink:
    """Posts each note to one target; ``where`` stands in complaints about it.

    Raises:
        BadInput: an address that cannot be used: no https, a host that is not allowed, a login in it.
    """

    opens_sockets = True

    def __init__(self, target: WebhookTarget, where: str) -> None:
        self.name = target.name
        self.timeout_s = target.timeout_s
        self._target = target
        self._url = _allowed(target, where)
        self._headers = {"content-type": "application/json", "user-agent": "interlock"}
        key = target.key.get_secret_value()
        if key and not (key.isascii() and key.isprintable() and " " not in key and len(key) <= _CHARS_MAX):
            raise BadInput(where, "its key is not one word of plain characters")
        if key and target.kind == "generic":
            self._headers["authorization"] = f"Bearer {key}"
        for library in ("httpcore.connection", "httpcore.http11"):
            logging.getLogger(library).addFilter(_QUIET)  # once: a second time changes nothing
        # Loading the certificates takes milliseconds: done once, and not while an alert waits.
        self._trust: ssl.SSLContext | bool = self._url.scheme == "https" and httpx.create_ssl_context(trust_env=False)

    async def deliver(self, note: AlertNote, ctx: Context) -> None:
        """Post one note.

        Raises:
            AlertNotTaken: no connection, no answer, or one that says to come again later.
            AlertRefused: any other answer, a redirect among them.
        """
        body = body_of(note, self._target.kind, self._target.key.get_secret_value())
        try:
            status, advice = await self._post(body)
        except (httpx.HTTPError, OSError) as error:
            raise AlertNotTaken(f"no answer: {type(error).__name__}") from error
        if 200 <= status < 300:  # noqa: PLR2004 - what HTTP calls success
            return
        if status in _LATER:
            raise AlertNotTaken(f"answered {status}", retry_after_s(advice, ctx.now_ns()))
        redirects = ", and redirects are not followed" if 300 <= status < 400 else ""  # noqa: PLR2004 - as above
        raise AlertRefused(f"answered {status}{redirects}")

    async def _post(self, body: bytes) -> tuple[int, str]:
        """Return the status and what the answer advises about coming again."""
        limits = httpx.Timeout(self.timeout_s).as_dict()
        request = httpx.Request("POST", self._url, headers=self._headers, content=body, extensions={"timeout": limits})
        posting = _posting.set(True)
        try:
            # A connection for each: alerts are rare, and nothing is left open between them.
            async with httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False) as transport:
                response = await transport.handle_async_request(request)
                try:
                    return response.status_code, response.headers.get("retry-after", "")
                finally:
                    await response.aclose()
        finally:
            _posting.reset(posting)


def retry_after_s(advice: str, now_ns: int) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number of them, or a date; None for anything else."""
    text = advice.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:_DIGITS_MAX])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at_ns = from_datetime(date if date.tzinfo is not None else date.replace(tzinfo=UTC))
    return max(0.0, (at_ns - now_ns) / NS_PER_S)


def _allowed(target: WebhookTarget, where: str) -> httpx.URL:
    """Return the address; complaints never repeat it."""
    text = target.url.get_secret_value()
    try:
        url = httpx.URL(text)
        host, port = url.host, url.port
    except (httpx.InvalidURL, ValueError):
        # Not chained: the error repeats the address.
        raise BadInput(where, "its address is no URL", "https://HOST/...") from None
    odd = len(text) > _CHARS_MAX or url.userinfo or (port is not None and not 0 < port <= _PORT_MAX)
    if odd or not host or url.scheme not in ("http", "https"):
        raise BadInput(where, "its address cannot be used", "https://HOST/... without a login in it")
    if url.scheme == "http" and host not in _LOOPBACK:
        raise BadInput(where, "its address is not encrypted", "https, or http to this machine")
    if host not in target.hosts:
        raise BadInput(where, "its address is at a host that hosts does not name", ", ".join(target.hosts))
    return url
