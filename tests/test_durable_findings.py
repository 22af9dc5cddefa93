"""What a second independent reading found in what outlives a session, each told again and mended."""

from __future__ import annotations

import json
import os
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from interlock.config.load import load_config
from interlock.domain.broker import Accepted, CancelOrder, Unavailable
from interlock.domain.errors import BadInput, InvariantBroken, StoreRefused
from interlock.domain.instants import NS_PER_S
from interlock.domain.messages import CancelIntent, CancelOutcome
from interlock.domain.order_states import OrderEvent, OrderState
from interlock.domain.orders import Order, advance, book_fill, new_order, place_request
from interlock.domain.restart import SessionBegun
from interlock.domain.session_states import SessionState
from interlock.dryrun import run_dryrun_config
from interlock.mocks.exchange import OpeningBook
from interlock.mocks.kept_exchange import KeptExchange
from interlock.runtime.kill_file import KillFile
from interlock.runtime.memory_store import MemoryStore
from interlock.runtime.sqlite_store import SqliteStore
from interlock.runtime.store_changes import Execution
from interlock.runtime.store_verify import verify_store
from tests.actors.stage import Stage, an_intent, does_silently, key_of, says
from tests.domain_builders import a_fill, an_order
from tests.run_builders import CONFIGS
from tests.session_builders import BTC, Kept, a_session, at, exchange_of, orders_of, run, run_session
from tests.store_builders import sent

pytestmark = pytest.mark.usefixtures("plain_disk")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store can be."""
    return tmp_path / "s.sqlite3"


def script(*steps: dict[str, Any]) -> dict[str, Any]:
    """Return a strategy that submits these."""
    return {"script": list(steps), "linger_s": 5}


@pytest.mark.spec("IDM-2", "IDM-4")
@pytest.mark.parametrize("refused", [254, 255, 256])
def test_a_claim_after_many_refusals_is_one_transaction(path: Path, refused: int) -> None:
    """The claim's audit line was one too many to wait, and the commit for it came in the middle of the claim."""
    too_much = [at(1 + number / 100, f"much{number}", quantity="11") for number in range(refused)]
    with SqliteStore(path) as store:
        ran = run(store=store, strategy=script(*too_much, at(10, "d1", limit_price="101")))
    assert ran.result.status == "COMPLETED"
    assert ran.counters["intents_refused_total|RAIL_ORDER_QUANTITY"] == refused
    assert verify_store(path).fills == 1


@pytest.mark.spec("SAF-2", "RST-3")
@pytest.mark.parametrize("on_disk", [False, True])
def test_after_a_rebase_the_fills_of_before_are_still_known(path: Path, *, on_disk: bool) -> None:
    """The broker goes on telling them: each was taken for one that was missed, and no session ever began again."""
    store: Any = SqliteStore(path) if on_disk else MemoryStore()
    there = path.with_name("there")  # the broker's book, so that it outlives a session on either store
    store.beside = there
    traded = run(store=store, strategy=script(at(1, "d1", limit_price="101"), at(2, "d2", limit_price="101")))
    assert (traded.result.status, traded.counters["fills_total"]) == ("COMPLETED", 2)
    for number in range(2):
        store.engage_kill_switch("pulled")
        store.reset_kill_switch("ada", "compared by hand", 5, rebase=True)
        book = KeptExchange(there, OpeningBook(None, {}))
        opening = {"cash": str(book.cash), "positions": {name: str(held) for name, held in book.positions.items()}}
        ran = run(store=store, opening=opening, strategy=script(at(1, f"later{number}", limit_price="101")))
        assert (ran.result.status, ran.counters["fills_total"]) == ("COMPLETED", 1)
    account = store.account("mock", "main")
    assert (account.last.cursor, account.last.fills) == (4, 4)
    if on_disk:
        store.close()
        assert verify_store(path).fills == 4


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_is_kept_of_an_account_that_was_given_up(path: Path, *, on_disk: bool) -> None:
    store: Any = SqliteStore(path) if on_disk else MemoryStore()
    assert store.given_up("mock", "main") is None
    ran = run(store=store, strategy=script(at(1, "d1", limit_price="101")))
    stranger = exchange_of(ran.session).executions[0].model_copy(update={"fill_id": "x-1", "cursor": 3})
    store.keep_orphan(Execution("mock", "main", stranger))
    store.keep_orphan(Execution("mock", "orphans alone", stranger))
    before = store.account("mock", "main")
    assert [fill.fill_id for fill in before.fills] == ["f-0000001", "x-1"]
    store.engage_kill_switch("pulled")
    store.reset_kill_switch("ada", "compared by hand", 5, rebase=True)
    assert store.account("mock", "main") is None
    kept = store.given_up("mock", "main")
    assert (kept.last, kept.fills) == (before.last, before.fills)
    assert store.given_up("mock", "orphans alone").fills == (stranger,)
    assert store.given_up("mock", "other") is None
    [line] = kept.begun_anew(Decimal(7), {BTC: Decimal(2)}).lines
    assert (line.cash, line.quantity, line.average_price) == (7, 2, None)
    assert (line.cursor, line.matched, line.fills) == (3, 1, 1)


