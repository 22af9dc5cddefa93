"""The tree of settings of one session. Every limit has a value; nothing is ever "unlimited".

Numbers come as text from YAML and as numbers from ``run.json``; both are taken, exactly. Durations are in seconds,
quantities and prices are decimals. Unknown keys are refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from interlock.domain.broker import FeeCurrency
from interlock.domain.door_types import Flag, Instant, Seconds, Whole
from interlock.domain.findings import Severity
from interlock.domain.intents import Identifier, OrderIntent, Symbol
from interlock.domain.money import Amount, Price, Quantity, SignedQuantity
from interlock.mocks.faults import FaultPlan

__all__ = [
    "BookConfig",
    "BrokerConfig",
    "DayConfig",
    "InstrumentConfig",
    "OpeningConfig",
    "RailsConfig",
    "ReconcileConfig",
    "RetryConfig",
    "SessionConfig",
    "SessionSection",
    "SettleConfig",
    "SinksConfig",
    "StepConfig",
    "StrategyConfig",
]

_DAY = 86_400.0

Name = Annotated[str, Field(max_length=200)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SessionSection(_Section):
    """Who runs, for how long, and who runs next."""

    session_id: Identifier
    strategy_id: Name = ""
    run_id: Name | None = None
    """None: made of session id and seed. Preflight judges both names (ORC-3), so that a bad one has its code."""
    seed: Annotated[Whole, Field(ge=0, le=2**63 - 1)] = 0
    scheduler: Literal["fifo", "random"] = "fifo"
    start_utc: Instant = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    duration_s: Annotated[Seconds, Field(gt=0, le=31 * _DAY)] = 3600.0
    max_steps: Annotated[Whole, Field(ge=1, le=100_000_000)] = 2_000_000
    check_every_s: Annotated[Seconds, Field(ge=1, le=_DAY)] = 30.0
    heartbeat_timeout_s: Annotated[Seconds, Field(ge=1, le=_DAY)] = 900.0
    drain_every_s: Annotated[Seconds, Field(gt=0, le=3600)] = 5.0
    drains_max: Annotated[Whole, Field(ge=1, le=10_000)] = 60
    cancel_on_stop: Flag = True
    strategy_allowlist: tuple[str, ...] | None = None
    """None: the packaged default."""


class InstrumentConfig(_Section):
    """One symbol: its price path at the mock broker, and its caps."""

    symbol: Symbol
    price: Price
    tick_size: Price = Decimal("0.01")
    points: Annotated[tuple[Price, ...], Field(max_length=100_000)] = ()
    pip_size: Price | None = None
    max_order_quantity: Quantity
    max_order_notional: Quantity
    max_position: Quantity | None = None
    """None: a hundred of the largest orders."""
    collar_pct: Annotated[Amount, Field(gt=0, le=100)] | None = None
    """How far a limit price may lie from the reference price, in percent; None: no collar."""
    allow_short: Flag = False


class OpeningConfig(_Section):
    """What we believe the account holds at the beginning."""

    cash: Amount | None = None
    positions: dict[Symbol, SignedQuantity] = {}


class BookConfig(_Section):
    """What the mock broker says the account holds, where it is not what we believe."""

    cash: Amount | None = None
    positions: dict[Symbol, SignedQuantity] | None = None
    orders: Annotated[tuple[OrderIntent, ...], Field(max_length=1000)] = ()
    """Orders open there that we know nothing of; the decision id serves as client order id."""


class BrokerConfig(_Section):
    """The mock broker: names, latencies, fees, its own book, and its faults."""

    kind: Literal["mock", "recording"] = "mock"
    venue: Identifier = "mock"
    sub_ledger: Identifier = "main"
    """Which of the venue's books is traded; part of every order's fingerprint."""
    request_latency_s: Annotated[Seconds, Field(ge=0, le=60)] = 0.02
    report_latency_s: Annotated[Seconds, Field(ge=0, le=60)] = 0.03
    price_every_s: Annotated[Seconds, Field(gt=0, le=3600)] = 10.0
    timeout_s: Annotated[Seconds, Field(gt=0, le=300)] = 5.0
    fee_bps: Amount = Decimal(0)
    fee_currency: FeeCurrency = FeeCurrency.QUOTE
    lot: Quantity = Decimal("0.0001")
    book: BookConfig | None = None
    faults: FaultPlan = FaultPlan()


class RailsConfig(_Section):
    """Caps and budgets of the whole session."""

    max_live_orders: Annotated[Whole, Field(ge=1, le=100_000)] = 500
    in_flight_max: Annotated[Whole, Field(ge=1, le=10_000)] = 32
    attempts_per_order: Annotated[Whole, Field(ge=1, le=1000)] = 60
    attempts_per_minute: Annotated[Whole, Field(ge=1, le=1_000_000)] = 600
    cash_buffer: Annotated[Amount, Field(ge=0, le=1)] = Decimal("0.01")
    """Share of a buy's value that is kept free on top of it, for fees and for a market that moves."""
    daily_loss_cap: Quantity = Decimal(1_000_000)
    messages_max: Annotated[Whole, Field(ge=1, le=1_000_000)] = 600
    messages_window_s: Annotated[Seconds, Field(gt=0, le=_DAY)] = 60.0
    repeats_max: Annotated[Whole, Field(ge=1, le=1_000_000)] = 10
    repeats_window_s: Annotated[Seconds, Field(gt=0, le=_DAY)] = 60.0
    reduce_only: Flag = False


