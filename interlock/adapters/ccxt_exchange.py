"""One exchange of ccxt that can only be read.

Only the methods of ``READS`` can be called. That holds twice: by name here, and below (``ccxt_reins``) at the one place
where ccxt sends anything, which is shut unless one of those methods is under way.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Final

import anyio

from interlock.adapters.ccxt_errors import translated
from interlock.adapters.ccxt_reins import READING, Reading, Reins
from interlock.adapters.ccxt_settings import CcxtSettings, Known, known_of
from interlock.domain.errors import BadInput, Refused

__all__ = ["READS", "CcxtExchange"]

READS: Final = (
    "fetch_balance",
    "fetch_canceled_orders",
    "fetch_closed_orders",
    "fetch_my_trades",
    "fetch_open_orders",
    "fetch_order",
    "fetch_orders",
    "fetch_positions",
    "fetch_time",
)
"""All that can be asked of an exchange."""

_FOREIGN: Final = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What ccxt raises beside its own errors over an answer that it did not expect."""


def _import_ccxt() -> ModuleType:
    """Import ccxt, here alone: it takes longer than everything else together."""
    try:
        return importlib.import_module("ccxt.async_support")
    except ModuleNotFoundError as error:
        raise BadInput("interlock.adapters", "ccxt is not installed", "pip install 'interlock[ccxt]'") from error


class CcxtExchange:
    """Asks an exchange through ccxt, one question at a time, at its rate; has no other way to it."""

    def __init__(self, settings: CcxtSettings, keys: dict[str, str]) -> None:
        """Make the exchange; nothing is sent yet.

        Raises:
            BadInput: ccxt is not installed, does not have the exchange, or needs a key that was not given.
        """
        self.id = settings.exchange
        self.known = known_of(settings.exchange)
        self._secrets = tuple(keys.values())
        self._lock = anyio.Lock()
        ccxt = _import_ccxt()
        self.__base_error: type[Exception] = ccxt.BaseError
        self.__exchange = _made(ccxt, settings, keys, self.known)

    def __repr__(self) -> str:
        return f"CcxtExchange({self.id!r})"

    def can(self, method: str) -> bool:
        """Return whether the exchange has a call of its own for ``method``; what ccxt makes of other calls is none."""
        first, *rest = method.split("_")
        return self.__exchange.has.get(first + "".join(part.title() for part in rest)) is True

    def feature(self, market: str, method: str, name: str) -> object:
        """Return what ccxt says of a method, such as its ``limit``; None where it says nothing."""
        features = (self.__exchange.features or {}).get(market) or {}
        if market == "swap":
            features = features.get("linear") or {}
        first, *rest = method.split("_")
        told: object = (features.get(first + "".join(part.title() for part in rest)) or {}).get(name)
        return told

    async def read(self, method: str, *args: object) -> Any:
        """Return what ccxt makes of the answer to one of ``READS``.

        Raises:
            BrokerError: there was no answer, or ``method`` is no read (``Refused``).
        """
        if method not in READS:
            raise Refused("READ_ONLY", f"{self.id}: {str(method)[:40]} is no read")
        reading, failure = Reading(), None
        token = READING.set(reading)
        try:
            # One at a time: an exchange that wants rising numbers would get them in the order of their arrival.
            async with self._lock:
                if not self.__exchange.markets:
                    await self.__exchange.load_markets()
                return await getattr(self.__exchange, method)(*args)
        except (self.__base_error, *_FOREIGN) as error:
            failure = translated(error, self.id, secrets=self._secrets, retry_s=reading.retry_s)
        finally:
            READING.reset(token)
        raise failure

    async def aclose(self) -> None:
        """Close its connections."""
        await self.__exchange.close()


def _made(ccxt: ModuleType, settings: CcxtSettings, keys: dict[str, str], known: Known | None) -> Any:
    """Return the exchange of ccxt under its reins."""
    if settings.exchange not in ccxt.exchanges:
        raise BadInput("exchange", f"ccxt {ccxt.__version__} has none called {settings.exchange}", "an id of ccxt")
    options: dict[str, Any] = {
        "enableRateLimit": True,
        "timeout": int(settings.timeout_s * 1000),
        "verbose": False,
        # An exchange judges requests by its own clock; ours may be off.
        "options": {"defaultType": settings.market, "adjustForTimeDifference": known is None or known.judges_time},
        **keys,
    }
    if settings.request_every_s is not None:
        options["rateLimit"] = settings.request_every_s * 1000
    kind: Any = type(
        settings.exchange,
        (Reins, getattr(ccxt, settings.exchange)),
        {"known": known, "bad_response": ccxt.BadResponse, "no_redirection": _no_redirection(ccxt)},
    )
    exchange = kind(options)
    exchange.number = str
    missing = [name for name, needed in exchange.requiredCredentials.items() if needed and name not in keys]
    if missing:
        raise BadInput("keys", f"{settings.exchange} needs {', '.join(missing)}", "a place for each")
    if settings.base_url is not None:
        exchange.urls = {**exchange.urls, "api": _rebased(exchange.urls["api"], settings.base_url.rstrip("/"))}
    return exchange


def _no_redirection(ccxt: ModuleType) -> Any:
    async def refuse(*_: object) -> None:
        message = "an answer from elsewhere: redirections are not followed"
        raise ccxt.BadResponse(message)

    trace = importlib.import_module("aiohttp").TraceConfig()
    trace.on_request_redirect.append(refuse)
    trace.freeze()
    return trace


def _rebased(address: Any, base: str) -> Any:
    if isinstance(address, dict):
        return {name: _rebased(below, base) for name, below in address.items()}
    return base
