"""What the children of a story do: the session they run, and the script that each of them gets.

A script has new decisions, decisions of earlier children again, the same under other content, and cancels of any of
them. All of it is drawn from the story's seed, so that one number repeats a story.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, Final

from interlock.config.load import config_from_tree
from interlock.config.model import SessionConfig, StepConfig
from interlock.domain.ids import client_order_id
from interlock.domain.intents import OrderIntent, OrderType, Side, TimeInForce
from interlock.mocks.exchange import OpeningBook
from interlock.runtime.seeds import SeededStreams

__all__ = ["PRICES", "START_NS", "StepConfig", "config_of", "key_of", "opening", "script"]

START_NS: Final = 1_767_600_000_000_000_000
"""When a story begins: early in January 2026."""

PRICES: Final = {"BTC/EUR": Decimal(100), "ETH/EUR": Decimal(50)}

_STRATEGY: Final = "strat_demo"
_EVERY_S: Final = 1.5
_LOTS_MAX: Final = 200
_MARKET_PERMILLE, _IOC_PERMILLE, _CANCEL_PERMILLE = 250, 100, 300
_AGAIN_PERMILLE, _OTHER_PERMILLE = 120, 80
_PERMILLE: Final = 1000

_SESSION: Final[dict[str, Any]] = {
    "session": {
        "session_id": "crash",
        "strategy_id": _STRATEGY,
        "scheduler": "random",
        "duration_s": 600,
        "check_every_s": 30,
        "drain_every_s": 1,
        "drains_max": 120,
    },
    "instruments": [
        {
            "symbol": symbol,
            "price": str(price),
            "tick_size": "1",
            "max_order_quantity": "10",
            "max_order_notional": "2000",
            "max_position": "500",
            "allow_short": True,
        }
        for symbol, price in PRICES.items()
    ],
    "opening": {"cash": "100000", "positions": {"BTC/EUR": "20"}},
    "broker": {"fee_bps": "5", "timeout_s": 2},
    "retry": {"attempts_max": 4, "duration_max_s": 15, "wait_initial_s": 0.25, "wait_max_s": 4},
    "settle": {"interval_s": 1, "settle_after_s": 12, "deadline_s": 60},
    "reconcile": {"every_s": 10, "grace_s": 1, "repair_wait_s": 20, "stuck_after_s": 60, "auto_repair": True},
    "strategy": {"linger_s": 10},
}


@cache
def _base() -> SessionConfig:
    return config_from_tree(_SESSION, "crash harness")


def opening() -> OpeningBook:
    """Return what the broker's account holds at the beginning, which is what we believe."""
    config = _base()
    return OpeningBook(config.opening.cash, dict(config.opening.positions), config.broker.fee_bps)


def config_of(number: int, steps: tuple[StepConfig, ...], *, grouped: bool) -> SessionConfig:
    """Return the session of the child with a number."""
    base = _base()
    return base.model_copy(
        update={
            "session": base.session.model_copy(update={"seed": number}),
            "store": base.store.model_copy(update={"group_commit": grouped}),
            "strategy": base.strategy.model_copy(update={"script": steps}),
        }
    )


def key_of(decision_id: str) -> str:
    """Return the key of a decision."""
    return client_order_id(_STRATEGY, decision_id)


def script(seed: int, child: int, orders: int, *, resting: bool = False) -> tuple[StepConfig, ...]:
    """Return what one child does; ``resting`` orders have limits that the market does not come to, and stay."""
    draws = SeededStreams(seed * 1_000 + child)
    steps: list[StepConfig] = []
    for number in range(orders):
        at_s = _EVERY_S * (number + 1)
        whose, which = child, number
        again = child > 0 and _chance(draws, _AGAIN_PERMILLE + _OTHER_PERMILLE, "again")
        if again:
            whose, which = draws.below(child, "whose"), draws.below(orders, "which")
        intent = _intent(seed, whose, which, resting=resting)
        if again and _chance(draws, _OTHER_PERMILLE * _PERMILLE // (_AGAIN_PERMILLE + _OTHER_PERMILLE), "other"):
            intent = intent.model_copy(update={"quantity": intent.quantity + 1})
        steps.append(StepConfig(at_s=at_s, submit=intent))
        if not resting and _chance(draws, _CANCEL_PERMILLE, "cancel"):
            steps.append(StepConfig(at_s=at_s + 1, cancel=intent.decision_id))
    return tuple(sorted(steps, key=lambda step: step.at_s))


def _intent(seed: int, child: int, number: int, *, resting: bool) -> OrderIntent:
    """Return one decision of one child: always the same."""
    draws = SeededStreams((seed * 1_000 + child) * 1_000 + number)
    symbol = tuple(PRICES)[draws.below(len(PRICES), "symbol")]
    price = PRICES[symbol] + draws.below(7, "offset") - 3
    at_market = not resting and _chance(draws, _MARKET_PERMILLE, "market")
    at_once = not resting and not at_market and _chance(draws, _IOC_PERMILLE, "ioc")
    side = Side.BUY if draws.below(2, "side") else Side.SELL
    if resting:
        price = PRICES[symbol] / 2 if side is Side.BUY else PRICES[symbol] * 2
    return OrderIntent(
        decision_id=f"s{seed}-c{child}-{number}",
        symbol=symbol,
        side=side,
        quantity=Decimal(1 + draws.below(_LOTS_MAX, "lots")) / 100,
        order_type=OrderType.MARKET if at_market else OrderType.LIMIT,
        limit_price=None if at_market else price,
        reference_price=PRICES[symbol],
        time_in_force=TimeInForce.IOC if at_once else TimeInForce.GTC,
    )


def _chance(draws: SeededStreams, permille: int, label: str) -> bool:
    return draws.below(_PERMILLE, label) < permille
