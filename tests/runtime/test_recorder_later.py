"""Lines made right after what a host's loop is at: the same lines, in the same order, and none is ever left behind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import pytest
import structlog

from interlock.runtime.actor import AuditLevel, Crash
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.realtime import RealTimeSystem
from interlock.runtime.recorder import RunRecorder
from tests.runtime.test_recorder import START_NS, Run

LEVELS: tuple[AuditLevel, ...] = ("WARN", "ERROR", "CRITICAL")


class Later:
    """A loop that does what it was given when it is told to."""

    def __init__(self, recorder: RunRecorder) -> None:
        self.todo: list[Callable[[], None]] = []
        recorder.later = self.todo.append

    def turn(self) -> None:
        """Do all that waits."""
        todo, self.todo[:] = list(self.todo), []
        for work in todo:
            work()


def say(recorder: RunRecorder, number: int) -> None:
    """Say two things."""
    recorder.event(START_NS + number, "desk", "ORDER_STATE", {"number": number})
    recorder.audit(START_NS + number, "desk", "ORDER_SENT", "it left", {"number": number}, "INFO")


def test_lines_that_are_made_later_are_the_same_lines() -> None:
    at_once, later = Run(), Run()
    loop = Later(later.recorder)
    for run in (at_once, later):
        for number in range(5):
            say(run.recorder, number)
    assert later.lines("events") == later.lines("audit") == []
    assert len(loop.todo) == 1, "the loop is asked once for all that waits"
    loop.turn()
    for name in ("events", "audit"):
        assert later.lines(name) == at_once.lines(name)
    assert later.recorder.own_figures() == at_once.recorder.own_figures()


def test_after_a_turn_the_loop_is_asked_again() -> None:
    run = Run()
    loop = Later(run.recorder)
    for number in range(3):
        say(run.recorder, number)
        loop.turn()
        assert len(run.lines("events")) == number + 1


def test_what_is_changed_after_it_was_said_was_said_as_it_was() -> None:
    run = Run()
    loop = Later(run.recorder)
    about: dict[str, object] = {"number": 1}
    run.recorder.event(START_NS, "desk", "ORDER_STATE", about)
    run.recorder.audit(START_NS, "desk", "ORDER_SENT", "it left", about, "INFO")
    about["number"] = 2
    loop.turn()
    assert run.records("events")[0]["payload"] == run.records("audit")[0]["meta"] == {"number": 1}


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_out_of_order_stands_behind_what_came_before_and_is_in_the_log_at_once(level: AuditLevel) -> None:
    with structlog.testing.capture_logs() as logged:
        run = Run(log=structlog.get_logger())
        loop = Later(run.recorder)
        say(run.recorder, 1)
        run.recorder.audit(START_NS + 2, "desk", "SAFETY_RAIL_TRIPPED", "stop", {}, level)
        assert [entry["event"] for entry in logged] == ["SAFETY_RAIL_TRIPPED"]
    loop.turn()
    assert run.codes() == ["ORDER_SENT", "SAFETY_RAIL_TRIPPED"]


@pytest.mark.spec("ART-3")
def test_an_audit_line_that_belongs_to_a_change_in_a_store_does_not_wait() -> None:
    run, store = Run(), MemoryStore()
    store.outlives = True
    run.recorder.keep_with(store)
    Later(run.recorder)
    say(run.recorder, 1)
    store.commit()
    assert run.codes() == ["ORDER_SENT"]
    assert run.lines("events") == []


@pytest.mark.parametrize(
    "asked",
    [RunRecorder.flush, RunRecorder.probe, RunRecorder.catch_up],
    ids=["flush", "probe", "catch up"],
)
def test_who_asks_for_what_was_written_finds_all_of_it(asked: Callable[[RunRecorder], object]) -> None:
    run = Run()
    Later(run.recorder)
    say(run.recorder, 1)
    asked(run.recorder)
    assert len(run.lines("events")) == 1
    assert run.codes()[0] == "ORDER_SENT"


def test_what_is_said_after_the_loop_is_gone_stands_behind_what_waits() -> None:
    run = Run()
    Later(run.recorder)
    say(run.recorder, 1)
    run.recorder.later = None
    say(run.recorder, 2)
    assert [event["payload"] for event in run.records("events")] == [{"number": 1}, {"number": 2}]
    assert run.codes() == ["ORDER_SENT"] * 2


def test_a_sink_that_breaks_while_it_catches_up_is_told_of_and_the_rest_is_written() -> None:
    run = Run("events")
    loop = Later(run.recorder)
    say(run.recorder, 1)
    say(run.recorder, 2)
    loop.turn()
    assert run.told == [("events", run.told[0][1])]
    assert [code for code in run.codes() if code == "ORDER_SENT"] == ["ORDER_SENT"] * 2


@pytest.mark.spec("ART-3")
def test_a_probe_is_no_older_than_what_was_said_before_it() -> None:
    run = Run()
    Later(run.recorder)
    say(run.recorder, 5)
    run.recorder.probe()
    times = [record["ts"] for record in run.records("audit")]
    assert times == sorted(times)
    assert run.codes() == ["ORDER_SENT", "AUDIT_SINK_PROBE"]


def test_a_sink_that_is_tried_again_dates_it_by_what_was_said_last() -> None:
    run = Run(hiccups=("events",))
    loop = Later(run.recorder)
    for number in range(3):
        say(run.recorder, number)
    loop.turn()
    loop.turn()
    times = [record["ts"] for record in run.records("audit")]
    assert times == sorted(times)
    assert run.codes() == [*["ORDER_SENT"] * 3, "C2_SINK_WRITE_RETRY"]


def nameless(run: Run) -> None:
    """Say something of which no line can be made."""
    run.recorder.event(START_NS, "a", "NAMELESS", {1: "a name that is no text"})  # type: ignore[dict-item]


def crashing(run: Run, told: Callable[[], None]) -> tuple[RealTimeSystem, list[Crash]]:
    """Return a system that writes with the recorder of ``run`` and does ``told`` at a crash, and what has crashed."""
    crashes: list[Crash] = []

    def crashed(crash: Crash) -> None:
        crashes.append(crash)
        told()

    system = RealTimeSystem(recorder=run.recorder, on_crash=crashed)
    run.recorder.later = system.soon
    return system, crashes


@pytest.mark.spec("RT-8")
async def test_a_line_that_cannot_be_made_goes_the_way_of_a_crash_once_and_all_others_are_made() -> None:
    run = Run()
    told = partial(run.recorder.audit, START_NS + 9, "session", "ACTOR_CRASHED", "told", {}, "CRITICAL")
    system, crashes = crashing(run, told)
    async with system:
        for _ in range(3):
            nameless(run)
        say(run.recorder, 3)
        while len(run.codes()) < 2:
            await anyio.lowlevel.checkpoint()
        say(run.recorder, 4)
        run.recorder.flush()
    assert [(crash.actor, crash.work, type(crash.error)) for crash in crashes] == [("recorder", "lines", TypeError)]
    assert [event["payload"] for event in run.records("events")] == [{"number": 3}, {"number": 4}]
    assert run.codes() == ["ORDER_SENT", "ACTOR_CRASHED", "ORDER_SENT"]
    assert run.recorder.counters == {"lines_unwritten_total": 3}


@pytest.mark.spec("RT-8")
async def test_where_not_even_the_crash_can_be_written_down_it_is_told_once_and_the_loop_is_not_kept_busy() -> None:
    run = Run()
    system, crashes = crashing(run, lambda: nameless(run))
    async with system:
        nameless(run)
        while run.recorder.counters.get("lines_unwritten_total", 0) < 2:
            await anyio.lowlevel.checkpoint()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
    assert (len(crashes), run.recorder.counters) == (1, {"lines_unwritten_total": 2})
