"""Sessions of the day and slippage presets: every hour in one session, to the nanosecond, and one clear line if not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import BadInput
from interlock.domain.instants import from_datetime
from interlock.domain.intents import Side
from interlock.domain.slippage import DEFAULT_SESSIONS, SlippagePreset, SlippagePresets, slipped

EUR = "EUR/USD"
HOUR_NS = 3_600_000_000_000
MICROSECOND_NS = 1000
DAY_NS = 24 * HOUR_NS

DAYS = {
    "an ordinary day": datetime(2026, 1, 5, tzinfo=UTC),
    "a leap day": datetime(2028, 2, 29, tzinfo=UTC),
    "the day after one": datetime(2028, 3, 1, tzinfo=UTC),
    "the first of a year": datetime(2027, 1, 1, tzinfo=UTC),
    "the first of all": datetime(1970, 1, 1, tzinfo=UTC),
}


def a_preset(session: str = "eu", pips: str = "2", symbol: str = EUR) -> SlippagePreset:
    """Return a preset."""
    return SlippagePreset(symbol, session, Decimal(pips))


def complaint(sessions: dict[str, tuple[str, ...]], *presets: SlippagePreset) -> str:
    """Return the line with which sessions and presets are refused."""
    with pytest.raises(BadInput) as refusal:
        SlippagePresets(sessions, presets)
    return str(refusal.value)


# -- the session of an instant ------------------------------------------------------------------------------


@pytest.mark.spec("SLP-1")
@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
@pytest.mark.parametrize(
    ("hour", "before", "after"),
    [(7, "asia", "eu"), (13, "eu", "us"), (21, "us", "overnight"), (24, "overnight", "asia")],
)
def test_a_session_begins_with_its_hour_and_not_a_nanosecond_before(
    day: datetime, hour: int, before: str, after: str
) -> None:
    sessions = SlippagePresets(DEFAULT_SESSIONS, ())
    begin_ns = from_datetime(day) + hour * HOUR_NS
    around = {at: sessions.session_of(begin_ns + at) for at in (-MICROSECOND_NS, -1, 0, 1, MICROSECOND_NS)}
    assert around == {-MICROSECOND_NS: before, -1: before, 0: after, 1: after, MICROSECOND_NS: after}


@pytest.mark.spec("SLP-1")
def test_a_leap_day_has_the_sessions_of_every_day() -> None:
    sessions = SlippagePresets(DEFAULT_SESSIONS, ())
    begin_ns = from_datetime(DAYS["a leap day"])
    named = [sessions.session_of(begin_ns + hour * HOUR_NS) for hour in range(48)]
    assert named == (["asia"] * 7 + ["eu"] * 6 + ["us"] * 8 + ["overnight"] * 3) * 2


@pytest.mark.spec("SLP-1")
def test_a_window_may_go_on_past_midnight_and_a_session_have_several() -> None:
    sessions = SlippagePresets({"night": ("22-6",), "rush": ("6-9", "16-18"), "day": ("9-16", "18-22")}, ())
    named = [sessions.session_of(hour * HOUR_NS) for hour in range(24)]
    assert named[:6] == named[22:] + ["night"] * 4 == ["night"] * 6
    assert [(hour, name) for hour, name in enumerate(named) if name == "rush"] == [
        (hour, "rush") for hour in (6, 7, 8, 16, 17)
    ]
    assert sessions.session_of(DAY_NS - 1) == sessions.session_of(DAY_NS) == "night"


@given(st.lists(st.integers(0, 23), min_size=2, max_size=24, unique=True), st.integers(0, 2**62))
def test_however_the_day_is_cut_every_instant_has_one_session(cuts: list[int], now_ns: int) -> None:
    cuts.sort()
    windows = {f"s{begin}": (f"{begin}-{end or 24}",) for begin, end in pairwise([*cuts, cuts[0]])}
    hour = now_ns // HOUR_NS % 24
    began = max((cut for cut in cuts if cut <= hour), default=cuts[-1])
    assert SlippagePresets(windows, ()).session_of(now_ns) == f"s{began}"


def test_one_session_may_last_all_day() -> None:
    assert SlippagePresets({"all": ("0-24",)}, ()).session_of(DAY_NS - 1) == "all"


# -- presets ------------------------------------------------------------------------------------------------


@pytest.mark.spec("SLP-1", "SLP-2")
def test_a_preset_holds_for_its_symbol_in_its_session_alone() -> None:
    eu, us = a_preset("eu", "2"), a_preset("us", "3")
    presets = SlippagePresets(DEFAULT_SESSIONS, (eu, us))
    assert presets.preset(EUR, 7 * HOUR_NS) is eu
    assert presets.preset(EUR, 13 * HOUR_NS - 1) is eu
    assert presets.preset(EUR, 13 * HOUR_NS) is us
    assert presets.preset(EUR, 7 * HOUR_NS - 1) is None
    assert presets.preset(EUR, 21 * HOUR_NS) is None
    assert presets.preset("GBP/USD", 7 * HOUR_NS) is None


@pytest.mark.spec("SLP-1")
@pytest.mark.parametrize(
    ("pips", "pip_size", "far"), [("2", "0.0001", "0.0002"), ("1.5", "0.01", "0.015"), ("0", "0.01", "0")]
)
def test_a_tolerance_is_so_many_pips_as_a_price(pips: str, pip_size: str, far: str) -> None:
    assert a_preset(pips=pips).tolerance(Decimal(pip_size)) == Decimal(far)


@pytest.mark.parametrize(
    ("side", "price", "far"),
    [
        ("BUY", "1.1002", "0.0002"),
        ("BUY", "1.0999", "-0.0001"),
        ("SELL", "1.0998", "0.0002"),
        ("SELL", "1.11", "-0.01"),
    ],
)
def test_a_buy_slips_upwards_and_a_sell_downwards(side: str, price: str, far: str) -> None:
    assert slipped(Side(side), Decimal("1.1"), Decimal(price)) == Decimal(far)


# -- what is refused ----------------------------------------------------------------------------------------

WHOLE = {"day": ("6-22",), "night": ("22-6",)}


@pytest.mark.spec("SLP-1", "NFR-1")
@pytest.mark.parametrize(
    "window",
    [
        "24-6",
        "-1-6",
        "0-25",
        "6-6",
        "0-0",
        "24-24",
        "21-0",
        "6",
        "",
        "6-",
        "6-22-23",
        "6 - 22",
        "a-b",
        "6.5-7",
        "\u0666-\u0667",
    ],
)
def test_what_is_no_window_is_refused_with_its_session(window: str) -> None:
    said = complaint({**WHOLE, "odd": (window,)})
    assert said.startswith(" ".join(f"sessions.odd: {window} is no window (allowed: UTC hours such as 7-13".split()))
    assert "\n" not in said


@pytest.mark.spec("SLP-1", "NFR-1")
@pytest.mark.parametrize(
    ("sessions", "said"),
    [
        ({"day": ("6-23",), "night": ("22-6",)}, "sessions: hour 22 is in day and in night"),
        ({"day": ("6-22", "21-22"), "night": ("22-6",)}, "sessions: hour 21 is in day and in day"),
        ({"day": ("6-22",), "night": ("22-7",)}, "sessions: hour 6 is in day and in night"),
        ({"day": ("6-22",), "night": ("22-5",)}, "sessions: hour 5 is in none of them"),
        ({"day": ("6-22",), "night": ("23-6",)}, "sessions: hour 22 is in none of them"),
        ({"day": ()}, "sessions: hour 0 is in none of them"),
        ({}, "sessions: hour 0 is in none of them"),
    ],
)
def test_overlaps_and_gaps_are_named_by_their_hour(sessions: dict[str, tuple[str, ...]], said: str) -> None:
    assert complaint(sessions) == f"{said} (allowed: each hour of the day in one window)"


@pytest.mark.spec("SLP-1", "NFR-1")
def test_a_preset_for_a_session_that_is_not_there_is_refused() -> None:
    said = complaint(DEFAULT_SESSIONS, a_preset(), a_preset("tokyo"))
    assert said == "presets: EUR/USD in session tokyo: there is no such session (allowed: asia, eu, us, overnight)"


@pytest.mark.spec("SLP-1", "NFR-1")
def test_two_presets_for_one_symbol_and_session_are_refused() -> None:
    said = complaint(DEFAULT_SESSIONS, a_preset(pips="1"), a_preset("us"), a_preset(pips="2"))
    assert said == "presets: EUR/USD in session eu: stands here twice (allowed: one preset for a symbol and a session)"
