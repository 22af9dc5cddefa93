"""Sessions: one run of all actors, on virtual time or in a host's event loop, and how it ended."""

from interlock.sessions.real_time import RealTimeSession
from interlock.sessions.session import LiveRequest, LiveTestOverride, Session, SessionResult
from interlock.sessions.stepped_session import RestartedSession, SteppedSession

__all__ = [
    "LiveRequest",
    "LiveTestOverride",
    "RealTimeSession",
    "RestartedSession",
    "Session",
    "SessionResult",
    "SteppedSession",
]
