"""One port, two clocks: virtual time goes where it is put, real time never goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import Broken, DeadlineExceeded
from interlock.domain.instants import NS_PER_S, from_datetime, rfc3339, to_ns
from interlock.runtime.clock import RealClock, VirtualClock

YEAR_9999_NS = 253_402_300_799 * NS_PER_S
INSTANTS = st.integers(0, YEAR_9999_NS)


@pytest.mark.spec("RT-3")
def test_virtual_time_stands_where_it_was_put() -> None:
    clock = VirtualClock(5)
    assert clock.now_ns() == clock.now_ns() == 5
    clock.advance_to(9)
    clock.advance_to(9)
    clock.advance(1.5)
    assert clock.now_ns() == 9 + 1_500_000_000


@pytest.mark.spec("RT-3", "ART-2")
def test_virtual_time_refuses_to_go_back_and_stays_where_it_is() -> None:
    clock = VirtualClock(5)
    with pytest.raises(Broken, match="go back from 5 to 4"):
        clock.advance_to(4)
    with pytest.raises(Broken, match="go back"):
        clock.advance(-0.1)
    assert clock.now_ns() == 5


@pytest.mark.spec("RT-3")
def test_real_time_never_goes_back() -> None:
    clock = RealClock()
    read = [clock.now_ns() for _ in range(1000)]
    assert read == sorted(read)
    assert read[0] > from_datetime(datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.spec("RT-3")
async def test_a_real_wait_that_outlives_its_deadline_says_so() -> None:
    clock = RealClock()
    with pytest.raises(DeadlineExceeded, match="no answer within 0 s"), clock.deadline(0):
        await clock.sleep(3600)


@pytest.mark.spec("RT-3")
async def test_a_real_wait_that_ends_in_time_is_left_alone() -> None:
    clock = RealClock()
    with clock.deadline(3600):
        await clock.sleep(0)


@given(st.integers(0, 10**9))
def test_whole_seconds_are_exact_in_nanoseconds(seconds: int) -> None:
    assert to_ns(seconds) == seconds * NS_PER_S


@pytest.mark.parametrize(("seconds", "ns"), [(0.25, 250_000_000), (0.1, 100_000_000), (1e-9, 1), (4e-10, 0)])
def test_parts_of_a_second_are_rounded_to_the_nanosecond(seconds: float, ns: int) -> None:
    assert to_ns(seconds) == ns


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - the zone is added below
def test_a_time_survives_the_way_in_and_out(naive: datetime) -> None:
    instant = naive.replace(tzinfo=UTC)
    text = rfc3339(from_datetime(instant))
    assert text == naive.isoformat(timespec="microseconds") + "000Z"


def test_a_time_of_another_zone_is_the_same_instant() -> None:
    there = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert rfc3339(from_datetime(there)) == "2026-01-01T06:30:00.000000000Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(Broken, match="without a zone: 2026-01-01T00:00:00"):
        from_datetime(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


@given(INSTANTS, INSTANTS)
def test_texts_of_times_sort_as_the_times_do(one: int, other: int) -> None:
    assert (one < other) == (rfc3339(one) < rfc3339(other))
