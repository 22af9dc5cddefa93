"""The settings of the mock strategy: what is submitted and cancelled, and when."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from interlock.config.section import DAY_S, Section
from interlock.domain.door_types import Seconds, Whole
from interlock.domain.intents import Identifier, OrderIntent
from interlock.domain.money import Price, Quantity

__all__ = ["DayConfig", "StepConfig", "StrategyConfig"]


class StepConfig(Section):
    """One line of a script: at a time, submit an intent or cancel a decision's order."""

    at_s: Annotated[Seconds, Field(ge=0, le=31 * DAY_S)]
    submit: OrderIntent | None = None
    cancel: Identifier | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.submit is None) == (self.cancel is None):
            message = "a step has either submit or cancel"
            raise ValueError(message)
        return self


class DayConfig(Section):
    """A drawn day of trading."""

    orders: Annotated[Whole, Field(ge=1, le=1_000_000)]
    every_s: Annotated[Seconds, Field(gt=0, le=3600)]
    lot: Quantity
    lots_max: Annotated[Whole, Field(ge=1, le=1_000_000)]
    offset_ticks_max: Annotated[Whole, Field(ge=0, le=1000)] = 3
    tick_size: Price = Decimal("0.01")
    market_permille: Annotated[Whole, Field(ge=0, le=1000)] = 200
    cancel_permille: Annotated[Whole, Field(ge=0, le=1000)] = 250
    cancel_after_s: Annotated[Seconds, Field(ge=0, le=3600)] = 45.0


class StrategyConfig(Section):
    """What the mock strategy does: its script, then its day; then it lingers and stops the session."""

    script: Annotated[tuple[StepConfig, ...], Field(max_length=100_000)] = ()
    day: DayConfig | None = None
    in_flight_max: Annotated[Whole, Field(ge=1, le=10_000)] = 16
    linger_s: Annotated[Seconds, Field(ge=0, le=DAY_S)] = 30.0
