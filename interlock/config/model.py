"""The tree of settings of one session. Every limit has a value; nothing is ever "unlimited".

Numbers come as text from YAML and as numbers from ``run.json``; both are taken, exactly. Durations are in seconds,
quantities and prices are decimals. Unknown keys are refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from interlock.config.alert_model import AlertsConfig, WebhookConfig
from interlock.config.host_model import HostConfig
from interlock.config.section import DAY_S, RetryConfig, Section
from interlock.config.work_model import DayConfig, StepConfig, StrategyConfig
from interlock.domain.broker import BrokerLimits, FeeCurrency
from interlock.domain.door_types import Flag, Instant, Seconds, Whole
from interlock.domain.errors import BadInput
from interlock.domain.findings import Severity
from interlock.domain.intents import Identifier, OrderIntent, Symbol
from interlock.domain.money import Amount, Price, Quantity, SignedQuantity
from interlock.domain.slippage import DEFAULT_SESSIONS, SlippagePreset, SlippagePresets
from interlock.mocks.faults import FaultPlan

__all__ = [
    "AlertsConfig",
    "BookConfig",
    "BrokerConfig",
    "DayConfig",
    "HostConfig",
    "InstrumentConfig",
    "ObserveConfig",
    "OpeningConfig",
    "PresetConfig",
    "RailsConfig",
    "ReconcileConfig",
    "RetryConfig",
    "SessionConfig",
    "SessionSection",
    "SessionWindows",
    "SettleConfig",
    "SinksConfig",
    "SlippageConfig",
    "StepConfig",
    "StoreConfig",
    "StrategyConfig",
    "WebhookConfig",
]


Name = Annotated[str, Field(max_length=200)]
SessionWindows = Annotated[
    tuple[Annotated[str, Field(max_length=20)], ...],
    BeforeValidator(lambda said: [said] if isinstance(said, str) else said),
]


class SessionSection(Section):
    """Who runs, for how long, and who runs next."""

    session_id: Identifier
    strategy_id: Name = ""
    run_id: Name | None = None
    """None: made of session id and seed. Preflight judges both names (ORC-3), so that a bad one has its code."""
    seed: Annotated[Whole, Field(ge=0, le=2**63 - 1)] = 0
    scheduler: Literal["fifo", "random"] = "fifo"
    start_utc: Instant = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    duration_s: Annotated[Seconds, Field(gt=0, le=31 * DAY_S)] = 3600.0
    max_steps: Annotated[Whole, Field(ge=1, le=100_000_000)] = 2_000_000
    check_every_s: Annotated[Seconds, Field(ge=1, le=DAY_S)] = 30.0
    heartbeat_timeout_s: Annotated[Seconds, Field(ge=1, le=DAY_S)] = 900.0
    drain_every_s: Annotated[Seconds, Field(gt=0, le=3600)] = 5.0
    drains_max: Annotated[Whole, Field(ge=1, le=10_000)] = 60
    cancel_on_stop: Flag = True
    strategy_allowlist: tuple[str, ...] | None = None
    """None: the packaged default."""


class InstrumentConfig(Section):
    """One symbol: its price path at the mock broker, and its caps."""

    symbol: Symbol
    price: Price
    tick_size: Price = Decimal("0.01")
    points: Annotated[tuple[Price, ...], Field(max_length=100_000)] = ()
    pip_size: Price | None = None
    lot_step: Quantity | None = None
    """Orders are whole numbers of it; None: any quantity."""
    currency: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,11}$")] | None = None
    """What it is priced in, such as EUR. The account adds all of them up, so those that say it say the same."""
    max_order_quantity: Quantity
    max_order_notional: Quantity
    max_position: Quantity | None = None
    """None: a hundred of the largest orders."""
    collar_pct: Annotated[Amount, Field(gt=0, le=100)] | None = None
    """How far a limit price may lie from the reference price, in percent; None: no collar."""
    allow_short: Flag = False


class OpeningConfig(Section):
    """What we believe the account holds at the beginning."""

    cash: Amount | None = None
    positions: dict[Symbol, SignedQuantity] = Field(default_factory=dict)


class BookConfig(Section):
    """What the mock broker says the account holds, where it is not what we believe."""

    cash: Amount | None = None
    positions: dict[Symbol, SignedQuantity] | None = None
    orders: Annotated[tuple[OrderIntent, ...], Field(max_length=1000)] = ()
    """Orders open there that we know nothing of; the decision id serves as client order id."""
    limits: BrokerLimits | None = None
    """The risk limits that it tells with each snapshot; None: it tells none."""


class BrokerConfig(Section):
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


class RailsConfig(Section):
    """Caps and budgets of the whole session."""

    max_live_orders: Annotated[Whole, Field(ge=1, le=100_000)] = 500
    in_flight_max: Annotated[Whole, Field(ge=1, le=10_000)] = 32
    attempts_per_order: Annotated[Whole, Field(ge=1, le=1000)] = 60
    attempts_per_minute: Annotated[Whole, Field(ge=1, le=1_000_000)] = 600
    cash_buffer: Annotated[Amount, Field(ge=0, le=1)] = Decimal("0.01")
    """Share of a buy's value that is kept free on top of it, for fees and for a market that moves."""
    daily_loss_cap: Quantity = Decimal(1_000_000)
    messages_max: Annotated[Whole, Field(ge=1, le=1_000_000)] = 600
    messages_window_s: Annotated[Seconds, Field(gt=0, le=DAY_S)] = 60.0
    repeats_max: Annotated[Whole, Field(ge=1, le=1_000_000)] = 10
    repeats_window_s: Annotated[Seconds, Field(gt=0, le=DAY_S)] = 60.0
    reduce_only: Flag = False


