"""The safety rails as pure decisions: may this order leave, may this cancel leave.

``check_order`` is called twice for each order, by the rails actor and in the last line before the send, so that
a stalled actor cannot be bypassed. It fails closed: a limit or a price that is missing is a no. The rails are a
literal table at the end; each row is a code and a function that says why not.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from interlock.domain.exposure import Exposure, price_with_buffer, repeat_key
from interlock.domain.intents import BUY, SELL
from interlock.domain.ledgers import signed
from interlock.domain.limits import RailLimits, SymbolLimits
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.orders import Order
from interlock.domain.slippage import slipped

__all__ = ["NO_PRESET", "RAIL_CODES", "SLIPPAGE", "Refusal", "check_cancel", "check_order", "exposure_complaint"]

NO_PRESET: Final = "RAIL_SLIPPAGE_PRESET"
"""Presets are configured, and there is none for the order's symbol in this session (SLP-2)."""

SLIPPAGE: Final = "RAIL_SLIPPAGE"
"""The preset was asked, and said no."""


class Refusal(msgspec.Struct, frozen=True):
    """Why an order may not leave."""

    code: str
    reason: str


class _Case(msgspec.Struct, frozen=True):
    """What a rail looks at."""

    order: Order
    caps: SymbolLimits
    limits: RailLimits
    exposure: Exposure
    now_ns: int

    @property
    def held(self) -> Decimal:
        """Return the position in the order's symbol."""
        return self.exposure.ledger.position(self.order.symbol).quantity

    @property
    def value(self) -> Decimal:
        """Return the order's notional at its limit, or at its reference price."""
        return self.order.quantity * (self.order.limit_price or self.order.reference_price or ZERO)

    @property
    def reduces(self) -> bool:
        """Return whether the order, with all live ones of its side, can only make the position smaller."""
        order, held = self.order, self.held
        total = self.exposure.open_quantity(order.symbol, order.side) + order.quantity
        return held * signed(order.side, order.quantity) < 0 and total <= abs(held)


def check_order(
    order: Order, limits: RailLimits, exposure: Exposure, now_ns: int, *, gate_open: bool
) -> Refusal | None:
    """Return why ``order`` may not leave, or None where it may. The order itself is not reserved yet."""
    if not gate_open:
        return Refusal("RAIL_GATE_CLOSED", "the session is not trading: before preflight, stopping, or tripped")
    caps = limits.symbols.get(order.symbol)
    if caps is None:
        return Refusal("RAIL_SYMBOL_NOT_ALLOWED", f"{order.symbol} has no limits in the config")
    case = _Case(order, caps, limits, exposure, now_ns)
    for code, rail in _RAILS.items():
        reason = rail(case)
        if reason:
            return Refusal(code, reason)
    return None


def check_cancel(limits: RailLimits, exposure: Exposure, now_ns: int) -> Refusal | None:
    """Return why a cancel may not leave now: cancels count as messages too."""
    if exposure.messages.count(now_ns) < limits.messages_max:
        return None
    return Refusal("RAIL_MESSAGE_RATE", f"{limits.messages_max} messages in {limits.messages_window_s} s are the cap")


def exposure_complaint(exposure: Exposure, limits: RailLimits) -> str:
    """Return which cap is exceeded by what is held and open before anything new may leave (RST-5), or ""."""
    if exposure.live_orders > limits.max_live_orders:
        return f"{exposure.live_orders} live orders are more than the cap {limits.max_live_orders}"
    for symbol, caps in limits.symbols.items():
        held = exposure.ledger.position(symbol).quantity
        for side in (BUY, SELL):
            after = held + signed(side, exposure.open_quantity(symbol, side))
            if abs(after) > caps.position_cap:
                return f"{symbol}: {decimal_text(after)} held and open is above the cap {caps.position_cap}"
    return ""


def _live_orders(case: _Case) -> str:
    full = case.exposure.live_orders >= case.limits.max_live_orders
    return f"{case.exposure.live_orders} live orders are as many as the cap allows" if full else ""


def _message_rate(case: _Case) -> str:
    refusal = check_cancel(case.limits, case.exposure, case.now_ns)
    return "" if refusal is None else refusal.reason


def _repeated(case: _Case) -> str:
    limits = case.limits
    if case.exposure.tried.count(repeat_key(case.order), case.now_ns) < limits.repeats_max:
        return ""
    return f"the same order was tried {limits.repeats_max} times in {limits.repeats_window_s} s"


def _quantity(case: _Case) -> str:
    cap = case.caps.max_order_quantity
    return f"{case.order.quantity} is above the cap {cap}" if case.order.quantity > cap else ""


