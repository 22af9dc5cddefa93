"""The broker's risk limits beside our own (BRK-1): pure comparison, and how both sides are told.

A difference is for a person to look into. It stops nothing by itself, and the rails keep to the engine's own limits
whichever side is the stricter one: limits that somebody else can change are no limits of ours.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from interlock.domain.broker import BrokerLimits
from interlock.domain.ids import fingerprint
from interlock.domain.limits import RailLimits
from interlock.domain.money import decimal_text

__all__ = ["LimitMismatch", "LimitsAlarm", "engine_side", "limits_alarm", "limits_hash", "told"]

_NONE = "none"


class LimitMismatch(msgspec.Struct, frozen=True):
    """One limit that differs: ``daily_loss_cap``, or ``symbol_caps.`` and the symbol; both sides as text."""

    limit: str
    engine: str
    broker: str


class LimitsAlarm(msgspec.Struct, frozen=True):
    """Everything that differs, both sides whole, and the hash of the engine's limits."""

    mismatches: tuple[LimitMismatch, ...]
    broker_limits: dict[str, object]
    engine_limits: dict[str, object]
    engine_limits_hash: str

    @property
    def text(self) -> str:
        """Return what differs, for people."""
        return "; ".join(f"{one.limit}: engine {one.engine}, broker {one.broker}" for one in self.mismatches)


def engine_side(limits: RailLimits) -> BrokerLimits:
    """Return the engine's limits in the broker's terms: the daily loss cap, and the largest order of each symbol."""
    caps = {symbol: caps.max_order_quantity for symbol, caps in limits.symbols.items()}
    return BrokerLimits(daily_loss_cap=limits.daily_loss_cap, symbol_caps=caps)


def limits_hash(limits: RailLimits) -> str:
    """Return the SHA-256 over all caps and budgets of the rails; equal numbers hash alike, however they are written."""
    # Presets say where a price may lie, not how much may be lost, and no broker mirrors them.
    return fingerprint(_plain(msgspec.structs.replace(limits, slippage=None)))


def limits_alarm(limits: RailLimits, broker: BrokerLimits) -> LimitsAlarm | None:
    """Return what differs, or None where both sides agree.

    What the broker does not offer is not compared: no daily loss cap, no symbol caps at all. Where it caps symbols, one
    that is traded here and has no cap there differs; one that it caps and that is not traded here does not matter.
    """
    own = engine_side(limits)
    found: list[LimitMismatch] = []
    if broker.daily_loss_cap not in (None, own.daily_loss_cap):
        found.append(LimitMismatch("daily_loss_cap", _text(own.daily_loss_cap), _text(broker.daily_loss_cap)))
    for symbol, cap in sorted(own.symbol_caps.items() if broker.symbol_caps else ()):
        there = broker.symbol_caps.get(symbol)
        if there != cap:
            found.append(LimitMismatch(f"symbol_caps.{symbol}", _text(cap), _text(there)))
    if not found:
        return None
    return LimitsAlarm(tuple(found), told(broker), told(own), limits_hash(limits))


def told(limits: BrokerLimits) -> dict[str, object]:
    """Return one side as events and metrics tell it: ``{"daily_loss_cap", "symbol_caps": {symbol: cap}}``."""
    cap = limits.daily_loss_cap
    return {
        "daily_loss_cap": None if cap is None else decimal_text(cap),
        "symbol_caps": {symbol: decimal_text(most) for symbol, most in sorted(limits.symbol_caps.items())},
    }


def _text(cap: Decimal | None) -> str:
    return _NONE if cap is None else decimal_text(cap)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, msgspec.Struct):
        return _plain(msgspec.structs.asdict(value))
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value
