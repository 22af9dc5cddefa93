"""A broker of your own, and its certificate.

``adapter.py`` speaks a venue's language behind the ports, ``double.py`` is that venue in memory, made to misbehave.
Run it in this folder's grandparent, where the package ``examples`` is:

    interlock certify examples.custom_broker:target
"""

from __future__ import annotations

from examples.custom_broker.double import Double
from interlock.certify import Bench

__all__ = ["target"]


def target() -> Bench:
    """Return a fresh adapter with its double."""
    return Double()
