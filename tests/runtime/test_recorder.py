"""Artifacts: time never goes back, ids are hashes of content, nothing secret gets in, a broken sink is told of once."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.ids import canonical_json, sha256_hex
from interlock.domain.instants import NS_PER_S
from interlock.runtime.actor import Context
from interlock.runtime.audit import GENESIS_HASH, AuditAnchor, verify_audit
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.recorder import EVENT_SCHEMA, METRICS_SCHEMA, STATE_SCHEMA, RunRecorder, RunSinks
from interlock.runtime.redaction import REDACTED
from interlock.runtime.schedule import SeededSchedule
from interlock.runtime.sinks import Sink
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import playing, settle

SECRET = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"  # noqa: S105 - planted
START_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01
FOREVER = 1_000_000
NAMES = ("events", "states", "metrics", "audit")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=8) | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


class FullDisk(io.StringIO):
    """A file whose first writes find the disk full."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def write(self, text: str) -> int:
        """Fail, or write."""
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        return super().write(text)


class Run:
    """A recorder with four files in memory; ``broken`` ones always fail, ``hiccups`` are those that fail once."""

    def __init__(
        self,
        *broken: str,
        hiccups: tuple[str, ...] = (),
        log: Any = None,
        wall: Callable[[int], int] = lambda now_ns: now_ns,
    ) -> None:
        self.files = {name: FullDisk(FOREVER if name in broken else int(name in hiccups)) for name in NAMES}
        self.told: list[tuple[str, str]] = []
        sinks = [
            Sink(name, file, max_retries=2, sleep=lambda _: None, on_retry=self._retried)
            for name, file in self.files.items()
        ]
        self.recorder = RunRecorder("run-1", "demo", RunSinks(*sinks), wall, START_NS, log)
        self.recorder.on_broken = lambda name, text: self.told.append((name, text))

    def _retried(self, name: str, attempt: int, error: BaseException) -> None:
        self.recorder.retried(name, attempt, error)

    def lines(self, name: str) -> list[bytes]:
        """Return the lines of one file, without their newlines."""
        return self.files[name].getvalue().encode().splitlines()

    def records(self, name: str) -> list[dict[str, Any]]:
        """Return the records of one file."""
        return [json.loads(line) for line in self.lines(name)]

    def codes(self) -> list[str]:
        """Return the codes of the audit log."""
        return [record["code"] for record in self.records("audit")]


# -- events -------------------------------------------------------------------------------------------------


@pytest.mark.spec("ART-1", "RT-11")
def test_an_event_says_who_what_and_when() -> None:
    run = Run()
    run.recorder.event(START_NS + 1_500_000_000, "desk", "ORDER_SENT", {"quantity": Decimal("1.50")})
    (event,) = run.records("events")
    event.pop("event_id")
    assert event == {
        "actor": "desk",
        "event_type": "ORDER_SENT",
        "payload": {"quantity": "1.50"},
        "run_id": "run-1",
        "schema": EVENT_SCHEMA,
        "seq": 1,
        "strategy_id": "demo",
        "ts_sim": 1_500_000_000,
        "ts_utc": "2026-01-01T00:00:01.500000000Z",
    }


@pytest.mark.spec("ART-2")
@given(actor=st.text(max_size=20), event_type=st.text(max_size=20), payload=st.dictionaries(st.text(max_size=8), JSON))
def test_the_id_of_an_event_is_the_hash_of_all_the_rest_of_its_line(
    actor: str, event_type: str, payload: dict[str, object]
) -> None:
    run = Run()
    run.recorder.event(START_NS, actor, event_type, payload)
    (line,) = run.lines("events")
    event = json.loads(line, parse_float=Decimal)
    rest = {name: value for name, value in event.items() if name != "event_id"}
    assert event["event_id"] == sha256_hex(canonical_json(rest))[:32]
    assert line == canonical_json(event), "sorted keys, no white space, UTF-8"


