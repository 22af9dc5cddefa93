"""What a message is, in a few words for a person: its type, whose order it is about, and its fields on one short line.

Works for every message there is or will be: fields are read from the message itself, what is nested one level deep
is told with it, containers are counted. Everything is redacted.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec
from pydantic import BaseModel

from interlock.domain.ids import client_order_id
from interlock.domain.money import decimal_text
from interlock.report.model import TEXT_MAX
from interlock.runtime.redaction import redact_flat, scrub

__all__ = ["Said", "described", "line_of"]

_INSIDE: Final = ("statement", "order", "intent", "answer", "report", "claim")
"""Fields that hold what a message is really about."""

_SPEAKING: Final = ("statement", "answer")
"""Those of which the message alone does not say what they are."""

_UNTOLD: Final = ("client_order_id", "fingerprint", "version", "schema")
"""What has a place of its own in a row, or says nothing to a person."""


class Said(NamedTuple):
    """One message in words."""

    kind: str
    order: str
    text: str


def described(message: object, strategy_id: str) -> Said:
    """Return a message in words; an intent is told under the client order id that it will have."""
    kind, fields = type(message).__name__, _fields(message)
    for name in _INSIDE:
        inner = fields.get(name)
        if isinstance(inner, msgspec.Struct | BaseModel):
            del fields[name]
            if name in _SPEAKING:
                kind = f"{kind} {type(inner).__name__}"
            fields = {**_fields(inner), **fields}
    key = fields.get("client_order_id")
    if not isinstance(key, str):
        decision = fields.get("decision_id")
        key = client_order_id(strategy_id, decision) if isinstance(decision, str) and decision else ""
    return Said(kind, scrub(key), line_of(fields))


def line_of(fields: Mapping[str, object]) -> str:
    """Return fields as one redacted line of ``name=value``."""
    told = {name: _told(value) for name, value in fields.items() if _says_something(name, value)}
    line = " ".join(f"{name}={value}" for name, value in redact_flat(told).items())
    return line if len(line) <= TEXT_MAX else f"{line[: TEXT_MAX - 1]}…"


def _fields(message: object) -> dict[str, object]:
    if isinstance(message, msgspec.Struct):
        return msgspec.structs.asdict(message)
    return dict(message) if isinstance(message, BaseModel) else {"value": message}


def _says_something(name: str, value: object) -> bool:
    return value is not None and value != "" and name not in _UNTOLD and not name.endswith("_ns")


def _told(value: object) -> str:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, tuple | list | dict):
        return str(len(value))
    return type(value).__name__