class PresetConfig(Section):
    """How many pips a price may slip for one symbol in one session."""

    symbol: Symbol
    session: Identifier
    max_slippage_pips: Annotated[Amount, Field(ge=0)]


class SlippageConfig(Section):
    """Slippage presets. Where this section stands, an order needs one for its symbol and its session of the day.

    A session has one or several windows of UTC hours, such as ``7-13``; together they cover each hour once.
    """

    sessions: Annotated[dict[Identifier, SessionWindows], Field(max_length=24)] = DEFAULT_SESSIONS
    presets: Annotated[tuple[PresetConfig, ...], Field(max_length=10_000)] = ()

    def rules(self) -> SlippagePresets:
        """Return the presets as the rails use them.

        Raises:
            BadInput: sessions or presets contradict each other, which no config that was read does.
        """
        return SlippagePresets(self.sessions, [SlippagePreset(**preset.model_dump()) for preset in self.presets])

    @model_validator(mode="after")
    def _rules_can_be_made(self) -> Self:
        try:
            self.rules()
        except BadInput as error:
            raise ValueError(str(error)) from error
        return self


class SettleConfig(Section):
    """How an order in doubt is settled by asking."""

    interval_s: Annotated[Seconds, Field(gt=0, le=3600)] = 2.0
    settle_after_s: Annotated[Seconds, Field(gt=0, le=DAY_S)] = 30.0
    deadline_s: Annotated[Seconds, Field(gt=0, le=DAY_S)] = 120.0
    asks_max: Annotated[Whole, Field(ge=1, le=1000)] = 64


class EscalationConfig(Section):
    """One row of the escalation matrix: for a highest severity and at least so many diffs of it, what to do."""

    severity: Severity
    at_least: Annotated[Whole, Field(ge=1, le=1_000_000)]
    now: Annotated[str, Field(max_length=200)]
    follow_up: Annotated[str, Field(max_length=200)] = ""
    stop_trading: Flag = False
    pause_trading: Flag = False
    incident: Flag = False


