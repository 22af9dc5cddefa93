"""The one door for what ccxt raises: each of its errors becomes one of ours, on one line, without keys.

The table goes by the names of ccxt's classes, the nearest in an error's family counts, so that nothing here needs ccxt.
All calls are questions: what is in no line of the table says nothing about the account, and is ``Unreachable``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import quote, quote_plus

from interlock.domain.errors import BrokerError, NotSent, RateLimited, Refused, Unreachable
from interlock.runtime.redaction import REDACTED, scrub

__all__ = ["NO_SUCH_ORDER", "retry_after_s", "shown", "translated"]

Meaning = Literal["RATE", "NO", "NOT_SENT", "SILENCE"]

NO_SUCH_ORDER: Final = "OrderNotFound"
"""The code of the ``Refused`` that says that the exchange does not know an order."""

_MEANINGS: Final[dict[str, Meaning]] = {
    # turned away for the rate
    "RateLimitExceeded": "RATE",
    "DDoSProtection": "RATE",
    # a definite no to this call, however often it is asked
    "AuthenticationError": "NO",
    "PermissionDenied": "NO",
    "AccountNotEnabled": "NO",
    "AccountSuspended": "NO",
    "ArgumentsRequired": "NO",
    "BadRequest": "NO",
    "BadSymbol": "NO",
    "InvalidProxySettings": "NO",
    "ManualInteractionNeeded": "NO",
    "NotSupported": "NO",
    "OrderNotFound": "NO",
    "RestrictedLocation": "NO",
    # it was closed here, before anything left
    "ExchangeClosedByUser": "NOT_SENT",
    # no answer, or none that says anything
    "NetworkError": "SILENCE",
    "RequestTimeout": "SILENCE",
    "ExchangeNotAvailable": "SILENCE",
    "OnMaintenance": "SILENCE",
    "InvalidNonce": "SILENCE",
    "ChecksumError": "SILENCE",
    "BadResponse": "SILENCE",
    "NullResponse": "SILENCE",
    "OperationFailed": "SILENCE",
    "ExchangeError": "SILENCE",
    "BaseError": "SILENCE",
}

_TEXT_MAX: Final = 240
_SECRET_MIN: Final = 4
_DELAY_MAX_S: Final = 86_400
_QUERY: Final = re.compile(r"\?\S*")


def translated(
    error: Exception, exchange: str, *, secrets: Iterable[str] = (), retry_s: float | None = None
) -> BrokerError:
    """Return what ``error`` means; ``retry_s`` is the advice that came with it.

    The caller raises it outside of its handler, so that no text of ccxt, which holds addresses and signatures, hangs
    on to it as its cause.
    """
    meaning = next((_MEANINGS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _MEANINGS), None)
    name = type(error).__name__
    if meaning is None:
        # What ccxt stumbled over is a piece of the answer: its type is enough.
        return Unreachable(f"{exchange}: an answer that ccxt cannot read ({name})")
    text = shown(str(error).removeprefix(f"{exchange} "), secrets)
    if meaning == "RATE":
        return RateLimited(retry_s)
    if meaning == "NO":
        return Refused(name, f"{exchange}: {text}")
    if meaning == "NOT_SENT":
        return NotSent(f"{exchange}: {name}: {text}")
    return Unreachable(f"{exchange}: {name}: {text}")


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` on one line that may be shown: no key, no query of an address, no end."""
    for secret in secrets:
        if len(secret) >= _SECRET_MIN:
            for form in (secret, quote(secret, safe=""), quote_plus(secret)):
                text = text.replace(form, REDACTED)
    return scrub(" ".join(_QUERY.sub("?...", text).split()))[:_TEXT_MAX]


def retry_after_s(headers: Iterable[tuple[str, str]]) -> float | None:
    """Return how many seconds an answer says to wait; None where it says none, or names a date."""
    for name, value in headers:
        text = value.strip()
        if name.lower() == "retry-after" and text.isascii() and text.isdecimal() and len(text) < len(str(2**32)):
            return float(min(int(text), _DELAY_MAX_S))
    return None
