"""Every error Interlock raises, split by whose fault it is and by what is known afterwards.

Four families, and nothing is in two of them:

* ``BadInput``: the person or host that called us gave something we cannot take. Nothing was done.
* ``BrokerError``: the other side, or the way to it. The subclass says what is *known*: ``NotProcessed``
  proves that the request had no effect, ``OutcomeUnknown`` says that nobody can tell yet. They share no
  parent below ``BrokerError``, so a handler for one can never catch the other.
* ``Broken``: one of our own promises does not hold. Always a way into the trip path.
* ``StorageError``: the disk, a sink or the store.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "AlertNotTaken",
    "AlertRefused",
    "AlertSinkError",
    "BadInput",
    "Broken",
    "BrokerError",
    "DeadlineExceeded",
    "Deadlock",
    "IllegalTransition",
    "InterlockError",
    "InvariantBroken",
    "Nondeterminism",
    "NotProcessed",
    "NotSent",
    "OutcomeUnknown",
    "RateLimited",
    "Refused",
    "SessionOver",
    "SessionRejected",
    "SinkBroken",
    "StorageError",
    "StoreDamaged",
    "StoreOwned",
    "StoreRefused",
    "UnknownMessage",
    "UnknownSchema",
    "Unreachable",
    "Withheld",
]


class InterlockError(Exception):
    """The base of every error raised by this package."""


class BadInput(InterlockError):
    """Input that was refused before anything happened.

    ``where`` is a file, a file with its line, a key or an argument; ``what`` says what is wrong with it;
    ``allowed`` what would have been taken. The text is one line, fit for a terminal.
    """

    def __init__(self, where: str, what: str, allowed: str = "") -> None:
        self.where = where
        self.what = what
        self.allowed = allowed
        tail = f" (allowed: {allowed})" if allowed else ""
        super().__init__(" ".join(f"{where}: {what}{tail}".split()))


class UnknownSchema(BadInput):
    """A record names a schema or a version that this release does not read."""


class BrokerError(InterlockError):
    """The broker, or the way to it, did not give a normal answer."""


class NotProcessed(BrokerError):
    """A typed answer that proves the request had no effect: it may be repeated under its key."""


class RateLimited(NotProcessed):
    """The broker turned the request away for its rate; ``retry_after_s`` is its own advice, if it gave one."""

    def __init__(self, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        advice = "" if retry_after_s is None else f", retry after {retry_after_s} s"
        super().__init__(f"RATE_LIMITED: not processed{advice}")


class NotSent(NotProcessed):
    """The request failed before its first byte left us."""


class Refused(NotProcessed):
    """The broker said a definite no to this call, whatever is asked of it; ``code`` is its own. Never repeated."""

    def __init__(self, code: str, reason: str = "") -> None:
        self.code = code
        super().__init__(f"{code}: {reason}" if reason else code)


class Withheld(NotProcessed):
    """Our own last check before the send said no; ``code`` names the rail or budget. Never repeated."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(f"{code}: {reason}")


class OutcomeUnknown(BrokerError):
    """The request may or may not have been processed. Only asking settles it; it is never repeated."""


class Unreachable(OutcomeUnknown):
    """The broker gave no answer, or none that says anything: to a question nothing, of an order that it may be live."""


class SessionRejected(InterlockError):
    """A session did not begin; ``codes`` name every reason, the first one first, and nothing was sent."""

    def __init__(self, codes: tuple[str, ...], reason: str) -> None:
        self.codes = codes
        super().__init__(f"{', '.join(codes)}: {reason}")


class SessionOver(InterlockError):
    """The session has ended, and with it what was asked of it."""


class Broken(InterlockError):
    """One of our own promises does not hold; the session trips."""


class InvariantBroken(Broken):
    """A hard invariant of SAF-1 does not hold; ``code`` names it, ``evidence`` is what an operator needs."""

    def __init__(self, code: str, message: str, evidence: Mapping[str, object] | None = None) -> None:
        self.code = code
        self.evidence = dict(evidence or {})
        super().__init__(f"{code}: {message}")


class IllegalTransition(Broken):
    """A (state, event) pair that the table does not hold. Nothing was changed."""

    def __init__(self, machine: str, state: str, event: str) -> None:
        self.machine = machine
        self.state = state
        self.event = event
        super().__init__(f"{machine}: event {event} is not allowed in state {state}")


class UnknownMessage(Broken):
    """An actor was handed a message it has no handler for."""


class Nondeterminism(Broken):
    """An actor awaited something that is not an operation of its context."""


class Deadlock(Broken):
    """Actors wait on each other's full mailboxes; ``chain`` names who waits on whom."""

    def __init__(self, chain: tuple[str, ...]) -> None:
        self.chain = chain
        super().__init__("deadlock: " + "; ".join(chain))


class DeadlineExceeded(InterlockError):
    """A wait outlived its deadline on the injected clock."""


class StorageError(InterlockError):
    """The disk, a sink or the store failed."""


class SinkBroken(StorageError):
    """A sink kept failing after all its retries."""


class AlertSinkError(StorageError):
    """An alert sink did not take an alert. The text holds no address and no key."""


class AlertNotTaken(AlertSinkError):
    """It may take it later; ``retry_after_s`` is its own advice, if it gave one."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class AlertRefused(AlertSinkError):
    """It never will take this one: repeating is of no use."""


class StoreRefused(StorageError):
    """The store cannot be trusted or cannot take more; nothing was written."""


class StoreOwned(StoreRefused):
    """Somebody else owns the store; the text says who."""


class StoreDamaged(StoreRefused):
    """The store does not hold what was written to it; the text names the file, the record, and what to do."""
