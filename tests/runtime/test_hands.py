"""Hands take up what is ready in order, control first, and one that waits holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from interlock.runtime.hands import Hands

pytestmark = pytest.mark.spec("RT-2", "RT-3")

Story = Callable[[Hands], Awaitable[None]]


async def played(story: Story) -> None:
    """Play a story with hands, bounded, and end them."""
    hands = Hands()
    async with asyncio.timeout(5):  # noqa: TID251 - a bound on the test
        async with anyio.create_task_group() as group:
            hands.start(group)
            await story(hands)
            hands.stop()
            group.cancel_scope.cancel()


async def settled() -> None:
    """Let the loop have a few turns."""
    for _ in range(8):
        await anyio.lowlevel.checkpoint()


async def test_what_is_ready_is_taken_in_order_and_control_first() -> None:
    done: list[str] = []

    async def piece(name: str) -> None:
        done.append(name)

    async def story(hands: Hands) -> None:
        for name in "abc":
            hands.put(lambda name=name: piece(name))  # type: ignore[misc]
        hands.put(lambda: piece("control"), urgent=True)
        await settled()

    await played(story)
    assert done == ["control", "a", "b", "c"]


async def test_what_a_piece_makes_ready_is_done_in_the_same_turn_of_the_loop() -> None:
    turns: list[int] = []
    turn = 0

    async def story(hands: Hands) -> None:
        nonlocal turn

        async def piece(left: int) -> None:
            turns.append(turn)
            if left:
                hands.put(lambda: piece(left - 1))

        hands.put(lambda: piece(5))
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
            turn += 1

    await played(story)
    assert len(turns) == 6
    assert len({*turns}) == 1


@pytest.mark.parametrize("behind", [1, 5])
async def test_a_piece_that_waits_holds_nobody_up(behind: int) -> None:
    """Neither what was ready before it was taken up, nor what it made ready itself before it had to wait."""
    done: list[str] = []
    go_on = anyio.Event()

    async def story(hands: Hands) -> None:
        async def quick(name: str) -> None:
            done.append(name)

        async def waits() -> None:
            hands.put(lambda: quick("made ready"))
            await go_on.wait()
            done.append("went on")

        hands.put(waits)
        for _ in range(behind):
            hands.put(lambda: quick("behind"))
        await settled()
        assert sorted(done) == ["behind"] * behind + ["made ready"]
        go_on.set()
        await settled()

    await played(story)
    assert done[-1] == "went on"


async def test_others_in_the_loop_have_their_turn_however_much_is_ready() -> None:
    taken = 0

    async def story(hands: Hands) -> None:
        async def again() -> None:
            nonlocal taken
            taken += 1
            hands.put(again)

        hands.put(again)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()

    await played(story)
    assert taken > 100


async def test_after_the_end_nothing_is_taken_up() -> None:
    done: list[str] = []

    async def piece() -> None:
        done.append("late")

    async def story(hands: Hands) -> None:
        hands.put(piece)
        hands.stop()
        await settled()

    await played(story)
    assert done == []
