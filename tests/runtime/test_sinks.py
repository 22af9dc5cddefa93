"""A sink that fails is tried again a bounded number of times, in order, and then it is broken for good."""

from __future__ import annotations

import io
import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.domain.errors import BadInput, SinkBroken
from interlock.runtime.sinks import Sink

pytestmark = pytest.mark.spec("ORC-8")

ONE, TWO, THREE = b'{"n":1}', b'{"n":2}', b'{"n":3}'


class FlakyFile:
    """A text file that raises ``error`` on the calls whose numbers (from 1) ``fails`` picks."""

    def __init__(self, fails: Callable[[int], bool], error: Exception | None = None) -> None:
        self.fails = fails
        self.error = error or OSError(28, "No space left on device")
        self.calls = 0
        self.text = ""

    def write(self, text: str) -> int:
        self.calls += 1
        if self.fails(self.calls):
            raise self.error
        self.text += text
        return len(text)


class FlakyFlush(io.StringIO):
    """A file whose first flushes fail."""

    left = 2

    def flush(self) -> None:
        if self.left:
            self.left -= 1
            raise OSError(5, "Input/output error")


class Notes:
    """Remembers the pauses asked for and the retries told of."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.told: list[tuple[str, int, str]] = []

    def on_retry(self, name: str, retry: int, error: BaseException) -> None:
        self.told.append((name, retry, type(error).__name__))


def a_sink(target: object, notes: Notes, *, max_retries: int = 3, batch: int = 1) -> Sink:
    return Sink(
        "events", target, max_retries=max_retries, sleep=notes.pauses.append, on_retry=notes.on_retry, batch=batch
    )


def counts(sink: Sink) -> tuple[int, int, int, bool]:
    return sink.written, sink.retries, sink.dropped, sink.broken


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.mark.spec("ORC-7")
def test_a_list_gets_records(notes: Notes) -> None:
    target: list[dict[str, int]] = []
    sink = a_sink(target, notes, batch=10)
    sink.write(ONE)
    sink.write(TWO)
    sink.flush()
    assert target == [{"n": 1}, {"n": 2}]
    assert counts(sink) == (2, 0, 0, False)


@pytest.mark.spec("ORC-7")
def test_a_text_file_gets_lines(notes: Notes, tmp_path: Path) -> None:
    with (tmp_path / "events.jsonl").open("w") as file:
        sink = a_sink(file, notes)
        sink.write('{"ä":1}'.encode())
        sink.flush()
        assert (tmp_path / "events.jsonl").read_bytes() == '{"ä":1}\n'.encode()


@pytest.mark.spec("ORC-7")
def test_a_binary_file_gets_bytes(notes: Notes, tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file, tempfile.NamedTemporaryFile() as wrapped:
        for target, path in ((file, tmp_path / "a"), (wrapped, Path(wrapped.name))):
            sink = a_sink(target, notes)
            sink.write(ONE)
            sink.flush()
            assert path.read_bytes() == ONE + b"\n"


def test_no_sink_drops_every_line(notes: Notes) -> None:
    sink = a_sink(None, notes, batch=2)
    sink.write(ONE)
    sink.flush()
    assert counts(sink) == (0, 0, 1, False)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize("target", [5, object(), "a path"])
def test_what_is_no_sink_is_refused(notes: Notes, target: object) -> None:
    with pytest.raises(BadInput, match=r"sink events: is a .*allowed: a list"):
        a_sink(target, notes)


@pytest.mark.spec("NFR-1")
def test_a_raw_file_is_refused_because_it_may_write_half_a_line(notes: Notes, tmp_path: Path) -> None:
    with (tmp_path / "raw").open("wb", buffering=0) as file, pytest.raises(BadInput, match="unbuffered"):
        a_sink(file, notes)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(("max_retries", "batch"), [(-1, 1), (0, 0)])
def test_numbers_without_a_sense_are_refused(notes: Notes, max_retries: int, batch: int) -> None:
    with pytest.raises(BadInput, match="or more"):
        a_sink([], notes, max_retries=max_retries, batch=batch)


def test_a_good_sink_never_enters_tenacity(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("interlock.runtime.sinks.Retrying", refuse)
    a_sink(io.StringIO(), notes).write(ONE)


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_a_sink_that_comes_back_in_time_loses_nothing(notes: Notes, failures: int) -> None:
    target = FlakyFile(lambda call: call <= failures)
    sink = a_sink(target, notes)
    sink.write(ONE)
    sink.write(TWO)
    assert target.text == '{"n":1}\n{"n":2}\n'
    assert counts(sink) == (2, failures, 0, False)
    assert notes.told == [("events", n + 1, "OSError") for n in range(failures)]


def test_the_pauses_double_up_to_a_limit_and_hold_no_chance(notes: Notes) -> None:
    with pytest.raises(SinkBroken):
        a_sink(FlakyFile(lambda _: True), notes, max_retries=8).write(ONE)
    assert notes.pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_a_sink_that_stays_down_breaks_after_its_retries(notes: Notes, max_retries: int) -> None:
    target = FlakyFile(lambda _: True)
    sink = a_sink(target, notes, max_retries=max_retries)
    with pytest.raises(SinkBroken, match=rf"sink events: {max_retries + 1} attempts failed: OSError.*No space left"):
        sink.write(ONE)
    assert target.calls == max_retries + 1
    assert len(notes.pauses) == len(notes.told) == max_retries
    assert counts(sink) == (0, max_retries, 1, True)


def test_a_broken_sink_is_left_alone_and_counts_what_it_drops(notes: Notes) -> None:
    target = FlakyFile(lambda _: True)
    sink = a_sink(target, notes, max_retries=0)
    with pytest.raises(SinkBroken):
        sink.write(ONE)
    sink.write(TWO)
    sink.flush()
    assert target.calls == 1
    assert counts(sink) == (0, 0, 2, True)


def test_time_plays_no_part_in_giving_up(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a limit in seconds at work, a clock that leaps by a day would end the retries early."""
    days = itertools.count(0.0, 86_400.0)
    monkeypatch.setattr("tenacity.time.monotonic", lambda: next(days))
    sink = a_sink(FlakyFile(lambda call: call <= 5), notes, max_retries=5)
    sink.write(ONE)
    assert counts(sink) == (1, 5, 0, False)


