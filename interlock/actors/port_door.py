"""The door to an adapter: one call at a time through it, and nothing comes out but answers and ``BrokerError``.

An adapter is foreign code on a foreign network. Whatever it raises beyond its contract is recorded with its type and
taken for the worst: to a question for no answer, of an order for an outcome that nobody knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from interlock.domain.errors import BrokerError, DeadlineExceeded, OutcomeUnknown, Unreachable
from interlock.runtime.actor import Context
from interlock.runtime.redaction import redact_exception

__all__ = ["REASON_MAX", "PortDoor"]

T = TypeVar("T")

REASON_MAX: Final = 300
"""Characters of what an adapter says that are passed on."""


class PortDoor:
    """Calls of one actor to one adapter, each bounded by ``timeout_s`` on the session's clock."""

    def __init__(self, ctx: Context, adapter: str, timeout_s: float) -> None:
        self.adapter = adapter
        self._ctx = ctx
        self._timeout_s = timeout_s

    async def ask(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a question.

        Raises:
            BrokerError: there was none; ``Unreachable`` also for whatever the adapter should not have raised.
        """
        try:
            with self._ctx.deadline(self._timeout_s):
                return await call()
        except BrokerError:
            raise
        except DeadlineExceeded as error:
            raise Unreachable(str(error)) from error
        except Exception as error:  # the door: nothing foreign gets past it
            raise Unreachable(self.broke(what, error)) from error

    async def order(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a call that changes something there.

        Raises:
            BrokerError: there was none; ``OutcomeUnknown`` also for whatever the adapter should not have raised.
        """
        try:
            with self._ctx.deadline(self._timeout_s):
                return await call()
        except BrokerError:
            raise
        except DeadlineExceeded as error:
            raise OutcomeUnknown(str(error)) from error
        except Exception as error:  # as above
            raise OutcomeUnknown(self.broke(what, error)) from error

    def broke(self, what: str, error: Exception) -> str:
        """Record what an adapter should not have raised, and return it as one line."""
        ctx, kind = self._ctx, type(error).__name__
        text = f"{what} raised {kind}: {redact_exception(error)}"[:REASON_MAX]
        ctx.count("adapter_errors_total")
        ctx.audit("ADAPTER_RAISED", text, {"adapter": self.adapter, "call": what, "error": kind}, "ERROR")
        return text
