"""Which broker a session is connected to: the rule that nothing here trades live (NO-LIVE), before any call.

A broker that takes orders is connected only where it is a mock, or paper and a test override was passed in code. One
that does not fit is never connected at all: an actor without any handler stands in its place, and preflight says why.
A broker that can only be read makes a shadow session, whose actor has no way to place or cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import msgspec

from interlock.actors.ported_broker import PortedReader, PortedTrader, PortSettings
from interlock.config.model import SessionConfig
from interlock.domain.errors import BadInput
from interlock.ports import BrokerReader, BrokerTrader
from interlock.runtime.actor import Actor, Context, refuse
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.retry import RetryPolicy

__all__ = ["Connected", "Unconnected", "connect"]

_READS: Final = ("name", "open_orders", "order", "fills_since", "positions", "cash", "limits", "server_time_ns")
_TRADES: Final = ("place", "cancel")
_TRADER: Final = ("is_mock", "is_paper", "statements", *_TRADES)


class Unconnected(Actor):
    """Stands in the place of a broker that must not be talked to; knows only what it said it was."""

    def __init__(self, ctx: Context, *, is_mock: bool, is_paper: bool) -> None:
        super().__init__(ctx)
        self.is_mock = is_mock
        self.is_paper = is_paper

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:  # noqa: ARG002 - it takes no message
        """Refuse whatever comes."""
        refuse(self, message)


class Connected(msgspec.Struct, frozen=True):
    """How the broker's actor is made (None: the mock broker of the config), and whether the session only reads."""

    build: Callable[[Context], Actor] | None
    shadow: bool = False


def connect(
    broker: BrokerReader | BrokerTrader | None, config: SessionConfig, *, live: bool, override: bool
) -> Connected:
    """Return how ``broker`` is connected; ``live`` says that live trading was asked for, by whatever way.

    Raises:
        BadInput: it is no broker: a method of the port is missing.
    """
    if broker is None:
        return Connected(None)
    trades = any(hasattr(broker, name) for name in _TRADES)
    missing = [name for name in (*_READS, *(_TRADER if trades else ())) if not hasattr(broker, name)]
    if missing:
        what = f"is no {'BrokerTrader' if trades else 'BrokerReader'}: it has no {', '.join(missing)}"
        raise BadInput("broker", what, "all that interlock.ports names")
    settings = PortSettings(config.broker.timeout_s, RetryPolicy(**config.retry.model_dump()))
    if not trades:
        return Connected(lambda ctx: PortedReader(ctx, settings, broker), shadow=True)
    trader = cast("BrokerTrader", broker)
    is_mock, is_paper = trader.is_mock is True, trader.is_paper is True
    if (is_mock or (is_paper and override)) and (override or not live):
        return Connected(lambda ctx: PortedTrader(ctx, settings, trader))
    return Connected(lambda ctx: Unconnected(ctx, is_mock=is_mock, is_paper=is_paper))
