"""What is asked of one account, in structures of ccxt: whole lists or none, whatever way the exchange has to tell them.

Exchanges differ in which calls they have, whether they answer for the account or symbol by symbol, and how much one
answer holds. That is settled once, when the account is made.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from interlock.adapters.ccxt_errors import NO_SUCH_ORDER
from interlock.adapters.ccxt_exchange import CcxtExchange
from interlock.adapters.ccxt_fields import Told, time_ms_of
from interlock.adapters.ccxt_history import Pages, Window, one_each, read_whole
from interlock.adapters.ccxt_settings import CcxtSettings
from interlock.domain.errors import BadInput, Refused, Unreachable

__all__ = ["CcxtAccount"]

_NEEDED: Final = ("fetch_open_orders", "fetch_order", "fetch_my_trades", "fetch_balance", "fetch_time")
_ENDED: Final = (("fetch_orders",), ("fetch_closed_orders", "fetch_canceled_orders"), ("fetch_closed_orders",))
"""The ways to orders that have ended, the best first."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NS_PER_MS: Final = 1_000_000
_FOR_EVER_DAYS: Final = 10_000
"""ccxt writes 10000 or 100000 days where there is no bound."""


class CcxtAccount:
    """Asks one exchange about one account. Raises ``BrokerError`` from every question."""

    def __init__(self, settings: CcxtSettings, keys: dict[str, str]) -> None:
        """Settle how the exchange is asked; nothing is sent yet.

        Raises:
            BadInput: it cannot be asked for all that a reader has to tell.
        """
        self.name = settings.exchange
        self.since_ms = (settings.since - _EPOCH) // _MILLISECOND
        self._settings = settings
        self._exchange = CcxtExchange(settings, keys)
        self._ended = self._way_to_ended()
        self._pages = {method: self._pages_of(method) for method in ("fetch_my_trades", *self._ended)}
        self._time_ns = 0

    async def aclose(self) -> None:
        """Close the connections to the exchange."""
        await self._exchange.aclose()

    async def now_ns(self) -> int:
        """Return the exchange's own time, or the latest that it told where that was later."""
        told = await self._exchange.read("fetch_time")
        now_ms = time_ms_of(self.name, "the time there", {"timestamp": told})
        self._time_ns = max(self._time_ns, now_ms * _NS_PER_MS)
        return self._time_ns

    async def balance(self) -> Told:
        """Return all balances."""
        told: Told = await self._exchange.read("fetch_balance")
        return told

    async def positions(self) -> list[Told]:
        """Return the positions that the exchange lists."""
        told: list[Told] = await self._exchange.read("fetch_positions")
        return told

    async def open_orders(self) -> dict[str, Told]:
        """Return every open order, by the exchange's id."""
        method = "fetch_open_orders"
        limit = self._exchange.feature(self._settings.market, method, "limit")
        kept: dict[str, Told] = {}
        for symbol in self._symbols(method):
            page = await self._exchange.read(method, symbol)
            if isinstance(limit, int) and len(page) >= limit:
                text = f"{self.name}: {len(page)} open orders fill a page, there may be more"
                raise Unreachable(text)
            kept |= one_each(self.name, page, kept)
        return kept

    async def ended_orders(self, client_order_id: str) -> dict[str, Told]:
        """Return orders that have ended, by the exchange's id; all under this client order id are among them."""
        known = self._exchange.known
        # A whole number may be a user reference, which is not asked for by this name.
        asks = known is not None and known.finds_client_ids and not client_order_id.isdecimal()
        params = {"clientOrderId": client_order_id} if asks else {}
        kept: dict[str, Told] = {}
        for method in self._ended:
            kept |= await self._whole(method, self.since_ms, params)
        return kept

    async def one_order(self, order_id: str, symbol: str | None = None) -> Told | None:
        """Return one order by the exchange's id; None where the exchange does not know it."""
        try:
            told: Told = await self._exchange.read("fetch_order", order_id, symbol)
        except Refused as error:
            if error.code != NO_SUCH_ORDER:
                raise
            return None
        return told

    async def trades(self, from_ms: int) -> list[Told]:
        """Return every execution from a millisecond on, each once."""
        trades = await self._whole("fetch_my_trades", from_ms, {})
        return [
            trade for trade_id, trade in trades.items() if time_ms_of(self.name, f"trade {trade_id}", trade) >= from_ms
        ]

    # -- how it is asked ------------------------------------------------------------------------------------

    async def _whole(self, method: str, from_ms: int, params: dict[str, str]) -> dict[str, Told]:
        pages, kept = self._pages[method], dict[str, Told]()
        for symbol in self._symbols(method):

            async def ask(window: Window, symbol: str | None = symbol) -> list[Told]:
                until = {} if window.until_ms is None else {"until": window.until_ms}
                page: list[Told] = await self._exchange.read(
                    method, symbol, window.since_ms, pages.entries_max, {**params, **until}
                )
                return page

            kept |= await read_whole(self.name, ask, from_ms, pages, self._now_ms)
        return kept

    async def _now_ms(self) -> int:
        return await self.now_ns() // _NS_PER_MS

    def _symbols(self, method: str) -> tuple[str | None, ...]:
        """Return what a method is asked for: the account, or each symbol where it has to be."""
        needs = self._exchange.feature(self._settings.market, method, "symbolRequired")
        return self._settings.symbols if needs else (None,)

    def _way_to_ended(self) -> tuple[str, ...]:
        """Return the calls that tell of ended orders, once it is sure that there is all that is needed."""
        settings, exchange = self._settings, self._exchange
        needed = (*_NEEDED, "fetch_positions") if settings.holds == "positions" else _NEEDED
        missing = [method for method in needed if not exchange.can(method)]
        ended = next((way for way in _ENDED if all(exchange.can(method) for method in way)), None)
        if missing or ended is None:
            lacks = ", ".join(missing or ["fetch_closed_orders"])
            raise BadInput("exchange", f"{settings.exchange} does not tell all that is needed: {lacks}")
        if not settings.symbols and any(self._symbols(method) == () for method in (*_NEEDED, *ended)):
            raise BadInput("symbols", f"{settings.exchange} tells orders and executions by symbol only", "one or more")
        return ended

    def _pages_of(self, method: str) -> Pages:
        settings, exchange = self._settings, self._exchange
        said = exchange.feature(settings.market, method, "limit")
        if method == "fetch_canceled_orders":  # ccxt says nothing of these; they come by the way of closed ones
            said = exchange.feature(settings.market, "fetch_closed_orders", "limit")
        days = exchange.feature(settings.market, method, "untilDays")
        entries_max = settings.page_max or (exchange.known.page_max if exchange.known else None) or said
        if not isinstance(entries_max, int):
            what = f"is needed: ccxt does not say how much one answer of {settings.exchange} to {method} holds"
            raise BadInput("page_max", what, "what its documentation says")
        days_max = days if isinstance(days, int) and days < _FOR_EVER_DAYS else None
        return Pages(entries_max, days_max, settings.pages_max)