class RetryConfig(_Section):
    """How calls that were proven not processed are repeated. Preflight judges whether it is sane (ORC-3)."""

    attempts_max: Whole = 4
    duration_max_s: Seconds = 30.0
    wait_initial_s: Seconds = 0.25
    wait_max_s: Seconds = 5.0
    jitter_s: Seconds = 0.25


class SettleConfig(_Section):
    """How an order in doubt is settled by asking."""

    interval_s: Annotated[Seconds, Field(gt=0, le=3600)] = 2.0
    settle_after_s: Annotated[Seconds, Field(gt=0, le=_DAY)] = 30.0
    deadline_s: Annotated[Seconds, Field(gt=0, le=_DAY)] = 120.0
    asks_max: Annotated[Whole, Field(ge=1, le=1000)] = 64


class EscalationConfig(_Section):
    """One row of the escalation matrix: for a highest severity and at least so many diffs of it, what to do."""

    severity: Severity
    at_least: Annotated[Whole, Field(ge=1, le=1_000_000)]
    now: Annotated[str, Field(max_length=200)]
    follow_up: Annotated[str, Field(max_length=200)] = ""
    stop_trading: Flag = False
    pause_trading: Flag = False
    incident: Flag = False


class ReconcileConfig(_Section):
    """When and how both sides are compared."""

    every_s: Annotated[Seconds, Field(ge=1, le=_DAY)] = 300.0
    grace_s: Annotated[Seconds, Field(ge=0, le=3600)] = 5.0
    deadline_s: Annotated[Seconds, Field(ge=1, le=7 * _DAY)] = 900.0
    observe: Flag = False
    """Report findings and stop nothing (recordings)."""
    repair_wait_s: Annotated[Seconds, Field(ge=0, le=3600)] = 15.0
    auto_repair: Flag = False
    """Ask the broker about an order where a finding has that one explanation (REC-9)."""
    cancel_stale: Flag = False
    """Cancel an open order past its time to live (REC-8)."""
    order_ttl_s: Annotated[Seconds, Field(gt=0, le=31 * _DAY)] | None = None
    close_remainder: Flag = False
    """After a fill that only the broker had seen: cancel what is left, or let it work on."""
    stuck_after_s: Annotated[Seconds, Field(gt=0, le=_DAY)] = 180.0
    top_n: Annotated[Whole, Field(ge=1, le=100)] = 10
    pause_on_warn: Flag = False
    """Stop as well where the escalation matrix offers a pause (many WARN)."""
    escalation: Annotated[tuple[EscalationConfig, ...], Field(min_length=1, max_length=50)] | None = None
    """None: the runbook's matrix. Rows are tried in order; the first that fits counts."""


class SinksConfig(_Section):
    """How often a failing sink is tried again, and how full mailboxes may get."""

    max_retries: Annotated[Whole, Field(ge=0, le=20)] = 2
    mailbox_data: Annotated[Whole, Field(ge=1, le=1_000_000)] = 256
    mailbox_control: Annotated[Whole, Field(ge=1, le=10_000)] = 16


class StepConfig(_Section):
    """One line of a script: at a time, submit an intent or cancel a decision's order."""

    at_s: Annotated[Seconds, Field(ge=0, le=31 * _DAY)]
    submit: OrderIntent | None = None
    cancel: Identifier | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.submit is None) == (self.cancel is None):
            message = "a step has either submit or cancel"
            raise ValueError(message)
        return self


class DayConfig(_Section):
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


class StrategyConfig(_Section):
    """What the mock strategy does: its script, then its day; then it lingers and stops the session."""

    script: Annotated[tuple[StepConfig, ...], Field(max_length=100_000)] = ()
    day: DayConfig | None = None
    in_flight_max: Annotated[Whole, Field(ge=1, le=10_000)] = 16
    linger_s: Annotated[Seconds, Field(ge=0, le=_DAY)] = 30.0


class SessionConfig(_Section):
    """Everything one session is made of."""

    schema_version: Literal["INTERLOCK_CONFIG_V1"] = "INTERLOCK_CONFIG_V1"
    description: Annotated[str, Field(max_length=2000)] = ""
    session: SessionSection
    instruments: Annotated[tuple[InstrumentConfig, ...], Field(max_length=1000)] = ()
    opening: OpeningConfig = OpeningConfig()
    broker: BrokerConfig = BrokerConfig()
    rails: RailsConfig = RailsConfig()
    retry: RetryConfig = RetryConfig()
    settle: SettleConfig = SettleConfig()
    reconcile: ReconcileConfig = ReconcileConfig()
    sinks: SinksConfig = SinksConfig()
    strategy: StrategyConfig = StrategyConfig()

    @property
    def run_id(self) -> str:
        """Return the run's name: its own, or one made of session and seed."""
        own = self.session.run_id
        return f"{self.session.session_id}-seed{self.session.seed}" if own is None else own

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        symbols = [instrument.symbol for instrument in self.instruments]
        if len(symbols) != len(sorted({*symbols})):
            message = "instruments: a symbol stands here twice"
            raise ValueError(message)
        if self.broker.kind == "mock" and not symbols:
            message = "instruments: a session with the mock broker needs at least one"
            raise ValueError(message)
        if self.strategy.in_flight_max > self.rails.in_flight_max:
            message = "strategy.in_flight_max is above rails.in_flight_max"
            raise ValueError(message)
        return self
