"""From settings to the parts: with a mock market the config speaks, with a recording the recording does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from interlock.config.model import SessionConfig
from interlock.config.parts import Parts
from interlock.domain.errors import Broken
from interlock.domain.intents import Side
from interlock.domain.preflight import DEFAULT_ALLOWLIST
from interlock.explore.quiet import QuietRecorder
from interlock.mocks.faults import Fault, FaultPlan, FaultRule
from interlock.mocks.playback import LEAD_NS
from interlock.mocks.recording import RecordedExecution, Recording, build_recording
from interlock.sessions import SteppedSession

INTENT = {"decision_id": "d1", "symbol": "BTC/EUR", "side": "BUY", "quantity": "1", "limit_price": "100"}
BASE: dict[str, Any] = {
    "session": {"session_id": "s", "strategy_id": "strat_demo", "seed": 3, "start_utc": "2026-01-05T08:00:00Z"},
    "instruments": [
        {"symbol": "BTC/EUR", "price": "100", "max_order_quantity": "2", "max_order_notional": "300",
         "points": ["100", "101"]},
        {"symbol": "ETH/EUR", "price": "10", "max_order_quantity": "5", "max_order_notional": "50",
         "allow_short": True},
    ],
    "opening": {"cash": "1000", "positions": {"BTC/EUR": "0.5"}},
    "broker": {"venue": "v", "sub_ledger": "l", "fee_bps": "5", "timeout_s": 3},
}  # fmt: skip


def parts(recording: Recording | None = None, **sections: Any) -> Parts:
    """Return the parts of a small session; sections are laid over the base key by key."""
    tree = {name: BASE.get(name, {}) | over for name, over in sections.items()}
    return Parts(SessionConfig.model_validate(BASE | tree), recording)


def an_execution(oid: str, symbol: str, quantity: str, price: str, start: str, at_ns: int) -> RecordedExecution:
    """Return one recorded buy."""
    return RecordedExecution(
        fill_id=f"rec-{oid}-{at_ns}",
        broker_oid=oid,
        symbol=symbol,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(0),
        closed_pnl=Decimal(0),
        start_position=Decimal(start),
        time_ns=at_ns,
        transaction_id=f"t{at_ns}",
        is_taker=True,
    )


def a_recording() -> Recording:
    """Return two orders: 3 SUI in two pieces up to 2.0, and 1 APT at 9."""
    first, second = 100 * LEAD_NS, 101 * LEAD_NS
    fills = (
        an_execution("1", "SUI", "1", "1.5", "-7", first),
        an_execution("2", "APT", "1", "9", "4", first),
        an_execution("1", "SUI", "2", "2.0", "-6", second),
    )
    return build_recording("fills.jsonl", "0" * 64, fills)


# -- a mock market ----------------------------------------------------------------------------------------------


def test_the_caps_are_the_instruments_own() -> None:
    caps = parts(rails={"max_live_orders": 9}).limits
    assert caps.max_live_orders == 9
    assert sorted(caps.symbols) == ["BTC/EUR", "ETH/EUR"]
    btc, eth = caps.symbols["BTC/EUR"], caps.symbols["ETH/EUR"]
    assert (btc.max_order_quantity, btc.max_order_notional, btc.allow_short) == (Decimal(2), Decimal(300), False)
    assert (eth.max_order_quantity, eth.max_order_notional, eth.allow_short) == (Decimal(5), Decimal(50), True)


def test_the_broker_begins_with_a_copy_of_what_we_believe() -> None:
    made = parts()
    cash, positions = made.opening()
    book = made.opening_book()
    assert (book.cash, book.positions, book.fee_bps) == (cash, positions, Decimal(5))
    assert (cash, positions) == (Decimal(1000), {"BTC/EUR": Decimal("0.5")})
    book.positions.clear()
    assert made.opening()[1] == positions == {"BTC/EUR": Decimal("0.5")}


@pytest.mark.parametrize(
    ("own", "cash", "positions"),
    [
        ({"cash": "999"}, "999", {"BTC/EUR": Decimal("0.5")}),
        ({"positions": {"ETH/EUR": "1"}}, "1000", {"ETH/EUR": Decimal(1)}),
        ({"positions": {}}, "1000", {}),
        ({}, "1000", {"BTC/EUR": Decimal("0.5")}),
    ],
)
def test_the_brokers_own_book_differs_where_the_config_says_so(
    own: dict[str, Any], cash: str, positions: dict[str, Decimal]
) -> None:
    """What we believe stays as it was: the two sides share nothing."""
    made = parts(broker={"book": own})
    assert (made.opening_book().cash, made.opening_book().positions) == (Decimal(cash), positions)
    assert made.opening() == (Decimal(1000), {"BTC/EUR": Decimal("0.5")})


def test_orders_that_only_the_broker_knows_have_the_decision_as_their_key() -> None:
    (order,) = parts(broker={"book": {"orders": [INTENT]}}).unknown_orders()
    assert (order.client_order_id, order.symbol, order.quantity) == ("d1", "BTC/EUR", Decimal(1))
    assert parts().unknown_orders() == ()


def test_the_market_has_a_path_for_every_instrument() -> None:
    market = parts(broker={"request_latency_s": 0.5, "lot": "0.1"}).market
    assert [(path.symbol, path.start, path.points) for path in market.paths] == [
        ("BTC/EUR", Decimal(100), (Decimal(100), Decimal(101))),
        ("ETH/EUR", Decimal(10), ()),
    ]
    assert (market.request_latency_s, market.lot) == (0.5, Decimal("0.1"))


def test_the_workload_is_the_script_and_then_the_day() -> None:
    script = [{"at_s": "0.5", "submit": INTENT}, {"at_s": 2, "cancel": "d1"}]
    day = {"orders": 5, "every_s": 1, "lot": "0.1", "lots_max": 3}
    strategy = parts(strategy={"script": script, "day": day}).strategy
    assert [(step.at_ns, step.cancel_decision) for step in strategy.script] == [(500_000_000, None), (2 * 10**9, "d1")]
    assert strategy.script[0].intent is not None
    assert strategy.script[0].intent.decision_id == "d1"
    assert strategy.day is not None
    assert (strategy.day.symbols, strategy.day.orders, strategy.day.lots_max) == (("BTC/EUR", "ETH/EUR"), 5, 3)
    assert parts().strategy.day is None


def test_the_other_parts_get_their_settings_unchanged() -> None:
    made = parts(
        rails={"attempts_per_order": 4, "attempts_per_minute": 50, "in_flight_max": 20},
        retry={"attempts_max": 2, "jitter_s": 0},
        settle={"interval_s": 1, "settle_after_s": 9, "deadline_s": 30, "asks_max": 7},
        reconcile={"grace_s": 4, "every_s": 60, "deadline_s": 600, "observe": True},
    )
    assert (made.attempts.per_order, made.attempts.per_minute) == (4, 50)
    assert (made.retry_policy.attempts_max, made.retry_policy.jitter_s) == (2, 0.0)
    assert (made.link.timeout_s, made.link.policy) == (3.0, made.retry_policy)
    assert (made.settle.settle_after_s, made.settle.asks_max) == (9.0, 7)
    assert (made.reconciler.grace_s, made.reconciler.observe) == (4.0, True)
    desk = made.desk
    assert (desk.venue, desk.account, desk.strategy_id, desk.in_flight_max) == ("v", "l", "strat_demo", 20)
    assert desk.limits == made.limits
    session = made.session(made.facts(broker_is_mock=True, live_enabled_by=(), live_override=False))
    assert (session.session_id, session.reconcile_every_s, session.observe) == ("s", 60.0, True)
    assert session.health.reconcile_deadline_s == 600.0


def test_a_session_begins_when_its_config_says() -> None:
    assert parts().start_ns == 1_767_600_000 * 10**9


@pytest.mark.parametrize(
    ("said", "meant"), [(None, DEFAULT_ALLOWLIST), ([], ()), (["strat_demo", "b"], ("strat_demo", "b"))]
)
@pytest.mark.spec("ORC-7")
def test_no_allowlist_is_the_packaged_one_and_an_empty_one_stays_empty(
    said: list[str] | None, meant: tuple[str, ...]
) -> None:
    made = parts(session={"strategy_allowlist": said})
    assert made.facts(broker_is_mock=True, live_enabled_by=(), live_override=False).allowlist == meant


@pytest.mark.spec("ORC-3")
@pytest.mark.parametrize(
    "retry",
    [{"attempts_max": 0}, {"attempts_max": 101}, {"duration_max_s": 0}, {"wait_initial_s": 9}, {"jitter_s": -1}],
    ids=str,
)
def test_retry_settings_that_are_not_sane_are_a_fact_for_preflight(retry: dict[str, Any]) -> None:
    facts = parts(retry=retry).facts(broker_is_mock=True, live_enabled_by=("file",), live_override=True)
    assert facts.retry_error.startswith("retry ")
    assert (facts.run_id, facts.live_enabled_by, facts.live_override) == ("s-seed3", ("file",), True)
    assert parts().facts(broker_is_mock=True, live_enabled_by=(), live_override=False).retry_error == ""


def test_every_actor_has_room_for_what_credit_admits() -> None:
    sizes = parts(sinks={"mailbox_data": 7, "mailbox_control": 3}, rails={"in_flight_max": 20}).sizes
    assert sorted(sizes) == ["alerts", "broker", "orchestrator", "rails", "reconciler", "strategy"]
    assert all((size.data, size.control) == (7, 3) for size in sizes.values())
    assert sizes["orchestrator"].reply > sizes["orchestrator"].jobs > 20


# -- a recording ------------------------------------------------------------------------------------------------


@pytest.mark.spec("REC-10")
def test_a_recording_is_observed_and_begins_shortly_before_its_first_fill() -> None:
    made = parts(a_recording())
    assert made.observe
    assert not parts().observe
    assert made.start_ns == 99 * LEAD_NS


@pytest.mark.spec("REC-10")
def test_a_recording_brings_its_own_positions_and_tells_no_cash() -> None:
    """What the config says about them gives way."""
    made = parts(a_recording())
    assert made.opening() == (None, {"APT": Decimal(4), "SUI": Decimal(-7)})


def test_a_recording_is_capped_by_its_own_largest_orders() -> None:
    caps = parts(a_recording()).limits
    assert caps.max_live_orders == 2
    assert sorted(caps.symbols) == ["APT", "SUI"]
    for cap in caps.symbols.values():
        assert (cap.max_order_quantity, cap.max_order_notional, cap.allow_short) == (Decimal(3), Decimal(9), True)


def test_a_recording_is_the_workload_and_the_market() -> None:
    made = parts(a_recording(), strategy={"day": {"orders": 5, "every_s": 1, "lot": "0.1", "lots_max": 3}})
    strategy = made.strategy
    assert strategy.day is None
    sent = [step.intent for step in strategy.script]
    assert [(one.decision_id, one.quantity, one.limit_price) for one in sent if one is not None] == [
        ("rec-1", Decimal(3), Decimal("2.0")),
        ("rec-2", Decimal(1), Decimal(9)),
    ]
    assert made.market.paths == ()


def test_parts_under_other_faults_share_every_setting_and_nothing_else() -> None:
    base = parts()
    faults = FaultPlan(rules=(FaultRule(fault=Fault.REJECT, permille=500),))
    other = base.under(faults)
    assert other.config == base.config.under(faults)
    assert other.config.broker.faults == faults
    assert (other.limits, other.desk, other.sizes) == (base.limits, base.desk, base.sizes)
    assert other.reconciler is base.reconciler
    assert base.config.broker.faults == FaultPlan()


def test_a_session_of_parts_takes_no_second_word_about_them() -> None:
    recorder = QuietRecorder("r", "s", {}, QuietRecorder.memory())
    with pytest.raises(Broken, match="already know their recording"):
        SteppedSession(parts(), recorder, recording=a_recording())
