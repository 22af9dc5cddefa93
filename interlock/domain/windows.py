"""Sliding windows: how often something happened lately, with bounded memory. Time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from interlock.domain.instants import to_ns

__all__ = ["SlidingWindow", "SlidingWindows"]


class SlidingWindow:
    """Counts what happened within the last ``seconds``; what is exactly that old no longer counts."""

    def __init__(self, seconds: float) -> None:
        self._length_ns = to_ns(seconds)
        self._times_ns: deque[int] = deque()

    def count(self, now_ns: int) -> int:
        """Return how often it happened within the window that ends now."""
        times = self._times_ns
        while times and times[0] <= now_ns - self._length_ns:
            times.popleft()
        return len(times)

    def note(self, now_ns: int) -> None:
        """Take down that it happened."""
        self._times_ns.append(now_ns)


class SlidingWindows:
    """One window for each key; keys without recent events are dropped again."""

    def __init__(self, seconds: float, keys_max: int = 10_000) -> None:
        self._seconds = seconds
        self._keys_max = keys_max
        self._windows: dict[Hashable, SlidingWindow] = {}

    def count(self, key: Hashable, now_ns: int) -> int:
        """Return how often ``key`` happened within the window that ends now."""
        window = self._windows.get(key)
        return 0 if window is None else window.count(now_ns)

    def note(self, key: Hashable, now_ns: int) -> None:
        """Take down that ``key`` happened."""
        if len(self._windows) >= self._keys_max:
            self._windows = {known: window for known, window in self._windows.items() if window.count(now_ns)}
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = SlidingWindow(self._seconds)
        window.note(now_ns)
