"""From the structures of ccxt to what a broker says here: orders, executions, positions, balances.

Pure. Numbers are taken from text or whole numbers and never from a float. What is missing, not exact or not known is an
error that names the exchange, the thing and the field: ``Unreachable``, since such an answer says nothing, and for a
status that nobody knows ``OutcomeUnknown``.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from interlock.adapters.ccxt_fields import Told, made, number_of, symbol_of, text_of, time_ms_of, unreadable
from interlock.adapters.ccxt_reins import TOLD
from interlock.domain.broker import BrokerOrder, BrokerStatus, FeeCurrency, Fill, PositionLine
from interlock.domain.errors import OutcomeUnknown
from interlock.domain.ids import stable_id
from interlock.domain.intents import Side
from interlock.domain.money import ARITHMETIC, ZERO
from interlock.runtime.redaction import scrub

__all__ = [
    "CURSORS_PER_MS",
    "Owner",
    "balance_of",
    "balances_of",
    "cursor_of",
    "fill_of",
    "key_of",
    "order_of",
    "owner_of",
    "position_of",
]

CURSORS_PER_MS: Final = 1_000_000
_NS_PER_MS: Final = 1_000_000
_SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
_SIGNS: Final = {"long": 1, "short": -1}
_STATUSES: Final = {
    "open": BrokerStatus.OPEN,
    "canceling": BrokerStatus.OPEN,
    "closed": BrokerStatus.FILLED,
    "canceled": BrokerStatus.CANCELLED,
    "expired": BrokerStatus.EXPIRED,
    "rejected": BrokerStatus.REJECTED,
}


class Owner(NamedTuple):
    """Whose an order is: its client order id, and the currency of its fee where the order tells it."""

    client_order_id: str
    fee_currency: str | None


# -- orders -------------------------------------------------------------------------------------------------


def key_of(exchange: str, order: Told) -> str:
    """Return the client order id of an order; one that has none is nobody's: ``exchange:its own id``."""
    given = order.get("clientOrderId")
    if given is None or given == "":
        return f"{exchange}:{text_of(exchange, 'order', order, 'id')}"
    return text_of(exchange, "order", order, "clientOrderId")


def owner_of(exchange: str, order: Told) -> Owner:
    """Return what the executions of an order have to know of it."""
    currency = (order.get("fee") or {}).get("currency")
    return Owner(key_of(exchange, order), currency if isinstance(currency, str) else None)


def order_of(exchange: str, order: Told, fills: tuple[Fill, ...] = ()) -> BrokerOrder:
    """Return an order with these executions of it.

    Raises:
        OutcomeUnknown: its status is not known, or contradicts its amounts.
        Unreachable: something is missing, or not exact.
    """
    order_id = text_of(exchange, "order", order, "id")
    what = f"order {order_id}"
    amounts: Told = order.get(TOLD) or {}
    amount = number_of(exchange, what, amounts, "amount")
    if amounts.get("filled") is None and amounts.get("remaining") is not None:
        filled = ARITHMETIC.subtract(amount, number_of(exchange, what, amounts, "remaining"))
    else:
        filled = number_of(exchange, what, amounts, "filled")
    return made(
        exchange,
        what,
        BrokerOrder,
        client_order_id=key_of(exchange, order),
        broker_order_id=order_id,
        symbol=symbol_of(exchange, what, order),
        side=_side(exchange, what, order),
        quantity=amount,
        limit_price=_limit_price(exchange, what, order),
        filled=filled,
        status=_status(exchange, what, order, amount, filled),
        fills=fills,
    )


def _limit_price(exchange: str, what: str, order: Told) -> Decimal | None:
    """Return the limit; a limit order has one, a market order none, others (stops) as they were placed."""
    kind, amounts = text_of(exchange, what, order, "type"), order.get(TOLD) or {}
    if kind == "market" or (kind != "limit" and amounts.get("price") is None):
        return None
    price = number_of(exchange, what, amounts, "price")
    return None if kind != "limit" and price == ZERO else price


def _status(exchange: str, what: str, order: Told, amount: Decimal, filled: Decimal) -> BrokerStatus:
    told = order.get("status")
    status = _STATUSES.get(told) if isinstance(told, str) else None
    if status is None:
        text = f"{exchange}: {what}: status {scrub(str(told))[:40]!r} is not known"
        raise OutcomeUnknown(text)
    contradiction = filled > amount or (status is BrokerStatus.REJECTED and filled > ZERO)
    if contradiction:
        text = f"{exchange}: {what}: {told}, and {filled} of {amount} filled"
        raise OutcomeUnknown(text)
    if status is BrokerStatus.FILLED and filled < amount:
        return BrokerStatus.CANCELLED
    return status


# -- executions ---------------------------------------------------------------------------------------------


