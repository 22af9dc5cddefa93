"""Why an engine starts on a store that was used before (RST-2), from the marks that sessions leave in it.

A session leaves a mark when it begins and another when it has ended. One that begins without the last one having ended
comes after a crash, whatever else is true.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["RestartReason", "SessionBegun", "SessionDone", "restart_reason"]


class RestartReason(StrEnum):
    """What stood before this start."""

    FIRST = "first"
    """Nothing: the store is new."""
    CLEAN = "clean"
    CRASH = "crash"
    KILL_SWITCH = "kill_switch"
    UPGRADE = "upgrade"


class SessionBegun(msgspec.Struct, frozen=True, tag_field="schema", tag="SessionBegun/1"):
    """A session began on the store: who, with which release, and when."""

    run_id: str
    session_id: str
    version: str
    at_ns: int
    reason: RestartReason = RestartReason.FIRST


class SessionDone(msgspec.Struct, frozen=True, tag_field="schema", tag="SessionDone/1"):
    """The session that began last has ended, and how."""

    run_id: str
    status: str
    at_ns: int
    kill_switch: str = ""


def restart_reason(
    begun: SessionBegun | None, done: SessionDone | None, *, version: str, kill_switch: str
) -> RestartReason:
    """Return why a session starts now; ``done`` is the end of the last one that began, if it had one."""
    if begun is None:
        return RestartReason.KILL_SWITCH if kill_switch else RestartReason.FIRST
    if done is None:
        return RestartReason.CRASH
    if kill_switch or done.kill_switch:
        return RestartReason.KILL_SWITCH
    return RestartReason.CLEAN if begun.version == version else RestartReason.UPGRADE