@pytest.mark.spec("ART-2")
def test_no_two_events_of_a_run_share_an_id() -> None:
    run = Run()
    for n in range(50):
        run.recorder.event(START_NS, "desk", "TICK", {"n": n % 2})
    run.recorder.event(START_NS, "mock", "TICK", {"n": 0})
    run.recorder.event(START_NS + 1, "desk", "TICK", {"n": 0})
    assert len({event["event_id"] for event in run.records("events")}) == 52


@pytest.mark.spec("ART-2", "RT-5")
def test_the_same_events_have_the_same_bytes() -> None:
    def told() -> list[bytes]:
        run = Run()
        for n in range(5):
            run.recorder.event(START_NS + n, "desk", "TICK", {"n": n, "b": {"y": 1, "x": Decimal("0.10")}})
        return run.lines("events")

    assert told() == told()


@pytest.mark.spec("ART-2", "RT-3")
@given(st.integers(0, 2**32))
def test_simulated_time_never_goes_back_in_the_event_log(seed: int) -> None:
    async def wander(ctx: Context, message: int, _: ReplyTo | None) -> None:
        ctx.emit("BEGIN", {"n": message})
        await ctx.sleep(ctx.draw(5, "pause"))
        ctx.emit("END", {"n": message})
        ctx.snapshot({"n": message})

    run = Run()
    schedule = SeededSchedule(seed, "random")
    with SteppedSystem(schedule=schedule, recorder=run.recorder) as system:
        system.clock.advance_to(START_NS)
        for name in "abc":
            system.add(name, playing(wander))
            for n in range(4):
                system.post(name, n)
        settle(system)
    for name in ("events", "states"):
        times = [record["ts_sim"] for record in run.records(name)]
        assert times == sorted(times)
        assert times[0] >= 0
    assert [event["seq"] for event in run.records("events")] == list(range(1, 25))


@pytest.mark.spec("ART-3")
def test_the_host_may_give_the_time_that_records_carry() -> None:
    run = Run(wall=lambda _: START_NS + 42 * NS_PER_S)
    run.recorder.event(START_NS + 7, "desk", "TICK", {})
    run.recorder.audit(START_NS + 7, "desk", "C2_TEST", "text", {}, "INFO")
    assert run.records("events")[0]["ts_sim"] == 7
    assert run.records("events")[0]["ts_utc"] == run.records("audit")[0]["ts"] == "2026-01-01T00:00:42.000000000Z"


# -- states, metrics, audit ---------------------------------------------------------------------------------


@pytest.mark.spec("ART-1", "RT-11")
def test_a_snapshot_carries_its_schema_and_its_time() -> None:
    run = Run()
    run.recorder.state(START_NS + 5, {"state": "RUNNING", "run_id": "of somebody else"})
    assert run.records("states") == [
        {
            "run_id": "run-1",
            "schema": STATE_SCHEMA,
            "state": "RUNNING",
            "strategy_id": "demo",
            "ts_sim": 5,
            "ts_utc": "2026-01-01T00:00:00.000000005Z",
        }
    ]


@pytest.mark.spec("ART-1", "ART-3")
def test_the_metrics_carry_the_length_and_the_head_of_the_audit() -> None:
    run = Run()
    for n in range(3):
        run.recorder.audit(START_NS + n, "desk", "C2_TEST", f"record {n}", {"n": n}, "INFO")
    run.recorder.event(START_NS, "desk", "TICK", {})
    run.recorder.metrics({"status": "COMPLETED", "audit_events": 99})
    (metrics,) = run.records("metrics")
    last = run.records("audit")[-1]
    assert (metrics["schema"], metrics["run_id"], metrics["status"]) == (METRICS_SCHEMA, "run-1", "COMPLETED")
    assert (metrics["events_emitted"], metrics["audit_events"], metrics["audit_head"]) == (1, 3, last["hash"])
    anchor = AuditAnchor(metrics["audit_events"], metrics["audit_head"])
    lines = [line + b"\n" for line in run.lines("audit")]
    assert verify_audit(lines, anchor).ok
    assert not verify_audit(lines[:-1], anchor).ok, "a cut at the end is found by the anchor"


