"""For tests of hosts: small sessions on virtual time, a broker that does everything wrong, and many schedules.

``pip install interlock[testing]`` brings pytest; the plugin then gives the fixtures ``interlock_session`` and
``chaos_broker`` and the marker ``explore`` to every test that asks for them, and does nothing to any other.
"""

from interlock.testing.broker import ChaosBroker
from interlock.testing.session import HostedSession
from interlock.testing.stage import ExploredFailure, Stage

__all__ = ["ChaosBroker", "ExploredFailure", "HostedSession", "Stage"]
