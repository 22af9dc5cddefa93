"""Sessions that are killed in simulation, thousands of times: nothing is sent twice, and nothing is lost."""

from __future__ import annotations

import pytest

from interlock.actors.commits import Commits
from interlock.actors.order_book import OrderBook
from interlock.actors.order_calls import OrderCalls
from interlock.actors.recovery import Recovery
from interlock.domain.ledgers import FillBook
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.runtime.crash_points import CrashPoint
from interlock.runtime.memory_store import MemoryStore
from tests.crash_story import POINTS, RECOVERY, complaints, tell

BATCHES = 12
STORIES = 100


@pytest.mark.spec("IDM-4", "RST-2", "RT-5")
@pytest.mark.parametrize("batch", range(BATCHES))
def test_killed_anywhere_and_begun_again_both_sides_agree_in_the_end(batch: int) -> None:
    kills = 0
    for seed in range(batch * STORIES, (batch + 1) * STORIES):
        story = tell(seed, grouped=seed % 3 == 0)
        assert complaints(story) == [], f"seed {seed}, killed at {story.points}"
        assert story.result.status == "COMPLETED", f"seed {seed}: {story.result}"
        kills += story.kills
    assert kills > STORIES / 2


@pytest.mark.spec("IDM-4", "RST-2")
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("grouped", [False, True], ids=["one by one", "grouped"])
def test_a_kill_at_each_named_point_loses_and_doubles_nothing(point: CrashPoint, *, grouped: bool) -> None:
    hit = 0
    for seed in range(40 if point in RECOVERY else 20):  # a recovery needs a kill before it that hits as well
        story = tell(seed, at=point, grouped=grouped)
        assert complaints(story) == [], f"seed {seed}, killed at {story.points}"
        hit += str(point) in story.points
    assert hit > 5


def test_the_same_story_is_told_twice_in_the_same_words() -> None:
    one, two = (tell(17) for _ in range(2))
    assert one.points == two.points
    assert one.store.all_records() == two.store.all_records()


def _caught(first: int = 0, seeds: int = 200) -> str:
    """Return what the first story from a seed on says that does not end well, or ""."""
    for seed in range(first, first + seeds):
        story = tell(seed, grouped=seed % 3 == 0)
        found = complaints(story)
        if story.result.status != "COMPLETED":
            found.append(f"ended {story.result.fail_code}")
        if found:
            return "; ".join(found)
    return ""


def test_an_order_that_leaves_before_its_claim_is_durable_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Commits, "then", lambda _, effect: effect())
    assert _caught().startswith("i8_every_order_there_has_a_row")


def test_fills_that_are_not_de_duplicated_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderBook, "booked_before", lambda *_: False)
    monkeypatch.setattr(MemoryStore, "_knows", lambda *_: False)
    monkeypatch.setattr(FillBook, "repeats", lambda *_: False)
    assert any(word in _caught() for word in ("overfill", "i2_", "i6_"))


def test_an_order_that_is_called_void_without_settling_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def void(recovery: Recovery) -> None:
        for order in tuple(recovery._book.live.values()):  # noqa: SLF001 - the fault is planted there
            if order.state is OrderState.SENT:
                unknown = recovery._book.step(order, OrderEvent.PLACE_UNKNOWN)  # noqa: SLF001
                recovery._book.step(unknown, OrderEvent.NOT_FOUND)  # noqa: SLF001
        begin(recovery)

    begin = Recovery.begin
    monkeypatch.setattr(Recovery, "begin", void)
    assert any(word in _caught() for word in ("i3_", "i2_"))


def test_an_order_in_doubt_that_is_sent_again_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = OrderCalls.settle

    async def again(calls: OrderCalls, key: str, sent_ns: int) -> None:
        order = calls.book.orders[key]  # type: ignore[attr-defined]  # planted
        await calls.place(order, lambda _: None)
        await settle(calls, key, sent_ns)

    def begin(recovery: Recovery) -> None:
        recovery._tracker._calls.book = recovery._book  # type: ignore[attr-defined]  # noqa: SLF001 - planted
        began(recovery)

    began = Recovery.begin
    monkeypatch.setattr(Recovery, "begin", begin)
    monkeypatch.setattr(
        OrderCalls, "settle", lambda calls, *about: (again if hasattr(calls, "book") else settle)(calls, *about)
    )
    assert _caught(first=31).startswith("i1_a_key_is_accepted_once")  # the one before: the broker rejects the second