@pytest.mark.spec("ART-3")
def test_audit_records_are_numbered_and_chained_from_the_first() -> None:
    run = Run()
    for n in range(4):
        run.recorder.audit(START_NS + n, "desk", "C2_TEST", "text", {}, "INFO")
    records = run.records("audit")
    assert [record["seq"] for record in records] == [1, 2, 3, 4]
    assert [record["prev_hash"] for record in records] == [GENESIS_HASH, *[record["hash"] for record in records[:-1]]]


def test_counters_add_up() -> None:
    recorder = Run().recorder
    recorder.count("orders_total")
    recorder.count("orders_total", 3)
    assert recorder.counters == {"orders_total": 4}


# -- secrets ------------------------------------------------------------------------------------------------


@pytest.mark.spec("ART-4")
@pytest.mark.parametrize("payload", [{"api_key": "plain words"}, {"text": f"used {SECRET}"}, {"deep": [{"t": SECRET}]}])
def test_nothing_secret_gets_into_any_artifact(payload: dict[str, object]) -> None:
    run = Run()
    run.recorder.event(START_NS, "desk", "TICK", payload)
    run.recorder.audit(START_NS, "desk", "C2_TEST", f"broker said {SECRET}", payload, "ERROR")
    run.recorder.state(START_NS, payload)
    run.recorder.metrics({**payload, "labels": {SECRET: 1}})
    run.recorder.retried("events", 1, OSError(f"password={SECRET}"))
    for name in NAMES:
        text = run.files[name].getvalue()
        assert "plain words" not in text
        assert SECRET not in text
        assert REDACTED in text


@pytest.mark.spec("ART-4")
def test_a_secret_taken_for_a_name_is_not_written_either() -> None:
    file = io.StringIO()
    sinks = RunSinks(*[Sink(name, file, max_retries=0, sleep=lambda _: None) for name in NAMES])
    recorder = RunRecorder(SECRET, SECRET, sinks)
    recorder.event(0, "desk", "TICK", {})
    recorder.state(0, {})
    recorder.metrics({})
    assert SECRET not in file.getvalue()


@pytest.mark.spec("ART-4")
def test_the_id_covers_what_is_written_and_not_the_secret() -> None:
    ids = []
    for secret in (SECRET, SECRET[::-1]):
        run = Run()
        run.recorder.event(START_NS, "desk", "TICK", {"api_key": secret})
        ids.append(run.records("events")[0]["event_id"])
    assert ids[0] == ids[1], "an id that differed would give the secret away, bit by bit"


# -- broken sinks -------------------------------------------------------------------------------------------


@pytest.mark.spec("ORC-8")
@pytest.mark.parametrize("broken", ["events", "states", "metrics"])
def test_a_broken_sink_is_told_of_once_and_the_others_go_on(broken: str) -> None:
    run = Run(broken)
    for n in range(3):
        run.recorder.event(START_NS + n, "desk", "TICK", {})
        run.recorder.state(START_NS + n, {})
        run.recorder.metrics({})
    assert [name for name, _ in run.told] == [broken]
    assert "No space left on device" in run.told[0][1]
    assert run.recorder.broken() == (broken,)
    assert run.codes() == ["C2_SINK_WRITE_RETRY"] * 2 + ["C2_SINK_WRITE_FAILED"]
    assert run.recorder.sink_retries == 2
    assert [len(run.lines(name)) for name in NAMES if name not in {broken, "audit"}] == [3, 3]
    lines = [line + b"\n" for line in run.lines("audit")]
    assert verify_audit(lines).ok


