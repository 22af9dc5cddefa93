"""The app: the pages as routes, and every way in which a request can end as a small answer of ours.

``create_app(session)`` is for a host that mounts it in the event loop of its session; ``create_app(folder)`` looks at
the folder of a run. The app only reads. It keeps no state of its own, so that two apps do not see each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

import structlog
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from interlock.domain.errors import InterlockError
from interlock.domain.ids import canonical_json
from interlock.observe import Source, source_of
from interlock.runtime.redaction import redact_traceback, scrub
from interlock.runtime.telemetry import session_logger
from interlock.sessions import Session
from interlock.web.answers import JSON, Answer, problem, wants_openmetrics
from interlock.web.origin import FolderOrigin, LiveOrigin, Origin
from interlock.web.pages import PAGES, Page
from interlock.web.schema import SCHEMA_PATH, openapi
from interlock.web.security import METHODS, Guard, response_of, usable_token

__all__ = ["create_app"]

Endpoint = Callable[[Request], Awaitable[Response]]
Log = structlog.typing.FilteringBoundLogger

_NOT_FOUND: Final = 404


def create_app(
    what: Session | Path | Source, *, token: SecretStr | None = None, hosts: Iterable[str] = ()
) -> Starlette:
    """Return the app over a session of this event loop, the folder of a run, or any other source.

    With a ``token`` every request has to bring it. With ``hosts`` (``name:port``) every request has to be for one of
    them. A host that mounts the app where others can reach it should give a token.

    Raises:
        BadInput: the folder is not that of a whole run, or the token cannot be used.
    """
    if token is not None:
        usable_token("create_app", token.get_secret_value())
    origin = _origin_of(what)
    log = session_logger(*_names_of(what))
    schema = _schema_endpoint(token=token is not None)
    app = Starlette(
        routes=[
            *(Route(page.path, _endpoint(page, origin), methods=METHODS, name=page.name) for page in PAGES),
            Route(SCHEMA_PATH, schema, methods=METHODS, name="schema"),
        ],
        middleware=[
            Middleware(Guard, token=token, hosts=hosts),
            # Starlette's own last resort would raise again, into a server that writes unredacted tracebacks.
            Middleware(ExceptionMiddleware, handlers={Exception: _telling(log, 500, "fault", "the log has more")}),
        ],
        exception_handlers={
            HTTPException: _nothing_here,
            InterlockError: _telling(log, 503, "unavailable", "it cannot be read right now; the log has more"),
            OSError: _telling(log, 503, "unavailable", "it cannot be read right now; the log has more"),
        },
    )
    # A redirect would repeat what the request said about where it is.
    app.router.redirect_slashes = False
    return app


def _origin_of(what: Session | Path | Source) -> Origin:
    if isinstance(what, Path):
        return FolderOrigin(what)
    return LiveOrigin(source_of(what) if isinstance(what, Session) else what)


def _names_of(what: Session | Path | Source) -> tuple[str, str]:
    """Return the run and the session that log lines are about."""
    if isinstance(what, Session):
        return what.config.run_id, what.config.session.session_id
    return (scrub(what.name), "") if isinstance(what, Path) else ("", "")


def _endpoint(page: Page, origin: Origin) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        answer = await origin.answer(page, openmetrics=wants_openmetrics(request.headers.get("accept", "")))
        return response_of(answer)

    return endpoint


def _schema_endpoint(*, token: bool) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        document = openapi(request.scope.get("root_path", ""), token=token)
        return response_of(Answer(200, JSON, canonical_json(document)))

    return endpoint


async def _nothing_here(_: Request, error: Exception) -> Response:
    """Answer what has no route; the guard has answered all else that could come here."""
    status = error.status_code if isinstance(error, HTTPException) else _NOT_FOUND
    return response_of(problem(status, "not_found", f"nothing is here; {SCHEMA_PATH} says what there is"))


def _telling(log: Log, status: int, error: str, detail: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return a handler that logs what was raised, redacted, and answers without it."""

    async def handler(request: Request, raised: Exception) -> Response:
        log.error("a page could not be answered", page=request.scope["path"][:100], trace=redact_traceback(raised))
        return response_of(problem(status, error, detail))

    return handler
