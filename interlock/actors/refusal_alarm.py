"""The refusals of our own that somebody has to hear of: each raises its alert, by the way of all alerts.

An order without a slippage preset shows a hole in the settings (SLP-2), a decision that is used again for something
else a host that mixes its decisions up (IDM-2). Other refusals are the rails at their work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from interlock.domain.orders import Order
from interlock.domain.rails import NO_PRESET

__all__ = ["KEY_REUSED", "RefusalAlarm"]

KEY_REUSED: Final = "KEY_REUSED"
"""The code of a refusal: the key stands for another order already."""

_ALERTS: Final = {
    NO_PRESET: ("ALERT_SLIPPAGE_PRESET_MISSING", "missing"),
    KEY_REUSED: ("ALERT_KEY_REUSED", "reused"),
}
"""By the code of the refusal: the alert, and what counts in it how often that was by now."""


class RefusalAlarm:
    """Looks at every refusal of the order desk."""

    def __init__(self) -> None:
        self.alert: Callable[[str, dict[str, object]], None] | None = None
        """How an alert is raised; whoever holds the session's record sets it."""
        self._times: dict[str, int] = {}

    def refused(self, order: Order, code: str, reason: str) -> None:
        """Look at one refusal."""
        if code not in _ALERTS or self.alert is None:
            return
        name, counted = _ALERTS[code]
        self._times[code] = self._times.get(code, 0) + 1
        about: dict[str, object] = {
            "decision_id": order.decision_id,
            "client_order_id": order.client_order_id,
            "symbol": order.symbol,
            "reason": reason,
            counted: self._times[code],
        }
        self.alert(name, about)
