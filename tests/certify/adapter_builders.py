"""The right adapter and its bench, for a trader and for a reader, with a time-out that a test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from examples.custom_broker.adapter import Line, VenueBroker
from examples.custom_broker.double import Double
from interlock.domain.broker import (
    PlaceOrder,
)

__all__ = ["RIGHT", "Made", "Noted", "bench_of", "reader_of"]


TIMEOUT_S: Final = 5.0
"""Of the adapters themselves: longer than a busy machine makes any of them wait."""


class Noted(VenueBroker):
    """The right adapter, with room for what the wrong ones remember. Right by itself."""

    def __init__(self, line: Line, timeout_s: float) -> None:
        super().__init__(line, timeout_s)
        self.line = cast("Double", line)
        self.timeout_s = timeout_s
        self.placed: dict[str, PlaceOrder] = {}
        self.known: Any = None
        self.reads = 0
        self.lock = asyncio.Lock()


class ReaderBench:
    """A double whose adapter only reads: every hook of the other one, and no way to trade."""

    def __init__(self, broker: object, double: Double) -> None:
        self.broker = broker
        self._double = double

    def __getattr__(self, name: str) -> Any:
        return getattr(self._double, name)


class Reads:
    """The right adapter without what a reader has not."""

    def __init__(self, right: VenueBroker) -> None:
        for name in ("name", "open_orders", "order", "fills_since", "positions", "cash", "limits", "server_time_ns"):
            setattr(self, name, getattr(right, name))


class Made(Protocol):
    """A target; its adapters have a time-out of ``timeout_s``."""

    def __call__(self, timeout_s: float = TIMEOUT_S) -> object:
        """Return a bench."""
        ...


def reader_of(kind: Callable[[VenueBroker], object]) -> Made:
    """Return what makes a bench with a reader of this kind."""

    def make(timeout_s: float = TIMEOUT_S) -> ReaderBench:
        double = Double(timeout_s)
        return ReaderBench(kind(double.broker), double)

    return make


def bench_of(kind: type[Noted]) -> Made:
    """Return what makes a bench with an adapter of this kind."""

    def make(timeout_s: float = TIMEOUT_S) -> Double:
        double = Double(timeout_s)
        double.broker = kind(double, timeout_s)
        return double

    return make


RIGHT: Final[dict[str, Made]] = {"trader": bench_of(Noted), "reader": reader_of(Reads)}