@pytest.mark.spec("ORC-8")
def test_a_broken_audit_sink_is_told_of_once_too() -> None:
    run = Run("audit")
    for n in range(3):
        run.recorder.audit(START_NS + n, "desk", "C2_TEST", "text", {}, "INFO")
        run.recorder.event(START_NS + n, "desk", "TICK", {})
    assert [name for name, _ in run.told] == ["audit"]
    assert len(run.lines("events")) == 3


@pytest.mark.spec("ORC-8")
def test_a_retry_that_helps_loses_nothing_and_breaks_nothing() -> None:
    run = Run(hiccups=("events",))
    run.recorder.event(START_NS, "desk", "TICK", {})
    assert (len(run.lines("events")), run.told, run.recorder.broken()) == (1, [], ())
    assert run.codes() == ["C2_SINK_WRITE_RETRY"]


@pytest.mark.spec("ORC-8")
@pytest.mark.parametrize(("broken", "complaint"), [((), ""), (("audit",), "the audit sink cannot be written")])
def test_the_probe_says_whether_the_audit_can_be_written(broken: tuple[str, ...], complaint: str) -> None:
    run = Run(*broken)
    assert run.recorder.probe() == complaint
    assert len(run.lines("audit")) == (0 if broken else 1)


def test_a_flush_hands_over_what_is_held_back() -> None:
    file = io.StringIO()
    sinks = RunSinks(*[Sink(name, file, max_retries=0, sleep=lambda _: None, batch=100) for name in NAMES])
    recorder = RunRecorder("run-1", "demo", sinks)
    recorder.event(0, "desk", "TICK", {})
    recorder.audit(0, "desk", "C2_TEST", "text", {}, "INFO")
    assert file.getvalue() == ""
    recorder.flush()
    assert len(file.getvalue().splitlines()) == 2


# -- the log ------------------------------------------------------------------------------------------------


@pytest.mark.spec("RT-12")
@pytest.mark.parametrize(
    ("level", "logged"), [("INFO", None), ("WARN", "warning"), ("ERROR", "error"), ("CRITICAL", "critical")]
)
def test_what_is_more_than_information_goes_to_the_log_as_well(level: Any, logged: str | None) -> None:
    captured = structlog.testing.LogCapture()
    log = structlog.wrap_logger(
        None, processors=[captured], wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)
    )
    run = Run(log=log)
    run.recorder.audit(START_NS, "desk", "C2_TEST", "text", {"n": 1, "event": "odd"}, level)
    expected = {
        "event": "C2_TEST",
        "actor": "desk",
        "detail": "text",
        "meta_n": 1,
        "meta_event": "odd",
        "log_level": logged,
    }
    assert captured.entries == ([expected] if logged else [])
    assert run.codes() == ["C2_TEST"]


class MoodyDisk(io.StringIO):
    """A file that nine of ten writes find full."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def write(self, text: str) -> int:
        """Fail nine times, then write."""
        self.tries += 1
        if self.tries % 10:
            raise OSError(28, "No space left on device")
        return super().write(text)


@pytest.mark.spec("ART-3")
def test_lines_that_waited_for_their_store_keep_their_order_where_the_sink_fails_all_the_time() -> None:
    """Each retry is a line of its own: more than are held back come together, and are made durable in between."""

    def retried(name: str, attempt: int, error: BaseException) -> None:
        recorder.retried(name, attempt, error)

    file, store = MoodyDisk(), MemoryStore()
    sinks = [Sink(name, None, max_retries=0, sleep=lambda _: None) for name in NAMES[:3]]
    sinks.append(Sink("audit", file, max_retries=50, sleep=lambda _: None, on_retry=retried))
    recorder = RunRecorder("run-1", "demo", RunSinks(*sinks))
    store.outlives = True
    recorder.keep_with(store)
    for number in range(40):
        recorder.audit(START_NS + number, "desk", "SAID", "something", {}, "INFO")
    for _ in range(3):
        recorder.flush()
    lines = file.getvalue().encode().splitlines(keepends=True)
    assert len(lines) > 300
    assert verify_audit(lines).ok
