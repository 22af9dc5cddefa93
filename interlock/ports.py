"""The ports to a broker: what an adapter has to be able to do, and what it may say when it cannot.

``BrokerReader`` looks, ``BrokerTrader`` looks and places. The docstrings are the contract of an adapter: the session
builds on nothing else, and believes nothing that is not said here. Whatever an adapter raises beyond the errors named
here is taken for the worst: for a question *unreachable*, for an order *outcome unknown*.

What holds for every method:

* Quantities, prices and amounts are ``Decimal``, exactly as the broker has them; a number that was ever a float is
  none. Instants are whole nanoseconds since the epoch, UTC.
* A method makes its call once, bounded by a time-out of its own, and may be cancelled at any time. Repeating is the
  session's business: it knows what may be repeated.
* Calls come from one event loop, several at a time; an answer is about the call it was given to.

Errors, and what is known after each:

* ``RateLimited``: turned away for the rate, no effect; ``retry_after_s`` is the broker's advice, where it gave one.
* ``NotSent``: failed before its first byte left; no effect.
* ``Refused``: a definite no to this call, no effect, and no use in repeating it (no permission, unknown account).
* ``Unreachable``: no answer, or none that says anything. Of an order: it may be live.
* ``OutcomeUnknown``: the call was made, and nobody can tell what came of it.

The first three are ``NotProcessed`` and prove that nothing happened; the last two are ``OutcomeUnknown`` and prove
nothing. An adapter that is in doubt raises one of the last two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Final, Protocol

from interlock.domain.broker import (
    Accepted,
    BrokerLimits,
    BrokerMessage,
    BrokerOrder,
    Cancelled,
    CancelRefused,
    Fill,
    OrderNotFound,
    PlaceOrder,
    PositionLine,
    Rejected,
)

__all__ = ["DUPLICATE_ID", "BrokerReader", "BrokerTrader"]

DUPLICATE_ID: Final = "DUPLICATE_ID"
"""The code of the one ``Rejected`` that does not say that nothing is there."""


class BrokerReader(Protocol):
    """A broker that can be asked, about one account. Nothing here changes anything there."""

    @property
    def name(self) -> str:
        """What the broker is called in records; no account number, no address."""
        ...

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Return every order that is open now, all of them or none: half an answer is ``Unreachable``.

        Orders that were not placed through this port are listed as well, under the client order id that they have
        there or one that the adapter makes of the broker's own id. ``fills`` may be left empty here.
        """
        ...

    async def order(self, client_order_id: str) -> BrokerOrder | OrderNotFound:
        """Return one order, open or closed, with all its fills; looked up by the id that we gave it.

        ``OrderNotFound`` says that open *and* closed orders were looked through and it is in neither. Where only the
        open ones can be looked through, not to find it there is ``Unreachable``.
        """
        ...

    async def fills_since(self, cursor: int) -> tuple[Fill, ...]:
        """Return every fill of the account whose cursor is ``cursor`` or higher, in rising order; 0 asks for all.

        A fill's cursor is its own, at least 1, and never changes; a later fill has a higher one, and none that comes
        later is ever put below one that was told. The fill at ``cursor`` itself is told again, as it was: the session
        sees by it that it is still reading the same history. ``fill_id`` is as lasting as the cursor.
        """
        ...

    async def positions(self) -> tuple[PositionLine, ...]:
        """Return every position that is not flat; what is not listed is flat there."""
        ...

    async def cash(self) -> Decimal | None:
        """Return the cash of the account, or None where the broker does not tell any."""
        ...

    async def limits(self) -> BrokerLimits | None:
        """Return the risk limits that the broker holds the account to, or None where it does not tell any."""
        ...

    async def server_time_ns(self) -> int:
        """Return the broker's own time; never less than it was."""
        ...


class BrokerTrader(BrokerReader, Protocol):
    """A broker that also takes orders. A session takes one only where it is a mock, or paper under a test override."""

    @property
    def is_mock(self) -> bool:
        """Whether orders go nowhere but into this process."""
        ...

    @property
    def is_paper(self) -> bool:
        """Whether orders go to an account without money."""
        ...

    async def place(self, request: PlaceOrder) -> Accepted | Rejected:
        """Place one order under its client order id, once.

        ``Rejected`` is a definite no of the broker to this order, which never worked. The id reaches the broker, and
        an order that exists under it there is never doubled: the answer is then ``Accepted`` of the one that is there,
        or ``Rejected`` with the code ``DUPLICATE_ID``, after which the session asks. Another order under that id is
        always rejected so, and changes nothing there. After any error but ``NotProcessed`` the order may be live.
        """
        ...

    async def cancel(self, client_order_id: str) -> Cancelled | CancelRefused:
        """Cancel what is left of one order. ``CancelRefused``: it had ended, or is not known there.

        ``Cancelled`` is said only once nothing more of the order can fill, with all that was filled.
        """
        ...

    def statements(self) -> AsyncIterator[BrokerMessage]:
        """Return what the broker tells of orders as it happens: acks, fills, cancels, rejects, expiries.

        Fills are those of ``fills_since``, equal in every field. Each iterator begins with what happens from now on;
        a lost link raises ``Unreachable``, and the session asks for a new one and compares. An iterator that ends has
        nothing to tell now or later: an adapter that can only poll does so in here, or leaves it to reconciles.
        """
        ...
