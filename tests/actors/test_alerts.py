"""The alert actor: what passes reaches every sink, and no sink, however slow or broken, is in anybody's way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from interlock.actors.alerts import Alerts, AlertSettings
from interlock.domain.alert_notes import AlertNote
from interlock.domain.alerts import Alert, AlertLimits, FlushAlerts, alert_of
from interlock.domain.errors import AlertNotTaken, AlertRefused, UnknownMessage
from interlock.domain.instants import NS_PER_S
from interlock.runtime.actor import Context
from interlock.runtime.alert_sinks import AlertSink
from interlock.runtime.mailbox import MailboxSizes
from interlock.runtime.redaction import REDACTED
from interlock.runtime.retry import RetryPolicy
from interlock.runtime.stepped import SteppedSystem
from tests.runtime.kernel_builders import Notes, asking, playing, settle

pytestmark = pytest.mark.spec("ALT-1", "ALT-2")

SECRET = "sk-" + "9fQ2xLr7Vb3TzK8mWc4NdP6h"
PLAIN = RetryPolicy(attempts_max=3, duration_max_s=60, wait_initial_s=1, wait_max_s=8, jitter_s=0)


class FakeSink:
    """A sink that does with each attempt what it is told: None takes the note, an error is raised, a number a pause."""

    opens_sockets = False

    def __init__(self, name: str, *moves: Exception | float | None, timeout_s: float = 5) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self.notes: list[AlertNote] = []
        self.at_s: list[float] = []
        self._moves = list(moves)

    async def deliver(self, note: AlertNote, ctx: Context) -> None:
        """Make the next move; after the last one, take everything."""
        self.at_s.append(ctx.now_ns() / NS_PER_S)
        move = self._moves.pop(0) if self._moves else None
        if isinstance(move, Exception):
            raise move
        if move is not None:
            await ctx.sleep(move)
        self.notes.append(note)

    @property
    def told(self) -> list[str]:
        """Return what the notes are about."""
        return [note.about.get("sink") or note.about["code"] for note in self.notes]


class Desk:
    """The alert actor on a stepped system, with what it writes."""

    opened: ClassVar[list[Desk]] = []

    def __init__(self, *sinks: AlertSink, policy: RetryPolicy = PLAIN, data: int = 64, **settings: Any) -> None:
        self.notes = AuditedNotes()
        self.crashes: list[str] = []
        self.opened.append(self)
        self.system = SteppedSystem(
            recorder=self.notes, on_crash=lambda crash: self.crashes.append(f"{crash.work}: {crash.error!r}")
        )
        made = AlertSettings("run-1", policy=policy, **settings)
        self.alerts = self.system.add(
            "alerts", lambda ctx: Alerts(ctx, made, sinks), MailboxSizes(data=data, jobs=len(sinks) or 1), aside=True
        )

    def raise_(self, *codes: str, **about: Any) -> None:
        """Raise an alert for each code, now."""
        for code in codes:
            assert self.system.post("alerts", self.an_alert(code, **about))

    def an_alert(self, code: str, **about: Any) -> Alert:
        """Return a trip."""
        now_ns = self.system.clock.now_ns()
        return alert_of("ALERT_SAFETY_RAIL_TRIPPED", {"code": code, **about}, run_id="run-1", at_ns=now_ns)

    def settle(self) -> None:
        """Run until nothing is left to do."""
        assert settle(self.system).reason == "quiescent"

    @property
    def counters(self) -> dict[str, int]:
        """Return the counters."""
        return self.notes.counters


class AuditedNotes(Notes):
    """Keeps audit records with their meta, and events with what they carry."""

    def __init__(self) -> None:
        super().__init__()
        self.audited: list[tuple[str, str, dict[str, object]]] = []
        self.payloads: list[dict[str, object]] = []

    def audit(self, now_ns: int, actor: str, code: str, message: str, meta: Any, level: Any) -> None:
        """Keep code, level and meta."""
        self.audited.append((code, level, dict(meta)))

    def event(self, now_ns: int, actor: str, event_type: str, payload: Any) -> None:
        """Keep what it carries."""
        self.payloads.append(dict(payload))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what a test has opened."""
    yield
    while Desk.opened:
        Desk.opened.pop().system.close()


# -- the ordinary course ----------------------------------------------------------------------------------------


