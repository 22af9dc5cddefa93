"""What a difference in positions or cash comes from: the fills that only one side knows, and what they leave over.

Two looks at a busy account can differ by the same amount for two different reasons: one fill on its way, then another
of the same size. So a difference is taken apart: as far as fills of one side explain it, it is about those fills.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from interlock.domain.broker import FeeCurrency, Fill
from interlock.domain.findings import DiffType, Finding
from interlock.domain.ledgers import signed
from interlock.domain.money import ZERO

__all__ = ["OneSided", "explained", "one_sided"]


class OneSided(msgspec.Struct, frozen=True):
    """Fills that only we know, and fills that only the broker knows."""

    here: tuple[Fill, ...]
    there: tuple[Fill, ...]


def one_sided(ours: tuple[Fill, ...], theirs: tuple[Fill, ...]) -> OneSided:
    """Return the fills that only one side lists."""
    internal = {fill.fill_id: fill for fill in ours}
    external = {fill.fill_id: fill for fill in theirs}
    return OneSided(
        tuple(fill for key, fill in internal.items() if key not in external),
        tuple(fill for key, fill in external.items() if key not in internal),
    )


def explained(finding: Finding, fills: OneSided) -> Finding:
    """Return a position or cash finding with what one-sided fills explain of it."""
    if finding.delta is None:
        return finding
    is_cash = finding.diff_type is DiffType.CASH
    effect = _cash_effect if is_cash else _position_effect
    here = [fill for fill in fills.here if is_cash or fill.symbol == finding.subject]
    there = [fill for fill in fills.there if is_cash or fill.symbol == finding.subject]
    due = sum((effect(fill) for fill in here), ZERO) - sum((effect(fill) for fill in there), ZERO)
    residue = finding.delta - due
    ids = tuple(sorted(fill.fill_id for fill in (*here, *there)))
    return msgspec.structs.replace(finding, residue=residue, explained_by=() if residue else ids)


def _position_effect(fill: Fill) -> Decimal:
    taken = fill.fee if fill.fee_currency is FeeCurrency.BASE else ZERO
    return signed(fill.side, fill.quantity) - taken


def _cash_effect(fill: Fill) -> Decimal:
    taken = fill.fee if fill.fee_currency is FeeCurrency.QUOTE else ZERO
    return -signed(fill.side, fill.quantity) * fill.price - taken