@pytest.mark.spec("IDM-4", "SAF-2")
def test_a_fill_of_an_order_in_quarantine_is_kept_and_an_operator_can_go_on() -> None:
    """It tripped every session that began, before and after a rebase, and was never kept."""
    down = [says(Unavailable(reason="down"))] * 60
    with Stage(place=[does_silently], query=down, settle={"deadline_s": 10}, retry={"duration_max_s": 1}) as stage:
        stage.submit("d1")
        stage.until(lambda: bool(stage.trips))
        fill = stage.execute("d1", "1")
        stage.session.crash()
        store = stage.session.store
        assert store.kill_switch() == "unsettled_order"
        store.reset_kill_switch("ada", "settled by hand", 5)
        stage.start_again(begin=False)
        assert stage.end().fail_code == "illegal_transition"
        assert store.execution_of("mock", "main", fill.fill_id) == fill
        stage.session.crash()
        store.reset_kill_switch("ada", "and booked", 6, rebase=True)
        opening = {"cash": str(stage.exchange.cash), "positions": {BTC: str(stage.exchange.positions[BTC])}}
        stage.start_again(opening=opening)
        assert stage.state is SessionState.DRYRUN_ACTIVE, stage.session.result().reject_reason


@pytest.mark.spec("SAF-2", "IDM-4")
@pytest.mark.parametrize("on_disk", [False, True])
def test_what_only_an_operator_can_settle_is_durable_together_with_the_kill_switch(
    path: Path, *, on_disk: bool
) -> None:
    """Killed between the two, the next session knew the orphan already, or the order as ended, and said nothing."""
    with Stage() as stage:
        stage.submit("d1", quantity="2")
        stranger = stage.execute("d1", "1").model_copy(update={"client_order_id": "somebody-else", "fill_id": "x-1"})
        store: Any = stage.session.store
        if on_disk:
            store = stage.desk.book.store = SqliteStore(path)
        commits: list[tuple[bool, str]] = []

        def committed() -> None:
            commits.append((store.execution_of("mock", "main", "x-1") is not None, store.kill_switch()))

        store.on_commit = committed
        with pytest.raises(InvariantBroken, match="never sent"):
            stage.desk.book.book(stranger)
        assert commits[0] == (True, "unknown_order_fill")
        if on_disk:
            store.close()


@pytest.mark.spec("SAF-2")
def test_a_session_killed_right_after_a_quarantine_leaves_the_kill_switch_set() -> None:
    down = [says(Unavailable(reason="down"))] * 60
    with Stage(place=[does_silently], query=down, settle={"deadline_s": 10}, retry={"duration_max_s": 1}) as stage:
        stage.submit("d1")
        stage.until(lambda: stage.order("d1").state is OrderState.QUARANTINED)
        stage.session.crash()
        assert stage.session.store.kill_switch() == "unsettled_order"