def test_an_alert_reaches_every_sink_once_with_its_ids_time_and_counts() -> None:
    one, two = FakeSink("one"), FakeSink("two")
    desk = Desk(one, two)
    desk.raise_("overfill", trips=1, reconcile_id="rc-1", decision_id="d-1")
    desk.settle()
    [note] = one.notes
    assert two.notes == [note]
    assert (note.run_id, note.reconcile_id, note.decision_id, note.counts) == ("run-1", "rc-1", "d-1", {"trips": 1})
    assert (note.ts_utc, note.severity) == ("1970-01-01T00:00:00.000000000Z", "critical")
    assert desk.counters == {"alerts_delivered_total|one": 1, "alerts_delivered_total|two": 1}


def test_what_is_held_back_is_counted_and_reaches_no_sink() -> None:
    sink = FakeSink("one")
    desk = Desk(sink, limits=AlertLimits(rate_max=2))
    desk.raise_("a", "a", "b", "c", "d")
    desk.settle()
    assert sink.told == ["a", "b"]
    assert desk.counters["alerts_held_back_total|duplicate"] == 1
    assert desk.counters["alerts_held_back_total|rate"] == 2


def test_nothing_secret_gets_to_a_sink() -> None:
    sink = FakeSink("one")
    desk = Desk(sink)
    desk.raise_(
        f"code {SECRET}",
        decision_id=SECRET,
        reconcile_id=f"Bearer {SECRET}",
        reason=f"refused, api_key={SECRET}",
        **{SECRET: 3, "broker_token": "plain"},
    )
    desk.settle()
    [note] = sink.notes
    assert SECRET not in repr(note)
    assert note.about["broker_token"] == REDACTED
    assert note.text == "refused, api_key=[redacted]"


def test_without_sinks_there_is_nothing_to_do() -> None:
    desk = Desk()
    desk.raise_("a")
    desk.settle()
    assert desk.counters == {}


def test_what_is_no_alert_is_refused() -> None:
    desk = Desk()
    desk.system.post("alerts", FlushAlerts())
    desk.settle()
    assert [UnknownMessage.__name__ in crash for crash in desk.crashes] == [True]


# -- sinks that are slow ----------------------------------------------------------------------------------------


def test_a_slow_sink_delays_no_other_and_gets_everything_in_order() -> None:
    slow, quick = FakeSink("slow", 4.0, 4.0, 4.0), FakeSink("quick")
    desk = Desk(slow, quick)
    desk.raise_("a", "b", "c")
    desk.settle()
    assert (quick.told, quick.at_s) == (["a", "b", "c"], [0, 0, 0])
    assert (slow.told, slow.at_s) == (["a", "b", "c"], [0, 4, 8])


def test_what_waits_for_a_slow_sink_is_bounded_and_the_rest_is_counted() -> None:
    slow = FakeSink("slow", *[4.0] * 10)
    desk = Desk(slow, backlog_max=2)
    desk.raise_("a", "b", "c", "d")
    desk.settle()
    assert slow.told == ["a", "b", "c"], "one under way, two waiting"
    assert desk.counters["alerts_dropped_total|slow"] == 1


def test_a_sink_that_does_not_come_back_is_left_after_its_time_out_and_its_attempts() -> None:
    hangs = FakeSink("hangs", 1e6, 1e6, 1e6)
    desk = Desk(hangs)
    desk.raise_("a")
    desk.settle()
    assert hangs.at_s == [0, 5 + 1, 11 + 2]
    assert not hangs.notes
    assert desk.counters["alerts_dropped_total|hangs"] == 1
    [(_, _, meta)] = desk.notes.audited
    assert "not taken within 5 s" in str(meta["reason"])


# -- sinks that fail --------------------------------------------------------------------------------------------


def test_a_sink_that_fails_is_tried_again_within_its_budget() -> None:
    sink = FakeSink("flaky", AlertNotTaken("no"), AlertNotTaken("no"))
    desk = Desk(sink)
    desk.raise_("a")
    desk.settle()
    assert (sink.told, sink.at_s) == (["a"], [0, 1, 3])
    assert not desk.notes.audited


@pytest.mark.parametrize(("advice_s", "at_s"), [(7.0, [0, 7]), (0.0, [0, 1]), (61.0, [0])])
def test_a_sink_s_own_advice_when_to_come_again_is_honoured_within_the_budget(
    advice_s: float, at_s: list[float]
) -> None:
    sink = FakeSink("busy", AlertNotTaken("429", advice_s))
    desk = Desk(sink)
    desk.raise_("a")
    desk.settle()
    assert sink.at_s == at_s


def test_a_refusal_is_not_repeated() -> None:
    sink = FakeSink("strict", AlertRefused("answered 400"))
    desk = Desk(sink)
    desk.raise_("a")
    desk.settle()
    assert sink.at_s == [0]