class ReconcileConfig(Section):
    """When and how both sides are compared."""

    every_s: Annotated[Seconds, Field(ge=1, le=DAY_S)] = 300.0
    grace_s: Annotated[Seconds, Field(ge=0, le=3600)] = 5.0
    deadline_s: Annotated[Seconds, Field(ge=1, le=7 * DAY_S)] = 900.0
    observe: Flag = False
    """Report findings and stop nothing (recordings)."""
    repair_wait_s: Annotated[Seconds, Field(ge=0, le=3600)] = 15.0
    auto_repair: Flag = False
    """Ask the broker about an order where a finding has that one explanation (REC-9)."""
    cancel_stale: Flag = False
    """Cancel an open order past its time to live (REC-8)."""
    order_ttl_s: Annotated[Seconds, Field(gt=0, le=31 * DAY_S)] | None = None
    close_remainder: Flag = False
    """After a fill that only the broker had seen: cancel what is left, or let it work on."""
    stuck_after_s: Annotated[Seconds, Field(gt=0, le=DAY_S)] = 180.0
    top_n: Annotated[Whole, Field(ge=1, le=100)] = 10
    pause_on_warn: Flag = False
    """Stop as well where the escalation matrix offers a pause (many WARN)."""
    escalation: Annotated[tuple[EscalationConfig, ...], Field(min_length=1, max_length=50)] | None = None
    """None: the runbook's matrix. Rows are tried in order; the first that fits counts."""


class StoreConfig(Section):
    """Where keys, journal and kill switch are kept, for how long, and when they are synced."""

    path: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """None: in memory, for the length of the session. The --store option goes before it."""
    ttl_s: Annotated[Whole, Field(ge=3600, le=10 * 365 * 86_400)] = 48 * 3600
    """How long an ended order is kept whole; then a digest of its key stays."""
    group_commit: Flag = False
    """Let orders that are in flight together share one sync."""


class SinksConfig(Section):
    """How often a failing sink is tried again, and how full mailboxes may get."""

    max_retries: Annotated[Whole, Field(ge=0, le=20)] = 2
    mailbox_data: Annotated[Whole, Field(ge=1, le=1_000_000)] = 256
    mailbox_control: Annotated[Whole, Field(ge=1, le=10_000)] = 16


class ObserveConfig(Section):
    """What is shown of a session."""

    symbol_labels: Flag = True
    """Whether metrics name symbols; where not, all of them are counted together."""


class SessionConfig(Section):
    """Everything one session is made of."""

    schema_version: Literal["INTERLOCK_CONFIG_V1"] = "INTERLOCK_CONFIG_V1"
    description: Annotated[str, Field(max_length=2000)] = ""
    session: SessionSection
    instruments: Annotated[tuple[InstrumentConfig, ...], Field(max_length=1000)] = ()
    opening: OpeningConfig = OpeningConfig()
    broker: BrokerConfig = BrokerConfig()
    rails: RailsConfig = RailsConfig()
    slippage: SlippageConfig | None = None
    """None: no presets, and prices are held by the collars alone, where there are any."""
    retry: RetryConfig = RetryConfig()
    settle: SettleConfig = SettleConfig()
    reconcile: ReconcileConfig = ReconcileConfig()
    sinks: SinksConfig = SinksConfig()
    store: StoreConfig = StoreConfig()
    alerts: AlertsConfig = AlertsConfig()
    observe: ObserveConfig = ObserveConfig()
    host: HostConfig = HostConfig()
    strategy: StrategyConfig = StrategyConfig()

    @property
    def run_id(self) -> str:
        """Return the run's name: its own, or one made of session and seed."""
        own = self.session.run_id
        return f"{self.session.session_id}-seed{self.session.seed}" if own is None else own

    def under(self, faults: FaultPlan) -> SessionConfig:
        """Return the same session under other faults of its broker."""
        return self.model_copy(update={"broker": self.broker.model_copy(update={"faults": faults})})

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
        currencies = sorted({item.currency for item in self.instruments if item.currency is not None})
        if len(currencies) > 1:
            message = f"instruments: {' and '.join(currencies)} cannot be added up in one account"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _presets_can_be_held(self) -> Self:
        if self.slippage is None:
            return self
        if self.broker.kind == "recording":
            message = "slippage: a recording has no reference prices to hold presets against"
            raise ValueError(message)
        pips = {item.symbol: item.pip_size for item in self.instruments}
        for preset in self.slippage.presets:
            if pips.get(preset.symbol) is None:
                message = f"slippage: {preset.symbol} has a preset and is no instrument with a pip_size"
                raise ValueError(message)
        return self
