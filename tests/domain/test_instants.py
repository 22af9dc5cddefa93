"""Times go out as one fixed form that sorts as they do, and come in only with a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain.errors import Broken
from interlock.domain.instants import NS_PER_S, from_datetime, rfc3339, to_ns

YEAR_2000_NS = 946_684_800 * NS_PER_S
instants = st.integers(0, 4_000_000_000 * NS_PER_S)


@pytest.mark.parametrize(
    ("instant_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (NS_PER_S - 1, "1970-01-01T00:00:00.999999999Z"),
        (YEAR_2000_NS, "2000-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ],
)
def test_an_instant_is_told_in_utc_to_the_nanosecond(instant_ns: int, text: str) -> None:
    assert rfc3339(instant_ns) == text


@given(instants, instants)
def test_texts_sort_as_the_times_do(first: int, second: int) -> None:
    assert (rfc3339(first) < rfc3339(second)) == (first < second)


@given(instants)
def test_a_text_reads_back_as_the_same_microsecond(instant_ns: int) -> None:
    text = rfc3339(instant_ns)
    read = datetime.fromisoformat(text[:26] + "+00:00")
    assert from_datetime(read) == instant_ns // 1000 * 1000


@pytest.mark.parametrize("hours", [-11, 0, 2])
def test_one_instant_is_one_number_in_every_zone(hours: int) -> None:
    there = datetime(2000, 1, 1, tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    assert from_datetime(there) == YEAR_2000_NS


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(Broken, match="without a zone: 2000-01-01"):
        from_datetime(datetime(2000, 1, 1))  # noqa: DTZ001 - the very thing that is refused


@pytest.mark.parametrize(
    ("seconds", "ns"), [(0, 0), (0.1, 100_000_000), (1e-9, 1), (1.5, 1_500_000_000), (300, 3 * 10**11)]
)
def test_a_duration_is_rounded_to_whole_nanoseconds(seconds: float, ns: int) -> None:
    assert to_ns(seconds) == ns
