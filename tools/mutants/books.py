"""Faults of the order book, of the exposure with its caps, of the ledgers, and of the rails that keep them."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from interlock.actors.order_book import OrderBook
from interlock.actors.safety_rails import SafetyRails
from interlock.domain import ledgers, rails
from interlock.domain.broker import Fill
from interlock.domain.exposure import price_with_buffer
from interlock.domain.intents import Side
from interlock.domain.ledgers import Executed, FillBook, LedgerLine, signed
from interlock.domain.messages import Observe
from tools.mutants.cases import BASE_FEES, DAY, POOR, TIGHT
from tools.mutants.mutant import Mutant, swap, swap_item

__all__ = ["BOOKS"]

_REMEMBER: Final = FillBook.remember
_OBSERVE: Final = SafetyRails._observe
_CHARGED: Final = ledgers._charged
_EVERY: Final = 3


def _never_seen(self: FillBook, fill: Fill) -> bool:
    return False


def _forget_each_third(self: FillBook, fill: Fill) -> None:
    _REMEMBER(self, fill)
    if len(self) % _EVERY == 0:
        del self._fills[fill.fill_id]


def _no_past(self: OrderBook, fill: Fill) -> bool:
    return False


def _position_before(case: rails._Case) -> str:
    after = case.held + signed(case.order.side, case.exposure.open_quantity(case.order.symbol, case.order.side))
    return "" if abs(after) <= case.caps.position_cap or case.reduces else "above the cap already"


def _one_more_order(case: rails._Case) -> str:
    return "full" if case.exposure.live_orders > case.limits.max_live_orders else ""


def _all_cash_is_free(case: rails._Case) -> str:
    cash = case.exposure.ledger.cash
    cost = case.order.quantity * price_with_buffer(case.order, case.limits)
    return "not enough" if case.order.side is Side.BUY and cash is not None and cash < cost else ""


def _charged_twice(line: LedgerLine, fill: Executed) -> LedgerLine:
    return _CHARGED(_CHARGED(line, fill), fill)


def _fees_in_quote_alone(line: LedgerLine, fill: Executed) -> LedgerLine:
    cash = None if line.cash is None else line.cash - fill.fee
    return LedgerLine(line.position, cash, line.fees + fill.fee, line.result - fill.fee)


async def _skip_small_fills(self: SafetyRails, message: Observe) -> None:
    if not (isinstance(message.statement, Fill) and message.statement.quantity < Decimal("0.05")):
        await _OBSERVE(self, message)


BOOKS: Final = {
    "fills_not_deduplicated": Mutant(
        "no fill is ever known already", swap(FillBook, "repeats", _never_seen), DAY, ("liveness", "I2")
    ),
    "one_fill_id_forgotten": Mutant(
        "each third fill id is forgotten", swap(FillBook, "remember", _forget_each_third), DAY, ("liveness", "I2")
    ),
    "earlier_fills_forgotten": Mutant(
        "a fill that an earlier session booked is not recognised",
        swap(OrderBook, "booked_before", _no_past),
        DAY,
        ("liveness", "I2"),
    ),
    "cap_before_adding": Mutant(
        "the position is held to its cap before the order is added",
        swap_item(rails._RAILS, RAIL_POSITION=_position_before),
        TIGHT,
        ("SAF-1",),
    ),
    "one_order_too_many": Mutant(
        "one live order more than the cap is let out",
        swap_item(rails._RAILS, RAIL_LIVE_ORDERS=_one_more_order),
        TIGHT,
        ("SAF-1",),
    ),
    "reserved_cash_is_free": Mutant(
        "cash that live orders may still cost is spent again",
        swap_item(rails._RAILS, RAIL_CASH=_all_cash_is_free),
        POOR,
        ("liveness",),
    ),
    "fee_booked_twice": Mutant(
        "every fee is taken twice", swap(ledgers, "_charged", _charged_twice), DAY, ("agreement", "liveness")
    ),
    "base_fee_from_cash": Mutant(
        "a fee in the base currency is taken from the cash",
        swap(ledgers, "_charged", _fees_in_quote_alone),
        BASE_FEES,
        ("agreement", "liveness"),
    ),
    "observation_skipped": Mutant(
        "the rails do not look at small fills",
        swap(SafetyRails, "_observe", _skip_small_fills),
        DAY,
        ("leak", "agreement"),
    ),
}
