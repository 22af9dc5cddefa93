"""Logging: structlog lines, redacted and bound to the session; the host decides how they look and where they go.

Nothing is configured here. Lines go through the standard library's logger named ``interlock``, which is silent
until the host gives it a handler, unless the host passes a structlog logger of its own.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import structlog

from interlock.runtime.redaction import redact

__all__ = ["LOGGER_NAME", "session_logger"]

LOGGER_NAME: Final = "interlock"


def session_logger(
    run_id: str, session_id: str, logger: structlog.typing.WrappedLogger | None = None
) -> structlog.typing.FilteringBoundLogger:
    """Return a logger bound to one session. ``logger`` is what structlog wraps, by default the standard library's."""
    wrapped = structlog.wrap_logger(
        logger or _silent_logger(),
        processors=[_redacted, structlog.processors.KeyValueRenderer(key_order=["event", "actor"], sort_keys=True)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    bound: structlog.typing.FilteringBoundLogger = wrapped.bind(run_id=run_id, session_id=session_id)
    return bound


def _silent_logger() -> logging.Logger:
    library = logging.getLogger(LOGGER_NAME)
    if not library.handlers:
        # Without any handler the standard library would print warnings to the host's terminal.
        library.addHandler(logging.NullHandler())
    return library


def _redacted(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    cleaned = redact(event)
    return cleaned if isinstance(cleaned, dict) else {}
