"""Preflight through a whole session: every reason against beginning, and what a rejected session has not done."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.domain.broker import BrokerMessage, Unavailable
from interlock.domain.session_states import SessionState
from interlock.runtime.actor import Actor
from interlock.runtime.mailbox import ReplyTo
from interlock.runtime.memory_store import MemoryStore
from interlock.sessions import LiveRequest, LiveTestOverride
from tests.actors.stage import Stage, says, stays_silent
from tests.session_builders import BTC, ETH, Kept, Ran, a_session, at, exchange_of, intent_fields, run, run_session

pytestmark = pytest.mark.spec("ORC-3")

WORK = {"script": [at(1, "d1", limit_price="101")], "linger_s": 5}

REASONS: dict[str, dict[str, Any]] = {
    "C2_REJECT_LIVE_ENABLED": {"live": LiveRequest(("code",))},
    "C2_REJECT_LIVE_ENABLED_FILE": {"live": LiveRequest(("file",))},
    "C2_REJECT_LIVE_ENABLED_FLAG": {"live": LiveRequest(("flag",))},
    "C2_REJECT_LIVE_ENABLED_ENVIRONMENT": {"live": LiveRequest(("environment",))},
    "C2_REJECT_RUN_ID": {"session": {"run_id": "not a name"}},
    "C2_REJECT_STRATEGY_ID": {"session": {"strategy_id": ""}},
    "C2_REJECT_ALLOWLIST_EMPTY": {"session": {"strategy_allowlist": []}},
    "C2_REJECT_ALLOWLIST_SYNTAX": {"session": {"strategy_allowlist": ["strat_demo", "not a name"]}},
    "C2_REJECT_ALLOWLIST_BROKER_ID": {"session": {"strategy_allowlist": ["strat_demo", "kraken-main"]}},
    "C2_REJECT_STRATEGY_NOT_ALLOWED": {"session": {"strategy_allowlist": ["strat_other"]}},
    "C2_REJECT_RETRY_CONFIG": {"retry": {"attempts_max": 0}},
    "C2_REJECT_RECONCILE": {"broker": {"book": {"cash": "99990"}}},
}


def assert_never_began(ran: Ran) -> None:
    """Hold that nothing left the house and that everybody was told so."""
    assert ran.result.status == "REJECTED"
    assert ran.result.view.state is SessionState.PREFLIGHT_FAILED
    assert ran.kept.states[-1]["status"] == ran.kept.metrics[0]["status"] == "REJECTED"
    assert ran.kept.codes[-1] == "C2_DRYRUN_STOP"
    assert "orders_place_total" not in ran.counters
    assert not ran.session.orchestrator.desk.gate_open


@pytest.mark.parametrize(("code", "wrong"), REASONS.items(), ids=REASONS)
def test_each_reason_has_its_code_and_no_order_leaves(code: str, wrong: dict[str, Any]) -> None:
    ran = run(strategy=WORK, **wrong)
    assert_never_began(ran)
    assert code in [reject.code for reject in ran.result.view.rejects]
    assert ran.kept.audited(code)[0]["level"] == "ERROR"
    assert ran.counters[f"preflight_rejects_total|{code}"] >= 1
    assert ran.session.orchestrator.desk.book.store.kill_switch() == (
        "startup_reconcile" if code == "C2_REJECT_RECONCILE" else ""
    )


def test_a_session_without_any_of_them_begins() -> None:
    assert run(strategy=WORK).result.status == "COMPLETED"


def test_all_reasons_are_reported_not_only_the_first() -> None:
    wrong = {"strategy_id": "", "run_id": "a b", "strategy_allowlist": ["oanda", "x y"]}
    ran = run(strategy=WORK, session=wrong, retry={"attempts_max": 0}, broker={"book": {"cash": "1"}})
    assert [reject.code for reject in ran.result.view.rejects] == [
        "C2_REJECT_RUN_ID",
        "C2_REJECT_STRATEGY_ID",
        "C2_REJECT_ALLOWLIST_BROKER_ID",
        "C2_REJECT_ALLOWLIST_SYNTAX",
        "C2_REJECT_STRATEGY_NOT_ALLOWED",
        "C2_REJECT_RETRY_CONFIG",
        "C2_REJECT_RECONCILE",
    ]
    assert ran.result.reject_code == "C2_REJECT_RUN_ID"
    assert all(reject.reason in ran.result.reject_reason for reject in ran.result.view.rejects)


class Real(Actor):
    """A broker that is no mock, and must not hear from us."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.heard: list[object] = []

    async def handle(self, message: object, reply_to: ReplyTo | None) -> None:
        self.heard.append(message)


class Pretender(Real):
    """A broker whose word for being a mock is not a plain True."""

    is_mock = "yes"


@pytest.mark.parametrize("broker", [Real, Pretender])
@pytest.mark.parametrize("live", [LiveRequest(), LiveRequest(("code",), LiveTestOverride("a test"))])
@pytest.mark.spec("ORC-4", "NFR-2")
def test_a_broker_that_is_no_mock_is_rejected_and_hears_nothing_from_a_session(
    broker: type[Real], live: LiveRequest
) -> None:
    kept = Kept()
    ran = run_session(a_session(kept, broker_actor=broker, strategy=WORK, live=live), kept)
    assert_never_began(ran)
    assert [reject.code for reject in ran.result.view.rejects] == ["C2_REJECT_BROKER_NOT_MOCK"]
    assert isinstance(ran.session.broker, Real)
    assert [type(message).__name__ for message in ran.session.broker.heard] in ([], ["StartMarket"])