@pytest.mark.spec("IDM-4", "RST-2")
def test_the_orders_of_another_account_in_the_store_are_left_alone(path: Path) -> None:
    """They were taken for our own: asked about at a broker that never had them, called void, and no longer counted."""
    with SqliteStore(path) as store:
        store.beside = None
        with a_session(Kept(), store=store, strategy=script(at(1, "d1")), broker={"sub_ledger": "one"}) as killed:
            while not store.live_orders():
                assert killed.run_n_steps(1).reason == "limit"
    with SqliteStore(path) as store:
        store.beside = None
        before = store.live_orders()
        ran = run(store=store, strategy=script(at(1, "d2", limit_price="101")), broker={"sub_ledger": "two"})
        assert (ran.result.status, ran.counters["fills_total"]) == ("COMPLETED", 1)
        assert store.live_orders() == before
        assert [order.decision_id for order in before] == ["d1"]


@pytest.mark.spec("IDM-4", "REC-3")
def test_a_fill_that_names_an_order_of_another_account_is_a_fill_of_nobody(path: Path) -> None:
    with SqliteStore(path) as store:
        store.beside = None
        done = run(store=store, strategy=script(at(1, "d1", limit_price="90")), broker={"sub_ledger": "one"})
        [order] = orders_of(done.session).values()
        kept = Kept()
        with a_session(kept, store=store, strategy=script(at(1, "d2")), broker={"sub_ledger": "two"}) as session:
            while session.orchestrator.record.state is not SessionState.DRYRUN_ACTIVE:
                assert session.run_n_steps(1).reason == "limit"
            fill = a_fill("f-1", "1", client_order_id=order.client_order_id)
            session.system.post("orchestrator", fill)
            ran = run_session(session, kept)
        assert ran.result.fail_code == "unknown_order_fill"
        assert store.order_of(order.client_order_id) == order


@pytest.mark.spec("IDM-5")
def test_a_change_that_cannot_be_written_whole_takes_nothing_else_with_it(path: Path) -> None:
    """Half of it stayed in the transaction of those that waited with it, and made the store a damaged one."""
    with SqliteStore(path) as store:
        order = sent(an_order("o1"))
        store.claim(order)
        store.commit()
        store.claim(sent(an_order("o2")))
        fill = a_fill("f1", "10", client_order_id="o1").model_copy(update={"cursor": 1 << 63})
        with pytest.raises(StoreRefused, match="could not be written whole"):
            store.journal(book_fill(order, fill, 4), Execution("mock", "main", fill))
        with pytest.raises(StoreRefused, match="what was taken since is lost"):
            store.commit()
    report = verify_store(path)
    assert (report.orders, report.live, report.fills, report.kill_switch) == (1, 1, 0, "")


@pytest.mark.spec("SAF-2")
def test_a_pipe_in_the_place_of_the_kill_file_counts_as_made_and_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    told: list[str] = []
    looking = threading.Thread(target=lambda: told.append(KillFile(path).reason()), daemon=True)
    looking.start()
    looking.join(5)
    assert told == ["the file s.sqlite3 is there"]


def test_a_mock_broker_that_goes_on_gives_no_order_id_twice(path: Path) -> None:
    ids: list[str] = []
    for key in ("o1", "o2", "o3"):
        exchange = KeptExchange(path, OpeningBook(None, {}))
        exchange.prices[BTC] = Decimal(100)
        answer = exchange.place(place_request(an_order(key)))
        assert isinstance(answer, Accepted)
        ids.append(answer.broker_order_id)
    assert len({*ids}) == len(ids)


def test_a_recording_is_not_played_on_a_store_that_was_used_before(path: Path) -> None:
    """Its orders were known, so none was placed, and the broker that plays it broke over the first fill."""
    file = path.with_name("fills.jsonl")
    fill = {"coin": "SUI", "side": "B", "px": "1.3", "sz": "104.4", "time": 1683245555699, "oid": 7, "fee": "0.0"}
    fill |= {"hash": "0x" + "ab" * 32, "startPosition": "-200", "closedPnl": "0", "crossed": True, "dir": "Close Short"}
    file.write_text(json.dumps(fill) + "\n")
    loaded = load_config(CONFIGS / "recording.yaml")
    played = run_dryrun_config(loaded, out=path.parent / "out", recording_path=file, store_path=path)
    assert (played.result.status, played.metrics["fills_total"]) == ("COMPLETED", 1)
    with pytest.raises(BadInput, match="was used before"):
        run_dryrun_config(loaded, out=path.parent / "again", recording_path=file, store_path=path)
    assert not (path.parent / "again").exists()
    assert verify_store(path).kill_switch == ""


