"""What is told about slippage: presets that were used, and what fills really cost.

The rails themselves are pure. Their actor counts with ``SlippageMeter`` what it decided and sees filled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from interlock.domain.broker import Fill
from interlock.domain.limits import RailLimits
from interlock.domain.money import decimal_text
from interlock.domain.orders import Order
from interlock.domain.rails import SLIPPAGE
from interlock.domain.slippage import slipped
from interlock.runtime.actor import Context

__all__ = ["SlippageMeter"]

_JUDGED: Final = ("", SLIPPAGE)
"""How the rails answer about an order that its preset has judged: let out, or too far off."""


class SlippageMeter:
    """Counts the presets that judged an order, and measures each fill against its order's reference price."""

    def __init__(self, ctx: Context, limits: RailLimits) -> None:
        self._ctx = ctx
        self._limits = limits
        self._references: dict[str, Decimal] = {}
        self._last_pips: dict[str, Decimal] = {}
        self._max_pips: dict[str, Decimal] = {}

    def judged(self, order: Order, code: str, now_ns: int) -> None:
        """Take down how the rails answered about an order: with ``code``, or "" where it may leave."""
        presets, caps = self._limits.slippage, self._limits.symbols.get(order.symbol)
        if presets is not None and code in _JUDGED:
            session = presets.session_of(now_ns)
            self._ctx.count(f"engine_slippage_preset_hits_total|{order.symbol}|{session}")
        if not code and order.reference_price is not None and caps is not None and caps.pip_size is not None:
            self._references[order.client_order_id] = order.reference_price

    def filled(self, fill: Fill) -> None:
        """Measure a fill that was booked; without a pip size or a reference price there is nothing to measure."""
        reference = self._references.get(fill.client_order_id)
        pip_size = None if reference is None else self._limits.symbols[fill.symbol].pip_size
        if reference is None or pip_size is None:
            return
        pips = slipped(fill.side, reference, fill.price) / pip_size
        self._last_pips[fill.symbol] = pips
        self._max_pips[fill.symbol] = max(pips, self._max_pips.get(fill.symbol, pips))

    def figures(self) -> dict[str, dict[str, str]]:
        """Return the last and the worst slippage by symbol, in pips; below zero the price was better than meant."""
        return {
            symbol: {"last": decimal_text(self._last_pips[symbol]), "max": decimal_text(self._max_pips[symbol])}
            for symbol in sorted(self._last_pips)
        }
