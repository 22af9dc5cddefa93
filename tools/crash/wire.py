"""What a child, the verifier and the broker process say to each other: one JSON line a request, one a reply.

Every request carries the caller's time: the broker has no clock of its own. Statements of the broker travel under the
name of their schema and are validated again where they arrive, like everything that crosses a door.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from interlock.domain.broker import (
    Accepted,
    BrokerMessage,
    BrokerOrder,
    BrokerSnapshot,
    Cancelled,
    CancelRefused,
    Expired,
    Fill,
    OrderNotFound,
    PlaceOrder,
    Rejected,
    Throttled,
    Unavailable,
)
from tools.crash.plan import Fate

__all__ = [
    "Book",
    "Calm",
    "Cancel",
    "Line",
    "Mark",
    "Marked",
    "Place",
    "Query",
    "Reach",
    "Reply",
    "Request",
    "Said",
    "Sent",
    "Show",
    "Snapshot",
    "Stop",
    "There",
    "Tick",
    "pack",
    "unpack",
]

_SCHEMAS: Final[dict[str, type[BrokerMessage]]] = {
    model.SCHEMA: model
    for model in (
        *(Accepted, Rejected, Cancelled, CancelRefused, Expired, Fill),
        *(BrokerOrder, OrderNotFound, BrokerSnapshot, Throttled, Unavailable),
    )
}


class _Request(msgspec.Struct, frozen=True):
    now_ns: int


class Place(_Request, frozen=True, tag=True):
    """Place an order."""

    order: PlaceOrder


class Cancel(_Request, frozen=True, tag=True):
    """Cancel what is left of an order."""

    key: str


class Query(_Request, frozen=True, tag=True):
    """Ask about one order."""

    key: str


class Snapshot(_Request, frozen=True, tag=True):
    """Ask for the account, with the fills above a cursor."""

    fills_after: int


class Tick(_Request, frozen=True, tag=True):
    """Let prices move ``times`` times, and resting orders fill; 0 only looks."""

    times: int = 1


class Mark(_Request, frozen=True, tag=True):
    """Take note of when something was done on our side."""

    what: str


class Calm(_Request, frozen=True, tag=True):
    """From now on nothing goes wrong any more."""


class Show(_Request, frozen=True, tag=True):
    """Show the whole book (the verifier's own question)."""


class Stop(_Request, frozen=True, tag=True):
    """End the process."""


Request = Place | Cancel | Query | Snapshot | Tick | Mark | Calm | Show | Stop


class Said(msgspec.Struct, frozen=True):
    """One statement, and how late it is told."""

    schema: str
    body: msgspec.Raw
    late_s: float = 0.0


class Reach(msgspec.Struct, frozen=True):
    """The most that a position can come to by what is open there or on its way, up and down."""

    long: Decimal
    short: Decimal


class Sent(msgspec.Struct, frozen=True):
    """One place request as it reached the broker."""

    order: PlaceOrder
    now_ns: int
    fate: Fate


class Marked(msgspec.Struct, frozen=True):
    """One mark; ``sent`` is how many place requests had come before it."""

    what: str
    now_ns: int
    sent: int


class There(msgspec.Struct, frozen=True):
    """One order in the broker's book."""

    order: PlaceOrder
    status: str
    filled: Decimal


class Book(msgspec.Struct, frozen=True):
    """Everything that the broker knows."""

    now_ns: int
    sent: tuple[Sent, ...]
    accepted: tuple[str, ...]
    orders: dict[str, There]
    on_their_way: tuple[str, ...]
    executions: tuple[Said, ...]
    positions: dict[str, Decimal]
    cash: Decimal | None
    marks: tuple[Marked, ...]

    def fills(self) -> dict[str, Fill]:
        """Return the executions by id."""
        fills = (Fill.model_validate_json(bytes(said.body)) for said in self.executions)
        return {fill.fill_id: fill for fill in fills}


class Reply(msgspec.Struct, frozen=True):
    """An answer (None: it got lost), what is told on the stream, the reach of each symbol, and the book if wanted."""

    answer: Said | None = None
    told: tuple[Said, ...] = ()
    reach: dict[str, Reach] = {}
    book: Book | None = None


def pack(statement: BrokerMessage, late_s: float = 0.0) -> Said:
    """Return a statement as it travels."""
    return Said(type(statement).SCHEMA, msgspec.Raw(statement.model_dump_json().encode()), late_s)


def unpack(said: Said) -> BrokerMessage:
    """Return the statement that arrived."""
    return _SCHEMAS[said.schema].model_validate_json(bytes(said.body))


class Line:
    """One connection to the broker process; ``reach`` is what the last reply said of each symbol."""

    def __init__(self, path: Path) -> None:
        self.reach: dict[str, Reach] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rwb")
        self._encode = msgspec.json.Encoder(decimal_format="string").encode
        self._decode = msgspec.json.Decoder(Reply).decode

    def call(self, request: Request, sent: Callable[[], None] | None = None) -> Reply:
        """Ask, and wait for the reply; ``sent`` is called in between.

        Raises:
            ConnectionError: the broker process is gone.
        """
        self.tell(request)
        if sent is not None:
            sent()
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            message = "the broker process is gone"
            raise ConnectionError(message)
        reply = self._decode(line)
        self.reach = reply.reach
        return reply

    def tell(self, request: Request) -> None:
        """Send a request and wait for nothing."""
        self._stream.write(self._encode(request) + b"\n")
        self._stream.flush()

    def book(self, now_ns: int = 0) -> Book:
        """Return the broker's whole book."""
        book = self.call(Show(now_ns)).book
        if book is None:
            message = "the broker does not show its book"
            raise ConnectionError(message)
        return book

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._socket.close()
