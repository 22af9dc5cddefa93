"""Slippage presets: how far a price may slip, by symbol and by the session of the day (SLP-1, SLP-2).

The UTC day is cut into named sessions by the hour. A window ``7-13`` begins with hour 7 and ends before hour 13, one
such as ``22-6`` goes on past midnight, and every hour belongs to exactly one session. A preset says for one symbol in
one session how many pips are allowed to the worse side of a reference price: above it for a buy, below it for a sell.

    presets = SlippagePresets(DEFAULT_SESSIONS, [SlippagePreset("EURUSD", "eu", Decimal("0.5"))])
    preset = presets.preset("EURUSD", now_ns)                  # None: there is none, and nothing may be sent
    slipped(order.side, reference, price) <= preset.tolerance(pip_size)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from interlock.domain.errors import BadInput
from interlock.domain.instants import NS_PER_S
from interlock.domain.intents import BUY, Side

__all__ = ["DEFAULT_SESSIONS", "SlippagePreset", "SlippagePresets", "slipped"]

DEFAULT_SESSIONS: Final[dict[str, tuple[str, ...]]] = {
    "asia": ("0-7",),
    "eu": ("7-13",),
    "us": ("13-21",),
    "overnight": ("21-24",),
}
"""The sessions of a config that names none."""

_HOURS: Final = 24
_NS_PER_HOUR: Final = 3600 * NS_PER_S
_WINDOW: Final = re.compile(r"([0-9]{1,2})-([0-9]{1,2})")
_WINDOW_ALLOWED: Final = "UTC hours such as 7-13, or 22-6 past midnight: begin 0 to 23, end 1 to 24, not the same"


class SlippagePreset(msgspec.Struct, frozen=True):
    """How many pips a price may slip for one symbol in one session; 0: not at all."""

    symbol: str
    session: str
    max_slippage_pips: Decimal

    def tolerance(self, pip_size: Decimal) -> Decimal:
        """Return the same as a distance of prices."""
        return self.max_slippage_pips * pip_size


class SlippagePresets:
    """The sessions of a day and the presets within them; immutable."""

    __slots__ = ("_hours", "_presets")

    def __init__(self, sessions: Mapping[str, Sequence[str]], presets: Iterable[SlippagePreset]) -> None:
        """Take the windows of each session by its name, and the presets.

        Raises:
            BadInput: a window is none, an hour is in two sessions or in none, a preset names a session that is not
                there, or a symbol has two presets in one session.
        """
        self._hours = _hours_of(sessions)
        self._presets: dict[tuple[str, str], SlippagePreset] = {}
        for preset in presets:
            of = f"{preset.symbol} in session {preset.session}"
            if preset.session not in sessions:
                raise BadInput("presets", f"{of}: there is no such session", ", ".join(sessions))
            if (preset.symbol, preset.session) in self._presets:
                raise BadInput("presets", f"{of}: stands here twice", "one preset for a symbol and a session")
            self._presets[preset.symbol, preset.session] = preset

    def session_of(self, now_ns: int) -> str:
        """Return the session that an instant lies in."""
        return self._hours[now_ns // _NS_PER_HOUR % _HOURS]

    def preset(self, symbol: str, now_ns: int) -> SlippagePreset | None:
        """Return the preset of a symbol at an instant, or None where there is none for that session."""
        return self._presets.get((symbol, self.session_of(now_ns)))


def slipped(side: Side, reference: Decimal, price: Decimal) -> Decimal:
    """Return how far ``price`` lies to the worse side of ``reference``; below zero where it is the better one."""
    return price - reference if side is BUY else reference - price


def _hours_of(sessions: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the session of each hour of the day."""
    named: dict[int, str] = {}
    for name, windows in sessions.items():
        for window in windows:
            for hour in _window(name, window):
                if hour in named:
                    what = f"hour {hour} is in {named[hour]} and in {name}"
                    raise BadInput("sessions", what, "each hour of the day in one window")
                named[hour] = name
    for hour in range(_HOURS):
        if hour not in named:
            raise BadInput("sessions", f"hour {hour} is in none of them", "each hour of the day in one window")
    return tuple(named[hour] for hour in range(_HOURS))


def _window(name: str, window: str) -> list[int]:
    """Return the hours of one window."""
    match = _WINDOW.fullmatch(window)
    begin, end = (-1, -1) if match is None else (int(match[1]), int(match[2]))
    if not (0 <= begin < _HOURS and 1 <= end <= _HOURS and begin != end):
        raise BadInput(f"sessions.{name}", f"{window} is no window", _WINDOW_ALLOWED)
    return [hour % _HOURS for hour in range(begin, end if begin < end else end + _HOURS)]
