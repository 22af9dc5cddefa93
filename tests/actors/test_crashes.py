"""An actor that raises, whoever it is and whatever it was doing: the session ends, says why, and never hangs."""

from __future__ import annotations

import pytest

from interlock.actors.broker_link import BrokerLink
from interlock.actors.ending import Ending
from interlock.actors.orchestrator import Orchestrator
from interlock.actors.order_calls import OrderCalls
from interlock.actors.order_desk import OrderDesk
from interlock.actors.order_tracker import OrderTracker
from interlock.actors.reconciler import Reconciler
from interlock.actors.safety_rails import SafetyRails
from interlock.domain.ids import stable_id
from interlock.domain.messages import Trip
from interlock.domain.session_states import SessionState
from interlock.mocks.broker import MockBroker
from interlock.mocks.strategy import Strategy
from interlock.mocks.trading import Trading
from interlock.runtime.actor import Actor
from interlock.runtime.mailbox import Lane
from tests.actors.stage import Stage
from tests.session_builders import BTC, STEPS, Kept, Ran, a_session, at, run, run_session

pytestmark = pytest.mark.spec("RT-8")

SECRET = "sk_live_9aF3kQ7LmZx81TyVbN20"  # noqa: S105 - made up, to be found nowhere
WORK = {"script": [at(1, "d1", limit_price="101"), at(2, "d2"), at(9, "d3")], "linger_s": 30}


async def broken(self: object, *_: object, **__: object) -> None:
    """Break, with a secret in the text."""
    broken_at_once(self)


def broken_at_once(self: object, *_: object) -> None:
    """Break, where a method is no coroutine."""
    message = f"no route, token={SECRET}"
    raise KeyError(message)


def assert_tripped(ran: Ran, actor: str, work: str) -> None:
    """Hold that the session ended for an operator, told who broke, and hid what must be hidden."""
    assert ran.result.view.state is SessionState.ERROR_REQUIRES_OPERATOR
    assert (ran.result.status, ran.result.fail_code, ran.result.view.kill_switch) == ("FAILED", "actor_crashed", 1)
    crash = ran.kept.audited("ACTOR_CRASHED")[0]
    assert (crash["level"], crash["meta"]["actor"], crash["meta"]["error"]) == ("CRITICAL", actor, "KeyError")
    assert crash["meta"]["work"] == work
    assert "broken_at_once" in crash["meta"]["traceback"]
    assert ran.kept.audited("SAFETY_RAIL_TRIPPED")[0]["meta"]["code"] == "actor_crashed"
    assert ran.kept.codes[-1] == "C2_DRYRUN_STOP"
    assert ran.kept.metrics[0]["trips"][0] == "actor_crashed", "the artifacts were flushed to the last"
    everything = repr([ran.kept.events, ran.kept.states, ran.kept.metrics, ran.kept.audit])
    assert SECRET not in everything


