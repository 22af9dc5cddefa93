"""Every reason against beginning has its own code, all of them are reported, and nothing secret is repeated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from interlock.domain.preflight import DEFAULT_ALLOWLIST, LIVE_CODES, PreflightFacts, preflight
from interlock.domain.reconcile import ReconcileReport, ReconcileResult, position_finding
from tests.domain_builders import BTC

HEALTHY = ReconcileReport("r1", "start-up", 0, 1, ReconcileResult.HEALTHY)
UNAVAILABLE = ReconcileReport("r1", "start-up", 0, 1, ReconcileResult.UNAVAILABLE, detail="no answer within 5 s")


def facts(**wanted: Any) -> PreflightFacts:
    """Return the facts of a session that may begin, except for what is wanted otherwise."""
    good = PreflightFacts(
        run_id="run-1", strategy_id="strat_demo", allowlist=("strat_demo",), broker_is_mock=True, startup=HEALTHY
    )
    return msgspec.structs.replace(good, **wanted)


def codes(**wanted: Any) -> list[str]:
    """Return the codes against a session."""
    return [reject.code for reject in preflight(facts(**wanted))]


def a_report(*sides: tuple[str, str]) -> ReconcileReport:
    """Return a start-up report that found positions which differ."""
    found = [position_finding(BTC, Decimal(ours), Decimal(theirs)) for ours, theirs in sides]
    findings = tuple(one for one in found if one is not None)
    return ReconcileReport("r1", "start-up", 0, 1, ReconcileResult.FINDINGS, findings)


ALONE: dict[str, dict[str, Any]] = {
    "C2_REJECT_LIVE_ENABLED": {"live_enabled_by": ("code",)},
    "C2_REJECT_LIVE_ENABLED_FILE": {"live_enabled_by": ("file",)},
    "C2_REJECT_LIVE_ENABLED_FLAG": {"live_enabled_by": ("flag",)},
    "C2_REJECT_LIVE_ENABLED_ENVIRONMENT": {"live_enabled_by": ("environment",)},
    "C2_REJECT_RUN_ID": {"run_id": ""},
    "C2_REJECT_STRATEGY_ID": {"strategy_id": "", "allowlist": ("", "strat_demo")},
    "C2_REJECT_ALLOWLIST_MISSING": {"allowlist": None},
    "C2_REJECT_ALLOWLIST_EMPTY": {"allowlist": ()},
    "C2_REJECT_ALLOWLIST_SYNTAX": {"allowlist": ("strat_demo", "two words")},
    "C2_REJECT_ALLOWLIST_BROKER_ID": {"allowlist": ("strat_demo", "kraken")},
    "C2_REJECT_STRATEGY_NOT_ALLOWED": {"strategy_id": "strat_other"},
    "C2_REJECT_BROKER_NOT_MOCK": {"broker_is_mock": False},
    "C2_REJECT_AUDIT_SINK": {"audit_sink_error": "the audit sink cannot be written"},
    "C2_REJECT_RETRY_CONFIG": {"retry_error": "retry attempts_max must lie in 1..100, not 0"},
    "C2_REJECT_STORE": {"store_error": "the store's checksum does not hold"},
    "C2_REJECT_RECONCILE": {"startup": UNAVAILABLE},
}


@pytest.mark.spec("ORC-3")
def test_a_session_in_order_may_begin() -> None:
    assert preflight(facts()) == ()
    assert preflight(facts(startup=None)) == ()


@pytest.mark.spec("ORC-3")
@pytest.mark.parametrize(("code", "wanted"), ALONE.items(), ids=ALONE.keys())
def test_each_fault_has_its_code_and_no_other_beside_it(code: str, wanted: dict[str, Any]) -> None:
    # An empty strategy id cannot stand in an allowlist of names; that fault is told as well.
    beside = ["C2_REJECT_ALLOWLIST_SYNTAX"] if code == "C2_REJECT_STRATEGY_ID" else []
    assert codes(**wanted) == [code, *beside]
    (reject, *_) = preflight(facts(**wanted))
    assert reject.reason
    assert "\n" not in reject.reason


@pytest.mark.spec("ORC-3")
def test_all_faults_are_reported_and_not_only_the_first() -> None:
    assert codes(
        run_id="",
        strategy_id="two words",
        allowlist=("kraken", "a b"),
        broker_is_mock=False,
        live_enabled_by=("file", "environment", "flag", "code"),
        audit_sink_error="a",
        retry_error="b",
        store_error="c",
        startup=a_report(("1", "2"), ("1", "3")),
    ) == [
        "C2_REJECT_LIVE_ENABLED_FILE",
        "C2_REJECT_LIVE_ENABLED_ENVIRONMENT",
        "C2_REJECT_LIVE_ENABLED_FLAG",
        "C2_REJECT_LIVE_ENABLED",
        "C2_REJECT_RUN_ID",
        "C2_REJECT_STRATEGY_ID",
        "C2_REJECT_ALLOWLIST_BROKER_ID",
        "C2_REJECT_ALLOWLIST_SYNTAX",
        "C2_REJECT_STRATEGY_NOT_ALLOWED",
        "C2_REJECT_BROKER_NOT_MOCK",
        "C2_REJECT_AUDIT_SINK",
        "C2_REJECT_RETRY_CONFIG",
        "C2_REJECT_STORE",
        "C2_REJECT_RECONCILE",
        "C2_REJECT_RECONCILE",
    ]


@pytest.mark.spec("ORC-4")
def test_every_way_to_ask_for_live_trading_has_a_code_of_its_own() -> None:
    seen = [preflight(facts(live_enabled_by=(source,))) for source in LIVE_CODES]
    assert [[reject.code for reject in rejects] for rejects in seen] == [[code] for code in LIVE_CODES.values()]
    assert len(sorted({*LIVE_CODES.values()})) == 4
    for source, (reject,) in zip(LIVE_CODES, seen, strict=True):
        assert source in reject.reason


@pytest.mark.spec("ORC-4")
def test_the_test_override_lets_live_enabled_through_but_never_a_broker_that_is_no_mock() -> None:
    everywhere = tuple(LIVE_CODES)
    assert codes(live_enabled_by=everywhere, live_override=True) == []
    assert codes(live_enabled_by=everywhere, live_override=True, broker_is_mock=False) == ["C2_REJECT_BROKER_NOT_MOCK"]
    assert codes(live_override=True, broker_is_mock=False) == ["C2_REJECT_BROKER_NOT_MOCK"]


@pytest.mark.spec("ORC-3")
@pytest.mark.parametrize("name", ["", " ", "a b", "../up", "a/b", "-a", ".a", "a\n", "é", "x" * 65])
def test_a_name_that_is_unsafe_in_a_path_is_refused(name: str) -> None:
    assert codes(run_id=name) == ["C2_REJECT_RUN_ID"]
    assert "C2_REJECT_STRATEGY_ID" in codes(strategy_id=name)


@pytest.mark.parametrize("name", ["a", "9", "strat_demo", "a.b_c:d-e", "x" * 64])
def test_a_plain_name_is_taken(name: str) -> None:
    assert codes(run_id=name, strategy_id=name, allowlist=(name,)) == []


@pytest.mark.spec("ORC-7")
def test_the_packaged_allowlist_holds_the_demo_strategy_and_nothing_that_looks_real() -> None:
    assert "strat_demo" in DEFAULT_ALLOWLIST
    assert codes(allowlist=DEFAULT_ALLOWLIST) == []


@pytest.mark.spec("ORC-3")
@pytest.mark.parametrize(
    "entry",
    ["kraken", "KRAKEN", "binance:main", "strat.oanda", "ig", "U1234567", "DU-1234567", "12345", "me@example.com",
     "0x52908400098527886E0F7030069857D2E4169EE7"],
)  # fmt: skip
def test_an_entry_that_looks_like_a_real_broker_or_account_is_refused_and_not_repeated(entry: str) -> None:
    (reject,) = preflight(facts(allowlist=("strat_demo", entry)))
    assert reject.code == "C2_REJECT_ALLOWLIST_BROKER_ID"
    assert entry.lower() not in reject.reason.lower().split()


@pytest.mark.spec("ORC-3")
def test_no_entry_that_is_refused_is_repeated() -> None:
    """It may be a password in the wrong field."""
    rejects = preflight(facts(allowlist=("hunter2 hunter2", "sk_live_0123456789abcdef", "strat_demo")))
    assert [reject.code for reject in rejects] == ["C2_REJECT_ALLOWLIST_SYNTAX"]
    assert "hunter2" not in rejects[0].reason


@pytest.mark.parametrize("entry", ["strat_krakens", "figs", "a1234", "biga", "sigma", "oandacom", "rig-2"])
def test_a_name_that_only_contains_such_a_word_is_taken(entry: str) -> None:
    assert codes(allowlist=("strat_demo", entry)) == []


@pytest.mark.spec("ORC-3", "REC-6")
def test_a_broker_that_cannot_be_asked_at_start_up_is_not_an_empty_account() -> None:
    (reject,) = preflight(facts(startup=UNAVAILABLE))
    assert reject.reason == "the broker could not be asked at start-up: no answer within 5 s"


@pytest.mark.spec("ORC-3")
@pytest.mark.parametrize(
    ("theirs", "wanted"), [("999.5", []), ("999", ["C2_REJECT_RECONCILE"]), ("5", ["C2_REJECT_RECONCILE"])]
)
def test_a_start_up_finding_rejects_from_warn_on(theirs: str, wanted: list[str]) -> None:
    assert codes(startup=a_report(("1000", theirs))) == wanted


def test_a_start_up_finding_is_told_in_its_own_words() -> None:
    (reject,) = preflight(facts(startup=a_report(("1", "2"))))
    assert reject.reason == "position BTC/EUR: we hold 1, the broker says 2"
