"""How much worse than decided a fill was, in pips, against the preset of its symbol and session.

Sessions and presets are those of the domain, which the rails use as well. A symbol and session without a preset is no
free pass: once there are presets, it is a breach of its own (SAF-6).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from interlock.domain.instants import from_datetime
from interlock.domain.money import ZERO, decimal_text
from interlock.domain.orders import Order
from interlock.domain.slippage import slipped
from interlock.prove.executions import Execution
from interlock.prove.model import ProofConfig

__all__ = ["SlippageCheck"]

_BREACHES_MAX: Final = 1000
_STEP: Final = Decimal("0.0001")


class SlippageCheck:
    """Measures fills. ``worst`` is the largest slippage in pips, ``hits`` counts fills that met a preset."""

    def __init__(self, config: ProofConfig) -> None:
        self.worst = ZERO
        self.breaches: list[str] = []
        self.breached = 0
        self.hits: dict[tuple[str, ...], float] = {
            (preset.symbol, preset.session): 0 for preset in config.slippage_presets
        }
        self._presets = config.slippage()
        self._pip_sizes = config.pip_sizes

    def check(self, execution: Execution, order: Order) -> None:
        """Measure one fill of an order, where there are presets and a price that the decision was made at."""
        pip_size, reference = self._pip_sizes.get(execution.symbol), order.reference_price
        if not self.hits or pip_size is None or reference is None:
            return
        pips = slipped(execution.side, reference, execution.price) / pip_size
        self.worst = max(self.worst, pips)
        now_ns = from_datetime(execution.ts)
        preset = self._presets.preset(execution.symbol, now_ns)
        if preset is None:
            session = self._presets.session_of(now_ns)
            self._breach(f"fill {execution.execution_id}: no preset for {execution.symbol} in session {session}")
            return
        self.hits[preset.symbol, preset.session] += 1
        if pips > preset.max_slippage_pips:
            said, allowed = decimal_text(pips.quantize(_STEP)), decimal_text(preset.max_slippage_pips)
            self._breach(f"fill {execution.execution_id}: {said} pips of slippage, preset {allowed}")

    def _breach(self, what: str) -> None:
        self.breached += 1
        if len(self.breaches) < _BREACHES_MAX:
            self.breaches.append(what)