@pytest.mark.parametrize(
    "error", [ValueError("closed"), RuntimeError("x"), TypeError("x"), KeyError("x"), OSError(5, "x")]
)
def test_what_foreign_code_tends_to_raise_is_tried_again(notes: Notes, error: Exception) -> None:
    sink = a_sink(FlakyFile(lambda call: call == 1, error), notes)
    sink.write(ONE)
    assert counts(sink) == (1, 1, 0, False)


class HostError(Exception):
    """An error that only the host knows."""


def test_a_host_can_add_errors_of_its_own(notes: Notes) -> None:
    flaky = FlakyFile(lambda call: call == 1, HostError("down"))
    sink = Sink("events", flaky, max_retries=1, sleep=notes.pauses.append, errors=(HostError,))
    sink.write(ONE)
    assert counts(sink) == (1, 1, 0, False)


def test_an_error_that_nobody_expects_is_not_swallowed(notes: Notes) -> None:
    with pytest.raises(HostError):
        a_sink(FlakyFile(lambda _: True, HostError("down")), notes).write(ONE)
    assert notes.pauses == []


@pytest.mark.spec("ART-4")
def test_the_error_text_holds_no_secret(notes: Notes) -> None:
    target = FlakyFile(lambda _: True, OSError("refused: token=hunter2"))
    with pytest.raises(SinkBroken) as caught:
        a_sink(target, notes, max_retries=0).write(ONE)
    assert "hunter2" not in str(caught.value)


def test_lines_go_out_in_batches(notes: Notes) -> None:
    target = FlakyFile(lambda _: False)
    sink = a_sink(target, notes, batch=2)
    sink.write(ONE)
    assert (target.calls, sink.written) == (0, 0)
    sink.write(TWO)
    sink.write(THREE)
    assert (target.calls, sink.written) == (1, 2)
    sink.flush()
    sink.flush()
    assert target.text == '{"n":1}\n{"n":2}\n{"n":3}\n'
    assert (target.calls, sink.written) == (2, 3)


def test_a_batch_that_cannot_be_written_is_dropped_as_a_whole(notes: Notes) -> None:
    sink = a_sink(FlakyFile(lambda _: True), notes, max_retries=1, batch=2)
    sink.write(ONE)
    with pytest.raises(SinkBroken):
        sink.write(TWO)
    assert counts(sink) == (0, 1, 2, True)


def test_a_flush_that_fails_is_tried_again_without_writing_twice(notes: Notes) -> None:
    target = FlakyFlush()
    sink = a_sink(target, notes)
    sink.write(ONE)
    sink.flush()
    assert target.getvalue() == '{"n":1}\n'
    assert counts(sink) == (1, 2, 0, False)


def test_half_a_line_stays_and_the_whole_line_follows(notes: Notes) -> None:
    class HalfFile(FlakyFile):
        def write(self, text: str) -> int:
            if self.calls == 0:
                self.text += text[:3]
            return super().write(text)

    target = HalfFile(lambda call: call == 1)
    a_sink(target, notes).write(ONE)
    assert target.text == '{"n{"n":1}\n'


class SelfTelling:
    """A sink whose retries are told of in the sink itself, as an audit log does."""

    def __init__(self, target: FlakyFile, max_retries: int) -> None:
        self.n = 0
        self.sink = Sink("audit", target, max_retries=max_retries, sleep=lambda _: None, on_retry=self.tell)

    def tell(self, *_: object) -> None:
        self.write()

    def write(self) -> None:
        self.n += 1
        self.sink.write(json.dumps({"n": self.n}).encode())


@pytest.mark.parametrize("failures", [{1}, {1, 2}, {1, 3}, {1, 2, 4, 6}])
def test_lines_about_a_retry_do_not_overtake_the_line_that_is_tried(failures: set[int]) -> None:
    target = FlakyFile(failures.__contains__)
    telling = SelfTelling(target, 3)
    telling.write()
    telling.write()
    assert [json.loads(line)["n"] for line in target.text.splitlines()] == list(range(1, telling.n + 1))
    assert counts(telling.sink) == (telling.n, len(failures), 0, False)


def test_a_sink_that_fails_every_other_time_and_tells_of_it_comes_to_an_end() -> None:
    target = FlakyFile(lambda call: call % 2 == 1)
    telling = SelfTelling(target, 3)
    telling.write()
    assert counts(telling.sink) == (2, 2, 0, False)


def test_what_waits_for_a_sink_that_breaks_is_counted_as_dropped() -> None:
    telling = SelfTelling(FlakyFile(lambda _: True), 3)
    with pytest.raises(SinkBroken):
        telling.write()
    assert counts(telling.sink) == (0, 3, 4, True)
