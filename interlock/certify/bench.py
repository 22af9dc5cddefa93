"""What the author of an adapter supplies: a fresh adapter, connected to a test double that misbehaves on purpose.

A *target* is a callable without arguments, or an object with such a method ``fresh``. It returns, or awaits to, or is
an async context manager around, a ``Bench``; or the adapter itself, which is then searched for the hooks. Each rule of
the kit gets a fresh one in an event loop of its own. The double has one account without orders or fills.

Every part but ``broker`` may be left out. A rule that needs a hook that is not there is skipped, never passed. Hooks
act on the double and not on the adapter, and return once they have taken effect there; "the next call" is the next
request that the adapter makes, whatever it asks for. What a double cannot do by waiting it may play: a lost answer can
be an error of the transport at once, as long as it is the error that a real time-out would bring.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Protocol

from interlock.domain.broker import PlaceOrder
from interlock.ports import BrokerReader, BrokerTrader

__all__ = ["DECIMALS", "LOT", "PRICE", "SYMBOL", "Bench", "Target"]

SYMBOL: Final = "BTC/EUR"
PRICE: Final = Decimal(100)
LOT: Final = Decimal("0.5")
DECIMALS: Final = tuple(
    (Decimal(quantity), Decimal(price))
    for quantity, price in (
        ("1200", "1.10"),
        ("0.000000000000000001", "100"),
        ("999999999.123456789012345678", "10"),
        ("10", "0.123456789012345678"),
        ("0.123456789", "1.123456789"),
    )
)

Target = Callable[[], Any]
"""Makes a fresh bench: see above for what it may return."""


class Bench(Protocol):
    """One adapter, and the double that it is connected to."""

    @property
    def broker(self) -> BrokerReader | BrokerTrader:
        """What is certified."""
        ...

    @property
    def symbol(self) -> str:
        """What the double trades; BTC/EUR where it is left out."""
        ...

    @property
    def price(self) -> Decimal:
        """At this limit a buy order rests until ``fill`` is called; 100 where it is left out."""
        ...

    @property
    def lot(self) -> Decimal:
        """Orders are whole numbers of it; 0.5 where it is left out."""
        ...

    @property
    def decimals(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """Quantities with limits of at most ``price``, as long, tiny and huge as the double takes them."""
        ...

    # -- the account ----------------------------------------------------------------------------------------

    async def place_there(self, request: PlaceOrder) -> None:
        """Take in an order that does not come through the adapter, as from a person at a terminal."""
        ...

    async def orders_there(self, client_order_id: str) -> int:
        """Return how many orders the double has ever taken in under this id."""
        ...

    async def fill(self, client_order_id: str, quantity: Decimal, price: Decimal, ts_ns: int) -> None:
        """Execute a part of an open order, at whole seconds of 2026, not always later than the one before."""
        ...

    async def cancel_there(self, client_order_id: str) -> None:
        """Cancel an open order without being asked to."""
        ...

    async def fill_in_cancel(self, client_order_id: str, quantity: Decimal, price: Decimal, ts_ns: int) -> None:
        """Execute a part of an open order just before the next cancel of it is processed."""
        ...

    # -- the next call --------------------------------------------------------------------------------------

    async def reject(self, code: str) -> None:
        """Reject the next order by a definite code."""
        ...

    async def rate_limit(self, retry_after_s: float | None) -> None:
        """Turn the next call away for its rate, with the advice to wait so long (whole seconds), or without any."""
        ...

    async def refuse(self, code: str) -> None:
        """Refuse the next call, whatever it asks for: no permission."""
        ...

    async def fail_to_send(self) -> None:
        """Let the next call fail before its first byte leaves: nobody listens there."""
        ...

    async def lose_before(self) -> None:
        """Lose the next call on its way there: nothing is done, and no answer comes."""
        ...

    async def lose_after(self) -> None:
        """Do what the next call asks for, and lose the answer."""
        ...

    async def garble(self) -> None:
        """Answer the next call with what is no answer: half of one, or the page of a proxy."""
        ...

    async def fail(self) -> None:
        """Answer the next call with a transient error, and do nothing."""
        ...

    # -- answers and time -----------------------------------------------------------------------------------

    async def hold(self) -> None:
        """Process calls from now on, and hold their answers back."""
        ...

    async def held(self, count: int) -> None:
        """Return once so many answers have been held back since ``hold``, whether or not they were given up."""
        ...

    async def release(self) -> None:
        """Let go all answers that are held back, the last one first, and hold none any more."""
        ...

    async def shift_clock(self, seconds: int) -> None:
        """Set the double's clock forward, or back where below zero."""
        ...

    # -- statements -----------------------------------------------------------------------------------------

    async def listened(self) -> None:
        """Return once the adapter listens to statements, or has said that it never will."""
        ...

    async def tell_again(self) -> None:
        """Deliver the last fill that was told once more, as it was."""
        ...

    async def cut(self) -> None:
        """Break the link on which statements are told."""
        ...

    async def hold_statements(self) -> None:
        """Hold back what there is to tell."""
        ...

    async def release_statements(self) -> None:
        """Tell what was held back, in the order in which it happened."""
        ...