@pytest.mark.parametrize(
    ("kind", "method", "actor", "work"),
    [
        (SafetyRails, "_check", "rails", "handler CheckIntent"),
        (SafetyRails, "_observe", "rails", "handler Observe"),
        (OrderDesk, "submit", "orchestrator", "handler SubmitIntent"),
        (OrderTracker, "believe", "orchestrator", "handler PlaceDone"),
        (OrderCalls, "place", "orchestrator", "job place"),
        (MockBroker, "_place", "broker", "job place"),
        (Trading, "market", "broker", "job market"),
        (Strategy, "_do", "strategy", "job strategy"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_an_actor_that_raises_trips_the_session(
    monkeypatch: pytest.MonkeyPatch, kind: type, method: str, actor: str, work: str
) -> None:
    monkeypatch.setattr(kind, method, broken)
    assert_tripped(run(strategy=WORK), actor, work)


def test_no_order_leaves_after_an_actor_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    """The price feed breaks after ten seconds; the order that was open then is cancelled, the next one never sent."""
    monkeypatch.setattr(Trading, "trade", broken)
    script = [at(1, "open"), at(2, "crossed", limit_price="101"), at(60, "late")]
    ran = run(strategy={"script": script, "linger_s": 5})
    assert ran.result.fail_code == "actor_crashed"
    states = {order.decision_id: str(order.state) for order in ran.session.orchestrator.desk.book.orders.values()}
    assert states == {"open": "CANCELLED", "crossed": "CANCELLED"}


# -- who breaks while the session comes to its end ------------------------------------------------------------


@pytest.mark.parametrize(("kind", "method"), [(Reconciler, "_compare"), (BrokerLink, "snapshot")])
def test_a_reconciler_that_breaks_every_time_ends_the_session_all_the_same(
    monkeypatch: pytest.MonkeyPatch, kind: type, method: str
) -> None:
    """The last reconcile never answers; after its deadline the session ends without it."""
    monkeypatch.setattr(kind, method, broken)
    ran = run(strategy=WORK, reconcile={"deadline_s": 60})
    first = "rc-" + stable_id("reconcile", "small-seed0", 1)[:16]
    assert_tripped(ran, "reconciler", f"job reconcile {first}")
    assert ran.kept.audited("ALERT_RECONCILE_FAILED")[0]["meta"]["reconcile_id"] == first
    assert ran.result.simulated_ns / 1e9 < 120
    assert "DRYRUN_ACTIVE" not in [state["state"] for state in ran.kept.states]


@pytest.mark.parametrize(
    ("method", "breaks", "work"),
    [
        ("begin", broken, "control handler StopSession"),
        ("drain", broken, "handler Tick"),
        ("conclude", broken_at_once, "handler ReconcileDone"),
    ],
)
def test_an_orchestrator_that_breaks_while_stopping_abandons_the_session(
    monkeypatch: pytest.MonkeyPatch, method: str, breaks: object, work: str
) -> None:
    """Nobody is left to end it in good order: it ends at once, with the kill switch set."""
    monkeypatch.setattr(Ending, method, breaks)
    ran = run(strategy={"script": [at(1, "d1")], "linger_s": 5})
    assert (ran.result.status, ran.result.fail_code) == ("FAILED", "actor_crashed")
    assert "while stopping" in ran.result.fail_reason
    assert ran.kept.audited("ACTOR_CRASHED")[0]["meta"]["work"] == work
    assert ran.kept.codes[-1] == "SESSION_ABANDONED"
    assert ran.result.view.kill_switch == 1
    assert ran.kept.metrics[0]["status"] == "FAILED"
    assert ran.result.simulated_ns / 1e9 < 20
    assert SECRET not in repr(ran.kept.audit)


def test_an_orchestrator_that_cannot_even_trip_abandons_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SafetyRails, "_check", broken)
    monkeypatch.setattr(Orchestrator, "handle_control", broken)
    ran = run(strategy=WORK)
    assert (ran.result.status, ran.result.fail_code) == ("FAILED", "actor_crashed")
    assert [record["meta"]["actor"] for record in ran.kept.audited("ACTOR_CRASHED")] == ["rails", "orchestrator"]


def test_a_fill_that_contradicts_itself_while_stopping_trips_and_does_not_abandon() -> None:
    """A broken invariant is no broken orchestrator."""
    with Stage() as stage:
        stage.submit("d1")
        fill = stage.fill("d1", "0.5")
        stage.session.stop("in good order")
        stage.tell(fill.model_copy(update={"price": fill.price * 2}))
        assert stage.end().view.state is SessionState.ERROR_REQUIRES_OPERATOR
        assert "fill_conflict" in stage.trips
        assert not stage.kept.audited("SESSION_ABANDONED")


@pytest.mark.spec("SAF-2")
def test_a_trip_that_finds_no_room_abandons_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control lane is full and its handler stuck: what cannot be said must not be lost."""

    async def stuck(self: Orchestrator, message: object) -> None:
        await self.ctx.sleep(10_000)

    monkeypatch.setattr(Orchestrator, "handle_control", stuck)
    kept = Kept()
    session = a_session(kept, strategy=WORK, sinks={"mailbox_control": 1})
    for _ in range(2):
        session.system.post("orchestrator", Trip("by_hand", "first", {}), Lane.CONTROL)
        session.run_n_steps(1)
    monkeypatch.setattr(SafetyRails, "_check", broken)
    ran = run_session(session, kept)
    assert (ran.result.status, ran.result.fail_code) == ("FAILED", "actor_crashed")
    assert ran.kept.codes[-1] == "SESSION_ABANDONED"


# -- deadlock and other ways of getting nowhere ---------------------------------------------------------------


@pytest.mark.spec("RT-9")
def test_actors_that_wait_for_each_other_for_ever_end_the_session_with_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rails put their answers into the data lane of an orchestrator that waits for room in theirs."""

    async def flood(self: SafetyRails, message: object) -> None:
        for _ in range(3):
            await self.ctx.send("orchestrator", message)

    async def answer(self: Orchestrator, message: object, reply_to: object) -> None:
        for _ in range(3):
            await self.ctx.send("rails", message)

    kept = Kept()
    session = a_session(kept, strategy=WORK, sinks={"mailbox_data": 1})
    monkeypatch.setattr(SafetyRails, "handle", lambda self, message, _: flood(self, message))
    monkeypatch.setattr(Orchestrator, "handle", answer)
    with session:
        session.system.post("rails", "ping")
        report = session.run_n_steps(STEPS)
        result = session.finish()
    assert report.reason == "deadlock"
    assert len(report.chain) == 2
    assert (result.status, result.fail_code, result.view.kill_switch) == ("FAILED", "deadlock", 1)
    abandoned = kept.audited("SESSION_ABANDONED")[0]
    assert "waits for room in the data lane of rails" in abandoned["message"]
    assert "waits for room in the data lane of orchestrator" in abandoned["message"]


@pytest.mark.spec("RT-4")
def test_a_session_with_nothing_left_to_do_before_its_end_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(self: Actor, _: object) -> None:
        """Begin nothing."""

    monkeypatch.setattr(Orchestrator, "_start", forget)
    monkeypatch.setattr(Trading, "market", lambda self: forget(self, None))
    ran = run()
    assert (ran.result.status, ran.result.fail_code) == ("FAILED", "quiescent")


@pytest.mark.spec("RT-4")
def test_a_session_that_is_cut_short_is_failed_and_says_so() -> None:
    kept = Kept()
    with a_session(kept, strategy=WORK) as session:
        assert session.run_n_steps(40).reason == "limit"
        result = session.finish()
    assert (result.status, result.fail_code) == ("FAILED", "step_limit")
    assert result.fail_reason == "the session did not end within 40 steps"
    assert (result.view.kill_switch, kept.codes[-1]) == (1, "SESSION_ABANDONED")


def test_a_broker_that_breaks_leaves_its_caller_with_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order may be live at a broker that crashed: it is asked about, not taken for rejected."""
    monkeypatch.setattr(MockBroker, "_place", broken)
    ran = run(strategy=WORK, settle={"settle_after_s": 10})
    order = next(iter(ran.session.orchestrator.desk.book.orders.values()))
    assert (order.decision_id, str(order.state)) == ("d1", "VOID")
    assert ran.counters["orders_place_total"] == 1
    assert ran.session.orchestrator.desk.book.exposure.ledger.position(BTC).quantity == 20
