"""What a door takes as a whole number, a duration, a flag or an instant, as text and as a JSON value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from interlock.domain.door_types import Flag, Instant, Seconds, Whole


class Door(BaseModel):
    """A model at a door, with one field of each kind."""

    model_config = ConfigDict(extra="forbid")

    whole: Whole = 0
    seconds: Seconds = 0.0
    flag: Flag = False
    instant: Instant = datetime(2026, 1, 5, tzinfo=UTC)


TAKEN: list[tuple[str, Any, Any]] = [
    ("whole", "0", 0),
    ("whole", "-17", -17),
    ("whole", 17, 17),
    ("whole", "9" * 19, int("9" * 19)),
    ("seconds", "30", 30.0),
    ("seconds", "0.25", 0.25),
    ("seconds", "-1.5", -1.5),
    ("seconds", 30, 30.0),
    ("seconds", 0.25, 0.25),
    ("flag", "true", True),
    ("flag", "false", False),
    ("flag", True, True),
    ("instant", "2026-01-05T08:00:00Z", datetime(2026, 1, 5, 8, tzinfo=UTC)),
    ("instant", "2026-01-05T09:30:00+01:30", datetime(2026, 1, 5, 8, tzinfo=UTC)),
    ("instant", "1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ("instant", datetime(2026, 1, 5, 9, tzinfo=timezone(timedelta(hours=1))), datetime(2026, 1, 5, 8, tzinfo=UTC)),
]

REFUSED: dict[str, list[Any]] = {
    "whole": ["", "1.0", "012", "0x10", "0o17", "1_000", "1:30", "1e3", " 1", "1\n", "+1", "\u0661", "9" * 20, "yes",
              1.0, True, None, [1]],
    "seconds": ["", "1e3", "nan", "inf", "1_000", "1:30", "01", ".5", "5.", "1.0000000001", "\u0661", float("inf"),
                float("nan"), None],
    "flag": ["yes", "no", "on", "off", "True", "TRUE", "1", "0", "y", "", 1, 0, None],
    "instant": ["", "now", "2026-01-05", "2026-01-05T08:00:00", "2026-13-05T08:00:00Z", "08:00", "1767600000",
                "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59",
                "9999-12-31T23:59:59-23:59", datetime(2026, 1, 5), 1767600000, None],  # noqa: DTZ001 - refused
}  # fmt: skip


@pytest.mark.parametrize(("field", "value", "meant"), TAKEN)
def test_plain_values_are_taken_as_text_and_as_themselves(field: str, value: object, meant: object) -> None:
    read = getattr(Door.model_validate({field: value}), field)
    assert read == meant
    assert type(read) is type(meant)


@pytest.mark.spec("NFR-1")
@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in REFUSED.items() for value in values],
    ids=lambda part: repr(part)[:40],
)
def test_everything_else_is_refused_in_one_line_that_names_the_field(field: str, value: object) -> None:
    """No octal, no underscores, no "yes", no sixties, no time without a zone, and none that 64 bits cannot hold."""
    with pytest.raises(ValidationError) as refusal:
        Door.model_validate({field: value})
    (fault,) = refusal.value.errors()
    assert fault["loc"] == (field,)
    assert "\n" not in fault["msg"]


def test_an_instant_is_kept_in_utc() -> None:
    door = Door.model_validate({"instant": "2026-01-05T23:00:00-03:00"})
    assert door.instant.isoformat() == "2026-01-06T02:00:00+00:00"


@given(
    st.builds(
        Door,
        whole=st.integers(-(10**18), 10**18),
        seconds=st.integers(0, 10**9).map(lambda n: n / 1000),
        flag=st.booleans(),
        instant=st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    )
)
def test_a_door_reads_back_what_it_wrote(door: Door) -> None:
    """As it stands in run.json."""
    assert Door.model_validate_json(door.model_dump_json()) == door
