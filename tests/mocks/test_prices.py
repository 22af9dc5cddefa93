"""Price paths: points in order, or a walk that never goes below one tick."""

from __future__ import annotations

from decimal import Decimal

from interlock.mocks.prices import PricePath, PriceWalk
from interlock.runtime.actor import Context
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.schedule import Schedule, SeededSchedule, TapeSchedule
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import playing, settle


def walked(path: PricePath, ticks: int, schedule: Schedule | None = None) -> list[str]:
    """Return the prices of so many ticks."""
    prices: list[str] = []

    async def walk(ctx: Context, _: object, __: ReplyTo | None) -> None:
        on_its_way = PriceWalk(path)
        prices.extend(str(on_its_way.tick(ctx)) for _ in range(ticks))

    with SteppedSystem(schedule=schedule) as system:
        system.add("market", playing(walk))
        system.post("market", "go")
        settle(system)
    return prices


def a_path(start: str = "100", tick: str = "0.5", *points: str) -> PricePath:
    """Return a path of BTC/EUR."""
    return PricePath("BTC/EUR", Decimal(start), Decimal(tick), tuple(Decimal(point) for point in points))


def test_points_come_in_order_and_the_last_one_stays() -> None:
    assert walked(a_path("100", "1", "101", "99", "98"), 5) == ["101", "99", "98", "98", "98"]


def test_a_walk_goes_by_one_tick_up_or_down_or_stays() -> None:
    tape = TapeSchedule({"price.BTC/EUR": [1, 1, 0, 2, 0]})
    assert walked(a_path(), 5, tape) == ["100.5", "101.0", "101.0", "100.5", "100.5"]


def test_the_ordinary_course_is_to_stay() -> None:
    assert walked(a_path(), 3) == ["100", "100", "100"]


def test_a_walk_never_goes_below_one_tick() -> None:
    down = TapeSchedule({"price.BTC/EUR": [2] * 9})
    assert walked(a_path("1.5"), 4, down) == ["1.0", "0.5", "0.5", "0.5"]
    prices = walked(a_path("1"), 500, SeededSchedule(3))
    assert min(Decimal(price) for price in prices) == Decimal("0.5")


def test_each_seed_has_its_walk() -> None:
    assert walked(a_path(), 50, SeededSchedule(1)) == walked(a_path(), 50, SeededSchedule(1))
    assert walked(a_path(), 50, SeededSchedule(1)) != walked(a_path(), 50, SeededSchedule(2))
