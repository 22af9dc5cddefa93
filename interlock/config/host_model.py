"""The settings of a session inside a host: how much may wait, and how long an ending may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from interlock.config.section import Section
from interlock.domain.door_types import Seconds, Whole

__all__ = ["HostConfig"]


class HostConfig(Section):
    """What a host may have under way at once, and what it is kept waiting for."""

    in_flight_max: Annotated[Whole, Field(ge=1, le=10_000)] = 32
    """Submits that may be under way at once; never more than ``rails.in_flight_max`` are."""
    waiting_max: Annotated[Whole, Field(ge=0, le=100_000)] = 64
    """Submits that may wait for room beyond that; one more is refused as BUSY."""
    events_max: Annotated[Whole, Field(ge=1, le=1_000_000)] = 1024
    """Order events that are kept for a consumer who is slower than trading; then the oldest are dropped and counted."""
    shutdown_s: Annotated[Seconds, Field(gt=0, le=3600)] = 30.0
    """How long a session may take to end in good order once its host leaves; then it is abandoned."""