@pytest.mark.spec("ORC-4")
def test_a_session_told_to_stop_before_it_began_does_not_touch_a_broker_that_is_no_mock() -> None:
    kept = Kept()
    session = a_session(kept, broker_actor=Real, strategy=WORK)
    session.stop("at once")
    ran = run_session(session, kept)
    assert isinstance(ran.session.broker, Real)
    assert [type(message).__name__ for message in ran.session.broker.heard] in ([], ["StartMarket"])
    assert ran.result.status == "FAILED", "and nobody takes it for a good end"


@pytest.mark.spec("ORC-4")
def test_where_live_was_asked_for_the_broker_is_not_even_asked_for_a_snapshot() -> None:
    ran = run(strategy=WORK, live=LiveRequest(("code",)))
    assert_never_began(ran)
    assert "engine_reconcile_runs_total" not in ran.counters


@pytest.mark.spec("ORC-4")
def test_a_test_override_lets_live_pass_to_the_mock() -> None:
    ran = run(strategy=WORK, live=LiveRequest(("code",), LiveTestOverride("a test")))
    assert (ran.result.status, ran.counters["fills_total"]) == ("COMPLETED", 1)


class Deaf(list[Any]):
    """A list that takes nothing."""

    def append(self, _: object) -> None:
        message = "disk full"
        raise OSError(message)


def test_an_audit_sink_that_cannot_be_written_is_found_by_preflight() -> None:
    kept = Kept()
    kept.audit = Deaf()
    ran = run_session(a_session(kept, strategy=WORK), kept)
    assert (ran.result.status, ran.result.reject_code) == ("REJECTED", "C2_REJECT_AUDIT_SINK")
    assert "orders_place_total" not in ran.counters


def test_a_damaged_store_is_found_by_preflight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryStore, "complaint", lambda self: "journal record 3 does not match its checksum")
    ran = run(strategy=WORK)
    assert_never_began(ran)
    assert (ran.result.reject_code, ran.result.reject_reason[:16]) == ("C2_REJECT_STORE", "journal record 3")


# -- the start-up reconcile ---------------------------------------------------------------------------------

BOOKS: dict[str, tuple[dict[str, Any], str]] = {
    "a position is larger there": ({"positions": {BTC: "20.5"}}, f"position {BTC}: we hold 20"),
    "a position is there and not here": ({"positions": {BTC: "20", ETH: "-1"}}, f"position {ETH}: we hold 0"),
    "a position is here and not there": ({"positions": {}}, f"position {BTC}: we hold 20, the broker says 0"),
    "the cash differs": ({"cash": "99998.5"}, "cash: we have 100000, the broker says 99998.5"),
    "an order is there that we do not know": ({"orders": [intent_fields("theirs")]}, "order theirs: open there"),
}


@pytest.mark.parametrize(("book", "finding"), BOOKS.values(), ids=BOOKS)
@pytest.mark.spec("REC-1", "REC-5")
def test_whatever_the_broker_s_own_book_says_otherwise_is_found_before_anything_moves(
    book: dict[str, Any], finding: str
) -> None:
    ran = run(strategy=WORK, broker={"book": book})
    assert_never_began(ran)
    assert (ran.result.reject_code, ran.result.view.kill_switch) == ("C2_REJECT_RECONCILE", 1)
    assert finding in ran.result.reject_reason
    assert ran.kept.audited("RECON_DIFF")
    assert ran.kept.states[-1]["kill_switch"] == 1
    assert len(exchange_of(ran.session).orders) == len(book.get("orders", ()))


@pytest.mark.parametrize("answer", [stays_silent, says(Unavailable(reason="closed"))], ids=["silence", "an error"])
@pytest.mark.spec("REC-5", "REC-6")
def test_a_broker_that_cannot_be_asked_is_no_reason_to_begin(answer: Any) -> None:
    """Nothing is concluded from silence: no finding is made up, and the kill switch is set all the same."""
    with Stage(snapshot=[answer] * 50, begin=False, strategy=WORK) as stage:
        result = stage.end()
        assert (result.status, result.reject_code, result.view.kill_switch) == ("REJECTED", "C2_REJECT_RECONCILE", 1)
        assert stage.kept.payloads("RECONCILE")[0]["result"] == "unavailable"
        assert not stage.kept.payloads("RECON_DIFF")
        assert not stage.exchange.orders


@pytest.mark.spec("REC-6")
def test_a_broker_that_answers_at_the_second_attempt_is_good_enough() -> None:
    with Stage(snapshot=[stays_silent]) as stage:
        assert stage.state is SessionState.DRYRUN_ACTIVE
        assert stage.now_s > 5


def test_what_is_no_broker_message_at_start_up_does_not_begin_a_session() -> None:
    class Odd(BrokerMessage):
        pass

    with Stage(snapshot=[says(Odd())] * 9, begin=False, reconcile={"deadline_s": 60}) as stage:
        result = stage.end()
        assert (result.status, result.reject_code) == ("REJECTED", "C2_REJECT_RECONCILE")
        assert "MALFORMED_MESSAGE" in stage.kept.codes
