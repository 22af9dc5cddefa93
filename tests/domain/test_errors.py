"""Errors are split by whose fault it is and what is known afterwards, and each is one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.domain import errors
from interlock.domain.errors import (
    BadInput,
    Broken,
    BrokerError,
    Deadlock,
    IllegalTransition,
    InterlockError,
    InvariantBroken,
    NotProcessed,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StorageError,
    UnknownSchema,
    Unreachable,
    Withheld,
)

ALL: list[type[BaseException]] = [getattr(errors, name) for name in errors.__all__]


def test_every_error_has_one_base() -> None:
    assert all(issubclass(error, InterlockError) for error in ALL)


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_no_error_is_in_two_families(error: type[BaseException]) -> None:
    assert len([family for family in (BadInput, BrokerError, Broken, StorageError) if issubclass(error, family)]) <= 1


@pytest.mark.parametrize("proven", [NotProcessed, RateLimited, NotSent, Refused, Withheld])
def test_whoever_handles_what_had_no_effect_can_never_catch_an_unknown_outcome(proven: type[BrokerError]) -> None:
    """Only the first may be repeated."""
    assert issubclass(proven, NotProcessed)
    assert not issubclass(OutcomeUnknown, NotProcessed)
    assert not issubclass(proven, OutcomeUnknown)
    assert not issubclass(Unreachable, NotProcessed)


@pytest.mark.spec("NFR-1")
def test_bad_input_says_where_what_and_what_is_allowed() -> None:
    error = BadInput("a.yaml:3", "is wrong", "right")
    assert str(error) == "a.yaml:3: is wrong (allowed: right)"
    assert (error.where, error.what, error.allowed) == ("a.yaml:3", "is wrong", "right")
    assert str(BadInput("a.yaml", "is wrong")) == "a.yaml: is wrong"
    assert isinstance(UnknownSchema("a", "b"), BadInput)


@pytest.mark.spec("NFR-1")
@given(st.text(), st.text(), st.text())
def test_bad_input_is_one_line_whatever_it_is_told(where: str, what: str, allowed: str) -> None:
    assert len(str(BadInput(where, what, allowed)).splitlines()) <= 1


def test_the_texts_name_what_an_operator_needs() -> None:
    assert str(RateLimited(2.5)) == "RATE_LIMITED: not processed, retry after 2.5 s"
    assert str(RateLimited()) == "RATE_LIMITED: not processed"
    assert str(Withheld("RAIL_CASH", "no")) == "RAIL_CASH: no"
    assert str(InvariantBroken("overfill", "too much")) == "overfill: too much"
    assert str(IllegalTransition("order", "NEW", "EXPIRE")) == "order: event EXPIRE is not allowed in state NEW"
    assert str(Deadlock(("a waits on b", "b waits on a"))) == "deadlock: a waits on b; b waits on a"


def test_evidence_is_a_copy() -> None:
    """What happens to the caller's dict afterwards must not change what an operator reads."""
    evidence: dict[str, object] = {"filled": "11"}
    error = InvariantBroken("overfill", "too much", evidence)
    evidence.clear()
    assert error.evidence == {"filled": "11"}
    assert InvariantBroken("overfill", "too much").evidence == {}
