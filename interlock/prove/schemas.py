"""The JSON Schemas of what goes in and out of files, made from the models that read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import BaseModel

from interlock.config.model import SessionConfig
from interlock.domain.errors import BadInput
from interlock.domain.intents import OrderIntent
from interlock.mocks.recording import RecordedFill
from interlock.prove.model import ProofConfig
from interlock.prove.records import BROKER_EVENTS, CacheEntry, CacheHeader, OrderVersion

__all__ = ["SCHEMAS", "schema_of"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Format(NamedTuple):
    about: str
    make: Callable[[], dict[str, Any]]


def _structs(*shapes: type[msgspec.Struct]) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        (made,), components = msgspec.json.schema_components([_union(shapes)], ref_template="#/$defs/{name}")
        return {"$schema": _DIALECT, **made, "$defs": components}

    return make


def _union(shapes: tuple[type[msgspec.Struct], ...]) -> Any:
    kinds: Any = shapes[0]
    for shape in shapes[1:]:
        kinds |= shape
    return kinds


def _model(model: type[BaseModel]) -> Callable[[], dict[str, Any]]:
    return lambda: {"$schema": _DIALECT, **model.model_json_schema()}


SCHEMAS: Final = {
    "broker-event": _Format("a line of a broker's log, for proofs", _structs(*BROKER_EVENTS)),
    "order-version": _Format("a line of an order journal, for proofs", _structs(OrderVersion)),
    "order-id-cache-header": _Format("the first line of an idempotency cache", _structs(CacheHeader)),
    "order-id-cache-entry": _Format("every other line of an idempotency cache", _structs(CacheEntry)),
    "proof-config": _Format("a proof: its inputs and what is expected of it", _model(ProofConfig)),
    "session-config": _Format("the settings of a session", _model(SessionConfig)),
    "order-intent": _Format("what a host wants done", _model(OrderIntent)),
    "recorded-fill": _Format("a line of a recording", _model(RecordedFill)),
}
"""Every format by name."""


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one format; raises BadInput for a name that there is not."""
    if name not in SCHEMAS:
        raise BadInput(f"schema {name[:40]!r}", "is not known", ", ".join(SCHEMAS))
    return SCHEMAS[name].make()
