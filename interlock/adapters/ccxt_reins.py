"""What an exchange of ccxt is held by: nothing is sent outside of a read, and what comes is exact and whole.

Put before a class of ccxt among the parents of a new one. It shuts the two methods by which all that ccxt sends goes,
and takes four habits off: JSON numbers become floats, an answer that is no JSON passes for an empty one, lists are
filtered and cut after they came, and amounts that are missing are filled in. Methods are named and called as in ccxt.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from typing import Any, Final

from interlock.adapters.ccxt_errors import retry_after_s
from interlock.adapters.ccxt_settings import Known
from interlock.domain.errors import Refused

__all__ = ["READING", "TOLD", "Reading", "Reins"]

TOLD: Final = "told"
"""Where an order of ccxt has its amounts as they were before ccxt filled in what was missing."""

_AMOUNTS: Final = ("amount", "filled", "remaining", "price")


class Reading:
    """One read that is under way, and what the exchange has said about its rate."""

    retry_s: float | None = None


READING: Final[ContextVar[Reading | None]] = ContextVar("interlock_ccxt_read", default=None)
"""The read that is under way here, and in the tasks that ccxt makes for it."""

_SILENT: Final = logging.Logger("interlock.adapters.ccxt", logging.CRITICAL + 1)  # noqa: LOG001 - of no tree: it is mute
_Ccxt: Any = object


class Reins(_Ccxt):  # type: ignore[misc]  # its other parent is known once ccxt is imported
    """The first parent of an exchange that is read."""

    known: Known | None = None
    bad_response: type[Exception]
    no_redirection: Any
    """A trace of the HTTP client that breaks a redirection off."""
    logger = _SILENT
    """ccxt logs each request with its signed headers."""

    def log(self, *_: object) -> None:
        """Print nothing."""

    async def fetch2(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Send, within a read; believe an answer that has the right shape."""
        self._need_reading()
        known = self.known
        if known is None:
            return await super().fetch2(path, *args, **kwargs)
        if path not in known.answers:
            raise Refused("READ_ONLY", f"{self.id}: {path} is not among what a reader may ask for")
        answer = await super().fetch2(path, *args, **kwargs)
        missing = _missing(answer, known.answers[path])
        if missing is not None:
            raise self.bad_response(f"{self.id} {path}: an answer without {missing}")
        return answer

    async def fetch(self, *args: Any, **kwargs: Any) -> Any:
        """Pass on JSON alone: text that is none would be read as an empty account."""
        self._need_reading()
        answer = await super().fetch(*args, **kwargs)
        if not isinstance(answer, dict | list):
            raise self.bad_response(f"{self.id} an answer that is no JSON")
        return answer

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Open a session that follows no redirection: signed headers would go along."""
        before = self.session
        super().open(*args, **kwargs)
        if self.session is not None and self.session is not before:
            self.session.trace_configs.append(self.no_redirection)

    def client(self, *_: object) -> Any:
        """Open no stream: what is sent there does not come by ``fetch``."""
        raise Refused("READ_ONLY", f"{self.id}: no streams")

    def on_json_response(self, text: str) -> Any:
        """Read numbers as they are written."""
        return json.loads(text, parse_float=str, parse_constant=_no_number, object_pairs_hook=_once_each)

    def handle_errors(self, *args: Any) -> Any:
        """Keep what the exchange says about its rate."""
        reading, headers = READING.get(), args[4]
        if reading is not None and headers:
            reading.retry_s = retry_after_s(headers.items())
        return super().handle_errors(*args)

    def filter_by_symbol_since_limit(self, array: Any, *_: object, **__: object) -> Any:
        """Keep everything that came: how much it was says whether it was all."""
        return list(self.to_array(array))

    def safe_order(self, order: Any, market: Any = None) -> Any:
        """Keep the amounts as they were told."""
        told = {name: order.get(name) for name in _AMOUNTS}
        return {**super().safe_order(order, market), TOLD: told}

    def _need_reading(self) -> None:
        if READING.get() is None:
            raise Refused("READ_ONLY", f"{self.id}: nothing is sent outside of a read")


def _missing(answer: Any, keys: tuple[str, ...]) -> str | None:
    """Return the first of the keys, each below the one before, that an answer does not have."""
    for key in keys:
        if not isinstance(answer, dict) or key not in answer:
            return key
        answer = answer[key]
    return None


def _no_number(constant: str) -> Any:
    message = f"{constant} is no number"
    raise ValueError(message)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    kept = dict(pairs)
    if len(kept) != len(pairs):
        message = "a key stands twice"
        raise ValueError(message)
    return kept
