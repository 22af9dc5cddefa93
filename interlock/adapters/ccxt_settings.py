"""What a reader over ccxt has to be told: which exchange and account, where its keys are, how far to read.

Only the places of keys stand here, never a key. Use keys that may read and nothing else: what an exchange lets a key
do is the one thing that nobody can check from here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from interlock.config.section import Section
from interlock.domain.door_types import Instant, Seconds, Whole
from interlock.domain.intents import Symbol

__all__ = ["CcxtSettings", "KeyPlace", "Known", "known_of"]

Currency = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,23}$")]
Credential = Literal["apiKey", "secret", "password", "uid", "login", "twofa", "privateKey", "walletAddress", "token"]


class KeyPlace(Section):
    """Where one key is: a file of mode 0600 that is ours, or a variable of the environment."""

    file: str | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.env is None):
            message = "a key has one place: file or env"
            raise ValueError(message)
        return self


class CcxtSettings(Section):
    """One account of one exchange, in ccxt's words."""

    exchange: Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")]
    """Its id in ccxt, such as ``kraken``; the name of this broker in records."""
    cash: Currency
    """The currency that counts as cash."""
    since: Instant
    """The history begins here: what was executed before is in nobody's books."""
    keys: dict[Credential, KeyPlace] = Field(default_factory=dict)
    market: Literal["spot", "swap"] = "spot"
    holds: Literal["balances", "positions"] = "balances"
    """What a position is: the balance of a currency (``BTC`` is ``BTC/EUR`` where cash is EUR), or what the exchange
    lists as positions, in contracts where it counts in contracts."""
    symbols: tuple[Symbol, ...] = ()
    """What is traded. Some exchanges tell orders and executions by symbol only: what is not named here is not seen."""
    page_max: Annotated[Whole, Field(ge=2, le=10_000)] | None = None
    """How many executions one answer of the exchange holds at most, where ccxt does not say."""
    pages_max: Annotated[Whole, Field(ge=1, le=10_000)] = 200
    """How many answers one question may take."""
    lookups_max: Annotated[Whole, Field(ge=1, le=10_000)] = 200
    """How many orders are looked up one by one in one call, to learn whose executions they had."""
    timeout_s: Annotated[Seconds, Field(gt=0, le=600)] = 10.0
    """For one answer of the exchange; a question may take several."""
    request_every_s: Annotated[Seconds, Field(ge=0.001, le=60)] | None = None
    """The pause between requests; None: what ccxt knows of the exchange."""
    base_url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[A-Za-z0-9._/\-]*)?$")] | None = (
        None
    )
    """Another address of the same interface, such as a gateway of your own. It is sent what your keys sign."""


class Known(NamedTuple):
    """What ccxt does not say of an exchange, and its documentation does.

    ``answers`` names each endpoint that a reader needs, with the keys without which an answer of it is none; nothing
    else is asked for there. Without them an answer of the wrong shape is an empty account to ccxt.
    """

    page_max: int
    answers: dict[str, tuple[str, ...]]
    finds_client_ids: bool = False
    """Closed orders can be asked for by client order id (one that is a whole number may be a user reference)."""
    judges_time: bool = True
    """Requests have to carry the exchange's time. Else they are merely numbered, by a clock that must never go back."""


_KNOWN: Final = {
    "kraken": Known(
        page_max=50,
        answers={
            "Assets": ("result",),
            "AssetPairs": ("result",),
            "Time": ("result", "unixtime"),
            "BalanceEx": ("result",),
            "OpenOrders": ("result", "open"),
            "ClosedOrders": ("result", "closed"),
            "QueryOrders": ("result",),
            "TradesHistory": ("result", "trades"),
            "OpenPositions": ("result",),
        },
        finds_client_ids=True,
        judges_time=False,
    )
}


def known_of(exchange: str) -> Known | None:
    """Return what is known of an exchange beyond what ccxt says; None for most."""
    return _KNOWN.get(exchange)