def test_a_sink_that_gives_up_is_reported_once_to_the_log_and_to_the_other_sinks() -> None:
    broken, well = FakeSink("broken", *[AlertNotTaken(f"token={SECRET}")] * 9), FakeSink("well")
    desk = Desk(broken, well)
    desk.raise_("a", "b", "c")
    desk.settle()
    reported = [(code, level) for code, level, _ in desk.notes.audited]
    assert reported == [("ALERT_SINK_FAILED", "WARN")]
    reason = "token=[redacted]"
    told = {"alert": "ALERT_SINK_FAILED", "run_id": "run-1", "sink": "broken", "reason": reason}
    assert desk.notes.payloads == [told]
    assert desk.counters["alerts_total|ALERT_SINK_FAILED"] == 1
    assert desk.counters["alerts_dropped_total|broken"] == 3
    assert well.told == ["a", "b", "c", "broken"]
    assert (well.notes[-1].alert, well.notes[-1].text) == ("ALERT_SINK_FAILED", reason)
    assert SECRET not in repr([desk.notes.audited, desk.notes.payloads])


def test_a_sink_that_gave_up_is_tried_with_the_next_alert_and_says_when_it_is_well_again() -> None:
    sink = FakeSink("sink", *[AlertNotTaken("no")] * 3)
    desk = Desk(sink)
    desk.raise_("a")
    desk.settle()
    desk.raise_("b")
    desk.settle()
    assert sink.told == ["b"]
    assert [(code, level) for code, level, _ in desk.notes.audited] == [
        ("ALERT_SINK_FAILED", "WARN"),
        ("ALERT_SINK_RECOVERED", "INFO"),
    ]


def test_sinks_that_all_fail_do_not_report_each_other_for_ever() -> None:
    sinks = [FakeSink(f"s{number}", *[AlertRefused("no")] * 100) for number in range(3)]
    desk = Desk(*sinks)
    desk.raise_("a")
    desk.settle()
    assert [len(sink.at_s) for sink in sinks] == [3, 3, 3], "the alert, and that each of the two others failed"
    assert desk.counters["alerts_total|ALERT_SINK_FAILED"] == 3


def test_a_sink_that_raises_what_no_sink_should_costs_one_note_and_the_next_is_delivered() -> None:
    sink = FakeSink("odd", ZeroDivisionError())
    desk = Desk(sink)
    desk.raise_("a")
    desk.settle()
    desk.raise_("b")
    desk.settle()
    assert desk.crashes == ["job alert odd: ZeroDivisionError()"]
    assert sink.told == ["b"]


# -- the end ----------------------------------------------------------------------------------------------------


def asked_to_flush(desk: Desk) -> list[object]:
    """Ask whether everything is out; the answer will be in the list."""
    answers: list[object] = []
    desk.system.add("host", playing(asking("alerts", answers)))
    desk.system.post("host", FlushAlerts())
    return answers


@pytest.mark.parametrize("sinks", [(), (FakeSink("idle"),)])
def test_who_asks_when_nothing_is_left_is_answered_at_once(sinks: tuple[FakeSink, ...]) -> None:
    desk = Desk(*sinks)
    answers = asked_to_flush(desk)
    desk.settle()
    assert (answers, desk.system.clock.now_ns()) == ([0], 0)


def test_who_asks_is_answered_when_the_slowest_sink_is_done() -> None:
    sinks = FakeSink("quick"), FakeSink("slow", 4.0), FakeSink("broken", *[AlertNotTaken("no")] * 3)
    desk = Desk(*sinks)
    desk.raise_("a")
    answers = asked_to_flush(desk)
    desk.system.run_ready(100)
    assert not answers
    desk.settle()
    assert answers == [1]
    assert sinks[1].told == ["a", "broken"]


def test_what_was_not_told_by_the_end_is_said_once() -> None:
    desk = Desk(FakeSink("slow", 4.0, 4.0))
    desk.raise_("a", "b", "c")
    desk.system.run_aside(4)
    for _ in range(2):
        desk.alerts.conclude(unread=2)
    assert desk.notes.audited == [("ALERTS_NOT_DELIVERED", "WARN", {"unread": 2, "slow": 3})]
    assert desk.counters["alerts_not_delivered_total"] == 5


def test_an_end_with_everything_told_says_nothing() -> None:
    desk = Desk(FakeSink("one"))
    desk.raise_("a")
    desk.settle()
    desk.alerts.conclude(unread=0)
    assert not desk.notes.audited
