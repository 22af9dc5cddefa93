"""The session's state machine (ORC-1) and how it is seen from outside (ORC-2).

```
INIT -> PREFLIGHT_OK -> DRYRUN_ACTIVE -> STOPPING -> STOPPED
```
with PREFLIGHT_FAILED for a session that never began and ERROR_REQUIRES_OPERATOR for one that a person has to
look at. Stopping is idempotent: STOP and TRIP are allowed again in every state from STOPPING on. There is no way
out of ERROR_REQUIRES_OPERATOR; after a recorded reset a new session starts at INIT.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from interlock.domain.tables import Table

__all__ = ["SESSION_TABLE", "STATUS_OF", "TERMINAL_STATES", "SessionEvent", "SessionState", "SessionStatus"]


class SessionState(StrEnum):
    """Where a session is."""

    INIT = "INIT"
    PREFLIGHT_OK = "PREFLIGHT_OK"
    DRYRUN_ACTIVE = "DRYRUN_ACTIVE"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    PREFLIGHT_FAILED = "PREFLIGHT_FAILED"
    ERROR_REQUIRES_OPERATOR = "ERROR_REQUIRES_OPERATOR"


class SessionEvent(StrEnum):
    """What moves a session."""

    PREFLIGHT_PASSED = "PREFLIGHT_PASSED"
    PREFLIGHT_REJECTED = "PREFLIGHT_REJECTED"
    ACTIVATE = "ACTIVATE"
    STOP = "STOP"
    TRIP = "TRIP"
    DRAINED = "DRAINED"
    """Nothing is left open and the last reconcile agreed."""
    OPERATOR_NEEDED = "OPERATOR_NEEDED"
    """The stop ended, but after a trip, or with something left that only a person can settle."""


class SessionStatus(StrEnum):
    """What a snapshot shows to the outside."""

    INIT = "INIT"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


_S, _E = SessionState, SessionEvent

SESSION_TABLE: Final[Table[SessionState, SessionEvent]] = Table(
    "session",
    SessionState,
    SessionEvent,
    {
        (_S.INIT, _E.PREFLIGHT_PASSED): _S.PREFLIGHT_OK,
        (_S.INIT, _E.PREFLIGHT_REJECTED): _S.PREFLIGHT_FAILED,
        (_S.INIT, _E.STOP): _S.STOPPING,
        (_S.INIT, _E.TRIP): _S.STOPPING,
        (_S.PREFLIGHT_OK, _E.ACTIVATE): _S.DRYRUN_ACTIVE,
        (_S.PREFLIGHT_OK, _E.STOP): _S.STOPPING,
        (_S.PREFLIGHT_OK, _E.TRIP): _S.STOPPING,
        (_S.DRYRUN_ACTIVE, _E.STOP): _S.STOPPING,
        (_S.DRYRUN_ACTIVE, _E.TRIP): _S.STOPPING,
        (_S.STOPPING, _E.STOP): _S.STOPPING,
        (_S.STOPPING, _E.TRIP): _S.STOPPING,
        (_S.STOPPING, _E.DRAINED): _S.STOPPED,
        (_S.STOPPING, _E.OPERATOR_NEEDED): _S.ERROR_REQUIRES_OPERATOR,
        (_S.STOPPED, _E.STOP): _S.STOPPED,
        (_S.STOPPED, _E.TRIP): _S.ERROR_REQUIRES_OPERATOR,
        (_S.PREFLIGHT_FAILED, _E.STOP): _S.PREFLIGHT_FAILED,
        (_S.PREFLIGHT_FAILED, _E.TRIP): _S.PREFLIGHT_FAILED,
        (_S.ERROR_REQUIRES_OPERATOR, _E.STOP): _S.ERROR_REQUIRES_OPERATOR,
        (_S.ERROR_REQUIRES_OPERATOR, _E.TRIP): _S.ERROR_REQUIRES_OPERATOR,
    },
)

STATUS_OF: Final[Mapping[SessionState, SessionStatus]] = MappingProxyType(
    {
        SessionState.INIT: SessionStatus.INIT,
        SessionState.PREFLIGHT_OK: SessionStatus.RUNNING,
        SessionState.DRYRUN_ACTIVE: SessionStatus.RUNNING,
        SessionState.STOPPING: SessionStatus.RUNNING,
        SessionState.STOPPED: SessionStatus.COMPLETED,
        SessionState.PREFLIGHT_FAILED: SessionStatus.REJECTED,
        SessionState.ERROR_REQUIRES_OPERATOR: SessionStatus.FAILED,
    }
)

TERMINAL_STATES: Final = (
    SessionState.STOPPED,
    SessionState.PREFLIGHT_FAILED,
    SessionState.ERROR_REQUIRES_OPERATOR,
)