def _lot_step(case: _Case) -> str:
    quantity, step = case.order.quantity, case.caps.lot_step
    if step is None or not quantity % step:
        return ""
    return f"{decimal_text(quantity)} is no whole number of lot steps of {decimal_text(step)}"


def _price(case: _Case) -> str:
    known = case.order.limit_price is not None or case.order.reference_price is not None
    return "" if known else "a market order without a reference price cannot be valued"


def _notional(case: _Case) -> str:
    cap = case.caps.max_order_notional
    return f"{decimal_text(case.value)} is above the cap {cap}" if case.value > cap else ""


def _collar(case: _Case) -> str:
    collar, limit, reference = case.caps.collar_pct, case.order.limit_price, case.order.reference_price
    if collar is None or limit is None:
        return ""
    if reference is None:
        return "a price collar needs a reference price"
    off = abs(limit - reference) * 100
    return f"{limit} is more than {collar} % away from {reference}" if off > collar * reference else ""


def _reduce_only(case: _Case) -> str:
    if not case.limits.reduce_only or case.reduces:
        return ""
    return f"only orders that reduce the position of {decimal_text(case.held)} may leave"


def _daily_loss(case: _Case) -> str:
    loss = case.exposure.loss_of_day(case.now_ns)
    if loss < case.limits.daily_loss_cap or case.reduces:
        return ""
    return f"today's loss of {decimal_text(loss)} has reached the cap {case.limits.daily_loss_cap}"


def _position(case: _Case) -> str:
    order, cap = case.order, case.caps.position_cap
    total = case.exposure.open_quantity(order.symbol, order.side) + order.quantity
    after = case.held + signed(order.side, total)
    if abs(after) <= cap or case.reduces:
        return ""
    return f"a position of {decimal_text(after)} would be above the cap {cap}"


def _cash(case: _Case) -> str:
    order, cash = case.order, case.exposure.ledger.cash
    if order.side is not BUY or cash is None:
        return ""
    cost = order.quantity * price_with_buffer(order, case.limits)
    if cash - case.exposure.reserved_cash >= cost:
        return ""
    return f"{decimal_text(cost)} with its buffer is more than the free part of {decimal_text(cash)}"


def _short(case: _Case) -> str:
    order = case.order
    if order.side is not SELL or case.caps.allow_short:
        return ""
    free = case.held - case.exposure.open_quantity(order.symbol, SELL)
    return "" if free >= order.quantity else f"selling {order.quantity} of {decimal_text(free)} free would go short"


def _preset(case: _Case) -> str:
    symbol, presets = case.order.symbol, case.limits.slippage
    if presets is None or presets.preset(symbol, case.now_ns) is not None:
        return ""
    return f"{symbol} has no slippage preset for session {presets.session_of(case.now_ns)}"


def _slippage(case: _Case) -> str:
    """Hold a limit price to its preset. A market order has none to hold; that it has a reference was asked before."""
    order, presets, pip_size = case.order, case.limits.slippage, case.caps.pip_size
    preset = None if presets is None else presets.preset(order.symbol, case.now_ns)
    if preset is None or order.limit_price is None:
        return ""
    if order.reference_price is None or pip_size is None:
        return "a slippage preset needs a reference price and a pip size"
    if slipped(order.side, order.reference_price, order.limit_price) <= preset.tolerance(pip_size):
        return ""
    most = f"{decimal_text(preset.max_slippage_pips)} pips of session {preset.session}"
    return f"{order.limit_price} is worse than {order.reference_price} by more than the {most}"


_RAILS: Final[dict[str, Callable[[_Case], str]]] = {
    "RAIL_LIVE_ORDERS": _live_orders,
    "RAIL_MESSAGE_RATE": _message_rate,
    "RAIL_REPEATED_ORDER": _repeated,
    "RAIL_ORDER_QUANTITY": _quantity,
    "RAIL_LOT_STEP": _lot_step,
    "RAIL_NO_PRICE": _price,
    "RAIL_ORDER_NOTIONAL": _notional,
    "RAIL_PRICE_COLLAR": _collar,
    "RAIL_REDUCE_ONLY": _reduce_only,
    "RAIL_DAILY_LOSS": _daily_loss,
    "RAIL_POSITION": _position,
    "RAIL_CASH": _cash,
    "RAIL_SHORT": _short,
    NO_PRESET: _preset,
    SLIPPAGE: _slippage,
}
"""The rails of one order, in the order in which they are asked; each returns why not, or "".

The presets come last, so that an order that was let out, or refused by ``SLIPPAGE``, is one that its preset has judged.
"""

RAIL_CODES: Final = ("RAIL_GATE_CLOSED", "RAIL_SYMBOL_NOT_ALLOWED", *_RAILS)
"""Every code with which a rail refuses."""