def cursor_of(time_ms: int, fill_id: str) -> int:
    """Return the place of an execution in the history: its millisecond, and within it a place of its own.

    Ids that are numbers count up, so that within a millisecond they give the order; other ids give an order that is
    arbitrary and always the same.
    """
    counts = fill_id.isascii() and fill_id.isdecimal()
    place = int(fill_id) if counts else int(stable_id("ccxt-fill", fill_id)[:12], 16)
    return time_ms * CURSORS_PER_MS + place % CURSORS_PER_MS


def fill_of(exchange: str, trade: Told, owner: Owner) -> Fill:
    """Return one execution of an order of ``owner``.

    Raises:
        Unreachable: something is missing or not exact, or the fee is in a third currency.
    """
    fill_id = text_of(exchange, "trade", trade, "id")
    what = f"trade {fill_id}"
    time_ms = time_ms_of(exchange, what, trade)
    symbol = symbol_of(exchange, what, trade)
    fee, currency = _fee(exchange, what, trade, owner)
    return made(
        exchange,
        what,
        Fill,
        fill_id=fill_id,
        client_order_id=owner.client_order_id,
        broker_order_id=text_of(exchange, what, trade, "order"),
        symbol=symbol,
        side=_side(exchange, what, trade),
        quantity=number_of(exchange, what, trade, "amount"),
        price=number_of(exchange, what, trade, "price"),
        fee=fee,
        fee_currency=_fee_currency(exchange, what, symbol, fee, currency),
        ts_ns=time_ms * _NS_PER_MS,
        cursor=cursor_of(time_ms, fill_id),
    )


def _fee(exchange: str, what: str, trade: Told, owner: Owner) -> tuple[Decimal, str]:
    """Return the fee and its currency; several in one currency are one."""
    told = trade.get("fees") or [trade.get("fee") or {}]
    sums: dict[str, Decimal] = {}
    for fee in told:
        currency = text_of(exchange, what, fee, "currency", "fee currency")
        cost = number_of(exchange, what, fee, "cost", "fee cost")
        sums[currency] = ARITHMETIC.add(sums.get(currency, ZERO), cost)
    paid = [currency for currency, cost in sums.items() if cost != ZERO] or [next(iter(sums))]
    if len(paid) > 1:
        raise unreadable(exchange, what, "fee", f"is in {len(paid)} currencies")
    if owner.fee_currency not in (None, paid[0]) and sums[paid[0]] != ZERO:
        raise unreadable(exchange, what, "fee currency", f"is {paid[0]}, and {owner.fee_currency} by its order")
    return sums[paid[0]], paid[0]


def _fee_currency(exchange: str, what: str, symbol: str, fee: Decimal, currency: str) -> FeeCurrency:
    base, _, rest = symbol.partition("/")
    quote = rest.partition(":")[0]
    if currency == quote or fee == ZERO:
        return FeeCurrency.QUOTE
    if currency == base:
        return FeeCurrency.BASE
    raise unreadable(exchange, what, "fee currency", f"is {currency}, neither {base} nor {quote}")


# -- what is held -------------------------------------------------------------------------------------------


def balances_of(exchange: str, balance: Told, cash: str) -> Iterable[PositionLine]:
    """Return what is held of every currency but ``cash``, each as the symbol that it has against cash."""
    totals: Told = balance.get("total") or {}
    for currency in sorted(totals):
        if currency != cash:
            held = balance_of(exchange, balance, currency)
            if held != ZERO:
                yield made(exchange, f"balance {currency}", PositionLine, symbol=f"{currency}/{cash}", quantity=held)


def balance_of(exchange: str, balance: Told, currency: str) -> Decimal:
    """Return the balance of a currency, free or not; one that is not listed is none."""
    what, totals = f"balance {currency}", balance.get("total") or {}
    if currency not in totals:
        return ZERO
    debts: Told = balance.get("debt") or {}
    if debts.get(currency) is not None and number_of(exchange, what, debts, currency, "debt") != ZERO:
        raise unreadable(exchange, what, "debt", "is not zero: a borrowed balance is no holding")
    return number_of(exchange, what, totals, currency, "total")


def position_of(exchange: str, position: Told) -> PositionLine | None:
    """Return one position as the exchange lists it; None where it is flat."""
    symbol = symbol_of(exchange, "position", position)
    what = f"position {symbol}"
    held = number_of(exchange, what, position, "contracts")
    if held == ZERO:
        return None
    side = position.get("side")
    if side not in _SIGNS or held < ZERO:
        raise unreadable(exchange, what, "side", f"is {scrub(str(side))[:40]!r} with {held} contracts")
    entry = position.get("entryPrice")
    price = None if entry is None else number_of(exchange, what, position, "entryPrice")
    return made(
        exchange,
        what,
        PositionLine,
        symbol=symbol,
        quantity=held * _SIGNS[side],
        average_price=price,
    )


def _side(exchange: str, what: str, told: Told) -> Side:
    side = _SIDES.get(text_of(exchange, what, told, "side"))
    if side is None:
        raise unreadable(exchange, what, "side", "is neither buy nor sell")
    return side
