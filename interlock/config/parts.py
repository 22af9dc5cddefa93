"""From the config to the settings of each part: pure translation, no wiring.

With a recording, what the config says about instruments, opening book and workload gives way to what the recording
says: its symbols, its first positions, its orders; cash is not tracked, since a recording of fills does not tell it.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import Final

import msgspec

from interlock.actors.alerts import AlertSettings
from interlock.actors.broker_link import LinkSettings
from interlock.actors.ending import EndingSettings
from interlock.actors.orchestrator import SessionSettings
from interlock.actors.order_calls import SettleSettings
from interlock.actors.order_desk import DeskSettings
from interlock.actors.reconciler import ReconcilerSettings
from interlock.config.model import SessionConfig
from interlock.domain.alerts import AlertLimits
from interlock.domain.broker import PlaceOrder
from interlock.domain.broker_limits import limits_hash
from interlock.domain.budget import AttemptLimits
from interlock.domain.findings import Tolerances
from interlock.domain.health import HealthLimits
from interlock.domain.instants import from_datetime, to_ns
from interlock.domain.limits import RailLimits, SymbolLimits
from interlock.domain.money import ZERO
from interlock.domain.preflight import DEFAULT_ALLOWLIST, PreflightFacts
from interlock.domain.recon_report import DEFAULT_ESCALATION, EscalationRow
from interlock.domain.repair import RepairPolicy
from interlock.mocks.exchange import OpeningBook
from interlock.mocks.faults import FaultPlan
from interlock.mocks.playback import LEAD_NS, script_of
from interlock.mocks.prices import PricePath
from interlock.mocks.recording import Recording
from interlock.mocks.strategy import DayPlan, ScriptStep, StrategySettings
from interlock.mocks.trading import MarketSettings
from interlock.runtime.mailbox import MailboxSizes
from interlock.runtime.retry import RetryPolicy
from interlock.runtime.run_folder import VERSION

__all__ = ["Parts"]

_BROKER_JOBS: Final = 20_000
_SPARE: Final = 16


class Parts:
    """The settings of every part of one session."""

    def __init__(self, config: SessionConfig, recording: Recording | None = None, *, shadow: bool = False) -> None:
        self.config = config
        self.recording = recording
        self.shadow = shadow

    def under(self, faults: FaultPlan) -> Parts:
        """Return the parts of the same session under other faults of its broker, which no settings depend on.

        They are made only once then, for thousands of sessions.
        """
        for name in _MADE_ONCE:
            getattr(self, name)
        config = self.config.under(faults)
        other = Parts(config, self.recording, shadow=self.shadow)
        vars(other).update(vars(self), config=config)
        return other

    @cached_property
    def start_ns(self) -> int:
        """When the session begins: by its config, or shortly before the first fill of its recording."""
        if self.recording is not None:
            return self.recording.fills[0].time_ns - LEAD_NS
        return from_datetime(self.config.session.start_utc)

    @property
    def observe(self) -> bool:
        """Return whether findings are only reported."""
        return self.recording is not None or self.config.reconcile.observe or self.shadow

    def opening(self) -> tuple[Decimal | None, dict[str, Decimal]]:
        """Return the cash and positions that we believe in at the beginning."""
        if self.recording is not None:
            return None, dict(self.recording.opening_positions)
        return self.config.opening.cash, dict(self.config.opening.positions)

    def opening_book(self, believed: tuple[Decimal | None, dict[str, Decimal]] | None = None) -> OpeningBook:
        """Return the broker's own book: a copy of what we believe, unless the config says that it differs."""
        cash, positions = believed or self.opening()
        book = self.config.broker.book
        if book is not None:
            cash = cash if book.cash is None else book.cash
            positions = positions if book.positions is None else dict(book.positions)
        limits = None if book is None else book.limits
        return OpeningBook(cash, positions, self.config.broker.fee_bps, self.config.broker.fee_currency, limits)

    def unknown_orders(self) -> tuple[PlaceOrder, ...]:
        """Return the orders that the broker has open and we know nothing of."""
        book = self.config.broker.book
        return tuple(
            PlaceOrder(
                item.decision_id,
                item.symbol,
                item.side,
                item.order_type,
                item.quantity,
                item.limit_price,
                item.time_in_force,
            )
            for item in (book.orders if book is not None else ())
        )

    @cached_property
    def limits(self) -> RailLimits:
        """The caps; a recording is capped by its own largest orders."""
        if self.recording is None:
            rails = self.config.rails
            symbols = {
                item.symbol: SymbolLimits(
                    item.max_order_quantity,
                    item.max_order_notional,
                    item.allow_short,
                    item.max_position,
                    item.collar_pct,
                    item.lot_step,
                    item.pip_size,
                )
                for item in self.config.instruments
            }
            return RailLimits(
                symbols,
                rails.max_live_orders,
                cash_buffer=rails.cash_buffer,
                daily_loss_cap=rails.daily_loss_cap,
                messages_max=rails.messages_max,
                messages_window_s=rails.messages_window_s,
                repeats_max=rails.repeats_max,
                repeats_window_s=rails.repeats_window_s,
                reduce_only=rails.reduce_only,
                slippage=None if self.config.slippage is None else self.config.slippage.rules(),
            )
        orders = self.recording.orders
        quantity = max(order.quantity for order in orders)
        notional = max(order.quantity * order.limit_price for order in orders)
        held = max(abs(position) for _, position in self.recording.opening_positions)
        most = held + sum((order.quantity for order in orders), ZERO)
        caps = SymbolLimits(quantity, notional, allow_short=True, max_position=most)
        count = len(orders)
        symbols = {order.symbol: caps for order in orders}
        return RailLimits(symbols, count, messages_max=count, repeats_max=count)

    @cached_property
    def retry_policy(self) -> RetryPolicy:
        """How calls are repeated."""
        return RetryPolicy(**self.config.retry.model_dump())

    @cached_property
    def attempts(self) -> AttemptLimits:
        """The budgets of broker calls."""
        return AttemptLimits(self.config.rails.attempts_per_order, self.config.rails.attempts_per_minute)

    @cached_property
    def link(self) -> LinkSettings:
        """The settings of a link to the broker."""
        return LinkSettings(timeout_s=self.config.broker.timeout_s, policy=self.retry_policy)

    @cached_property
    def settle(self) -> SettleSettings:
        """How orders in doubt are settled."""
        return SettleSettings(**self.config.settle.model_dump())

    @cached_property
    def reconciler(self) -> ReconcilerSettings:
        """The settings of the reconciler."""
        section, config = self.config.session, self.config.reconcile
        pips = {item.symbol: item.pip_size for item in self.config.instruments if item.pip_size is not None}
        matrix = tuple(EscalationRow(**row.model_dump()) for row in config.escalation or ())
        return ReconcilerSettings(
            section.session_id,
            section.strategy_id,
            self.limits,
            limits_hash(self.limits),
            grace_s=config.grace_s,
            repair_wait_s=config.repair_wait_s,
            observe=self.observe,
            top_n=config.top_n,
            tolerances=Tolerances(pip_sizes=pips, stuck_after_s=config.stuck_after_s, order_ttl_s=config.order_ttl_s),
            policy=RepairPolicy()
            if self.shadow
            else RepairPolicy(config.auto_repair, config.cancel_stale, config.close_remainder),
            escalation=DEFAULT_ESCALATION if config.escalation is None else matrix,
            pause_on_warn=config.pause_on_warn,
        )

    @cached_property
    def desk(self) -> DeskSettings:
        """The settings of the order desk."""
        return DeskSettings(
            strategy_id=self.config.session.strategy_id,
            venue=self.config.broker.venue,
            account=self.config.broker.sub_ledger,
            limits=self.limits,
            in_flight_max=self.config.rails.in_flight_max,
            shadow=self.shadow,
        )

    def facts(
        self,
        *,
        broker_is_mock: bool,
        live_enabled_by: tuple[str, ...],
        live_override: bool,
        broker_is_paper: bool = False,
    ) -> PreflightFacts:
        """Return what preflight can know before anything ran."""
        section = self.config.session
        return PreflightFacts(
            run_id=self.config.run_id,
            strategy_id=section.strategy_id,
            allowlist=DEFAULT_ALLOWLIST if section.strategy_allowlist is None else section.strategy_allowlist,
            broker_is_mock=broker_is_mock,
            broker_is_paper=broker_is_paper,
            shadow=self.shadow,
            live_enabled_by=live_enabled_by,
            live_override=live_override,
            retry_error=self.retry_policy.complaint(),
        )

    def session(self, facts: PreflightFacts) -> SessionSettings:
        """Return the settings of the orchestrator."""
        section, reconcile = self.config.session, self.config.reconcile
        return SessionSettings(
            session_id=section.session_id,
            facts=facts,
            health=HealthLimits(reconcile.deadline_s, section.heartbeat_timeout_s),
            ending=EndingSettings(
                drain_every_s=section.drain_every_s,
                drains_max=section.drains_max,
                last_word_s=reconcile.deadline_s,
                cancel_on_stop=section.cancel_on_stop,
                observe=self.observe,
                shadow=self.shadow,
                strategy="strategy",
            ),
            duration_s=section.duration_s,
            reconcile_every_s=reconcile.every_s,
            check_every_s=section.check_every_s,
            observe=self.observe,
            version=VERSION,
        )

    @cached_property
    def market(self) -> MarketSettings:
        """The settings of the mock market; a recording brings its own prices."""
        broker, items = self.config.broker, () if self.recording is not None else self.config.instruments
        return MarketSettings(
            tuple(PricePath(item.symbol, item.price, item.tick_size, item.points) for item in items),
            request_latency_s=broker.request_latency_s,
            report_latency_s=broker.report_latency_s,
            price_every_s=broker.price_every_s,
            lot=broker.lot,
        )

    @cached_property
    def strategy(self) -> StrategySettings:
        """The workload."""
        config, day = self.config.strategy, self.config.strategy.day
        # Without work of its own the strategy is not what ends the session: its host or its duration is.
        works = bool(config.script or day is not None or self.recording is not None)
        settings = StrategySettings(
            self.config.session.strategy_id,
            in_flight_max=config.in_flight_max,
            linger_s=config.linger_s if works else None,
        )
        if self.recording is not None:
            return msgspec.structs.replace(settings, script=script_of(self.recording))
        script = tuple(ScriptStep(to_ns(step.at_s), step.submit, step.cancel) for step in config.script)
        symbols = tuple(item.symbol for item in self.config.instruments)
        plan = None if day is None else DayPlan(symbols=symbols, **day.model_dump())
        return msgspec.structs.replace(settings, script=script, day=plan)

    @cached_property
    def alerts(self) -> AlertSettings:
        """Which alerts are told, and how deliveries are repeated."""
        config = self.config.alerts
        return AlertSettings(
            self.config.run_id,
            AlertLimits(config.dedupe_window_s, config.rate_max, config.rate_window_s),
            RetryPolicy(**config.retry.model_dump()),
            config.backlog_max,
        )

    @cached_property
    def sizes(self) -> dict[str, MailboxSizes]:
        """The mailbox sizes of every actor; what credit admits always has room."""
        config, workload = self.config, self.strategy
        data, control = config.sinks.mailbox_data, config.sinks.mailbox_control
        in_flight = config.rails.in_flight_max
        jobs = 2 * (self.limits.max_live_orders + in_flight) + _SPARE
        intents = len(workload.script) + (0 if workload.day is None else workload.day.orders)
        return {
            "orchestrator": MailboxSizes(control, in_flight + jobs + _SPARE, data, jobs),
            "rails": MailboxSizes(control, 1, data, 1),
            "reconciler": MailboxSizes(control, 1, data, _SPARE),
            "broker": MailboxSizes(control, 1, data, _BROKER_JOBS),
            "strategy": MailboxSizes(control, 1, data, intents + _SPARE),
            "alerts": MailboxSizes(control, 1, data, _SPARE),
        }


_MADE_ONCE: Final = tuple(name for name, made in vars(Parts).items() if isinstance(made, cached_property))
