"""The broker's limits beside ours: what differs, what is not compared, and one hash for equal limits."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from interlock.domain.broker import BrokerLimits
from interlock.domain.broker_limits import LimitMismatch, engine_side, limits_alarm, limits_hash, told
from interlock.domain.limits import RailLimits, SymbolLimits
from interlock.domain.slippage import DEFAULT_SESSIONS, SlippagePresets

ENGINE = RailLimits(
    {"BTC": SymbolLimits(Decimal(5), Decimal(1000)), "ETH": SymbolLimits(Decimal("0.5"), Decimal(1000))},
    10,
    daily_loss_cap=Decimal(300),
)


def offered(cap: str | None = None, **caps: str) -> BrokerLimits:
    """Return what a broker offers."""
    symbols = {symbol: Decimal(most) for symbol, most in caps.items()}
    return BrokerLimits(daily_loss_cap=None if cap is None else Decimal(cap), symbol_caps=symbols)


def differing(limits: BrokerLimits) -> list[tuple[str, str, str]]:
    """Return (limit, engine, broker) of everything that differs."""
    alarm = limits_alarm(ENGINE, limits)
    return [] if alarm is None else [(one.limit, one.engine, one.broker) for one in alarm.mismatches]


@pytest.mark.spec("BRK-1")
def test_equal_limits_agree_however_their_numbers_are_written() -> None:
    assert differing(offered("300.00", BTC="5.0", ETH="0.50")) == []
    assert differing(engine_side(ENGINE)) == []


@pytest.mark.spec("BRK-1")
@pytest.mark.parametrize(
    ("limits", "found"),
    [
        (offered("299", BTC="5", ETH="0.5"), [("daily_loss_cap", "300", "299")]),
        (offered("301", BTC="5", ETH="0.5"), [("daily_loss_cap", "300", "301")]),
        (offered("300", BTC="5.1", ETH="0.5"), [("symbol_caps.BTC", "5", "5.1")]),
        (offered("300", BTC="4.9", ETH="0.4"), [("symbol_caps.BTC", "5", "4.9"), ("symbol_caps.ETH", "0.5", "0.4")]),
        (offered("300", BTC="5"), [("symbol_caps.ETH", "0.5", "none")]),
    ],
)
def test_whichever_side_is_the_stricter_one_what_differs_is_named(
    limits: BrokerLimits, found: list[tuple[str, str, str]]
) -> None:
    assert differing(limits) == found


@pytest.mark.spec("BRK-1")
@pytest.mark.parametrize(
    "limits", [offered(), offered("300"), offered(BTC="5", ETH="0.5"), offered("300", BTC="5", ETH="0.5", XRP="1")]
)
def test_what_is_not_offered_and_what_is_not_traded_here_is_not_compared(limits: BrokerLimits) -> None:
    assert differing(limits) == []


@pytest.mark.spec("BRK-1")
def test_an_alarm_has_both_sides_and_the_hash() -> None:
    alarm = limits_alarm(ENGINE, offered("250.0", BTC="5"))
    assert alarm is not None
    assert alarm.mismatches[0] == LimitMismatch("daily_loss_cap", "300", "250")
    assert alarm.broker_limits == {"daily_loss_cap": "250", "symbol_caps": {"BTC": "5"}}
    assert alarm.engine_limits == {"daily_loss_cap": "300", "symbol_caps": {"BTC": "5", "ETH": "0.5"}}
    assert alarm.engine_limits_hash == limits_hash(ENGINE)
    assert told(offered()) == {"daily_loss_cap": None, "symbol_caps": {}}


@pytest.mark.spec("BRK-1")
def test_equal_limits_have_one_hash_and_any_other_limit_has_another() -> None:
    known = limits_hash(ENGINE)
    written = msgspec.structs.replace(ENGINE, daily_loss_cap=Decimal("300.000"))
    assert limits_hash(written) == known
    backwards = msgspec.structs.replace(ENGINE, symbols=dict(reversed(ENGINE.symbols.items())))
    assert limits_hash(backwards) == known
    presets = msgspec.structs.replace(ENGINE, slippage=SlippagePresets(DEFAULT_SESSIONS, ()))
    assert limits_hash(presets) == known
    ether = msgspec.structs.replace(ENGINE.symbols["ETH"], collar_pct=Decimal(1))
    others = [
        msgspec.structs.replace(ENGINE, daily_loss_cap=Decimal(301)),
        msgspec.structs.replace(ENGINE, max_live_orders=11),
        msgspec.structs.replace(ENGINE, symbols={"BTC": ENGINE.symbols["BTC"]}),
        msgspec.structs.replace(ENGINE, symbols={**ENGINE.symbols, "ETH": ether}),
    ]
    assert len({known, *map(limits_hash, others)}) == 5
