"""The schema of the app, as OpenAPI: made from the table of pages and the types of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from interlock.runtime.run_folder import VERSION
from interlock.web.answers import JSON, Problem
from interlock.web.pages import PAGES

__all__ = ["SCHEMA_PATH", "openapi"]

SCHEMA_PATH: Final = "/openapi.json"

_REFERENCE: Final = "#/components/schemas/{name}"
_SAID: Final = {
    200: "What was asked for.",
    401: "The token is missing, or is another.",
    404: "There is none.",
    500: "A fault of ours; the log has more.",
    503: "Not well, not ready, or not to be had right now.",
}

Content = dict[str, dict[str, Any]]
"""JSON schemas by media type."""


def openapi(root_path: str, *, token: bool) -> dict[str, Any]:
    """Return the schema of the app below ``root_path``; ``token`` says whether it asks for one."""
    found = {type_ for page in PAGES for media in page.answers.values() for type_ in media.values() if type_}
    types = sorted(found | {Problem}, key=lambda type_: type_.__name__)
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    paths = {
        page.path: _path(
            page.name, page.summary, {status: _content(media) for status, media in page.answers.items()}, token=token
        )
        for page in PAGES
    }
    paths[SCHEMA_PATH] = _path("schema", "This schema", {200: {JSON: {"type": "object"}}}, token=token)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Interlock",
            "version": VERSION,
            "summary": "A look at one session or at the folder of a run; nothing can be changed here",
        },
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
        "components": {"schemas": components},
    }
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _content(media: Mapping[str, type[msgspec.Struct] | None]) -> Content:
    """Return the JSON schema of each media type; parameters such as a version are no part of its name."""
    return {
        name.partition(";")[0]: {"type": "string"} if type_ is None else _reference(type_)
        for name, type_ in media.items()
    }


def _path(name: str, summary: str, answers: Mapping[int, Content], *, token: bool) -> dict[str, Any]:
    """Return both operations of a path: GET with its answers, HEAD with the same ones without a body."""
    trouble = _reference(Problem)
    told: dict[int, Content] = {**answers, 500: {JSON: trouble}}
    # Any page can be out of reach for a moment, which is no view of its own.
    usual = told.get(503, {}).get(JSON)
    told[503] = {JSON: trouble if usual is None else {"anyOf": [usual, trouble]}}
    if token:
        told[401] = {JSON: trouble}
    get = {
        str(status): {"description": _SAID[status], "content": {kind: {"schema": of} for kind, of in content.items()}}
        for status, content in sorted(told.items())
    }
    head = {status: {"description": said["description"]} for status, said in get.items()}
    return {
        "get": {"operationId": name, "summary": summary, "responses": get},
        "head": {"operationId": f"{name}_head", "summary": f"{summary}: the status alone", "responses": head},
    }


def _reference(type_: type[msgspec.Struct]) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(name=type_.__name__)}
