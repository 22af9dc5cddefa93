"""Canonical JSON and the stable ids made from it.

Canonical means: keys sorted, no white space, UTF-8, decimals as strings, so that equal content is equal
bytes on every machine. ``stable_id`` hashes such bytes; the same fields give the same id in every process.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

__all__ = ["canonical_json", "client_order_id", "fingerprint", "sha256_hex", "stable_id"]

_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="string")
_ID_LENGTH = 32
"""Hex digits kept of the hash: 128 bits, beyond any chance of two decisions sharing a key."""


def canonical_json(value: Any) -> bytes:
    """Return the one JSON text of ``value`` (dicts, sequences, strings, numbers, decimals, structs)."""
    return _ENCODER.encode(value)


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def stable_id(*parts: object) -> str:
    """Return 32 hex digits that depend on the content of ``parts`` and on nothing else."""
    return hashlib.sha256(_ENCODER.encode(parts)).hexdigest()[:_ID_LENGTH]


def client_order_id(strategy_id: str, decision_id: str) -> str:
    """Return the idempotency key of one intent.

    It depends on the decision alone, not on the run: the same decision in a second run, or after a restart,
    has the same key, and that is what keeps it from being sent twice.
    """
    return "il-" + stable_id("order", strategy_id, decision_id)[:24]


def fingerprint(*content: object) -> str:
    """Return the SHA-256 over what an order *is*; never over times or retry counts (IDM-1)."""
    return sha256_hex(_ENCODER.encode(content))
