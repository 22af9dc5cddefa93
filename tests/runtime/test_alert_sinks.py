"""The sinks that are on by default: log and file, called directly or in a thread, and their failures as one error."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import CapturingLogger

from interlock.domain.alert_notes import AlertNote, note_of
from interlock.domain.alerts import Passage, alert_of
from interlock.domain.errors import AlertNotTaken, StorageError
from interlock.runtime.actor import Context
from interlock.runtime.alert_sinks import AlertSink, BlockingSink, FileSink, InThread, LogSink, appending, off_loop
from interlock.runtime.realtime import RealTimeSystem
from interlock.runtime.telemetry import session_logger
from tests.runtime.kernel_builders import playing

pytestmark = pytest.mark.spec("ALT-2")

BOUND_S = 5


def a_note(name: str = "ALERT_RECONCILE_DIVERGENCE", **about: Any) -> AlertNote:
    """Return what is told of an alert."""
    facts = about or {"reconcile_id": "rc-1", "orphan": 1, "code": "found", "detail": "they differ"}
    return note_of(alert_of(name, facts, run_id="run-1", at_ns=0), Passage("k1"))


class Held(BlockingSink):
    """A sink that blocks until the test lets it go, as a disk that hangs does."""

    def __init__(self, timeout_s: float = 5) -> None:
        super().__init__("held", timeout_s)
        self.let_go = threading.Event()
        self.threads: list[str] = []

    def put(self, note: AlertNote) -> None:
        """Wait."""
        self.threads.append(threading.current_thread().name)
        assert self.let_go.wait(BOUND_S)


async def in_a_loop(use: Callable[[Context], Any]) -> None:
    """Do something with the context of an actor in this loop."""
    done = anyio.Event()

    async def play(ctx: Context, _: object, __: object) -> None:
        await use(ctx)
        done.set()

    system = RealTimeSystem()
    system.add("a", playing(play))
    with anyio.fail_after(BOUND_S):  # noqa: TID251 - a bound on the test, not on an actor
        async with system:
            system.post("a", "go")
            await done.wait()


# -- the log ----------------------------------------------------------------------------------------------------


def test_the_log_gets_a_line_with_ids_counts_and_words_at_the_alert_s_level() -> None:
    logger = CapturingLogger()
    sink = LogSink(session_logger("run-1", "s", logger))
    for name in ("ALERT_SLIPPAGE_PRESET_MISSING", "ALERT_RECONCILE_DIVERGENCE", "ALERT_SAFETY_RAIL_TRIPPED"):
        sink.write(a_note(name))
    assert [call.method_name for call in logger.calls] == ["warning", "error", "critical"]
    line = logger.calls[1].args[0]
    for part in ("event='ALERT_RECONCILE_DIVERGENCE'", "actor='alerts'", "reconcile_id='rc-1'", "count_orphan=1"):
        assert part in line
    assert "about_code='found'" in line
    assert "alert_ts='1970-01-01T00:00:00.000000000Z'" in line


def test_a_fact_named_like_a_field_of_the_log_shadows_nothing() -> None:
    logger = CapturingLogger()
    LogSink(session_logger("run-1", "s", logger)).write(a_note(event="x", actor="y", run_id="z", level="q"))
    line = logger.calls[0].args[0]
    assert "about_event='x'" in line
    assert "actor='alerts'" in line
    assert "run_id='run-1'" in line


# -- the file ---------------------------------------------------------------------------------------------------


def test_the_file_is_made_with_the_first_alert_and_gets_a_line_for_each(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    sink = FileSink(appending(path))
    assert not path.exists()
    for code in ("a", "b"):
        sink.write(a_note(code=code))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["schema"], line["about"]) for line in lines] == [
        ("INTERLOCK_ALERT_V1", {"code": "a"}),
        ("INTERLOCK_ALERT_V1", {"code": "b"}),
    ]


def test_a_file_that_cannot_be_made_is_tried_again_with_the_next_alert(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    sink = FileSink(appending(folder / "alerts.jsonl"))
    with pytest.raises(AlertNotTaken, match="FileNotFoundError") as refused:
        sink.write(a_note())
    assert str(tmp_path) not in str(refused.value), "no path of this machine in what is recorded"
    folder.mkdir()
    sink.write(a_note())
    assert len((folder / "alerts.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StorageError("the run folder is closed")])
def test_what_a_file_raises_is_one_error(error: Exception) -> None:
    class Full:
        def write(self, data: bytes, /) -> None:
            raise error

    with pytest.raises(AlertNotTaken) as failed:
        FileSink(Full).write(a_note())
    assert str(failed.value).endswith(str(error))


# -- in a thread ------------------------------------------------------------------------------------------------


def test_only_what_blocks_goes_into_a_thread() -> None:
    held = Held()
    moved = off_loop(held)
    assert isinstance(moved, InThread)
    assert (moved.name, moved.timeout_s, moved.opens_sockets) == ("held", 5, False)
    assert off_loop(moved) is moved


async def test_a_sink_in_a_thread_keeps_the_loop_free_and_one_write_follows_the_other() -> None:
    held = Held()
    sink: AlertSink = off_loop(held)

    async def use(ctx: Context) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(sink.deliver, a_note(), ctx)
            group.start_soon(sink.deliver, a_note(), ctx)
            while not held.threads:
                await ctx.sleep(0.001)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert len(held.threads) == 1, "the second waits for the first"
            held.let_go.set()

    await in_a_loop(use)
    assert len(held.threads) == 2
    assert threading.main_thread().name not in held.threads


async def test_a_write_that_hangs_can_be_left() -> None:
    held = Held()
    sink = off_loop(held)

    async def use(ctx: Context) -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(sink.deliver, a_note(), ctx)
                while not held.threads:
                    await ctx.sleep(0.001)
                scope.cancel()
        assert scope.cancelled_caught
        held.let_go.set()

    await in_a_loop(use)


async def test_what_fails_in_a_thread_is_the_same_error(tmp_path: Path) -> None:
    sink = off_loop(FileSink(appending(tmp_path / "nowhere" / "alerts.jsonl")))

    async def use(ctx: Context) -> None:
        with pytest.raises(AlertNotTaken, match="FileNotFoundError"):
            await sink.deliver(a_note(), ctx)

    await in_a_loop(use)