@pytest.mark.spec("SAF-3", "IDM-4")
def test_a_clock_that_went_back_does_not_open_the_throttles_again() -> None:
    """Orders were counted from the latest time that the store had seen, and none was as late as that."""
    with Stage(rails={"messages_max": 3, "messages_window_s": 60}) as stage:
        ahead_ns = stage.session.system.clock.now_ns() + 7200 * NS_PER_S
        stage.session.crash()
        store = stage.session.store
        store.begin_session(SessionBegun("r0", "s", "0.1.0", ahead_ns))
        store.commit()
        stage.start_again()
        for number in range(3):
            stage.submit(f"d{number}", limit_price=str(80 + number))
        stage.restart()
        assert stage.submit("d9").code == "RAIL_MESSAGE_RATE"


@pytest.mark.spec("SAF-3")
def test_orders_from_a_clock_that_was_ahead_hold_the_throttles_for_one_window_only() -> None:
    with Stage(rails={"messages_max": 3, "messages_window_s": 60}) as stage:
        store = stage.session.store
        ahead_ns = stage.session.system.clock.now_ns() + 7200 * NS_PER_S
        for number in range(3):
            intent = an_intent(f"a{number}").intent
            order = sent(new_order(intent, "mock", "main", "strat_demo", ahead_ns))
            store.claim(order)
            store.journal(advance(order, OrderEvent.REJECT, ahead_ns))
        store.commit()
        stage.restart()
        assert stage.submit("d1").code == "RAIL_MESSAGE_RATE"
        stage.wait(61)
        assert stage.submit("d2").code == ""


@pytest.mark.spec("SAF-4", "SAF-2")
def test_a_rebase_does_not_give_the_loss_budget_of_the_day_back() -> None:
    """A deposit was a new day: what had been lost before it was forgotten."""
    with Stage(broker={"fee_bps": "100"}) as stage:
        stage.submit("buy", quantity="1", limit_price="100")
        stage.fill("buy", "1")
        now_ns = stage.session.system.clock.now_ns()
        lost = stage.desk.book.exposure.loss_of_day(now_ns)
        assert lost == 1
        for number in range(2):
            stage.session.crash()
            stage.session.store.engage_kill_switch("pulled")
            stage.session.store.reset_kill_switch("ada", "a deposit", number, rebase=True)
            stage.exchange.cash = (stage.exchange.cash or Decimal(0)) + 500
            opening = {"cash": str(stage.exchange.cash), "positions": {BTC: str(stage.exchange.positions[BTC])}}
            stage.start_again(opening=opening)
            assert stage.state is SessionState.DRYRUN_ACTIVE
            assert stage.desk.book.exposure.loss_of_day(now_ns) == lost
        stage.restart(opening=opening)
        assert stage.desk.book.exposure.loss_of_day(now_ns) == lost


@pytest.mark.spec("IDM-3")
def test_a_cancel_leaves_and_is_told_only_when_it_is_durable_also_in_grouped_commits() -> None:
    with Stage(store={"group_commit": True}) as stage:
        stage.submit("d1")
        store: Any = stage.session.store
        outcomes = stage.start(CancelIntent(key_of("d1")))
        stage.until(lambda: bool(outcomes) or stage.asked(CancelOrder) == 1)
        changes = [record.change for record in store.all_records()[: store.durable]]
        assert [change.state for change in changes if isinstance(change, Order)][-1] is OrderState.CANCEL_PENDING
        stage.until(lambda: bool(outcomes))
        assert outcomes[0].requested


def test_a_host_whose_cancel_never_became_durable_hears_that_the_session_ended() -> None:
    with Stage(store={"group_commit": True}) as stage:
        stage.submit("d1")
        outcomes = stage.start(CancelIntent(key_of("d1")))
        stage.until(lambda: stage.order("d1").state is OrderState.CANCEL_PENDING)
        assert not outcomes
        stage.desk.dismiss()
        stage.until(lambda: bool(outcomes))
        assert outcomes == [CancelOutcome(key_of("d1"), requested=False, code="SESSION_ENDED")]
