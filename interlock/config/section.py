"""What every section of the settings is: frozen, and closed to keys that it does not know."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from interlock.domain.door_types import Seconds, Whole

__all__ = ["DAY_S", "RetryConfig", "Section"]

DAY_S: Final = 86_400.0


class Section(BaseModel):
    """One section."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RetryConfig(Section):
    """How calls that were proven not processed are repeated. Preflight judges whether it is sane (ORC-3)."""

    attempts_max: Whole = 4
    duration_max_s: Seconds = 30.0
    wait_initial_s: Seconds = 0.25
    wait_max_s: Seconds = 5.0
    jitter_s: Seconds = 0.25
