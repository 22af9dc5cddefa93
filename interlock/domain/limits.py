"""The caps of a session. There is no "unlimited": what has no limits is not traded.

Rails that need a choice (a price collar) are off where their value is None; all others always hold.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from interlock.domain.money import ZERO
from interlock.domain.slippage import SlippagePresets

__all__ = ["RailLimits", "SymbolLimits"]


class SymbolLimits(msgspec.Struct, frozen=True):
    """The caps of one instrument: per order, on the position that could result, and on the price."""

    max_order_quantity: Decimal
    max_order_notional: Decimal
    allow_short: bool = False
    max_position: Decimal | None = None
    """Cap on the position's size if everything open filled; None: a hundred of the largest orders."""
    collar_pct: Decimal | None = None
    """How far a limit price may lie from the reference price, in percent of it; None: no collar."""
    lot_step: Decimal | None = None
    """Orders are whole numbers of it; None: any quantity."""
    pip_size: Decimal | None = None
    """What a pip is as a price; None: slippage is not measured, and no preset can be held."""

    @property
    def position_cap(self) -> Decimal:
        """Return the cap on the position."""
        return self.max_order_quantity * 100 if self.max_position is None else self.max_position


class RailLimits(msgspec.Struct, frozen=True):
    """The caps of a session, by symbol and for the whole."""

    symbols: dict[str, SymbolLimits]
    max_live_orders: int
    cash_buffer: Decimal = ZERO
    """Share of a buy's value that is kept free on top of it, for fees and for a market that moves."""
    daily_loss_cap: Decimal = Decimal(1_000_000)
    """Realised loss, fees included, of one UTC day at which nothing but reducing orders may leave."""
    messages_max: int = 600
    """Orders and cancels that may leave within ``messages_window_s``."""
    messages_window_s: float = 60.0
    repeats_max: int = 10
    """How often the same order (symbol, side, type, quantity, price) may be tried within ``repeats_window_s``."""
    repeats_window_s: float = 60.0
    reduce_only: bool = False
    """Let only orders through that make a position smaller and cannot turn it around."""
    slippage: SlippagePresets | None = None
    """How far a limit price may lie to the worse side of its reference; None: no presets, and none is asked for."""
