"""Interlock inside a host: one session in the host's own event loop, from ``async with`` to its last record."""

from interlock.host.feed import EventsMissed, OrderUpdate, OrderUpdates
from interlock.host.opening import open_session
from interlock.host.session import HostSession, HostStatus

__all__ = ["EventsMissed", "HostSession", "HostStatus", "OrderUpdate", "OrderUpdates", "open_session"]
