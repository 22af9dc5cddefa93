"""The runtime checks, each at its border."""

from __future__ import annotations

import pytest

from interlock.domain.health import HealthFacts, HealthLimits, health_complaints

S = 1_000_000_000
NOW = 5000 * S
LIMITS = HealthLimits(reconcile_deadline_s=900, heartbeat_timeout_s=60.5)

pytestmark = pytest.mark.spec("ORC-5")


def codes(*, reconciled_ns: int = 0, heard_ns: int = 0, answered: bool = True) -> list[str]:
    """Return the complaints about a session whose last good signs are so old."""
    facts = HealthFacts(NOW - reconciled_ns, NOW - heard_ns, answered)
    return [code for code, _ in health_complaints(facts, LIMITS, NOW)]


def test_a_session_that_is_well_has_no_complaints() -> None:
    assert codes() == []


@pytest.mark.parametrize(("age_ns", "wanted"), [(900 * S - 1, []), (900 * S, []), (900 * S + 1, ["reconcile_overdue"])])
def test_a_reconcile_may_be_as_old_as_its_deadline(age_ns: int, wanted: list[str]) -> None:
    assert codes(reconciled_ns=age_ns) == wanted


@pytest.mark.parametrize(("age_ns", "wanted"), [(60 * S + S // 2, []), (60 * S + S // 2 + 1, ["broker_silent"])])
def test_a_broker_may_be_silent_as_long_as_its_timeout(age_ns: int, wanted: list[str]) -> None:
    assert codes(heard_ns=age_ns) == wanted


def test_rails_that_do_not_answer_are_a_complaint() -> None:
    assert codes(answered=False) == ["rails_silent"]


def test_everything_that_is_not_well_is_said_the_worst_first() -> None:
    facts = HealthFacts(0, NOW - 100 * S, rails_answered=False)
    assert health_complaints(facts, LIMITS, NOW) == (
        ("rails_silent", "the safety rails have not answered since the last check"),
        ("reconcile_overdue", "the last reconcile that agreed is 5000 s old"),
        ("broker_silent", "the broker has not been heard for 100 s"),
    )
